"""Every pair of state and trigger: the table's, or refused with an entry."""

from dataclasses import replace

import pytest

from daemon.engine.lifecycle import TABLE, Trigger, move
from daemon.model.incidents import State
from tests.builders import Cluster, Story, failing


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("trigger", list(Trigger))
def test_every_pair_moves_as_the_table_says_or_is_refused_with_an_entry(state, trigger):
    story = Story().see(Cluster().state("Kustomization", "a", failing())).wait(6)
    case = story.case
    case.incident = replace(case.incident, state=state)
    moved = move(story.world, case, trigger, actor="person ada")
    last = case.incident.timeline[-1]
    assert moved is ((state, trigger) in TABLE)
    assert case.incident.state is TABLE.get((state, trigger), state)
    assert last.actor == "person ada"
    assert ("refused" in last.text) is not moved


def test_a_resolved_incident_knows_when_and_an_open_one_does_not():
    story = Story().see(Cluster().state("Kustomization", "a", failing())).wait(6)
    move(story.world, story.case, Trigger.RESOLVE)
    assert story.case.incident.resolved_at == story.world.now
    move(story.world, story.case, Trigger.FAILS_AGAIN)
    assert story.case.incident.resolved_at is None
