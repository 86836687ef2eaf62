"""The pump: row before effect, whatever the ledger does; never asleep, never greedy."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

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
from daemon.model.findings import Severity
from daemon.model.incidents import Entry, Incident, State
from daemon.model.notices import Delivery, Notification, Reason, Sent, Silence
from daemon.model.refs import EffectId, IncidentId, ObjectRef, Target
from daemon.model.remedies import ActionRequest, ActionResult, Outcome
from daemon.model.signals import ActionFinished, CronFired, Restored, Signal, Tick
from daemon.runtime.clock import LoopClock
from daemon.runtime.inbox import KeyedInbox
from daemon.runtime.pump import HEARTBEAT, TURN, Pump, Timing, fold

AT = datetime(2026, 3, 1, tzinfo=UTC)
REF = ObjectRef("default", "apps", "Deployment", "apps", "web")
ENTRY = Entry(AT, AT, "opened", "rule:failed", "it broke")
INCIDENT = Incident(IncidentId("i1"), REF, "it broke", Severity.CRITICAL, State.OPEN, AT, AT, timeline=(ENTRY,))
TOLD = Notification(EffectId("n1"), Target("oncall"), Reason.OPENED, INCIDENT, AT)
REQUEST = ActionRequest(EffectId("a1"), IncidentId("i1"), "p", 0, 1, "reconcile", REF)
SILENCE = Silence("s", (("name", "web"),), AT, "quiet", "ann")


class Script:
    """A brain that answers each signal with what it is told to."""

    def __init__(self, *answers: tuple[Effect, ...], deadline: datetime | None = None) -> None:
        self.answers = list(answers)
        self.seen: list[Signal] = []
        self.deadline = deadline

    def step(self, signal: Signal) -> tuple[Effect, ...]:
        self.seen.append(signal)
        if isinstance(signal, Tick):
            self.deadline = None
        return self.answers.pop(0) if self.answers else ()

    def next_deadline(self) -> datetime | None:
        return self.deadline


class Book:
    """A ledger and a sink in one: the order in which both were used is what matters."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.broken = ""
        self.tries = 0

    async def commit(self, rows: Sequence[Row]) -> None:
        self.tries += 1
        if self.broken:
            raise LedgerError(self.broken)
        self.log.append(tuple(rows))

    async def restore(self, now: datetime) -> Restored:
        return Restored(now)

    def send(self, effect: Send) -> None:
        self.log.append(effect)

    def act(self, effect: RunAction) -> None:
        self.log.append(effect)

    def inspect(self, effect: Inspect) -> None:
        self.log.append(effect)


def made(brain: Script, *, leads: Callable[[], bool] = lambda: True, volatile="") -> tuple[Pump, KeyedInbox, Book]:
    inbox, book = KeyedInbox(), Book()
    return Pump(brain, inbox, book, book, LoopClock(AT), leads=leads, volatile=volatile), inbox, book


@pytest.mark.looptime
async def test_rows_of_all_steps_of_a_turn_are_one_commit_before_any_effect():
    inspect = Inspect(REF, ())
    brain = Script(
        (Commit((SaveOutbox(TOLD),)), Send(TOLD)), (inspect,), (Commit((SaveIntent(REQUEST),)), RunAction(REQUEST))
    )
    pump, inbox, book = made(brain)
    for name in "abc":
        inbox.put(CronFired(AT, name))
    await pump.turn()
    assert book.log == [(SaveOutbox(TOLD), SaveIntent(REQUEST)), Send(TOLD), inspect, RunAction(REQUEST)]
    assert sum(pump.step_seconds.counts) == 3
    assert sum(pump.commit_seconds.counts) == 1


@pytest.mark.looptime
async def test_a_turn_without_rows_does_not_touch_the_ledger():
    pump, inbox, book = made(Script())
    inbox.put(CronFired(AT, "a"))
    await pump.turn()
    assert book.tries == 0


@pytest.mark.looptime
async def test_f059_alerts_fail_open_and_say_so():
    pump, inbox, book = made(Script((Commit((SaveOutbox(TOLD),)), Send(TOLD))))
    book.broken = "database or disk is full"
    inbox.put(CronFired(AT, "a"))
    await pump.turn()
    [sent] = [each for each in book.log if isinstance(each, Send)]
    assert sent.notification.key == TOLD.key
    assert sent.notification.news[-1].text.endswith("after a restart: database or disk is full")
    assert pump.ledger_fault == "database or disk is full"


@pytest.mark.looptime
async def test_f059_writes_fail_closed_and_the_brain_learns_it():
    brain = Script((Commit((SaveIntent(REQUEST),)), RunAction(REQUEST)))
    pump, inbox, book = made(brain)
    book.broken = "database or disk is full"
    inbox.put(CronFired(AT, "a"))
    await pump.turn()
    assert not [each for each in book.log if isinstance(each, RunAction)]
    await pump.turn()
    result = ActionResult(Outcome.REFUSED, "nothing is done without a record of it: database or disk is full")
    assert brain.seen[-1] == ActionFinished(AT, REQUEST, result)


@pytest.mark.looptime
async def test_asking_what_became_of_an_action_needs_no_ledger():
    pump, inbox, book = made(Script((Commit((SaveIntent(REQUEST),)), RunAction(REQUEST, look=True))))
    book.broken = "database or disk is full"
    inbox.put(CronFired(AT, "a"))
    await pump.turn()
    assert book.log == [RunAction(REQUEST, look=True)]


@pytest.mark.looptime
async def test_f072_with_a_ledger_in_memory_nothing_is_touched():
    brain = Script((Commit((SaveIntent(REQUEST),)), RunAction(REQUEST)))
    pump, inbox, book = made(brain, volatile="the ledger is in memory")
    inbox.put(CronFired(AT, "a"))
    await pump.turn()
    await pump.turn()
    assert book.log == [(SaveIntent(REQUEST),)]
    assert brain.seen[-1] == ActionFinished(
        AT, REQUEST, ActionResult(Outcome.REFUSED, "nothing is done without a record of it: the ledger is in memory")
    )


@pytest.mark.looptime
async def test_f059_rows_wait_and_are_written_when_the_ledger_is_back():
    first, second = SaveIncident(INCIDENT, (ENTRY,)), SaveIncident(replace(INCIDENT, version=2), (ENTRY,))
    pump, inbox, book = made(Script((Commit((first,)),), (Commit((second,)),)))
    book.broken = "locked"
    runner = asyncio.gather(pump.run())
    inbox.put(CronFired(AT, "a"))
    await asyncio.sleep(1)
    inbox.put(CronFired(AT, "b"))
    await asyncio.sleep(20)
    assert pump.unsaved() == 1
    assert book.tries <= 22
    book.broken = ""
    await asyncio.sleep(2)
    runner.cancel()
    assert book.log == [(SaveIncident(replace(INCIDENT, version=2), (ENTRY, ENTRY)),)]
    assert (pump.unsaved(), pump.ledger_fault) == (0, "")


@pytest.mark.looptime
async def test_a_busy_pump_does_not_hammer_a_broken_ledger():
    pump, inbox, book = made(Script(*[(Commit((SavePause(True),)),)] * 100))
    book.broken = "locked"
    for number in range(100):
        inbox.put(CronFired(AT, str(number)))
        await pump.turn()
    assert book.tries == 1


@pytest.mark.looptime
async def test_a_standby_decides_and_lets_nothing_leave():
    brain = Script((Commit((SaveOutbox(TOLD),)), Send(TOLD)))
    pump, inbox, book = made(brain, leads=lambda: False)
    inbox.put(CronFired(AT, "a"))
    await pump.turn()
    assert brain.seen == [CronFired(AT, "a")]
    assert (book.log, pump.unsaved()) == ([], 0)


@pytest.mark.looptime
async def test_a_tick_comes_when_a_deadline_passes(looptime):
    brain = Script(deadline=AT + timedelta(seconds=42))
    pump, _, _ = made(brain)
    runner = asyncio.gather(pump.run())
    await asyncio.sleep(41)
    assert brain.seen == []
    await asyncio.sleep(1.5)
    runner.cancel()
    assert brain.seen == [Tick(AT + timedelta(seconds=42))]


@pytest.mark.looptime
async def test_a_deadline_long_past_is_a_tick_at_once():
    brain = Script(deadline=AT - timedelta(days=1))
    pump, _, _ = made(brain)
    runner = asyncio.gather(pump.run())
    await asyncio.sleep(0.01)
    runner.cancel()
    assert brain.seen == [Tick(AT)]


@pytest.mark.looptime
async def test_the_heart_beats_when_nothing_happens():
    pump, _, _ = made(Script())
    clock = LoopClock(AT)
    clock.monotonic()
    runner = asyncio.gather(pump.run())
    await asyncio.sleep(3600)
    runner.cancel()
    assert clock.monotonic() - pump.heartbeat <= HEARTBEAT


@pytest.mark.looptime
async def test_a_signal_is_taken_when_it_comes_and_not_at_the_next_heartbeat(looptime):
    brain = Script()
    pump, inbox, _ = made(brain)
    turns: list[float] = []
    pump.on_turn = lambda: turns.append(float(looptime))
    runner = asyncio.gather(pump.run())
    await asyncio.sleep(1)
    inbox.put(CronFired(AT, "a"))
    await asyncio.sleep(1)
    runner.cancel()
    assert turns == [1]


@pytest.mark.looptime
async def test_a_pump_that_never_finds_the_inbox_empty_lets_others_run():
    pump, inbox, _ = made(Script())
    turns = 0

    def again() -> None:
        nonlocal turns
        turns += 1
        for number in range(TURN + 1):
            inbox.put(CronFired(AT, str(number)))

    pump.on_turn = again
    again()
    runner = asyncio.gather(pump.run())
    for _ in range(20):
        await asyncio.sleep(0)
    runner.cancel()
    assert 2 < turns <= 21


class Slow(LoopClock):
    """A clock by which every look at it takes 3 ms, as a step over many rules does."""

    spent = 0.0

    def monotonic(self) -> float:
        self.spent += 0.003
        return self.spent


@pytest.mark.looptime
async def test_a_turn_ends_after_its_slice_though_signals_wait():
    brain, inbox, book = Script(), KeyedInbox(), Book()
    pump = Pump(brain, inbox, book, book, Slow(AT))
    for name in "abcdef":
        inbox.put(CronFired(AT, name))
    await pump.turn()
    assert len(brain.seen) == 1
    while len(inbox):
        await pump.turn()
    assert [signal.name for signal in brain.seen if isinstance(signal, CronFired)] == list("abcdef")


@pytest.mark.looptime
async def test_a_job_runs_in_the_pumps_own_turn_and_its_effects_keep_the_order():
    pump, _, book = made(Script())
    runner = asyncio.gather(pump.run())
    await asyncio.sleep(1)
    pump.call(lambda: (Commit((SaveOutbox(TOLD),)), Send(TOLD)))
    await asyncio.sleep(0.1)
    runner.cancel()
    assert book.log == [(SaveOutbox(TOLD),), Send(TOLD)]


def test_durations_are_counted_by_their_bounds():
    timing = Timing()
    for seconds in (0.00001, 0.004, 60.0):
        timing.add(seconds)
    assert timing.counts == [1, 0, 1, 0, 0, 0, 1]
    assert timing.total == pytest.approx(60.00401)


def test_rows_that_wait_are_folded_but_never_lost():
    unsaved: dict[object, Row] = {}
    rows: list[Row] = [
        SaveIntent(REQUEST),
        SaveResult(REQUEST.id, ActionResult(Outcome.CHANGED, "done")),
        SaveSilence(SILENCE),
        SavePause(True),
        ForgetBefore(AT),
        SaveDelivery(Delivery(EffectId("durable"), Target("oncall"), "i1", Sent.SENT)),
        SaveOutbox(TOLD),
    ]
    for row in [*rows, *rows]:
        fold(unsaved, row)
    assert list(unsaved.values()) == rows


def test_what_was_told_before_it_could_be_noted_needs_no_row():
    unsaved: dict[object, Row] = {}
    fold(unsaved, SaveOutbox(TOLD))
    fold(unsaved, SaveDelivery(Delivery(TOLD.key, TOLD.target, "i1", Sent.SENT)))
    assert unsaved == {}
