"""Simulated workload controllers: DaemonSet, Deployment with its ReplicaSets, Job, and the pods' life.

A pod becomes ready a little after it was made, unless a Trouble matches its spec: then it fails as the kubelet would
report it. Limit: no scheduling but round robin, no probes, no eviction, no progress deadline.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from daemon.simulator.flux.client import Client
from daemon.simulator.flux.events import Recorder
from daemon.simulator.flux.queue import Steps
from daemon.simulator.flux.status import is_true

Json = dict[str, Any]

READY_AFTER = 2.0
"""Seconds from a pod's creation to its readiness."""
STOP_AFTER = 1.0
"""Seconds from an old pod's end to the new one's creation."""
BACK_OFF = 10.0
"""Seconds between crashes, the kubelet's first back-off; it is not doubled here."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Pods whose spec `fits` fail with the kubelet's `reason`: CrashLoopBackOff or ImagePullBackOff."""

    fits: Callable[[Json], bool]
    reason: str
    message: str


class Workloads:
    """Makes pods for workloads and keeps their status."""

    def __init__(self, client: Client, recorder: Recorder) -> None:
        self.client = client
        self.recorder = recorder
        self.troubles: list[Trouble] = []
        self._placed = 0

    # DaemonSet

    def daemon_set(self, namespace: str, name: str) -> Steps:
        """Bring one pod of the present template to every node; all old ones go at once."""
        item = self.client.find("DaemonSet", namespace, name)
        if item is None or "deletionTimestamp" in item["metadata"]:
            return None
        wanted, nodes = _hash(item), [node["metadata"]["name"] for node in self.client.all("Node")]
        pods = self._pods(item)
        old = [pod for pod in pods if pod["metadata"]["labels"]["controller-revision-hash"] != wanted]
        for pod in old:
            self.client.delete("Pod", namespace, pod["metadata"]["name"])
            self._tell(item, "daemonset-controller", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
        self._daemon_status(item, wanted, len(nodes))
        for node in nodes:
            if not any(pod["spec"]["nodeName"] == node and pod not in old for pod in pods):
                if old:
                    yield STOP_AFTER
                pod = self._pod(item, item, {"controller-revision-hash": wanted}, node)
                self._tell(item, "daemonset-controller", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
                self._daemon_status(item, wanted, len(nodes))
        return None

    def _daemon_status(self, item: Json, wanted: str, nodes: int) -> None:
        pods = self._pods(item)
        new = [pod for pod in pods if pod["metadata"]["labels"]["controller-revision-hash"] == wanted]
        ready = sum(is_true(pod, "Ready") for pod in pods)
        status = {
            "currentNumberScheduled": len(pods),
            "numberMisscheduled": 0,
            "desiredNumberScheduled": nodes,
            "numberReady": ready,
            "observedGeneration": item["metadata"]["generation"],
            "updatedNumberScheduled": len(new),
            "numberAvailable": ready,
            "numberUnavailable": nodes - ready,
        }
        self._status(item, status)

    # Deployment

    def deployment(self, namespace: str, name: str) -> Steps:
        """Roll pods over to the present template: one more, and an old one goes only when enough are ready."""
        item = self.client.find("Deployment", namespace, name)
        if item is None or "deletionTimestamp" in item["metadata"]:
            return None
        yield 0.1
        wanted = item["spec"].get("replicas", 1)
        current = self._replica_set(item)
        sets = [one for one in self.client.all("ReplicaSet", namespace) if _owns(item, one)]
        for one in sets:
            pods = self._pods(one)
            ready = sum(is_true(pod, "Ready") for pod in pods)
            self._status(one, {"replicas": len(pods), "readyReplicas": ready, "availableReplicas": ready})
        new = self._pods(current)
        old = [pod for one in sets if one["metadata"]["name"] != current["metadata"]["name"] for pod in self._pods(one)]
        ready = sum(is_true(pod, "Ready") for pod in new + old)
        sick = [pod for pod in old if not is_true(pod, "Ready")]
        if sick and len(new) < wanted:
            # Old pods that are unready anyway go first, or a broken rollout would block the one that mends it.
            self.client.delete("Pod", namespace, sick[0]["metadata"]["name"])
        elif len(new) < wanted and len(new) + len(old) <= wanted:
            pod = self._pod(current, item, _revision(current), self._node())
            text = f"Created pod: {pod['metadata']['name']}"
            self._tell(current, "replicaset-controller", "SuccessfulCreate", text)
        elif old and (ready > wanted or len(new) >= wanted == sum(is_true(pod, "Ready") for pod in new)):
            gone = old[0]["metadata"]["name"]
            self.client.delete("Pod", namespace, gone)
            self._tell(item, "deployment-controller", "ScalingReplicaSet", "Scaled down replica set of an old template")
        elif len(new) > wanted:
            self.client.delete("Pod", namespace, new[-1]["metadata"]["name"])
        self._deployment_status(item, current)
        return None

    def _deployment_status(self, item: Json, current: Json) -> None:
        sets = [one for one in self.client.all("ReplicaSet", item["metadata"]["namespace"]) if _owns(item, one)]
        pods = [pod for one in sets for pod in self._pods(one)]
        new = self._pods(current)
        ready = sum(is_true(pod, "Ready") for pod in pods)
        wanted = item["spec"].get("replicas", 1)
        now, done = self.client.stamp(), ready >= wanted == len(new)
        available = {
            "type": "Available",
            "status": "True" if ready >= max(1, wanted - wanted // 4) or not wanted else "False",
            "reason": "MinimumReplicasAvailable" if ready else "MinimumReplicasUnavailable",
            "message": f"Deployment {'has' if ready else 'does not have'} minimum availability.",
        }
        how = "has successfully progressed" if done else "is progressing"
        progressing = {
            "type": "Progressing",
            "status": "True",
            "reason": "NewReplicaSetAvailable" if done else "ReplicaSetUpdated",
            "message": f'ReplicaSet "{current["metadata"]["name"]}" {how}.',
        }
        old = {row["type"]: row for row in item.get("status", {}).get("conditions", [])}
        rows = []
        for row in (available, progressing):
            was = old.get(row["type"], {})
            same = all(was.get(key) == row[key] for key in row)
            at = was["lastTransitionTime"] if same else now
            rows.append(row | {"lastTransitionTime": at, "lastUpdateTime": at})
        status = {
            "observedGeneration": item["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": len(new),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": rows,
        }
        if ready < len(pods):
            status["unavailableReplicas"] = len(pods) - ready
        self._status(item, status)

    def _replica_set(self, item: Json) -> Json:
        wanted, meta = _hash(item), item["metadata"]
        name = f"{meta['name']}-{wanted}"
        found = self.client.find("ReplicaSet", meta["namespace"], name)
        if found is not None:
            return found
        labels = item["spec"]["template"]["metadata"].get("labels", {}) | {"pod-template-hash": wanted}
        made = self.client.create(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": name,
                    "namespace": meta["namespace"],
                    "labels": labels,
                    "ownerReferences": [_reference(item)],
                },
                "spec": {
                    "replicas": item["spec"].get("replicas", 1),
                    "selector": {"matchLabels": labels},
                    "template": item["spec"]["template"],
                },
            }
        )
        self._tell(item, "deployment-controller", "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 1")
        return made

    # Job

    def job(self, namespace: str, name: str) -> Steps:
        """Complete a Job after a few seconds."""
        item = self.client.find("Job", namespace, name)
        if item is None or item["spec"].get("suspend") or is_true(item, "Complete"):
            return None
        began = self.client.stamp()
        self._status(item, {"startTime": began, "active": 1})
        yield READY_AFTER
        if self.client.find("Job", namespace, name) is not None:
            now = self.client.stamp()
            row = {"type": "Complete", "status": "True", "reason": "CompletionsReached", "lastTransitionTime": now}
            self._status(item, {"startTime": began, "completionTime": now, "succeeded": 1, "conditions": [row]})
        return None

    # Pods

    def pod(self, namespace: str, name: str) -> Steps:
        """Live a pod's life."""
        item = self.client.find("Pod", namespace, name)
        if item is None:
            return None
        trouble = next((one for one in self.troubles if one.fits(item["spec"])), None)
        yield READY_AFTER
        restarts = 0
        while self.client.find("Pod", namespace, name) is not None:
            self._status(item, self._alive(item) if trouble is None else self._sick(item, trouble, restarts))
            if trouble is None:
                return None
            text = f"{trouble.message}" if restarts else f"Error: {trouble.reason}"
            reason = "Failed" if trouble.reason == "ImagePullBackOff" else "BackOff"
            self.recorder.trace(item, "kubelet", reason, text, "Warning")
            restarts += trouble.reason == "CrashLoopBackOff"
            yield BACK_OFF
        return None

    def _alive(self, item: Json) -> Json:
        now = self.client.stamp()
        states = [
            _container(one, ready=True, restarts=0) | {"state": {"running": {"startedAt": now}}}
            for one in item["spec"]["containers"]
        ]
        return self._pod_status("Running", "True", states)

    def _sick(self, item: Json, trouble: Trouble, restarts: int) -> Json:
        waiting = {"waiting": {"reason": trouble.reason, "message": trouble.message}}
        crashed = trouble.reason == "CrashLoopBackOff"
        states = []
        for one in item["spec"]["containers"]:
            state = _container(one, ready=False, restarts=restarts) | {"state": waiting}
            if crashed:
                ended = {"exitCode": 1, "reason": "Error", "finishedAt": self.client.stamp()}
                state["lastState"] = {"terminated": ended | {"message": trouble.message}}
            states.append(state)
        return self._pod_status("Running" if crashed else "Pending", "False", states)

    def _pod_status(self, phase: str, ready: str, states: list[Json]) -> Json:
        now = self.client.stamp()
        why = {} if ready == "True" else {"reason": "ContainersNotReady", "message": "containers with unready status"}
        rows: list[Json] = [
            {"type": kind, "status": value, "lastTransitionTime": now, "lastProbeTime": None, **extra}
            for kind, value, extra in (
                ("Initialized", "True", {}),
                ("Ready", ready, why),
                ("ContainersReady", ready, why),
                ("PodScheduled", "True", {}),
            )
        ]
        return {
            "phase": phase,
            "conditions": rows,
            "containerStatuses": states,
            "startTime": now,
            "qosClass": "BestEffort",
        }

    def _pod(self, owner: Json, workload: Json, labels: Json, node: str) -> Json:
        template, meta = workload["spec"]["template"], owner["metadata"]
        return self.client.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "generateName": f"{meta['name']}-",
                    "namespace": meta["namespace"],
                    "labels": template["metadata"].get("labels", {}) | labels,
                    "annotations": template["metadata"].get("annotations", {}),
                    "ownerReferences": [_reference(owner)],
                },
                "spec": template["spec"] | {"nodeName": node},
            }
        )

    def _pods(self, owner: Json) -> list[Json]:
        return [pod for pod in self.client.all("Pod", owner["metadata"]["namespace"]) if _owns(owner, pod)]

    def _node(self) -> str:
        nodes = self.client.all("Node")
        self._placed += 1
        return str(nodes[self._placed % len(nodes)]["metadata"]["name"]) if nodes else ""

    def _tell(self, item: Json, component: str, reason: str, text: str) -> None:
        self.recorder.trace(item, component, reason, text)

    def _status(self, item: Json, status: Json) -> None:
        meta = item["metadata"]
        if self.client.find(item["kind"], meta["namespace"], meta["name"]) is None:
            return

        def change(live: Json) -> None:
            live.clear()
            live.update(status)

        self.client.status(item["kind"], meta["namespace"], meta["name"], change)


def _hash(item: Json) -> str:
    text = orjson.dumps(item["spec"]["template"], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:10]


def _revision(replica_set: Json) -> Json:
    return {"pod-template-hash": replica_set["metadata"]["labels"]["pod-template-hash"]}


def _reference(item: Json) -> Json:
    return {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "name": item["metadata"]["name"],
        "uid": item["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _owns(owner: Json, item: Json) -> bool:
    uid = owner["metadata"]["uid"]
    return any(one["uid"] == uid for one in item["metadata"].get("ownerReferences", ()))


def _container(container: Json, *, ready: bool, restarts: int) -> Json:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": restarts,
        "lastState": {},
    }
