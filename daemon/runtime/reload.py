"""Watches rule files and puts a changed set in force, all or nothing; a bad set leaves the last good one standing.

Folders are looked at, not notified about: a ConfigMap mount swaps its `..data` link, editors write in several steps,
and network volumes tell nobody. A change counts once two looks in a row saw the same contents. Limit: a file mounted
by `subPath` is never updated by the kubelet; `fixed_mounts` names those.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from daemon.model.errors import ConfigError, Problem
from daemon.model.ports import Clock

EVERY = 2.0
"""Seconds between two looks: a change is in force within two of them; reading 20 files takes under a millisecond."""
LONGEST = 1_000_001
"""Characters read of one file: one more than the compiler accepts, so that it can say that a file is too long."""
SUFFIXES = frozenset({".yaml", ".yml"})
MOUNTS = Path("/proc/self/mountinfo")

RulesT = TypeVar("RulesT")
Files = tuple[tuple[str, str], ...]


class Reload(Generic[RulesT]):
    """Keeps the rules in force equal to the files, from the set that was loaded at start."""

    def __init__(
        self,
        places: Sequence[Path],
        clock: Clock,
        *,
        compile_files: Callable[[Files], RulesT],
        adopt: Callable[[RulesT], None],
        report: Callable[[tuple[Problem, ...]], None],
    ) -> None:
        """Watch these folders and files; `report` is told what is wrong, and with nothing once all is well again."""
        self._places = tuple(places)
        self._clock = clock
        self._compile = compile_files
        self._adopt = adopt
        self._report = report
        self._decided = ""
        self._seen = ""
        self._verdict: tuple[Problem, ...] = ()
        """What is wrong with the set that was decided on last."""
        self.problems: tuple[Problem, ...] = ()
        self.reloads = 0

    def load(self) -> RulesT:
        """Read and compile at start, where there is no last good set. Raises ConfigError with every problem."""
        files = read(self._places)
        self._decided = self._seen = digest(files)
        return self._compile(files)

    async def run(self) -> None:
        """Look for changes for ever."""
        while True:
            await self._clock.sleep(EVERY)
            self.look()

    def look(self) -> None:
        """Compare the files with the set in force once; adopt a changed set that is stable and compiles."""
        try:
            files = read(self._places)
        except ConfigError as error:
            self._tell(error.problems)
            return
        before, self._seen = self._seen, digest(files)
        if self._seen != before:
            return
        if self._seen != self._decided:
            self._decided = self._seen
            self._verdict = self._decide(files)
        self._tell(self._verdict)

    def _decide(self, files: Files) -> tuple[Problem, ...]:
        try:
            rules = self._compile(files)
        except ConfigError as error:
            return error.problems
        self._adopt(rules)
        self.reloads += 1
        return ()

    def _tell(self, problems: tuple[Problem, ...]) -> None:
        if problems != self.problems:
            self.problems = problems
            self._report(problems)


def read(places: Iterable[Path]) -> Files:
    """Return (name, text) of every rule file, folder by folder, by name within one. Raises ConfigError."""
    files: list[tuple[str, str]] = []
    problems: list[Problem] = []
    for place in places:
        for path in _paths(place):
            try:
                with path.open(encoding="utf-8") as handle:
                    files.append((str(path), handle.read(LONGEST)))
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not UTF-8 text"
                problems.append(Problem(f"cannot be read: {why}", file=str(path)))
    if problems:
        raise ConfigError(*problems)
    return tuple(files)


def digest(files: Files) -> str:
    """Return a digest of names and texts."""
    whole = hashlib.sha256()
    for name, text in files:
        for part in (name.encode(), text.encode()):
            whole.update(len(part).to_bytes(8, "big"))
            whole.update(part)
    return whole.hexdigest()


def fixed_mounts(places: Iterable[Path], mounts: Path = MOUNTS) -> tuple[Path, ...]:
    """Return rule files that are mount points of their own (`subPath`): they never change while the pod lives."""
    try:
        points = {line.split()[4] for line in mounts.read_text(encoding="utf-8").splitlines()}
    except (OSError, IndexError):
        return ()
    return tuple(path for place in places for path in _paths(place) if str(path.absolute()) in points)


def _paths(place: Path) -> list[Path]:
    """Return a file itself, or the rule files of a folder; hidden ones are the mount's own machinery (`..data`)."""
    if not place.is_dir():
        return [place]
    found = (path for path in place.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(place).parts))
