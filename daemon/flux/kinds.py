"""Which kinds there are: Flux's own, and the few of Kubernetes that explain them.

Versions are preferences for a cluster that was not asked; a live client discovers what is served (flux.md 1).
"""

from dataclasses import dataclass
from enum import StrEnum

SOURCE = "source.toolkit.fluxcd.io"
KUSTOMIZE = "kustomize.toolkit.fluxcd.io"
HELM = "helm.toolkit.fluxcd.io"
NOTIFICATION = "notification.toolkit.fluxcd.io"
IMAGE = "image.toolkit.fluxcd.io"
EXTENSIONS = "source.extensions.fluxcd.io"
OPERATOR = "fluxcd.controlplane.io"


class Role(StrEnum):
    """What a kind does in the way from Git to a running pod."""

    SOURCE = "source"
    APPLIER = "applier"
    RELEASE = "release"
    CHART = "chart"
    IMAGE = "image"
    NOTIFICATION = "notification"
    WORKLOAD = "workload"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object; `versions` in order of preference."""

    group: str
    kind: str
    plural: str
    versions: tuple[str, ...]
    role: Role
    flux: bool = True
    namespaced: bool = True
    conditions: bool = True
    """False: it never has a Ready condition."""


def _kube(group: str, kind: str, plural: str, role: Role, *, namespaced: bool = True) -> Kind:
    return Kind(group, kind, plural, ("v1",), role, flux=False, namespaced=namespaced)


KINDS: tuple[Kind, ...] = (
    Kind(KUSTOMIZE, "Kustomization", "kustomizations", ("v1", "v1beta2"), Role.APPLIER),
    Kind(HELM, "HelmRelease", "helmreleases", ("v2", "v2beta2"), Role.RELEASE),
    Kind(SOURCE, "GitRepository", "gitrepositories", ("v1", "v1beta2"), Role.SOURCE),
    Kind(SOURCE, "OCIRepository", "ocirepositories", ("v1", "v1beta2"), Role.SOURCE),
    Kind(SOURCE, "HelmRepository", "helmrepositories", ("v1", "v1beta2"), Role.SOURCE),
    Kind(SOURCE, "HelmChart", "helmcharts", ("v1", "v1beta2"), Role.CHART),
    Kind(SOURCE, "Bucket", "buckets", ("v1", "v1beta2"), Role.SOURCE),
    Kind(SOURCE, "ExternalArtifact", "externalartifacts", ("v1",), Role.SOURCE),
    Kind(NOTIFICATION, "Alert", "alerts", ("v1beta3", "v1beta2"), Role.NOTIFICATION, conditions=False),
    Kind(NOTIFICATION, "Provider", "providers", ("v1beta3", "v1beta2"), Role.NOTIFICATION, conditions=False),
    Kind(NOTIFICATION, "Receiver", "receivers", ("v1",), Role.NOTIFICATION),
    Kind(IMAGE, "ImageRepository", "imagerepositories", ("v1", "v1beta2"), Role.IMAGE),
    Kind(IMAGE, "ImagePolicy", "imagepolicies", ("v1", "v1beta2"), Role.IMAGE),
    Kind(IMAGE, "ImageUpdateAutomation", "imageupdateautomations", ("v1", "v1beta2"), Role.IMAGE),
    Kind(EXTENSIONS, "ArtifactGenerator", "artifactgenerators", ("v1beta1",), Role.SOURCE),
    Kind(OPERATOR, "FluxInstance", "fluxinstances", ("v1",), Role.APPLIER),
    Kind(OPERATOR, "FluxReport", "fluxreports", ("v1",), Role.CONTEXT),
    Kind(OPERATOR, "ResourceSet", "resourcesets", ("v1",), Role.APPLIER),
    Kind(OPERATOR, "ResourceSetInputProvider", "resourcesetinputproviders", ("v1",), Role.SOURCE),
    _kube("", "Event", "events", Role.CONTEXT),
    _kube("", "Namespace", "namespaces", Role.CONTEXT, namespaced=False),
    _kube("", "Node", "nodes", Role.CONTEXT, namespaced=False),
    _kube("", "Pod", "pods", Role.WORKLOAD),
    _kube("", "Secret", "secrets", Role.CONTEXT),
    _kube("", "ConfigMap", "configmaps", Role.CONTEXT),
    _kube("", "ServiceAccount", "serviceaccounts", Role.CONTEXT),
    _kube("apps", "Deployment", "deployments", Role.WORKLOAD),
    _kube("apps", "DaemonSet", "daemonsets", Role.WORKLOAD),
    _kube("apps", "StatefulSet", "statefulsets", Role.WORKLOAD),
    _kube("apps", "ReplicaSet", "replicasets", Role.WORKLOAD),
    _kube("batch", "Job", "jobs", Role.WORKLOAD),
    _kube(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        Role.CONTEXT,
        namespaced=False,
    ),
)

_BY_GROUP_KIND = {(each.group, each.kind): each for each in KINDS}
_BY_KIND = {each.kind: each for each in reversed(KINDS)}


def kind_of(group: str, kind: str) -> Kind | None:
    """Return the kind, or None when it is none of ours."""
    return _BY_GROUP_KIND.get((group, kind))


def resource_of(kind: Kind) -> str:
    """Return plural.group, as the API server names a resource; the plural alone for the core group."""
    return f"{kind.plural}.{kind.group}" if kind.group else kind.plural


_BY_RESOURCE = {resource_of(each): each for each in KINDS}


def by_resource(resource: str) -> Kind | None:
    """Return the kind behind plural.group, or None."""
    return _BY_RESOURCE.get(resource)


def group_of(api_version: str) -> str:
    """Return the group of an apiVersion; empty for the core group."""
    return api_version.rpartition("/")[0]


def group_for_kind(kind: str) -> str:
    """Return the group that a bare kind name means in rule files, messages and the command line; empty if unknown."""
    known = _BY_KIND.get(kind)
    return known.group if known else ""


SHORT = {
    "ks": "Kustomization",
    "hr": "HelmRelease",
    "gitrepo": "GitRepository",
    "ocirepo": "OCIRepository",
    "helmrepo": "HelmRepository",
    "hc": "HelmChart",
    "deploy": "Deployment",
    "ds": "DaemonSet",
    "sts": "StatefulSet",
    "ns": "Namespace",
}
"""Short names that kubectl and people use."""


def kind_named(word: str) -> str:
    """Return the kind that a person means by kustomization, kustomizations, ks or Kustomization; else the word."""
    low = word.lower()
    return SHORT.get(low) or next((each.kind for each in KINDS if low in (each.kind.lower(), each.plural)), word)


CONTEXT_WATCHED = ("Event", "Namespace", "Deployment", "DaemonSet", "StatefulSet", "Node", "CustomResourceDefinition")
WATCHED: tuple[Kind, ...] = tuple(each for each in KINDS if each.flux or each.kind in CONTEXT_WATCHED)
"""What a live daemon watches, one watch each; Helm's Secrets are asked for apart, pods are read on demand."""
