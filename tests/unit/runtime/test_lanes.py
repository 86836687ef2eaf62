"""One queue a target and one an object: newest state wins, a lost outcome is asked for, a fault stays where it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.model.effects import Inspect, RunAction, Send
from daemon.model.errors import LedgerError
from daemon.model.incidents import Incident
from daemon.model.notices import Delivery, Notification, Reason, Sent
from daemon.model.refs import EffectId, IncidentId, ObjectRef, Target
from daemon.model.remedies import ActionRequest, ActionResult, Outcome
from daemon.model.signals import ActionFinished, Arrival, Delivered
from daemon.runtime.clock import LoopClock
from daemon.runtime.lanes import ATTEMPT_LIMIT, FAILED_AGAIN, Lanes
from daemon.runtime.supervise import Tasks
from tests.builders import T0, Cluster, Story, failing, ref

pytestmark = pytest.mark.looptime
SLACK = Target("slack")


class Inbox:
    """Keeps what is put."""

    def __init__(self) -> None:
        self.got: list[Arrival] = []

    def put(self, signal: Arrival) -> None:
        self.got.append(signal)

    def deliveries(self) -> list[tuple[str, Sent]]:
        return [(each.delivery.key, each.delivery.outcome) for each in self.got if isinstance(each, Delivered)]

    def results(self) -> list[ActionResult]:
        return [each.result for each in self.got if isinstance(each, ActionFinished)]


class Marks:
    """A ledger that remembers attempts; told to, it cannot."""

    def __init__(self) -> None:
        self.sending: set[str] = set()
        self.executing: list[str] = []
        self.broken = False

    async def mark_sending(self, key: EffectId) -> bool:
        if self.broken:
            raise LedgerError("disk full")
        known = key in self.sending
        self.sending.add(key)
        return known

    async def mark_executing(self, request: EffectId) -> None:
        if self.broken:
            raise LedgerError("disk full")
        self.executing.append(request)


class Channel:
    """A target: answers as it is told, remembers what was sent."""

    def __init__(self, *outcomes: Sent, after: float | None = None) -> None:
        self.outcomes = list(outcomes)
        self.after = after
        self.sent: list[tuple[Notification, str]] = []
        self.found: Delivery | None = None
        self.asked = 0
        self.slow = 0.0

    async def send(self, notification: Notification, thread: str) -> Delivery:
        await asyncio.sleep(self.slow)
        self.sent.append((notification, thread))
        outcome = self.outcomes.pop(0) if self.outcomes else Sent.SENT
        where = "C:1" if outcome is Sent.SENT else ""
        return Delivery(
            notification.key, notification.target, notification.incident.id, outcome, "why", where, self.after
        )

    async def find(self, notification: Notification) -> Delivery | None:
        self.asked += 1
        await asyncio.sleep(self.slow)
        return self.found


class Hand:
    """An action: answers as it is told."""

    def __init__(self, result: ActionResult, looked: ActionResult | None = None, takes: float = 1.0) -> None:
        self.result, self.looked, self.takes = result, looked, takes
        self.runs = self.looks = 0
        self.fault: Exception | None = None

    async def run(self, request: ActionRequest) -> ActionResult:
        self.runs += 1
        await asyncio.sleep(self.takes)
        if self.fault is not None:
            raise self.fault
        return self.result

    async def look(self, request: ActionRequest) -> ActionResult:
        self.looks += 1
        assert self.looked is not None
        return self.looked


def incident(name: str = "a") -> Incident:
    return Story().see(Cluster().state("Kustomization", name, failing())).wait(6).case.incident


def send(key: str, reason: Reason = Reason.OPENED, told: Incident | None = None, target: Target = SLACK) -> Send:
    return Send(Notification(EffectId(key), target, reason, told or incident(), T0, ()))


def request(name: str = "r1", action: str = "reconcile", where: ObjectRef | None = None) -> ActionRequest:
    return ActionRequest(
        EffectId(name), IncidentId("i"), "p", 0, 1, action, where or ref("Kustomization", "a"),
        deadline=T0 + timedelta(seconds=60),
    )  # fmt: skip


class Bench:
    """Lanes with everything around them."""

    def __init__(self, lanes: Lanes, inbox: Inbox, marks: Marks, faults: list[str]) -> None:
        self.lanes, self.inbox, self.marks, self.faults = lanes, inbox, marks, faults


@asynccontextmanager
async def lanes(
    channel: Channel | None = None,
    hand: Hand | None = None,
    pace: float = 0.0,
    inspector: Callable[[Inspect], object] | None = None,
) -> AsyncIterator[Bench]:
    clock, inbox, marks = LoopClock(T0), Inbox(), Marks()
    faults: list[str] = []
    async with Tasks("sinks", clock, lambda name, error: faults.append(f"{name}: {error}")) as tasks:
        made = Lanes(
            tasks,
            inbox,
            marks,
            clock,
            notifiers={SLACK: (channel or Channel(), pace)},
            actions={"reconcile": hand} if hand else {},
            inspector=inspector,  # type: ignore[arg-type]
        )
        yield Bench(made, inbox, marks, faults)


async def test_a_notification_is_sent_and_its_outcome_told():
    channel = Channel()
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1"))
        assert bench.lanes.waiting() == 1
        await asyncio.sleep(1)
        assert bench.inbox.deliveries() == [("k1", Sent.SENT)]
        assert bench.lanes.targets[SLACK].sent == 1


async def test_the_next_message_of_an_incident_goes_where_the_first_stands():
    channel, told = Channel(), incident()
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1", told=told))
        await asyncio.sleep(1)
        bench.lanes.send(send("k2", Reason.RESOLVED, told))
        await asyncio.sleep(1)
        bench.lanes.send(send("k3", told=replace(incident("b"), threads={SLACK: "C:9"})))
        await asyncio.sleep(1)
    assert [thread for _, thread in channel.sent] == ["", "C:1", "C:9"]


async def test_while_a_target_is_away_the_newest_state_waits_under_the_strongest_reason():
    channel, told = Channel(Sent.RETRY, after=30.0), incident()
    channel.after = 30.0
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1", Reason.OPENED, told))
        await asyncio.sleep(1)
        newer = replace(told, cause="newer")
        bench.lanes.send(send("k2", Reason.JOINED, replace(told, cause="older")))
        bench.lanes.send(send("k3", Reason.ACKNOWLEDGED, newer))
        assert bench.lanes.faults() == ("target slack: why",)
        await asyncio.sleep(60)
        sent, _ = channel.sent[-1]
        assert (sent.key, sent.reason, sent.incident.cause) == ("k1", Reason.OPENED, "newer")
        assert sorted(bench.inbox.deliveries()) == [("k1", Sent.SENT), ("k2", Sent.SENT), ("k3", Sent.SENT)]
        assert bench.lanes.faults() == ()


async def test_f073_as_long_as_the_target_asks_nothing_is_tried_again():
    channel = Channel(Sent.RETRY, after=120.0)
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1"))
        await asyncio.sleep(119)
        assert len(channel.sent) == 1
        channel.after = None
        await asyncio.sleep(60)
        assert len(channel.sent) == 2


async def test_f075_a_target_that_refuses_is_told_and_not_hammered():
    channel = Channel(Sent.FAILED, after=FAILED_AGAIN)
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1"))
        await asyncio.sleep(1)
        assert bench.inbox.deliveries() == [("k1", Sent.FAILED)]
        bench.lanes.send(send("k2", Reason.RESOLVED))
        await asyncio.sleep(FAILED_AGAIN - 10)
        assert len(channel.sent) == 1
        channel.after = None
        await asyncio.sleep(20)
        assert len(channel.sent) == 2
        assert bench.lanes.targets[SLACK].failed == 1


async def test_f074_after_an_attempt_without_an_answer_the_target_is_asked_before_anything_is_repeated():
    channel = Channel(Sent.UNKNOWN)
    channel.found = Delivery(EffectId("k1"), SLACK, "i", Sent.SENT, "found", "C:7", duplicate=True)
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1"))
        await asyncio.sleep(60)
        assert len(channel.sent) == 1
        assert channel.asked == 1
        assert bench.inbox.deliveries() == [("k1", Sent.SENT)]


async def test_f074_what_came_while_the_outcome_was_unknown_is_shown_though_the_first_was_found():
    told, channel = incident(), Channel(Sent.UNKNOWN)
    channel.found = Delivery(EffectId("k1"), SLACK, told.id, Sent.SENT, "found", "C:7", duplicate=True)
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1", Reason.OPENED, told))
        await asyncio.sleep(0.1)
        over = replace(told, cause="it is over", version=told.version + 1)
        bench.lanes.send(send("k2", Reason.RESOLVED, over))
        await asyncio.sleep(60)
        (_, first), (last, thread) = [(note.key, where) for note, where in channel.sent]
        assert (first, last, thread) == ("", "k2", "C:7")
        assert channel.sent[-1][0].incident.cause == "it is over"
        assert bench.inbox.deliveries() == [("k1", Sent.SENT), ("k2", Sent.SENT)]


async def test_f055_what_gave_way_is_settled_only_with_what_speaks_for_it():
    told, channel = incident(), Channel(Sent.RETRY, Sent.RETRY, after=30.0)
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1", Reason.OPENED, told))
        await asyncio.sleep(1)
        bench.lanes.send(send("k2", Reason.RESOLVED, told))
        await asyncio.sleep(15)
        assert bench.inbox.deliveries() == []
        await asyncio.sleep(100)
        assert bench.inbox.deliveries() == [("k1", Sent.SENT), ("k2", Sent.SENT)]


async def test_what_gave_way_to_something_that_gives_way_itself_is_settled_too():
    told, channel = incident(), Channel(Sent.RETRY, after=30.0)
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1", Reason.JOINED, told))
        await asyncio.sleep(1)
        for number, reason in ((2, Reason.ACKNOWLEDGED), (3, Reason.JOINED), (4, Reason.RESOLVED)):
            bench.lanes.send(send(f"k{number}", reason, told))
        await asyncio.sleep(100)
        assert [note.key for note, _ in channel.sent] == ["k1", "k4"]
        assert sorted(bench.inbox.deliveries()) == [(f"k{number}", Sent.SENT) for number in (1, 2, 3, 4)]


async def test_f057_a_message_in_flight_counts_as_work_that_a_stop_waits_for():
    channel = Channel()
    channel.slow = 5.0
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1"))
        await asyncio.sleep(1)
        assert bench.lanes.waiting() == 1
        await asyncio.sleep(5)
        assert bench.lanes.waiting() == 0


async def test_what_the_target_does_not_have_is_sent_again():
    channel = Channel(Sent.UNKNOWN)
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1"))
        await asyncio.sleep(60)
        assert (len(channel.sent), channel.asked) == (2, 1)
        assert bench.inbox.deliveries() == [("k1", Sent.SENT)]


async def test_a_target_that_never_answers_is_given_up_for_now():
    channel = Channel()
    channel.slow = 1000.0
    async with lanes(channel) as bench:
        bench.lanes.send(send("k1"))
        await asyncio.sleep(ATTEMPT_LIMIT + 1)
        assert "no answer within 20 s" in bench.lanes.faults()[0]
        await asyncio.sleep(ATTEMPT_LIMIT + 5)
        assert "cannot be asked what it has" in bench.lanes.faults()[0]


async def test_messages_of_a_target_keep_their_distance():
    channel = Channel()
    async with lanes(channel, pace=5.0) as bench:
        for number in range(3):
            bench.lanes.send(send(f"k{number}", told=incident(f"a{number}")))
        await asyncio.sleep(4)
        assert len(channel.sent) == 1
        await asyncio.sleep(7)
        assert len(channel.sent) == 3
        assert bench.lanes.waiting() == 0


async def test_a_target_that_nobody_configured_is_told():
    async with lanes() as bench:
        bench.lanes.send(send("k1", target=Target("pager")))
        assert bench.inbox.deliveries() == [("k1", Sent.FAILED)]


async def test_people_are_told_though_the_ledger_cannot_be_written():
    async with lanes() as bench:
        bench.marks.broken = True
        bench.lanes.send(send("k1"))
        await asyncio.sleep(1)
        assert bench.inbox.deliveries() == [("k1", Sent.SENT)]


async def test_an_action_runs_after_its_mark_and_its_result_is_told():
    hand = Hand(ActionResult(Outcome.CHANGED, "done"))
    async with lanes(hand=hand) as bench:
        bench.lanes.act(RunAction(request()))
        await asyncio.sleep(2)
        assert bench.marks.executing == ["r1"]
        assert bench.inbox.results() == [ActionResult(Outcome.CHANGED, "done")]
        assert bench.lanes.acted == 1


async def test_f059_without_a_record_nothing_is_done():
    hand = Hand(ActionResult(Outcome.CHANGED, "done"))
    async with lanes(hand=hand) as bench:
        bench.marks.broken = True
        bench.lanes.act(RunAction(request()))
        await asyncio.sleep(2)
        assert hand.runs == 0
        assert bench.inbox.results()[0].outcome is Outcome.REFUSED


async def test_an_action_that_nobody_knows_is_refused():
    async with lanes() as bench:
        bench.lanes.act(RunAction(request(action="dance")))
        await asyncio.sleep(1)
        assert bench.inbox.results()[0].detail == "no action is called dance"


async def test_actions_on_one_object_wait_for_each_other_and_others_do_not():
    hand = Hand(ActionResult(Outcome.CHANGED, "done"), takes=10.0)
    async with lanes(hand=hand) as bench:
        bench.lanes.act(RunAction(request("r1")))
        bench.lanes.act(RunAction(request("r2")))
        bench.lanes.act(RunAction(request("r3", where=ref("Kustomization", "b"))))
        await asyncio.sleep(11)
        assert sorted(bench.marks.executing) == ["r1", "r2", "r3"]
        assert len(bench.inbox.results()) == 2
        await asyncio.sleep(10)
        assert len(bench.inbox.results()) == 3


async def test_a_look_after_a_crash_runs_nothing():
    hand = Hand(ActionResult(Outcome.CHANGED, "x"), ActionResult(Outcome.UNCHANGED, "was not executed"))
    async with lanes(hand=hand) as bench:
        bench.lanes.act(RunAction(request(), look=True))
        await asyncio.sleep(1)
        assert (hand.runs, hand.looks) == (0, 1)
        assert bench.inbox.results()[0].detail == "was not executed"


async def test_an_outcome_that_was_lost_is_looked_up():
    hand = Hand(ActionResult(Outcome.UNKNOWN, "no answer"), ActionResult(Outcome.CHANGED, "it is there"))
    async with lanes(hand=hand) as bench:
        bench.lanes.act(RunAction(request()))
        await asyncio.sleep(2)
        assert bench.inbox.results()[0] == ActionResult(Outcome.CHANGED, "no answer; looked: it is there")


async def test_a_fault_in_an_actions_own_code_leaves_the_outcome_to_be_looked_up():
    hand = Hand(ActionResult(Outcome.CHANGED, "x"), ActionResult(Outcome.UNCHANGED, "nothing happened"))
    hand.fault = ZeroDivisionError("secret")
    async with lanes(hand=hand) as bench:
        bench.lanes.act(RunAction(request()))
        await asyncio.sleep(2)
        assert bench.inbox.results()[0].detail == "reconcile broke off: ZeroDivisionError; looked: nothing happened"


async def test_an_action_that_does_not_end_is_given_up_and_looked_at():
    hand = Hand(ActionResult(Outcome.CHANGED, "x"), ActionResult(Outcome.UNKNOWN, "cannot tell"), takes=10_000)
    async with lanes(hand=hand) as bench:
        bench.lanes.act(RunAction(replace(request(), deadline=None)))
        await asyncio.sleep(120)
        assert "reconcile did not end in time" in bench.inbox.results()[0].detail


async def test_pods_of_one_workload_are_read_once_at_a_time():
    asked: list[Inspect] = []

    async def inspector(effect: Inspect) -> None:
        asked.append(effect)
        await asyncio.sleep(10)

    effect = Inspect(ref("Deployment", "web"), ())
    async with lanes(inspector=inspector) as bench:
        for _ in range(3):
            bench.lanes.inspect(effect)
        await asyncio.sleep(11)
        bench.lanes.inspect(effect)
        await asyncio.sleep(1)
        assert len(asked) == 2


async def test_a_fault_while_reading_pods_ends_nothing_else():
    async def inspector(effect: Inspect) -> None:
        raise ValueError("odd")

    effect = Inspect(ref("Deployment", "web"), ())
    async with lanes(inspector=inspector) as bench:
        bench.lanes.inspect(effect)
        await asyncio.sleep(1)
        assert "odd" in bench.faults[0]
        bench.lanes.inspect(effect)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 1)
        assert len(bench.faults) == 2


async def test_without_an_inspector_nothing_is_read():
    async with lanes() as bench:
        bench.lanes.inspect(Inspect(ref("Deployment", "web"), ()))
        assert bench.faults == []
