"""A recording through the real core on virtual time: what would have been opened, said and done.

Pure: text in, a ReplayReport out; same lines and same rules give the same bytes. Notifications are counted as delivered
at once, and an action that would run is listed and not run, so its plan ends there.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from daemon.engine.step import adopt, next_deadline, step
from daemon.engine.world import Limits, World
from daemon.model.documents import API_VERSION, Document, incident_document, stamp
from daemon.model.effects import Effect, Send
from daemon.model.errors import ConfigError, Problem
from daemon.model.notices import Delivery, Sent
from daemon.model.refs import Target
from daemon.model.signals import Delivered, Signal, Stale, Synced, Tick
from daemon.replay.recording import read_recording
from daemon.replay.told import Told
from daemon.rules.ruleset import RuleSet

AFTERWARDS = timedelta(minutes=10)
"""Virtual time that runs on after the last line, so that waits and holds can end (contracts.md)."""
LONGEST = timedelta(days=31)
"""The latest moment after the last line that may be asked for: the world looks around each minute until then."""
TARGETS = (Target("slack"), Target("webhook"))


class Player:
    """A World fed from a recording, with deadlines kept between the lines."""

    def __init__(self, limits: Limits, ruleset: RuleSet) -> None:
        """Make a World with these limits and rules."""
        self.world = World(limits=limits)
        self.ruleset = ruleset
        self.adopted = False
        self.told = Told()
        self.signals = 0

    def play(self, signal: Signal) -> None:
        """Let time run up to the signal, then take it in."""
        if not self.adopted:
            self.adopted = True
            self._do(adopt(self.world, self.ruleset, signal.at), signal.at)
        self.run_until(signal.at)
        self.signals += 1
        self._do(step(self.world, signal), signal.at)

    def run_until(self, at: datetime) -> None:
        """Give the World every Tick that is due by then."""
        while (due := next_deadline(self.world)) is not None and due <= at:
            self._do(step(self.world, Tick(due)), due)

    def _do(self, effects: tuple[Effect, ...], at: datetime) -> None:
        self.told.take(at, effects)
        for effect in effects:
            if isinstance(effect, Send):
                sent = effect.notification
                delivery = Delivery(sent.key, sent.target, sent.incident.id, Sent.SENT, thread=f"{sent.target}:1")
                self._do(step(self.world, Delivered(at, delivery)), at)


def replay(
    lines: Iterable[str | bytes],
    ruleset: RuleSet,
    *,
    cluster: str = "default",
    name: str = "recording",
    until: datetime | None = None,
    limits: Limits | None = None,
) -> Document:
    """Return the ReplayReport of a recording. Raises ConfigError when nothing can be read or `until` is too late."""
    recording = read_recording(lines, cluster, name)
    signals = recording.signals
    if not signals:
        raise ConfigError(Problem("no line of this recording can be read", file=name), *recording.problems)
    expected = frozenset(signal.resource for signal in signals if isinstance(signal, Synced | Stale))
    base = limits or Limits(cluster=cluster, targets=TARGETS)
    player = Player(replace(base, cluster=cluster, expected=expected), ruleset)
    last = until or signals[-1].at + AFTERWARDS
    refuse_late(until, signals[-1].at, name)
    for signal in signals:
        if signal.at > last:
            break
        player.play(signal)
    player.run_until(last)
    return _report(player, signals[0].at, last, [str(problem) for problem in recording.problems])


def refuse_late(until: datetime | None, last: datetime, name: str) -> None:
    """Raise ConfigError when the end that was asked for lies too long after a recording's last line."""
    if until is not None and until - last > LONGEST:
        text = f"it ends at {stamp(last)}; ask for a moment at most {LONGEST.days} days after that"
        raise ConfigError(Problem(text, file=name))


def _report(player: Player, begun: datetime, until: datetime, problems: list[str]) -> Document:
    cases = sorted(player.world.cases.values(), key=lambda case: (case.incident.opened_at, case.incident.id))
    return {
        "apiVersion": API_VERSION,
        "kind": "ReplayReport",
        "from": stamp(begun),
        "until": stamp(until),
        "signals": player.signals,
        "incidents": [incident_document(case.incident) for case in cases],
        "notifications": player.told.notifications,
        "actions": player.told.actions,
        "problems": problems,
    }
