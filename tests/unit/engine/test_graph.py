"""Causes behind charts, sources and workloads; the walk through rings."""

from daemon.engine.graph import causes_of, cycle_through, root_of, roots_of
from tests.builders import Cluster, Story, failing, helm, needs, pods, ready, ref, unhealthy, waiting

CLAIM = {"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": "apps"}
REPOSITORY, CHART = ref("HelmRepository", "repo"), ref("HelmChart", "apps-db")


def causes(story: Story, kind: str, name: str) -> tuple[str, ...]:
    return tuple(str(each) for each in causes_of(story.world, ref(kind, name)))


def test_what_does_not_exist_has_no_cause():
    assert causes(Story(), "Kustomization", "a") == ()


def test_an_object_blocked_by_its_failing_source_is_its_victim():
    cluster = Cluster()
    source = cluster.state("GitRepository", "repo", failing("GitOperationFailed"))
    blocked = failing("SourceNotReady", "GitRepository 'apps/repo' is not ready")
    story = Story().see(source, cluster.state("Kustomization", "a", blocked, source=source.ref))
    assert causes(story, "Kustomization", "a") == ("GitRepository/apps/repo",)


def test_a_chart_that_cannot_be_pulled_has_its_failing_repository_as_cause():
    cluster = Cluster()
    story = Story().see(
        cluster.state("HelmRepository", "repo", failing("IndexationFailed")),
        cluster.state("HelmChart", "apps-db", failing("ChartPullError"), source=REPOSITORY),
    )
    assert causes(story, "HelmChart", "apps-db") == ("HelmRepository/apps/repo",)


def test_a_chart_alone_that_cannot_be_pulled_is_its_own_cause():
    cluster = Cluster()
    story = Story().see(
        cluster.state("HelmRepository", "repo", ready()),
        cluster.state("HelmChart", "apps-db", failing("ChartPullError"), source=REPOSITORY),
    )
    assert causes(story, "HelmChart", "apps-db") == ()


def test_two_charts_that_cannot_be_pulled_show_that_their_repository_is_down():
    cluster = Cluster()
    story = Story().see(
        cluster.state("HelmRepository", "repo", ready()),
        cluster.state("HelmChart", "apps-db", failing("ChartPullError"), source=REPOSITORY),
        cluster.state("HelmChart", "apps-web", failing("ChartPullError"), source=REPOSITORY),
    )
    assert causes(story, "HelmChart", "apps-db") == ("HelmRepository/apps/repo",)


def test_a_chart_that_is_asked_for_wrongly_has_its_release_as_cause():
    cluster = Cluster()
    chart = cluster.state("HelmChart", "apps-db", failing("InvalidChartReference"), source=REPOSITORY)
    blocked = failing("SourceNotReady", "HelmChart 'apps/apps-db' is not ready")
    release = cluster.state("HelmRelease", "db", blocked, source=CHART, helm=helm("db"))
    story = Story().see(chart, release)
    assert causes(story, "HelmChart", "apps-db") == ("HelmRelease/apps/db",)
    assert root_of(story.world, CHART) == release.ref


def test_a_suspended_dependency_explains_who_waits_for_it_and_not_who_waits_for_another():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", ready(), suspended=True))
    needed = needs(ref("Kustomization", "a"), ref("Kustomization", "other"))
    story.see(cluster.state("Kustomization", "b", waiting("apps/a", "revision is not up to date"), depends_on=needed))
    story.see(
        cluster.state("Kustomization", "c", waiting("apps/other", "revision is not up to date"), depends_on=needed)
    )
    assert causes(story, "Kustomization", "b") == ("Kustomization/apps/a",)
    assert causes(story, "Kustomization", "c") == ()


def test_a_health_check_that_blames_a_well_flux_object_has_no_cause():
    cluster = Cluster()
    child = cluster.state("Kustomization", "child", ready(), source=ref("GitRepository", "repo"))
    story = Story().see(child, cluster.state("Kustomization", "top", unhealthy("Kustomization/apps/child")))
    assert causes(story, "Kustomization", "top") == ()


def test_a_health_check_that_blames_nothing_has_no_cause():
    story = Story().see(
        Cluster().state("Kustomization", "top", failing("HealthCheckFailed", "timeout waiting for: []"))
    )
    assert causes(story, "Kustomization", "top") == ()


def test_a_release_that_git_let_go_is_still_found_behind_its_workload():
    cluster = Cluster()
    workload = cluster.state("Deployment", "db", annotations=CLAIM, replicas=pods(0, 1))
    release = cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"))
    checking = cluster.state("Kustomization", "app", unhealthy("Deployment/apps/db"), health_checks=(workload.ref,))
    story = Story().see(workload, release, checking).wait(6)
    assert causes(story, "Kustomization", "app") == ("HelmRelease/apps/db",)
    assert story.case.incident.root == release.ref
    assert "Kustomization/apps/app" in story.members()


def test_a_well_release_is_not_to_blame_for_its_workload():
    cluster = Cluster()
    workload = cluster.state("Deployment", "db", annotations=CLAIM, replicas=pods(0, 1))
    release = cluster.state("HelmRelease", "db", ready(), helm=helm("db"))
    checking = cluster.state("Kustomization", "app", unhealthy("Deployment/apps/db"), health_checks=(workload.ref,))
    story = Story().see(workload, release, checking)
    assert causes(story, "Kustomization", "app") == ()


def test_in_a_ring_the_walk_ends_at_the_least():
    cluster = Cluster()
    story = Story()
    for name, other in (("a", "b"), ("b", "a")):
        needed = needs(ref("Kustomization", other))
        story.see(cluster.state("Kustomization", name, waiting(f"apps/{other}"), depends_on=needed))
    assert roots_of(story.world, ref("Kustomization", "b")) == (ref("Kustomization", "a"),)
    assert cycle_through(story.world, ref("Kustomization", "b"))[0] == ref("Kustomization", "a")


def test_the_ring_is_found_where_two_ways_lead_to_it():
    cluster = Cluster()
    story = Story()
    edges = {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ("a",)}
    for name, others in edges.items():
        needed = needs(*(ref("Kustomization", other) for other in others))
        story.see(cluster.state("Kustomization", name, waiting("apps/x"), depends_on=needed))
    assert len(cycle_through(story.world, ref("Kustomization", "a"))) == 3


def test_of_two_roots_the_one_that_failed_first_counts():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "z", failing())).wait(1)
    story.see(cluster.state("Kustomization", "a", failing()))
    both = needs(ref("Kustomization", "a"), ref("Kustomization", "z"))
    story.see(cluster.state("Kustomization", "m", waiting("apps/a"), depends_on=both))
    assert root_of(story.world, ref("Kustomization", "m")) == ref("Kustomization", "z")


def test_a_chart_that_fails_otherwise_says_nothing_about_its_repository():
    cluster = Cluster()
    story = Story().see(
        cluster.state("HelmRepository", "repo", ready()),
        cluster.state("HelmChart", "apps-db", failing("ChartPullError"), source=REPOSITORY),
        cluster.state("HelmChart", "apps-web", failing("ChartPackageError"), source=REPOSITORY),
    )
    assert causes(story, "HelmChart", "apps-db") == ()


def test_what_depends_on_others_only_is_in_no_ring():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "b", ready()))
    story.see(cluster.state("Kustomization", "a", ready(), depends_on=needs(ref("Kustomization", "b"))))
    assert cycle_through(story.world, ref("Kustomization", "a")) == ()
