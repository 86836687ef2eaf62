"""After a crash: the same incidents, threads and plans; what was in flight is asked about, never repeated blindly."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from daemon.engine.step import step
from daemon.engine.world import Limits, World
from daemon.model.effects import RunAction, Send
from daemon.model.incidents import State
from daemon.model.notices import Silence
from daemon.model.refs import EffectId, Target
from daemon.model.remedies import ActionRequest, Mode
from daemon.model.signals import Restored, Synced
from tests.builders import RULES, Cluster, Story, failing, pods, ready, ref, unhealthy


def crashed() -> Story:
    """An incident was opened and told."""
    cluster = Cluster()
    workload = cluster.state("Deployment", "web", replicas=pods(0, 1))
    return Story().see(workload, cluster.state("Kustomization", "a", unhealthy("Deployment/apps/web"))).wait(16)


def after(story: Story, **more: Any) -> Story:
    """Another life of the daemon, with what the ledger remembered."""
    second = Story.__new__(Story)
    second.world = World(limits=Limits(targets=(Target("slack"),)))
    second.at, second.effects = story.at, []
    second.world.rules = story.world.rules
    remembered = Restored(story.at, incidents=(story.case.incident,), **more)
    second.effects += step(second.world, remembered)
    second.give(Synced(second.at, "everything"))
    return second


def test_an_open_incident_goes_on_under_its_id_and_is_not_told_again():
    story = crashed()
    second = after(story)
    second.see(Cluster().state("Kustomization", "a", failing())).wait(30)
    assert second.case.incident.id == story.case.incident.id
    assert "opened" not in second.reasons


def test_an_incident_whose_trouble_went_away_meanwhile_is_resolved():
    second = after(crashed())
    cluster = Cluster()
    cluster.version = 50
    second.see(cluster.state("Deployment", "web", replicas=pods(1, 1)), cluster.state("Kustomization", "a", ready()))
    second.wait(60)
    assert second.case.incident.state is State.RESOLVED


def test_a_workload_that_was_down_with_it_still_holds_it():
    second = after(crashed())
    cluster = Cluster()
    second.see(cluster.state("Deployment", "web", replicas=pods(0, 1)), cluster.state("Kustomization", "a", ready()))
    assert second.wait(60).case.incident.state is State.OPEN


def test_a_resolved_incident_is_remembered_so_that_its_cause_can_reopen_it():
    story = crashed()
    case = story.case
    case.incident = replace(case.incident, state=State.RESOLVED, resolved_at=story.at)
    second = after(story)
    second.see(Cluster().state("Kustomization", "a", failing())).wait(6)
    assert second.case.incident.id == case.incident.id
    assert second.case.incident.state is State.OPEN


def test_an_incident_that_was_never_told_is_told_now():
    story = Story().see(Cluster().state("Kustomization", "a", failing())).wait(6)
    second = after(story)
    second.see(Cluster().state("Kustomization", "a", failing())).wait(30)
    assert "opened" in second.reasons


def test_what_was_not_known_to_be_delivered_is_sent_again_under_its_key():
    story = crashed()
    sent = next(effect.notification for effect in story.effects if isinstance(effect, Send))
    second = after(story, outbox=(sent,))
    again = [effect.notification.key for effect in second.effects if isinstance(effect, Send)]
    assert again == [sent.key]


def test_an_action_in_flight_is_looked_at_and_not_run():
    story = crashed()
    request = ActionRequest(EffectId("x1"), story.case.incident.id, "p", 0, 1, "reconcile", ref("Kustomization", "a"))
    second = after(story, intents=((request, "executing"),))
    assert [effect for effect in second.effects if isinstance(effect, RunAction)] == [RunAction(request, look=True)]


def test_silences_and_the_kill_switch_are_still_in_force():
    story = crashed()
    silence = Silence("s", (("kind", "*"),), story.at + timedelta(hours=1), "maintenance", "ada")
    second = after(story, silences=(silence,), paused=True)
    assert second.world.silences == {"s": silence}
    assert second.world.paused


def test_the_mode_is_the_settings_and_not_the_ledgers():
    assert after(crashed()).world.limits.mode is Mode.OBSERVE


def test_an_incident_with_a_plan_remembers_how_often_it_tried():
    remediation = "  remediation: {mode: propose, steps: [{action: reconcile}]}\n  examples:"
    story = Story(RULES.replace("  examples:", remediation), mode=Mode.PROPOSE)
    story.see(Cluster().state("Kustomization", "a", failing())).wait(16)
    assert after(story).case.attempts == 1
