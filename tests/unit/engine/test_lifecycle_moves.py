"""What may move an incident where, said without the table; and what the book says of a move."""

import pytest

from daemon.engine.lifecycle import Trigger, move
from daemon.model.incidents import State
from tests.builders import Cluster, Story, failing, ready

UNRESOLVED = set(State) - {State.RESOLVED}
BY_ITSELF = {State.OPEN, State.ACKNOWLEDGED}
WAYS: dict[State, tuple[Trigger, ...]] = {
    State.OPEN: (),
    State.ACKNOWLEDGED: (Trigger.ACKNOWLEDGE,),
    State.REMEDIATING: (Trigger.REMEDIATE,),
    State.RECOVERING: (Trigger.WELL,),
    State.RESOLVED: (Trigger.RESOLVE,),
}
"""How an open incident comes to each state."""


def opened() -> Story:
    return Story().see(Cluster().state("Kustomization", "a", failing())).wait(6)


def in_state(state: State) -> Story:
    """Return an incident that came to a state by the moves that lead there."""
    story = opened()
    for trigger in WAYS[state]:
        assert move(story.world, story.case, trigger)
    return story


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize(
    ("trigger", "sources", "target"),
    [
        (Trigger.ACKNOWLEDGE, {State.OPEN}, State.ACKNOWLEDGED),
        (Trigger.LAPSE, {State.ACKNOWLEDGED}, State.OPEN),
        (Trigger.REMEDIATE, BY_ITSELF, State.REMEDIATING),
        (Trigger.WELL, BY_ITSELF, State.RECOVERING),
        (Trigger.VERIFIED, {State.REMEDIATING}, State.RECOVERING),
        (Trigger.GIVE_UP, {State.REMEDIATING}, State.OPEN),
        (Trigger.HELD, {State.RECOVERING}, State.RESOLVED),
        (Trigger.UNWELL, {State.RECOVERING}, State.OPEN),
        (Trigger.FAILS_AGAIN, {State.RESOLVED}, State.OPEN),
        (Trigger.RESOLVE, UNRESOLVED, State.RESOLVED),
        (Trigger.MERGE, UNRESOLVED, State.RESOLVED),
    ],
)
def test_a_trigger_moves_an_incident_from_where_it_makes_sense_and_from_nowhere_else(state, trigger, sources, target):
    story = in_state(state)
    assert move(story.world, story.case, trigger) is (state in sources)
    assert story.case.incident.state is (target if state in sources else state)


def test_a_move_is_told_with_where_from_where_to_and_why():
    story = opened()
    move(story.world, story.case, Trigger.ACKNOWLEDGE, actor="person ada")
    told = story.case.incident.timeline[-1]
    assert (told.kind, told.actor, told.text) == ("state", "person ada", "open → acknowledged: acknowledge")


def test_a_refusal_is_told_with_what_was_asked_for_and_where_it_stands():
    story = opened()
    move(story.world, story.case, Trigger.LAPSE, actor="person ada")
    told = story.case.incident.timeline[-1]
    expected = ("state", "person ada", "acknowledgement lapsed: refused while open")
    assert (told.kind, told.actor, told.text) == expected


@pytest.mark.parametrize("trigger", [Trigger.WELL, Trigger.LAPSE])
def test_what_nobody_else_moved_was_moved_by_fluxmedic(trigger):
    story = opened()
    move(story.world, story.case, trigger)
    assert story.case.incident.timeline[-1].actor == "fluxmedic"


def test_incidents_are_counted_by_the_state_that_they_come_to():
    cluster = Cluster()
    story = Story().see(*(cluster.state("Kustomization", name, failing()) for name in "abc")).wait(6)
    story.see(*(cluster.state("Kustomization", name, ready()) for name in "ab")).wait(60)
    counts = story.world.counts
    assert (counts["incidents_opened"], counts["incidents_recovering"], counts["incidents_resolved"]) == (3, 2, 2)
