"""A queue before busy workers and a push that rolls on are no failures; a controller that died is one."""

from dataclasses import replace
from typing import Any

from daemon.model.objects import Condition, HelmTarget, ObjectState, ReleaseRevision
from daemon.model.refs import ObjectRef
from daemon.model.signals import Synced
from tests.builders import Cluster, Story, failing, helm, needs, progressing, ready, ref, waiting

SOURCE = ref("GitRepository", "repo")
KINDS = ("kustomizations.kustomize.toolkit.fluxcd.io", "gitrepositories.source.toolkit.fluxcd.io")
UPGRADING = Condition("Ready", "Unknown", "Progressing", "Running 'upgrade' action with timeout of 5m0s", 1)
NO_KIND = failing(
    "ReconciliationFailed", 'Issuer/a dry-run failed: no matches for kind "Issuer" in version "cert-manager.io/v1"'
)


def heard() -> Story:
    story = Story()
    story.give(*(Synced(story.at, kind) for kind in KINDS))
    return story.see(Cluster().state("GitRepository", "repo", ready()))


def asked_anew(cluster: Cluster, name: str, kind: str = "HelmRelease") -> ObjectState:
    return cluster.state(kind, name, ready(), generation=2, observed_generation=1)


def roots(story: Story) -> list[str]:
    return sorted(case.incident.root.name for case in story.cases)


def test_what_stands_in_the_queue_of_a_busy_controller_is_not_called_unobserved():
    cluster = Cluster()
    story = heard().see(*(asked_anew(cluster, name) for name in "abc"))
    story.see(cluster.state("HelmRelease", "a", UPGRADING, generation=2, timeout=300.0)).wait(200)
    assert story.cases == []
    story.see(cluster.state("HelmRelease", "a", ready(), generation=2, observed_generation=2))
    story.see(*(cluster.state("HelmRelease", name, UPGRADING, generation=2, timeout=300.0) for name in "bc")).wait(100)
    assert story.cases == []


def test_what_nobody_looks_at_while_another_controller_is_busy_is_told_in_time():
    cluster = Cluster()
    story = heard().see(asked_anew(cluster, "a"), cluster.state("Kustomization", "k", progressing(), timeout=300.0))
    assert roots(story.wait(91)) == ["a"]


def test_a_run_that_outlasts_its_time_outs_is_no_queue():
    cluster = Cluster()
    story = heard().see(cluster.state("HelmRelease", "dead", UPGRADING, timeout=300.0)).wait(400)
    assert "a" in roots(story.see(asked_anew(cluster, "a")).wait(91))


def test_a_queue_lasts_ten_minutes_at_most():
    cluster = Cluster()
    story = heard().see(asked_anew(cluster, "a"))
    for turn in range(12):
        said = replace(UPGRADING, message=f"Running 'upgrade' action {turn}")
        story.see(cluster.state("HelmRelease", "busy", said, generation=turn + 2, observed_generation=turn + 1))
        story.wait(60)
    assert "a" in roots(story)


def test_a_revision_that_waits_for_busy_workers_is_not_passed_over():
    cluster = Cluster()
    cluster.version = 10
    applied: dict[str, Any] = {"source": SOURCE, "applied_revision": "main@sha1:aaa"}
    story = heard().see(
        cluster.state("GitRepository", "repo", ready(), artifact_revision="main@sha1:aaa"),
        *(cluster.state("Kustomization", name, ready(), timeout=300.0, **applied) for name in "ab"),
    )
    story.wait(60).see(cluster.state("GitRepository", "repo", ready(), artifact_revision="main@sha1:bbb"))
    story.see(cluster.state("Kustomization", "a", progressing(), timeout=300.0, **applied))
    for _ in range(4):
        story.wait(60).see(cluster.state("HelmRelease", "talks", ready()))
    assert story.cases == []
    done = applied | {"applied_revision": "main@sha1:bbb"}
    story.see(cluster.state("Kustomization", "a", ready(), timeout=300.0, **done))
    for _ in range(3):
        story.wait(60).see(cluster.state("HelmRelease", "talks", ready()))
    assert roots(story) == ["b"]


GONE = ref("Kustomization", "db")


def lacks(cluster: Cluster, **more: Any) -> ObjectState:
    return cluster.state(
        "Kustomization", "a", waiting("apps/db", "not found"), depends_on=needs(GONE), source=SOURCE, **more
    )


def test_a_dependency_that_the_next_level_of_a_push_brings_is_not_called_missing():
    cluster = Cluster()
    level = needs(ref("Kustomization", "infra"))
    story = heard().see(
        lacks(cluster),
        cluster.state("Kustomization", "infra", progressing(), source=SOURCE, timeout=120.0),
        cluster.state("Kustomization", "second", waiting("apps/infra"), source=SOURCE, depends_on=level),
    )
    story.wait(60).see(cluster.state("Kustomization", "infra", ready(), source=SOURCE)).wait(29)
    assert story.cases == []
    story.see(cluster.state("Kustomization", "db", ready(), source=SOURCE))
    story.see(cluster.state("Kustomization", "second", ready(), source=SOURCE, depends_on=level))
    story.see(cluster.state("Kustomization", "a", ready(), depends_on=needs(GONE), source=SOURCE)).wait(300)
    assert story.cases == []


def test_a_parent_that_waits_for_who_lacks_a_dependency_is_no_push_that_rolls_on():
    cluster = Cluster()
    held = (ref("Kustomization", "a"),)
    parent = cluster.state(
        "Kustomization", "top", progressing(), source=SOURCE, contains=held, wait=True, timeout=600.0
    )
    above = cluster.state("Kustomization", "over", progressing(), source=SOURCE, contains=(parent.ref,), timeout=600.0)
    assert roots(heard().see(lacks(cluster), parent, above).wait(21)) == ["a"]


def test_a_suspended_sibling_brings_nothing():
    cluster = Cluster()
    stopped = cluster.state("Kustomization", "s", progressing(), source=SOURCE, suspended=True)
    assert roots(heard().see(lacks(cluster), stopped).wait(21)) == ["a"]


def release(cluster: Cluster, condition: Condition, *statuses: str) -> ObjectState:
    history = tuple(ReleaseRevision(number, status) for number, status in enumerate(statuses, 1))
    target = helm("cert-manager")
    held = HelmTarget(target.release, target.namespace, target.storage_namespace, history)
    return cluster.state("HelmRelease", "cert-manager", condition, helm=held)


def operators(cluster: Cluster) -> ObjectState:
    inside = (ref("HelmRelease", "cert-manager"),)
    return cluster.state(
        "Kustomization", "operators", ready(), source=SOURCE, contains=inside, applied_revision="main@sha1:aaa"
    )


def lacks_kind(cluster: Cluster) -> ObjectState:
    return cluster.state("Kustomization", "issuers", NO_KIND, source=SOURCE, retry_interval=60.0)


def test_a_kind_that_a_release_one_level_down_is_about_to_bring_is_waited_for():
    cluster = Cluster()
    installing = replace(UPGRADING, message="Running 'install' action with timeout of 5m0s")
    story = heard().see(operators(cluster), release(cluster, installing), lacks_kind(cluster))
    assert story.wait(120).cases == []


def test_a_release_one_level_down_that_fails_to_bring_a_kind_is_the_root_of_who_lacks_it():
    cluster = Cluster()
    failed = release(cluster, failing("InstallFailed", "Helm install failed: bad template"), "failed")
    story = heard().see(operators(cluster), failed, lacks_kind(cluster)).wait(120)
    assert roots(story) == ["cert-manager"]
    assert [member.ref.name for member in story.case.incident.dependents] == ["issuers"]


def test_a_release_that_was_in_force_before_brings_nothing_new():
    cluster = Cluster()
    failed = release(cluster, failing("UpgradeFailed", "Helm upgrade failed: bad template"), "failed", "superseded")
    assert roots(heard().see(operators(cluster), failed, lacks_kind(cluster)).wait(120)) == ["cert-manager", "issuers"]


def test_a_failed_check_is_given_until_the_next_try_of_its_own():
    cluster = Cluster()
    child: ObjectRef = ref("HelmRelease", "slow")
    parent = failing("HealthCheckFailed", "timeout waiting for: [HelmRelease/apps/slow status: 'InProgress']")
    story = heard().see(
        cluster.state("HelmRelease", "slow", UPGRADING, source=SOURCE, timeout=300.0),
        cluster.state("Kustomization", "top", parent, source=SOURCE, contains=(child,), retry_interval=600.0),
    )
    story.wait(60).see(cluster.state("HelmRelease", "slow", ready(), source=SOURCE)).wait(500)
    assert story.cases == []
