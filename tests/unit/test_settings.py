"""Settings: a flag beats the environment, which beats the file; nothing misspelt is a silent default."""

import pytest

from daemon.model.errors import ConfigError
from daemon.model.remedies import Mode
from daemon.settings import load, printed, process_environment, read_secret, rule_paths, seconds_of, shipped_rules


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("cluster: file\nmode: propose\nhttp: {bind: '127.0.0.1:1'}\n")
    loaded = load({"FLUXMEDIC_CLUSTER": "env", "FLUXMEDIC_MODE": "auto"}, str(file), {"cluster": "flag"})
    assert loaded.settings.cluster == "flag"
    assert loaded.settings.mode is Mode.AUTO
    assert loaded.settings.http.bind == "127.0.0.1:1"
    origins = loaded.origins
    assert (origins["cluster"], origins["mode"]) == ("flag", "environment FLUXMEDIC_MODE")
    assert (origins["http.bind"], origins["rules"]) == (f"file {file}", "default")


def test_without_anything_it_only_observes():
    settings = load({}).settings
    assert settings.mode is Mode.OBSERVE
    assert settings.http.bind == "127.0.0.1:8080"
    assert settings.notify.group_wait == 10.0


def test_nested_names_are_joined_by_two_underscores():
    assert load({"FLUXMEDIC_NOTIFY__GROUP_WAIT": "0s"}).settings.notify.group_wait == 0.0


@pytest.mark.parametrize(
    ("environment", "file", "words"),
    [
        ({"FLUXMEDIC_MOED": "auto"}, "", "FLUXMEDIC_MOED: no setting is called moed"),
        ({"FLUXMEDIC_MODE": "bold"}, "", "mode"),
        ({"FLUXMEDIC_NOTIFY__GROUP_WAIT": "soon"}, "", "a duration such as 10s"),
        ({}, "moed: auto\n", "moed"),
        ({}, "cluster: [\n", "s.yaml:"),
        ({}, "- a\n", "the settings must be a mapping"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(environment, file, words, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(file)
    with pytest.raises(ConfigError, match=words):
        load(environment, str(path) if file else "")


def test_every_problem_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        load({"FLUXMEDIC_MOED": "x", "FLUXMEDIC_MODE": "bold"})
    assert len(caught.value.problems) == 2


def test_a_file_that_is_not_there_is_an_error():
    with pytest.raises(ConfigError, match="is it there"):
        load({}, "/nowhere/s.yaml")


def test_variables_of_the_client_are_no_settings():
    assert load({"FLUXMEDIC_SERVER": "x", "FLUXMEDIC_TOKEN_FILE": "y"}).settings.cluster == "default"


@pytest.mark.parametrize(("text", "expected"), [("10s", 10.0), ("1h30m", 5400.0), ("500ms", 0.5), ("2d", 172800.0)])
def test_durations_are_read_as_people_write_them(text, expected):
    assert seconds_of(text) == expected


def test_a_number_is_a_number_of_seconds():
    assert seconds_of(5) == 5
    with pytest.raises(ConfigError, match="a duration such as 10s"):
        load({"FLUXMEDIC_NOTIFY__GROUP_WAIT": "-1"})


def test_passwords_are_never_printed():
    loaded = load({"FLUXMEDIC_LEDGER__URL": "postgresql+asyncpg://me:hunter22@db/x"})
    text = str(printed(loaded))
    assert "hunter22" not in text
    assert "[masked]@db/x" in text


def test_a_secret_is_read_from_its_file(tmp_path):
    file = tmp_path / "token"
    file.write_bytes(b" abc \n")
    assert read_secret(file, "the token") == b"abc"
    assert read_secret(file, "the key", strip=False) == b" abc \n"
    assert read_secret(None, "the token") is None


@pytest.mark.parametrize("content", [None, b"", b" \n"])
def test_a_secret_that_is_not_there_or_empty_is_an_error(content, tmp_path):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="the token"):
        read_secret(file, "the token")


def test_rule_places_are_those_named_or_the_shipped_ones():
    assert rule_paths(load({}).settings) == [shipped_rules()]
    paths = rule_paths(load({"FLUXMEDIC_RULES": "/a, /b/c.yaml,"}).settings)
    assert [str(path) for path in paths] == ["/a", "/b/c.yaml"]


def test_the_process_has_an_environment():
    assert "PATH" in process_environment()
