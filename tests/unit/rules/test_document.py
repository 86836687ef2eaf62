"""YAML as data with places; nothing in a file may build an object, expand or exhaust."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.model.errors import Problem
from daemon.rules.document import MAX_CHARACTERS, MAX_NODES, Document, Place, core, read


def one(text: str) -> Document:
    documents, problems = read("f.yaml", text)
    assert problems == []
    assert len(documents) == 1
    return documents[0]


def wrong(text: str) -> str:
    _, problems = read("f.yaml", text)
    assert len(problems) == 1
    return str(problems[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30:00", "12:30:00"),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("99999999999999999999", 1e20),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_f047_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    assert core(text) == value
    assert type(core(text)) is type(value)


def test_a_quoted_scalar_is_always_text() -> None:
    assert one("a: \"1\"\nb: 'true'\nc: |\n  5\nd: >-\n  6\n").data == {"a": "1", "b": "true", "c": "5\n", "d": "6"}


def test_a_standard_tag_may_say_what_a_scalar_is() -> None:
    assert one("a: !!str 5\nb: !!int 5\nc: !!null ~\nd: !!map {x: !!seq [1]}").data == {
        "a": "5",
        "b": 5,
        "c": None,
        "d": {"x": [1]},
    }


def test_every_value_and_key_has_its_place() -> None:
    document = one("a: 1\nb:\n  - x\n  - {c: d}\n")
    assert document.place(("b", 1, "c")) == Place(4, 9)
    assert document.place(("b", 1, "c"), key=True) == Place(4, 6)
    assert document.place(("b", 1, "nope", 3)) == Place(4, 5)
    assert document.place(("nope",), key=True) == Place(1, 1)


def test_one_value_that_stands_for_a_list_of_one_has_its_own_place() -> None:
    document = one("a:\n  b: 1\n  c: [x]\n")
    assert document.place(("a", 0, "b")) == Place(2, 6)
    assert document.place(("a", 0, "b"), key=True) == Place(2, 3)
    assert document.place(("a", 0, "c", 0)) == Place(3, 7)
    assert document.place(("a", 0, "missing")) == Place(2, 3)
    assert document.problem("x", ("a", 0, "b", 0)).path == "a.b"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("when: abc", Place(1, 7)),
        ("when: 'abc'", Place(1, 8)),
        ("when: |\n    abc\n    def\n", Place(2, 5)),
        ("when: |\n\n   abc\n", Place(2, 4)),
        ("when: >-\n  abc\n  def\n", Place(2, 3)),
        ("when: |\n", Place(2, 1)),
    ],
)
def test_the_first_character_of_a_text_is_known(text: str, place: Place) -> None:
    assert one(text).texts[("when",)] == place


@pytest.mark.parametrize(
    ("text", "word", "line", "column"),
    [
        ("when: >-\n  abc def\n    ghi\n  jkl\n", "jkl", 4, 3),
        ("when: >-\n  abc\n  def ghi\n", "ghi", 3, 7),
        ("when: abc\n  def ghi\n", "ghi", 2, 7),
        ("when: 'abc\n  def ghi'\n", "ghi", 2, 7),
        ("when: 'abc def'\n", "def", 1, 12),
        ("when: |\n  abc def\n", "def", 2, 7),
        ("when: |\n  abc\n  x def\n", "def", 3, 5),
        ("when: >-\n  abc\n\n  x def\n  y ghi\n", "def", 4, 5),
        ("when: >-\n  abc\n\n  x def\n  y ghi\n", "ghi", 5, 5),
        ("when: >-\n  abc\n    deep\n  def\n", "def", 4, 3),
        ('when: "abc\\n  def"\n', "def", 1, 15),
        ('when: "\\x41\\u0041\\U00000041\\"def"\n', "def", 1, 30),
        ('when: "abc \\\n  def"\n', "def", 2, 3),
        ("when: 'it''s def'\n", "def", 1, 14),
        ("when: 'abc\n\n  x def'\n", "def", 3, 5),
    ],
)
def test_a_problem_inside_a_folded_text_is_found_again_in_the_file(
    text: str, word: str, line: int, column: int
) -> None:
    document = one(text)
    source = str(document.data["when"])  # type: ignore[index]
    start = document.texts[("when",)]
    rows = source[: source.index(word)].split("\n")
    problem = Problem("x", "f.yaml", start.line + len(rows) - 1, start.column + len(rows[-1]))
    found = document.inside(problem, ("when",))
    assert (found.line, found.column, found.path) == (line, column, "when")


def test_the_end_of_a_quoted_text_is_found_too() -> None:
    found = one("when: 'a''b'\n").inside(Problem("x", "f.yaml", 1, 11), ("when",))
    assert (found.line, found.column) == (1, 12)


def test_a_place_beyond_a_folded_text_falls_back_to_its_start() -> None:
    found = one("when: >-\n  abc\n  def\n").inside(Problem("x", "f.yaml", 2, 900), ("when",))
    assert (found.line, found.column) == (2, 3)


def test_several_documents_are_read_and_empty_ones_left_out() -> None:
    documents, problems = read("f.yaml", "---\n# nothing\n---\na: 1\n---\nb: 2\n")
    assert [document.data for document in documents] == [{"a": 1}, {"b": 2}]
    assert problems == []


def test_what_stood_before_a_syntax_error_is_kept_so_that_its_problems_are_told_too() -> None:
    documents, problems = read("f.yaml", "a: 1\n---\nb: [\n")
    assert [document.data for document in documents] == [{"a": 1}]
    assert str(problems[0]).startswith("f.yaml:4:1: while parsing a flow node")


def test_f047_a_duplicate_key_is_refused_with_both_places() -> None:
    assert wrong("a: 1\nb: 2\na: 3\n") == "f.yaml:3:1: the key 'a' is given twice, first at 1:1"


def test_f047_every_duplicate_key_is_told() -> None:
    _, problems = read("f.yaml", "a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert [problem.line for problem in problems] == [2, 3]


BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 7))


@pytest.mark.parametrize("text", [BOMB, "a: &x 1\nb: *x\n", "a: &x [*x]\n", "a: {<<: *x}\n"])
def test_f047_anchors_and_aliases_are_refused_before_they_expand(text: str) -> None:
    assert "anchors and aliases are not allowed" in wrong(text)


@pytest.mark.parametrize(
    "tag", ["!!python/object:os.system", "!!python/name:eval", "!!binary", "!!set", "!custom", "!!timestamp"]
)
def test_f047_no_tag_can_build_an_object(tag: str) -> None:
    assert "is not allowed" in wrong(f"a: {tag} x\n")


def test_f047_a_tag_that_the_value_contradicts_is_refused() -> None:
    assert wrong("a: !!int x") == "f.yaml:1:4: 'x' is no int"


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 50_000, "{a: " * 5_000])
def test_f047_depth_is_capped(text: str) -> None:
    assert "nested deeper than 32 levels" in wrong(text)


def test_f047_a_huge_file_is_not_even_parsed() -> None:
    assert f"the file has more than {MAX_CHARACTERS} characters: split it" in wrong("#" * (MAX_CHARACTERS + 1))


def test_f047_the_number_of_values_is_capped() -> None:
    assert f"more than {MAX_NODES} values" in wrong("[" + "1," * (MAX_NODES + 1) + "]")


@pytest.mark.parametrize("text", ["a: 1\n\tb: 2\n", "a:\n\t- b\n"])
def test_f047_a_tab_is_told_as_a_tab(text: str) -> None:
    assert "a tab can't indent YAML: use spaces" in wrong(text)


def test_f047_bytes_that_are_no_text_are_refused_with_their_place() -> None:
    assert wrong("a: 1\nb: \x00") == "f.yaml:2:4: this is not text: control characters are not allowed"
    assert wrong("a: \ud800") == "f.yaml:1:1: this is not text: it can't be written as UTF-8"


def test_a_key_must_be_a_word() -> None:
    assert wrong("? [a]\n: 1\n") == "f.yaml:1:3: a key must be a word"


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=80))
@settings(max_examples=100, deadline=None)
def test_f047_any_text_is_read_or_refused_and_never_crashes(text: str) -> None:
    documents, problems = read("f.yaml", text)
    assert all(document.place(()).line >= 1 for document in documents)
    assert all(problem.text for problem in problems)
