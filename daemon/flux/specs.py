"""What each kind's spec and status add to an object: edges, revisions, release, replicas, a pod's trouble.

One function a family; a kind without one simply adds nothing. The rules are flux.md 7 and 8.
"""

import hashlib
from collections.abc import Iterator, Mapping
from sys import intern
from typing import TypedDict

from daemon.flux.commands import PAUSED_BY
from daemon.flux.fields import mapping, moment, number, seconds, sequence, text, texts
from daemon.flux.kinds import EXTENSIONS, HELM, IMAGE, KUSTOMIZE, SOURCE, group_for_kind, group_of, kind_of
from daemon.model.objects import Dependency, HelmTarget, PodTrouble, ReleaseRevision, Replicas
from daemon.model.redact import redact
from daemon.model.refs import ObjectRef

Raw = Mapping[str, object]

RELEASE_LIMIT = 53
"""Longest Helm release name; a longer one is cut to 40 characters and 12 hex digits of its SHA-256 (flux.md 7.7)."""
WELL_PHASES = ("Running", "Succeeded")
INVENTORY_PARTS = 3
ONE_REVISION = ("GitRepository", "OCIRepository")
"""Sources whose revision is the far side's own; an index or a bucket is summed up anew by each that fetches it."""


WAITS = "WaitForTermination"
"""The deletionPolicy of a Kustomization that waits for what it prunes (flux.md 0.3, 7)."""
UNINSTALLS_FOR = 300.0
"""Seconds that an uninstall has where its spec says nothing (flux.md 6.1)."""

AUTHORS = "org.opencontainers.image.authors"
"""The annotation of the OCI image specification that names who made an artifact."""


class Facts(TypedDict, total=False):
    """The fields of ObjectState that depend on the kind."""

    suspended: bool
    depends_on: tuple[Dependency, ...]
    source: ObjectRef | None
    inputs: tuple[ObjectRef, ...]
    needs: tuple[ObjectRef, ...]
    credentials: tuple[ObjectRef, ...]
    leaving: float | None
    contains: tuple[ObjectRef, ...]
    health_checks: tuple[ObjectRef, ...]
    wait: bool
    prune: bool
    path: str
    applied_revision: str
    attempted_revision: str
    artifact_revision: str
    upstream: str
    artifact_author: str
    replicas: Replicas | None
    helm: HelmTarget | None
    pod: PodTrouble | None
    node: ObjectRef | None
    selector: Mapping[str, str]


def facts_of(ref: ObjectRef, spec: Raw, status: Raw, annotations: Mapping[str, str]) -> Facts:
    """Return what this kind adds."""
    facts: Facts = {"suspended": spec.get("suspend") is True or _is_paused(annotations)}
    if ref.group == KUSTOMIZE:
        facts |= _kustomization(ref, spec, status)
    elif ref.group == HELM:
        facts |= _helm_release(ref, spec, status)
    elif ref.group == SOURCE:
        facts |= _source(ref, spec, status)
    elif ref.kind in REPLICAS:
        facts["replicas"] = REPLICAS[ref.kind](spec, status)
        facts["selector"] = _labels(mapping(spec.get("selector")))
    elif ref.kind == "Pod":
        facts["pod"] = pod_trouble(spec, status)
        node = text(spec.get("nodeName"))
        facts["node"] = ObjectRef(ref.cluster, "", "Node", "", intern(node)) if node else None
    elif ref.group == EXTENSIONS:
        found = (_source_ref(ref, mapping(item)) for item in sequence(spec.get("sources")))
        facts["inputs"] = tuple(sorted(each for each in found if each is not None))
        facts["contains"] = _inventory(ref, status)
    elif ref.group == IMAGE:
        facts["source"] = _image_source(ref, spec)
    else:
        facts["depends_on"] = _depends_on(ref, spec)
        facts["contains"] = _inventory(ref, status)
        facts["applied_revision"] = text(status.get("lastAppliedRevision"))
    return facts


def inventory_ref(cluster: str, entry: str) -> ObjectRef | None:
    """Return the object behind an inventory id <namespace>_<name>_<group>_<kind>, or None if it is none."""
    namespace, _, rest = entry.partition("_")
    parts = rest.rsplit("_", 2)
    if len(parts) != INVENTORY_PARTS or not parts[2]:
        return None
    name, group, kind = parts
    name = name.replace("__", ":") if "__" in name else name
    return ObjectRef(cluster, intern(group), intern(kind), intern(namespace), name)


def pod_trouble(spec: Raw, status: Raw) -> PodTrouble | None:
    """Return why a pod is not well, or None: the first waiting or failed container, then the scheduler's word."""
    for group in ("initContainerStatuses", "containerStatuses"):
        for item in sequence(status.get(group)):
            trouble = _container_trouble(mapping(item), init=group.startswith("init"))
            if trouble is not None:
                return trouble
    for item in sequence(status.get("conditions")):
        condition = mapping(item)
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return PodTrouble(text(condition.get("reason")), redact(text(condition.get("message"))))
    phase = text(status.get("phase"))
    if phase == "Failed" or (phase not in WELL_PHASES and not spec.get("nodeName")):
        return PodTrouble(text(status.get("reason")) or phase or "Pending", redact(text(status.get("message"))))
    return None


def _container_trouble(container: Raw, *, init: bool) -> PodTrouble | None:
    state = mapping(container.get("state"))
    waiting = mapping(state.get("waiting"))
    reason = text(waiting.get("reason"))
    name = text(container.get("name"))
    if reason and reason not in ("ContainerCreating", "PodInitializing"):
        said = (text(waiting.get("message")), _ended_before(container))
        return PodTrouble(reason, redact("; ".join(filter(None, said))), name)
    ended = mapping(state.get("terminated"))
    if ended and number(ended.get("exitCode")) != 0:
        detail = text(ended.get("message")) or f"exit code {number(ended.get('exitCode'))}"
        return PodTrouble(text(ended.get("reason")) or "Error", redact(detail), name)
    running = bool(mapping(state.get("running")))
    if running and not init and container.get("ready") is False and number(container.get("restartCount")) > 0:
        return PodTrouble("NotReady", f"restarted {number(container.get('restartCount'))} times", name)
    return None


def _ended_before(container: Raw) -> str:
    """Return how a container ended the last time, where that says more than that it did (OOMKilled, not Error)."""
    ended = mapping(mapping(container.get("lastState")).get("terminated"))
    reason, code = text(ended.get("reason")), number(ended.get("exitCode"))
    if not code or not reason:
        return ""
    return f"last exit code {code}" if reason == "Error" else f"last ended by {reason} (exit code {code})"


def _is_paused(annotations: Mapping[str, str]) -> bool:
    return any(annotations.get(key) == "disabled" for key in PAUSED_BY.values())


def _kustomization(ref: ObjectRef, spec: Raw, status: Raw) -> Facts:
    return {
        "depends_on": _depends_on(ref, spec),
        "source": _source_ref(ref, mapping(spec.get("sourceRef"))),
        "needs": _kustomization_needs(ref, spec),
        "credentials": _secrets(ref, mapping(spec.get("decryption")), "secretRef"),
        "leaving": _takes_along(spec) if spec.get("deletionPolicy") == WAITS else None,
        "contains": _inventory(ref, status),
        "health_checks": _health_checks(ref, spec),
        "wait": spec.get("wait") is True,
        "prune": spec.get("prune") is True,
        "path": text(spec.get("path")),
        "applied_revision": text(status.get("lastAppliedRevision")),
        "attempted_revision": text(status.get("lastAttemptedRevision")),
    }


def _helm_release(ref: ObjectRef, spec: Raw, status: Raw) -> Facts:
    history = tuple(_revision(mapping(item)) for item in sequence(status.get("history")))
    return {
        "depends_on": _depends_on(ref, spec),
        "source": _chart_of(ref, spec),
        "needs": _helm_needs(ref, spec),
        "leaving": _takes_along(mapping(spec.get("uninstall"))) or _takes_along(spec) or UNINSTALLS_FOR,
        "contains": _inventory(ref, status),
        "helm": _target(ref, spec, status, history),
        "applied_revision": history[0].chart_version if history and history[0].status == "deployed" else "",
        "attempted_revision": text(status.get("lastAttemptedRevision")),
    }


def _source(ref: ObjectRef, spec: Raw, status: Raw) -> Facts:
    artifact = mapping(status.get("artifact"))
    author = text(mapping(artifact.get("metadata")).get(AUTHORS))
    facts: Facts = {"artifact_revision": text(artifact.get("revision")), "artifact_author": author}
    facts["upstream"] = _upstream(ref, spec)
    facts["inputs"] = tuple(_inputs(ref, spec))
    if ref.kind == "HelmChart":
        facts["source"] = _source_ref(ref, mapping(spec.get("sourceRef")))
    facts["credentials"] = _secrets(ref, spec, "secretRef")
    facts["needs"] = (*facts["credentials"], *_secrets(ref, spec, "certSecretRef", "proxySecretRef"))
    return facts


def _secrets(ref: ObjectRef, within: Raw, *keys: str) -> tuple[ObjectRef, ...]:
    """Return the Secrets of an object's namespace that these keys name."""
    names = (text(mapping(within.get(key)).get("name")) for key in keys)
    return tuple(ObjectRef(ref.cluster, "", "Secret", ref.namespace, name) for name in names if name)


def _takes_along(spec: Raw) -> float | None:
    """Return the seconds that a deletion may wait for what goes with it."""
    return seconds(spec.get("timeout"))


def _inputs(ref: ObjectRef, spec: Raw) -> Iterator[ObjectRef]:
    """Yield the repositories that a GitRepository includes, or what made an ExternalArtifact."""
    for item in sequence(spec.get("include")):
        name = text(mapping(mapping(item).get("repository")).get("name"))
        if name:
            yield ObjectRef(ref.cluster, SOURCE, "GitRepository", ref.namespace, name)
    maker = _source_ref(ref, mapping(spec.get("sourceRef"))) if ref.kind == "ExternalArtifact" else None
    if maker is not None:
        yield maker


def _image_source(ref: ObjectRef, spec: Raw) -> ObjectRef | None:
    """Return what an image object reads: a policy its repository, an automation the repository in Git it writes to."""
    scanned = mapping(spec.get("imageRepositoryRef"))
    if text(scanned.get("name")):
        namespace = text(scanned.get("namespace")) or ref.namespace
        return ObjectRef(ref.cluster, IMAGE, "ImageRepository", namespace, text(scanned.get("name")))
    return _source_ref(ref, mapping(spec.get("sourceRef")))


def _upstream(ref: ObjectRef, spec: Raw) -> str:
    """Return kind, address and reference of what a source fetches; empty where two fetches may rightly differ."""
    address = text(spec.get("url"))
    if not address or ref.kind not in ONE_REVISION:
        return ""
    wanted = sorted((key, value) for key, value in texts(spec.get("ref")).items())
    return intern(" ".join([ref.kind, redact(address), *(f"{key}={value}" for key, value in wanted)]))


def _depends_on(ref: ObjectRef, spec: Raw) -> tuple[Dependency, ...]:
    found = []
    for item in sequence(spec.get("dependsOn")):
        entry = mapping(item)
        name = text(entry.get("name"))
        if not name:
            continue
        kind = text(entry.get("kind")) or ref.kind
        group = group_of(text(entry.get("apiVersion"))) or (ref.group if kind == ref.kind else group_for_kind(kind))
        known = kind_of(group, kind)
        namespace = text(entry.get("namespace")) or ref.namespace
        target = ObjectRef(ref.cluster, group, kind, namespace if known is None or known.namespaced else "", name)
        found.append(Dependency(target, text(entry.get("readyExpr"))))
    return tuple(found)


def _source_ref(ref: ObjectRef, source: Raw) -> ObjectRef | None:
    kind, name = text(source.get("kind")), text(source.get("name"))
    if not kind or not name:
        return None
    group = group_of(text(source.get("apiVersion"))) or SOURCE
    return ObjectRef(ref.cluster, group, kind, text(source.get("namespace")) or ref.namespace, name)


def _chart_of(ref: ObjectRef, spec: Raw) -> ObjectRef | None:
    """With a chart template the HelmChart is made as <ns>-<name> in the namespace of the chart's source."""
    chart_ref = mapping(spec.get("chartRef"))
    if chart_ref:
        return _source_ref(ref, chart_ref)
    chart = mapping(mapping(spec.get("chart")).get("spec"))
    source = mapping(chart.get("sourceRef"))
    if not source:
        return None
    namespace = text(source.get("namespace")) or ref.namespace
    return ObjectRef(ref.cluster, SOURCE, "HelmChart", namespace, f"{ref.namespace}-{ref.name}")


def _target(ref: ObjectRef, spec: Raw, status: Raw, history: tuple[ReleaseRevision, ...]) -> HelmTarget:
    into = text(spec.get("targetNamespace"))
    name = text(spec.get("releaseName")) or (f"{into}-{ref.name}" if into else ref.name)
    if len(name) > RELEASE_LIMIT:
        name = f"{name[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    chart = mapping(mapping(spec.get("chart")).get("spec"))
    storage = text(spec.get("storageNamespace")) or text(status.get("storageNamespace")) or ref.namespace
    return HelmTarget(
        release=name,
        namespace=into or ref.namespace,
        storage_namespace=storage,
        history=history,
        chart=text(chart.get("chart")) or (history[0].chart if history else ""),
        version=text(chart.get("version")),
    )


def _revision(item: Raw) -> ReleaseRevision:
    return ReleaseRevision(
        number(item.get("version")),
        text(item.get("status")),
        text(item.get("chartName")),
        text(item.get("chartVersion")),
        moment(item.get("firstDeployed")),
        moment(item.get("lastDeployed")),
    )


def _inventory(ref: ObjectRef, status: Raw) -> tuple[ObjectRef, ...]:
    entries = sequence(mapping(status.get("inventory")).get("entries"))
    found = [inventory_ref(ref.cluster, text(mapping(entry).get("id"))) for entry in entries]
    return tuple(sorted(filter(None, found)))


def _health_checks(ref: ObjectRef, spec: Raw) -> tuple[ObjectRef, ...]:
    found = []
    for item in sequence(spec.get("healthChecks")):
        check = mapping(item)
        group = group_of(text(check.get("apiVersion")) or "apps/v1")
        where = text(check.get("namespace"))
        found.append(ObjectRef(ref.cluster, group, text(check.get("kind")), where, text(check.get("name"))))
    return tuple(sorted(found))


def _kustomization_needs(ref: ObjectRef, spec: Raw) -> tuple[ObjectRef, ...]:
    build = mapping(spec.get("postBuild"))
    found = _listed(ref, build.get("substituteFrom"))
    secrets = (
        mapping(mapping(spec.get("decryption")).get("secretRef")).get("name"),
        mapping(mapping(spec.get("kubeConfig")).get("secretRef")).get("name"),
    )
    found += [ObjectRef(ref.cluster, "", "Secret", ref.namespace, text(name)) for name in secrets if text(name)]
    return tuple(sorted({*found, *_account(ref, spec)}))


def _helm_needs(ref: ObjectRef, spec: Raw) -> tuple[ObjectRef, ...]:
    found = _listed(ref, spec.get("valuesFrom"))
    secret = text(mapping(mapping(spec.get("kubeConfig")).get("secretRef")).get("name"))
    found += [ObjectRef(ref.cluster, "", "Secret", ref.namespace, secret)] if secret else []
    return tuple(sorted({*found, *_account(ref, spec)}))


def _listed(ref: ObjectRef, items: object) -> list[ObjectRef]:
    found = []
    for item in sequence(items):
        entry = mapping(item)
        if entry.get("optional") is not True and text(entry.get("name")):
            found.append(ObjectRef(ref.cluster, "", text(entry.get("kind")), ref.namespace, text(entry.get("name"))))
    return found


def _account(ref: ObjectRef, spec: Raw) -> tuple[ObjectRef, ...]:
    name = text(spec.get("serviceAccountName"))
    return (ObjectRef(ref.cluster, "", "ServiceAccount", ref.namespace, name),) if name else ()


def _labels(selector: Raw) -> dict[str, str]:
    return {key: value for key, value in mapping(selector.get("matchLabels")).items() if isinstance(value, str)}


def _deployment(spec: Raw, status: Raw) -> Replicas:
    wanted = spec.get("replicas")
    updated = number(status.get("updatedReplicas"))
    return Replicas(
        wanted if isinstance(wanted, int) else 1,
        number(status.get("readyReplicas")),
        updated,
        number(status.get("availableReplicas")),
        old=max(0, number(status.get("replicas")) - updated),
    )


def _daemon_set(spec: Raw, status: Raw) -> Replicas:
    wanted = number(status.get("desiredNumberScheduled"))
    return Replicas(
        wanted,
        number(status.get("numberReady")),
        _renewed(spec, wanted, number(status.get("updatedNumberScheduled"))),
        number(status.get("numberAvailable")),
    )


def _stateful_set(spec: Raw, status: Raw) -> Replicas:
    replicas = spec.get("replicas")
    wanted = replicas if isinstance(replicas, int) else 1
    ready = number(status.get("readyReplicas"))
    return Replicas(
        wanted,
        ready,
        _renewed(spec, wanted, number(status.get("updatedReplicas")) or ready),
        number(status.get("availableReplicas")) or ready,
    )


def _renewed(spec: Raw, wanted: int, updated: int) -> int:
    """Return how many pods count as of the present template: all that the update strategy lets be replaced by itself.

    As kstatus has it: with OnDelete a person replaces them, with a partition those below it keep the old template.
    """
    strategy = mapping(spec.get("updateStrategy"))
    if strategy.get("type") == "OnDelete":
        return wanted
    kept = number(mapping(strategy.get("rollingUpdate")).get("partition"))
    return wanted if updated >= wanted - kept else updated


def _replica_set(spec: Raw, status: Raw) -> Replicas:
    wanted = spec.get("replicas")
    ready = number(status.get("readyReplicas"))
    return Replicas(wanted if isinstance(wanted, int) else 1, ready, ready, number(status.get("availableReplicas")))


REPLICAS = {
    "Deployment": _deployment,
    "DaemonSet": _daemon_set,
    "StatefulSet": _stateful_set,
    "ReplicaSet": _replica_set,
}
