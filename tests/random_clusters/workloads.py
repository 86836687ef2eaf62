"""Pretended deployments: a good image is ready within seconds, a broken one leaves the old pods serving for ever."""

from collections.abc import Generator

from tests.random_clusters.api import Api, Json, Key, Pause
from tests.random_clusters.layout import Wish

WANTED = 2
TROUBLES = {
    "image": ("ImagePullBackOff", 'Back-off pulling image "registry.example.com/{}:9"'),
    "upgrade": ("CreateContainerConfigError", 'configmap "{}-settings" not found'),
    "crash": ("CrashLoopBackOff", "back-off 40s restarting failed container={}"),
}


def is_ready(body: Json | None) -> bool:
    """Say whether an object is ready as Flux reads it: observed, and by its condition or its numbers."""
    if body is None:
        return False
    status, wanted = body.get("status", {}), body["metadata"]["generation"]
    if body["kind"] == "Deployment":
        numbers = {status.get(each) for each in ("updatedReplicas", "readyReplicas", "replicas")}
        return status.get("observedGeneration") == wanted and numbers == {WANTED}
    ready = [each["status"] for each in status.get("conditions", []) if each["type"] == "Ready"]
    return status.get("observedGeneration") == wanted and ready == ["True"]


def roll_out(api: Api, key: Key, wish: Wish, claims: dict[str, str]) -> None:
    """Apply a deployment of this version; nothing happens when it is applied already."""
    image = f"registry.example.com/{key[2]}:{wish.version}"
    before = api.get(key)
    labels = {"app": key[2]}

    def change(body: Json) -> None:
        body["spec"] = {
            "replicas": WANTED, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": key[2], "image": image}]}},
        }  # fmt: skip
        if "release" in claims:
            namespace, name = claims["release"].split("/")
            body["metadata"]["annotations"] = {
                "meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace,
            }  # fmt: skip

    api.put(key, change)
    if before is None or before["spec"] != (api.get(key) or {})["spec"]:
        api.start(_roll(api, key, wish))


def _roll(api: Api, key: Key, wish: Wish) -> Generator[Pause, None, None]:
    generation = (api.get(key) or {})["metadata"]["generation"]
    fresh = generation == 1
    middle: Key = ("ReplicaSet", key[1], f"{key[2]}-{generation}")
    pod: Key = ("Pod", key[1], f"{middle[2]}-x7k2p")
    yield 0.1
    _status(api, key, updatedReplicas=1, readyReplicas=0 if fresh else WANTED, replicas=1 if fresh else WANTED + 1)
    _replica_set(api, middle, key, 1, 0)
    trouble = TROUBLES.get(wish.trouble)
    if trouble is not None:
        yield 2.0
        _pod(api, pod, middle, (trouble[0], trouble[1].format(key[2])))
        return
    yield api.random.uniform(3.0, 9.0)
    if (api.get(key) or {})["metadata"]["generation"] != generation:
        return
    for old in [each for each in api.objects if each[0] in {"ReplicaSet", "Pod"} and each[1] == key[1]]:
        owner = api.objects[old]["metadata"]["ownerReferences"][0]["name"]
        if old[0] == "Pod" and owner.rsplit("-", 1)[0] == key[2]:
            api.delete(old)
        elif old[0] == "ReplicaSet" and owner == key[2] and old != middle:
            _replica_set(api, old, key, 0, 0)
    _replica_set(api, middle, key, WANTED, WANTED)
    _status(api, key, updatedReplicas=WANTED, readyReplicas=WANTED, replicas=WANTED)


def _status(api: Api, key: Key, **numbers: int) -> None:
    def change(body: Json) -> None:
        observed = body["metadata"]["generation"]
        body["status"] = {"observedGeneration": observed, "availableReplicas": numbers["readyReplicas"], **numbers}

    api.put(key, change)


def _replica_set(api: Api, key: Key, owner: Key, wanted: int, ready: int) -> None:
    def change(body: Json) -> None:
        body["metadata"]["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": owner[0], "name": owner[2], "uid": "u"}
        ]
        body["spec"] = {"replicas": wanted}
        body["status"] = {"replicas": wanted, "readyReplicas": ready, "observedGeneration": 1}

    api.put(key, change)


def _pod(api: Api, key: Key, owner: Key, trouble: tuple[str, str]) -> None:
    def change(body: Json) -> None:
        body["metadata"]["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": owner[0], "name": owner[2], "uid": "u"}
        ]
        waiting = {"reason": trouble[0], "message": trouble[1]}
        body["spec"] = {"containers": [{"name": "main"}], "nodeName": "node-1"}
        body["status"] = {
            "phase": "Pending",
            "containerStatuses": [{"name": "main", "ready": False, "state": {"waiting": waiting}}],
        }

    api.put(key, change)
