"""Which incident takes a finding: two faults that touch stay two, one fault that shows twice stays one."""

import pytest

from daemon.model.objects import Condition, PodTrouble
from daemon.model.signals import Synced
from tests.builders import Cluster, Story, failing, needs, pods, ready, ref, unhealthy, waiting

A, Z = ref("Kustomization", "a"), ref("Kustomization", "z")
SOURCES = "gitrepositories.source.toolkit.fluxcd.io"
GONE = Condition("Ready", "False", "ArtifactFailed", 'GitRepository.source.toolkit.fluxcd.io "gone" not found', 1)


def failed_then_waits(condition, *more) -> Story:
    """Object a fails by itself; later z fails, and a waits for it."""
    cluster, story = Cluster(), Story()
    needed = needs(Z)
    story.see(*more, cluster.state("Kustomization", "z", ready()))
    story.see(cluster.state("Kustomization", "a", condition, depends_on=needed)).wait(15)
    story.see(cluster.state("Kustomization", "z", failing())).wait(15)
    return story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needed)).wait(15)


def web(trouble: str):
    cluster = Cluster()
    workload = cluster.state("Deployment", "web", replicas=pods(0, 2))
    return workload, cluster.state("Pod", "web-1", owners=(workload.ref,), pod=PodTrouble(trouble))


@pytest.mark.parametrize(
    ("condition", "objects"),
    [
        (failing(), ()),
        (failing("ReconciliationFailed", "spec.selector is immutable"), ()),
        (unhealthy("Deployment/apps/web"), web("ImagePullBackOff")),
    ],
)
def test_what_failed_first_of_a_fault_of_its_own_stays_an_incident_of_its_own(condition, objects):
    story = failed_then_waits(condition, *objects)
    assert {case.incident.root for case in story.cases if case.open} == {A, Z}


@pytest.mark.parametrize(
    ("condition", "objects"),
    [
        (failing("ReconciliationFailed", "context deadline exceeded"), ()),
        (unhealthy("Deployment/apps/web"), web("CrashLoopBackOff")),
    ],
)
def test_what_may_have_been_the_first_sign_of_a_cause_above_goes_there(condition, objects):
    story = failed_then_waits(condition, *objects)
    assert [case.incident.root for case in story.cases if case.open] == [Z]
    ended = next(case for case in story.cases if not case.open)
    assert "taken in by another incident" in ended.incident.timeline[-1].text


def test_a_member_with_a_fault_of_its_own_leaves_while_the_root_still_fails():
    cluster, story = Cluster(), Story()
    story.give(Synced(story.at, SOURCES)).see(cluster.state("Kustomization", "z", failing()))
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(6)
    assert "Kustomization/apps/a" in story.members()
    lost = ref("GitRepository", "gone")
    story.see(cluster.state("Kustomization", "a", GONE, depends_on=needs(Z), source=lost)).wait(30)
    by_root = {case.incident.root: case.incident for case in story.cases}
    assert set(by_root) == {A, Z}
    assert A not in {member.ref for member in by_root[Z].members}
    assert "has a fault of its own" in " ".join(entry.text for entry in by_root[Z].timeline)


def test_a_wait_for_a_source_is_not_blamed_on_a_dependency():
    cluster, story = Cluster(), Story()
    story.give(Synced(story.at, SOURCES)).see(cluster.state("Kustomization", "z", failing())).wait(6)
    lost = ref("GitRepository", "gone")
    story.see(cluster.state("Kustomization", "a", GONE, depends_on=needs(Z), source=lost)).wait(30)
    assert {case.incident.root for case in story.cases} == {A, Z}


def test_a_ring_is_its_own_root_though_one_of_it_waits_for_somebody_else():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "z", failing()))
    story.see(cluster.state("Kustomization", "b", ready(), depends_on=needs(A)))
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z, ref("Kustomization", "b"))))
    assert {case.incident.root for case in story.wait(10).cases} == {A, Z}


def test_rings_that_touch_are_one_incident():
    cluster, story = Cluster(), Story()
    names = {"a": ("b",), "b": ("a", "c"), "c": ("d",), "d": ("b",)}
    for name, needed in names.items():
        others = needs(*(ref("Kustomization", other) for other in needed))
        story.see(cluster.state("Kustomization", name, waiting(f"apps/{needed[0]}"), depends_on=others))
    assert story.wait(10).case.incident.root == A
