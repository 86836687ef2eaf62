"""The life of a finding: pending, firing, kept, gone."""

import pytest

from daemon.model.findings import FindingState
from daemon.model.incidents import State
from daemon.model.refs import Fingerprint
from daemon.model.signals import Command
from tests.builders import RULES, Cluster, Story, failing, ready, ref

KEPT = RULES.replace("for: 5s", "for: 5s\n  keep_firing_for: 60s")
NAME = Fingerprint("failed", ref("Kustomization", "a"))


def state(story: Story) -> FindingState | None:
    found = story.world.findings.get(NAME)
    return found.state if found is not None else None


def test_a_finding_waits_for_its_time():
    story = Story().see(Cluster().state("Kustomization", "a", failing()))
    assert state(story.wait(4.9)) is FindingState.PENDING
    assert state(story.wait(0.1)) is FindingState.FIRING


def test_what_goes_away_while_it_is_pending_leaves_nothing_behind():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(3)
    story.see(cluster.state("Kustomization", "a", ready())).wait(60)
    assert state(story) is None
    assert story.cases == []


def test_a_finding_without_a_wait_fires_at_once():
    story = Story(RULES.replace("  for: 5s\n", "")).see(Cluster().state("Kustomization", "a", failing()))
    assert state(story) is FindingState.FIRING


def test_a_kept_finding_that_comes_back_never_stopped():
    cluster = Cluster()
    story = Story(KEPT).see(cluster.state("Kustomization", "a", failing())).wait(6)
    fired = story.world.findings[NAME].fired_at
    story.see(cluster.state("Kustomization", "a", ready())).wait(30)
    assert state(story) is FindingState.RESOLVED
    story.see(cluster.state("Kustomization", "a", failing())).wait(60)
    assert state(story) is FindingState.FIRING
    assert story.world.findings[NAME].fired_at == fired


def test_a_kept_finding_goes_when_its_time_is_over():
    cluster = Cluster()
    story = Story(KEPT).see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "a", ready())).wait(61)
    assert state(story) is None
    assert story.wait(60).case.incident.state is State.RESOLVED


def test_a_kept_finding_stays_kept_while_its_object_changes():
    cluster = Cluster()
    story = Story(KEPT).see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "a", ready())).wait(10)
    story.see(cluster.state("Kustomization", "a", ready(message="again"))).wait(10)
    assert state(story) is FindingState.RESOLVED


def test_a_finding_whose_words_change_tells_its_incident():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "a", failing("ArtifactFailed")))
    assert story.case.incident.summary == "Kustomization apps/a fails: ArtifactFailed"


def test_several_tests_of_one_object_come_and_go_alone():
    second = RULES.replace("name: failed", "name: other").replace("health: Failed", "health: Failed, reason: Special")
    cluster = Cluster()
    story = Story(RULES + "\n---\n" + second).see(cluster.state("Kustomization", "a", failing("Special"))).wait(6)
    assert len(story.world.findings) == 2
    story.see(cluster.state("Kustomization", "a", failing("BuildFailed")))
    assert list(story.world.findings) == [NAME]


def test_waking_what_is_gone_does_nothing():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(1).lose(ref("Kustomization", "a"))
    assert story.wait(60).world.findings == {}


@pytest.mark.parametrize("rounds", [3, 20])
def test_f029_a_flapping_object_is_one_incident(rounds):
    cluster = Cluster()
    story = Story()
    for _ in range(rounds):
        story.see(cluster.state("Kustomization", "a", failing())).wait(20)
        story.see(cluster.state("Kustomization", "a", ready())).wait(20)
    assert len(story.cases) == 1
    assert story.reasons.count("opened") == 1


def test_an_early_waking_does_not_end_a_kept_finding():
    cluster = Cluster()
    story = Story(KEPT)
    for _ in range(2):
        story.see(cluster.state("Kustomization", "a", failing())).wait(20)
        story.see(cluster.state("Kustomization", "a", ready())).wait(20)
    story.wait(25)
    assert state(story) is FindingState.RESOLVED


def test_a_finding_of_an_incident_that_a_person_closed_may_still_change():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.give(Command(story.at, "c", "resolve", "ada", story.case.incident.id))
    story.see(cluster.state("Kustomization", "a", failing("ArtifactFailed")))
    assert story.case.incident.state is State.RESOLVED
