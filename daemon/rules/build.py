"""One checked document to one value of the rule set: expressions and templates compiled, words turned into enums.

Problems are collected, not raised, so that a file with five mistakes is told all five.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from string import Template as StringTemplate
from typing import TypeVar

from pydantic import ValidationError

from daemon.flux.decode import ref_of
from daemon.flux.kinds import group_for_kind
from daemon.model.errors import ConfigError, Problem
from daemon.model.findings import Severity
from daemon.model.notices import Silence
from daemon.model.objects import Health
from daemon.model.remedies import Mode
from daemon.rules import catalogue, schema
from daemon.rules.catalogue import is_anything
from daemon.rules.document import Document, Path
from daemon.rules.expression import compile_expression
from daemon.rules.parameter import misfits, near
from daemon.rules.procedure import CheckSpec, Procedure, bound
from daemon.rules.ruleset import (
    Count,
    Example,
    Expect,
    GivenState,
    Inhibitor,
    Match,
    Other,
    RemediationSpec,
    Route,
    Rule,
    Stage,
    StepSpec,
    Window,
)
from daemon.rules.template import compile_template

LONGEST_SILENCE_DAYS = 90
"""A silence that outlives a quarter is a rule that should be switched off."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
"""In minutes."""
_NAMING = {"kind", "namespace", "name", "labels", "ready", "gone", "raw"}
"""Fields of another object that are not what it says of itself."""
_TEXTS: Mapping[str, Callable[..., object]] = {
    "when": compile_expression,
    "summary": compile_template,
    "next_step": compile_template,
}
T = TypeVar("T")


class Builder:
    """Builds values of one document and collects what is wrong in it."""

    def __init__(self, document: Document) -> None:
        """Keep the document for its places."""
        self.document = document
        self.problems: list[Problem] = []

    def refuse(self, text: str, *path: str | int, key: bool = False) -> None:
        """Note a problem at a path of the document."""
        self.problems.append(self.document.problem(text, path, key=key))

    def rule(self, shape: schema.RuleDocument) -> Rule:
        """Return the rule; where something in it can't be compiled, one without that."""
        name, spec = shape.metadata.name, shape.spec
        when = self._compiled(compile_expression, spec.when, ("spec", "when"))
        summary = self._compiled(compile_template, spec.summary, ("spec", "summary"))
        next_step = self._compiled(compile_template, spec.next_step or None, ("spec", "next_step"))
        match = Match(
            frozenset(spec.match.kind),
            spec.match.namespace,
            spec.match.name,
            spec.match.labels,
            frozenset(Health(word) for word in spec.match.health),
            frozenset(spec.match.reason),
        )
        if not (match.health or match.reasons or spec.when or spec.sequence):
            text = "asks nothing of the object: give match.health, match.reason, when or sequence"
            self.refuse(text, "spec", "match")
        stages = self._sequence(spec)
        self._evidence(spec.evidence)
        place = self.document.place(())
        return Rule(
            name,
            match,
            Severity[spec.severity.upper()],
            summary or compile_template(""),
            when,
            Count(spec.count.at_least, spec.count.within) if spec.count else None,
            spec.absent_for,
            stages,
            spec.hold,
            spec.keep_firing_for,
            spec.grace,
            tuple(Inhibitor(each.rule, each.same) for each in spec.inhibited_by),
            tuple(spec.route),
            next_step,
            spec.runbook,
            tuple(sorted(spec.labels.items())),
            tuple(spec.evidence),
            self._remediation(spec.remediation),
            tuple(self._example(match, index, example) for index, example in enumerate(spec.examples)),
            self.document.file,
            place.line,
            spec.enabled,
        )

    def revised(self, rule: Rule, shape: schema.OverlayDocument) -> Rule:
        """Return a rule that an overlay changed, with the overlay's own examples kept beside what they are of."""
        examples = enumerate(shape.spec.examples)
        own = tuple(self._example(rule.match, index, example) for index, example in examples)
        return replace(rule, revised=(*rule.revised, replace(rule, examples=own))) if own else rule

    def loose(self, spec: Mapping[str, object]) -> None:
        """Look at what can be judged alone in a rule whose shape is wrong, so that one look tells all its mistakes."""
        for key, compiler in _TEXTS.items():
            self._text(compiler, spec.get(key), ("spec", key))
        for index, stage in _mappings(spec.get("sequence")):
            self._text(compile_expression, stage.get("when"), ("spec", "sequence", index, "when"))
        self._evidence(spec.get("evidence"))
        remediation = spec.get("remediation")
        for index, step in _mappings(remediation.get("steps") if isinstance(remediation, Mapping) else None):
            try:
                shape = schema.StepShape.model_validate(step)
            except ValidationError:
                continue  # told with the shape of the whole
            self._step(index, shape)

    def loose_checks(self, spec: Mapping[str, object]) -> None:
        """Look at the checks of a procedure whose shape is wrong somewhere else."""
        try:
            parameters = schema.ParametersShape.model_validate({"parameters": spec.get("parameters", {})}).parameters
        except ValidationError:
            return  # told with the shape of the whole; without them no value can be judged
        for index, check in _mappings(spec.get("checks")):
            try:
                shape = schema.CheckShape.model_validate(check)
            except ValidationError:
                continue  # the same
            self._check(index, shape, parameters)

    def _evidence(self, names: object) -> None:
        for index, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str) and name and name not in catalogue.EVIDENCE:
                known = ", ".join(sorted(catalogue.EVIDENCE))
                self.refuse(f"unknown evidence {name!r}, there are: {known}", "spec", "evidence", index)

    def _text(self, compiler: Callable[..., object], text: object, path: Path) -> None:
        if isinstance(text, str) and text:
            self._compiled(compiler, text, path)

    def _sequence(self, spec: schema.RuleSpec) -> tuple[Stage, ...]:
        """Return the steps of a sequence; count, absent_for and sequence exclude each other."""
        given = [name for name in ("count", "absent_for", "sequence") if getattr(spec, name)]
        if len(given) > 1:
            self.refuse(
                f"{given[0]} and {given[1]} can't be asked together: write two rules", "spec", given[1], key=True
            )
        if spec.sequence and spec.when is not None:
            self.refuse("a sequence has a `when` in each of its steps, and none beside it", "spec", "when", key=True)
        if len(spec.sequence) == 1:
            self.refuse("a sequence has two steps or more", "spec", "sequence")
        for index, stage in enumerate(spec.sequence):
            if bool(stage.within) != bool(index):
                text = (
                    "says how long after the one before it: within" if index else "is the first, so it has no `within`"
                )
                self.refuse(f"this step {text}", "spec", "sequence", index)
        compiled = (
            (self._compiled(compile_expression, stage.when, ("spec", "sequence", index, "when")), stage.within)
            for index, stage in enumerate(spec.sequence)
        )
        return tuple(Stage(when, within) for when, within in compiled if when is not None)

    def procedure(self, shape: schema.ProcedureDocument) -> Procedure:
        """Return the procedure with its parameters' defaults filled in."""
        spec = shape.spec
        checks = tuple(self._check(index, check, spec.parameters) for index, check in enumerate(spec.checks))
        place = self.document.place(())
        pattern = Procedure(
            shape.metadata.name,
            spec.parameters,
            spec.schedule or "",
            checks,
            spec.text,
            self.document.file,
            place.line,
            checks,
        )
        return pattern if self.problems else pattern.bind({})

    def route(self, shape: schema.RouteDocument) -> Route:
        """Return the route."""
        spec = shape.spec
        severity = Severity[spec.min_severity.upper()]
        kinds, targets = frozenset(spec.kinds), tuple(spec.targets)
        name, rules = shape.metadata.name, tuple(spec.rules)
        return Route(name, severity, spec.namespaces, kinds, rules, spec.labels, targets, spec.proceed)

    def silence(self, shape: schema.SilenceDocument) -> Silence:
        """Return the silence; it must match something, and end."""
        spec = shape.spec
        for key in sorted(set(spec.match) - catalogue.SILENCE_KEYS):
            known = ", ".join(sorted(catalogue.SILENCE_KEYS))
            self.refuse(f"a silence can't match {key!r}, only {known}", "spec", "match", key, key=True)
        if is_anything(spec.match):
            self.refuse("this silence matches everything: name a kind, namespace or name", "spec", "match")
        for key in ("comment", "by"):
            if not getattr(spec, key).strip():
                self.refuse(f"say {'why' if key == 'comment' else 'who asked for it'}: this is blank", "spec", key)
        if spec.ends <= spec.starts:
            self.refuse("ends before it starts", "spec", "ends")
        elif (spec.ends - spec.starts).days > LONGEST_SILENCE_DAYS:
            self.refuse(f"longer than {LONGEST_SILENCE_DAYS} days: switch the rule off instead", "spec", "ends")
        name = f"file:{shape.metadata.name}"
        return Silence(name, tuple(sorted(spec.match.items())), spec.ends, spec.comment, spec.by, spec.starts)

    def window(self, shape: schema.WindowDocument) -> Window:
        """Return the window; one that does nothing is refused."""
        spec = shape.spec
        if not (spec.quiet or spec.freeze):
            self.refuse("does nothing: say quiet: true, freeze: true or both", "spec")
        start, end = _minutes(spec.start), _minutes(spec.end)
        offset = _minutes(spec.utc_offset[1:]) * (-1 if spec.utc_offset[0] == "-" else 1)
        days = frozenset(_DAYS.index(day) for day in spec.days)
        length = (end - start) % _DAY or _DAY
        for_all = is_anything({"namespace": spec.namespaces})
        if spec.quiet and for_all and length == _DAY and len(days) == len(_DAYS):
            text = "quiet all week long for everything, so nobody would ever be told: "
            text += "name namespaces (a glob), leave out days or hours, or write a Silence, which has an end"
            self.refuse(text, "spec", "quiet")
        return Window(shape.metadata.name, days, start, length, offset, spec.quiet, spec.freeze, spec.namespaces)

    def _remediation(self, shape: schema.RemediationShape | None) -> RemediationSpec | None:
        if shape is None:
            return None
        return RemediationSpec(
            Mode(shape.mode),
            tuple(self._step(index, step) for index, step in enumerate(shape.steps)),
            shape.recovery,
            shape.limits.attempts,
            shape.limits.cooldown,
            shape.approval,
            shape.resolve_after,
        )

    def _step(self, index: int, shape: schema.StepShape) -> StepSpec:
        path: Path = ("spec", "remediation", "steps", index)
        params = dict(shape.params)
        known = catalogue.ACTIONS.get(shape.action)
        if known is None:
            self.refuse(f"unknown action {shape.action!r}, there are {_words(catalogue.ACTIONS)}", *path, "action")
        named = {key: params.pop(key, "") for key in ("kind", "namespace", "name")}
        if any(named.values()) and not (named["kind"] and named["name"]):
            self.refuse("another object needs both kind and name", *path, "with")
        for key in sorted(set(params) - known) if known is not None else ():
            text = f"{shape.action} has no parameter {key!r}, it has {_words(known or ()) or 'none'}"
            self.refuse(text, *path, "with", key, key=True)
        return StepSpec(shape.action, shape.target, **named, params=params)

    def _check(self, index: int, shape: schema.CheckShape, parameters: Mapping[str, str]) -> CheckSpec:
        path: Path = ("spec", "checks", index)
        before = len(self.problems)
        self._probe(path, shape)
        for key, text in shape.params.items():
            self._placeholders(text, parameters, *path, "with", key)
        self._placeholders(shape.text, parameters, *path, "text")
        if len(self.problems) == before:
            self._values(path, shape, parameters)
        text = shape.text or _told(shape)
        return CheckSpec(shape.id, shape.probe, shape.params, shape.by, shape.hold, shape.optional, text)

    def _probe(self, path: Path, shape: schema.CheckShape) -> None:
        """Refuse a probe that there is not, and names of parameters that it has not or lacks."""
        probe = catalogue.PROBES.get(shape.probe)
        if probe is None:
            text = f"unknown probe {shape.probe!r}, there are {_words(catalogue.PROBES)}"
            self.refuse(text + near(shape.probe, catalogue.PROBES), *path, "probe")
            return
        known = probe.required | probe.optional
        for key in sorted(probe.required - set(shape.params)):
            self.refuse(f"the probe {shape.probe} needs {key!r}", *path)
        for key in sorted(set(shape.params) - known):
            text = f"the probe {shape.probe} has no parameter {key!r}, it has {_words(known) or 'none'}"
            self.refuse(text + near(key, known), *path, "with", key, key=True)

    def _placeholders(self, text: str, parameters: Mapping[str, str], *path: str | int) -> None:
        """Refuse a ${parameter} that is written badly, or that the procedure does not have."""
        template = StringTemplate(text)
        if not template.is_valid():
            self.refuse("a $ must be followed by {parameter}", *path)
        for name in sorted(set(template.get_identifiers()) - set(parameters)):
            said = f"unknown parameter {name!r}, there are {_words(parameters) or 'none'}"
            self.refuse(said + near(name, parameters), *path)

    def _values(self, path: Path, shape: schema.CheckShape, parameters: Mapping[str, str]) -> None:
        """Refuse what a probe can't read, with the defaults where its value comes from a parameter."""
        params = bound(shape.params, parameters)
        for key, text in misfits(shape.probe, params):
            written = shape.params.get(key, "")
            hint = f": that is what {written} is by default" if written != params.get(key, "") else ""
            self.refuse(text + hint, *path, *(("with", key) if key else ()))

    def detector_examples(self, shape: schema.DetectorDocument) -> tuple[Example, ...]:
        """Return the examples of a detector; each says which object it is about."""
        examples = []
        for index, each in enumerate(shape.spec.examples):
            if not each.object.kind:
                self.refuse("say which object it is about: object.kind", "spec", "examples", index, "object")
            match = Match(frozenset({each.object.kind}), namespace="flux-system")
            examples.append(self._example(match, index, each))
        return tuple(examples)

    def _given(self, index: int, number: int, shape: schema.GivenShape) -> GivenState:
        others = []
        for place, other in enumerate(shape.others):
            path: Path = ("spec", "examples", index, "given", number, "others", place)
            if not (other.raw or (other.kind and other.name)):
                self.refuse("another object needs kind and name, or raw", *path)
            self._whole(other.raw, (*path, "raw"))
            known = group_for_kind(other.kind) if other.kind else ""
            says = "True" if other.ready is None and known.endswith("fluxcd.io") else other.ready or ""
            state = GivenState(ready=says, **other.model_dump(exclude=_NAMING))
            others.append(
                Other(other.kind, other.namespace, other.name, other.labels, state, other.gone, other.raw),
            )
        return GivenState(**shape.model_dump(exclude={"others"}), others=tuple(others))

    def _whole(self, raw: Mapping[str, object], path: Path) -> None:
        """Refuse a whole object that no API server would show."""
        try:
            if raw:
                ref_of(raw, "")
        except ValueError as error:
            self.refuse(str(error), *path)

    def _example(self, match: Match, index: int, shape: schema.ExampleShape) -> Example:
        kind = shape.object.kind or min(match.kinds)
        if kind not in match.kinds:
            self.refuse(f"the rule is not about {kind}", "spec", "examples", index, "object", "kind")
        given = tuple(self._given(index, number, each) for number, each in enumerate(shape.given))
        wanted = shape.expect
        severity = Severity[wanted.severity.upper()] if wanted.severity else None
        expect = Expect(wanted.state, severity, wanted.root, wanted.says)
        return Example(
            shape.name,
            given,
            shape.after,
            expect,
            kind,
            shape.object.namespace or _literal(match.namespace),
            shape.object.name or _literal(match.name),
            {**match.labels, **shape.object.labels},
            self.document.place(("spec", "examples", index)).line,
            self.document.file,
        )

    def _compiled(self, compiler: Callable[..., T], source: str | None, path: Path) -> T | None:
        """Compile a text of the document; what is wrong is noted with its place in the file."""
        if source is None:
            return None
        start = self.document.texts[path]
        try:
            return compiler(source, file=self.document.file, line=start.line, column=start.column)
        except ConfigError as error:
            self.problems.extend(self.document.inside(problem, path) for problem in error.problems)
            return None


def _told(shape: schema.CheckShape) -> str:
    """Return a line for people when the author wrote none."""
    named = [shape.params[key] for key in ("kind", "namespace", "name") if shape.params.get(key)]
    rest = [f"{key} {value}" for key, value in shape.params.items() if key not in ("kind", "namespace", "name")]
    return " ".join([shape.probe, "/".join(named), ", ".join(rest)]).strip()


def references(document: Document) -> Iterator[tuple[str, Path]]:
    """Yield what a rule names as its recovery procedure and as its inhibitors, whatever its shape, with the paths."""
    spec = document.data.get("spec") if isinstance(document.data, Mapping) else None
    spec = spec if isinstance(spec, Mapping) else {}
    remediation = spec.get("remediation")
    wanted = remediation.get("recovery") if isinstance(remediation, Mapping) else None
    if isinstance(wanted, str) and wanted:
        yield wanted, ("spec", "remediation", "recovery")
    for index, each in _mappings(spec.get("inhibited_by")):
        if isinstance(each.get("rule"), str):
            yield str(each["rule"]), ("spec", "inhibited_by", index, "rule")


def _mappings(entries: object) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Yield the mappings of what should be a list of them, with their indices."""
    yield from (
        (index, each)
        for index, each in enumerate(entries if isinstance(entries, list) else ())
        if isinstance(each, Mapping)
    )


def _literal(glob: str) -> str:
    """Return a name that a glob accepts."""
    return re.sub(r"\[!?(.)[^]]*\]", r"\1", glob).replace("*", "example").replace("?", "x") or "example"


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
