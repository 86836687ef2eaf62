"""From what the API server or notification-controller sends to values of the model.

Redaction happens here, where text enters: values of releases, data of Secrets and ConfigMaps and managed fields are
never kept, and messages pass the redactor. Raises ValueError only for what is no object at all.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import orjson

from daemon.flux.fields import mapping, moment, number, seconds, sequence, text, texts
from daemon.flux.kinds import KUSTOMIZE, group_of
from daemon.flux.specs import facts_of
from daemon.model.objects import Condition, ObjectState, Writer
from daemon.model.redact import is_suspect, redact, redact_json
from daemon.model.refs import ObjectRef
from daemon.model.signals import Arrival, EventSeen, ObjectChanged, ObjectGone, ReleaseSeen, Signal, Unread

HELM_SECRET = "helm.sh/release.v1"  # noqa: S105 - a type name, no secret
HELM_PREFIX = "sh.helm.release.v1."
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HIDDEN = ("data", "stringData", "binaryData")
REQUESTED = "reconcile.fluxcd.io/requestedAt"

RELEASES = ("Secret", "PartialObjectMetadata")
NO_OBJECTS = ("Event", *RELEASES)
"""Kinds that are no objects of the World."""

Raw = Mapping[str, object]


def signal_of(raw: Raw, cluster: str, at: datetime, *, initial: bool = False) -> Signal | None:
    """Return what an object that is there means; None for what we do not look at (Secrets that are not Helm's)."""
    kind = text(raw.get("kind"))
    if kind == "Event":
        return decode_event(raw, cluster, at)
    if kind in RELEASES:
        return decode_release(raw, cluster, at)
    return ObjectChanged(at, decode_object(raw, cluster), initial)


def arrival_of(raw: Raw, cluster: str, at: datetime) -> Arrival | None:
    """Return what `signal_of` does, an object unread: it is decoded when its turn comes, if no newer state came."""
    if text(raw.get("kind")) in NO_OBJECTS:
        return signal_of(raw, cluster, at)
    uid = text(mapping(raw.get("metadata")).get("uid"))
    return Unread(at, ref_of(raw, cluster), uid, lambda: ObjectChanged(at, decode_object(raw, cluster)))


def gone_of(raw: Raw, cluster: str, at: datetime) -> Signal | None:
    """Return what the deletion of an object means; an Event that expires means nothing."""
    kind = text(raw.get("kind"))
    if kind == "Event":
        return None
    if kind in RELEASES:
        return decode_release(raw, cluster, at, gone=True)
    metadata = mapping(raw.get("metadata"))
    return ObjectGone(at, ref_of(raw, cluster), text(metadata.get("uid")))


def ref_of(raw: Raw, cluster: str) -> ObjectRef:
    """Return the ref of an object. Raises ValueError when kind or name are missing."""
    metadata = mapping(raw.get("metadata"))
    kind, name = text(raw.get("kind")), text(metadata.get("name"))
    if not kind or not name:
        raise ValueError("an object needs kind and metadata.name")
    return ObjectRef(cluster, group_of(text(raw.get("apiVersion"))), kind, text(metadata.get("namespace")), name)


def decode_object(raw: Raw, cluster: str) -> ObjectState:
    """Return one object decoded. Raises ValueError when kind or name are missing."""
    ref = ref_of(raw, cluster)
    metadata, spec, status = mapping(raw.get("metadata")), mapping(raw.get("spec")), mapping(raw.get("status"))
    annotations = texts(redact_json(metadata.get("annotations")))
    annotations.pop(LAST_APPLIED, None)
    observed = status.get("observedGeneration")
    facts = facts_of(ref, spec, status, annotations)
    replicas = facts.get("replicas")
    if replicas is not None and isinstance(observed, int) and observed < number(metadata.get("generation")):
        facts["replicas"] = replace(replicas, observed=False)
    return ObjectState(
        ref=ref,
        uid=text(metadata.get("uid")),
        version=text(raw.get("apiVersion")).rpartition("/")[2],
        resource_version=text(metadata.get("resourceVersion")),
        generation=number(metadata.get("generation")),
        observed_generation=observed if isinstance(observed, int) else None,
        created_at=moment(metadata.get("creationTimestamp")),
        deleted_at=moment(metadata.get("deletionTimestamp")),
        finalizers=tuple(text(item) for item in sequence(metadata.get("finalizers"))),
        labels=texts(metadata.get("labels")),
        annotations=annotations,
        owners=tuple(_owner(item, ref) for item in sequence(metadata.get("ownerReferences"))),
        writers=_writers(metadata),
        conditions=_conditions(status),
        requested_at=annotations.get(REQUESTED, ""),
        handled_at=text(status.get("lastHandledReconcileAt")),
        interval=seconds(spec.get("interval")),
        retry_interval=seconds(spec.get("retryInterval") or _tried_again_every(ref, spec)),
        timeout=seconds(spec.get("timeout")),
        text=_kept(raw),
        **facts,
    )


def _tried_again_every(ref: ObjectRef, spec: Raw) -> object:
    """Return when a failed run is tried again where the spec does not say: a Kustomization's interval (flux.md 7.3)."""
    return spec.get("interval") if ref.group == KUSTOMIZE else None


def parse(kept: str) -> dict[str, object]:
    """Return the object behind an ObjectState's text."""
    found = orjson.loads(kept)
    return found if isinstance(found, dict) else {}


def decode_event(raw: Raw, cluster: str, at: datetime) -> EventSeen:
    """Return a core/v1 (or events.k8s.io) Event. Odd or absent times never drop it: the best one is taken."""
    about = mapping(raw.get("involvedObject") or raw.get("regarding"))
    metadata, series = mapping(raw.get("metadata")), mapping(raw.get("series"))
    times = (
        series.get("lastObservedTime"),
        raw.get("lastTimestamp"),
        raw.get("eventTime"),
        raw.get("deprecatedLastTimestamp"),
        raw.get("firstTimestamp"),
        metadata.get("creationTimestamp"),
    )
    annotations = texts(redact_json(metadata.get("annotations")))
    details = {key.rpartition("/")[2]: value for key, value in annotations.items() if "fluxcd.io/" in key}
    source = mapping(raw.get("source") or raw.get("deprecatedSource"))
    return EventSeen(
        at=at,
        ref=_about(about, cluster, text(metadata.get("namespace"))),
        reason=text(raw.get("reason")),
        message=redact(text(raw.get("message")) or text(raw.get("note"))),
        warning=text(raw.get("type")) == "Warning",
        happened_at=next((found for found in map(moment, times) if found is not None), None),
        count=number(series.get("count")) or number(raw.get("count")) or number(raw.get("deprecatedCount")) or 1,
        component=text(raw.get("reportingComponent")) or text(source.get("component")),
        revision=details.get("revision", ""),
        metadata=details,
        origin="event",
        uid=text(metadata.get("uid")),
    )


def decode_webhook(body: Raw, cluster: str, at: datetime) -> EventSeen:
    """Return what notification-controller posted. Raises ValueError naming what is missing."""
    about = mapping(body.get("involvedObject"))
    for field in ("kind", "name"):
        if not text(about.get(field)):
            raise ValueError(f"involvedObject.{field} is missing")
    if not isinstance(body.get("message"), str) or not isinstance(body.get("reason"), str):
        raise ValueError("message and reason must be strings")  # noqa: TRY004 - one error for a wrong body
    details = {key.rpartition("/")[2]: value for key, value in texts(redact_json(body.get("metadata"))).items()}
    return EventSeen(
        at=at,
        ref=_about(about, cluster, ""),
        reason=text(body.get("reason")),
        message=redact(text(body.get("message"))),
        warning=text(body.get("severity")) == "error",
        happened_at=moment(body.get("timestamp")),
        component=text(body.get("reportingController")),
        revision=details.get("revision", ""),
        metadata=details,
        origin="webhook",
    )


def decode_release(raw: Raw, cluster: str, at: datetime, *, gone: bool = False) -> ReleaseSeen | None:
    """Return one revision of a Helm release by its Secret's labels alone, or None for any other Secret.

    Its writer is who wrote first: whoever supersedes a revision writes to its Secret too (recording adopted-release).
    """
    metadata = mapping(raw.get("metadata"))
    labels, name = texts(metadata.get("labels")), text(metadata.get("name"))
    if not name.startswith(HELM_PREFIX) or labels.get("owner") != "helm":
        return None
    revision = labels.get("version") or name.rpartition(".v")[2]
    if not revision.isdecimal():
        return None
    writers = [writer for writer in _writers(metadata) if not writer.subresource]
    first = min(writers, key=lambda writer: (writer.at is None, writer.at or at), default=None)
    return ReleaseSeen(
        at=at,
        cluster=cluster,
        namespace=text(metadata.get("namespace")),
        release=labels.get("name") or name.removeprefix(HELM_PREFIX).rpartition(".v")[0],
        revision=int(revision),
        status=labels.get("status", "unknown"),
        writer=first.manager if first is not None else "",
        created_at=moment(metadata.get("creationTimestamp")),
        gone=gone,
    )


def _kept(raw: Raw) -> str:
    """Return the object's JSON without what must not, or need not, be kept."""
    metadata = {key: value for key, value in mapping(raw.get("metadata")).items() if key != "managedFields"}
    if LAST_APPLIED in mapping(metadata.get("annotations")):
        kept = mapping(metadata["annotations"])
        metadata["annotations"] = {key: value for key, value in kept.items() if key != LAST_APPLIED}
    slim = {key: value for key, value in raw.items() if key not in HIDDEN} | {"metadata": metadata}
    spec = mapping(raw.get("spec"))
    if "values" in spec:
        slim["spec"] = {key: value for key, value in spec.items() if key != "values"}
    whole = orjson.dumps(slim).decode()
    return orjson.dumps(redact_json(slim)).decode() if is_suspect(whole) else whole


def _about(about: Raw, cluster: str, namespace: str) -> ObjectRef:
    return ObjectRef(
        cluster,
        group_of(text(about.get("apiVersion"))),
        text(about.get("kind")),
        text(about.get("namespace")) or namespace,
        text(about.get("name")),
    )


def _owner(item: object, child: ObjectRef) -> ObjectRef:
    owner = mapping(item)
    group = group_of(text(owner.get("apiVersion")))
    return ObjectRef(child.cluster, group, text(owner.get("kind")), child.namespace, text(owner.get("name")))


def _writers(metadata: Raw) -> tuple[Writer, ...]:
    found = (mapping(item) for item in sequence(metadata.get("managedFields")))
    return tuple(
        Writer(
            text(item.get("manager")),
            text(item.get("operation")),
            text(item.get("subresource")),
            moment(item.get("time")),
        )
        for item in found
    )


def _conditions(status: Raw) -> tuple[Condition, ...]:
    found = (mapping(item) for item in sequence(status.get("conditions")))
    return tuple(
        Condition(
            text(item.get("type")),
            text(item.get("status")),
            text(item.get("reason")),
            redact(text(item.get("message"))),
            number(item.get("observedGeneration")) or None,
            moment(item.get("lastTransitionTime")),
        )
        for item in found
    )
