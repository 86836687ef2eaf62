"""What a rule asks to be shown is gathered once, when the grouping wait is over."""

from daemon.model.objects import PodTrouble
from daemon.model.signals import EventSeen, ReleaseSeen
from tests.builders import T0, Cluster, Story, failing, helm, pods, ready, ref

RULES = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: broken}
spec:
  match: {kind: [HelmRelease, Kustomization], health: Failed}
  severity: critical
  summary: it fails
  evidence: [culprit, events, helm-release, workload]
  examples:
    - {name: fires, given: [{ready: "False", reason: X}], after: 1s, expect: {state: firing}}
    - {name: quiet, given: [{ready: "True"}], after: 1s, expect: {state: none}}
"""
CLAIM = {"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": "apps"}


def evidence(story: Story) -> list[str]:
    return [entry.text for entry in story.case.incident.timeline if entry.kind == "evidence"][1:]


def test_everything_that_is_known_of_the_root_is_told_once():
    cluster = Cluster()
    story = Story(RULES).give(
        ReleaseSeen(T0, "default", "apps", "db", 1, "superseded", "Helm"),
        ReleaseSeen(T0, "default", "apps", "db", 2, "failed"),
    )
    workload = cluster.state("Deployment", "db", annotations=CLAIM, replicas=pods(0, 1))
    pod = cluster.state("Pod", "db-1", owners=(workload.ref,), pod=PodTrouble("CrashLoopBackOff", "exit 1"))
    story.see(workload, pod, cluster.state("HelmRelease", "db", failing("UpgradeFailed", "boom"), helm=helm("db")))
    story.give(
        EventSeen(story.at, ref("HelmRelease", "db"), "UpgradeFailed", "it broke", warning=True),
        EventSeen(story.at, ref("HelmRelease", "db"), "Info", "nothing"),
    )
    story.wait(60)
    found = evidence(story)
    assert "Ready=False UpgradeFailed: boom" in found
    assert "event UpgradeFailed: it broke" in found
    assert "Helm storage of apps/db: v1 superseded by Helm, v2 failed by ?" in found
    assert "Deployment apps/db 0/1 ready: CrashLoopBackOff: exit 1" in found
    assert len(found) == len(set(found))


def test_what_is_not_known_adds_nothing():
    story = Story(RULES).see(Cluster().state("Kustomization", "a", failing())).wait(60)
    assert evidence(story) == ["Ready=False BuildFailed: kustomize build failed: no such file"]


def test_nothing_is_gathered_before_the_grouping_wait_is_over():
    story = Story(RULES).see(Cluster().state("Kustomization", "a", failing())).wait(5)
    assert evidence(story) == []


def test_a_workload_that_vanished_is_left_out():
    cluster = Cluster()
    workload = cluster.state("Deployment", "db", annotations=CLAIM, replicas=pods(0, 1))
    release = cluster.state("HelmRelease", "db", failing("UpgradeFailed", "boom"), helm=helm("db"))
    story = Story(RULES).see(workload, release).wait(1).lose(workload.ref).wait(60)
    assert not any("Deployment apps/db" in line for line in evidence(story))


def test_a_root_that_is_gone_has_no_evidence_left():
    story = Story(RULES, resolve_after=100.0).see(Cluster().state("Kustomization", "a", failing())).wait(5)
    story.lose(ref("Kustomization", "a")).wait(20)
    assert evidence(story) == []


def test_a_root_that_never_failed_has_no_failing_condition_to_show():
    rules = RULES.replace("health: Failed", "health: Suspended")
    story = Story(rules).see(Cluster().state("Kustomization", "a", ready(), suspended=True)).wait(60)
    assert evidence(story) == []
