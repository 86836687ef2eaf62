"""Which Deployment moves what: shards, and objects that no controller ever looked at."""

import pytest

from daemon.model.objects import Condition, ObjectState
from tests.builders import Cluster, Story, needs, pods, ready, ref, waiting

FLUX = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/component": "helm-controller"}
SHARD1 = {"sharding.fluxcd.io/key": "shard1"}


def controller(cluster: Cluster, name: str, have: int) -> ObjectState:
    return cluster.state("Deployment", name, replicas=pods(have, have), labels=FLUX)


def unseen(cluster: Cluster, name: str, **labels: str) -> ObjectState:
    return cluster.state("HelmRelease", name, ready(), generation=2, observed_generation=1, labels=labels)


def roots(story: Story) -> list[str]:
    return sorted(case.incident.root.name for case in story.cases)


def test_a_shard_scaled_to_zero_without_an_object_is_no_incident():
    cluster = Cluster()
    story = Story().see(controller(cluster, "helm-controller", 1), controller(cluster, "helm-controller-shard1", 0))
    assert story.see(cluster.state("HelmRelease", "a", ready())).wait(300).cases == []


def test_a_shard_scaled_to_zero_is_the_root_of_its_own_objects_alone():
    cluster = Cluster()
    story = Story().see(controller(cluster, "helm-controller", 1), controller(cluster, "helm-controller-shard1", 0))
    story.see(unseen(cluster, "mine", **SHARD1), unseen(cluster, "other")).wait(300)
    assert roots(story) == ["helm-controller-shard1", "other"]
    first = next(case.incident for case in story.cases if case.incident.root.name.endswith("shard1"))
    assert [member.ref.name for member in first.dependents] == ["mine"]
    assert "nothing of its shard shard1 is reconciled" in first.cause


def test_a_controller_of_another_name_is_the_one_for_all():
    cluster = Cluster()
    story = Story().see(controller(cluster, "flux-helm", 0)).wait(61)
    assert "helm-controller is scaled to zero: nothing of its kinds is reconciled" in story.case.incident.cause


NOTHING: tuple[Condition, ...] = ()


@pytest.mark.parametrize("observed", [None, -1])
def test_what_nobody_ever_looked_at_is_told_with_its_shard(observed):
    cluster = Cluster()
    new = cluster.state("Kustomization", "a", observed_generation=observed, labels={"sharding.fluxcd.io/key": "s9"})
    waits = cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a")))
    story = Story().see(new, waits).wait(91)
    assert story.case.incident.cause.endswith(
        "nobody has looked at it since it is there: its controller does nothing, or none runs for shard s9"
    )
    assert [member.ref.name for member in story.case.incident.dependents] == ["b"]


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("HelmRepository", {"observed_generation": None}),
        ("Kustomization", {"observed_generation": None, "suspended": True}),
        ("Kustomization", {"observed_generation": 1}),
        ("Deployment", {"observed_generation": None}),
    ],
)
def test_what_nobody_needs_to_look_at_is_left_alone(kind, facts):
    assert Story().see(Cluster().state(kind, "a", **facts)).wait(300).cases == []


def test_a_reconcile_request_of_what_nobody_reconciles_is_no_incident():
    asked = Cluster().state("HelmRepository", "a", requested_at="2026-03-01T00:00:00Z")
    assert Story().see(asked).wait(300).cases == []
