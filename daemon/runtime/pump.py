"""The one task that owns the World: inbox, step, ledger, lanes, in that order.

Every row of a turn is durable before any effect of it leaves. If the ledger cannot be written, people are still told,
with a note (alerts fail open), and nothing is touched (writes fail closed); the rows wait, folded so that they stay
few. The pump sets the heartbeat that liveness reads.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, assert_never

import structlog

from daemon.model.effects import (
    Commit,
    Effect,
    ForgetBefore,
    Inspect,
    Row,
    RunAction,
    SaveDelivery,
    SaveIncident,
    SaveIntent,
    SaveOutbox,
    SavePause,
    SaveResult,
    SaveSilence,
    Send,
)
from daemon.model.errors import LedgerError
from daemon.model.incidents import Entry
from daemon.model.ports import Clock, Ledger
from daemon.model.remedies import ActionResult, Outcome
from daemon.model.signals import ActionFinished, Signal, Tick
from daemon.runtime.inbox import KeyedInbox

SLICE = 0.005
"""Seconds of work in one turn: a pump that never finds the inbox empty would give others no turn at all."""
TURN = 2000
"""Signals of one turn at most, however fast the clock runs: what one transaction makes durable."""
HEARTBEAT = 5.0
"""Seconds the pump sleeps at most, so that its heartbeat shows it alive when nothing happens."""
LEDGER_AGAIN = 1.0
"""Seconds between two tries at a ledger that cannot be written: a lock or a full disk is often soon over."""
BOUNDS = (0.00005, 0.0005, 0.005, 0.05, 0.5, 5.0)
"""Seconds: a quiet step takes under 50 µs, one with a hundred rules under 5 ms, a commit 1-10 ms (performance.md)."""

log = structlog.get_logger(__name__)


class Brain(Protocol):
    """The core as the pump sees it."""

    def step(self, signal: Signal) -> tuple[Effect, ...]:
        """Take one signal in; return what must be done."""
        ...

    def next_deadline(self) -> datetime | None:
        """Return when a Tick is due."""
        ...


class Sink(Protocol):
    """Where effects go once they may leave."""

    def send(self, effect: Send) -> None:
        """Put a notification into its lane."""
        ...

    def act(self, effect: RunAction) -> None:
        """Put an action into its lane."""
        ...

    def inspect(self, effect: Inspect) -> None:
        """Read something."""
        ...


@dataclass(slots=True)
class Timing:
    """How long something took, counted by bounds (seconds), as a Prometheus histogram needs it."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Pump:
    """Inbox → step → ledger → lanes."""

    def __init__(
        self,
        brain: Brain,
        inbox: KeyedInbox,
        ledger: Ledger,
        sink: Sink,
        clock: Clock,
        *,
        leads: Callable[[], bool] = lambda: True,
        volatile: str = "",
    ) -> None:
        """Put the parts together.

        `leads` says whether effects may leave: a standby decides and discards. `volatile` is why the ledger does not
        survive a restart, empty when it does: without a durable record nothing is touched.
        """
        self._brain = brain
        self._inbox = inbox
        self._ledger = ledger
        self._sink = sink
        self._clock = clock
        self._leads = leads
        self._volatile = volatile
        self._unsaved: dict[object, Row] = {}
        self._again = 0.0
        self._jobs: list[Callable[[], tuple[Effect, ...]]] = []
        self.heartbeat = clock.monotonic()
        self.step_seconds = Timing()
        self.commit_seconds = Timing()
        self.ledger_fault = ""
        self.on_turn: Callable[[], None] | None = None

    async def run(self) -> None:
        """Turn for ever."""
        while True:
            await self._wait()
            await self.turn()
            await asyncio.sleep(0)

    def call(self, job: Callable[[], tuple[Effect, ...]]) -> None:
        """Have the owner of the World run a job of another kind than a step (new rules) in its next turn."""
        self._jobs.append(job)
        self._inbox.ring()

    def unsaved(self) -> int:
        """Return how many rows wait for the ledger."""
        return len(self._unsaved)

    async def turn(self) -> None:
        """Take what waits, decide, make it durable, let it leave."""
        begun = self.heartbeat = self._clock.monotonic()
        effects: list[Effect] = []
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            effects += job()
        due = self._brain.next_deadline()
        if due is not None and due <= self._clock.now():
            effects += self._brain.step(Tick(self._clock.now()))
        for _ in range(TURN):
            signal = self._inbox.take()
            if signal is None:
                break
            before = self._clock.monotonic()
            effects += self._brain.step(signal)
            after = self._clock.monotonic()
            self.step_seconds.add(after - before)
            if after - begun > SLICE:
                break
        await self.perform(effects)
        if self.on_turn is not None:
            self.on_turn()

    async def perform(self, effects: list[Effect]) -> None:
        """Commit every row, then let the rest leave in its order; a standby lets nothing leave."""
        if not self._leads():
            self._unsaved.clear()
            return
        for effect in effects:
            if isinstance(effect, Commit):
                for row in effect.rows:
                    fold(self._unsaved, row)
        durable = await self._commit()
        for effect in effects:
            match effect:
                case Send():
                    self._sink.send(effect if durable else self._flagged(effect))
                case RunAction(look=True):
                    self._sink.act(effect)
                case RunAction(request=request):
                    refusal = self._volatile or ("" if durable else self.ledger_fault)
                    if not refusal:
                        self._sink.act(effect)
                        continue
                    result = ActionResult(Outcome.REFUSED, f"nothing is done without a record of it: {refusal}")
                    self._inbox.put(ActionFinished(self._clock.now(), request, result))
                case Inspect():
                    self._sink.inspect(effect)
                case Commit():
                    pass

    async def _commit(self) -> bool:
        if not self._unsaved:
            return not self.ledger_fault
        before = self._clock.monotonic()
        if self.ledger_fault and before < self._again:
            return False
        try:
            await self._ledger.commit(tuple(self._unsaved.values()))
        except LedgerError as error:
            if not self.ledger_fault:
                log.error("ledger cannot be written; alerts go on, actions are refused", error=str(error))  # noqa: TRY400 - a known state of the world, not a bug: no traceback
            self.ledger_fault = str(error)
            self._again = self._clock.monotonic() + LEDGER_AGAIN
            return False
        if self.ledger_fault:
            log.warning("ledger can be written again", rows=len(self._unsaved))
        self._unsaved.clear()
        self.ledger_fault = ""
        self.commit_seconds.add(self._clock.monotonic() - before)
        return True

    def _flagged(self, effect: Send) -> Send:
        now = self._clock.now()
        text = f"Not recorded, may be told again after a restart: {self.ledger_fault}"
        note = Entry(now, now, "notice", "fluxmedic", text)
        return Send(replace(effect.notification, news=(*effect.notification.news, note)))

    async def _wait(self) -> None:
        """Wait for a signal, the next deadline, or the heartbeat, whichever comes first."""
        if len(self._inbox) or self._jobs:
            return
        due = self._brain.next_deadline()
        pause = LEDGER_AGAIN if self._unsaved else HEARTBEAT
        if due is not None:
            pause = min(pause, (due - self._clock.now()).total_seconds())
        if pause > 0:
            await self._clock.within(pause, self._called())

    async def _called(self) -> None:
        """Wait until a signal or a job is there."""
        while not len(self._inbox) and not self._jobs:
            await self._inbox.rung()


def fold(unsaved: dict[object, Row], row: Row) -> None:
    """Add a row to those that wait: one row an incident, and none for what was told before it could be noted."""
    match row:
        case SaveIncident(incident=saved, news=news):
            before = unsaved.get(("incident", saved.id))
            told = before.news if isinstance(before, SaveIncident) else ()
            unsaved[("incident", saved.id)] = SaveIncident(saved, (*told, *news))
        case SaveOutbox(notification=notification):
            unsaved[("outbox", notification.key)] = row
        case SaveDelivery(delivery=delivery):
            if unsaved.pop(("outbox", delivery.key), None) is None:
                unsaved[("delivery", delivery.key)] = row
        case SaveIntent(request=request):
            unsaved[("intent", request.id)] = row
        case SaveResult(id=intent):
            unsaved[("result", intent)] = row
        case SaveSilence(silence=silence):
            unsaved[("silence", silence.id)] = row
        case SavePause():
            unsaved["pause"] = row
        case ForgetBefore():
            unsaved["forget"] = row
        case _:
            assert_never(row)
