"""Messages: what an author may write, and that nothing from the cluster can break one."""

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


def test_what_cannot_be_filled_in_is_said_and_nothing_is_raised() -> None:
    text = render("path {{ object.spec.nope.deeper }} end")
    assert text.startswith("path  end [not filled in: ")
    assert "nope" in text


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


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
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
