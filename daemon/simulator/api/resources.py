"""Which resources the simulated API server knows: Flux's own from daemon.flux.kinds, and what stands around them.

Limit: one list of versions a resource, all served with the same shape; there is no conversion between them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from daemon.flux.kinds import HELM, KINDS, KUSTOMIZE, NOTIFICATION, SOURCE


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API. `custom`: defined by a CRD, so it is discovered, strict about PUT, and may be absent."""

    group: str
    kind: str
    plural: str
    versions: tuple[str, ...] = ("v1",)
    namespaced: bool = True
    custom: bool = False
    status: bool = True
    generation: bool = True

    @property
    def id(self) -> str:
        """Return plural.group, or the plural alone for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """Return group/version of the preferred version."""
        return f"{self.group}/{self.versions[0]}" if self.group else self.versions[0]


def _core(kind: str, plural: str, *, namespaced: bool = True, status: bool = False) -> Resource:
    return Resource("", kind, plural, namespaced=namespaced, status=status, generation=kind == "Pod")


def _custom(group: str, version: str, kind: str, plural: str, *, namespaced: bool = True) -> Resource:
    return Resource(group, kind, plural, (version,), namespaced=namespaced, custom=True)


BUILT_IN: tuple[Resource, ...] = (
    _core("Namespace", "namespaces", namespaced=False, status=True),
    _core("Node", "nodes", namespaced=False, status=True),
    _core("Pod", "pods", status=True),
    _core("Service", "services", status=True),
    _core("ConfigMap", "configmaps"),
    _core("Secret", "secrets"),
    _core("ServiceAccount", "serviceaccounts"),
    _core("Event", "events"),
    Resource("apps", "DaemonSet", "daemonsets"),
    Resource("apps", "Deployment", "deployments"),
    Resource("apps", "ReplicaSet", "replicasets"),
    Resource("apps", "StatefulSet", "statefulsets"),
    Resource("batch", "Job", "jobs"),
    Resource("batch", "CronJob", "cronjobs"),
    Resource("coordination.k8s.io", "Lease", "leases", status=False, generation=False),
    Resource(
        "apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", ("v1",), namespaced=False
    ),
)

INSTALLED = (SOURCE, KUSTOMIZE, HELM, NOTIFICATION)
"""The groups that `flux install` brings; image automation and flux-operator are absent, as in most clusters."""

FLUX: tuple[Resource, ...] = tuple(
    _custom(one.group, one.versions[0], one.kind, one.plural, namespaced=one.namespaced)
    for one in KINDS
    if one.group in INSTALLED
)

AROUND: tuple[Resource, ...] = (
    _custom("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
    _custom("cilium.io", "v2", "CiliumLoadBalancerIPPool", "ciliumloadbalancerippools", namespaced=False),
    _custom("cilium.io", "v2", "CiliumBGPPeerConfig", "ciliumbgppeerconfigs", namespaced=False),
    _custom("gateway.networking.k8s.io", "v1", "Gateway", "gateways"),
    _custom("gateway.networking.k8s.io", "v1", "GatewayClass", "gatewayclasses", namespaced=False),
)

FLUX_GROUP_END = ".fluxcd.io"
"""Every group of Flux ends so; their CRDs give an object status.observedGeneration -1 before its first reconcile."""


class Resources:
    """The resources served at present; CRDs may come and go at run time."""

    def __init__(self, resources: Iterable[Resource] = BUILT_IN + FLUX + AROUND) -> None:
        self._by_plural = {(one.group, one.plural): one for one in resources}

    def all(self) -> tuple[Resource, ...]:
        """Return them in the order of installation."""
        return tuple(self._by_plural.values())

    def install(self, resource: Resource) -> None:
        """Serve a resource from now on."""
        self._by_plural[resource.group, resource.plural] = resource

    def remove(self, group: str, plural: str) -> None:
        """Serve it no more: every request for it is 404."""
        self._by_plural.pop((group, plural), None)

    def at(self, group: str, version: str, plural: str) -> Resource | None:
        """Return the resource behind a path, or None."""
        found = self._by_plural.get((group, plural))
        return found if found and version in found.versions else None

    def of(self, group: str, kind: str) -> Resource:
        """Return the resource of a kind. Raises KeyError when it is not served."""
        for one in self._by_plural.values():
            if (one.group, one.kind) == (group, kind):
                return one
        raise KeyError(f"the simulated cluster has no {kind} of group {group!r}")

    def of_manifest(self, api_version: str, kind: str) -> Resource:
        """Return the resource of a manifest's apiVersion and kind. Raises KeyError when it is not served."""
        group, _, _ = api_version.rpartition("/")
        return self.of(group, kind)
