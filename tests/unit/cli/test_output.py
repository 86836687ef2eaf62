"""What goes where: data on stdout, words on stderr, one exit code a kind of failure, nothing that moves a cursor."""

import json

import click
import pytest
import yaml

from daemon.cli.output import TimedOut, Unreachable, emit, place, printable, say, table, told
from daemon.model.errors import ClusterError, ConfigError, DaemonError, Forbidden, LedgerError, Problem


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DaemonError("no"), 1),
        (ConfigError(Problem("no")), 2),
        (LedgerError("no"), 2),
        (ClusterError("no"), 4),
        (Unreachable("no"), 4),
        (TimedOut("no"), 5),
        (Forbidden("no"), 6),
    ],
)
def test_every_foreseen_failure_is_one_sentence_on_stderr_and_its_own_exit_code(error, code, capsys):
    with pytest.raises(SystemExit) as left, told():
        raise error
    assert left.value.code == code
    out, words = capsys.readouterr()
    assert out == ""
    assert words.startswith("error: ")
    assert words.count("\n") == 1


def test_an_interrupt_ends_in_130(capsys):
    with pytest.raises(SystemExit) as left, told():
        raise KeyboardInterrupt
    assert left.value.code == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_every_problem_of_a_configuration_is_a_line(capsys):
    with pytest.raises(SystemExit), told():
        raise ConfigError(Problem("one", file="a", line=3, column=4), Problem("two", file="b"))
    assert capsys.readouterr().err == "error: a:3:4: one\nerror: b: two\n"


def test_an_error_that_nobody_foresaw_is_not_hidden():
    with pytest.raises(ZeroDivisionError), told():
        raise ZeroDivisionError


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x1b]0;t\x07", "a\u202eb", "\u2028", "\x9b31m", "\u200b", "\r", "\x00"])
def test_f109_nothing_from_the_cluster_reaches_a_terminal_as_an_order(evil, capsys):
    assert printable(evil).isprintable()
    say(evil)
    table(("A", "B"), [[evil, evil]])
    out, words = capsys.readouterr()
    assert all(letter.isprintable() or letter == "\n" for letter in out + words)


def test_plain_words_of_any_language_are_left_alone():
    text = "größer, 日本, emoji ✓\nnext"
    assert printable(text) == text


def test_a_table_is_one_line_a_row_and_its_last_column_is_never_cut(capsys):
    table(("NAME", "MESSAGE"), [["a", "two\nlines"], ["longer", "x" * 300]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "NAME    MESSAGE"
    assert lines[1] == "a       two lines"
    assert lines[2] == "longer  " + "x" * 300


def test_a_document_is_the_same_in_json_and_in_yaml(capsys):
    document = {"kind": "X", "items": [{"a": 1, "b": None, "c": "größer"}]}
    emit(document, "json")
    first = capsys.readouterr().out
    emit(document, "yaml")
    second = capsys.readouterr().out
    assert json.loads(first) == yaml.safe_load(second) == document
    assert "größer" in second


def test_a_place_is_named_by_what_is_known_of_it():
    assert place({"kind": "Node", "namespace": "", "name": "n"}) == "Node/n"
    assert place({"kind": "K", "namespace": "a", "name": "b"}) == "K/a/b"
    assert place(None) == ""


def test_words_go_through_click_so_that_a_pager_or_a_file_gets_them(capsys):
    click.echo("data")
    say("words")
    assert capsys.readouterr() == ("data\n", "words\n")
