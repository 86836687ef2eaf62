"""Where an object stands in the rarer cases, and since when it does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.engine.health import health_of, latch
from daemon.engine.world import Known
from daemon.model.objects import Condition, Health
from tests.builders import T0, Cluster, Story, failing, helm, pods, ready, waiting


def seen(*states) -> Known:
    """Return what is known after these states, a minute apart."""
    known = Known(states[0])
    for minute, state in enumerate(states):
        latch(known, state, T0 + timedelta(minutes=minute))
    return known


def test_an_object_that_keeps_waiting_waits_since_it_began_to():
    cluster = Cluster()
    known = seen(*(cluster.state("Kustomization", "a", waiting("apps/b", f"is not ready ({n})")) for n in range(4)))
    assert known.since == T0


def test_an_object_that_moves_on_stands_there_since_it_moved():
    cluster = Cluster()
    known = seen(cluster.state("Kustomization", "a", ready()), cluster.state("Kustomization", "a", waiting("apps/b")))
    assert known.since == T0 + timedelta(minutes=1)


def test_the_first_artifact_of_a_source_is_no_new_revision():
    cluster = Cluster()
    known = seen(
        cluster.state("GitRepository", "a", failing("GitOperationFailed")),
        cluster.state("GitRepository", "a", ready(), artifact_revision="main@sha1:1"),
    )
    assert known.revised_at is None


def test_another_artifact_of_a_source_is_a_new_revision():
    cluster = Cluster()
    known = seen(*(cluster.state("GitRepository", "a", ready(), artifact_revision=f"main@sha1:{n}") for n in range(2)))
    assert known.revised_at == T0 + timedelta(minutes=1)


def test_the_last_good_revision_of_a_source_is_that_of_its_artifact():
    cluster = Cluster()
    known = seen(
        cluster.state("GitRepository", "a", ready(), artifact_revision="main@sha1:1"),
        cluster.state("GitRepository", "a", failing(), artifact_revision="main@sha1:2"),
    )
    assert known.last_good == "main@sha1:1"


def test_what_helm_refused_before_a_recovery_is_not_the_cause_of_the_next_failure():
    cluster = Cluster()
    refused = Condition("Released", "False", "UpgradeFailed", "spec.replicas: Invalid value")
    rolled_back = failing("RollbackSucceeded", "Helm rollback to previous release apps/db.v1 succeeded")
    story = Story().see(cluster.state("HelmRelease", "db", rolled_back, refused, helm=helm("db"))).wait(6)
    assert story.case.incident.cause == "HelmRelease apps/db: spec.replicas: Invalid value; rolled back"
    story.see(cluster.state("HelmRelease", "db", ready(), helm=helm("db"))).wait(60)
    story.see(cluster.state("HelmRelease", "db", rolled_back, helm=helm("db"))).wait(6)
    assert story.case.incident.cause.endswith("Helm rollback to previous release apps/db.v1 succeeded; rolled back")


def test_a_failed_job_says_so_itself():
    failed = Condition("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    state = Cluster().state("Job", "a", failed)
    known = seen(replace(state, ref=state.ref._replace(group="batch")))
    assert (known.health, known.failed) == (Health.FAILED, failed)


def test_a_node_of_which_nothing_was_ever_heard_fails_without_a_word():
    known = seen(Cluster().state("Node", "a"))
    assert (known.health, known.failed) == (Health.FAILED, None)


@pytest.mark.parametrize(("observed", "expected"), [(1, Health.IN_PROGRESS), (2, Health.CURRENT)])
def test_ready_without_a_generation_of_its_own_is_as_old_as_the_status(observed, expected):
    condition = replace(ready(), observed_generation=None)
    state = Cluster().state("HelmRelease", "a", condition, generation=2, observed_generation=observed)
    assert health_of(state) is expected


@pytest.mark.parametrize(("kind", "expected"), [("HelmChart", Health.BLOCKED), ("Kustomization", Health.FAILED)])
def test_a_chart_without_an_artifact_waits_for_its_source_where_an_applier_fails(kind, expected):
    assert health_of(Cluster().state(kind, "a", failing("ArtifactFailed", "cannot load it"))) is expected


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"])
def test_every_workload_that_lacks_pods_is_on_its_way(kind):
    state = Cluster().state(kind, "a", replicas=pods(1, 2))
    assert health_of(replace(state, ref=state.ref._replace(group="apps"))) is Health.IN_PROGRESS


def test_not_ready_for_having_only_begun_is_on_its_way():
    assert health_of(Cluster().state("HelmRelease", "a", failing("Progressing", "Running"))) is Health.IN_PROGRESS
