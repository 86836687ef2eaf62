"""What an incident writes down, when it is announced, and which of several that ended is opened again."""

import pytest

from daemon.engine.graph import roots_of
from daemon.engine.membership import join
from daemon.model.incidents import Role
from daemon.model.objects import Condition
from tests.builders import RULES, Cluster, Story, failing, needs, pods, ready, ref, unhealthy, waiting

HEAD = "\n---\napiVersion: fluxmedic.dev/v1\nkind: Rule\nmetadata: {name: %s}\nspec:\n  severity: %s\n  summary: x\n"
A, B, C, D, Z = (ref("Kustomization", name) for name in "abcdz")


def kustomization(cluster: Cluster, name: str, condition: Condition, *dependencies: str):
    return cluster.state(
        "Kustomization", name, condition, depends_on=needs(*(ref("Kustomization", each) for each in dependencies))
    )


def entries(story: Story, kind: str) -> list[str]:
    return [entry.text for case in story.cases for entry in case.incident.timeline if entry.kind == kind]


def test_what_only_informed_waits_again_before_it_is_announced_as_an_alarm():
    quiet = HEAD % ("quiet", "info") + "  match: {kind: Kustomization, health: Failed}\n"
    story = Story(RULES.replace("for: 5s", "for: 60s") + quiet).see(Cluster().state("Kustomization", "a", failing()))
    assert story.wait(69).reasons == []
    assert story.wait(1).reasons == ["opened"]


def test_one_more_finding_of_the_same_severity_escalates_nothing():
    cluster = Cluster()
    story = Story().see(kustomization(cluster, "a", failing())).wait(20)
    story.see(kustomization(cluster, "b", failing("HealthCheckFailed", "it waits"), "a"))
    story.see(cluster.state("HelmRelease", "c", failing("X"), owners=(A,))).wait(200)
    assert "escalated" not in story.reasons


def test_a_finding_that_comes_back_in_other_words_is_no_new_evidence():
    cluster = Cluster()
    story = Story().see(kustomization(cluster, "a", failing("First"))).wait(6)
    story.see(kustomization(cluster, "a", ready())).wait(6)
    story.see(kustomization(cluster, "a", failing("Second"))).wait(6)
    told = [text for text in entries(story, "evidence") if "fails:" in text]
    assert [text.rpartition(" ")[2] for text in told] == ["First"]


def test_an_incident_that_has_nothing_to_do_with_one_that_was_told_waits_no_longer():
    cluster = Cluster()
    story = Story().see(kustomization(cluster, "a", failing())).wait(60)
    story.see(kustomization(cluster, "z", failing())).wait(16)
    assert story.reasons == ["opened", "opened"]


def test_a_root_below_which_something_is_not_yet_told_waits_no_longer():
    cluster = Cluster()
    story = Story().see(kustomization(cluster, "z", ready()), kustomization(cluster, "a", failing(), "z")).wait(6)
    story.see(kustomization(cluster, "z", failing())).wait(16)
    assert len(story.reasons) == 2


def test_what_only_informs_does_not_open_an_alarm_again():
    quiet = HEAD % ("quiet", "info") + "  match: {kind: Kustomization, reason: Odd}\n  when: health == 'InProgress'\n"
    cluster = Cluster()
    story = Story(RULES + quiet).see(kustomization(cluster, "a", failing())).wait(10)
    story.see(kustomization(cluster, "a", ready())).wait(60)
    story.see(kustomization(cluster, "a", Condition("Ready", "Unknown", "Odd", "", 1))).wait(10)
    assert [case.incident.severity.word for case in story.cases] == ["critical", "info"]


def test_an_incident_whose_root_is_in_another_one_by_now_is_not_opened_again_for_a_victim_of_then():
    cluster = Cluster()
    story = Story().see(kustomization(cluster, "a", failing()), kustomization(cluster, "b", waiting("apps/a"), "a"))
    story.wait(10)
    story.see(kustomization(cluster, "a", ready()), kustomization(cluster, "b", ready(), "a")).wait(60)
    story.see(kustomization(cluster, "z", failing()), kustomization(cluster, "a", waiting("apps/z"), "z")).wait(10)
    story.see(kustomization(cluster, "b", failing(), "a")).wait(10)
    assert [case.incident.root for case in story.cases] == [A, Z, B]


@pytest.mark.parametrize("begins", range(4))  # ids are made of the time: no order of theirs must matter
@pytest.mark.parametrize("last", ["a", "b"])
def test_of_two_that_ended_the_one_that_ended_last_is_opened_again(last: str, begins: int):
    cluster = Cluster()
    story = Story().wait(begins).see(kustomization(cluster, "b", failing(), "a")).wait(10)
    story.see(kustomization(cluster, "b", ready(), "a")).wait(60 if last == "a" else 0)
    story.see(kustomization(cluster, "a", failing()), kustomization(cluster, "b", waiting("apps/a"), "a")).wait(10)
    story.see(kustomization(cluster, "a", ready()), kustomization(cluster, "b", ready(), "a")).wait(60)
    if last == "b":
        story.see(kustomization(cluster, "b", failing(), "a")).wait(10)
        story.see(kustomization(cluster, "b", ready(), "a")).wait(300)
    expected = max(story.cases, key=lambda case: str(case.ended_at)).incident.id
    story.see(kustomization(cluster, "b", failing(), "a")).wait(10)
    assert [case.incident.id for case in story.cases if case.open] == [expected]


def test_a_member_that_is_in_another_incident_when_its_own_is_opened_again_is_related():
    cluster = Cluster()
    story = Story().see(
        kustomization(cluster, "a", failing()), kustomization(cluster, "b", waiting("apps/a"), "a", "z")
    )
    story.wait(10).see(kustomization(cluster, "a", ready()), kustomization(cluster, "b", ready(), "a", "z")).wait(60)
    story.see(kustomization(cluster, "z", failing()), kustomization(cluster, "b", waiting("apps/z"), "a", "z")).wait(10)
    story.see(kustomization(cluster, "a", failing())).wait(10)
    again = next(case.incident for case in story.cases if case.incident.root == A)
    assert {member.ref: member.role for member in again.members} == {A: Role.ROOT, B: Role.RELATED}


def test_a_cause_that_differs_from_an_earlier_one_in_figures_alone_is_not_written_down_again():
    cluster = Cluster()
    story = Story().see(kustomization(cluster, "a", failing("X", "it broke after 30s"))).wait(6)
    story.see(kustomization(cluster, "a", failing("Y", "something else"))).wait(6)
    story.see(kustomization(cluster, "a", failing("X", "it broke after 31s"))).wait(6)
    assert len(entries(story, "cause")) == 2


def test_the_workload_that_is_down_is_held_though_one_before_it_is_complete():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Deployment", "one", replicas=pods(1, 1)), cluster.state("Deployment", "two", replicas=pods(0, 1))
    )
    story.see(cluster.state("Kustomization", "a", unhealthy("Deployment/apps/one", "Deployment/apps/two"))).wait(6)
    assert story.case.workloads == {ref("Deployment", "two")}


def test_the_workload_of_a_member_is_held_though_the_root_is_well():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Deployment", "web", replicas=pods(0, 1)),
        kustomization(cluster, "a", failing()),
        kustomization(cluster, "b", waiting("apps/a"), "a"),
    )
    story.wait(10).see(kustomization(cluster, "a", ready()))
    story.see(kustomization(cluster, "b", unhealthy("Deployment/apps/web"), "a")).wait(6)
    assert story.case.workloads == {ref("Deployment", "web")}


def test_a_check_that_names_a_child_which_is_well_first_still_blames_the_next():
    cluster = Cluster()
    story = Story().see(
        cluster.state("HelmRelease", "one", ready()),
        cluster.state("HelmRelease", "two", failing("UpgradeFailed")),
        cluster.state("Kustomization", "a", unhealthy("HelmRelease/apps/one", "HelmRelease/apps/two")),
    )
    assert story.wait(6).case.incident.root == ref("HelmRelease", "two")


def test_of_rings_that_hang_together_the_least_object_of_a_ring_is_the_root():
    off = "kind: Detector\nmetadata: {name: dependency-cycle}\nspec: {enabled: false}\n"
    cluster = Cluster()
    story = Story(f"{RULES}---\napiVersion: fluxmedic.dev/v1\n{off}").see(
        kustomization(cluster, "a", waiting("apps/c"), "b", "c"),
        kustomization(cluster, "b", waiting("apps/a"), "a"),
        kustomization(cluster, "c", waiting("apps/d"), "d"),
        kustomization(cluster, "d", waiting("apps/c"), "c"),
    )
    assert roots_of(story.world, A) == (A,)


def test_who_a_member_hangs_below_is_settled_once():
    cluster = Cluster()
    story = Story().see(kustomization(cluster, "a", failing()), kustomization(cluster, "b", waiting("apps/a"), "a"))
    story.wait(6)
    join(story.world, story.case, B, Z)
    assert {member.ref: member.parent for member in story.case.incident.members} == {A: None, B: A}


def test_a_member_that_is_found_again_keeps_the_reason_it_came_with():
    cluster = Cluster()
    story = Story().see(kustomization(cluster, "a", failing("X", "at first"))).wait(6)
    join(story.world, story.case, C, None)
    story.see(kustomization(cluster, "c", failing("Y", "by now")))
    join(story.world, story.case, C, A)
    member = next(each for each in story.case.incident.members if each.ref == C)
    assert (member.reason, member.parent) == ("NotFound", A)
