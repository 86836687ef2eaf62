"""The walk from victim to root where it is easily wrong: charts, rings with gaps, time that is not over yet."""

import pytest

from daemon.engine.graph import causes_of, cycle_through
from daemon.engine.lineage import above
from daemon.model.objects import ObjectState
from daemon.model.signals import Synced
from tests.builders import Cluster, Story, failing, helm, needs, pods, progressing, ready, ref, unhealthy, waiting

REPOSITORY, CHART, RELEASE = ref("HelmRepository", "repo"), ref("HelmChart", "apps-db"), ref("HelmRelease", "db")
A, B, TOP, CHILD = (ref("Kustomization", name) for name in ("a", "b", "top", "child"))
SOURCE = ref("GitRepository", "repo")
NOT_READY = failing("SourceNotReady", "HelmChart 'apps/apps-db' is not ready")


def release_of(chart: ObjectState, cluster: Cluster) -> Story:
    """Show a chart and the release that waits for it."""
    return Story().see(chart, cluster.state("HelmRelease", "db", NOT_READY, source=CHART, helm=helm("db")))


@pytest.mark.parametrize("reason", ["InvalidChartReference", "ValuesFilesError", "MetadataPatchError"])
def test_a_release_that_asks_for_what_is_not_there_has_no_other_cause(reason):
    cluster = Cluster()
    story = release_of(cluster.state("HelmChart", "apps-db", failing(reason), source=REPOSITORY), cluster)
    assert causes_of(story.world, RELEASE) == ()


def test_a_release_whose_chart_cannot_be_fetched_has_the_chart_as_cause():
    cluster = Cluster()
    story = release_of(cluster.state("HelmChart", "apps-db", failing("ChartPullError"), source=REPOSITORY), cluster)
    assert causes_of(story.world, RELEASE) == (CHART,)


def test_a_release_whose_chart_waits_has_the_chart_as_cause():
    cluster = Cluster()
    story = release_of(cluster.state("HelmChart", "apps-db", failing("NoSourceArtifact"), source=REPOSITORY), cluster)
    assert causes_of(story.world, RELEASE) == (CHART,)


def test_an_applier_whose_source_waits_has_the_source_as_cause():
    cluster = Cluster()
    story = Story().see(
        cluster.state("GitRepository", "repo", failing("DependencyNotReady", "included artifact is not ready")),
        cluster.state("Kustomization", "a", failing("ArtifactFailed", "Source is not ready"), source=SOURCE),
    )
    assert causes_of(story.world, A) == (SOURCE,)


def test_a_chart_that_nobody_seen_asked_for_is_its_own_cause():
    story = Story().see(Cluster().state("HelmChart", "apps-db", failing("InvalidChartReference"), source=REPOSITORY))
    assert causes_of(story.world, CHART) == ()


def test_a_ring_is_found_beside_a_dependency_that_does_not_exist():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", waiting("apps/b"), depends_on=needs(ref("Kustomization", "gone"), B)))
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A)))
    assert cycle_through(story.world, A) == (A, B)


def test_a_parent_of_one_whose_check_names_a_workload_beside_a_child_is_told_at_once():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "child", ready(), source=SOURCE))
    story.see(cluster.state("Deployment", "web", replicas=pods(0, 2)))
    named = unhealthy("Kustomization/apps/child", "Deployment/apps/web")
    assert told_above(cluster, story.see(cluster.state("Kustomization", "top", named, source=SOURCE)))


@pytest.mark.parametrize("seen", [True, False])
def test_a_parent_of_one_whose_check_names_a_workload_that_is_well_or_gone_by_now_is_told_at_once(seen):
    cluster, story = Cluster(), Story()
    story.see(*[cluster.state("Deployment", "web", replicas=pods(2, 2))] * seen)
    named = unhealthy("Deployment/apps/web")
    assert told_above(cluster, story.see(cluster.state("Kustomization", "top", named, source=SOURCE)))


def test_a_parent_of_one_whose_own_spec_is_at_fault_is_told_at_once():
    cluster, story = Cluster(), Story()
    story.give(Synced(story.at, "kustomizations.kustomize.toolkit.fluxcd.io"))
    story.see(cluster.state("Kustomization", "child", failing(), source=SOURCE))
    named, gone = unhealthy("Kustomization/apps/child"), needs(ref("Kustomization", "gone"))
    story.see(cluster.state("Kustomization", "top", named, source=SOURCE, depends_on=gone)).wait(25)
    assert told_above(cluster, story)


def told_above(cluster: Cluster, story: Story) -> bool:
    """Let a parent of `top` fail because of it, and say whether that is told of right away."""
    above = cluster.state("Kustomization", "above", unhealthy("Kustomization/apps/top"), source=SOURCE)
    story.see(above).wait(6)
    return bool(story.world.firing(above.ref))


def test_a_child_that_says_again_that_it_waits_has_a_level_of_time_from_then():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "child", waiting("apps/other"), source=SOURCE))
    story.see(cluster.state("Kustomization", "top", unhealthy("Kustomization/apps/child"), source=SOURCE)).wait(50)
    again = waiting("apps/other", "revision is not up to date")
    story.see(cluster.state("Kustomization", "child", again, source=SOURCE)).wait(55)
    assert story.cases == []
    assert story.wait(10).case.incident.root == CHILD


def test_a_child_that_waits_for_one_at_work_has_that_ones_time_and_a_level_more():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", progressing(), source=SOURCE, timeout=120.0))
    story.see(cluster.state("Kustomization", "child", waiting("apps/a"), source=SOURCE, depends_on=needs(A)))
    story.see(cluster.state("Kustomization", "top", unhealthy("Kustomization/apps/child"), source=SOURCE)).wait(190)
    assert story.cases == []
    assert len(story.wait(10).cases) == 1


def test_a_parent_without_a_retry_interval_has_a_level_of_time_for_its_next_try():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "child", ready(), source=SOURCE))
    story.see(cluster.state("Kustomization", "top", unhealthy("Kustomization/apps/child"), source=SOURCE)).wait(59.5)
    assert story.cases == []
    assert story.wait(1).case.incident.root == TOP


def test_a_child_without_a_time_out_of_its_own_has_five_minutes_and_a_run():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "child", progressing(), source=SOURCE))
    story.see(cluster.state("Kustomization", "top", unhealthy("Kustomization/apps/child"), source=SOURCE)).wait(311)
    assert story.cases == []
    assert story.wait(2).case.incident.root == CHILD


def test_a_child_whose_dependency_was_well_before_its_parent_gave_up_has_a_level_of_time_from_then():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", progressing(), source=SOURCE))
    story.see(cluster.state("Kustomization", "child", waiting("apps/a"), source=SOURCE, depends_on=needs(A))).wait(40)
    story.see(cluster.state("Kustomization", "a", ready(), source=SOURCE)).wait(5)
    story.see(cluster.state("Kustomization", "top", unhealthy("Kustomization/apps/child"), source=SOURCE)).wait(50)
    assert story.cases == []
    assert story.wait(10).case.incident.root == CHILD


def test_a_parent_whose_check_names_one_that_fails_and_one_that_comes_is_told_at_once():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing(), source=SOURCE))
    story.see(cluster.state("Kustomization", "child", progressing(), source=SOURCE, timeout=300.0))
    named = unhealthy("Kustomization/apps/a", "Kustomization/apps/child")
    story.see(cluster.state("Kustomization", "top", named, source=SOURCE)).wait(6)
    assert story.world.firing(TOP)


def test_nobody_is_known_above_a_pod_that_is_not_known():
    assert above(Story().world, ref("Pod", "gone")) == set()
