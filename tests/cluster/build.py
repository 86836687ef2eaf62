"""Build the control plane once, from nothing but the Go module proxy: `python -m tests.cluster.build`.

Each tool lands in a folder of its own in the cache, named by everything that goes into it, so a second run builds
nothing and a changed version builds just that one. CLUSTER_TEST_TOOLS says where the cache is; it needs about 1 GB, and
Go's own caches 13 GB while they are kept. Prints one line a tool; a failure ends it with the tail of the build's log.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path

from tests.cluster.versions import Tool, tools

FLAGS = ("-trimpath", "-mod=readonly", "-ldflags", "-s -w")
TAIL = 30


class BuildError(Exception):
    """A tool cannot be built; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Where the programs and the CRDs of Flux are."""

    programs: dict[str, Path]
    crds: tuple[Path, ...]


def cache_folder() -> Path:
    """Return where built tools are kept, outside of the checkout."""
    named = os.environ.get("CLUSTER_TEST_TOOLS", "")
    return Path(named) if named else Path.home() / ".cache" / "fluxmedic" / "tools"


def build() -> Toolbox:
    """Return every program, built if it is not there yet. Raises BuildError."""
    if shutil.which("go") is None:
        raise BuildError(
            "Go is not on the PATH. The cluster tests build a real control plane and need Go 1.21 or newer."
        )
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    programs: dict[str, Path] = {}
    crds: list[Path] = []
    with (cache / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        for tool in tools()[1]:
            folder = cache / f"{tool.name}-{_key(tool)}"
            if not folder.is_dir():
                _build(tool, folder)
            programs |= {name: folder / name for name in tool.packages}
            crds += sorted(folder.glob("crds/*.yaml"))
    return Toolbox(programs, tuple(crds))


def _key(tool: Tool) -> str:
    """Return what the built tool depends on, as one word."""
    digest = hashlib.sha256("\n".join((*FLAGS, *tool.packages)).encode())
    for path in sorted(tool.folder.iterdir()):
        digest.update(f"\n{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(tool: Tool, folder: Path) -> None:
    """Build into a folder beside the place and rename it: what is in the cache is whole."""
    begun = time.monotonic()
    print(f"{tool.name} {tool.version}: building …", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as made:
        work = Path(made) / "made"
        work.mkdir()
        for name, package in tool.packages.items():
            _go(tool, "build", *FLAGS, "-o", str(work / name), package)
        if tool.crds:
            upstream = Path(_go(tool, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", tool.module).strip())
            shutil.copytree(upstream / "config" / "crd" / "bases", work / "crds", copy_function=shutil.copyfile)
            (work / "crds").chmod(0o755)
        work.rename(folder)
    print(f"{tool.name} {tool.version}: built in {time.monotonic() - begun:.0f} s", flush=True)


def _go(tool: Tool, *words: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    done = subprocess.run(["go", *words], cwd=tool.folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-TAIL:])
        raise BuildError(
            f"{tool.name} {tool.version} cannot be built: go {words[0]} ended with {done.returncode}\n{tail}"
        )
    return done.stdout


def main() -> int:
    """Build everything and say where it is."""
    try:
        found = build()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(found.programs)} programs and {len(found.crds)} CRDs in {cache_folder()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
