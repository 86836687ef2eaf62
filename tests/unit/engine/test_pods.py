"""Detectors of what is wrong with the pods below a failure: each trouble is told with its own remedy."""

import pytest

from daemon.flux.kinds import group_for_kind
from daemon.model.findings import Finding, FindingState, Severity
from daemon.model.objects import PodTrouble, Replicas
from daemon.model.refs import Fingerprint, ObjectRef
from daemon.model.signals import EventSeen
from tests.builders import RULES, Cluster, Story, failing, helm, pods, ready, ref, unhealthy

APP, WEB = ref("Kustomization", "app"), ref("Deployment", "web")
BACK_OFF = "back-off 40s restarting failed container=main"
RELEASE = {"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": "apps"}


def pod(cluster: Cluster, trouble: PodTrouble | None, owner: ObjectRef = WEB, name: str = "web-1"):
    return cluster.state("Pod", name, owners=(owner,), pod=trouble)


def applying(cluster: Cluster, name: str):
    check = unhealthy(f"Deployment/apps/{name}")
    return cluster.state("Kustomization", f"app-{name}", check, contains=(ref("Deployment", name),))


def fired(story: Story, test: str, where: ObjectRef = APP) -> Finding | None:
    found = story.world.findings.get(Fingerprint(test, where))
    return found if found is not None and found.state is FindingState.FIRING else None


@pytest.mark.parametrize(
    ("test", "reason", "advice"),
    [
        ("image-pull", "ImagePullBackOff", "describe pod web-1"),
        ("image-pull", "ErrImagePull", "pull secret"),
        ("crash-loop", "CrashLoopBackOff", "logs web-1 -c main --previous"),
        ("crash-loop", "OOMKilled", "logs web-1 -c main --previous"),
        ("unschedulable", "Unschedulable", "describe nodes"),
    ],
)
def test_the_trouble_of_the_pods_below_a_failed_check_is_told_with_its_remedy(test, reason, advice):
    cluster = Cluster()
    story = Story().see(
        cluster.state("Deployment", "web", replicas=pods(0, 2)),
        cluster.state("Kustomization", "app", unhealthy("Deployment/apps/web"), contains=(WEB,)),
        pod(cluster, PodTrouble(reason, "because", "main")),
    )
    found = fired(story.wait(6), test)
    assert "Deployment apps/web" in found.summary
    assert f"{reason}: because" in found.summary
    assert advice in found.next_step
    assert found.related == (WEB,)


def test_the_best_next_step_of_an_incident_is_that_of_the_pods_trouble():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Deployment", "web", replicas=pods(0, 2)),
        cluster.state("Kustomization", "app", unhealthy("Deployment/apps/web"), contains=(WEB,)),
        pod(cluster, PodTrouble("CrashLoopBackOff", BACK_OFF, "main")),
    )
    assert "logs web-1 -c main --previous" in story.wait(30).case.incident.next_step


def test_a_failed_release_is_told_what_its_own_pods_say():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Deployment", "web", replicas=pods(0, 1), annotations=RELEASE),
        cluster.state("HelmRelease", "db", failing("UpgradeFailed", "context deadline exceeded"), helm=helm("db")),
        pod(cluster, PodTrouble("ImagePullBackOff", "no such tag")),
    )
    assert fired(story.wait(6), "image-pull", ref("HelmRelease", "db")) is not None


@pytest.mark.parametrize(
    ("state", "trouble", "replicas"),
    [
        (unhealthy("Deployment/apps/other"), PodTrouble("ImagePullBackOff"), pods(0, 2)),  # another workload is blamed
        (unhealthy("Deployment/apps/web"), PodTrouble("ImagePullBackOff"), pods(2, 2)),  # the old pod of a done rollout
        (unhealthy("Deployment/apps/web"), PodTrouble("ContainerCreating"), pods(0, 2)),  # it has only begun
        (unhealthy("Deployment/apps/web"), None, pods(0, 2)),
        (ready(), PodTrouble("ImagePullBackOff"), pods(0, 2)),  # nobody waits for it
    ],
)
def test_pods_that_nothing_fails_of_are_not_told(state, trouble, replicas: Replicas):
    cluster = Cluster()
    story = (
        Story()
        .see(
            cluster.state("Deployment", "web", replicas=replicas),
            cluster.state("Kustomization", "app", state, contains=(WEB,)),
            pod(cluster, trouble),
        )
        .wait(60)
    )
    assert not any(fired(story, test) for test in ("image-pull", "crash-loop", "unschedulable"))


def test_a_registry_that_no_pod_reaches_is_one_incident_however_many_wait_for_their_image():
    cluster, story = Cluster(), Story()
    unreachable = "failed to pull image: dial tcp: lookup registry.example.com on 10.0.0.10:53: no such host"
    for name in ("one", "two", "three"):
        story.see(
            cluster.state("Deployment", name, replicas=pods(0, 1)),
            applying(cluster, name),
            pod(cluster, PodTrouble("ErrImagePull", unreachable), ref("Deployment", name), f"{name}-1"),
        ).wait(1)
    story.wait(60)
    open_now = [case for case in story.cases if case.open]
    assert len(open_now) == 1
    assert {f"Kustomization/apps/app-{name}" for name in ("one", "two", "three")} <= {
        str(member.ref) for member in open_now[0].incident.members
    }


def test_the_host_that_a_pod_named_once_stays_known_while_kubelet_only_says_that_it_backs_off():
    cluster = Cluster()
    unreachable = "dial tcp: lookup registry.example.com on 10.0.0.10:53: no such host"
    story = Story().see(
        cluster.state("Deployment", "web", replicas=pods(0, 1)),
        cluster.state("Kustomization", "app", unhealthy("Deployment/apps/web"), contains=(WEB,)),
        pod(cluster, PodTrouble("ErrImagePull", unreachable)),
    )
    assert story.world.objects[APP].shared == "host registry.example.com"
    story.see(pod(cluster, PodTrouble("ImagePullBackOff", "Back-off pulling image")))
    assert story.world.objects[APP].shared == "host registry.example.com"
    story.see(cluster.state("Kustomization", "app", ready()))
    assert story.world.objects[APP].shared == ""


def test_a_workload_with_nothing_but_fluxs_labels_belongs_to_the_release_that_they_name():
    cluster = Cluster()
    labels = {"helm.toolkit.fluxcd.io/name": "db", "helm.toolkit.fluxcd.io/namespace": "apps"}
    story = Story().see(
        cluster.state("HelmRelease", "db", failing("UpgradeFailed", "timed out"), helm=helm("other-name")),
        cluster.state("Deployment", "web", replicas=pods(0, 1), labels=labels),
        cluster.state("Kustomization", "app", unhealthy("Deployment/apps/web"), health_checks=(WEB,)),
    )
    assert story.wait(30).case.incident.root == ref("HelmRelease", "db")
    assert APP in {member.ref for member in story.case.incident.members}


def test_labels_that_name_a_release_which_is_gone_blame_nobody():
    cluster = Cluster()
    labels = {"helm.toolkit.fluxcd.io/name": "gone", "helm.toolkit.fluxcd.io/namespace": "apps"}
    story = Story().see(
        cluster.state("Deployment", "web", replicas=pods(0, 1), labels=labels),
        cluster.state("Kustomization", "app", unhealthy("Deployment/apps/web"), health_checks=(WEB,)),
    )
    assert story.wait(30).case.incident.root == APP


def test_pods_say_nothing_where_the_rule_is_switched_off():
    cluster = Cluster()
    off = (
        RULES + "---\napiVersion: fluxmedic.dev/v1\nkind: Rule\nmetadata: {name: failed}\nspec: {overlay: true, WHAT}\n"
    )
    states = (
        cluster.state("Deployment", "web", replicas=pods(0, 2)),
        cluster.state("Kustomization", "app", unhealthy("Deployment/apps/web"), contains=(WEB,)),
        pod(cluster, PodTrouble("ImagePullBackOff")),
    )
    assert Story(off.replace("WHAT", "enabled: false")).see(*states).wait(60).cases == []
    quieter = Story(off.replace("WHAT", "severity: warning")).see(*states).wait(60).case.incident
    assert (quieter.severity, quieter.rules) == (Severity.WARNING, ("failed", "image-pull"))


def refused(story: Story, message: str, uid: str = "e1") -> EventSeen:
    return EventSeen(story.at, ref("ReplicaSet", "web-7c"), "FailedCreate", message, warning=True, uid=uid)


@pytest.mark.parametrize("trouble", [None, PodTrouble("Pending")])
def test_why_there_is_no_pod_at_all_is_read_from_the_events_of_the_replica_set(trouble):
    cluster = Cluster()
    story = (
        Story()
        .see(
            cluster.state("Deployment", "web", replicas=pods(0, 1)),
            cluster.state("ReplicaSet", "web-7c", owners=(WEB,), replicas=pods(0, 1)),
            cluster.state("Kustomization", "app", unhealthy("Deployment/apps/web"), contains=(WEB,)),
            pod(cluster, trouble, ref("ReplicaSet", "web-7c")),
        )
        .wait(20)
    )
    assert "PodSecurity" not in story.case.incident.cause
    story.give(refused(story, 'pods "web-7c-x" is forbidden: violates PodSecurity "restricted:latest"'))
    assert 'FailedCreate: pods "web-7c-x" is forbidden: violates PodSecurity' in story.case.incident.cause


def test_the_trouble_of_a_pod_says_more_than_the_events_of_its_replica_set():
    cluster = Cluster()
    story = (
        Story()
        .see(
            cluster.state("Deployment", "web", replicas=pods(0, 1)),
            cluster.state("ReplicaSet", "web-7c", owners=(WEB,), replicas=pods(0, 1)),
            cluster.state("Kustomization", "app", unhealthy("Deployment/apps/web"), contains=(WEB,)),
            pod(cluster, PodTrouble("ImagePullBackOff", "no such tag"), ref("ReplicaSet", "web-7c")),
        )
        .wait(20)
    )
    story.give(refused(story, "something old"))
    assert "(ImagePullBackOff: no such tag)" in story.case.incident.cause


@pytest.mark.parametrize(
    ("kind", "reason"), [("PersistentVolumeClaim", "ProvisioningFailed"), ("Job", "BackoffLimitExceeded")]
)
def test_what_a_check_waits_for_beside_workloads_says_why_in_its_events(kind, reason):
    where = ObjectRef("default", group_for_kind(kind), kind, "apps", "data")
    story = (
        Story().see(Cluster().state("Kustomization", "app", unhealthy(f"{kind}/apps/data"), contains=(where,))).wait(20)
    )
    story.give(EventSeen(story.at, where, reason, 'storageclass "fast" not found', warning=True, uid="e1"))
    assert f'{reason}: storageclass "fast" not found' in story.case.incident.cause


def test_a_crash_that_a_rollback_ended_stays_in_the_cause():
    cluster = Cluster()
    told = (
        "Helm upgrade failed for release apps/db with chart db@2: "
        "timeout waiting for: [Deployment/apps/web status: 'InProgress']"
    )
    story = (
        Story()
        .see(
            cluster.state("Deployment", "web", replicas=pods(0, 1), annotations=RELEASE),
            cluster.state("HelmRelease", "db", failing("UpgradeFailed", told), helm=helm("db")),
            pod(cluster, PodTrouble("CrashLoopBackOff", BACK_OFF)),
        )
        .wait(20)
    )
    assert "CrashLoopBackOff" in story.case.incident.cause
    released = failing("UpgradeFailed", told)
    story.see(
        cluster.state("Deployment", "web", replicas=pods(1, 1), annotations=RELEASE),
        cluster.state(
            "HelmRelease",
            "db",
            failing("RollbackSucceeded", "Helm rollback to previous release succeeded"),
            type(released)("Released", "False", "UpgradeFailed", told),
            helm=helm("db"),
        ),
    ).wait(20)
    assert "CrashLoopBackOff" in story.case.incident.cause
