"""The least object of each kind that the API server lets exist: what an expression may read without has().

Only what every object of the kind has: the fields that its schema requires, not those that nearly everybody writes
(`path` of a Kustomization is none of them).
"""

from collections.abc import Mapping

from daemon.flux.kinds import kind_of

Raw = dict[str, object]

_NAMED: Raw = {"kind": "", "name": ""}
_SOURCE: Raw = {"interval": "10m", "url": "", "timeout": "60s"}
_SPECS: Mapping[str, Raw] = {
    "Kustomization": {"interval": "10m", "prune": True, "sourceRef": _NAMED},
    "HelmRelease": {
        "interval": "10m",
        "chart": {"spec": {"chart": "", "version": "*", "reconcileStrategy": "ChartVersion", "sourceRef": _NAMED}},
        "chartRef": _NAMED,
    },
    "GitRepository": _SOURCE,
    "OCIRepository": _SOURCE | {"provider": "generic"},
    "HelmRepository": {"url": ""},
    "Bucket": {"bucketName": "", "endpoint": "", "interval": "10m", "provider": "generic", "timeout": "60s"},
    "HelmChart": {
        "chart": "",
        "interval": "10m",
        "sourceRef": _NAMED,
        "version": "*",
        "reconcileStrategy": "ChartVersion",
    },
    "ImageRepository": {"image": "", "interval": "10m"},
    "ImagePolicy": {"imageRepositoryRef": {"name": ""}, "policy": {}},
    "ImageUpdateAutomation": {"interval": "10m", "sourceRef": _NAMED},
    "Receiver": {"type": "", "resources": [_NAMED]},
    "Alert": {"providerRef": {"name": ""}, "eventSources": [_NAMED]},
    "Provider": {"type": ""},
}
"""What the schemas of Flux require or fill in; a HelmRelease has chart or chartRef, and which of them nobody knows."""


def least(group: str, kind: str) -> Raw:
    """Return the least object of a kind; one of a kind that is not known has what every object has."""
    known = kind_of(group, kind)
    metadata: Raw = {"name": "", "uid": "", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    if known is None or known.namespaced:
        metadata["namespace"] = ""
    if known is None or "." in group or group == "apps":
        metadata["generation"] = 1  # the core group counts none
    version = known.versions[0] if known is not None else "v1"
    api = f"{group}/{version}" if group else version
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": dict(_SPECS.get(kind, {})), "status": {}}
