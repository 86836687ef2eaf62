"""Which incident takes a finding, where two rules could say it differently."""

import pytest

from daemon.model.objects import ObjectState
from daemon.model.signals import Synced
from tests.builders import (
    RULES,
    Cluster,
    Story,
    failing,
    helm,
    needs,
    pods,
    progressing,
    ready,
    ref,
    unhealthy,
    waiting,
)

A, Y, Z = (ref("Kustomization", name) for name in "ayz")
SOURCE = ref("GitRepository", "repo")
SOURCES = "gitrepositories.source.toolkit.fluxcd.io"


def unseen(cluster: Cluster, name: str) -> ObjectState:
    return cluster.state("Kustomization", name, ready(), generation=2, observed_generation=1)


def roots(story: Story) -> set[str]:
    return {case.incident.root.name for case in story.cases if case.open}


def member_of(story: Story, name: str) -> set[str]:
    """Return the roots of the open incidents that this object is in, and not only beside."""
    open_ones = (case.incident for case in story.cases if case.open)
    held = ((each.root.name, {each.root.name, *(member.ref.name for member in each.dependents)}) for each in open_ones)
    return {root for root, names in held if name in names}


def test_two_that_the_same_controller_never_looked_at_are_one_incident():
    cluster, story = Cluster(), Story()
    story.see(unseen(cluster, "a")).wait(30)
    story.see(unseen(cluster, "b")).wait(91)
    assert roots(story) == {"a"}


def test_what_the_controller_never_looked_at_joins_one_that_failed_before_and_was_not_looked_at_either():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing())).wait(10)
    story.see(unseen(cluster, "a")).wait(30)
    story.see(unseen(cluster, "b")).wait(91)
    assert roots(story) == {"a"}


def test_what_the_controller_never_looked_at_joins_one_that_it_looks_at_just_now():
    cluster, story = Cluster(), Story()
    story.see(unseen(cluster, "a")).wait(30)
    story.see(unseen(cluster, "b")).wait(61)
    story.see(cluster.state("Kustomization", "a", progressing(), generation=2, observed_generation=2)).wait(30)
    assert roots(story) == {"a"}


def test_what_nobody_looked_at_is_not_in_the_incident_of_another_that_fails():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing())).wait(30)
    story.see(unseen(cluster, "b")).wait(91)
    assert roots(story) == {"a", "b"}


def waits_for_z() -> tuple[Cluster, Story]:
    """Object z fails, and a waits for it."""
    cluster, story = Cluster(), Story()
    story.give(Synced(story.at, SOURCES)).see(cluster.state("Kustomization", "z", failing()))
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(6)
    assert member_of(story, "a") == {"z"}
    return cluster, story


def test_a_member_that_cannot_be_built_leaves_while_the_root_still_fails():
    cluster, story = waits_for_z()
    story.see(cluster.state("Kustomization", "a", failing("BuildFailed"), depends_on=needs(Z))).wait(6)
    assert member_of(story, "a") == {"a"}


def test_a_member_that_ran_out_of_time_stays_while_the_root_still_fails():
    cluster, story = waits_for_z()
    timed_out = failing("ReconciliationFailed", "context deadline exceeded")
    story.see(cluster.state("Kustomization", "a", timed_out, depends_on=needs(Z))).wait(6)
    assert member_of(story, "a") == {"z"}


def test_a_member_without_a_source_stays_while_it_waits_for_the_root():
    cluster, story = waits_for_z()
    lost = ref("GitRepository", "gone")
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z), source=lost)).wait(30)
    assert {finding.test for finding in story.world.firing(A)} == {"source-missing"}
    assert member_of(story, "a") == {"z"}


def test_a_member_without_a_source_that_waits_for_another_root_by_now_goes_to_that_ones_incident():
    cluster, story = waits_for_z()
    story.see(cluster.state("Kustomization", "y", failing())).wait(6)
    lost = ref("GitRepository", "gone")
    story.see(cluster.state("Kustomization", "a", waiting("apps/y"), depends_on=needs(Y), source=lost)).wait(30)
    assert sorted(case.incident.root.name for case in story.cases) == ["y", "z"]
    assert member_of(story, "a") == {"y"}


def test_a_member_without_a_source_stays_while_the_root_is_one_of_several_that_it_waits_for():
    cluster, story = Cluster(), Story()
    story.give(Synced(story.at, SOURCES)).see(cluster.state("Kustomization", "y", failing())).wait(6)
    story.see(cluster.state("Kustomization", "z", failing())).wait(6)
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(6)
    lost = ref("GitRepository", "gone")
    story.see(cluster.state("Kustomization", "a", waiting("apps/y"), depends_on=needs(Y, Z), source=lost)).wait(30)
    assert member_of(story, "a") == {"z"}


def test_a_chart_that_is_asked_for_wrongly_by_now_leaves_its_failing_repository_with_its_release():
    cluster, story = Cluster(), Story()
    repository, chart = ref("HelmRepository", "repo"), ref("HelmChart", "apps-db")
    blocked = failing("SourceNotReady", "HelmChart 'apps/apps-db' is not ready")
    story.see(
        cluster.state("HelmRepository", "repo", failing("IndexationFailed")),
        cluster.state("HelmChart", "apps-db", failing("ChartPullError"), source=repository),
        cluster.state("HelmRelease", "db", blocked, source=chart, helm=helm("db")),
    ).wait(6)
    assert member_of(story, "apps-db") == {"repo"}
    story.see(cluster.state("HelmChart", "apps-db", ready(), source=repository)).wait(300)
    story.see(cluster.state("HelmChart", "apps-db", failing("InvalidChartReference"), source=repository)).wait(6)
    assert member_of(story, "apps-db") == {"db"}


def test_what_cannot_be_built_stays_its_own_incident_whatever_its_message_says_of_time():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "z", ready()))
    built = failing("BuildFailed", "accumulating resources: git fetch timed out")
    story.see(cluster.state("Kustomization", "a", built, depends_on=needs(Z))).wait(15)
    story.see(cluster.state("Kustomization", "z", failing())).wait(15)
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(15)
    assert roots(story) == {"a", "z"}


def test_of_two_that_failed_in_the_same_moment_the_one_that_the_other_waits_for_is_the_cause():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "z", failing()))
    story.see(cluster.state("Kustomization", "a", failing(), depends_on=needs(Z))).wait(15)
    assert roots(story) == {"a", "z"}
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(1)
    assert roots(story) == {"z"}


def test_a_chart_that_could_not_be_fetched_goes_to_its_repository_when_that_turns_out_to_fail():
    cluster, story = Cluster(), Story()
    repository = ref("HelmRepository", "repo")
    story.see(cluster.state("HelmRepository", "repo", ready()))
    story.see(cluster.state("HelmChart", "apps-db", failing("ChartPullError", "no such chart"), source=repository))
    assert roots(story.wait(20)) == {"apps-db"}
    story.see(cluster.state("HelmRepository", "repo", failing("IndexationFailed", "404 Not Found"))).wait(6)
    assert roots(story) == {"repo"}


def test_a_member_that_leaves_goes_back_to_the_incident_that_it_had():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "a", ready())).wait(60)
    story.see(cluster.state("Kustomization", "z", failing()))
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(6)
    assert roots(story) == {"z"}
    story.see(cluster.state("Kustomization", "a", failing(), depends_on=needs(Z))).wait(6)
    assert roots(story) == {"a", "z"}
    assert len(story.cases) == 2


@pytest.mark.parametrize("condition", [failing(), failing("ReconciliationFailed", "no such host")])
def test_what_fails_above_an_older_fault_of_another_is_an_incident_of_its_own(condition):
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing(), depends_on=needs(Z))).wait(15)
    story.see(cluster.state("Kustomization", "z", condition))
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(15)
    assert roots(story) == {"a", "z"}


AT_ONCE = RULES.replace("for: 5s", "for: 0s")


def test_what_fails_at_once_because_of_a_member_is_in_that_members_incident():
    cluster, story = Cluster(), Story(AT_ONCE)
    story.see(cluster.state("Kustomization", "z", failing()))
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z), source=SOURCE))
    timed_out = failing("ReconciliationFailed", "context deadline exceeded")
    story.see(cluster.state("Kustomization", "a", timed_out, depends_on=needs(Z), source=SOURCE)).wait(1)
    story.see(cluster.state("Kustomization", "top", unhealthy("Kustomization/apps/a"), source=SOURCE)).wait(1)
    assert roots(story) == {"z"}
    assert member_of(story, "top") == {"z"}


def test_a_cause_that_fires_at_once_goes_to_the_incident_that_it_is_about_to_take_over():
    cluster, story = Cluster(), Story(AT_ONCE)
    timed_out = failing("ReconciliationFailed", "context deadline exceeded")
    story.see(cluster.state("Kustomization", "a", timed_out, depends_on=needs(Z))).wait(6)
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(6)
    story.see(cluster.state("Kustomization", "z", failing()))
    assert story.case.incident.root == Z


def test_what_fails_is_not_in_the_incident_of_another_that_nobody_looked_at():
    cluster, story = Cluster(), Story()
    story.see(unseen(cluster, "a")).wait(100)
    story.see(cluster.state("Kustomization", "b", failing())).wait(6)
    assert roots(story) == {"a", "b"}


def test_a_check_that_names_a_well_workload_first_still_goes_to_the_incident_that_holds_the_other():
    cluster = Cluster()
    claim = {"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": "apps"}
    story = Story().see(cluster.state("DaemonSet", "agent", replicas=pods(3, 3)))
    story.see(cluster.state("DaemonSet", "cni", replicas=pods(0, 3), annotations=claim))
    story.see(cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"))).wait(6)
    story.lose(ref("HelmRelease", "db")).wait(1)
    story.see(cluster.state("Kustomization", "net", unhealthy("DaemonSet/apps/agent", "DaemonSet/apps/cni"))).wait(6)
    assert member_of(story, "net") == {"db"}


def test_what_nobody_looks_at_is_told_with_one_of_its_kind_that_does_not_come_along():
    cluster = Cluster()
    story = Story(RULES.replace("health: Failed", "health: InProgress, name: a"))
    story.see(cluster.state("Kustomization", "a", progressing(), timeout=30.0)).wait(10)
    story.see(cluster.state("Kustomization", "b", ready(), generation=3, observed_generation=2)).wait(200)
    assert story.case.incident.root == ref("Kustomization", "a")
    assert "Kustomization/apps/b" in story.members()
