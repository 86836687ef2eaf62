"""Messages: what an author may write, and that nothing from the cluster can break one."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.model.errors import ConfigError, Problem
from daemon.rules.template import MAX_LENGTH, clean, compile_template

VALUES: dict[str, object] = {
    "ref": {"kind": "HelmRelease", "namespace": "kube-system", "name": "cilium"},
    "ready": {"status": "False", "reason": "UpgradeFailed", "message": "line one\nline two"},
    "dependents": [{"name": "a", "health": "Blocked"}, {"name": "b", "health": "Blocked"}],
    "object": {"spec": {"path": "./apps"}},
}


def render(source: str, values: dict[str, object] = VALUES) -> str:
    return compile_template(source).render(values)


def refused(source: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        compile_template(source, file="r.yaml", line=5, column=12)
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ ref.kind }}/{{ ref.name }}: {{ ready.reason }}", "HelmRelease/cilium: UpgradeFailed"),
        ("{{ (culprit or ready.message) | truncate(300) }}", "line one line two"),
        ("{% if ready.reason == 'UpgradeFailed' %}yes{% else %}no{% endif %}", "yes"),
        ("{{ dependents | map(attribute='name') | join(', ') }}", "a, b"),
        ("{% for each in dependents %}{{ each.name }};{% endfor %}", "a;b;"),
        ("{{ 'x' if suspended else 'y' }} {{ dependents | length }}", "y 2"),
        ("{{ object.spec.path }}", "./apps"),
        ("first\nsecond", "first\nsecond"),
    ],
)
def test_a_message_is_filled_in(source: str, text: str) -> None:
    assert render(source) == text


def test_the_raw_object_may_be_loaded_late() -> None:
    assert render("{{ object.a }}", {"object": lambda: {"a": "b"}}) == "b"


def test_absent_facts_are_empty() -> None:
    assert render("[{{ culprit }}{{ owner.path }}{{ workload.ready }}]", {}) == "[0]"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("path {{ object.spec.nope.deeper }} of {{ ref.name }}", "path [not filled in: nope] of cilium"),
        ("{{ object.spec['nope'] }}!", "[not filled in: nope]!"),
        ("{{ dependents[7].name }}!", "[not filled in: entry 7]!"),
        ("{{ object.spec.path.deeper }}!", "[not filled in: deeper]!"),
        ("{{ object.spec.nope | truncate(3) | upper }}!", "[not filled in: nope]!"),
        ("{{ ref.name | truncate(object.spec.nope) }}!", "[not filled in: truncate does not work on str]!"),
        ("{{ object.spec.replicas | first }}!", "[not filled in: first does not work on int]!"),
        ("{{ dependencies | first }}!", "[not filled in: No first item, sequence was empty.]!"),
        ("{{ object.spec.keys }} {{ object.spec['keys'] }}!", "[not filled in: keys] [not filled in: keys]!"),
        ("{{ ready.reason.upper }}!", "[not filled in: upper]!"),
        ("{{ ref.name.__class__ }}!", "[not filled in: __class__]!"),
        ("{{ object.items | map(attribute='nope') | join(', ') }}!", "[not filled in: nope], [not filled in: nope]!"),
        ("{{ 'a' ~ object.spec.nope }}!", "a[not filled in: nope]!"),
    ],
)
def test_a_hole_that_cannot_be_filled_costs_only_itself_and_says_so(source: str, text: str) -> None:
    items = [{"name": "a"}, {"name": "b"}]
    assert render(source, VALUES | {"object": {"spec": {"path": "./apps", "replicas": 3}, "items": items}}) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ object.spec.nope | default('none') }}", "none"),
        ("{{ object.spec.nope | upper | default('none') }}", "none"),
        ("{{ object.spec.nope or 'none' }}", "none"),
        ("{% if object.spec.nope %}yes{% else %}no{% endif %}", "no"),
        ("{% if object.spec.nope is defined %}yes{% else %}no{% endif %}", "no"),
        ("{% if object.spec.nope > 3 %}yes{% else %}no{% endif %}", "no"),
        ("{% if object.spec.path >= 3 or 'x' in object.spec.replicas %}yes{% else %}no{% endif %}", "no"),
        ("{% if object.spec.replicas is divisibleby(0) %}yes{% else %}no{% endif %}", "no"),
        ("{% if object.spec.replicas is divisibleby(num=3) %}yes{% else %}no{% endif %}", "yes"),
        ("{% if 1 < object.spec.replicas <= 3 and 'z' not in ref.name %}yes{% else %}no{% endif %}", "yes"),
        ("{% if 1 < object.spec.replicas < 3 %}yes{% else %}no{% endif %}", "no"),
        ("{% if ref.name != 'a' and ref.name == 'cilium' and 'ciliu' in ref.name %}yes{% endif %}", "yes"),
        ("[{% for each in object.spec.replicas %}{{ each }}{% endfor %}]", "[]"),
        ("[{% for each in object.spec.nope %}{{ each }}{% endfor %}]", "[]"),
        ("[{{ 'x' if suspended }}]", "[]"),
        ("{{ object.spec.update.path }}", "./images"),
    ],
)
def test_what_is_not_there_is_asked_for_without_an_error(source: str, text: str) -> None:
    spec = {"path": "./apps", "replicas": 3, "update": {"path": "./images"}}
    assert render(source, VALUES | {"object": {"spec": spec}}) == text


def test_an_object_that_cannot_be_loaded_leaves_the_words_of_the_message() -> None:
    def broken() -> None:
        raise ValueError("no JSON")

    assert render("path {{ object.spec }} end", {"object": broken}) == "path  end [not filled in: no JSON]"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.4, "0s"), (59.9, "59s"), (750, "12m30s"), (3_900, "1h5m"), (3_605, "1h5s"), (180_000, "50h")],
)
def test_a_duration_is_written_as_flux_writes_it(seconds: float, text: str) -> None:
    lasting: dict[str, object] = {"failing_for": timedelta(seconds=seconds)}
    assert render("for {{ failing_for }}, {{ failing_for | upper }}", lasting) == f"for {text}, {text.upper()}"


def test_what_never_failed_has_failed_for_no_time() -> None:
    assert render("{{ failing_for }}", {}) == "0s"


def test_text_of_the_cluster_cannot_move_a_terminal_or_make_lines() -> None:
    hostile = "a\x1b[2Jb\r\nc\u202ed\u200be\ud800\x00\x9bf"
    text = render("{{ ready.message }}", {"ready": {"message": hostile}})
    assert text == "a[2Jb cdef"


def test_a_message_is_capped() -> None:
    text = render("{{ ready.message }}" * 50, {"ready": {"message": "word " * 5_000}})
    assert len(text) == MAX_LENGTH
    assert text.endswith("…")


def test_output_ends_while_it_is_made() -> None:
    values: dict[str, object] = {"dependents": [{"name": str(index)} for index in range(200_000)]}
    assert len(render("{% for each in dependents %}{{ each.name }} {% endfor %}", values)) == MAX_LENGTH


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ nope }}", "unknown variable 'nope'"),
        ("{{ ready.reson }}", "ready has no field 'reson', only status, reason, message"),
        ("{{ 'a' * 1000000000 }}", "mul is not allowed"),
        ("{{ 2 ** 100 }}", "pow is not allowed"),
        ("{{ 'x'.center(1000000000) }}", "call is not allowed"),
        ("{{ range(9) }}", "call is not allowed"),
        ("{{ ref.name | center(100000000) }}", "unknown filter 'center'"),
        ("{{ ref.name | replace('a', 'b') }}", "unknown filter 'replace'"),
        ("{% set x = 1 %}", "assign is not allowed"),
        ("{% for a in dependents %}{% for b in dependents %}x{% endfor %}{% endfor %}", "a for inside a for"),
        ("{% include 'x' %}", "include is not allowed"),
        ("{{ ready.reason", "unexpected end of template"),
        ("{% if %}", "Expected an expression"),
        ("x" * (MAX_LENGTH + 1), f"at most {MAX_LENGTH}"),
    ],
)
def test_what_is_not_part_of_the_language_is_refused_with_its_place(source: str, words: str) -> None:
    problem = refused(source)
    assert words.lower() in problem.text.lower()
    assert (problem.file, problem.line) == ("r.yaml", 5)
    word = words.split("'")[1] if "unknown" in words or "no field" in words else ""
    assert problem.column == 12 + source.index(word)


ENTRY = "an entry of dependents has no field 'nmae', only kind, namespace, name, health"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("^{% for a, b in dependents %}x{% endfor %}", "a for has one variable"),
        ("{{ dependents | map('^center', 100000000) }}", "unknown filter 'center'"),
        ("{{ dependents | ^map(ref.name) }}", "map wants the name of a filter in quotes"),
        ("{% if suspended is not ^nope %}x{% endif %}", "there is no test 'nope'"),
        ("{{ ready['^reson'] }}", "ready has no field 'reson', only status, reason, message"),
        ("nmae {% for d in dependents %}{{ d.^nmae }}{% endfor %}", ENTRY),
        ("{% for d in dependents if d['^nmae'] %}x{% endfor %}", ENTRY),
        ("{% for d in dependents | unique %}{{ 'nmae' ~ d.^nmae }}{% endfor %}", ENTRY),
        ("{{ dependents | map(attribute='^nmae') | join(', ') }}", ENTRY),
        ("{{ dependents | join(', ', '^nmae') }}", ENTRY),
        ("{{ dependents | unique(attribute='^nmae') }}", ENTRY),
        ("{{ dependents[0].^nmae }}", ENTRY),
        ("{{ (dependents | first).^nmae }}", ENTRY),
        ("{{ dependents.^nmae }}", "dependents is a list: read 'nmae' of its entries, with a for"),
        ("{% for d in dependents %}x{% endfor %}{{ ^dd }}", "unknown variable 'dd'"),
        ("{% for d in dependents %}x{% else %}{{ ^dd }}{% endfor %}", "unknown variable 'dd'"),
    ],
)
def test_what_a_text_can_never_show_is_refused_with_its_place(source: str, words: str) -> None:
    problem = refused(source.replace("^", ""))
    assert problem.text.startswith(words)
    assert problem.column == 12 + source.index("^")


@pytest.mark.parametrize(
    "source",
    [
        "{% for ready in dependents %}{{ ready.name }}{% endfor %}",
        "{% for each in object.spec.list %}{{ each.nmae }}{{ loop.index }}{% endfor %}",
        "{% for dependents in object.spec.list %}{{ dependents.nmae }}{% endfor %}",
        "{% for name in dependents | map(attribute='name') %}{{ name }}{% endfor %}",
        "{{ object.spec.list | map(attribute='nmae') | map('upper') | join }}",
        "{{ dependents | unique(false, 'kind') | length }} {{ object['nmae'] }} {{ object[0].nmae }}",
        "{{ (object | first).nmae }} {{ dependents[0]['name'] }} {{ (dependents | last).health }}",
        "{% if suspended is true %}{{ object[ref.name] }}{% endif %}",
    ],
)
def test_fields_that_there_are_or_that_nobody_knows_are_left_alone(source: str) -> None:
    assert compile_template(source).source == source


def test_a_name_of_a_loop_is_unknown_behind_it() -> None:
    problem = refused("{% for d in dependents %}{{ d.name }}{% endfor %} {{ d }}")
    assert problem.text.startswith("unknown variable 'd'")


def test_a_separator_from_the_cluster_cannot_make_a_text_without_end() -> None:
    values: dict[str, object] = {"ready": {"message": "m" * 30_000}}
    assert len(render("{{ ready.message | join(ready.message) | join(ready.message) }}", values)) == MAX_LENGTH


def test_entries_are_joined_by_a_field_of_theirs() -> None:
    assert render("{{ dependents | join('+', 'name') }}{{ dependencies | join('+') }}") == "a+b"


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("one\n{% for d in dependents %}\n{{ d.name }} {{ d.nmae }}{% endfor %}", 7, 30),
        ("one\ntwo {{ ready.reson }}", 6, 25),
        ("one\ntwo\n{{ nope }}", 7, 15),
        ("nope {{ ref.name }} {{ nope }}", 5, 35),
        ("one {{\n ref.name | center(1) }}", 6, 24),
        ("one\n two {{ 2 ** 3 }}", 6, 17),
        ("one\n {% if %}", 6, 13),
        ("{{ (ready).reson }}", 5, 12),
        ("{{ ref.name }}\n{{ ready. reson }}", 6, 22),
    ],
)
def test_a_fault_is_told_where_it_stands(source: str, line: int, column: int) -> None:
    problem = refused(source)
    assert (problem.line, problem.column) == (line, column)


def test_f046_every_mistake_of_a_text_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_template("{{ redy }} {{ ready.reson }}\n{{ ref.nam | center(1) }}", file="r.yaml", line=1, column=1)
    told = [str(problem).partition(", ")[0] for problem in caught.value.problems]
    assert told == [
        "r.yaml:1:4: unknown variable 'redy'",
        "r.yaml:1:21: ready has no field 'reson'",
        "r.yaml:2:8: ref has no field 'nam'",
        "r.yaml:2:14: unknown filter 'center'",
    ]
    assert "did you mean 'ready'?" in caught.value.problems[0].text


def test_without_a_place_none_is_made_up() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_template("{{ nope }}")
    assert caught.value.problems[0].line == 0


def test_two_templates_of_one_text_are_equal() -> None:
    assert compile_template("{{ health }}") == compile_template("{{ health }}")


@given(st.text(max_size=3_000))
@settings(max_examples=60, deadline=None)
def test_any_text_of_the_cluster_gives_a_clean_bounded_message(message: str) -> None:
    text = render("{{ ready.message }}", {"ready": {"message": message}})
    assert len(text) <= MAX_LENGTH
    assert "\n" not in text
    assert text == clean(text)
    text.encode()


@given(st.text(alphabet="{}% abif.|()'x", max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_source_is_compiled_or_refused_and_never_crashes(source: str) -> None:
    try:
        told = compile_template(source).render(VALUES)
    except ConfigError as error:
        told = str(error)
    assert len(told) <= MAX_LENGTH
