"""The recording format: lines of JSON to signals, and facts of a watch to lines. The format is a contract.

A line that cannot be read is reported with its number and skipped; nothing else is lost. Secrets' contents, values of
releases and the inside of managed fields are never written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from daemon.flux.decode import Raw, decode_webhook, gone_of, ref_of, signal_of
from daemon.flux.fields import mapping, moment, sequence, text
from daemon.flux.kinds import kind_of, resource_of
from daemon.model.documents import stamp
from daemon.model.errors import Problem
from daemon.model.redact import redact_json
from daemon.model.refs import ObjectRef
from daemon.model.signals import Signal, Synced

WATCH_TYPES = frozenset({"ADDED", "MODIFIED", "DELETED"})
HIDDEN = frozenset({"data", "stringData", "binaryData"})
WRITER_FIELDS = ("manager", "operation", "subresource", "time")


@dataclass(frozen=True, slots=True)
class Recording:
    """The signals of a recording in their order, and what could not be read."""

    signals: tuple[Signal, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Reader:
    """Reads line by line; remembers which resources are in sync and what is present, for gaps."""

    cluster: str
    name: str
    signals: list[Signal] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    synced: set[str] = field(default_factory=set)
    present: dict[str, dict[ObjectRef, Raw]] = field(default_factory=dict)

    def read(self, number: int, line: str | bytes) -> None:
        """Read one line; report it when that is not possible."""
        if not line.strip():
            return
        try:
            self._read(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            self._report(number, f"not JSON: {error.msg}", error.colno)
        except ValueError as error:
            self._report(number, str(error))

    def _read(self, fact: object) -> None:
        raw = mapping(fact)
        at = moment(raw.get("at"))
        kind = text(raw.get("type"))
        if at is None:
            raise ValueError("no time in `at`")
        if kind in WATCH_TYPES:
            self._watch(at, kind, mapping(raw.get("object")))
        elif kind == "SYNCED":
            self.synced.add(text(raw.get("resource")))
            self.signals.append(Synced(at, text(raw.get("resource"))))
        elif kind == "GAP":
            self._gap(at, text(raw.get("resource")), [mapping(item) for item in sequence(raw.get("objects"))])
        elif kind == "WEBHOOK":
            self.signals.append(decode_webhook(mapping(raw.get("body")), self.cluster, at))
        elif kind != "BOOKMARK":
            raise ValueError(f"unknown line type {kind!r}")

    def _watch(self, at: datetime, kind: str, raw: Raw) -> None:
        ref = ref_of(raw, self.cluster)
        resource = _resource(ref)
        if kind == "DELETED":
            self.present.get(resource, {}).pop(ref, None)
            signal = gone_of(raw, self.cluster, at)
        else:
            self.present.setdefault(resource, {})[ref] = raw
            signal = signal_of(raw, self.cluster, at, initial=resource not in self.synced)
        if signal is not None:
            self.signals.append(signal)

    def _gap(self, at: datetime, resource: str, objects: list[Raw]) -> None:
        """A relist after a lost watch: what is missing from it is gone, the rest is as it says."""
        listed = {ref_of(raw, self.cluster): raw for raw in objects}
        before = self.present.get(resource, {})
        lost = [gone_of(raw, self.cluster, at) for ref, raw in before.items() if ref not in listed]
        found = [signal_of(raw, self.cluster, at) for raw in listed.values()]
        self.present[resource] = listed
        self.signals += [signal for signal in (*lost, *found) if signal is not None]
        self.signals.append(Synced(at, resource))

    def _report(self, number: int, words: str, column: int = 0) -> None:
        self.problems.append(Problem(words, file=self.name, line=number, column=column))


def read_recording(lines: Iterable[str | bytes], cluster: str, name: str) -> Recording:
    """Return every signal that the lines hold, in their order, and a Problem for each line that cannot be read."""
    reader = _Reader(cluster, name)
    for number, line in enumerate(lines, start=1):
        reader.read(number, line)
    return Recording(tuple(reader.signals), tuple(reader.problems))


def record_line(at: datetime, kind: str, raw: Raw) -> bytes:
    """Return the line of one watch fact (ADDED, MODIFIED, DELETED, BOOKMARK), redacted, with its newline."""
    return _line({"at": stamp(at), "type": kind, "object": _slim(raw)})


def record_sync(at: datetime, resource: str) -> bytes:
    """Return the line that says the initial list of a resource is complete."""
    return _line({"at": stamp(at), "type": "SYNCED", "resource": resource})


def record_gap(at: datetime, resource: str, objects: Iterable[Raw]) -> bytes:
    """Return the line of a relist: the whole new list, redacted."""
    return _line({"at": stamp(at), "type": "GAP", "resource": resource, "objects": [_slim(raw) for raw in objects]})


def record_webhook(at: datetime, headers: Mapping[str, str], body: Raw) -> bytes:
    """Return the line of what notification-controller posted."""
    return _line({"at": stamp(at), "type": "WEBHOOK", "headers": dict(headers), "body": dict(body)})


def _line(fact: Mapping[str, object]) -> bytes:
    return orjson.dumps(redact_json(dict(fact))) + b"\n"


def _slim(raw: Raw) -> dict[str, object]:
    """Return the object without contents of Secrets, values, and the inside of managed fields."""
    slim = {key: value for key, value in raw.items() if key not in HIDDEN}
    metadata = dict(mapping(raw.get("metadata")))
    if "managedFields" in metadata:
        fields = [mapping(item) for item in sequence(metadata["managedFields"])]
        metadata["managedFields"] = [{key: item[key] for key in WRITER_FIELDS if key in item} for item in fields]
    annotations = mapping(metadata.get("annotations"))
    hidden = "kubectl.kubernetes.io/last-applied-configuration"
    if hidden in annotations:
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != hidden}
    slim["metadata"] = metadata
    spec = mapping(raw.get("spec"))
    if "values" in spec:
        slim["spec"] = {key: value for key, value in spec.items() if key != "values"}
    return slim


def _resource(ref: ObjectRef) -> str:
    kind = kind_of(ref.group, ref.kind)
    return resource_of(kind) if kind is not None else ref.kind
