"""Pods, on demand: the pods of a workload that is down, read once; their trouble stands in them and nowhere else.

Pods are never watched: a cluster has a hundred times as many of them as of everything that matters here.
"""

from daemon.flux.decode import signal_of
from daemon.kube.client import KubeCluster
from daemon.model.effects import Inspect
from daemon.model.errors import ClusterError
from daemon.model.ports import Clock, Inbox
from daemon.model.signals import ObjectChanged, ObjectGone

PODS = 50
"""Pods of one workload that are looked at: their troubles repeat."""


async def inspect(cluster: KubeCluster, inbox: Inbox, clock: Clock, effect: Inspect) -> None:
    """Read the pods that a workload selects and put each into the inbox, with those that are gone.

    A cluster that refuses leaves it at that: the cause is then told without its pods' trouble.
    """
    labels = ",".join(f"{key}={value}" for key, value in effect.selector)
    try:
        found = await cluster.list("", "Pod", namespace=effect.ref.namespace, labels=labels)
        owners = await cluster.list("apps", "ReplicaSet", namespace=effect.ref.namespace, labels=labels)
    except ClusterError:
        return
    now = clock.now()
    there = set()
    for kind, version, items in (("ReplicaSet", "apps/v1", owners), ("Pod", "v1", found[:PODS])):
        for raw in items:
            signal = signal_of({"apiVersion": version, "kind": kind, **raw}, cluster.name, now)
            if isinstance(signal, ObjectChanged):
                there.add(signal.new.ref)
                inbox.put(signal)
    for ref in effect.known:
        if ref not in there:
            inbox.put(ObjectGone(now, ref))
