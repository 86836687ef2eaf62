"""Workloads and pods, decoded: how many pods there are of those wanted, and why one is not well."""

import pytest

from daemon.flux.decode import decode_object
from daemon.model.objects import PodTrouble, Replicas


def raw(kind: str, api: str, **parts: object) -> dict[str, object]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "a", "namespace": "apps", "generation": 2}, **parts}


@pytest.mark.parametrize(
    ("kind", "spec", "status", "expected"),
    [
        (
            "Deployment",
            {"replicas": 3},
            {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
            Replicas(3, 1, 2, 1),
        ),
        ("Deployment", {}, {}, Replicas(1, 0, 0, 0)),
        (
            "Deployment",
            {"replicas": 1},
            {"replicas": 2, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
            Replicas(1, 1, 1, 1, old=1),
        ),
        (
            "DaemonSet",
            {},
            {"desiredNumberScheduled": 2, "numberReady": 2, "updatedNumberScheduled": 2, "numberAvailable": 2},
            Replicas(2, 2, 2, 2),
        ),
        ("StatefulSet", {"replicas": 2}, {"readyReplicas": 2}, Replicas(2, 2, 2, 2)),
        (
            "StatefulSet",
            {"replicas": 2},
            {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
            Replicas(2, 1, 2, 1),
        ),
        ("StatefulSet", {}, {}, Replicas(1, 0, 0, 0)),
        ("ReplicaSet", {"replicas": 2}, {"readyReplicas": 1}, Replicas(2, 1, 1, 0)),
        ("ReplicaSet", {}, {}, Replicas(1, 0, 0, 0)),
    ],
)
def test_workloads_count_their_pods(kind, spec, status, expected):
    spec = spec | {"selector": {"matchLabels": {"app": "web"}}}
    state = decode_object(raw(kind, "apps/v1", spec=spec, status=status | {"observedGeneration": 2}), "c")
    assert state.replicas == expected
    assert state.selector == {"app": "web"}


def test_a_workload_whose_controller_is_behind_is_not_complete():
    state = decode_object(raw("Deployment", "apps/v1", spec={"replicas": 0}, status={"observedGeneration": 1}), "c")
    assert state.replicas is not None
    assert not state.replicas.complete


def container(state: dict[str, object], **more: object) -> dict[str, object]:
    return {"name": "main", "state": state, **more}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Running", "containerStatuses": [container({"running": {}}, ready=True)]}, None),
        (
            {"containerStatuses": [container({"waiting": {"reason": "ImagePullBackOff", "message": "no"}})]},
            PodTrouble("ImagePullBackOff", "no", "main"),
        ),
        ({"phase": "Running", "containerStatuses": [container({"waiting": {"reason": "ContainerCreating"}})]}, None),
        (
            {"containerStatuses": [container({"terminated": {"exitCode": 3}})]},
            PodTrouble("Error", "exit code 3", "main"),
        ),
        (
            {"containerStatuses": [container({"terminated": {"exitCode": 1, "reason": "OOMKilled", "message": "m"}})]},
            PodTrouble("OOMKilled", "m", "main"),
        ),
        ({"phase": "Succeeded", "containerStatuses": [container({"terminated": {"exitCode": 0}})]}, None),
        (
            {
                "phase": "Running",
                "containerStatuses": [container({"running": {"startedAt": "x"}}, ready=False, restartCount=4)],
            },
            PodTrouble("NotReady", "restarted 4 times", "main"),
        ),
        (
            {"initContainerStatuses": [container({"waiting": {"reason": "CrashLoopBackOff"}})]},
            PodTrouble("CrashLoopBackOff", "", "main"),
        ),
        (
            {
                "phase": "Pending",
                "conditions": [
                    {"type": "Other"},
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"},
                ],
            },
            PodTrouble("Unschedulable", "0/3 nodes"),
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "disk"}, PodTrouble("Evicted", "disk")),
        ({"phase": "Pending"}, PodTrouble("Pending")),
        ({}, PodTrouble("Pending")),
    ],
)
def test_a_pod_says_why_it_is_not_well(status, expected):
    assert decode_object(raw("Pod", "v1", spec={}, status=status), "c").pod == expected


def test_a_pod_that_waits_on_its_node_has_no_trouble_yet():
    assert decode_object(raw("Pod", "v1", spec={"nodeName": "n"}, status={"phase": "Pending"}), "c").pod is None


@pytest.mark.parametrize(
    ("strategy", "updated", "complete"),
    [
        ({"type": "OnDelete"}, 1, True),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, 1, True),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}, 1, False),
        ({"type": "RollingUpdate"}, 1, False),
        ({}, 3, True),
    ],
)
def test_pods_that_the_update_strategy_leaves_alone_need_no_new_template(strategy, updated, complete):
    status = {"observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": updated, "availableReplicas": 3}
    spec = {"replicas": 3, "updateStrategy": strategy}
    found = decode_object(raw("StatefulSet", "apps/v1", spec=spec, status=status), "c").replicas
    assert found is not None
    assert found.complete is complete


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        ({"reason": "OOMKilled", "exitCode": 137}, "back-off 40s; last ended by OOMKilled (exit code 137)"),
        ({"reason": "Error", "exitCode": 2}, "back-off 40s; last exit code 2"),
        ({"reason": "Completed", "exitCode": 0}, "back-off 40s"),
        ({"exitCode": 1}, "back-off 40s"),
    ],
)
def test_a_container_that_crashes_says_how_it_ended_the_last_time(ended, told):
    waits = container(
        {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}, lastState={"terminated": ended}
    )
    found = decode_object(raw("Pod", "v1", spec={}, status={"containerStatuses": [waits]}), "c").pod
    assert found == PodTrouble("CrashLoopBackOff", told, "main")
