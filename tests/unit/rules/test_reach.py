"""A warning that an expression is never true must be certain: what can be true is never called impossible."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.flux.possible import AT_EASE
from daemon.rules import reach
from daemon.rules.expression import activation, compile_expression
from daemon.rules.reach import HEALTHS, STATUS, asked, can_be_true

POSSIBLE = [
    "ready.message != ''",
    "!(ready.reason in ['', 'Progressing'])",
    "ready.reason != stalled.reason",
    "ready.message.contains(ref.name) && ref.name != ''",
    " && ".join(f"ready.message.contains('{letter}')" for letter in "abcde"),
    "event.message.startsWith('Helm') && event.message.endsWith('exceeded') && event.message.contains('cilium')",
    "ready.reason.endsWith('Failed') && ready.reason != 'Failed' && !ready.reason.startsWith('Build')",
    "ready.message.contains('fail') && !ready.message.contains('fail early') && !ready.message.startsWith('fail')",
    "failing_for > duration('100ms') && failing_for < duration('500ms')",
    "failing_for >= duration('1m') && failing_for <= duration('60s') && failing_for != duration('2m')",
    "failing_for > duration('5us') && failing_for < duration('6us')",
    "ready['reason'] == 'x' && ready['reason'] != ''",
    "dependents.exists(d, d['health'] == 'Blocked' && d['kind'] == 'HelmRelease')",
    r"ready.message.contains('\n') && ready.message != '\\n'",
    r"ready.message == 'it\'s'",
    r'ready.message == "\"x\""',
    "ready.message == r'a' && ready.message == 'a'",
    "ready.message == '''a''' && ready.message == 'a'",
    "ready.message == 'a' // && suspended && !suspended",
    "dependents.exists(d, d.health == 'Failed') && dependents.exists(d, d.health == 'Current')",
    "dependents.exists(d, d.health == health) && !dependents.exists(d, d.health == 'Failed')",
    "dependents.exists(health, health.name == 'x') && health == 'Failed'",
    "dependents.exists(d, d.name == 'x') == dependents.exists(d, d.name == 'y')",
    "dependents.filter(d, d.health == 'Failed').size() == 1 && dependents.all(d, d.health == 'Current')",
    "cel.bind(health, 'x', health == 'x') && health == 'Failed'",
    "health == 'Failed' ? suspended : !suspended",
    "!suspended == !suspended && suspended",
    "ready.message.lowerAscii().contains('a') && !ready.message.contains('a')",
    "ready.message.startsWith('ab') && ready.message.startsWith('a') && !ready.message.startsWith('b')",
    "ready.message.endsWith('ab') && ready.message.endsWith('b') && !ready.message.endsWith('a')",
    "ready.message.contains('ab') && !ready.message.startsWith('ab') && !ready.message.endsWith('b')",
    "!suspended || suspended",
    "size(dependents) > 2 && dependents.size() < 4 && size(dependents) != 4 && -1 < size(dependencies)",
    "workload.ready < workload.desired && workload.ready > workload.updated",
    "workload.ready - 3 < 0 && workload['ready'] < 0",
    "size(dependents) < size(dependencies) && failing_for > duration(object.spec.interval)",
    "failing_for > duration('5us') && failing_for < timestamp(ready.message) - timestamp(ready.message)",
    "ready.reason <= ready.reason && !(ready.reason < ready.reason) && !(ready.reason != ready.reason)",
    "double(ready.message) != double(ready.message)",
    "ready.reason == 'a' == suspended && suspended",
    "(ready.reason in ['a'] == suspended) && ready.reason in ['b']",
    "object.spec.path == 'a' && object.spec.path != 'b' && object.spec.path.startsWith('a') && object.spec == 'b'",
    "!(object.spec.path == 'a') && object.spec.path.size() == 3 && object['spec'].path == 'a'",
    "!!suspended && true && !false",
    " && ".join(f"(ready.message == '{n}' || ready.reason == '{n}')" for n in range(12)),
]

IMPOSSIBLE = [
    "suspended && !suspended",
    "suspended == true && suspended != true",
    "!(suspended || ready.status != 'x')",
    "true && !true",
    "health == 'Suspended' && !suspended",
    "dependents.exists(d, d.health == 'Failed') && dependents.all(d, d.health == 'Current')",
    "dependents.exists(d, d.name == 'a') && !dependents.exists(e, e.name == 'a')",
    "!dependents.all(d, d.health == 'Failed' || true)",
    "ready.reason == 'a' && 'b' == ready.reason",
    "ready.reason in ['a', 'b'] && !(ready.reason in ['b', 'a',])",
    "ready.message.contains('ab') && !ready.message.contains('a')",
    "ready.message.startsWith('ab') && !ready.message.startsWith('a')",
    "ready.message.endsWith('ab') && !ready.message.endsWith('b')",
    "ready.reason.startsWith('ab') && ready.reason.startsWith('b')",
    "ready.reason.endsWith('ab') && ready.reason.endsWith('a')",
    "ready.reason == 'abc' && !ready.reason.contains('b')",
    "ready.reason in []",
    "!ready.reason.startsWith('')",
    "failing_for > duration('5m') && failing_for <= duration('300s')",
    "failing_for == duration('5m') && failing_for != duration('5m')",
    "failing_for < duration('0s')",
    "duration('5m') < failing_for && duration('5m') >= failing_for",
    "health == 'Current' && failing_for > duration('0s')",
    "health in ['InProgress', 'Suspended'] && duration('1h') == failing_for",
    "size(dependents) == 3 && dependents.size() == 4",
    "size(dependencies) < 0",
    "workload.desired <= -1",
    "!(workload.desired >= 0)",
    "2 > workload.desired && workload.desired >= 2",
    "ref.name < ref.name || ref.name != ref.name",
    "!(object.spec.x.y == object.spec.x.y)",
    "!(workload.ready <= workload.ready)",
    "object.spec.x == 'a' && object.spec.x in ['b', 'c']",
    "old.spec.x.contains('ab') && !old.spec.x.contains('a')",
    "!(failing_for < duration('1h30m')) && failing_for < duration('1.5h')",
]


@pytest.mark.parametrize("source", POSSIBLE)
def test_what_may_be_true_or_is_beyond_reading_is_never_called_impossible(source: str) -> None:
    assert can_be_true(compile_expression(source))


@pytest.mark.parametrize("source", IMPOSSIBLE)
def test_what_its_own_words_rule_out_is_called_impossible(source: str) -> None:
    assert not can_be_true(compile_expression(source))


def test_only_as_many_ways_as_there_is_time_for_are_looked_at(monkeypatch) -> None:
    source = "(suspended || suspended) && (suspended || suspended) && !suspended"
    assert not can_be_true(compile_expression(source))
    monkeypatch.setattr(reach, "MOST_WAYS", 3)
    assert can_be_true(compile_expression(source))


def test_words_are_asked_of_a_variable_outside_of_a_negation() -> None:
    source = "ready.reason == 'a' || !(ready.reason in ['b']) && dependents.exists(d, d.kind != 'X' && d.kind == 'Y')"
    assert asked(compile_expression(source), "ready.reason") == ("a",)
    assert asked(compile_expression(source), "ready.reason", anyhow=True) == ("a", "b")
    assert asked(compile_expression(source), "entry.kind") == ("Y",)


TEXTS = st.sampled_from(["", "a", "b", "ab", "ba", "aab", "Failed", "a b"])
FIELDS = st.sampled_from(["ready.reason", "ready.message", "stalled.reason", "ref.name", "event.message"])
COUNTS = st.sampled_from(["size(dependents)", "dependencies.size()", "workload.ready", "workload.desired"])
TIMES = st.sampled_from([0, 100, 500, 1_000, 60_000, 90_000])


def _tests(fields: st.SearchStrategy[str], health: str) -> st.SearchStrategy[str]:
    lists = st.lists(TEXTS.map(repr), max_size=3).map(", ".join)
    functions = st.sampled_from(["contains", "startsWith", "endsWith"])
    return st.one_of(
        st.builds("{} {} {!r}".format, fields, st.sampled_from(["==", "!="]), TEXTS),
        st.builds("{!r} {} {}".format, TEXTS, st.sampled_from(["==", "!="]), fields),
        st.builds("{} in [{}]".format, fields, lists),
        st.builds("{}.{}({!r})".format, fields, functions, TEXTS),
        st.builds("{} {} {}".format, fields, st.sampled_from(["==", "!="]), fields),
        st.builds("{} {} {!r}".format, st.just(health), st.sampled_from(["==", "!="]), st.sampled_from(HEALTHS)),
    )


def _joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(parts, min_size=2, max_size=4).map(" && ".join),
        st.lists(parts, min_size=2, max_size=3).map(" || ".join),
        st.builds("!({})".format, parts),
        st.builds("({})".format, parts),
        st.builds("({} ? {} : {})".format, parts, parts, parts),
    )


ENTRIES = st.recursive(_tests(st.sampled_from(["d.name", "d.kind"]), "d.health"), _joined, max_leaves=4)
LEAVES = st.one_of(
    _tests(FIELDS, "health"),
    st.builds("ready.status {} {!r}".format, st.sampled_from(["==", "!="]), st.sampled_from(STATUS)),
    st.sampled_from(["suspended", "!suspended", "suspended == false", "true", "false"]),
    st.builds(
        "failing_for {} duration('{}ms')".format, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), TIMES
    ),
    st.builds("{1} {0} {1}".format, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), FIELDS),
    st.builds("{} {} {}".format, COUNTS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(-1, 3)),
    st.builds("{} {} {}".format, st.integers(-1, 3), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), COUNTS),
    st.builds("object.spec.x {} {!r}".format, st.sampled_from(["==", "!="]), TEXTS),
    st.builds("{}.{}(d, {})".format, st.sampled_from(["dependents", "dependencies"]),
              st.sampled_from(["exists", "all"]), ENTRIES),
)  # fmt: skip
EXPRESSIONS = st.recursive(LEAVES, _joined, max_leaves=8)
CONDITIONS = st.fixed_dictionaries({"status": st.sampled_from(STATUS), "reason": TEXTS, "message": TEXTS})
OTHERS = st.lists(
    st.fixed_dictionaries({"kind": TEXTS, "namespace": TEXTS, "name": TEXTS, "health": st.sampled_from(HEALTHS)}),
    max_size=3,
)
OBJECTS = st.fixed_dictionaries(
    {
        "ready": CONDITIONS,
        "stalled": CONDITIONS,
        "event": st.fixed_dictionaries({"reason": TEXTS, "message": TEXTS, "type": st.just("Normal")}),
        "ref": st.fixed_dictionaries({"kind": TEXTS, "namespace": TEXTS, "name": TEXTS}),
        "health": st.sampled_from(HEALTHS),
        "suspended": st.booleans(),
        "failing_for": st.one_of(TIMES, st.integers(0, 100_000)).map(lambda many: timedelta(milliseconds=many)),
        "dependents": OTHERS,
        "dependencies": OTHERS,
        "workload": st.fixed_dictionaries({"ready": st.integers(0, 3), "desired": st.integers(0, 3)}),
        "object": st.one_of(st.just({}), st.fixed_dictionaries({"spec": st.fixed_dictionaries({"x": TEXTS})})),
    }
)


@given(EXPRESSIONS, st.lists(OBJECTS, min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_what_is_true_of_some_object_is_never_called_impossible(source: str, objects: list[dict[str, object]]) -> None:
    expression = compile_expression(source)
    if can_be_true(expression):
        return
    for values in objects:
        real = values | ({"suspended": True} if values["health"] == "Suspended" else {})
        real |= {"failing_for": timedelta(0)} if values["health"] in AT_EASE else {}
        assert expression.evaluate(activation(real)).value is not True, values
