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
        ({"FLUXMEDIC_NOTIFY__GROUP_WAIT": "99999999d"}, "", "less than or equal to 2678400"),
        ({}, "notify: {group_wait: .inf}\n", "less than or equal to 2678400"),
        ({}, "notify: {resolve_after: .nan}\n", "resolve_after: Input should be"),
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


def test_a_problem_names_where_its_value_came_from(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("mode: bold\nhttp: {bnid: x}\n")
    with pytest.raises(ConfigError) as caught:
        load({"FLUXMEDIC_NOTIFY__RESOLVE_AFTER": "soon"}, str(file), {"helm_storage": "perhaps"})
    places = {problem.path: problem.file for problem in caught.value.problems}
    assert places == {
        "mode": f"file {file}",
        "http.bnid": f"file {file}",
        "notify.resolve_after": "environment FLUXMEDIC_NOTIFY__RESOLVE_AFTER",
        "helm_storage": "flag",
    }


def test_a_yaml_fault_is_told_with_line_and_column(tmp_path):
    (tmp_path / "s.yaml").write_text("cluster: a\nmode: [\n")
    with pytest.raises(ConfigError) as caught:
        load({}, str(tmp_path / "s.yaml"))
    (problem,) = caught.value.problems
    assert problem.line == 3
    assert problem.column > 0


def test_a_file_that_is_not_text_is_an_error(tmp_path):
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe\x00cluster")
    with pytest.raises(ConfigError, match=r"s\.yaml"):
        load({}, str(tmp_path / "s.yaml"))


def test_a_group_that_is_given_a_plain_value_is_an_error_and_no_crash(tmp_path):
    (tmp_path / "s.yaml").write_text("http: yes\n")
    with pytest.raises(ConfigError, match="http"):
        load({"FLUXMEDIC_HTTP__BIND": "127.0.0.1:1"}, str(tmp_path / "s.yaml"))


def test_an_empty_file_changes_nothing(tmp_path):
    (tmp_path / "s.yaml").write_text("")
    assert load({}, str(tmp_path / "s.yaml")).settings == load({}).settings


def test_every_setting_is_printed_with_its_origin():
    rows = {key: (value, origin) for key, value, origin in printed(load({"FLUXMEDIC_MODE": "auto"}))}
    assert rows["mode"] == ("auto", "environment FLUXMEDIC_MODE")
    assert rows["slack.token_file"] == ("", "default")
    assert len(rows) == len(load({}).origins)


def test_settings_cannot_be_changed_once_they_are_read():
    settings = load({}).settings
    with pytest.raises(ValueError, match="frozen"):
        settings.cluster = "other"


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
