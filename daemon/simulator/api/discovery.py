"""What a client may ask about the API itself: versions, groups, resources, health, its own rights. Pure."""

from typing import Any

from daemon.simulator.api.resources import Resource, Resources

Json = dict[str, Any]

VERSION = {"major": "1", "minor": "34", "gitVersion": "v1.34.1", "gitCommit": "simulated", "platform": "linux/amd64"}
SHORT = {
    "configmaps": "cm",
    "customresourcedefinitions": "crd",
    "daemonsets": "ds",
    "deployments": "deploy",
    "events": "ev",
    "gitrepositories": "gitrepo",
    "helmcharts": "hc",
    "helmreleases": "hr",
    "helmrepositories": "helmrepo",
    "kustomizations": "ks",
    "namespaces": "ns",
    "nodes": "no",
    "pods": "po",
    "replicasets": "rs",
    "services": "svc",
}
"""The names that people type."""
REVIEWS = "authorization.k8s.io"
REVIEW = {"name": "selfsubjectaccessreviews", "namespaced": False, "kind": "SelfSubjectAccessReview"}
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def answer(path: str, resources: Resources) -> Json | str | None:
    """Return the document behind a discovery path, or None when it is none."""
    parts = [part for part in path.split("/") if part]
    found: Json | str | None = None
    match parts:
        case []:
            found = {"paths": ["/api", "/apis", "/version", "/healthz"]}
        case ["version"]:
            found = dict(VERSION)
        case ["healthz" | "livez" | "readyz"]:
            found = "ok"
        case ["api"]:
            found = {"kind": "APIVersions", "versions": ["v1"]}
        case ["api", "v1"]:
            found = _listed("v1", [one for one in resources.all() if not one.group])
        case ["apis"]:
            groups = [_group(group, versions) for group, versions in _groups(resources).items()]
            found = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group]:
            versions = _groups(resources).get(group)
            found = {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, versions) if versions else None
        case ["apis", group, version]:
            served = [one for one in resources.all() if one.group == group and version in one.versions]
            found = _listed(f"{group}/{version}", served) if served or group == REVIEWS else None
    return found


def _groups(resources: Resources) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {REVIEWS: ["v1"]}
    for one in resources.all():
        if one.group:
            versions = found.setdefault(one.group, [])
            versions += [version for version in one.versions if version not in versions]
    return found


def _group(name: str, versions: list[str]) -> Json:
    rows = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": rows, "preferredVersion": rows[0]}


def _listed(group_version: str, served: list[Resource]) -> Json:
    rows: list[Json] = [REVIEW | {"singularName": "", "verbs": ["create"]}] if not served else []
    for one in served:
        short = [SHORT[one.plural]] if one.plural in SHORT else []
        row: Json = {"name": one.plural, "singularName": one.kind.lower(), "namespaced": one.namespaced}
        rows.append(row | {"kind": one.kind, "verbs": VERBS, "shortNames": short})
        if one.status:
            rows.append(row | {"name": f"{one.plural}/status", "kind": one.kind, "verbs": ["get", "patch", "update"]})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}
