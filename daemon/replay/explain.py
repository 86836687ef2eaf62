"""Why, and why not: every rule against one object of a recording at one moment, clause by clause.

The clauses come from the code that decides; nothing here can disagree with it.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from daemon.engine.view import WorldView
from daemon.engine.world import Limits
from daemon.model.documents import API_VERSION, Document
from daemon.model.errors import ConfigError, Problem
from daemon.model.refs import ObjectRef
from daemon.model.signals import Stale, Synced, Tick
from daemon.replay.recording import read_recording
from daemon.replay.replay import TARGETS, Player, refuse_late
from daemon.rules.ruleset import RuleSet


def explain(
    lines: Iterable[str | bytes],
    ruleset: RuleSet,
    ref: ObjectRef,
    *,
    name: str = "recording",
    until: datetime | None = None,
) -> Document:
    """Return why each rule does or does not hold for the object at the recording's end, or `until`.

    Raises ConfigError when nothing can be read, or when the moment lies long after its last line.
    """
    recording = read_recording(lines, ref.cluster, name)
    if not recording.signals:
        raise ConfigError(Problem("no line of this recording can be read", file=name), *recording.problems)
    refuse_late(until, recording.signals[-1].at, name)
    expected = frozenset(signal.resource for signal in recording.signals if isinstance(signal, Synced | Stale))
    player = Player(replace(Limits(cluster=ref.cluster, targets=TARGETS), expected=expected), ruleset)
    for signal in recording.signals:
        if until is not None and signal.at > until:
            break
        player.play(signal)
    if until is not None:
        player.play(Tick(until))
    return {"apiVersion": API_VERSION, "kind": "Explanation", **WorldView(player.world).why(ref)}
