"""One history, watched in many ways: the incidents that stand at its end are the same.

A history is a cluster whose faults come, go and come back (tests/properties/made_up.py). Limit: everything has one
cause, and always the same: what passes from one cause to another stays where it was, which differs by what was seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from daemon.engine.step import adopt, next_deadline, step
from daemon.engine.world import Limits, World
from daemon.model.effects import Commit, Effect, SaveIncident
from daemon.model.findings import Severity
from daemon.model.incidents import Role, State
from daemon.model.objects import Health, ObjectState
from daemon.model.signals import ObjectChanged, Signal, Synced, Tick
from daemon.rules.compile import compile_rules
from tests.builders import RULES, T0, Cluster, progressing
from tests.properties.made_up import RESOURCES, Thing, Truth, clusters, key_of

RULESET = compile_rules([("test.yaml", RULES)])
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOLD = 4.0
"""Seconds within the rule's `for` of 5: another order may not let a victim fire long before its cause is seen."""
SETTLED = 3000.0
"""Seconds after the last change by which everything that can has ended."""


@dataclass(frozen=True)
class Moment:
    """One object's new state, when, and in which of the comings and goings."""

    at: float
    state: ObjectState
    turn: int = 0

    @property
    def key(self) -> str:
        return key_of(self.state.ref)


Moments = list[Moment]


@dataclass(frozen=True)
class History:
    """What happened, what is true at its end, and what was true while it was broken."""

    moments: Moments
    truth: Truth
    broken: Truth


@dataclass
class Watched:
    """A World that is looked at after every step."""

    world: World = field(default_factory=lambda: World(limits=Limits(expected=frozenset(RESOURCES))))
    opened: dict[str, datetime] = field(default_factory=dict)
    told: dict[str, list[tuple[State, datetime | None]]] = field(default_factory=dict)
    """By incident: its states, and when it was resolved, as often as they changed."""

    def play(self, signals: Iterable[Signal], until: float) -> "Watched":
        """Give signals at their own time and every Tick between, then let time run."""
        adopt(self.world, RULESET, T0)
        for signal in [*signals, Tick(T0 + timedelta(seconds=until))]:
            while (due := next_deadline(self.world)) is not None and due <= signal.at:
                self._look(step(self.world, Tick(due)))
            self._look(step(self.world, signal))
        return self

    def incidents(self) -> dict[str, tuple[Severity, frozenset[str]]]:
        """Return what stands: root, severity and who is still unwell."""
        return {
            key_of(case.incident.root): (
                case.incident.severity,
                frozenset(
                    key_of(member.ref)
                    for member in case.incident.members
                    if member.role is not Role.RELATED and self.world.health(member.ref) is not Health.CURRENT
                ),
            )
            for case in self.world.open_cases()
        }

    def _look(self, effects: tuple[Effect, ...]) -> None:
        rows = [row for effect in effects if isinstance(effect, Commit) for row in effect.rows]
        for row in rows:
            if isinstance(row, SaveIncident):
                told, now = self.told.setdefault(row.incident.id, []), (row.incident.state, row.incident.resolved_at)
                told += [now] if told[-1:] != [now] else []
                assert self.opened.setdefault(row.incident.id, row.incident.opened_at) == row.incident.opened_at
        held = [m.ref for c in self.world.open_cases() for m in c.incident.members if m.role is not Role.RELATED]
        assert len(held) == len(set(held))


def watch(moments: Moments, again: Iterable[tuple[int, ObjectState]] = (), relists: Iterable[int] = ()) -> Watched:
    """Play moments; `again` and `relists` say after which of them something old comes once more, or everything."""
    signals: list[Signal] = []
    now: dict[str, ObjectState] = {}
    synced = next(i for i, moment in enumerate(moments) if moment.at > 0)
    for index, moment in enumerate(moments):
        at = T0 + timedelta(seconds=moment.at)
        if index == synced:
            signals += [Synced(T0, resource) for resource in RESOURCES]
        signals.append(ObjectChanged(at, moment.state))
        now[moment.key] = moment.state
        signals += [ObjectChanged(at, state) for after, state in again if after == index]
        if index in relists:
            signals += [ObjectChanged(at, state, initial=True) for state in now.values()]
            signals += [Synced(at, resource) for resource in RESOURCES]
    return Watched().play(signals, moments[-1].at + SETTLED)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Return a cluster that begins well, and whose faults come, go and come back."""
    things = _simple(draw(clusters(rings=False)))
    cluster, at = Cluster(), 0.0
    well, broken = Truth(replace(thing, fault="") for thing in things), Truth(things)
    assume(broken.unwell)
    now = well
    moments = [Moment(at, now.state(cluster, key)) for key in now.things]
    for turn, then in enumerate([broken, well, broken][: draw(st.integers(1, 3))], 1):
        at += draw(st.sampled_from([10.0, 70.0, 600.0]))
        for key in sorted(then.things, key=lambda each: len(broken.reach(each))):
            if then.condition(key) == now.condition(key):
                continue
            at += draw(st.sampled_from([0.0, 1.0, 8.0]))
            if draw(st.booleans()):
                moments.append(Moment(at, then.state(cluster, key, progressing()), turn))
                at += 2.0
            moments.append(Moment(at, then.state(cluster, key), turn))
        now = then
    return History([*moments, Moment(at + 1.0, now.state(cluster, things[0].key), 9)], now, broken)


def _simple(things: list[Thing]) -> list[Thing]:
    """Let nothing be missing, and keep only faults that give everything one cause, whichever else is there."""
    known = {thing.key for thing in things}
    source = next(thing.key for thing in things if thing.kind == "GitRepository")
    kept = [
        replace(
            thing,
            fault="",
            needs=tuple(each for each in thing.needs if each in known),
            source=thing.source if thing.source in known or not thing.source else source,
        )
        for thing in things
    ]
    if Truth(kept).unwell:  # a ring over a health check is never well
        kept = [replace(thing, waits=False) for thing in kept]
    for index, thing in enumerate(things):
        more = [*kept[:index], replace(kept[index], fault=thing.fault), *kept[index + 1 :]]
        truth = Truth(more)
        if all(_has_one_cause(truth, key) for key in truth.unwell):
            kept = more
    return kept


def _has_one_cause(truth: Truth, key: str) -> bool:
    return len(truth.stops(key)) == len(truth.behind(key)) == 1


@st.composite
def interleaved(draw: st.DrawFn, history: History) -> Moments:
    """Return the same states, the objects of every turn mixed anew, each in its own order, within the rule's `for`."""
    mixed = []
    for turn in sorted({moment.turn for moment in history.moments}):
        held = [moment for moment in history.moments if moment.turn == turn]
        order = draw(st.permutations([moment.key for moment in held]))
        streams = {key: iter([moment.state for moment in held if moment.key == key]) for key in order}
        ends, pace = held[-1].at, HOLD / len(held) if turn else 0.0
        mixed += [Moment(ends + pace * (at - len(order)), next(streams[key])) for at, key in enumerate(order, 1)]
    return mixed


def same(history: History, watched: Watched) -> None:
    assert watched.incidents() == watch(history.moments).incidents()


PAIRS = histories().flatmap(lambda history: st.tuples(st.just(history), interleaved(history)))
EVERYWHERE = st.lists(st.floats(0, 1, exclude_max=True), max_size=4)


@QUICK
@given(PAIRS)
def test_objects_that_are_seen_in_another_order_end_in_the_same_incidents(pair):
    history, moments = pair
    same(history, watch(moments))


@QUICK
@given(histories(), EVERYWHERE, EVERYWHERE, st.lists(st.floats(0, 1, exclude_max=True), min_size=6, max_size=6))
def test_states_that_are_delivered_again_change_nothing(history, places, olds, last):
    after = [int(place * len(history.moments)) for place in places]
    again = [(index, history.moments[int(old * (index + 1))].state) for index, old in zip(after, olds, strict=False)]
    end = len(history.moments) - 1
    again += [(end, history.moments[int(old * end)].state) for old in last]
    same(history, watch(history.moments, again))


@QUICK
@given(histories(), st.lists(st.booleans(), min_size=100, max_size=100))
def test_states_that_are_never_seen_change_nothing(history, lost):
    last = {moment.key: moment for moment in history.moments}
    same(
        history,
        watch([m for m, gone in zip(history.moments, lost, strict=False) if not m.at or m is last[m.key] or not gone]),
    )


@QUICK
@given(histories(), EVERYWHERE)
def test_a_new_list_at_any_moment_changes_nothing(history, places):
    same(history, watch(history.moments, relists={int(place * len(history.moments)) for place in places}))


@QUICK
@given(PAIRS)
def test_no_incident_resolves_twice_without_opening_between(pair):
    for told in [*watch(pair[0].moments).told.values(), *watch(pair[1]).told.values()]:
        for (before, _), (after, _) in pairwise(told):
            assert before is not State.RESOLVED or after is State.OPEN


@QUICK
@given(histories())
def test_what_is_unwell_at_the_end_stands_in_one_incident_each_at_its_true_root(history):
    watched = watch(history.moments)
    held = [
        (case.incident.root, member.ref)
        for case in watched.world.open_cases()
        for member in case.incident.members
        if member.role is not Role.RELATED
    ]
    for key in history.truth.unwell:
        roots = [key_of(root) for root, found in held if key_of(found) == key]
        assert len(roots) == 1
        assert any(roots[0] in cell for cell in history.truth.behind(key))


@QUICK
@given(histories())
def test_a_cause_that_comes_and_goes_is_one_incident_with_one_id(history):
    causes = set().union(*(history.broken.behind(key) for key in history.broken.unwell))
    assert len(watch(history.moments).told) == len(causes)
