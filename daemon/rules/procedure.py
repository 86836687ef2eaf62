"""Procedures: who must be in what state by when, with ${parameters} that are filled in when it is bound.

Limit: what a check asks is known here by its words alone; the engine looks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from string import Template as StringTemplate

from daemon.model.errors import ConfigError, Problem
from daemon.rules.parameter import misfits


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One row of a procedure: what must be so, within how many seconds of the fix, for how many seconds."""

    id: str
    probe: str
    params: Mapping[str, str] = field(default_factory=dict)
    within: float = 0.0
    hold: float = 0.0
    optional: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Procedure:
    """A recovery contract: proves a fix, runs on demand (`verify`) and, with a schedule, as a standing verification."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    schedule: str = ""
    """Five cron fields, UTC; empty: never by itself."""
    checks: tuple[CheckSpec, ...] = ()
    """With the parameters' defaults filled in."""
    text: str = ""
    file: str = ""
    line: int = 0
    pattern: tuple[CheckSpec, ...] = field(default=(), repr=False)
    """The checks as written, with their ${parameters}."""

    def bind(self, given: Mapping[str, str]) -> "Procedure":
        """Return the procedure with other parameters.

        Raises ConfigError for one that it does not have, and for values that the probes can't read.
        """
        unknown = sorted(set(given) - set(self.parameters))
        if unknown:
            known = ", ".join(sorted(self.parameters)) or "none"
            raise ConfigError(Problem(f"procedure {self.name} has no parameter {unknown[0]!r}, it has: {known}"))
        values = {**self.parameters, **given}
        checks = tuple(_bound(check, values) for check in self.pattern)
        problems = [
            Problem(f"procedure {self.name}, check {check.id}: {f'{key} {text}'.strip()}", self.file, self.line)
            for check in checks
            for key, text in misfits(check.probe, check.params)
        ]
        if problems:
            raise ConfigError(*problems)
        return replace(self, parameters=values, checks=checks)


def bound(params: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a check with the values of its procedure in them."""
    return {key: StringTemplate(text).substitute(values) for key, text in params.items()}


def _bound(check: CheckSpec, values: Mapping[str, str]) -> CheckSpec:
    return replace(check, params=bound(check.params, values), text=StringTemplate(check.text).substitute(values))
