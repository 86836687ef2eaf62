"""What a rule or a detector says of one object now: a finding in the making."""

from dataclasses import dataclass

from daemon.model.findings import Severity
from daemon.model.refs import ObjectRef


@dataclass(frozen=True, slots=True)
class Draft:
    """A test that holds now: what a finding is made of once it has held for `hold` seconds."""

    test: str
    severity: Severity
    summary: str
    hold: float
    keep: float = 0.0
    next_step: str = ""
    runbook: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    related: tuple[ObjectRef, ...] = ()
    patience: float = 0.0
    """Seconds that it waits at least, whatever `hold` a file gives it: something is still on its way."""
