"""Each probe of a procedure: what holds, what does not, and what cannot be seen."""

from datetime import timedelta

import pytest

from daemon.engine.checks import bind, deadline_of, is_met, probe
from daemon.model.objects import Condition, Replicas
from daemon.model.remedies import Check, CheckState, Milestone
from daemon.model.signals import ReleaseSeen, Synced
from daemon.rules.procedure import CheckSpec
from tests.builders import T0, Cluster, Story, failing, helm, pods, progressing, ready, ref

NAMED = {"kind": "Kustomization", "namespace": "apps", "name": "a"}


def held(story: Story, kind: str, params: dict[str, str], *, optional: bool = False, root=None):
    spec = CheckSpec("X", kind, params, 30.0, 0.0, optional)
    case = story.cases[0] if story.cases else None
    return probe(story.world, case, bind(story.world, root, spec))


def heard(*kinds: str) -> Story:
    story = Story()
    return story.give(*(Synced(T0, kind) for kind in kinds))


KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"


def test_an_object_is_absent_only_when_its_kind_is_heard():
    assert held(Story(), "absent", NAMED) == (None, "Kustomization is not watched")
    assert held(heard(KUSTOMIZATIONS), "absent", NAMED)[0] is True
    story = heard(KUSTOMIZATIONS).see(Cluster().state("Kustomization", "a", ready()))
    assert held(story, "absent", NAMED) == (False, "Kustomization/apps/a is there")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"kind": "Kustomization", "name": "a*"}, True),
        ({"kind": "Kustomization", "name": "b*"}, False),
        ({"kind": "Kustomization"}, True),
        ({"kind": "Kustomization", "at-least": "3"}, False),
        ({"kind": "Kustomization", "namespace": "ap*", "at-least": "2"}, True),
        ({"kind": "Kustomization", "namespace": "other"}, False),
    ],
)
def test_exists_counts_by_globs(params, expected):
    cluster = Cluster()
    story = heard(KUSTOMIZATIONS).see(
        cluster.state("Kustomization", "a1", ready()), cluster.state("Kustomization", "a2", ready())
    )
    assert held(story, "exists", params)[0] is expected


def test_exists_of_a_kind_that_nobody_watches_is_not_known():
    assert held(Story(), "exists", {"kind": "PrometheusRule", "name": "*"}) == (None, "PrometheusRule is not watched")


def test_a_named_object_that_exists_is_seen_by_exists():
    story = heard(KUSTOMIZATIONS).see(Cluster().state("Kustomization", "a", ready()))
    assert held(story, "exists", NAMED) == (True, "1 of at least 1 there")


@pytest.mark.parametrize(
    ("replicas", "wanted", "expected"),
    [
        (pods(3, 3), "all", True),
        (pods(2, 3), "all", False),
        (pods(2, 3), "1", True),
        (pods(0, 3), "1", False),
        (Replicas(3, 3, 2, 3), "all", False),
    ],
)
def test_a_workload_has_the_pods_it_should(replicas, wanted, expected):
    story = Story().see(Cluster().state("DaemonSet", "cni", replicas=replicas))
    params = {"kind": "DaemonSet", "namespace": "apps", "name": "cni", "ready": wanted}
    assert held(story, "workload", params)[0] is expected


@pytest.mark.parametrize("wanted", ["lots", "", "1.5", "0", "9" * 5000])
def test_f046_a_number_that_cannot_be_read_fails_its_check_and_nothing_else(wanted):
    story = heard(KUSTOMIZATIONS).see(
        Cluster().state("DaemonSet", "cni", replicas=pods(3, 3)), Cluster().state("Kustomization", "a", ready())
    )
    workload = {"kind": "DaemonSet", "namespace": "apps", "name": "cni", "ready": wanted}
    assert held(story, "workload", workload) == (
        False,
        f"ready is {wanted!r}, neither all nor a number from 1 on: mend the procedure",
    )
    assert held(story, "exists", NAMED | {"at-least": wanted}) == (
        False,
        f"at-least is {wanted!r}, and no number from 1 on: mend the procedure",
    )


def test_what_names_no_single_object_is_never_seen_to_be_gone():
    story = heard(KUSTOMIZATIONS)
    seen = (False, "it names no single object, so none can be seen to be gone")
    assert held(story, "absent", NAMED | {"name": "a*"}) == seen


def test_a_workload_that_is_not_there_fails_unless_it_is_optional():
    story = heard("daemonsets.apps")
    params = {"kind": "DaemonSet", "namespace": "apps", "name": "cni"}
    assert held(story, "workload", params) == (False, "DaemonSet/apps/cni is not there")
    assert held(story, "workload", params, optional=True)[0] is None


@pytest.mark.parametrize(
    ("conditions", "more", "expected", "seen"),
    [
        ((ready(),), {}, True, "Ready=True ReconciliationSucceeded"),
        ((failing(),), {}, False, "Ready=False BuildFailed, but Failed"),
        ((progressing(),), {}, False, "Ready=Unknown Progressing, but InProgress"),
        ((), {"type": "Released"}, False, "no condition Released"),
        ((Condition("Healthy", "True", "Ok", ""),), {"type": "Healthy"}, True, "Healthy=True Ok"),
        ((Condition("Healthy", "True", "Ok", ""),), {"type": "Healthy", "reason": "Other"}, False, "Healthy=True Ok"),
        ((failing(),), {"status": "False", "reason": "BuildFailed"}, True, "Ready=False BuildFailed"),
    ],
)
def test_a_condition_has_its_status_and_reason(conditions, more, expected, seen):
    story = heard(KUSTOMIZATIONS).see(Cluster().state("Kustomization", "a", *conditions))
    assert held(story, "condition", NAMED | more) == (expected, seen)


def test_a_condition_of_nothing_fails_unless_it_is_optional():
    story = heard(KUSTOMIZATIONS)
    assert held(story, "condition", NAMED)[0] is False
    assert held(story, "condition", NAMED, optional=True)[0] is None


def test_a_check_without_a_kind_is_about_the_root():
    story = Story().see(Cluster().state("Kustomization", "a", ready()))
    assert held(story, "condition", {}, root=ref("Kustomization", "a"))[0] is True


def test_a_check_with_a_kind_and_no_name_is_never_about_the_root():
    check = bind(Story().world, ref("HelmRelease", "db"), CheckSpec("X", "exists", {"kind": "HelmRelease"}))
    assert check.ref is None


def test_dependents_are_those_of_the_incident():
    assert held(Story(), "dependents", {}) == (True, "0 of 0 dependents well")


def test_a_release_without_any_storage_to_see_is_not_known():
    assert held(Story(), "release", {"namespace": "apps", "name": "db"}) == (None, "Helm storage is not watched")


def test_a_release_that_is_not_in_storage_fails():
    story = Story().give(ReleaseSeen(T0, "default", "apps", "other", 1, "deployed", "Helm"))
    assert held(story, "release", {"namespace": "apps", "name": "db"})[0] is False


def test_a_release_check_without_a_name_is_about_the_roots_release():
    cluster = Cluster()
    story = Story().give(ReleaseSeen(T0, "default", "apps", "db", 1, "deployed"))
    story.see(cluster.state("HelmRelease", "db", failing(), helm=helm("db"))).wait(6)
    assert held(story, "release", {}) == (True, "db.v1 deployed (written by ?)")
    assert held(story, "release", {"status": "superseded"})[0] is False


def test_a_release_check_about_a_root_that_is_no_release_finds_nothing():
    story = Story().give(ReleaseSeen(T0, "default", "apps", "db", 1, "deployed"))
    story.see(Cluster().state("Kustomization", "a", failing())).wait(6)
    assert held(story, "release", {})[0] is False


def test_a_probe_that_nobody_knows_is_never_passed():
    check = Check("X", "telepathy", None, "x", 1.0)
    assert probe(Story().world, None, check) == (None, "probe telepathy is not known")


@pytest.mark.parametrize(
    ("state", "optional", "expected"),
    [
        (CheckState.MET, False, True),
        (CheckState.SKIPPED, True, True),
        (CheckState.SKIPPED, False, False),
        (CheckState.MISSED, True, False),
        (CheckState.PENDING, True, False),
    ],
)
def test_only_what_was_seen_counts_as_met(state, optional, expected):
    check = Check("X", "absent", None, "x", 1.0, optional=optional)
    assert is_met((Milestone(check, state),)) is expected


def test_a_health_check_in_flight_may_use_up_its_own_time_first():
    story = heard(KUSTOMIZATIONS).see(Cluster().state("Kustomization", "a", progressing(), timeout=300.0))
    check = bind(story.world, None, CheckSpec("X", "condition", NAMED, 30.0))
    assert deadline_of(story.world, check, T0) == T0 + timedelta(seconds=330)
