"""What holds of the core whatever happens: histories made by hypothesis, played through the real step."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.engine.graph import root_of
from daemon.engine.step import step
from daemon.model.effects import Commit, Effect, RunAction, SaveIncident, SaveIntent, SaveOutbox, Send
from daemon.model.incidents import Role, State
from daemon.model.objects import Condition, Health, ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.remedies import ActionResult, Mode, Outcome
from daemon.model.signals import ActionFinished, Command, ObjectChanged, ObjectGone, Signal, Synced, Tick
from tests.builders import RULES, T0, Story, failing, needs, progressing, ready, ref, unhealthy, waiting

NAMES = ("a", "b", "c", "d", "e")
HOLD = 5.0
"""Seconds of the test rule's `for`."""
REMEDY = "  remediation: {mode: auto, steps: [{action: reconcile}], limits: {attempts: 3, cooldown: 30s}}\n  examples:"
MENDING = RULES.replace("  examples:", REMEDY)


@dataclass(frozen=True)
class Moment:
    """One thing that happens after a pause."""

    pause: float
    kind: str
    name: str
    needs: tuple[str, ...] = ()


MOMENTS = st.lists(
    st.builds(
        Moment,
        st.sampled_from([0.0, 0.5, 3.0, 7.0, 35.0, 120.0]),
        st.sampled_from(
            [
                "fail",
                "fail",
                "fail otherwise",
                "well",
                "well",
                "wait",
                "work",
                "check",
                "gone",
                "suspend",
                "ack",
                "resolve",
            ]
        ),
        st.sampled_from(NAMES),
        st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple),
    ),
    min_size=1,
    max_size=25,
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class History:
    """Plays moments and checks the invariants after every step."""

    def __init__(self, rules: str = RULES, mode: Mode = Mode.OBSERVE) -> None:
        self.story = Story(rules, mode=mode)
        self.version = 0
        self.steps: list[tuple[Effect, ...]] = []
        self.ended: list[str] = []
        self.by_hand = False
        """A person closed an incident while something failed: what it listed may be in another one now."""

    def play(self, moments: list[Moment]) -> "History":
        self.by_hand = any(moment.kind == "resolve" for moment in moments)
        for moment in moments:
            self._advance(moment.pause)
            for signal in self._signals(moment):
                self._give(signal)
        self._advance(400.0)
        return self

    def _advance(self, seconds: float) -> None:
        until = self.story.at + timedelta(seconds=seconds)
        while self.story.world.heap and self.story.world.heap[0][0] <= until:
            self._give(Tick(max(self.story.world.heap[0][0], self.story.at)))
        self.story.at = until
        self._give(Tick(until))

    def _give(self, signal: Signal) -> None:
        before = {case.incident.id: case.incident.state for case in self.story.world.cases.values()}
        effects = step(self.story.world, signal)
        self.steps.append(effects)
        self.story.effects += effects
        self._check_commit(effects)
        self._check_membership()
        for case in self.story.world.cases.values():
            if case.incident.state is State.RESOLVED and before.get(case.incident.id) is not State.RESOLVED:
                self.ended.append(case.incident.id)
        for effect in effects:
            if isinstance(effect, RunAction):
                result = ActionResult(Outcome.CHANGED, "done")
                self._give(ActionFinished(signal.at, effect.request, result))

    def _signals(self, moment: Moment) -> list[Signal]:
        at, where = self.story.at, ref("Kustomization", moment.name)
        match moment.kind:
            case "gone":
                return [ObjectGone(at, where)]
            case "ack" | "resolve":
                verb = "acknowledge" if moment.kind == "ack" else "resolve"
                cases = self.story.world.open_cases()
                return [Command(at, f"{len(self.steps)}", verb, "ada", cases[0].incident.id)] if cases else []
            case _:
                return [ObjectChanged(at, self._state(where, moment))]

    def _state(self, where: ObjectRef, moment: Moment) -> ObjectState:
        self.version += 1
        others = tuple(name for name in moment.needs if name != moment.name)
        conditions: dict[str, Condition] = {
            "fail": failing(),
            "fail otherwise": failing("ArtifactFailed", f"artifact {self.version} is broken"),
            "well": ready(),
            "work": progressing(),
            "suspend": ready(),
            "wait": waiting(f"apps/{others[0]}" if others else "apps/nobody"),
            "check": unhealthy(*(f"Kustomization/apps/{name}" for name in others)),
        }
        return ObjectState(
            where,
            uid="one",
            resource_version=str(self.version),
            generation=1,
            observed_generation=1,
            conditions=(conditions[moment.kind],),
            depends_on=needs(*(ref("Kustomization", name) for name in others)),
            source=ref("GitRepository", "repo"),
            suspended=moment.kind == "suspend",
        )

    def _check_commit(self, effects: tuple[Effect, ...]) -> None:
        commits = [effect for effect in effects if isinstance(effect, Commit)]
        assert len(commits) <= 1
        assert not commits or effects[0] is commits[0]
        rows = commits[0].rows if commits else ()
        outbox = {row.notification.key for row in rows if isinstance(row, SaveOutbox)}
        intents = {row.request.id for row in rows if isinstance(row, SaveIntent)}
        assert {effect.notification.key for effect in effects if isinstance(effect, Send)} <= outbox
        assert {effect.request.id for effect in effects if isinstance(effect, RunAction)} <= intents

    def _check_membership(self) -> None:
        world = self.story.world
        for found, incident in world.membership.items():
            assert world.cases[incident].open
            assert found in {member.ref for member in world.cases[incident].incident.members}
        for case in world.open_cases():
            assert world.membership.get(case.incident.root) == case.incident.id
            for member in () if self.by_hand else case.incident.members:
                if member.role is not Role.RELATED:
                    assert world.membership.get(member.ref) == case.incident.id


@QUICK
@given(MOMENTS)
def test_no_object_is_in_two_open_incidents(moments):
    world = History().play(moments).story.world
    roots = [case.incident.root for case in world.open_cases()]
    assert len(roots) == len(set(roots))


@QUICK
@given(MOMENTS)
def test_whatever_fails_longer_than_its_for_is_in_an_open_incident_unless_a_person_closed_it(moments):
    moments = [moment for moment in moments if moment.kind != "resolve"]
    world = History().play(moments).story.world
    for found, known in world.objects.items():
        blocked = known.actual is Health.BLOCKED and root_of(world, found) != found
        if known.health is Health.FAILED and not known.state.suspended and not blocked:
            assert found in world.membership


@QUICK
@given(MOMENTS)
def test_the_same_signals_have_the_same_effects(moments):
    assert History().play(moments).steps == History().play(moments).steps


@QUICK
@given(MOMENTS)
def test_an_incident_never_resolves_twice_without_opening_between(moments):
    history = History().play(moments)
    for case in history.story.world.cases.values():
        states = [entry.text for entry in case.incident.timeline if entry.kind == "state" and " → " in entry.text]
        for before, after in pairwise(states):
            assert before.split(":")[0].split(" → ")[1] == after.split(" → ")[0]
        reopened = sum("the cause is back" in text for text in states)
        assert history.ended.count(case.incident.id) <= reopened + 1


@QUICK
@given(MOMENTS)
def test_every_entry_is_saved_once_and_in_its_order(moments):
    history = History().play(moments)
    rows = [row for effects in history.steps for effect in effects if isinstance(effect, Commit) for row in effect.rows]
    for name, case in history.story.world.cases.items():
        saved = [
            entry for row in rows if isinstance(row, SaveIncident) and row.incident.id == name for entry in row.news
        ]
        assert tuple(saved) == case.incident.timeline


@QUICK
@given(MOMENTS)
def test_no_notification_has_the_key_of_another(moments):
    history = History().play(moments)
    keys = [effect.notification.key for effects in history.steps for effect in effects if isinstance(effect, Send)]
    assert len(keys) == len(set(keys))


@QUICK
@given(MOMENTS)
def test_no_action_is_asked_for_twice_and_none_beyond_the_attempts(moments):
    history = History(MENDING, Mode.AUTO).play(moments)
    asked = [effect.request for effects in history.steps for effect in effects if isinstance(effect, RunAction)]
    assert len({request.id for request in asked}) == len(asked)
    for case in history.story.world.cases.values():
        assert sum(request.incident == case.incident.id for request in asked) <= 3


@QUICK
@given(MOMENTS)
def test_in_observe_nothing_is_ever_done(moments):
    history = History(MENDING).play(moments)
    assert not any(isinstance(effect, RunAction) for effects in history.steps for effect in effects)


@QUICK
@given(MOMENTS)
def test_when_all_is_well_everything_ends(moments):
    history = History().play(moments)
    for name in NAMES:
        if ref("Kustomization", name) in history.story.world.objects:
            history._give(
                ObjectChanged(history.story.at, history._state(ref("Kustomization", name), Moment(0, "well", name)))
            )
    history._give(Synced(history.story.at, "everything"))
    history._advance(400.0)
    assert history.story.world.open_cases() == []
    assert history.story.world.findings == {}


def test_the_hold_of_the_test_rule_is_what_the_properties_assume():
    assert f"for: {HOLD:g}s" in RULES
    assert T0.tzinfo is not None
