"""The two ways into the core: what leaves it, in which order, and what it forgets."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.engine import timeline
from daemon.engine.step import ROUNDS, adopt, next_deadline, step
from daemon.engine.world import RESOLVED_KEPT, World
from daemon.model.effects import Commit, ForgetBefore, SaveDelivery, SaveIncident, Send
from daemon.model.incidents import State
from daemon.model.notices import Delivery, Sent
from daemon.model.refs import EffectId, IncidentId, Target
from daemon.model.signals import Delivered, ObjectChanged, Restored, Synced, Tick
from daemon.rules.compile import compile_rules
from tests.builders import RULES, T0, Cluster, Story, failing, needs, ready, ref, waiting


def sent(story: Story) -> Send:
    return next(effect for effect in story.effects if isinstance(effect, Send))


def rows(story: Story) -> list[object]:
    return [row for effect in story.effects if isinstance(effect, Commit) for row in effect.rows]


def broken(seconds: float = 16) -> Story:
    return Story().see(Cluster().state("Kustomization", "a", failing())).wait(seconds)


def test_the_commit_comes_before_everything_else_of_its_step():
    story = Story()
    state = Cluster().state("Kustomization", "a", failing())
    steps = [step(story.world, ObjectChanged(T0, state))]
    at = T0
    while (due := next_deadline(story.world)) is not None and due <= T0 + timedelta(seconds=20):
        at = due
        steps.append(step(story.world, Tick(at)))
    telling = next(effects for effects in steps if any(isinstance(effect, Send) for effect in effects))
    assert isinstance(telling[0], Commit)
    assert sum(isinstance(effect, Commit) for effect in telling) == 1


def test_a_delivery_is_noted_with_the_place_of_the_message():
    story = broken()
    told = sent(story).notification
    delivery = Delivery(told.key, told.target, told.incident.id, Sent.SENT, thread="C1:1.2")
    story.give(Delivered(story.at, delivery))
    assert story.case.incident.threads == {"slack": "C1:1.2"}
    assert SaveDelivery(delivery) in rows(story)
    assert story.world.outbox == {}


def test_a_delivery_that_is_tried_again_stays_in_the_outbox():
    story = broken()
    told = sent(story).notification
    story.give(Delivered(story.at, Delivery(told.key, told.target, told.incident.id, Sent.RETRY)))
    assert list(story.world.outbox) == [told.key]


def test_a_delivery_for_an_incident_that_is_forgotten_is_noted_all_the_same():
    story = Story().give(Delivered(T0, Delivery(EffectId("k"), Target("slack"), "gone", Sent.FAILED, thread="x")))
    assert any(isinstance(row, SaveDelivery) for row in rows(story))


def test_new_rules_look_at_every_object_again():
    story = Story(RULES.replace("health: Failed", "health: Suspended")).see(
        Cluster().state("Kustomization", "a", failing())
    )
    assert story.wait(60).cases == []
    story.effects += adopt(story.world, compile_rules([("r.yaml", RULES)]), story.at)
    assert story.wait(6).case.incident.root == ref("Kustomization", "a")


def test_an_incident_keeps_what_it_knows_when_its_rule_is_gone():
    story = broken()
    cause = story.case.incident.cause
    story.effects += adopt(story.world, compile_rules([]), story.at)
    assert story.wait(5).case.incident.cause == cause


def test_time_never_goes_back():
    story = Story().wait(100)
    story.give(Synced(T0, "late"))
    assert story.world.now >= T0


def test_the_first_signal_tells_the_time():
    world = World()
    step(world, Tick(T0))
    assert world.now == T0
    other = World()
    adopt(other, compile_rules([]), T0)
    assert other.now == T0


def test_only_the_look_out_for_silence_waits_when_nothing_is_wrong():
    story = Story()
    assert next_deadline(story.world) == T0 + timedelta(seconds=60)
    assert len(story.world.heap) == 1


def test_what_cannot_be_woken_is_a_fault_of_ours():
    story = Story()
    story.world.at(T0, 3.14)
    with pytest.raises(TypeError, match="nothing is woken by a float"):
        step(story.world, Tick(T0))


def test_an_object_may_be_woken():
    story = Story().see(Cluster().state("Kustomization", "a", ready()))
    story.world.at(story.at, ref("Kustomization", "a"))
    assert step(story.world, Tick(story.at)) == ()


def test_waking_an_incident_that_is_forgotten_does_nothing():
    story = Story()
    story.world.at(T0, "gone")
    assert step(story.world, Tick(T0)) == ()


def test_the_timeline_of_one_incident_is_bounded():
    story = broken()
    for number in range(timeline.ENTRIES_KEPT + 5):
        timeline.tell(story.world, story.case, "notice", f"line {number}")
    assert len(story.case.incident.timeline) == timeline.ENTRIES_KEPT
    assert story.world.counts["entries_dropped"] > 0


def test_the_oldest_resolved_incidents_leave_memory_first():
    story = broken()
    case = story.case
    for number in range(RESOLVED_KEPT + 1):
        name = type(case.incident.id)(f"old{number:04}")
        at = story.at - timedelta(days=100) + timedelta(seconds=number)
        old = replace(case.incident, id=name, state=State.RESOLVED, opened_at=at, resolved_at=at)
        story.world.cases[name] = replace(case, incident=old, ended_at=at)
    cluster = Cluster()
    cluster.version = 100
    story.see(cluster.state("Kustomization", "a", ready())).wait(60)
    ended = [each.incident.id for each in story.world.cases.values() if not each.open]
    assert len(ended) == RESOLVED_KEPT
    assert "old0000" not in ended
    assert "old0002" in ended


def test_the_ledger_is_told_what_is_past_retention_at_the_start_and_once_a_day():
    story = Story()
    story.give(Restored(story.at)).wait(2.5 * 86400)
    told = [row.at for row in rows(story) if isinstance(row, ForgetBefore)]
    first = T0 - timedelta(seconds=story.world.limits.retention)
    assert told == [first, first + timedelta(days=1), first + timedelta(days=2)]


def test_the_saved_entries_are_each_saved_once():
    story = broken(200)
    news = [entry for row in rows(story) if isinstance(row, SaveIncident) for entry in row.news]
    assert tuple(news) == story.case.incident.timeline


def test_a_broken_object_outside_of_any_incident_wakes_its_roots_incident():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a"))))
    assert "Kustomization/apps/b" in story.members()


def test_settling_one_step_ends():
    assert ROUNDS == 4


def test_an_incident_that_is_forgotten_meanwhile_is_left_alone():
    story = Story()
    story.world.touch(IncidentId("gone"))
    assert step(story.world, Tick(T0)) == ()
