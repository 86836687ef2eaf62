"""At which stage an object stopped: only what Flux asked for there explains it, and a ring tells once."""

from daemon.engine.graph import root_of, roots_of
from daemon.model.objects import Condition, ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.signals import Stale, Synced
from tests.builders import Cluster, Story, failing, helm, needs, ready, ref, unhealthy, waiting

A, P, Q, S, X = (ref("Kustomization", name) for name in "apqsx")
SOURCE, GIT = ref("GitRepository", "r"), ref("GitRepository", "g")
KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
UNFETCHED = failing("GitOperationFailed", "failed to checkout and determine revision: bad object")


def parent(cluster: Cluster, name: str, child: ObjectRef, *, well: bool = False) -> ObjectState:
    told = ready() if well else unhealthy(f"{child.kind}/apps/{child.name}")
    return cluster.state("Kustomization", name, told, contains=(child,), wait=True, source=SOURCE)


def ring(cluster: Cluster) -> list[ObjectState]:
    """Object p checks q, q checks s, s waits for p."""
    last = cluster.state("Kustomization", "s", waiting("apps/p"), depends_on=needs(P), source=SOURCE)
    return [parent(cluster, "p", Q), parent(cluster, "q", S), last]


def roots(story: Story) -> list[str]:
    return sorted(f"{case.incident.root.kind}/{case.incident.root.name}" for case in story.cases if case.open)


def test_a_source_that_a_failed_check_names_is_its_cause():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("GitRepository", "g", UNFETCHED), parent(cluster, "a", GIT)).wait(10)
    assert root_of(story.world, A) == GIT


def test_a_source_that_a_failed_check_named_and_that_is_well_explains_nothing():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("GitRepository", "g", ready()), parent(cluster, "a", GIT)).wait(10)
    assert root_of(story.world, A) == A


def test_a_source_that_kept_its_last_artifact_does_not_explain_who_waits_for_a_dependency():
    cluster, story = Cluster(), Story()
    waits = cluster.state("Kustomization", "a", waiting("apps/x"), depends_on=needs(X), source=GIT)
    story.see(
        cluster.state("GitRepository", "g", UNFETCHED, artifact_revision="main@sha1:abc"),
        cluster.state("Kustomization", "x", failing(), source=SOURCE),
        waits,
    ).wait(10)
    assert roots_of(story.world, A) == (X,)


def test_of_a_ring_of_several_checks_the_least_tells_and_who_checks_it_from_outside_is_in_it():
    cluster = Cluster()
    story = Story().see(*ring(cluster), parent(cluster, "a", P)).wait(300)
    assert roots(story) == ["Kustomization/p"]
    assert [case.incident.rules for case in story.cases] == [("failed", "waits-on-itself")]


def test_a_ring_and_a_failure_that_it_also_checks_are_two_causes():
    cluster = Cluster()
    both = (Q, X)
    told = unhealthy("Kustomization/apps/q", "Kustomization/apps/x")
    first = cluster.state("Kustomization", "p", told, contains=both, wait=True, source=SOURCE)
    story = (
        Story().see(first, *ring(cluster)[1:], cluster.state("Kustomization", "x", failing(), source=SOURCE)).wait(300)
    )
    assert roots(story) == ["Kustomization/p", "Kustomization/x"]


def release(cluster: Cluster, name: str, told: Condition, *needed: ObjectRef) -> ObjectState:
    made = ref("HelmChart", f"apps-{name}")
    return cluster.state("HelmRelease", name, told, source=made, depends_on=needs(*needed), helm=helm(name))


def test_who_asks_for_a_version_that_is_not_there_is_a_root_though_it_also_waits():
    cluster, story = Cluster(), Story()
    story.see(
        release(cluster, "x", failing("UpgradeFailed", "bad manifest")),
        cluster.state("HelmChart", "apps-a", failing("InvalidChartReference"), source=ref("HelmRepository", "r")),
        release(cluster, "a", waiting("apps/x"), ref("HelmRelease", "x")),
    )
    assert roots(story.wait(300)) == ["HelmRelease/a", "HelmRelease/x"]


def test_what_is_missing_is_told_when_its_kind_is_heard_in_full_late():
    cluster, story = Cluster(), Story()
    story.give(Synced(story.at, KUSTOMIZATIONS), Stale(story.at, KUSTOMIZATIONS, "403"))
    waits = waiting("apps/gone", 'not found: "gone"')
    gone = ref("Kustomization", "gone")
    story.see(cluster.state("Kustomization", "a", waits, depends_on=needs(gone))).wait(60)
    story.give(Synced(story.at, KUSTOMIZATIONS)).wait(600)
    assert roots(story) == ["Kustomization/a"]
