"""Write the go.mod and go.sum of every tool from `versions.toml`: `python -m tests.cluster.pin [TOOL…]`.

The sums make a build the same everywhere; they are committed, and a build never changes them.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cluster.versions import Tool, tools

STAGING = re.compile(r"^(?:replace|\s)\s*(k8s\.io/\S+) => \./staging/", re.MULTILINE)


def pin(tool: Tool, go: str) -> None:
    """Write one tool's go.mod and go.sum anew."""
    folder = tool.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.sum").unlink(missing_ok=True)
    lines = [f"module fluxmedic.dev/tests/cluster/{tool.name}", "", f"go {go}", ""]
    lines += [f"replace {path} => {path} {version}" for path, version in replaced(tool).items()]
    (folder / "go.mod").write_text("\n".join(lines) + "\n")
    for package in tool.packages.values():
        wanted = [tool.module] if tool.own_main else ["-tool", package]
        wanted[-1] += f"@{tool.version}"
        _go(folder, "get", *wanted)
    if tool.own_main:
        _go(folder, "mod", "tidy")


def replaced(tool: Tool) -> dict[str, str]:
    """Return what the tool's go.mod must replace, as upstream's own does: module path to version."""
    if not tool.staging:
        return tool.replace
    there = json.loads(_go(tool.folder, "mod", "download", "-json", f"{tool.module}@{tool.version}"))
    upstream = Path(there["GoMod"]).read_text()
    return {**tool.replace, **dict.fromkeys(sorted(STAGING.findall(upstream)), tool.staging)}


def _go(folder: Path, *words: str) -> str:
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    return subprocess.run(
        ["go", *words], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE
    ).stdout.decode()


def main(wanted: list[str]) -> None:
    """Pin the named tools, or all."""
    go, found = tools()
    for tool in found:
        if not wanted or tool.name in wanted:
            print(f"{tool.name}: {tool.module} {tool.version}")
            pin(tool, go)


if __name__ == "__main__":
    main(sys.argv[1:])
