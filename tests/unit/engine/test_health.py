"""Where an object stands, and the latch that a retry cannot open."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.engine.health import health_of, is_lagging, is_reconciling, latch
from daemon.engine.world import Known
from daemon.model.objects import Condition, Health, PodTrouble, Replicas, Writer
from tests.builders import T0, Cluster, failing, pods, progressing, ready, waiting

STALLED = Condition("Stalled", "True", "RetriesExceeded", "Failed to upgrade after 1 attempt(s)")
RECONCILING = Condition("Reconciling", "True", "Progressing", "")


@pytest.mark.parametrize(
    ("conditions", "more", "expected"),
    [
        ((ready(),), {}, Health.CURRENT),
        ((failing(),), {}, Health.FAILED),
        ((progressing(),), {}, Health.IN_PROGRESS),
        ((waiting("apps/db"),), {}, Health.BLOCKED),
        ((failing("SourceNotReady", "HelmChart 'a/b' is not ready: x"),), {}, Health.BLOCKED),
        ((failing("HealthCheckCanceled", "New reconciliation"),), {}, Health.IN_PROGRESS),
        ((failing("AccessDenied", "cannot access"),), {}, Health.FAILED),
        ((STALLED, ready()), {}, Health.FAILED),
        ((ready(),), {"suspended": True}, Health.SUSPENDED),
        ((ready(),), {"deleted_at": T0}, Health.TERMINATING),
        ((ready(),), {"generation": 2}, Health.IN_PROGRESS),
        ((ready(),), {"generation": 2, "observed_generation": 2}, Health.IN_PROGRESS),
        ((ready(),), {"observed_generation": None}, Health.CURRENT),
        ((), {}, Health.CURRENT),
        ((), {"observed_generation": -1}, Health.IN_PROGRESS),
        ((), {"observed_generation": None}, Health.CURRENT),
    ],
)
def test_a_flux_object_stands_where_its_conditions_say(conditions, more, expected):
    assert health_of(Cluster().state("Kustomization", "a", *conditions, **more)) is expected


@pytest.mark.parametrize(
    ("kind", "conditions", "more", "expected"),
    [
        ("Deployment", (), {"replicas": pods(2, 2)}, Health.CURRENT),
        ("Deployment", (), {"replicas": pods(1, 2)}, Health.IN_PROGRESS),
        (
            "Deployment",
            (Condition("Progressing", "False", "ProgressDeadlineExceeded", ""),),
            {"replicas": pods(1, 2)},
            Health.FAILED,
        ),
        (
            "Deployment",
            (Condition("Progressing", "True", "NewReplicaSet", ""),),
            {"replicas": pods(2, 2)},
            Health.CURRENT,
        ),
        ("DaemonSet", (), {"replicas": Replicas(3, 3, 3, 3, observed=False)}, Health.IN_PROGRESS),
        ("DaemonSet", (), {"replicas": None}, Health.IN_PROGRESS),
        ("Pod", (), {"pod": None}, Health.CURRENT),
        ("Pod", (), {"pod": PodTrouble("CrashLoopBackOff")}, Health.IN_PROGRESS),
        ("Node", (ready(),), {}, Health.CURRENT),
        ("Node", (Condition("Ready", "Unknown", "NodeStatusUnknown", ""),), {}, Health.FAILED),
        ("Node", (), {}, Health.FAILED),
        ("Namespace", (), {}, Health.CURRENT),
    ],
)
def test_a_workload_stands_where_its_replicas_say(kind, conditions, more, expected):
    assert health_of(Cluster().state(kind, "a", *conditions, **more)) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition("Failed", "True", "BackoffLimitExceeded", ""), Health.FAILED),
        (Condition("Complete", "True", "", ""), Health.CURRENT),
        (Condition("Complete", "False", "", ""), Health.IN_PROGRESS),
    ],
)
def test_a_job_is_failed_done_or_at_work(condition, expected):
    state = Cluster().state("Job", "a", condition)
    assert health_of(replace(state, ref=state.ref._replace(group="batch"))) is expected


def test_a_failure_is_latched_through_a_retry_and_ends_when_current():
    cluster = Cluster()
    known = Known(cluster.state("Kustomization", "a", ready()))
    seen = [
        latch(known, cluster.state("Kustomization", "a", condition), T0).health
        for condition in (ready(), failing(), progressing(), failing(), ready())
    ]
    assert seen == [Health.CURRENT, Health.FAILED, Health.FAILED, Health.FAILED, Health.CURRENT]
    assert known.failing_since is None
    assert known.failed is None


def test_a_failed_object_that_waits_shows_that_it_waits():
    cluster = Cluster()
    known = Known(cluster.state("Kustomization", "a"))
    latch(known, cluster.state("Kustomization", "a", failing()), T0)
    latch(known, cluster.state("Kustomization", "a", waiting("apps/b")), T0)
    assert known.health is Health.BLOCKED
    assert known.failing_since == T0


def test_suspending_a_failed_object_does_not_make_it_well():
    cluster = Cluster()
    known = Known(cluster.state("HelmRelease", "a"))
    latch(known, cluster.state("HelmRelease", "a", failing("UpgradeFailed")), T0)
    latch(known, cluster.state("HelmRelease", "a", failing("UpgradeFailed"), suspended=True), T0)
    assert known.health is Health.FAILED


def test_the_last_good_revision_is_that_of_the_last_current_state():
    cluster = Cluster()
    known = Known(cluster.state("Kustomization", "a"))
    latch(known, cluster.state("Kustomization", "a", ready(), applied_revision="main@sha1:1"), T0)
    latch(known, cluster.state("Kustomization", "a", failing(), applied_revision="main@sha1:2"), T0)
    assert known.last_good == "main@sha1:1"


@pytest.mark.parametrize(
    ("conditions", "kept"),
    [
        ((STALLED,), "RetriesExceeded"),
        ((STALLED, failing("UpgradeFailed")), "UpgradeFailed"),
    ],
)
def test_the_failing_condition_is_ready_where_it_says_so_else_what_stalled(conditions, kept):
    cluster = Cluster()
    known = latch(Known(cluster.state("HelmRelease", "a")), cluster.state("HelmRelease", "a", *conditions), T0)
    assert known.failed is not None
    assert known.failed.reason == kept


def test_a_deployment_over_its_deadline_says_so_itself():
    cluster = Cluster()
    late = Condition("Progressing", "False", "ProgressDeadlineExceeded", "has timed out")
    state = cluster.state("Deployment", "a", late, replicas=pods(0, 1))
    assert latch(Known(state), state, T0).failed == late


def test_a_node_that_is_not_heard_of_is_blamed_by_its_ready_condition():
    cluster = Cluster()
    state = cluster.state("Node", "a", Condition("Ready", "Unknown", "NodeStatusUnknown", ""))
    assert latch(Known(state), state, T0).failed == state.ready


@pytest.mark.parametrize(
    ("conditions", "observed", "expected"),
    [
        ((ready(),), 1, True),
        ((ready(),), 2, False),
        ((ready(),), None, False),
        ((ready(), RECONCILING), 1, False),
        ((progressing(),), 1, False),
        ((ready(), Condition("Reconciling", "False", "", "")), 1, True),
        ((), 1, True),
    ],
)
def test_an_object_lags_when_nobody_works_on_its_newest_generation(conditions, observed, expected):
    state = Cluster().state("HelmRelease", "a", *conditions, generation=2, observed_generation=observed)
    assert is_lagging(state) is expected


def test_ready_unknown_means_somebody_works_on_it():
    assert is_reconciling(Cluster().state("Kustomization", "a", progressing()))


def test_who_suspended_an_object_is_the_last_who_wrote_its_spec():
    cluster = Cluster()
    written = (
        Writer("kustomize-controller", "Apply", "", T0),
        Writer("flux", "Update", "", T0 + timedelta(seconds=9)),
        Writer("kustomize-controller", "Update", "status", T0 + timedelta(seconds=20)),
    )
    state = cluster.state("Kustomization", "a", ready(), suspended=True, writers=written)
    runs = Known(cluster.state("Kustomization", "a", ready()), heard_at=T0)
    known = latch(runs, state, T0)
    assert (known.suspended_at, known.suspended_by) == (T0, "flux")
    later = cluster.state("Kustomization", "a", ready(), suspended=True)
    assert latch(known, later, T0 + timedelta(hours=1)).suspended_at == T0
    first_seen = latch(Known(state), state, T0 + timedelta(days=9))
    assert first_seen.suspended_at == T0 + timedelta(seconds=9)
    resumed = latch(known, cluster.state("Kustomization", "a", ready()), T0 + timedelta(hours=2))
    assert (resumed.suspended_at, resumed.suspended_by) == (None, "")


def test_a_suspension_of_which_no_writer_is_known_is_nobodys():
    state = Cluster().state("Kustomization", "a", ready(), suspended=True)
    assert latch(Known(state), state, T0).suspended_by == ""
