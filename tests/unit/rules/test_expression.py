"""What we rely on in CEL, so that another engine could be put in its place; and what a hostile rule may not do."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.model.errors import ConfigError, Problem
from daemon.rules.expression import MAX_LENGTH, Activation, Evaluation, activation, compile_expression

VALUES: dict[str, object] = {
    "object": {
        "metadata": {"name": "cilium", "labels": {"team": "net"}, "generation": 3},
        "spec": {"suspend": False, "interval": "10m", "dependsOn": [{"name": "a"}, {"name": "b"}]},
        "status": {"conditions": [{"type": "Ready", "status": "False"}], "failures": 2},
        "big": list(range(200)),
    },
    "old": {"metadata": {"generation": 2}},
    "event": {"reason": "UpgradeFailed", "message": "boom", "type": "Warning"},
    "health": "Failed",
    "failing_for": timedelta(minutes=6),
    "ready": {"status": "False", "reason": "UpgradeFailed", "message": "context deadline exceeded"},
    "ref": {"kind": "HelmRelease", "namespace": "kube-system", "name": "cilium"},
    "dependents": [
        {"kind": "Kustomization", "namespace": "a", "name": "x", "health": "Blocked"},
        {"kind": "Kustomization", "namespace": "a", "name": "y", "health": "Current"},
    ],
    "workload": {"desired": 3, "ready": 0, "updated": 3, "available": 0},
}


def ask(source: str, values: dict[str, object] = VALUES) -> Evaluation:
    return compile_expression(source).evaluate(activation(values))


def refused(source: str, line: int = 0, column: int = 0) -> Problem:
    with pytest.raises(ConfigError) as caught:
        compile_expression(source, file="r.yaml", line=line, column=column)
    return caught.value.problems[0]


@pytest.mark.parametrize(
    "source",
    [
        "ready.reason == 'UpgradeFailed'",
        "ready.reason in ['UpgradeFailed', 'InstallFailed'] && stalled.status == ''",
        "failing_for > duration('5m') && failing_for < duration('1h')",
        "workload.ready < workload.desired",
        "dependents.exists(each, each.health == 'Blocked') && !dependents.all(each, each.health == 'Blocked')",
        "dependents.filter(each, each.health == 'Blocked').size() == 1",
        "dependents.map(each, each.name) == ['x', 'y']",
        "size(dependencies) == 0",
        "has(object.spec.interval) && !has(object.spec.path)",
        "object.?spec.?path.orValue('./') == './'",
        "object.status.conditions[?0].?type.orValue('') == 'Ready'",
        "object.metadata.generation > old.metadata.generation",
        "object.status.failures >= 2.0",
        "object.status.failures == 2",
        "object.spec.dependsOn.map(each, each.name).exists(name, name == 'b')",
        "ready.message.contains('deadline') && ready.message.startsWith('context')",
        "ready.message.matches('deadline (exceeded|passed)$')",
        "ref.name.upperAscii() == 'CILIUM' && 'a,b'.split(',').size() == 2",
        "cel.bind(it, ready.reason, it == 'UpgradeFailed' && it != '')",
        "event.type == 'Warning' && health == 'Failed' && suspended == false",
        "object.nope.deep == 1 || ready.reason == 'UpgradeFailed'",
        "object.metadata.labels['team'] == 'net' && 'team' in object.metadata.labels",
        "(ready.status == 'False' ? 1 : 2) == 1",
        "timestamp('2026-01-01T00:00:00Z') < timestamp('2026-01-02T00:00:00Z')",
        "base64.encode(bytes(ref.name)) == 'Y2lsaXVt' && string(base64.decode('Y2lsaXVt')) == ref.name",
    ],
)
def test_the_language_we_rely_on_says_true(source: str) -> None:
    assert ask(source) == Evaluation(value=True)


def test_a_test_that_does_not_hold_is_false_without_an_error() -> None:
    assert ask("ready.reason == 'TestFailed'") == Evaluation(value=False)


def test_absent_facts_are_empty_and_not_errors() -> None:
    source = "stalled.reason == '' && ready.status == '' && workload.desired == 0 && health == '' && !suspended"
    assert ask(source, {}) == Evaluation(value=True)


def test_values_that_the_library_would_refuse_are_made_plain() -> None:
    values: dict[str, object] = {"dependents": ({"name": "x", "health": "Failed"}, "no map"), "ready": {"reason": "X"}}
    assert ask("dependents.size() == 1 && ready.reason == 'X' && ready.message == ''", values).value is True


def test_names_that_no_expression_knows_are_ignored() -> None:
    assert ask("health == 'x'", {"health": "x", "culprit": "y", "other": object()}).value is True


def test_the_raw_object_is_loaded_only_when_an_expression_reads_it() -> None:
    loads: list[str] = []

    def load() -> dict[str, object]:
        loads.append("once")
        return {"spec": {"path": "./apps"}}

    shared: Activation = activation({"object": load, "health": "Failed"})
    assert compile_expression("health == 'Failed'").evaluate(shared).value is True
    assert loads == []
    assert compile_expression("object.spec.path == './apps'").evaluate(shared).value is True
    assert compile_expression("object.spec.path != './apps'").evaluate(shared).value is False
    assert compile_expression("health == 'Failed'").evaluate(shared).value is True
    assert loads == ["once"]


def test_an_expression_names_the_variables_it_reads() -> None:
    compiled = compile_expression("ready.reason == 'object' && dependents.exists(each, each.health == health)")
    assert compiled.uses == {"ready", "dependents", "health"}
    assert compiled == compile_expression(compiled.source)


@pytest.mark.parametrize(
    "source",
    [
        "object.map_of.nothing == 1",
        "object.metadata.labels['nope'] == 'x'",
        "object.big[1000] == 1",
        "1 / size(dependencies) == 1",
        "ready.message.matches(ref.name + '(')",
        "object.spec.nope == 1 && ready.reason == 'UpgradeFailed'",
        "object.metadata.name < 3",
        "base64.decode(ref.namespace) == b''",
        "string(base64.decode('/w==')) == ''",
    ],
)
def test_f045_a_run_time_error_is_neither_true_nor_false(source: str) -> None:
    answer = ask(source)
    assert answer.value is None
    assert answer.error
    assert "\n" not in answer.error


def test_f045_the_error_says_which_key_is_missing() -> None:
    assert ask("object.spec.nope == 1").error == 'Key not found in map : "nope"'


def test_f043_a_comprehension_bomb_is_stopped_and_is_an_error() -> None:
    bomb = "object.big.exists(a, object.big.exists(b, object.big.exists(c, a + b + c < 0)))"
    assert ask(bomb) == Evaluation(None, "Iteration budget exceeded")


@pytest.mark.parametrize(
    "source",
    [
        "cel.bind(x, health + health + health + health + health, cel.bind(y, x + x + x + x + x + x, y != ''))",
        "ready.message.replace('e', ready.message) != ''",
        "[ready.message, 'x'].join(ready.message) != ''",
        f"{'base64.encode(bytes(' * 5}health{'))' * 5} != ''",
        "'%s%s%s'.format([ready.message, ready.message, ready.message]) != ''",
    ],
)
def test_f043_what_could_grow_a_string_without_bound_is_refused_at_load(source: str) -> None:
    assert "grow" in refused(source).text or "additions" in refused(source).text


def test_f043_the_refused_function_is_pointed_at() -> None:
    problem = refused("health == 'x' &&\n  ready.message.replace('a', 'b') == 'c'", line=7, column=11)
    assert (problem.line, problem.column) == (8, 26)


def test_a_forbidden_word_inside_a_string_is_only_text() -> None:
    assert ask("ready.message == '.replace( + + + + + + + + + + ready.nope \\' nope('").value is False


def test_f044_a_long_expression_is_refused() -> None:
    source = "health == '" + "x" * MAX_LENGTH + "'"
    assert f"at most {MAX_LENGTH}" in refused(source).text


@pytest.mark.parametrize(
    "source",
    ["(" * 500 + "true" + ")" * 500, "health == " + "-(" * 200 + "1" + ")" * 200, "[" * 900 + "]" * 900 + " == []"],
)
def test_f044_deep_nesting_is_refused_and_never_crashes(source: str) -> None:
    problem = refused(source, line=4, column=9)
    assert "nested too deeply" in problem.text
    assert (problem.line, problem.column) == (4, 9)


@pytest.mark.parametrize(
    ("source", "line", "column", "words"),
    [
        ("nope == 1", 10, 9, "nothing is called nope: there are dependencies, dependents, event"),
        ("redy.reason == 'x'", 10, 9, "workload, did you mean ready?"),
        ("health == 'x' &&\n  redy.a.b == 1", 11, 11, "nothing is called redy"),
        ("health == 'x' && nope(1)", 10, 26, "there is no function nope()"),
        ("ready.message.mathces('x')", 10, 23, "there is no function mathces(), did you mean matches()?"),
        ("size(dependents.exists(d))", 10, 25, "exists() is not used like this"),
        ("health == 'x' &&\n  nope", 11, 11, "nothing is called nope"),
        ("health ==", 10, 18, "the expression ends too early"),
        ("x in 3", 10, 9, "nothing is called x: there are"),
        ("(suspended", 10, 19, "')' is missing"),
        ("suspended)", 10, 18, "')' does not belong here"),
        ("suspended and suspended", 10, 19, "'and' does not belong here: it is written &&"),
        ("health = 'x'", 10, 16, "'=' can't be read: equal is written =="),
        ("health. == 'x'", 10, 17, "'. ==' can't be read"),
        (r"health == 'a\q'", 10, 19, r"can't be read: in a text a backslash is written \\"),
        ("health == 3", 10, 16, "== can't compare a text and a number"),
        (
            "failing_for > 300",
            10,
            21,
            "> can't compare a duration and a number: a duration is written as duration('5m')",
        ),
        ("ready == [1, {'a': 2}]", 10, 15, "== can't compare a map and a list"),
        ("health && suspended", 10, 16, "&& wants what is true or false, this is a text and true or false"),
        ("suspended ? 1 : 'a'", 10, 19, "?: wants what is true or false and then two values of one kind"),
        ("'x' in ready.reason", 10, 13, "in does not work on a text and a text"),
        ("health[0] == ''", 10, 15, "[ ] does not work on a text and a number"),
        ("health.contains(3)", 10, 24, "contains() does not work on a text and a number"),
        ("health - 3 == 3", 10, 16, "- does not work on a text and a number"),
        ("has(health)", 10, 13, "has() argument must be a field selection"),
        ("ready.message.matches('(a')", 10, 31, "this is no regular expression (RE2): missing ): (a"),
        (r"suspended &&\n matches(health, r'\w[')".replace(r"\n", "\n"), 11, 26, "this is no regular expression (RE2)"),
        ("failing_for > duration('5min')", 10, 32, "'5min' is no duration: write it as Go does, such as 5m, 24h"),
        ('suspended &&\n  failing_for > duration( r"1d" )', 11, 35, 'r"1d" is no duration: write it as Go does'),
        ("duration('') < failing_for", 10, 18, "'' is no duration"),
        ("failing_for > duration('9999999999h')", 10, 32, "'9999999999h' is no duration"),
        ("timestamp(object.a) > timestamp('yesterday')", 10, 41, "'yesterday' is no moment: write it with its zone"),
        ("timestamp(object.a) > timestamp('2026-01-31')", 10, 41, "such as 2026-01-31T22:00:00Z"),
        ("ready.reson == 'x'", 10, 15, "ready has no field 'reson', only status, reason, message"),
        ("workload.?desird.orValue(0) == 1", 10, 19, "workload has no field 'desird'"),
        ("dependencies.exists(d, d.helth == 'x')", 10, 34, "an entry of dependencies has no field 'helth', only kind,"),
        ("dependents[0].nam == 'x'", 10, 23, "an entry of dependents has no field 'nam'"),
        ("dependents.filter(d, true).all(e, e.?age.orValue('') == '')", 10, 46, "has no field 'age'"),
        ("dependents.all(d, (d.name == 'x') && d.nam == 'x')", 10, 48, "has no field 'nam'"),
        ("base64.encod(b'x') == ''", 10, 9, "base64 has only base64.encode(bytes) and base64.decode(text)"),
        ("sets.contains(['a'], [health])", 10, 9, "the functions of sets are not there: write exists() or all()"),
        ("now > timestamp('2026-01-01T00:00:00Z')", 10, 9, "nothing is called now"),
    ],
)
def test_f046_a_type_error_is_told_with_its_place(source: str, line: int, column: int, words: str) -> None:
    problem = refused(source, line=10, column=9)
    assert words in problem.text
    assert (problem.file, problem.line, problem.column) == ("r.yaml", line, column)


def test_f046_every_mistake_of_an_expression_is_told_at_once() -> None:
    source = (
        "redy.reason == 'x' && ready.reson == 'y' &&\n dependents[0].nam == 'x' && health.matches('[') && 1 == nope"
    )
    with pytest.raises(ConfigError) as caught:
        compile_expression(source, file="r.yaml", line=3, column=5)
    assert [(each.line, each.column, each.text.split(",")[0][:24]) for each in caught.value.problems] == [
        (3, 5, "nothing is called redy: "),
        (3, 33, "ready has no field 'reso"),
        (4, 20, "an entry of dependents h"),
        (4, 49, "this is no regular expre"),
        (4, 62, "nothing is called nope: "),
    ]
    with pytest.raises(ConfigError) as caught:
        compile_expression("health.matches('[') || ready.reson == '' || health.matches('a\\\\d(')")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("source", [r"health.matches('\q(')", r"failing_for > duration('\q')"])
def test_a_literal_whose_text_is_broken_is_told_once(source: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_expression(source)
    (problem,) = caught.value.problems
    assert "can't be read" in problem.text


@pytest.mark.parametrize(
    "source",
    [
        "failing_for > duration('90m') && failing_for < duration('1.5h') || failing_for == duration('-5us')",
        "timestamp(object.at) > timestamp('2026-01-31T22:00:00.5+01:00') && timestamp(5) < timestamp(object.at)",
        "failing_for > duration(object.spec.interval) && ready.reason == \"duration('1d')\"",
        "failing_for > duration('5m') // not duration('5min'), nor x.replace(",
    ],
)
def test_a_duration_or_a_moment_that_is_well_written_or_not_known_yet_is_taken(source: str) -> None:
    assert compile_expression(source).source == source


@pytest.mark.parametrize(
    "source",
    [
        "dependencies.exists(d, d.health == 'Failed' && ready.reason == 'd.helth')",
        "dependencies.map(d, [d.name]).exists(e, e.size() == 1)",
        "dependencies.exists(d, d.name.startsWith('x')) && object.d.helth == 'x'",
        "size(dependents) == 0",
    ],
)
def test_only_the_fields_of_entries_are_looked_at(source: str) -> None:
    assert compile_expression(source).source == source


def test_an_expression_whose_bracket_never_closes_is_a_syntax_error() -> None:
    assert "')' is missing" in refused("dependencies.exists(d, d.name == 'x'").text


@pytest.mark.parametrize(("source", "kind"), [("ready.reason", "string"), ("1", "int"), ("object.spec.suspend", "dyn")])
def test_f046_an_expression_that_is_not_boolean_is_refused(source: str, kind: str) -> None:
    assert f"this one is {kind}" in refused(source).text


def test_f046_without_a_place_none_is_made_up() -> None:
    problem = refused("nope")
    assert (problem.line, problem.column) == (0, 0)


def test_f048_a_regex_that_kills_backtracking_engines_is_linear() -> None:
    assert ask("ready.message.matches('(a+)+$')", {"ready": {"message": "a" * 50_000 + "b"}}).value is False


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_f046_any_text_is_compiled_or_refused_and_never_crashes(source: str) -> None:
    told = ""
    try:
        answer = compile_expression(source).evaluate(activation(VALUES))
    except ConfigError as error:
        told = str(error)
    else:
        told = answer.error or str(answer.value)
    assert told


@pytest.mark.parametrize(
    "source",
    [
        """ready.message.contains('''can't''') && health == 'Failed'""",
        '''ready.message.contains("""a "quoted" word""") || health == "Failed"''',
        r"""ready.message.matches(r'\d+ "times"') || health == 'Failed'""",
        """ready.message != 'x' // don't mind the quote
           && health == 'Failed'""",
        """ready.message != '''two
           lines, // no comment''' && health == 'Failed'""",
    ],
)
def test_what_an_expression_reads_is_known_whatever_its_strings_and_comments_look_like(source: str) -> None:
    assert compile_expression(source).uses == {"ready", "health"}


def test_f044_a_word_that_could_grow_is_found_behind_any_string() -> None:
    with pytest.raises(ConfigError, match="can grow without bound"):
        compile_expression("""ready.message == '''can't''' || ready.message.replace('', ready.message) == 'x'""")


def test_text_in_three_quotes_is_only_text() -> None:
    found = compile_expression("""ready.message == '''object.spec.replace('a', 'b')'''""")
    assert found.uses == {"ready"}
