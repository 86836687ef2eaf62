"""Rule files to one RuleSet, or every problem at once.

A later file overrides an earlier one by kind and name; a Rule with `overlay: true` changes only a few fields of it.
All or nothing: with one problem there is no RuleSet, and the set in force stays.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from daemon.model.errors import ConfigError, Problem
from daemon.model.findings import Severity
from daemon.model.notices import Silence
from daemon.rules import catalogue, schema
from daemon.rules.build import Builder, references
from daemon.rules.document import Document, Path, read
from daemon.rules.lint import lint
from daemon.rules.procedure import Procedure
from daemon.rules.ruleset import Example, Route, Rule, RuleSet, Window
from daemon.rules.words import of_shape

_KNOWN_KEYS = schema.keys()


@dataclass(slots=True)
class _Files:
    """What was read so far: the latest of each kind and name, where it stands, and what is wrong."""

    rules: dict[str, Rule] = field(default_factory=dict)
    procedures: dict[str, Procedure] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    silences: dict[str, Silence] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    detectors_off: dict[str, bool] = field(default_factory=dict)
    detector_severity: dict[str, Severity] = field(default_factory=dict)
    detector_hold: dict[str, float] = field(default_factory=dict)
    detector_examples: dict[str, tuple[Example, ...]] = field(default_factory=dict)
    detector_written: dict[str, tuple[Severity | None, float | None]] = field(default_factory=dict)
    sources: dict[str, Document] = field(default_factory=dict)
    names: dict[tuple[str, str, str], int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    """Names of documents that were refused: what refers to them is not wrong too."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    """What loads and does nothing."""


def compile_rules(files: Iterable[tuple[str, str]]) -> RuleSet:
    """Compile (name, text) pairs in order. Raises ConfigError with every problem as file:line:column."""
    found = _Files()
    for name, text in files:
        documents, problems = read(name, text)
        found.problems.extend(problems)
        for document in documents:
            _take(found, document)
    _check_references(found)
    if found.problems:
        raise ConfigError(*found.problems)
    ruleset = RuleSet(
        tuple(found.rules.values()),
        found.procedures,
        tuple(found.routes.values()),
        tuple(found.silences.values()),
        tuple(found.windows.values()),
        frozenset(name for name, off in found.detectors_off.items() if off),
        found.detector_severity,
        found.detector_hold,
        found.detector_examples,
        (),
        found.detector_written,
    )
    return replace(ruleset, problems=(*lint(ruleset), *found.warnings))


def _take(found: _Files, document: Document) -> None:
    """Add one document, or what is wrong with it."""
    shape = _shaped(found, document)
    if shape is None:
        return
    name = shape.metadata.name
    identity = (document.file, type(shape).__name__, name)
    if identity in found.names:
        text = f"{shape.kind} {name!r} is in this file twice, first at line {found.names[identity]}"
        found.problems.append(document.problem(text, ("metadata", "name")))
    found.names.setdefault(identity, document.place(()).line)
    builder = Builder(document)
    match shape:
        case schema.RuleDocument():
            _tell_replaced(found, document, found.rules.get(name))
            found.rules[name], found.sources[name] = builder.rule(shape), document
        case schema.OverlayDocument():
            _overlay(found, builder, shape)
        case schema.ProcedureDocument():
            found.procedures[name] = builder.procedure(shape)
        case schema.RouteDocument():
            found.routes[name] = builder.route(shape)
        case schema.SilenceDocument():
            found.silences[name] = builder.silence(shape)
        case schema.WindowDocument():
            found.windows[name] = builder.window(shape)
        case _:
            _detector(found, builder, shape)
    found.problems.extend(builder.problems)


def _tell_replaced(found: _Files, document: Document, former: Rule | None) -> None:
    """Warn of a rule that takes the place of another one: that is what a name is for, and easily not what is meant."""
    if former is not None and former.file != document.file:
        text = (
            f"replaces rule {former.name!r} of {former.file}:{former.line}; to change only some of it, use an overlay"
        )
        found.warnings.append(document.problem(text, ("metadata", "name")))


def _detector(found: _Files, builder: Builder, shape: schema.DetectorDocument) -> None:
    """Change a detector: what a later document does not say stays as an earlier one had it."""
    name, spec = shape.metadata.name, shape.spec
    if not spec.model_fields_set:
        found.warnings.append(builder.document.problem("changes nothing: say enabled, severity, for or examples"))
    if name not in catalogue.DETECTORS:
        known = ", ".join(sorted(catalogue.DETECTORS))
        builder.refuse(f"unknown detector {name!r}, there are {known}", "metadata", "name")
    if spec.enabled is not None:
        found.detectors_off[name] = not spec.enabled
    if spec.severity is not None:
        found.detector_severity[name] = Severity[spec.severity.upper()]
    if spec.hold is not None:
        found.detector_hold[name] = spec.hold
    if spec.examples:
        found.detector_examples[name] = builder.detector_examples(shape)
        found.detector_written[name] = (found.detector_severity.get(name), found.detector_hold.get(name))


def _shaped(found: _Files, document: Document) -> schema.AnyDocument | None:
    """Return the document in its shape, or None after noting what does not fit."""
    data = document.data
    if not isinstance(data, dict):
        found.problems.append(document.problem("a document must be a mapping with apiVersion, kind, metadata and spec"))
        return None
    kind = data.get("kind")
    model = schema.BY_KIND.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join(schema.BY_KIND)
        text = f"unknown kind {kind!r}, there are {known}" if "kind" in data else f"no kind, there are {known}"
        text += _meant(str(kind), schema.BY_KIND)
        found.problems.append(document.problem(text, ("kind",)))
        return None
    spec = data.get("spec")
    if kind == "Rule" and isinstance(spec, dict) and spec.get("overlay") is True:
        model = schema.OverlayDocument
    try:
        return model.model_validate(data)
    except ValidationError as error:
        metadata = data.get("metadata")
        found.broken.add(str(metadata.get("name")) if isinstance(metadata, dict) else "")
        told = [_told(document, model, each) for each in error.errors(include_url=False)]
        builder = Builder(document)
        if model is schema.ProcedureDocument and isinstance(spec, dict):
            builder.loose_checks(spec)
        if model is schema.RuleDocument and isinstance(spec, dict):
            builder.loose(spec)
            found.sources[str(metadata.get("name")) if isinstance(metadata, dict) else ""] = document
        found.problems.extend(sorted((*told, *builder.problems), key=lambda each: (each.line, each.column)))
        return None


def _meant(word: str, known: Iterable[str]) -> str:
    """Return the question whether a word that is near to this one was meant; empty where none is near."""
    near = get_close_matches(word, sorted(known), 1)
    return f", did you mean {near[0]!r}?" if near else ""


def _told(document: Document, model: type[BaseModel], error: ErrorDetails) -> Problem:
    """Return pydantic's error as a sentence with its place."""
    path: Path = error["loc"]
    match error["type"]:
        case "extra_forbidden":
            key = str(path[-1])
            start = "the key {!r} is not allowed here" if key in _KNOWN_KEYS else "unknown key {!r}"
            text = start.format(key) + _meant(key, _allowed(model, path))
            return document.problem(text, path, key=True)
        case "missing":
            return document.problem(f"{path[-1]!r} is missing", path)
        case "value_error":
            return document.problem(error["msg"].removeprefix("Value error, "), path)
        case _:
            return document.problem(of_shape(error["type"], error["msg"], path, error.get("ctx", {})), path)


def _allowed(model: type[BaseModel], path: Path) -> Iterable[str]:
    """Return the keys that may be written where a path ends, in a document of this shape."""
    for part in path[:-1]:
        if isinstance(part, str):
            model = _shape_in(_fields(model)[part].annotation) or model
    return _fields(model)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _shape_in(annotation: object) -> type[BaseModel] | None:
    """Return the shape that a type speaks of: itself, or what it lists."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_shape_in, get_args(annotation))), None)


def _overlay(found: _Files, builder: Builder, shape: schema.OverlayDocument) -> None:
    """Change a few fields of a rule that an earlier document gave."""
    name, spec = shape.metadata.name, shape.spec
    rule = found.rules.get(name)
    if rule is None and name in found.broken:
        return
    if rule is None:
        builder.refuse(_without_rule(name, found.rules), "metadata", "name")
        return
    if spec.model_fields_set <= {"overlay"}:
        text = "changes nothing: say enabled, severity, for, keep_firing_for, route, labels or examples"
        found.warnings.append(builder.document.problem(text))
    changed = replace(
        rule,
        severity=Severity[spec.severity.upper()] if spec.severity else rule.severity,
        hold=rule.hold if spec.hold is None else spec.hold,
        keep=rule.keep if spec.keep_firing_for is None else spec.keep_firing_for,
        route=rule.route if spec.route is None else tuple(spec.route),
        enabled=rule.enabled if spec.enabled is None else spec.enabled,
        labels=tuple(sorted({**dict(rule.labels), **spec.labels}.items())),
        original=rule.original or rule,
    )
    found.rules[name] = builder.revised(changed, shape)


def _without_rule(name: str, rules: Iterable[str]) -> str:
    """Say of an overlay that changes no rule what to do about it."""
    if name in catalogue.DETECTORS:
        return f"{name!r} is a detector and has no overlay: write kind: Detector, without overlay"
    text = f"no rule {name!r} stands before this overlay{_meant(name, rules)}"
    return f"{text.removesuffix('?')}: if it is a shipped one, put `shipped` before this file"


def _check_references(found: _Files) -> None:
    """Note recovery procedures and inhibiting rules that no file gives, and rules that keep each other quiet."""
    rules = found.rules.keys() | found.broken | catalogue.DETECTORS
    procedures = found.procedures.keys() | found.broken
    for name, document in found.sources.items():
        for wanted, path in references(document):
            inhibits = path[-1] == "rule"
            known = rules - {name} if inhibits else procedures
            if wanted in known:
                continue
            text = "no other rule or detector is called" if inhibits else "unknown procedure"
            text += f" {wanted!r}" + (_meant(wanted, known) if wanted != name else "")
            found.problems.append(document.problem(text, path))
    for ring in _rings({name: rule for name, rule in found.rules.items() if rule.enabled}):
        inhibitors = [each.rule for each in found.rules[ring[0]].inhibited_by]
        path = ("spec", "inhibited_by", inhibitors.index(ring[1]), "rule")
        text = f"these keep each other quiet, so that none of them is sent: {' by '.join((*ring, ring[0]))}"
        found.problems.append(found.sources[ring[0]].problem(text, path))


def _rings(rules: Mapping[str, Rule]) -> Iterator[tuple[str, ...]]:
    """Yield each shortest ring of rules that inhibit one another, once, from its first rule on."""
    seen: set[str] = set()
    for name in rules:
        ways: deque[tuple[str, ...]] = deque([(name,)])
        reached = {name}
        while ways and name not in seen:
            way = ways.popleft()
            for inhibitor in (each.rule for each in rules[way[-1]].inhibited_by):
                if inhibitor == name and len(way) > 1:
                    seen.update(way)
                    yield way
                    ways.clear()
                    break
                if inhibitor in rules and inhibitor not in reached:
                    reached.add(inhibitor)
                    ways.append((*way, inhibitor))
