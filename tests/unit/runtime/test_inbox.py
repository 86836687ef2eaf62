"""The inbox: what merges, what never does, and that what is left tells the whole truth."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.model.notices import Delivery, Sent
from daemon.model.objects import ObjectState
from daemon.model.refs import EffectId, IncidentId, ObjectRef, Target
from daemon.model.remedies import ActionRequest, ActionResult, Outcome
from daemon.model.signals import (
    ActionFinished,
    Arrival,
    Command,
    CronFired,
    Delivered,
    EventSeen,
    ObjectChanged,
    ObjectGone,
    ReleaseSeen,
    Signal,
    Stale,
    Synced,
    Tick,
    Unread,
)
from daemon.runtime.inbox import COMMANDS, UNREAD, KeyedInbox

AT = datetime(2026, 3, 1, tzinfo=UTC)
REF = ObjectRef("default", "apps", "Deployment", "apps", "web")


def changed(uid="u1", version="1", *, ref=REF, initial=False) -> ObjectChanged:
    return ObjectChanged(AT, ObjectState(ref, uid=uid, resource_version=version), initial=initial)


def named(number: int) -> ObjectRef:
    return ObjectRef("default", "apps", "Deployment", "apps", f"web-{number}")


def gone(uid="u1", *, ref=REF) -> ObjectGone:
    return ObjectGone(AT, ref, uid)


def event(message: str, *, name="web") -> EventSeen:
    return EventSeen(AT, ObjectRef("default", "apps", "Deployment", "apps", name), "Failed", message)


def unread(uid="u1", version="1", *, ref=REF, log: list[str] | None = None) -> Unread:
    """What was not decoded yet; the log is told when it is."""

    def read() -> ObjectChanged:
        (log if log is not None else []).append(version)
        return changed(uid, version, ref=ref)

    return Unread(AT, ref, uid, read)


def drained(inbox: KeyedInbox) -> list[Signal]:
    found = []
    while (signal := inbox.take()) is not None:
        found.append(signal)
    return found


def after(*signals: Arrival) -> list[Signal]:
    inbox = KeyedInbox()
    for signal in signals:
        inbox.put(signal)
    return drained(inbox)


def test_an_empty_inbox_gives_nothing():
    assert KeyedInbox().take() is None


def test_the_newest_state_stands_where_the_oldest_waited():
    other = ObjectRef("default", "apps", "Deployment", "apps", "db")
    assert after(changed(version="1"), changed(ref=other), changed(version="2")) == [
        changed(version="2"),
        changed(ref=other),
    ]


@pytest.mark.parametrize(
    ("first", "second", "left"), [(True, True, True), (True, False, False), (False, True, False), (False, False, False)]
)
def test_a_fact_of_the_first_list_stays_one_only_if_nothing_but_lists_spoke(first, second, left):
    assert after(changed(initial=first), changed(version="2", initial=second)) == [changed(version="2", initial=left)]


def test_gone_after_a_change_leaves_only_gone():
    assert after(changed(), gone()) == [gone("")]


def test_gone_alone_names_the_incarnation():
    assert after(gone("u1")) == [gone("u1")]


def test_f011_a_recreated_object_is_not_merged_with_the_old_one():
    assert after(gone("u1"), changed("u2")) == [gone("u1"), changed("u2")]
    assert after(changed("u1"), changed("u2")) == [changed("u1"), changed("u2")]


def test_only_the_first_and_the_newest_incarnation_wait():
    signals = [changed("u1"), *(changed(f"u{number}") for number in range(2, 50))]
    assert after(*signals) == [changed("u1"), changed("u49")]


def test_of_unread_states_only_the_last_is_ever_read():
    log: list[str] = []
    assert after(*(unread(version=str(number), log=log) for number in range(9))) == [changed(version="8")]
    assert log == ["8"]


def test_unread_and_read_states_merge_as_if_all_were_read():
    assert after(changed(initial=True), unread(version="2")) == [changed(version="2")]
    assert after(unread(), changed(version="2", initial=True)) == [changed(version="2")]
    assert after(unread(), gone()) == [gone("")]
    assert after(gone("u1"), unread("u2")) == [gone("u1"), changed("u2")]
    assert after(unread("u1"), unread("u2", "2"), unread("u2", "3")) == [changed("u1"), changed("u2", "3")]
    assert after(unread("u2"), gone("u1")) == [gone("u1"), changed("u2")]


def test_no_more_than_so_many_objects_wait_unread():
    log: list[str] = []
    inbox = KeyedInbox()
    for number in range(UNREAD + 2):
        inbox.put(unread(version=str(number), ref=named(number), log=log))
    assert log == [str(UNREAD), str(UNREAD + 1)]
    inbox.put(unread(version="again", ref=named(0), log=log))
    assert len(log) == 2  # it takes the place of one that waits
    drained(inbox)
    inbox.put(unread(version="later", ref=named(0), log=log))
    assert log[-1] == str(UNREAD - 1)


def test_the_end_of_a_second_incarnation_ends_whichever_is_known():
    assert after(changed("u1"), changed("u2"), gone("u2")) == [gone("")]
    assert after(gone("u1"), gone("u2")) == [gone("")]


def test_a_late_word_of_an_old_incarnations_end_does_not_end_the_new_one():
    assert after(changed("u2"), gone("u1")) == [gone("u1"), changed("u2")]
    assert after(changed("u1"), changed("u2"), gone("u1")) == [gone("u1"), changed("u2")]
    assert after(gone("u1"), changed("u3"), gone("u2")) == [gone(""), changed("u3")]


def test_a_change_after_gone_without_uids_is_seen_after_it():
    assert after(gone(""), changed("u1")) == [gone(""), changed("u1")]


def test_a_list_is_complete_only_after_its_objects():
    synced = Synced(AT, "deployments.apps")
    assert after(changed(), synced, changed(version="2")) == [changed(version="2"), synced]


def test_the_newest_word_about_a_resource_stands_last():
    stale = Stale(AT, "deployments.apps", "403")
    synced = Synced(AT, "deployments.apps")
    assert after(synced, stale, changed()) == [stale, changed()]
    assert after(synced, stale, changed(), synced) == [changed(), synced]


def test_results_and_commands_of_different_ids_all_arrive():
    request = ActionRequest(EffectId("a"), IncidentId("i"), "p", 0, 1, "reconcile", REF)
    signals: list[Signal] = [
        Command(AT, "1", "pause", "ann"),
        Command(AT, "2", "pause", "bob"),
        ActionFinished(AT, request, ActionResult(Outcome.CHANGED, "done")),
        Delivered(AT, Delivery(EffectId("k1"), Target("oncall"), "i", Sent.SENT)),
        Delivered(AT, Delivery(EffectId("k2"), Target("oncall"), "i", Sent.SENT)),
        CronFired(AT, "nightly"),
        ReleaseSeen(AT, "default", "apps", "web", 1, "deployed"),
        ReleaseSeen(AT, "default", "apps", "web", 2, "failed"),
        Tick(AT),
    ]
    assert after(*signals) == signals


def test_a_repeated_command_is_one():
    assert after(Command(AT, "1", "pause", "ann"), Command(AT, "1", "pause", "ann")) == [
        Command(AT, "1", "pause", "ann")
    ]


def test_too_many_waiting_commands_make_it_busy_until_they_are_taken():
    inbox = KeyedInbox()
    for number in range(COMMANDS):
        inbox.put(Command(AT, str(number), "pause", "ann"))
    assert inbox.busy
    inbox.take()
    assert not inbox.busy


def test_a_repeated_event_is_one():
    assert after(event("no"), event("no")) == [event("no")]


def test_f024_events_beyond_the_ring_are_dropped_oldest_first_and_counted():
    inbox = KeyedInbox(events=3)
    for number in range(10):
        inbox.put(event(str(number)))
    assert drained(inbox) == [event("7"), event("8"), event("9")]
    assert (inbox.dropped, inbox.received, inbox.merged) == (7, 10, 0)


def test_f024_a_storm_of_events_never_drops_the_state_of_an_object():
    inbox = KeyedInbox(events=10)
    for number in range(1000):
        inbox.put(event(str(number)))
        if number == 500:
            inbox.put(changed())
    assert changed() in drained(inbox)
    assert len(inbox) == 0


def test_neither_events_nor_facts_starve_the_other():
    inbox = KeyedInbox()
    for number in range(4):
        inbox.put(event(str(number)))
        inbox.put(CronFired(AT, str(number)))
    kinds = [type(signal) for signal in drained(inbox)]
    assert kinds == [CronFired, EventSeen] * 4


@pytest.mark.looptime
async def test_waiting_ends_when_a_signal_comes(looptime):
    inbox = KeyedInbox()

    async def come() -> None:
        await asyncio.sleep(3)
        inbox.put(Tick(AT))

    await asyncio.gather(inbox.rung(), come())
    assert inbox.take() == Tick(AT)
    assert looptime == 3


NAMES = [ObjectRef("default", "apps", "Deployment", "apps", name) for name in ("a", "b")]


@st.composite
def histories(draw):
    """One true history of two names: what a watch that misses nothing would say, incarnation by incarnation."""
    alive: dict[ObjectRef, int] = {}
    born = dict.fromkeys(NAMES, 0)
    signals: list[Arrival | None] = []
    for index in range(draw(st.integers(1, 25))):
        ref = draw(st.sampled_from(NAMES))
        what = draw(st.sampled_from(["change", "change", "gone", "recreate", "take"]))
        if what == "take":
            signals.append(None)
        elif what == "gone" and ref in alive:
            signals.append(gone(f"{ref.name}{alive.pop(ref)}", ref=ref))
        elif what in ("change", "recreate"):
            if what == "recreate" or ref not in alive:
                born[ref] += 1
                alive[ref] = born[ref]
            uid = f"{ref.name}{alive[ref]}"
            read = draw(st.booleans())
            signals.append(changed(uid, str(index), ref=ref) if read else unread(uid, str(index), ref=ref))
    return signals


def play(known: dict[ObjectRef, tuple[str, str]], signal: Arrival | None) -> None:
    """What the World makes of it: a gone of another incarnation is not about what it knows."""
    match signal.read() if isinstance(signal, Unread) else signal:
        case ObjectChanged(new=state):
            known[state.ref] = (state.uid, state.resource_version)
        case ObjectGone(ref=ref, uid=uid) if ref in known and (not uid or known[ref][0] == uid):
            del known[ref]


@settings(max_examples=100, deadline=timedelta(seconds=5))
@given(histories())
def test_what_was_merged_leaves_the_same_world_as_what_was_said(history):
    inbox = KeyedInbox()
    told: dict[ObjectRef, tuple[str, str]] = {}
    seen: dict[ObjectRef, tuple[str, str]] = {}
    for signal in history:
        play(told, signal)
        if signal is None:
            play(seen, inbox.take())
        else:
            inbox.put(signal)
    for signal in drained(inbox):
        play(seen, signal)
    assert seen == told
