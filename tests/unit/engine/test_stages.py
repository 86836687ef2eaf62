"""At which stage an object stopped: only what Flux asked for there explains it, and a ring tells once."""

from dataclasses import replace

from daemon.engine.graph import root_of, roots_of
from daemon.model.objects import Condition, ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.signals import Stale, Synced
from tests.builders import Cluster, Story, failing, helm, needs, ready, ref, unhealthy, waiting

A, P, Q, S, X = (ref("Kustomization", name) for name in "apqsx")
SOURCE, GIT = ref("GitRepository", "r"), ref("GitRepository", "g")
KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
NOTHING_YET = failing("ArtifactFailed", "Source artifact not found, retrying in 30s")
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


def test_a_repository_that_another_includes_is_the_root_of_who_is_made_from_that():
    cluster = Cluster()
    unavailable = failing("IncludeUnavailable", "could not get resource for include 'apps/r'")
    story = Story().see(
        cluster.state("GitRepository", "r", UNFETCHED, artifact_revision="main@sha1:old"),
        cluster.state("GitRepository", "g", unavailable, inputs=(SOURCE,)),
        cluster.state("Kustomization", "a", NOTHING_YET, source=GIT),
    )
    assert roots(story.wait(60)) == ["GitRepository/r"]
    assert [member.ref.name for member in story.case.incident.dependents] == ["g", "a"]


def test_a_repository_that_includes_one_that_kept_its_artifact_fails_of_its_own():
    cluster = Cluster()
    story = Story().see(
        cluster.state("GitRepository", "r", UNFETCHED, artifact_revision="main@sha1:old"),
        cluster.state("GitRepository", "g", UNFETCHED, inputs=(SOURCE,)),
    )
    assert roots(story.wait(60)) == ["GitRepository/g", "GitRepository/r"]


def test_a_generator_that_gets_no_source_explains_who_waits_for_its_artifact():
    cluster, made = Cluster(), ref("ExternalArtifact", "web")._replace(group=SOURCE.group)
    maker = ref("ArtifactGenerator", "gen")._replace(group="source.extensions.fluxcd.io")

    def state(where: ObjectRef, *conditions: Condition, inputs: tuple[ObjectRef, ...]) -> ObjectState:
        return replace(cluster.state(where.kind, where.name, *conditions, inputs=inputs), ref=where)

    story = Story().see(
        cluster.state("GitRepository", "g", UNFETCHED),
        state(maker, failing("SourceFetchFailed", "failed to get source"), inputs=(GIT,)),
        state(made, inputs=(maker,)),
        cluster.state("Kustomization", "a", NOTHING_YET, source=made),
    )
    assert roots(story.wait(60)) == ["GitRepository/g"]
    assert [member.ref.name for member in story.case.incident.dependents] == ["gen", "a"]


def test_a_suspended_source_that_has_an_artifact_holds_nobody_up():
    cluster = Cluster()
    story = Story().see(
        cluster.state("GitRepository", "g", ready(), suspended=True, artifact_revision="main@sha1:abc"),
        cluster.state("Kustomization", "a", NOTHING_YET, source=GIT),
    )
    assert roots_of(story.wait(10).world, A) == (A,)


def test_who_checks_a_ring_and_something_else_is_explained_by_the_ring():
    cluster = Cluster()
    both = unhealthy("Kustomization/apps/p", "Kustomization/apps/x")
    outside = cluster.state("Kustomization", "a", both, contains=(P, X), wait=True, source=SOURCE)
    inner = cluster.state("Kustomization", "x", waiting("apps/q"), depends_on=needs(Q), source=SOURCE)
    story = Story().see(*ring(cluster), outside, inner)
    assert roots_of(story.world, A) == (P,)
