"""Real incidents through the core: the right root, one incident, told in time; and the same bytes every time."""

import gzip
import importlib.util
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.model.effects import RunAction, Send
from daemon.model.errors import ConfigError
from daemon.model.findings import Severity
from daemon.model.incidents import Incident, State
from daemon.model.notices import Notification, Reason
from daemon.model.refs import EffectId, IncidentId, ObjectRef, Target
from daemon.model.remedies import ActionRequest, Mode, Phase, Remediation, Step
from daemon.model.signals import EventSeen, ObjectChanged, ObjectGone, Synced
from daemon.replay.examples import run_examples
from daemon.replay.explain import explain
from daemon.replay.recording import read_recording, record_gap, record_line, record_sync, record_webhook
from daemon.replay.replay import replay
from daemon.replay.told import Told
from daemon.rules.compile import compile_rules
from daemon.settings import shipped_rules
from tests.builders import RULES

OWN = Path(__file__).resolve().parents[2] / "recordings"
ALL = Path(__file__).resolve().parents[3].parent / "shared" / "recordings"
RIGHT = 39
"""How many of all recordings came out right before; a change may not make it fewer."""
AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
ROOT = ObjectRef("default", "kustomize.toolkit.fluxcd.io", "Kustomization", "apps", "a")
INCIDENT = Incident(IncidentId("i"), ROOT, "it broke", Severity.CRITICAL, State.OPEN, AT, AT)


@pytest.fixture(scope="module")
def rules():
    return compile_rules([(path.name, path.read_text()) for path in sorted(shipped_rules().glob("*.yaml"))])


def names(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".jsonl.gz") for path in folder.glob("*.jsonl.gz"))


def key(body: dict[str, str]) -> tuple[str, str, str]:
    return body["kind"], body.get("namespace", ""), body["name"]


def played(folder: Path, name: str, rules: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    expected = json.loads((folder / f"{name}.expect.json").read_text())
    with gzip.open(folder / f"{name}.jsonl.gz") as lines:
        return expected, json.loads(json.dumps(replay(lines, rules, name=name)))


@pytest.mark.parametrize("name", names(OWN))
def test_a_real_incident_has_its_root_its_members_and_no_second_incident(name, rules):
    expected, report = played(OWN, name, rules)
    assert report["problems"] == []
    loud = [incident for incident in report["incidents"] if incident["severity"] != "info"]
    assert len(loud) <= expected["max_incidents"]
    found = {key(incident["root"]): incident for incident in loud}
    for wanted in expected["incidents"]:
        roots = [key(root) for root in (wanted["root"], *wanted["roots_accepted"])]
        incident = next(found[root] for root in roots if root in found)
        members = {key(member) for member in incident["members"]}
        assert {key(member) for member in wanted["members"]} <= members
        assert not {key(member) for member in wanted["never_members"]} & members
        assert (incident["state"] == "resolved") is wanted["resolved"]
        words = json.dumps(incident).lower()
        assert all(word.lower() in words for word in wanted["cause_words"])
    if expected["quiet"]:
        assert report["notifications"] == []


@pytest.mark.timeout(900)  # forty recordings with every line counted, on a machine that may be busy
def test_no_fewer_of_all_recordings_come_out_right_than_before(rules):
    if not ALL.is_dir():
        pytest.skip(f"the whole collection of recordings is not beside this checkout ({ALL.name})")
    spec = importlib.util.spec_from_file_location("judge", ALL / "judge.py")
    assert spec is not None
    assert spec.loader is not None
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    wrong = {}
    for name in names(ALL):
        expected, report = played(ALL, name, rules)
        faults = judge.faults(expected, report)
        if faults:
            wrong[name] = faults
    assert len(names(ALL)) - len(wrong) >= RIGHT, wrong


def test_the_same_lines_give_the_same_bytes(rules):
    first, second = (played(OWN, "image-pull", rules)[1] for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


def test_a_rule_whose_example_fails_is_told_by_what_was_seen():
    lax = RULES.replace("expect: {state: pending}", "expect: {state: firing}")
    loud = RULES.replace("expect: {state: firing}", "expect: {state: firing, severity: info}")
    details = [each.detail for text in (RULES, lax, loud) for each in run_examples(compile_rules([("r.yaml", text)]))]
    assert details == [
        "",
        "",
        "",
        "expected firing, was pending after 2 s",
        "expected severity info, the rule's is critical",
        "",
    ]


HEALS = '[{reason: BuildFailed, for: 10m}, {ready: "True"}]'


@pytest.mark.parametrize(("after", "state"), [("5m", "firing"), ("10m", "none"), ("11m", "none")])
def test_an_example_is_asked_how_things_stood_after_so_long_whatever_came_later(after, state):
    text = RULES.replace('given: [{ready: "False", reason: BuildFailed}], after: 6s', f"given: {HEALS}, after: {after}")
    (first, _) = run_examples(compile_rules([("r.yaml", text.replace("{state: firing}", f"{{state: {state}}}"))]))
    assert first.detail == ""


def test_a_condition_may_be_absent_from_an_example():
    text = RULES.replace('given: [{ready: "False", reason: BuildFailed}]', "given: [{stalled: BuildFailed}]", 1)
    (first, _) = run_examples(compile_rules([("r.yaml", text)]))
    assert first.detail in ("", "expected firing, was none after 6 s")


def test_examples_of_one_rule_may_be_run_alone(rules):
    assert {each.rule for each in run_examples(rules, "cilium-upgrade-failed".__eq__)} == {"cilium-upgrade-failed"}
    assert run_examples(rules, "nothing".__eq__) == []


def test_what_a_plan_would_do_is_listed_once_as_proposed():
    def told_of(phase: Phase) -> list[Any]:
        plan = Remediation("p", INCIDENT.id, "r", Mode.PROPOSE, phase, (Step("reconcile", ROOT),), "d", AT)
        sent = Notification(EffectId("e"), Target("slack"), Reason.OPENED, replace(INCIDENT, remediation=plan), AT)
        told = Told()
        told.take(AT, (Send(sent),))
        told.take(AT, (Send(sent),))
        assert len(told.notifications) == 2
        return [(action["mode"], action["action"], action["verdict"]) for action in told.actions]

    assert told_of(Phase.PROPOSED) == [("proposed", "reconcile", "waits for approval")]
    assert told_of(Phase.VERIFYING) == []


def test_what_runs_is_listed_and_a_mere_look_is_not():
    told = Told()
    request = ActionRequest(EffectId("a"), INCIDENT.id, "p", 0, 0, "reconcile", ROOT)
    told.take(AT, (RunAction(request), RunAction(request, look=True)))
    assert [(action["mode"], action["verdict"]) for action in told.actions] == [("auto", "allowed")]


def test_a_recording_may_be_cut_at_any_line(rules):
    with gzip.open(OWN / "image-pull.jsonl.gz") as file:
        lines = file.readlines()
    for count in range(1, len(lines), max(1, len(lines) // 12)):
        report = replay(lines[:count], rules)
        assert report["problems"] == []


def test_until_ends_the_replay_before_its_last_line(rules):
    expected = json.loads((OWN / "image-pull.expect.json").read_text())
    early = datetime.fromisoformat(expected["opens_after"])
    with gzip.open(OWN / "image-pull.jsonl.gz") as lines:
        assert replay(lines, rules, until=early)["incidents"] == []


def test_what_cannot_be_read_at_all_is_an_error(rules):
    with pytest.raises(ConfigError, match="no line of this recording can be read"):
        replay([b"no"], rules)
    with pytest.raises(ConfigError, match="no line of this recording can be read"):
        explain([b"no"], rules, ObjectRef("default", "", "Kustomization", "apps", "a"))


def test_an_explanation_may_be_of_a_moment_and_of_one_rule(rules):
    ref = ObjectRef("default", "kustomize.toolkit.fluxcd.io", "Kustomization", "flux-system", "nothing")
    with gzip.open(OWN / "image-pull.jsonl.gz") as lines:
        told = explain(lines, rules, ref, until=AT)
    assert told["known"] is False


def kustomization(name: str, reason: str = "ReconciliationSucceeded") -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True", "reason": reason, "message": "ok"}
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {
            "name": name,
            "namespace": "apps",
            "uid": name,
            "resourceVersion": "1",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "keep": "me"},
            "managedFields": [
                {"manager": "kubectl", "operation": "Apply", "time": "2026-03-01T03:00:00Z", "fieldsV1": {}}
            ],
        },
        "spec": {"values": {"password": "hunter22"}, "path": "./a"},
        "status": {"conditions": [condition]},
        "data": {"secret": "c2VjcmV0"},
    }


def test_what_is_recorded_has_no_secret_and_comes_back():
    raw = kustomization("a")
    line = record_line(AT, "ADDED", raw)
    assert b"hunter22" not in line
    assert b"fieldsV1" not in line
    assert b"last-applied" not in line
    assert b"c2VjcmV0" not in line
    assert b'"keep":"me"' in line
    resource = "kustomizations.kustomize.toolkit.fluxcd.io"
    lines = [line, record_sync(AT, resource), record_line(AT, "MODIFIED", raw), record_line(AT, "DELETED", raw)]
    found = read_recording(lines, "c", "x").signals
    assert [type(signal) for signal in found] == [ObjectChanged, Synced, ObjectChanged, ObjectGone]
    assert isinstance(found[0], ObjectChanged)
    assert found[0].initial
    assert isinstance(found[2], ObjectChanged)
    assert not found[2].initial


def test_an_object_without_anything_to_hide_is_written_as_it_is():
    raw = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}}
    assert json.loads(record_line(AT, "ADDED", raw))["object"] == raw


def test_after_a_gap_what_is_missing_is_gone():
    resource = "kustomizations.kustomize.toolkit.fluxcd.io"
    lines = [
        record_line(AT, "ADDED", kustomization("a")),
        record_line(AT, "ADDED", kustomization("b")),
        record_sync(AT, resource),
        record_gap(AT, resource, [kustomization("b"), kustomization("c")]),
    ]
    found = read_recording(lines, "c", "x").signals[3:]
    assert [type(signal).__name__ for signal in found] == ["ObjectGone", "ObjectChanged", "ObjectChanged", "Synced"]


def test_a_post_of_notification_controller_is_kept_as_it_came():
    about = {"kind": "Kustomization", "name": "a", "namespace": "apps"}
    line = record_webhook(AT, {"X-Signature": "sha256=1"}, {"involvedObject": about, "reason": "r", "message": "m"})
    (signal,) = read_recording([line], "c", "x").signals
    assert isinstance(signal, EventSeen)
    assert signal.origin == "webhook"


def test_a_bookmark_says_nothing_and_an_event_is_no_object():
    lines = [
        record_line(AT, "BOOKMARK", {"kind": "Kustomization", "metadata": {"resourceVersion": "9"}}),
        record_line(AT, "DELETED", {"kind": "Event", "metadata": {"name": "e"}}),
        record_line(AT, "ADDED", {"kind": "Secret", "metadata": {"name": "ordinary"}}),
        record_line(AT, "ADDED", {"kind": "Unheard", "apiVersion": "x/v1", "metadata": {"name": "u"}}),
    ]
    found = read_recording(lines, "c", "x")
    assert found.problems == ()
    assert [type(signal) for signal in found.signals] == [ObjectChanged]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ('{"type": "SYNCED"}', "no time in `at`"),
        ('{"at": "2026-03-01T03:00:00Z", "type": "DANCE"}', "unknown line type 'DANCE'"),
        ('{"at": "2026-03-01T03:00:00Z", "type": "ADDED", "object": {}}', "needs kind and metadata.name"),
        ('{"at": "2026-03-01T03:00:00Z", "type": "WEBHOOK", "body": {}}', "involvedObject.kind is missing"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_with_its_number_and_skipped(line, words):
    good = record_sync(AT, "x")
    found = read_recording([good, "", line, good], "c", "file")
    assert len(found.signals) == 2
    assert str(found.problems[0]).startswith("file:3")
    assert words in str(found.problems[0])
