"""The one line that says why, and what changed before."""

from dataclasses import replace
from typing import Any

import pytest

from daemon.engine.cause import CAUSE_LENGTH, cause_of, is_poorer, workload_line
from daemon.model.effects import Inspect
from daemon.model.incidents import Change, Member, Role
from daemon.model.objects import Condition, HelmTarget, PodTrouble, ReleaseRevision, Replicas, Writer
from daemon.model.signals import EventSeen, ReleaseSeen
from tests.builders import (
    RULES,
    T0,
    Cluster,
    Story,
    failing,
    helm,
    needs,
    pods,
    progressing,
    ready,
    ref,
    unhealthy,
    waiting,
)

CLAIM = {"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": "apps"}


def rollout(*pods_seen, replicas=None) -> Story:
    """A Kustomization waits for a deployment whose pods are these."""
    cluster = Cluster()
    workload = cluster.state("Deployment", "web", replicas=replicas or pods(0, 2))
    middle = cluster.state("ReplicaSet", "web-1", owners=(workload.ref,), replicas=pods(0, 2))
    seen = [
        cluster.state("Pod", f"web-1-{index}", owners=(middle.ref,), pod=trouble)
        for index, trouble in enumerate(pods_seen)
    ]
    return Story().see(workload, middle, *seen, cluster.state("Kustomization", "a", unhealthy("Deployment/apps/web")))


def test_the_cause_names_the_workload_that_is_down_and_why():
    story = rollout(PodTrouble("ImagePullBackOff", "no such image")).wait(6)
    assert story.case.incident.cause.endswith(
        "Deployment/apps/web InProgress — 0/2 ready (ImagePullBackOff: no such image)"
    )


def test_of_several_troubles_the_most_frequent_is_told():
    story = rollout(PodTrouble("A"), PodTrouble("B"), PodTrouble("B"), None).wait(6)
    assert story.case.incident.cause.endswith("(B)")


def test_pods_that_belong_to_the_workload_itself_count_too():
    cluster = Cluster()
    workload = cluster.state("DaemonSet", "cni", replicas=pods(0, 1))
    pod = cluster.state("Pod", "cni-1", owners=(workload.ref,), pod=PodTrouble("CrashLoopBackOff"))
    story = Story().see(workload, pod, cluster.state("Kustomization", "a", unhealthy("DaemonSet/apps/cni"))).wait(6)
    assert "0/1 ready (CrashLoopBackOff)" in story.case.incident.cause


def test_pods_that_are_ready_but_of_the_old_template_are_told_as_such():
    story = rollout(replicas=Replicas(2, 2, 1, 2)).wait(6)
    assert "2/2 ready, 1/2 of the new template" in story.case.incident.cause


def test_an_old_pod_that_serves_on_while_the_new_one_fails_does_not_hide_it():
    story = rollout(PodTrouble("ImagePullBackOff"), replicas=Replicas(1, 1, 1, 1, old=1)).wait(6)
    assert story.case.incident.cause.endswith(
        "Deployment/apps/web InProgress — 1/1 ready, 1 of the old template (ImagePullBackOff)"
    )


def test_the_cause_is_never_told_poorer_while_it_is_the_same():
    cluster = Cluster()
    story = rollout(PodTrouble("ImagePullBackOff")).wait(6)
    full = story.case.incident.cause
    cluster.version = 100
    story.see(cluster.state("Deployment", "web", replicas=pods(2, 2))).wait(1)
    assert story.case.incident.cause == full


def test_how_many_pods_are_ready_by_now_is_no_new_cause():
    cluster = Cluster()
    story = rollout().wait(6)
    cluster.version = 100
    story.see(cluster.state("Deployment", "web", replicas=pods(1, 2))).wait(1)
    assert [entry.kind for entry in story.case.incident.timeline].count("cause") == 1


def test_a_long_cause_is_cut_but_keeps_what_stands_below():
    cluster = Cluster()
    workload = cluster.state("Deployment", "web", replicas=pods(0, 2))
    words = f"health check failed: {'x' * 400}: timeout waiting for: [Deployment/apps/web status: 'InProgress']"
    story = Story().see(workload, cluster.state("Kustomization", "a", failing("HealthCheckFailed", words))).wait(6)
    assert len(story.case.incident.cause) <= CAUSE_LENGTH
    assert "Deployment" in story.case.incident.cause


def test_a_detector_knows_more_than_the_condition():
    cluster = Cluster()
    state = cluster.state("Kustomization", "a", failing(), generation=2, observed_generation=2, suspended=False)
    story = Story().see(state).wait(6)
    assert story.case.incident.cause == "Kustomization apps/a: kustomize build failed: no such file"


def test_a_silent_root_is_told_in_the_words_of_its_first_member():
    cluster = Cluster()
    lagging = cluster.state("GitRepository", "repo", ready(), generation=2, observed_generation=1)
    story = Story().see(lagging).wait(100)
    assert story.case.incident.cause.startswith("GitRepository apps/repo: generation 2 was never looked at")


def test_what_changed_is_told_from_the_root_its_owner_and_its_source():
    cluster = Cluster()
    source = ref("GitRepository", "repo")
    release = cluster.state("HelmRelease", "db", ready(), helm=helm("db"), applied_revision="1.0.0")
    owner = cluster.state(
        "Kustomization",
        "app",
        ready(),
        contains=(release.ref,),
        path="./apps",
        source=source,
        attempted_revision="main@sha1:new",
        applied_revision="main@sha1:old",
    )
    story = Story().see(cluster.state("GitRepository", "repo", ready()), owner, release)
    for message in ("stored artifact for commit 'feat: break it'", "something else"):
        story.give(EventSeen(story.at, source, "NewArtifact", message))
    broken = cluster.state("HelmRelease", "db", failing(), helm=helm("db"), attempted_revision="2.0.0")
    story.see(broken).wait(6)
    assert story.case.incident.change == Change(
        last_good="1.0.0",
        failing="2.0.0",
        commit="feat: break it",
        source="GitRepository/apps/repo",
        owner="Kustomization/apps/app (path ./apps)",
        controller="helm-controller",
    )


def test_who_made_and_who_wrote_it_is_told_where_it_is_known():
    cluster = Cluster()
    writers = (
        Writer("kustomize-controller", "Apply", at=T0),
        Writer("kubectl", "Apply", at=T0.replace(minute=5)),
        Writer("kustomize-controller", "Update", "status", T0.replace(minute=9)),
    )
    source = cluster.state("OCIRepository", "repo", ready(), artifact_author="Ada")
    facts: dict[str, Any] = {"source": source.ref, "writers": writers, "attempted_revision": "2"}
    story = Story().see(source, cluster.state("Kustomization", "a", failing(), **facts))
    change = story.wait(6).case.incident.change
    assert change.author == "Ada"
    assert change.controller == "kustomize-controller"
    assert change.writer == "kubectl, 2026-03-01 03:05:00 UTC"


def test_what_the_root_does_not_say_of_its_revisions_its_owner_does():
    cluster = Cluster()
    release = cluster.state("HelmRelease", "db", failing(), helm=helm("db"))
    owner = cluster.state(
        "Kustomization", "app", ready(), contains=(release.ref,), attempted_revision="m@2", applied_revision="m@1"
    )
    story = Story().see(owner, release).wait(6)
    assert (story.case.incident.change.last_good, story.case.incident.change.failing) == ("m@1", "m@2")


def test_an_info_finding_never_names_the_cause_of_a_failure():
    cluster = Cluster()
    story = Story().give(ReleaseSeen(Story().at, "default", "apps", "db", 1, "deployed", "Helm"))
    story.see(cluster.state("HelmRelease", "db", failing("UpgradeFailed", "no"), helm=helm("db"))).wait(6)
    assert story.case.incident.cause == "HelmRelease apps/db: no"


def test_a_failure_without_words_is_told_by_its_reason():
    story = Story().see(Cluster().state("Kustomization", "a", failing("BuildFailed", ""))).wait(6)
    assert story.case.incident.cause == "Kustomization apps/a: BuildFailed"


@pytest.mark.parametrize(
    ("reason", "said", "words"),
    [
        ("RollbackSucceeded", "Helm upgrade failed: no space", "Helm upgrade failed: no space; rolled back"),
        ("UninstallSucceeded", "Helm install failed: no space", "Helm install failed: no space; uninstalled again"),
        ("RollbackSucceeded", "", "Helm rollback succeeded; rolled back"),
    ],
)
def test_what_was_taken_back_is_told_by_what_had_failed(reason, said, words):
    taken_back = failing(reason, "Helm rollback succeeded")
    released = [Condition("Released", "False", "UpgradeFailed", said, 1)] if said else []
    release = Cluster().state("HelmRelease", "db", taken_back, *released, helm=helm("db"))
    assert Story().see(release).wait(6).case.incident.cause == f"HelmRelease apps/db: {words}"


def test_what_had_failed_is_remembered_while_the_next_try_runs():
    cluster = Cluster()
    taken_back = failing("RollbackSucceeded", "Helm rollback succeeded")
    refused = Condition("Released", "False", "UpgradeFailed", "Helm upgrade failed: no space", 1)
    story = Story().see(cluster.state("HelmRelease", "db", taken_back, refused, helm=helm("db"))).wait(6)
    released = Condition("Released", "True", "UpgradeSucceeded", "", 1)
    story.see(cluster.state("HelmRelease", "db", progressing(), released, helm=helm("db"))).wait(6)
    assert story.case.incident.cause == "HelmRelease apps/db: Helm upgrade failed: no space; rolled back"


def test_a_pod_that_has_only_begun_says_nothing_new():
    known = "Kustomization apps/a: no — Deployment apps/web 0/2 ready (ImagePullBackOff)"
    for poorer in ("Deployment apps/web 1/2 ready", "Deployment apps/web 0/2 ready (ContainerCreating)"):
        assert is_poorer(f"Kustomization apps/a: no — {poorer}", known)


def test_another_trouble_below_and_another_failure_are_news():
    known = "Kustomization apps/a: no — Deployment apps/web 0/2 ready (ImagePullBackOff)"
    assert not is_poorer("Kustomization apps/a: no — Deployment apps/web 0/2 ready (CrashLoopBackOff)", known)
    assert not is_poorer("Kustomization apps/a: yes", known)


def test_the_pods_of_a_workload_that_is_down_are_asked_for_now_and_then():
    cluster = Cluster()
    down: dict[str, Any] = {"replicas": pods(0, 2), "selector": {"app": "web"}}
    story = Story().see(cluster.state("Deployment", "web", **down))
    story.see(cluster.state("Kustomization", "a", unhealthy("Deployment/apps/web"))).wait(6)
    asked = [effect for effect in story.effects if isinstance(effect, Inspect)]
    assert asked == [Inspect(ref("Deployment", "web"), (("app", "web"),))]
    pod = cluster.state("Pod", "web-1", owners=(ref("Deployment", "web"),), pod=PodTrouble("X"))
    story.see(pod).wait(35)
    asked = [effect for effect in story.effects if isinstance(effect, Inspect)]
    assert [each.known for each in asked] == [(), (pod.ref,)]


def test_pods_are_forgotten_when_their_incident_is_over():
    cluster = Cluster()
    story = Story().see(cluster.state("Deployment", "web", replicas=pods(0, 2), selector={"app": "web"}))
    story.see(cluster.state("Kustomization", "a", unhealthy("Deployment/apps/web"))).wait(6)
    pod = cluster.state("Pod", "web-1", owners=(ref("Deployment", "web"),), pod=PodTrouble("X"))
    story.see(pod, cluster.state("Deployment", "web", replicas=pods(2, 2), selector={"app": "web"}))
    story.see(cluster.state("Kustomization", "a", ready())).wait(60)
    assert pod.ref not in story.world.objects


def test_a_workload_of_which_no_numbers_are_known_is_named():
    assert workload_line(Cluster().state("Deployment", "web")) == "Deployment apps/web"


SUSPENDED = RULES.replace("health: Failed", "health: Suspended")


def test_a_suspended_root_says_so_and_what_it_failed_of_before():
    cluster = Cluster()
    story = Story(SUSPENDED).see(cluster.state("Kustomization", "a", ready(), suspended=True)).wait(6)
    assert story.case.incident.cause == "Kustomization apps/a: is suspended"
    story = Story(SUSPENDED).see(cluster.state("Kustomization", "a", failing("X", "it broke"), suspended=True)).wait(6)
    assert story.case.incident.cause == "Kustomization apps/a: is suspended, and failed before: it broke"


def test_where_no_condition_tells_of_a_failure_the_rule_that_found_it_does():
    story = Story(RULES.replace("health: Failed", "health: Current"))
    story.see(Cluster().state("Kustomization", "a", ready())).wait(6)
    assert story.case.incident.cause == "Kustomization apps/a: Kustomization apps/a fails: ReconciliationSucceeded"


def test_that_time_ran_out_is_said_in_three_words_where_more_is_known():
    cluster = Cluster()
    words = "Helm upgrade failed for release apps/db.v2 with chart db@1: context deadline exceeded"
    workload = cluster.state("Deployment", "db", annotations=CLAIM, replicas=pods(0, 1))
    story = Story().see(workload, cluster.state("HelmRelease", "db", failing("UpgradeFailed", words), helm=helm("db")))
    assert story.wait(6).case.incident.cause == (
        "HelmRelease apps/db: Helm upgrade failed: time ran out — Deployment apps/db 0/1 ready"
    )


def told_by_pods(*pods_seen: tuple[str, Condition | None, list[tuple[str, bool]]]) -> str:
    """Return the cause of a failed check, with pods that are ready or not and said this (reason, warning)."""
    cluster, workload = Cluster(), ref("Deployment", "web")
    story = Story().see(cluster.state("Deployment", "web", replicas=pods(0, 1)))
    for name, condition, events in pods_seen:
        story.see(cluster.state("Pod", name, *((condition,) if condition else ()), owners=(workload,)))
        for reason, warning in events:
            story.wait(1).give(EventSeen(story.at, ref("Pod", name), reason, f"of {name}", warning=warning))
    story.see(cluster.state("Kustomization", "a", unhealthy("Deployment/apps/web"))).wait(6)
    return story.case.incident.cause.partition(" (")[2].rstrip(")")


UNREADY = Condition("Ready", "False")


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([("a", None, [("FailedMount", True)])], "FailedMount: of a"),
        ([("a", UNREADY, [("FailedMount", True), ("Started", False)])], ""),
        ([("a", Condition("Ready", "True"), [("FailedMount", True)])], ""),
        ([("a", UNREADY, [("Unhealthy", True)]), ("b", UNREADY, [("FailedMount", True)])], "FailedMount: of b"),
        ([("b", UNREADY, [("FailedMount", True)]), ("a", UNREADY, [("Unhealthy", True)])], "Unhealthy: of a"),
    ],
)
def test_of_pods_that_are_not_ready_the_last_warning_that_was_not_overcome_is_told(seen, told):
    assert told_by_pods(*seen) == told


def test_a_cause_outlives_its_root():
    cluster = Cluster()
    needed = needs(ref("Kustomization", "a"))
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "b", failing(), depends_on=needed)).lose(ref("Kustomization", "a"))
    assert story.cases[0].incident.cause == "Kustomization apps/a: kustomize build failed: no such file"


def test_a_root_that_is_gone_is_still_told_with_what_is_down_below_it():
    cluster = Cluster()
    rules = RULES.replace("health: Failed", "health: Suspended")
    workload = cluster.state("Deployment", "db", annotations=CLAIM, replicas=pods(0, 1))
    story = Story(rules).see(workload, cluster.state("HelmRelease", "db", ready(), helm=helm("db"), suspended=True))
    story.wait(6)
    needed = needs(ref("HelmRelease", "db"))
    story.see(cluster.state("HelmRelease", "web", waiting("apps/db"), depends_on=needed))
    story.see(cluster.state("HelmRelease", "web", failing("X", "boom"), depends_on=needed)).wait(1)
    story.lose(ref("HelmRelease", "db")).wait(1)
    assert story.cases[0].incident.root == ref("HelmRelease", "db")


def test_a_root_that_is_gone_before_it_said_anything_leaves_the_word_to_its_victims():
    cluster = Cluster()
    workload = cluster.state("Deployment", "web", replicas=pods(0, 1))
    victim = cluster.state("Kustomization", "b", failing("X", "boom"))
    story = Story().see(workload, victim).wait(6)
    case = story.case
    gone = Member(ref("Kustomization", "a"), Role.ROOT, story.at)
    case.incident = replace(case.incident, root=gone.ref, cause="", members=(gone, *case.incident.members))
    case.workloads.add(workload.ref)
    assert cause_of(story.world, case) == "Kustomization apps/a: boom — Deployment apps/web 0/1 ready"


def test_the_last_good_revision_is_known_of_what_already_fails_when_it_is_first_seen():
    cluster = Cluster()
    applied: dict[str, Any] = {"applied_revision": "main@sha1:aaa", "attempted_revision": "main@sha1:bbb"}
    change = Story().see(cluster.state("Kustomization", "a", failing(), **applied)).wait(6).case.incident.change
    assert (change.last_good, change.failing) == ("main@sha1:aaa", "main@sha1:bbb")


def test_the_last_good_version_of_a_release_is_the_newest_that_helm_had_in_force():
    history = (ReleaseRevision(3, "failed", "web", "1.3.0"), ReleaseRevision(2, "deployed", "web", "1.2.0"))
    target = HelmTarget("web", "apps", "apps", history)
    state = Cluster().state("HelmRelease", "web", failing("UpgradeFailed"), helm=target, attempted_revision="1.3.0")
    change = Story().see(state).wait(6).case.incident.change
    assert (change.last_good, change.failing) == ("1.2.0", "1.3.0")
