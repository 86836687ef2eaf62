"""What is committed: files by name and text, the locks, and the documents that people follow by hand."""

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

from daemon.cli import cli

REGISTRY = re.compile(
    r"(?<!no-emit-)index[-_]url|files\.pythonhosted|https?://[\w.-]*pypi|registry\.npmjs|PIP_[I]NDEX", re.IGNORECASE
)
"""The address of a registry; `--no-emit-index-url` names none."""
MACHINE = re.compile(r"(?<![\w.}~-])/(home/\w|Users/\w|root/|work/)")
"""A path that only one machine has."""
PIN = re.compile(r"[\w.\[\],-]+==[\w.!+]+( ; .+?)?( --hash=sha256:[0-9a-f]{64})+")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
SHELLS = frozenset({"sh", "bash", "shell", "console"})
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)


def committed(root: Path) -> dict[str, str]:
    """Return the text of every committed file by its path, bytes that are no text lost; empty outside a checkout."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]  # another user's checkout is one too
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    names = [name for name in listed.stdout.split("\0") if name and (root / name).is_file()]
    return {name: (root / name).read_text("utf-8", errors="replace") for name in names}


def lines_with(pattern: re.Pattern[str], texts: Mapping[str, str]) -> list[str]:
    """Find the lines that a pattern is in."""
    return [
        f"{name}:{number} {line.strip()}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def unpinned(texts: Mapping[str, str]) -> list[str]:
    """Find requirements that are not one version with its hashes."""
    return [
        f"{name}: {line}"
        for name, text in texts.items()
        if re.fullmatch(r"requirements[\w-]*\.txt", Path(name).name)
        for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines()
        if line.strip() and not line.lstrip().startswith("#") and not PIN.fullmatch(line.strip())
    ]


def commands(document: str) -> Iterator[list[str]]:
    """Yield the words of each command line in the document's shell blocks, without prompt, comment and what follows."""
    for language, block in FENCE.findall(document):
        if language in SHELLS:
            for line in block.replace("\\\n", " ").splitlines():
                words = line.strip().removeprefix("$ ").split(" #")[0]
                yield re.split(r"\s*(?:[|;>]|&&)\s*", words)[0].split()


def unknown_targets(document: str, makefile: str) -> list[str]:
    """Find `make X` for which there is no target."""
    known = set(TARGET.findall(makefile))
    asked = [word for words in commands(document) if words[:1] == ["make"] for word in words[1:]]
    return [f"make {word}" for word in asked if "=" not in word and not word.startswith("-") and word not in known]


def unknown_commands(document: str) -> list[str]:
    """Find `fluxmedic X --flag` that the command line does not have."""
    lines = [words for words in commands(document) if words and words[0].rpartition("/")[2] == "fluxmedic"]
    return [" ".join(words) for words in lines if not _is_known(words[1:])]


def _is_known(words: list[str]) -> bool:
    command: click.Command = cli
    context = click.Context(cli)
    for word in words:
        if word.startswith("-"):
            known = {name for option in command.get_params(context) for name in (*option.opts, *option.secondary_opts)}
            if word.split("=")[0] not in known:
                return False
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is None:
                return False
            command, context = found, click.Context(found, parent=context)
    return True


def broken_links(name: str, document: str, root: Path) -> list[str]:
    """Find relative links to files that are not there."""
    found = []
    for target in LINK.findall(document):
        path = target.split("#")[0]
        if path and not re.match(r"[a-z][a-z0-9+.-]*:", target):
            place = root / path.lstrip("/") if path.startswith("/") else (root / name).parent / path
            if not place.exists():
                found.append(f"{name}: {target}")
    return found


def documents(texts: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Return every document for people."""
    return [(name, text) for name, text in texts.items() if name.endswith(".md")]
