"""A push that rolls through many levels: what is only on its way is no cause, until its own time is over."""

import pytest

from daemon.model.incidents import State
from tests.builders import Cluster, Story, failing, needs, pods, progressing, ready, ref, unhealthy, waiting

TOP, CHILD = ref("Kustomization", "top"), ref("Kustomization", "child")
SOURCE = ref("GitRepository", "repo")


def child(cluster: Cluster, *conditions, **more):
    return cluster.state("Kustomization", "child", *conditions, source=SOURCE, timeout=45.0, **more)


def top(cluster: Cluster, *conditions, **more):
    return cluster.state(
        "Kustomization", "top", *conditions, source=SOURCE, retry_interval=30.0, contains=(CHILD,), **more
    )


def timed_out(cluster: Cluster):
    return top(cluster, unhealthy("Kustomization/apps/child"))


def test_a_parent_that_gave_up_before_its_child_could_is_not_told():
    cluster, story = Cluster(), Story()
    story.see(child(cluster, progressing()), timed_out(cluster)).wait(56)
    story.see(child(cluster, ready())).wait(29)
    assert story.see(top(cluster, ready())).wait(300).cases == []


def test_a_child_that_outlasts_its_own_time_is_told():
    cluster, story = Cluster(), Story()
    story.see(child(cluster, progressing()), timed_out(cluster)).wait(56)
    assert story.cases == []
    assert story.wait(2).case.incident.root == CHILD


def test_a_child_that_fails_is_the_root_and_its_parent_a_victim():
    cluster, story = Cluster(), Story()
    story.see(child(cluster, progressing()), timed_out(cluster)).wait(20)
    story.see(child(cluster, failing())).wait(6)
    assert story.case.incident.root == CHILD
    assert "Kustomization/apps/top" in story.members()


def test_a_child_that_polls_its_dependency_again_has_a_level_of_time_from_when_that_was_well():
    cluster, story = Cluster(), Story()
    needed = needs(ref("Kustomization", "other"))
    other = cluster.state("Kustomization", "other", progressing(), source=SOURCE, timeout=45.0)
    story.see(other, child(cluster, waiting("apps/other"), depends_on=needed), timed_out(cluster)).wait(40)
    story.see(cluster.state("Kustomization", "other", ready(), source=SOURCE)).wait(59)
    assert story.cases == []
    assert story.wait(60).case.incident.root == CHILD


def test_a_child_whose_dependencies_were_never_seen_has_a_level_of_time_from_its_last_word():
    cluster, story = Cluster(), Story()
    story.see(child(cluster, waiting("apps/other")), timed_out(cluster)).wait(55)
    assert story.cases == []
    assert story.wait(10).case.incident.root == CHILD


def test_a_parent_whose_children_are_well_by_now_has_time_for_its_next_try():
    cluster, story = Cluster(), Story()
    story.see(child(cluster, ready()), timed_out(cluster)).wait(89)
    assert story.cases == []
    assert story.wait(2).case.incident.root == TOP


def test_a_parent_above_a_parent_waits_with_it():
    cluster, story = Cluster(), Story()
    above = cluster.state("Kustomization", "above", unhealthy("Kustomization/apps/top"), source=SOURCE)
    story.see(child(cluster, ready()), timed_out(cluster), above).wait(80)
    assert story.cases == []


def test_a_workload_that_a_check_names_beside_a_child_is_told_at_once():
    cluster, story = Cluster(), Story()
    story.see(child(cluster, progressing()), cluster.state("Deployment", "web", replicas=pods(0, 2)))
    story.see(top(cluster, unhealthy("Kustomization/apps/child", "Deployment/apps/web"))).wait(6)
    assert len(story.cases) == 1


def test_of_children_that_fail_and_that_come_the_one_that_fails_is_the_root():
    cluster, story = Cluster(), Story()
    story.see(child(cluster, waiting("apps/other"))).wait(10)
    story.see(cluster.state("Kustomization", "z", failing(), source=SOURCE))
    story.see(top(cluster, unhealthy("Kustomization/apps/child", "Kustomization/apps/z"))).wait(6)
    assert story.case.incident.root == ref("Kustomization", "z")


def test_what_is_on_its_way_takes_no_incident_over():
    cluster, story = Cluster(), Story()
    needed = needs(CHILD)
    story.see(cluster.state("Kustomization", "a", failing(), depends_on=needed)).wait(6)
    story.see(child(cluster, waiting("apps/other")))
    story.see(cluster.state("Kustomization", "a", waiting("apps/child"), depends_on=needed)).wait(6)
    assert story.case.incident.root == ref("Kustomization", "a")


def test_a_parent_that_fails_before_its_child_does_not_open_a_second_incident_for_it():
    cluster, story = Cluster(), Story()
    story.see(child(cluster, progressing()), timed_out(cluster)).wait(61)
    story.see(cluster.state("Kustomization", "z", failing(), source=SOURCE))
    story.see(child(cluster, waiting("apps/z"), depends_on=needs(ref("Kustomization", "z")))).wait(6)
    assert story.case.incident.root == ref("Kustomization", "z")


def test_an_incident_goes_on_with_nobody_who_is_only_on_its_way():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing(), source=SOURCE))
    story.see(top(cluster, unhealthy("Kustomization/apps/a"))).wait(6)
    story.see(cluster.state("Kustomization", "a", ready(), source=SOURCE)).wait(30)
    slow = cluster.state("Kustomization", "slow", progressing(), source=SOURCE, timeout=600.0)
    story.see(slow, top(cluster, unhealthy("Kustomization/apps/slow"))).wait(500)
    assert story.case.incident.root == ref("Kustomization", "a")
    story.see(cluster.state("Kustomization", "slow", ready(), source=SOURCE), top(cluster, ready())).wait(60)
    assert story.case.incident.state is State.RESOLVED


@pytest.mark.parametrize("again", [progressing(), progressing("still")])
def test_a_member_that_recovered_and_is_looked_at_again_keeps_well(again):
    cluster, story = Cluster(), Story()
    story.see(child(cluster, failing())).wait(6).see(child(cluster, ready())).wait(20)
    story.see(child(cluster, again)).wait(20)
    assert story.case.incident.state is State.RECOVERING
    assert story.case.incident.flaps == 0
    assert story.see(child(cluster, ready())).wait(1).case.incident.state is State.RESOLVED


def test_an_incident_gives_what_still_fails_its_next_try_before_it_goes_on_there():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing(), source=SOURCE))
    story.see(top(cluster, unhealthy("Kustomization/apps/a"))).wait(6)
    story.see(cluster.state("Kustomization", "a", ready(), source=SOURCE), child(cluster, progressing())).wait(85)
    story.see(child(cluster, ready()), timed_out(cluster)).wait(80)
    assert story.case.incident.root == ref("Kustomization", "a")
    assert story.wait(60).case.incident.root == TOP


@pytest.mark.parametrize("stuck", [{"suspended": True}, {"generation": 2}])
def test_a_child_that_nobody_moves_is_not_on_its_way(stuck):
    cluster, story = Cluster(), Story()
    story.see(child(cluster, ready(), **stuck), timed_out(cluster)).wait(6)
    assert story.case.incident.root == CHILD


def test_a_parent_of_one_that_waits_for_a_workload_is_told_at_once():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Deployment", "web", replicas=pods(0, 2)), top(cluster, unhealthy("Deployment/apps/web")))
    story.see(cluster.state("Kustomization", "above", unhealthy("Kustomization/apps/top"), source=SOURCE)).wait(6)
    assert {finding.test for finding in story.world.firing(ref("Kustomization", "above"))} == {"failed"}


def test_two_that_wait_for_the_same_have_one_root():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "z", failing(), source=SOURCE))
    needed = needs(ref("Kustomization", "z"))
    for name in ("one", "two"):
        story.see(cluster.state("Kustomization", name, waiting("apps/z"), depends_on=needed, source=SOURCE))
    story.see(top(cluster, unhealthy("Kustomization/apps/one", "Kustomization/apps/two"))).wait(6)
    assert story.case.incident.root == ref("Kustomization", "z")
