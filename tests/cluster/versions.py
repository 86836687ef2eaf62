"""The programs of the control plane under test, as `versions.toml` names them: the only place that knows a version."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Tool:
    """One Go module of our own that builds one or more programs of an upstream module."""

    name: str
    module: str
    version: str
    commands: tuple[str, ...] = ()
    """Packages within the module, each a program; empty: the module's root is the program."""
    own_main: bool = False
    staging: str = ""
    """Version of every module that upstream replaces by a folder `./staging/…`; empty: none is."""
    crds: bool = False
    """Whether `config/crd/bases` of the module is wanted too."""
    replace: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its go.mod and go.sum are."""
        return HERE / "modules" / self.name

    @property
    def packages(self) -> dict[str, str]:
        """Program name to the package that builds it."""
        if self.own_main:
            return {self.name: "."}
        return {Path(each).name: f"{self.module}/{each}" for each in self.commands} or {self.name: self.module}


def tools() -> tuple[str, tuple[Tool, ...]]:
    """Return the Go version that the modules ask for, and every tool."""
    found = tomllib.loads((HERE / "versions.toml").read_text())
    go = str(found.pop("go"))
    return go, tuple(
        Tool(
            name,
            module=each["module"],
            version=each["version"],
            commands=tuple(each.get("commands", ())),
            own_main=each.get("own_main", False),
            staging=each.get("staging", ""),
            crds=each.get("crds", False),
            replace=each.get("replace", {}),
        )
        for name, each in found.items()
    )
