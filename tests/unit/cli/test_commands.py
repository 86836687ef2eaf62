"""Commands that need no daemon: what they print where, and how they end."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import daemon.cli
from daemon.cli import COMMANDS, cli, recordings
from daemon.cli.manifests import read_manifests
from daemon.cli.output import printable
from daemon.settings import shipped_rules

ROOT = Path(__file__).resolve().parents[3]
RECORDING = ROOT / "tests" / "recordings" / "image-pull.jsonl.gz"
FAILS = "2026-11-23T17:46:00Z"
"""When its health check has failed and nothing is mended."""
BAD = "apiVersion: fluxmedic.dev/v1\nkind: Rule\nmetadata: {name: x}\nspec: {match: {kind: Kustomization}, sumary: a}\n"


def alone(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own."""
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    environment = {"PATH": "/usr/bin:/bin", **measured, **more}
    command = [sys.executable, "-m", "daemon", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False, timeout=60)


def run(*arguments: str):
    """Run a command in this process."""
    return CliRunner().invoke(cli, arguments)


def test_every_command_has_help_and_the_words_of_the_table():
    for name in COMMANDS:
        result = run(name, "--help")
        assert result.exit_code == 0, (name, result.output)
        assert result.output.startswith("Usage:")


def test_the_list_of_commands_is_told_without_importing_any():
    result = alone("--help")
    assert result.returncode == 0
    assert all(name in result.stdout for name in COMMANDS)


def test_an_unknown_command_is_a_usage_error(fluxmedic):
    result = fluxmedic("dance")
    assert result.returncode == 2
    assert result.stdout == ""
    assert "No such command" in result.stderr


def test_the_help_lists_every_command(fluxmedic):
    assert "timeline" in fluxmedic("--help").stdout


def test_the_version_is_printed_and_needs_neither_cluster_nor_database():
    code = "import sys; from daemon.cli import cli; cli(['version'], standalone_mode=False); print(sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.startswith("fluxmedic 0.")
    assert "'kubernetes_asyncio'" not in result.stdout
    assert "'sqlalchemy'" not in result.stdout
    assert json.loads(run("version", "-o", "json").stdout)["kind"] == "Version"


def test_a_completion_script_is_printed():
    assert "fluxmedic" in run("completion", "bash").stdout


@pytest.mark.parametrize(("words", "found"), [("fluxmedic get s", "silences"), ("fluxmedic sil", "silence")])
def test_what_can_be_asked_for_is_completed(words, found):
    typed = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    result = CliRunner().invoke(cli, [], prog_name="fluxmedic", env={"_FLUXMEDIC_COMPLETE": "bash_complete", **typed})
    assert result.stdout == f"plain,{found}\n"


def test_shipped_rules_are_well_formed_and_their_examples_pass():
    result = run("rules", "check", "--lint-fatal")
    assert result.exit_code == 0, result.output
    result = run("rules", "test")
    assert result.exit_code == 0, result.output
    assert " 0 failed" in result.stderr


def test_a_broken_rule_file_is_refused_with_its_place(fluxmedic, tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)
    result = fluxmedic("rules", "check", str(tmp_path))
    assert result.returncode == 2
    assert result.stdout == ""
    assert "bad.yaml:4:" in result.stderr
    assert "sumary" in result.stderr


def test_a_folder_without_rules_is_refused(fluxmedic, tmp_path):
    result = fluxmedic("rules", "check", str(tmp_path))
    assert result.returncode == 2
    assert "no rule file is there" in result.stderr


def test_warnings_are_fatal_where_that_was_asked_for(fluxmedic, tmp_path):
    text = (shipped_rules() / "kustomization.yaml").read_text().split("\n---")[0]
    (tmp_path / "r.yaml").write_text(text.replace("kind: Kustomization,", "kind: [Kustomization, ConfigMap],"))
    result = fluxmedic("rules", "check", str(tmp_path))
    assert (result.returncode, "warning:" in result.stderr) == (0, True), result.stderr
    assert fluxmedic("rules", "check", "--lint-fatal", str(tmp_path)).returncode == 3


def test_an_example_that_fails_is_told_with_its_place_and_ends_in_one(tmp_path):
    text = (shipped_rules() / "cilium.yaml").read_text().replace("expect: {state: firing}", "expect: {state: pending}")
    (tmp_path / "r.yaml").write_text(text)
    result = run("rules", "test", str(tmp_path))
    assert result.exit_code == 1
    assert "r.yaml:" in result.stdout
    found = json.loads(run("rules", "test", str(tmp_path), "-o", "json").stdout)
    assert found["failed"] > 0


def test_one_rule_may_be_tested_alone():
    assert run("rules", "test", "--run", "cilium-upgrade-failed").exit_code == 0
    assert run("rules", "test", "--run", "nothing").exit_code == 2


@pytest.mark.parametrize("output", ["table", "wide", "json", "yaml", "name"])
def test_rules_are_listed_in_every_form(output):
    result = run("rules", "list", "-o", output)
    assert result.exit_code == 0
    assert "cilium-upgrade-failed" in result.stdout


def test_the_schema_of_rule_files_is_json():
    assert "Rule" in json.dumps(json.loads(run("rules", "schema").stdout))


def test_a_recording_is_replayed_the_same_whatever_the_hash_seed():
    results = [alone("replay", str(RECORDING), "-o", "json", PYTHONHASHSEED=seed) for seed in ("1", "2")]
    assert results[0].returncode == 0, results[0].stderr
    assert results[0].stdout == results[1].stdout
    assert json.loads(results[0].stdout)["kind"] == "ReplayReport"


def test_a_replay_is_told_in_a_table():
    result = run("replay", str(RECORDING))
    assert result.exit_code == 0
    assert result.stdout.startswith("INCIDENT")
    assert "notifications" in result.stderr


def test_a_replay_may_stop_early_and_use_other_rules():
    result = run("replay", str(RECORDING), "--until", "2020-01-01T00:00:00Z", "--rules", str(shipped_rules()))
    assert result.exit_code == 0
    assert "0 incidents" in result.stderr


def test_a_recording_that_is_not_there_is_a_clear_error(fluxmedic):
    result = fluxmedic("replay", "nowhere.jsonl")
    assert result.returncode == 2
    assert "nowhere.jsonl: the recording cannot be read" in result.stderr


def test_a_recording_that_was_cut_gives_what_it_has(tmp_path):
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(RECORDING.read_bytes()[:-2000])
    result = run("replay", str(cut), "-o", "json")
    assert result.exit_code == 0
    assert "is cut or damaged" in result.stderr
    assert json.loads(result.stdout)["signals"] > 0


def test_an_empty_recording_is_an_error(fluxmedic, tmp_path):
    for name in ("empty.jsonl", "empty.jsonl.gz"):
        (tmp_path / name).write_bytes(b"")
        result = fluxmedic("replay", str(tmp_path / name))
        assert result.returncode == 2
        assert result.stdout == ""
        assert f"{name}: no line of this recording can be read" in result.stderr


def test_a_recording_is_read_by_what_it_is_and_not_by_its_name(tmp_path):
    plain, packed = tmp_path / "plain.jsonl.gz", tmp_path / "packed.jsonl"
    packed.write_bytes(RECORDING.read_bytes())
    with gzip.open(RECORDING) as lines:
        plain.write_bytes(lines.read())
    reports = [run("replay", str(path), "-o", "json") for path in (plain, packed, RECORDING)]
    assert [report.exit_code for report in reports] == [0, 0, 0]
    assert len({report.stdout for report in reports}) == 1


def test_a_recording_damaged_in_the_middle_is_warned_of(tmp_path):
    raw = bytearray(RECORDING.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    (tmp_path / "bad.jsonl.gz").write_bytes(raw)
    result = run("replay", str(tmp_path / "bad.jsonl.gz"), "-o", "json")
    assert result.exit_code == 0
    assert "is cut or damaged" in result.stderr


def test_actions_and_members_of_a_report_are_told_beside_the_table(capsys):
    place = {"kind": "HelmRelease", "namespace": "kube-system", "name": "cilium"}
    action = {"action": "delete-release", "object": place, "mode": "proposed", "verdict": "waits for approval"}
    incident = {"id": "a", "state": "open", "severity": "info", "opened_at": "2026-03-01T03:00:00.000Z", "cause": "c"}
    recordings._print({"incidents": [{**incident, "members": [place, place]}], "actions": [action], "signals": 7})
    out, words = capsys.readouterr()
    assert out.splitlines()[1].split() == ["a", "open", "info", "03:00:00", "2", "c"]
    assert words.splitlines() == [
        "action: delete-release HelmRelease/kube-system/cilium (proposed: waits for approval)",
        "7 signals, 1 incidents, 0 notifications",
    ]


def test_unknown_lines_are_told_and_lose_nothing(tmp_path):
    plain = tmp_path / "odd.jsonl"
    with gzip.open(RECORDING) as lines:
        content = lines.read()
    plain.write_bytes(b'not json\n{"at": "2026-01-01T00:00:00Z", "type": "DANCE"}\n{"type": "SYNCED"}\n\n' + content)
    result = run("replay", str(plain), "-o", "json")
    assert result.exit_code == 0
    assert "odd.jsonl:1:" in result.stderr
    assert "odd.jsonl:2: unknown line type 'DANCE'" in result.stderr
    assert len(json.loads(result.stdout)["incidents"]) == 1


def test_a_file_without_one_readable_line_is_an_error(fluxmedic, tmp_path):
    (tmp_path / "no.jsonl").write_text("hello\n")
    result = fluxmedic("replay", str(tmp_path / "no.jsonl"))
    assert result.returncode == 2
    assert "no line of this recording can be read" in result.stderr


def test_a_rule_is_explained_clause_by_clause():
    about = ("rules", "explain", str(RECORDING), "-n", "storefront", "--until", FAILS)
    result = run(*about, "kustomization/storefront-api")
    assert result.exit_code == 0, result.output
    assert "rule health-check-failed: holds" in result.stdout
    found = json.loads(run(*about, "Kustomizations/storefront-api", "-o", "json").stdout)
    assert found["kind"] == "Explanation"
    only = json.loads(run(*about, "ks/storefront-api", "--rule", "health-check-failed", "-o", "json").stdout)
    assert [each["rule"] for each in only["rules"]] == ["health-check-failed"]
    assert only["detectors"] == []
    assert run(*about, "storefront-api").exit_code == 2


def test_one_detector_is_explained_alone():
    about = ("rules", "explain", str(RECORDING), "ks/storefront-api", "-n", "storefront", "--until", FAILS, "--rule")
    told = run(*about, "image-pull").stdout
    assert "detector image-pull: holds" in told
    assert "health-check-failed" not in [line.split()[1] for line in told.splitlines() if line.startswith("rule ")]
    nobody = run(*about, "nobody")
    assert (nobody.exit_code, "no rule about a Kustomization and no detector" in nobody.stderr) == (2, True)


def test_an_object_that_a_recording_does_not_hold_ends_in_one():
    result = run("rules", "explain", str(RECORDING), "ks/nobody")
    assert result.exit_code == 1
    assert "does not exist, or is not watched" in result.stdout


OBJECTS = """
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: api, namespace: apps}
status: {conditions: [{type: Ready, status: "False", reason: BuildFailed, message: no such file}]}
"""


def test_objects_of_a_file_are_evaluated(tmp_path):
    file = tmp_path / "api.yaml"
    file.write_text(OBJECTS)
    result = run("rules", "eval", "-f", str(file), "--after", "30")
    assert result.exit_code == 0, result.output
    assert "rule build-failed: holds" in result.stdout
    assert "rule prune-failed: does not hold" in result.stdout
    only = json.loads(run("rules", "eval", "-f", str(file), "--rule", "build-failed", "-o", "json").stdout)
    assert [each["rule"] for each in only["items"][0]["rules"]] == ["build-failed"]
    assert only["items"][0]["detectors"] == []
    assert run("rules", "eval", "-f", str(file), "--rule", "nobody").exit_code == 2


def test_objects_that_are_no_yaml_are_refused_with_their_place(fluxmedic, tmp_path):
    (tmp_path / "bad.yaml").write_text("kind: [\n")
    result = fluxmedic("rules", "eval", "-f", str(tmp_path / "bad.yaml"))
    assert result.returncode == 2
    assert "bad.yaml:2:1" in result.stderr


HEAD = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a, namespace: b}\n"


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (
            "spec: {a: 99999999999999999999}",
            "it.yaml: this is no object as Kubernetes has them: Integer exceeds 64-bit",
        ),
        ("spec: {1: x}", "it.yaml: this is no object as Kubernetes has them: Dict key must be str"),
        ("spec: {a: !!set {x, y}}", "it.yaml: this is no object as Kubernetes has them: Type is not JSON"),
        ("spec: {a: !!int x}", "it.yaml: this is no object as Kubernetes has them: invalid literal"),
        ("spec: &a {b: *a}", "it.yaml:4:14: aliases are not allowed: write the value out"),
        (f"spec: {'[' * 300}{']' * 300}", "it.yaml:4:206: nested deeper than 200 levels"),
        ("spec: \udcff", "it.yaml: not YAML"),
    ],
)
def test_objects_that_kubernetes_would_not_have_are_refused_with_a_sentence(fluxmedic, tmp_path, rest, words):
    (tmp_path / "it.yaml").write_bytes(f"{HEAD}{rest}\n".encode("utf-8", "surrogateescape"))
    result = fluxmedic("rules", "eval", "-f", str(tmp_path / "it.yaml"))
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr


def test_a_time_that_is_not_quoted_is_read_as_the_text_that_it_is(tmp_path):
    file = tmp_path / "it.yaml"
    file.write_text(HEAD.replace("namespace: b", "namespace: b, creationTimestamp: 2026-01-01T00:00:00Z"))
    with file.open("rb") as opened:
        assert "'creationTimestamp': '2026-01-01T00:00:00Z'" in str(read_manifests(opened))


@pytest.mark.parametrize("length", ["nan", "inf", "-1", "1e12", "1e400", "soon", "32d", "9" * 400])
@pytest.mark.parametrize(
    "command",
    [
        ("rules", "eval", "-f", "{file}", "--after"),
        ("record", "-o", "{file}.jsonl", "--for"),
        ("silence", "add", "name=a", "--comment", "x", "--for"),
    ],
    ids=" ".join,
)
def test_a_length_of_time_that_cannot_be_meant_is_a_usage_error(fluxmedic, tmp_path, command, length):
    file = tmp_path / "api.yaml"
    file.write_text(OBJECTS)
    result = fluxmedic(*(word.format(file=file) for word in command), length)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"Invalid value for '{command[-1]}': '{length}': " in result.stderr


@pytest.mark.parametrize("length", ["600", "600s", "10m", "600.0"])
def test_how_long_objects_stay_as_they_are_is_written_as_anywhere_else(tmp_path, length):
    file = tmp_path / "api.yaml"
    file.write_text(OBJECTS.replace("reason: BuildFailed, ", ""))
    asked = run("rules", "eval", "-f", str(file), "--after", length, "--rule", "kustomization-failed", "-o", "json")
    (rule,) = json.loads(asked.stdout)["items"][0]["rules"]
    assert [each["seen"] for each in rule["clauses"] if each["name"] == "for"] == ["600 s"]


@pytest.mark.parametrize("speed", ["nan", "inf", "-1", "0", "1e12"])
def test_a_demo_at_a_speed_that_is_none_is_a_usage_error(fluxmedic, speed):
    result = fluxmedic("demo", "--speed", speed)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Invalid value for '--speed'" in result.stderr


@pytest.mark.parametrize("command", [("replay", str(RECORDING)), ("rules", "explain", str(RECORDING), "ks/a")])
def test_a_moment_long_after_a_recording_is_refused(fluxmedic, command):
    result = fluxmedic(*command, "--until", "9999-12-31T23:59:59Z")
    assert (result.returncode, result.stdout) == (2, "")
    assert "ask for a moment at most 31 days after that" in result.stderr


def test_settings_are_printed_with_their_origin_and_without_passwords(fluxmedic, tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("cluster: from-file\nledger: {url: 'postgresql+asyncpg://me:hunter22@db/x'}\n")
    result = fluxmedic("config", "--config", str(file), FLUXMEDIC_MODE="propose")
    assert result.returncode == 0, result.stderr
    assert "hunter22" not in result.stdout
    assert "from-file" in result.stdout
    assert "environment FLUXMEDIC_MODE" in result.stdout
    assert json.loads(fluxmedic("config", "-o", "json").stdout)["kind"] == "Config"


def test_a_misspelt_setting_is_an_error_with_its_place(fluxmedic):
    result = fluxmedic("config", FLUXMEDIC_MOED="auto")
    assert result.returncode == 2
    assert "FLUXMEDIC_MOED: no setting is called moed" in result.stderr


def test_a_scenario_that_does_not_exist_is_a_usage_error_that_names_those_that_do(fluxmedic):
    result = fluxmedic("demo", "--scenario", "nothing")
    assert result.returncode == 2
    assert "seed-cilium" in result.stderr


@pytest.mark.parametrize(
    "command", [["get", "incidents"], ["why", "kustomization/a"], ["ack", "x"], ["actions", "pause"]]
)
def test_without_a_daemon_a_question_ends_in_four(fluxmedic, command):
    result = fluxmedic(*command, "--server", "http://127.0.0.1:1")
    assert result.returncode == 4
    assert "no daemon answers at http://127.0.0.1:1" in result.stderr
    assert result.stdout == ""


def test_a_token_that_cannot_be_read_is_a_usage_error(fluxmedic):
    result = fluxmedic("ack", "x", "--server", "http://127.0.0.1:1", "--token-file", "/nowhere/token")
    assert result.returncode == 2
    assert "the token cannot be read" in result.stderr


def test_why_needs_a_kind():
    assert run("why", "apps").exit_code == 2


def test_without_a_cluster_the_daemon_says_what_it_lacks(tmp_path):
    environment = {"HOME": str(tmp_path), "FLUXMEDIC_LEDGER__URL": f"sqlite+aiosqlite:///{tmp_path}/l.db"}
    result = alone("run", "--kubeconfig", str(tmp_path / "nothing"), **environment)
    assert result.returncode in (2, 4)
    assert "error:" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_checks_say_which_one_failed(fluxmedic, tmp_path):
    environment = {"HOME": str(tmp_path), "FLUXMEDIC_LEDGER__URL": f"sqlite+aiosqlite:///{tmp_path}/l.db"}
    result = fluxmedic("check", "--kubeconfig", str(tmp_path / "nothing"), **environment)
    assert result.returncode == 1
    assert "cluster" in result.stdout
    assert "failed" in result.stdout
    found = json.loads(fluxmedic("check", "--kubeconfig", str(tmp_path / "no"), "-o", "json", **environment).stdout)
    assert {item["check"]: item["state"] for item in found["items"]}["rules"] == "ok"


def test_a_test_message_to_the_log_arrives(fluxmedic):
    result = fluxmedic("notify", "test", "log")
    assert result.returncode == 0, result.stderr
    assert "log: sent" in result.stderr
    assert fluxmedic("notify", "test", "pager").returncode == 2


def test_a_test_message_that_does_not_arrive_ends_in_one(fluxmedic, tmp_path):
    (tmp_path / "token").write_text("xoxb-1")
    slack = {
        "FLUXMEDIC_SLACK__TOKEN_FILE": str(tmp_path / "token"),
        "FLUXMEDIC_SLACK__CHANNEL": "C1",
        "FLUXMEDIC_SLACK__API_URL": "http://127.0.0.1:1/api/",
    }
    result = fluxmedic("notify", "test", "slack", **slack)
    assert result.returncode == 1
    assert result.stderr.startswith("slack: ")
    assert "xoxb-1" not in result.stderr
    refused = fluxmedic("notify", "test", "slack", **slack | {"FLUXMEDIC_SLACK__CHANNEL": ""})
    assert refused.returncode == 2
    assert "a Slack token without a channel" in refused.stderr


def test_bad_rules_and_a_bad_ledger_are_rows_of_the_check_and_keep_no_other_from_being_asked(fluxmedic, tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)
    result = fluxmedic(
        "check",
        "--kubeconfig",
        str(tmp_path / "nothing"),
        "-o",
        "json",
        FLUXMEDIC_RULES=str(tmp_path / "bad.yaml"),
        FLUXMEDIC_LEDGER__URL="nonsense://nowhere",
    )
    assert result.returncode == 1
    rows = {item["check"]: item for item in json.loads(result.stdout)["items"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "rules": "failed",
        "ledger": "failed",
        "targets": "ok",
        "cluster": "failed",
    }
    assert "bad.yaml:4:" in rows["rules"]["detail"]


def test_nothing_is_coloured_where_there_is_no_terminal(fluxmedic):
    assert "\x1b" not in fluxmedic("replay", str(RECORDING)).stdout
    assert "\x1b" not in alone("--help").stdout


@pytest.mark.parametrize("evil", ["\x1b[2J", "a\u202eb", "\x07", "\u2028", "\x9b31m", "\u200b"])
def test_f109_nothing_from_the_cluster_moves_the_cursor(evil):
    shown = printable(f"a{evil}b\nc")
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


def test_the_package_is_a_program_too():
    assert daemon.cli.main.__doc__
