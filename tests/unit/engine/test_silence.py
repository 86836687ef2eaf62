"""Detectors of what does nothing while everything says Ready: the dead man's switch, runs without end, old sources."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.model.findings import Finding, FindingState
from daemon.model.objects import ObjectState
from daemon.model.refs import Fingerprint, ObjectRef
from daemon.model.signals import EventSeen, Stale
from tests.builders import Cluster, Story, failing, pods, progressing, ready, ref

FLUX = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/component": "kustomize-controller"}
CONTROLLER = ref("Deployment", "kustomize-controller", "flux-system")
SILENT = "controller-silent"


def controller(cluster: Cluster, have: int = 1) -> ObjectState:
    return cluster.state(
        "Deployment", "kustomize-controller", namespace="flux-system", labels=FLUX, replicas=pods(have, 1)
    )


def fired(story: Story, test: str, where: ObjectRef) -> Finding | None:
    found = story.world.findings.get(Fingerprint(test, where))
    return found if found is not None and found.state is FindingState.FIRING else None


def noise(story: Story, seconds: float, every: float = 30.0) -> Story:
    """Let time pass in which the cluster says something, but nothing of what is watched here."""
    until = story.at + timedelta(seconds=seconds)
    while story.at < until:
        story.wait(every).give(EventSeen(story.at, ref("Pod", "chatter"), "Pulled", f"at {story.at}"))
    return story


def app(cluster: Cluster, name: str = "a", *conditions: Any, **more: Any) -> ObjectState:
    return cluster.state("Kustomization", name, *(conditions or (ready(),)), interval=60.0, timeout=30.0, **more)


def test_a_controller_that_runs_and_reconciles_nothing_is_told():
    cluster = Cluster()
    story = Story().see(controller(cluster), app(cluster), app(cluster, "b"))
    assert fired(noise(story, 270.0), SILENT, CONTROLLER) is None
    found = fired(noise(story, 90.0), SILENT, CONTROLLER)
    assert (
        "kustomize-controller runs and does nothing: none of its 2 objects was reconciled since 03:00:00"
        in found.summary
    )
    assert "rollout restart deployment kustomize-controller" in found.next_step
    assert story.case.incident.root == CONTROLLER


def test_one_object_that_is_reconciled_proves_the_controller_alive():
    cluster = Cluster()
    story = Story().see(controller(cluster), app(cluster), app(cluster, "b"))
    for _ in range(8):
        noise(story, 60.0).see(app(cluster, "b"))
    assert fired(story, SILENT, CONTROLLER) is None


def test_a_controller_that_works_again_ends_its_incident():
    cluster = Cluster()
    story = Story().see(controller(cluster), app(cluster))
    noise(story, 400.0).see(app(cluster))
    assert noise(story, 120.0).case.incident.state.value == "resolved"


def test_when_nothing_at_all_is_heard_no_controller_is_blamed():
    cluster = Cluster()
    story = Story().see(controller(cluster), app(cluster))
    assert story.wait(3600).cases == []


@pytest.mark.parametrize(
    "state",
    [
        {"suspended": True},
        {"interval": None},
    ],
)
def test_objects_that_nobody_has_to_touch_prove_nothing(state):
    cluster = Cluster()
    quiet = cluster.state("Kustomization", "a", ready(), **{"interval": 60.0, "timeout": 30.0, **state})
    story = Story().see(controller(cluster), quiet)
    assert fired(noise(story, 600.0), SILENT, CONTROLLER) is None


def test_an_object_that_fails_or_waits_proves_nothing():
    cluster = Cluster()
    story = Story().see(controller(cluster), app(cluster, "a", failing()))
    assert fired(noise(story, 600.0), SILENT, CONTROLLER) is None


def test_a_kind_that_we_cannot_hear_ourselves_proves_nothing():
    cluster = Cluster()
    story = Story().see(controller(cluster), app(cluster))
    story.give(Stale(story.at, "kustomizations.kustomize.toolkit.fluxcd.io", "forbidden"))
    assert fired(noise(story, 600.0), SILENT, CONTROLLER) is None


def test_a_controller_without_a_pod_is_told_as_down_and_not_as_silent():
    cluster = Cluster()
    story = Story().see(controller(cluster, 0), app(cluster))
    noise(story, 600.0)
    assert fired(story, "controller-down", CONTROLLER) is not None
    assert fired(story, SILENT, CONTROLLER) is None


def test_what_a_silent_controller_does_not_look_at_is_in_its_incident():
    cluster = Cluster()
    story = Story().see(controller(cluster), app(cluster))
    noise(story, 400.0).see(app(cluster, "a", generation=2))
    incident = noise(story, 300.0).case.incident
    assert incident.root == CONTROLLER
    assert ref("Kustomization", "a") in {member.ref for member in incident.members}


def test_a_run_that_never_ends_is_told_with_what_it_was_doing():
    cluster = Cluster()
    story = Story().see(app(cluster, "a", progressing("Fetching manifests for revision main")))
    assert noise(story, 240.0).cases == []
    incident = noise(story, 120.0).case.incident
    assert incident.root == ref("Kustomization", "a")
    assert "a run began and has not ended for more than 270 s" in incident.cause
    assert "Fetching manifests" in incident.cause


def test_a_helm_release_may_upgrade_test_and_roll_back_before_its_run_is_called_endless():
    cluster = Cluster()
    story = Story().see(cluster.state("HelmRelease", "db", progressing("Running 'upgrade' action"), timeout=60.0))
    assert noise(story, 390.0).cases == []
    assert noise(story, 120.0).case.incident.root == ref("HelmRelease", "db")


def test_a_run_that_ends_in_time_is_quiet():
    cluster = Cluster()
    story = Story().see(app(cluster, "a", progressing()))
    noise(story, 150.0).see(app(cluster))
    assert noise(story, 600.0).cases == []


def test_a_run_is_not_called_endless_when_nothing_more_is_heard_of_anything():
    story = Story().see(app(Cluster(), "a", progressing()))
    assert story.wait(3600).cases == []


def source(
    cluster: Cluster, name: str, revision: str, upstream: str = "GitRepository https://x branch=main", **more: Any
):
    more = {"interval": 60.0, **more}
    return cluster.state("GitRepository", name, ready(), artifact_revision=revision, upstream=upstream, **more)


def test_a_source_that_stays_behind_another_of_the_same_address_is_told():
    cluster = Cluster()
    story = Story().see(source(cluster, "one", "main@1"), source(cluster, "two", "main@1"))
    story.wait(10).see(source(cluster, "one", "main@2"))
    assert story.wait(230).cases == []
    incident = story.wait(30).case.incident
    assert incident.root == ref("GitRepository", "two")
    assert "still has main@1, while GitRepository/apps/one has had main@2" in incident.cause
    assert "flux reconcile source git two -n apps" in incident.next_step
    story.see(source(cluster, "two", "main@2"))
    assert story.wait(60).case.incident.state.value == "resolved"


@pytest.mark.parametrize(
    "other",
    [
        {"upstream": "GitRepository https://x branch=dev"},
        {"suspended": True},
        {"upstream": ""},
    ],
)
def test_a_source_that_need_not_have_the_same_revision_is_not_behind(other):
    cluster = Cluster()
    story = Story().see(source(cluster, "one", "main@1"), source(cluster, "two", "main@1", **other))
    story.wait(10).see(source(cluster, "one", "main@2"))
    assert story.wait(600).cases == []


def applier(cluster: Cluster, name: str = "a", revision: str = "main@1", **more: Any) -> ObjectState:
    facts = {"source": ref("GitRepository", "one"), "applied_revision": revision, **more}
    return cluster.state("Kustomization", name, ready(), **facts)


def pushed(cluster: Cluster, *appliers: ObjectState) -> Story:
    """Play a push that nobody takes up."""
    story = Story().see(source(cluster, "one", "main@1"), *appliers).wait(10)
    return story.see(source(cluster, "one", "main@2"))


def test_a_new_revision_that_no_applier_begins_with_is_one_incident_for_all_of_them():
    cluster = Cluster()
    story = pushed(cluster, applier(cluster), applier(cluster, "b"))
    assert noise(story, 90.0).cases == []
    incident = noise(story, 120.0).case.incident
    assert incident.root == ref("Kustomization", "a")
    assert "still has main@1, though GitRepository/apps/one has had main@2 since 03:00:10" in incident.cause
    assert {member.ref.name for member in incident.members} == {"a", "b"}
    story.see(applier(cluster, "a", "main@2"), applier(cluster, "b", "main@2"))
    assert noise(story, 120.0).case.incident.state.value == "resolved"


def test_the_controller_that_begins_with_no_revision_is_the_root_where_it_is_seen_to_be_down():
    cluster = Cluster()
    story = pushed(cluster, applier(cluster), controller(cluster, 0))
    assert noise(story, 300.0).case.incident.root == CONTROLLER
    assert ref("Kustomization", "a") in {member.ref for member in story.case.incident.members}


@pytest.mark.parametrize("more", [{"suspended": True}, {"revision": "main@2"}])
def test_an_applier_that_need_not_take_a_revision_up_is_quiet(more):
    cluster = Cluster()
    assert noise(pushed(cluster, applier(cluster, **more)), 600.0).cases == []


def test_an_applier_that_was_touched_since_is_quiet():
    cluster = Cluster()
    story = pushed(cluster, applier(cluster))
    noise(story, 60.0).see(applier(cluster))
    assert noise(story, 600.0).cases == []


def test_what_cannot_download_from_a_dead_source_controller_is_in_its_incident():
    cluster = Cluster()
    labels = FLUX | {"app.kubernetes.io/component": "source-controller"}
    dead = cluster.state("Deployment", "source-controller", namespace="flux-system", labels=labels, replicas=pods(0, 1))
    story = Story().see(dead, cluster.state("Kustomization", "a", ready())).wait(200)
    told = "failed to download archive: GET http://source-controller/x.tar.gz giving up after 10 attempt(s)"
    story.see(cluster.state("Kustomization", "a", failing("ArtifactFailed", told)))
    assert story.wait(60).case.incident.root == dead.ref
    assert ref("Kustomization", "a") in {member.ref for member in story.case.incident.members}


def test_a_root_whose_finding_still_holds_has_not_recovered_though_it_says_ready():
    cluster = Cluster()
    story = Story().see(controller(cluster, 0)).wait(120)
    assert not [entry for entry in story.case.incident.timeline if entry.kind == "recovered"]
