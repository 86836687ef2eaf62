"""The one task that owns the World: inbox, step, ledger, lanes, in that order.

Every row of a turn is durable before any effect of it leaves. If the ledger cannot be written, people are still told
(alerts fail open) and nothing is touched (writes fail closed). The pump sets the heartbeat that liveness reads.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from daemon.model.effects import Commit, Effect, Inspect, Row, RunAction, Send
from daemon.model.errors import LedgerError
from daemon.model.ports import Clock, Ledger
from daemon.model.remedies import ActionResult, Outcome
from daemon.model.signals import ActionFinished, Signal, Tick
from daemon.runtime.inbox import KeyedInbox

TURN = 500
"""Signals of one turn at most: one group commit for all of them, and a few milliseconds until others may run."""
HEARTBEAT = 5.0
"""Seconds the pump sleeps at most, so that its heartbeat shows it alive when nothing happens."""


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


class Pump:
    """Inbox → step → ledger → lanes."""

    def __init__(self, brain: Brain, inbox: KeyedInbox, ledger: Ledger, sink: Sink, clock: Clock) -> None:
        """Put the parts together."""
        self._brain = brain
        self._inbox = inbox
        self._ledger = ledger
        self._sink = sink
        self._clock = clock
        self._unsaved: list[Row] = []
        self.heartbeat = clock.monotonic()
        self.steps = 0
        self.ledger_fault = ""
        self.on_turn: Callable[[], None] | None = None

    async def run(self) -> None:
        """Turn for ever."""
        while True:
            await self._wait()
            await self.turn()
            await asyncio.sleep(0)

    async def turn(self) -> None:
        """Take what waits, decide, make it durable, let it leave."""
        self.heartbeat = self._clock.monotonic()
        effects: list[Effect] = []
        due = self._brain.next_deadline()
        if due is not None and due <= self._clock.now():
            effects += self._step(Tick(self._clock.now()))
        for _ in range(TURN):
            signal = self._inbox.take()
            if signal is None:
                break
            effects += self._step(signal)
        await self.perform(effects)
        if self.on_turn is not None:
            self.on_turn()

    async def perform(self, effects: list[Effect]) -> None:
        """Commit every row, then let the rest leave in its order."""
        self._unsaved += [row for effect in effects if isinstance(effect, Commit) for row in effect.rows]
        durable = await self._commit()
        for effect in effects:
            match effect:
                case Send():
                    self._sink.send(effect)
                case RunAction() if durable:
                    self._sink.act(effect)
                case RunAction(request=request):
                    result = ActionResult(Outcome.REFUSED, f"the ledger cannot be written: {self.ledger_fault}")
                    self._inbox.put(ActionFinished(self._clock.now(), request, result))
                case Inspect():
                    self._sink.inspect(effect)
                case Commit():
                    pass

    async def _commit(self) -> bool:
        if not self._unsaved:
            return not self.ledger_fault
        try:
            await self._ledger.commit(self._unsaved)
        except LedgerError as error:
            self.ledger_fault = str(error)
            return False
        self._unsaved = []
        self.ledger_fault = ""
        return True

    def _step(self, signal: Signal) -> tuple[Effect, ...]:
        self.steps += 1
        return self._brain.step(signal)

    async def _wait(self) -> None:
        """Wait for a signal, the next deadline, or the heartbeat, whichever comes first."""
        if len(self._inbox):
            return
        due = self._brain.next_deadline()
        pause = HEARTBEAT
        if due is not None:
            pause = min(pause, max(0.0, (due - self._clock.now()).total_seconds()))
        await self._clock.within(pause, self._inbox.wait())
