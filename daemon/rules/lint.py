"""Rules and routes that load but can't do what their author hoped: never firing, never asked, never tested.

Limit: it knows what is true of every object, not what this cluster holds.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from string import ascii_lowercase

from daemon.flux.kinds import KINDS, WATCHED, group_for_kind
from daemon.flux.possible import CLUSTER_WIDE, NEVER, SILENT, UNREADY, healths_of, never_depend, never_run
from daemon.flux.reasons import BY_REASON, EVENTS, ReasonClass, kinds_that_give, reasons_of_kind
from daemon.model.cron import parse
from daemon.model.errors import Problem
from daemon.model.findings import Severity
from daemon.model.objects import Health
from daemon.rules import scope
from daemon.rules.catalogue import DETECTORS, TARGETS
from daemon.rules.expression import Activation, activation
from daemon.rules.formula import ENTRY, facts_of, read
from daemon.rules.procedure import Procedure
from daemon.rules.reach import NOTHING, WORDS, asked, can_be_true
from daemon.rules.ruleset import Match, Route, Rule, RuleSet
from daemon.rules.sample import least

NEVER_NOT_WELL = frozenset({Health.CURRENT})
BROKEN = frozenset({Health.FAILED, Health.BLOCKED})
"""Health that only conditions tell of."""
WAITING = frozenset({ReasonClass.BLOCKED, ReasonClass.SYMPTOM, ReasonClass.PROGRESSING})
SUCCESSES = frozenset(
    {
        "Succeeded",
        "ReconciliationSucceeded",
        "InstallSucceeded",
        "UpgradeSucceeded",
        "TestSucceeded",
        "NoDriftDetected",
        "GitOperationSucceeded",
        "BucketOperationSucceeded",
        "IndexationSucceed",
        "ChartPullSucceeded",
        "ChartPackageSucceeded",
        "ArtifactUpToDate",
    }
)
"""Reasons of a Ready that is True. A rollback or an uninstall that succeeded is none: the release is not Ready then."""
_NEAR = 0.8
_NEARER = 0.9
"""For reasons of events: others give them too, and some differ from Flux's by a few letters."""
_KINDS = tuple(kind.kind for kind in KINDS)
_WATCHED = {kind.kind: kind for kind in WATCHED}
ON_DEMAND = frozenset({"Pod", "ReplicaSet"})
"""Kinds that are read while a workload above them is down: a rule about them may fire then."""
_GLOB = re.compile(r"[*?\[]")
_ORDINARY = tuple(f"{letter}{rest}" for letter in ascii_lowercase for rest in ("pp", "ob-system"))
"""Names as people choose them, with no letter in all of them: what fits each of these fits nearly every other too."""
_NEARLY = 0.9
"""Share of the rules and detectors that is nearly all of them: `*-*` leaves out those of one word."""
_SET = re.compile(r"\[!?\]?[^\]]*\]")
_LETTERS = {"namespace": re.compile(r"[^a-z0-9*?-]"), "name": re.compile(r"[^a-z0-9.*?-]")}
"""What no name of a watched object has (RFC 1123): a namespace is a label, all other names may have dots."""
_LONGEST = {"namespace": 63, "name": 253}
_TYPES = {bool: "true or false", int: "a number", dict: "a map", list: "a list"}


def lint(ruleset: RuleSet) -> tuple[Problem, ...]:
    """Return warnings, in the order of the rules, then of the procedures, the routes and the silences."""
    warnings = [Problem(text, rule.file, rule.line, 1, rule.name) for rule in ruleset.rules for text in _of_rule(rule)]
    procedures = ruleset.procedures.values()
    warnings += [
        Problem(text, each.file, each.line, 1, each.name) for each in procedures for text in _of_procedure(each)
    ]
    others = (*_of_routes(ruleset), *_of_silences(ruleset))
    return (*warnings, *(Problem(text, path=name) for name, text in others))


def _of_rule(rule: Rule) -> Iterator[str]:
    match = rule.match
    if not rule.enabled:
        return
    for kind in sorted(match.kinds - set(_WATCHED) - ON_DEMAND):
        near = get_close_matches(kind, _WATCHED, 1)
        yield f"never fires for {kind}: it is not watched" + (f", did you mean {near[0]}?" if near else "")
    if "Event" in match.kinds:
        yield "never fires for Event: write the rule for what events are about, and read event.reason"
    if rule.absent_for is None:
        yield from _of_health(match)
    yield from _of_names(match)
    for test in rule.tests:
        if not test.uses:
            yield "the expression reads nothing of the object, so it is always the same"
            continue
        error = next(filter(None, (test.evaluate(_least(kind)).error for kind in sorted(match.kinds))), "")
        if error:
            yield f"the expression fails where a field is absent ({error}): use has() or .?field.orValue(...)"
    words = [*_of_words(rule), *_of_types(rule)]
    yield from words or _of_contradictions(rule)
    yield from _of_kinds(rule)
    yield from _of_reasons(rule)
    yield from (f"its route: {text}" for text in _of_targets(rule.route))
    yield from _of_examples(rule)


@cache
def _least(kind: str) -> Activation:
    """Return the variables of the least object of a kind, that changed in nothing."""
    raw = least(group_for_kind(kind), kind)
    return activation({"object": raw, "old": raw})


def _of_words(rule: Rule) -> Iterator[str]:
    for test in rule.tests:
        for name, words in WORDS.items():
            for word in asked(test, name, anyhow=True):
                if word not in words:
                    near = get_close_matches(word.capitalize(), words, 1)
                    shown = name.replace(f"{ENTRY}.", "an entry's ")
                    yield f"{shown} is never {word!r}" + (f", did you mean {near[0]!r}?" if near else "")


def _of_contradictions(rule: Rule) -> Iterator[str]:
    """Tell of expressions that nothing can make true, under what else the rule asks for."""
    if rule.absent_for is not None:
        return  # it waits for its expression not to hold
    least = 0.0 if rule.temporal else rule.hold
    held = _held(rule.match)
    for test in rule.tests:
        if not test.uses or can_be_true(test, held, least):
            continue
        if not can_be_true(test):
            yield f"never fires: nothing makes this true: {test.source}"
            continue
        limits = [
            _limit(rule.match, name, words)
            for name, words in held.items()
            if can_be_true(test, {key: value for key, value in held.items() if key != name}, least)
        ]
        limits += [f"for {least:g} s"] * can_be_true(test, held)
        limits = limits or ["what match asks for"]  # only together do they rule it out
        yield f"never fires: with {' and '.join(limits)} nothing makes the expression true"


def _limit(match: Match, name: str, words: frozenset[str]) -> str:
    """Say what a variable can only hold, and why where the rule does not say it itself."""
    kinds = _and(match.kinds)
    if name in ("dependencies", "workload"):
        return f"kind {kinds}, which has no {name}," if len(match.kinds) == 1 else f"{kinds}, which have no {name},"
    if name == "health" and not match.health:
        return f"kind {kinds}, whose health is {_or(words)}"
    return f"{name.removeprefix('ref.')} {_or(words) or 'empty'}"


def _held(match: Match) -> dict[str, frozenset[str]]:
    """Return what some variables can only hold in objects that a rule is about."""
    held = {"ref.kind": match.kinds}
    if match.kinds <= UNREADY:
        fields = ("status", "reason", "message")
        held |= {f"{condition}.{field}": frozenset({""}) for condition in ("ready", "stalled") for field in fields}
    healths = healths_of(match.kinds)
    held["health"] = frozenset(health.value for health in (match.health & healths or match.health or healths))
    if never_depend(match.kinds):
        held["dependencies"] = NOTHING
    if never_run(match.kinds):
        held["workload"] = NOTHING
    if match.kinds <= CLUSTER_WIDE:
        held["ref.namespace"] = frozenset({""})
    for name, glob in (("ref.namespace", match.namespace), ("ref.name", match.name)):
        if glob and not _GLOB.search(glob):
            held[name] = frozenset({glob})
    return held


def _of_names(match: Match) -> Iterator[str]:
    """Tell of names that no object of the kinds has."""
    if match.namespace and not fnmatchcase("", match.namespace):
        for kind in sorted(match.kinds & CLUSTER_WIDE):
            yield f"never fires for {kind}: it stands in no namespace, leave match.namespace out"
    named = (("namespace", match.namespace), ("name", match.name)) if match.kinds & set(_WATCHED) else ()
    for field, glob in named:
        bare = _SET.sub("?", glob)
        wrong = _LETTERS[field].search(bare)
        if bare != bare.lower():
            yield f"never fires: names in Kubernetes are lower-case, {glob!r} is not"
        elif wrong is not None:
            allowed = "letters, digits and dashes" + (" and dots" if field == "name" else "")
            yield f"never fires: a {field} in Kubernetes has only {allowed}, {glob!r} has {wrong.group()!r}"
        elif bare.strip("-.") != bare:
            yield f"never fires: a {field} in Kubernetes begins and ends with a letter or a digit, {glob!r} does not"
        elif len(bare.replace("*", "")) > _LONGEST[field]:
            yield f"never fires: a {field} in Kubernetes has at most {_LONGEST[field]} characters, {glob!r} has more"


def _of_types(rule: Rule) -> Iterator[str]:
    """Tell of fields that are compared with a text and hold none in any object of the kinds."""
    for test in rule.tests:
        for fact in dict.fromkeys(facts_of(read(test.source))):
            root, *path = fact.key.split(".")
            if root not in scope.LAZY or fact.operation != "in" or not fact.words:
                continue
            types = {_type_at(kind, path) for kind in rule.match.kinds}
            if len(types) == 1 and (named := types.pop()):
                hint = ": leave the quotes out" if named in (_TYPES[int], _TYPES[bool]) else ""
                yield f"{fact.key} is {named} and never the text {fact.words[0]!r}{hint}"


def _type_at(kind: str, path: list[str]) -> str:
    """Return what stands at a path of every object of a kind; nothing for a text, or where nobody knows."""
    value: object = least(group_for_kind(kind), kind)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return _TYPES.get(type(value), "")


def _of_health(match: Match) -> Iterator[str]:
    """Tell of a health that the kinds of the rule, or the reasons that it asks for, never go with."""
    kinds, possible = _and(match.kinds), healths_of(match.kinds)
    if match.kinds <= SILENT and match.health and match.health <= BROKEN:
        yield f"never fires: {kinds} have no conditions, so they never are {_or(match.health)}"
    elif match.health and match.health <= NEVER:
        yield f"never fires: what is not there is not looked at, so no object is {_or(match.health)} by itself"
    elif match.health and not match.health & possible:
        yield f"never fires: {kinds} never are {_or(match.health)}, only {_or(possible)}"
    elif match.kinds <= SILENT and match.reasons:
        yield f"never fires: {kinds} have no conditions, so they never give a reason"
    elif match.kinds <= UNREADY and match.reasons:
        text = f"never fires: match.reason reads Ready and Stalled, which {kinds} have not"
        yield f"{text}: ask for a health, or read object.status.conditions"
    if match.reasons and match.health and match.health <= NEVER_NOT_WELL:
        yield "never fires: a reason is asked of objects that are not well, and health asks for Current"
    waiting = match.reasons and all(BY_REASON.get(reason) in WAITING for reason in match.reasons)
    if waiting and match.health == {Health.FAILED} and all(map(reasons_of_kind, match.kinds)):
        yield f"never fires: with reason {_or(match.reasons)} an object waits or is at work, it never is Failed"


def _of_kinds(rule: Rule) -> Iterator[str]:
    """Tell of slips of the pen in the kinds that an expression compares with."""
    for test in rule.tests:
        for word in dict.fromkeys(word for name in ("ref.kind", f"{ENTRY}.kind") for word in asked(test, name)):
            near = get_close_matches(word, _KINDS, 1, _NEAR)
            if near and word not in _KINDS:
                yield f"no kind is called {word!r}, did you mean {near[0]!r}?"


def _of_reasons(rule: Rule) -> Iterator[str]:
    """Tell of reasons that Flux gives, but never for the kinds of the rule or never for bad news, and of slips."""
    match = rule.match
    for reason in sorted(match.reasons & SUCCESSES):
        yield f"never fires for {reason}: match.reason is asked of objects that are not well, and that is good news"
    possible = [reasons_of_kind(kind) for kind in sorted(match.kinds)]
    if not all(possible):
        return  # of some kind we do not know what it can say
    known = frozenset[str]().union(*possible)
    yield from _unsaid("never fires for", sorted(match.reasons), known)
    for name in ("ready.reason", "stalled.reason"):
        yield from _unsaid(f"{name} is never", _asked(rule, name), known)
    for reason in _asked(rule, "event.reason"):
        near = get_close_matches(reason, known | EVENTS, 1, _NEARER)
        if near and near[0] != reason and not kinds_that_give(reason):
            yield f"event.reason is never {reason}: Flux does not say so, did you mean {near[0]}?"


def _asked(rule: Rule, name: str) -> list[str]:
    return list(dict.fromkeys(word for test in rule.tests for word in asked(test, name) if word))


def _unsaid(start: str, reasons: Iterable[str], known: frozenset[str]) -> Iterator[str]:
    """Tell of reasons that are not among the known ones, and are another kind's or nearly one of them."""
    for reason in reasons:
        given_by = kinds_that_give(reason)
        near = get_close_matches(reason, known, 1, _NEAR)
        if reason in known:
            continue
        if given_by:
            yield f"{start} {reason}: that is a reason of {' and '.join(given_by)} alone"
        elif near:
            yield f"{start} {reason}: Flux does not say so, did you mean {near[0]}?"


def _and(words: Iterable[str]) -> str:
    return " and ".join(sorted(words))


def _or(words: Iterable[str]) -> str:
    return " or ".join(sorted(words))


def _of_targets(targets: Iterable[str]) -> Iterator[str]:
    for target in targets:
        if target not in TARGETS:
            yield f"no target is called {target!r}, there are {', '.join(sorted(TARGETS))}"


def _of_examples(rule: Rule) -> Iterator[str]:
    states = {example.expect.state for example in rule.examples}
    if "firing" not in states:
        yield "no example shows it firing"
    if not states & {"none", "pending"}:
        yield "no example shows where it must stay quiet"


def _of_routes(ruleset: RuleSet) -> Iterator[tuple[str, str]]:
    catching = ""
    for route in ruleset.routes:
        yield from ((route.name, text) for text in (*_of_targets(route.targets), *_unfitting(route, ruleset)))
        if catching:
            yield route.name, f"never asked: {catching!r} stands before it and takes everything"
        open_to_all = not route.kinds and route.namespaces in ("", "*") and route.min_severity is Severity.INFO
        if open_to_all and not route.continues:
            catching = catching or route.name


def _of_procedure(procedure: Procedure) -> Iterator[str]:
    for name, times in Counter(check.id for check in procedure.checks).items():
        if times > 1:
            yield f"{times} of its checks have the id {name!r}: nobody can tell which of them failed"
    if procedure.schedule and not parse(procedure.schedule).comes:
        yield f"never asked by itself: no month of its schedule {procedure.schedule!r} has such a day"


def _unfitting(route: Route, ruleset: RuleSet) -> Iterator[str]:
    """Tell of the kinds and rules of a route that there are not: kinds are words, rules are globs."""
    for kind in sorted(route.kinds - set(_KINDS)):
        yield f"takes nothing for its kind {kind!r}: no kind is called so{_meant(kind, _KINDS)}"
    names = _finders(ruleset)
    for glob in route.rules:
        if not any(fnmatchcase(name, glob) for name in names):
            yield f"takes nothing for its rules {glob!r}: no rule or detector is called so{_meant(glob, names)}"


def _of_silences(ruleset: RuleSet) -> Iterator[tuple[str, str]]:
    """Tell of silences that mute nothing, where no kind, rule or detector has such a name, or nearly everything."""
    known = {"kind": ("kind is", _KINDS), "rule": ("rule or detector is", _finders(ruleset))}
    for silence in ruleset.silences:
        for key, pattern in silence.matcher:
            words, names = known.get(key, ("", ()))
            if words and not any(fnmatchcase(name, pattern or "*") for name in names):
                hint = _meant(pattern, names)
                yield silence.id.removeprefix("file:"), f"mutes nothing: no {words} called {pattern!r}{hint}"
        if all(_is_nearly_anything(key, pattern, known["rule"][1]) for key, pattern in silence.matcher):
            globs = " and ".join(f"{key} {pattern!r}" for key, pattern in silence.matcher)
            text = f"mutes nearly everything: hardly anything does not fit {globs}; name a kind, namespace or name"
            yield silence.id.removeprefix("file:"), text


def _is_nearly_anything(key: str, pattern: str, finders: Collection[str]) -> bool:
    """Say whether a glob of a silence leaves out next to nothing of what there can be."""
    names = {"kind": _WATCHED, "rule": finders}.get(key, _ORDINARY)
    fitting = sum(fnmatchcase(name, pattern or "*") for name in names)
    return fitting >= len(names) * (_NEARLY if key == "rule" else 1.0)


def _meant(word: str, names: Iterable[str]) -> str:
    near = get_close_matches(word, tuple(names), 1)
    return f", did you mean {near[0]!r}?" if near else ""


def _finders(ruleset: RuleSet) -> tuple[str, ...]:
    return (*(rule.name for rule in ruleset.rules), *sorted(DETECTORS))
