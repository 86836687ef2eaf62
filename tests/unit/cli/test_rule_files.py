"""Rule files from the command line: compared on a recording, and tested for a CI."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

RECORDING = Path(__file__).parents[2] / "recordings" / "image-pull.jsonl.gz"
SHIPPED = Path(__file__).parents[3] / "rules"
QUIETER = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: health-check-failed}
spec: {overlay: true, severity: warning}
"""
OFF = QUIETER.replace("severity: warning", "enabled: false")


@pytest.mark.parametrize(("rules", "mark"), [(QUIETER, "~"), (OFF, "-")])
def test_a_recording_is_compared_under_two_sets_of_rules(fluxmedic, tmp_path, rules, mark):
    (tmp_path / "mine.yaml").write_text(rules)
    asked = ("replay", str(RECORDING), "--against", str(SHIPPED), "--against", str(tmp_path))
    found = fluxmedic(*asked)
    assert found.returncode == 1
    assert mark in found.stdout
    document = json.loads(fluxmedic(*asked, "-o", "json").stdout)
    assert document["kind"] == "ReplayDiff"
    assert document["changed"] or document["gone"]


ELSEWHERE = """
apiVersion: fluxmedic.dev/v1
kind: Route
metadata: {name: one}
spec: {targets: [slack]}
"""
QUIET = """
apiVersion: fluxmedic.dev/v1
kind: Window
metadata: {name: always}
spec: {days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "23:59", quiet: true}
"""
KEEPS = QUIETER.replace("severity: warning", "keep_firing_for: 5m")


@pytest.mark.parametrize(
    ("rules", "words"),
    [(ELSEWHERE, "told: webhook opened at"), (QUIET, "told: slack opened at"), (KEEPS, "resolved: ")],
)
def test_who_is_told_and_how_long_it_lasts_is_compared_too(fluxmedic, tmp_path, rules, words):
    (tmp_path / "mine.yaml").write_text(rules)
    found = fluxmedic("replay", str(RECORDING), "--against", str(SHIPPED), "--against", str(tmp_path))
    assert found.returncode == 1
    assert words in found.stdout


def test_a_recording_compared_with_the_same_rules_is_the_same(fluxmedic):
    found = fluxmedic("replay", str(RECORDING), "--against", str(SHIPPED))
    assert (found.returncode, found.stdout) == (0, "")
    assert found.stderr == "0 incident(s) gone, 0 new, 0 told differently\n"


def test_results_are_written_for_a_ci(fluxmedic, tmp_path):
    found = fluxmedic("rules", "test", "--run", "^build-failed$", "--junit", str(tmp_path / "it.xml"))
    assert found.returncode == 0
    suite = ET.fromstring((tmp_path / "it.xml").read_text())  # noqa: S314 - our own words
    assert suite.get("failures") == "0"
    assert {case.get("classname") for case in suite} == {"build-failed"}
    refused = fluxmedic("rules", "test", "--junit", str(tmp_path / "no" / "it.xml"))
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr


WRONG = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: slow}
spec:
  match: {kind: Kustomization, health: Failed}
  for: 1m
  severity: warning
  summary: "{{ ref.name }} fails"
  examples:
    - {name: fires, given: {reason: BuildFailed}, after: 30s, expect: {state: firing, severity: critical}}
    - {name: waits, given: {reason: BuildFailed}, after: 30s, expect: {state: pending}}
"""


def test_a_failed_example_shows_what_was_expected_what_came_and_where_it_stopped(fluxmedic, tmp_path):
    (tmp_path / "slow.yaml").write_text(WRONG)
    found = fluxmedic("rules", "test", str(tmp_path), "--diff")
    assert found.returncode == 1
    assert found.stdout.splitlines()[1:] == [
        "  --- expected",
        "  +++ got",
        "  -state: firing",
        "  +state: pending",
        "  -severity: critical",
        "  +severity: warning",
        "   ✓ kind: wanted Kustomization, saw Kustomization",
        "   ✓ health: wanted Failed, saw Failed",
        "   ✗ for: wanted 60 s, saw 30 s",
    ]
    document = json.loads(fluxmedic("rules", "test", str(tmp_path), "-o", "json").stdout)
    assert document["items"][0]["expected"] == {"state": "firing", "severity": "critical"}
    assert document["items"][0]["got"] == {"state": "pending", "severity": "warning"}


def test_what_did_not_fail_in_an_example_is_shown_once(fluxmedic, tmp_path):
    (tmp_path / "slow.yaml").write_text(WRONG.replace("severity: critical}", "severity: warning}"))
    lines = fluxmedic("rules", "test", str(tmp_path), "--diff").stdout.splitlines()
    assert lines[5] == "   severity: warning"


def test_one_detector_is_tested_alone(fluxmedic):
    found = fluxmedic("rules", "test", "--run", "two-owners")
    assert (found.returncode, found.stderr) == (0, "2 examples passed, 0 failed\n")


@pytest.mark.parametrize("pattern", ["^helm-.*-failed$", "helm-(up|down)grade", "-owners|HELM-|(?i)HELM-UP"])
def test_the_rules_to_be_tested_are_named_by_a_regular_expression(fluxmedic, tmp_path, pattern):
    found = fluxmedic("rules", "test", "--run", pattern, "-o", "json")
    names = {each["rule"] for each in json.loads(found.stdout)["items"]}
    assert "helm-upgrade-failed" in names
    assert "build-failed" not in names


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "--run '(' is no regular expression (RE2): missing ): ("),
        ("(?=a)", "is no regular expression (RE2): invalid perl operator: (?="),
        ("^nobody$", "--run '^nobody$' matches the name of no rule or detector that has examples"),
    ],
)
def test_a_pattern_that_is_none_or_matches_nothing_is_a_usage_error(fluxmedic, tmp_path, pattern, words):
    found = fluxmedic("rules", "test", "--run", pattern, "--junit", str(tmp_path / "it.xml"))
    assert (found.returncode, found.stdout) == (2, "")
    assert words in found.stderr
    assert not (tmp_path / "it.xml").exists()


def test_rules_of_ones_own_are_added_to_the_shipped_ones(fluxmedic, tmp_path):
    (tmp_path / "mine.yaml").write_text(QUIETER)
    alone = fluxmedic("rules", "check", str(tmp_path))
    assert alone.returncode == 2
    assert "no rule 'health-check-failed' stands before this overlay" in alone.stderr
    listed = json.loads(fluxmedic("rules", "list", "shipped", str(tmp_path), "-o", "json").stdout)["items"]
    assert {each["severity"] for each in listed if each["name"] == "health-check-failed"} == {"warning"}
    assert len(listed) >= 30


def test_what_is_switched_off_is_listed_as_off(fluxmedic, tmp_path):
    detector = OFF.replace("kind: Rule", "kind: Detector").replace("health-check-failed", "two-owners")
    text = f"{OFF}---{detector.replace('overlay: true, ', '')}---{detector.replace('two-owners', 'crash-loop')}"
    text = text.replace(
        "name: crash-loop}\nspec: {overlay: true, enabled: false}", "name: crash-loop}\nspec: {for: 5m}"
    )
    (tmp_path / "mine.yaml").write_text(text)
    listed = fluxmedic("rules", "list", "shipped", str(tmp_path)).stdout
    assert "health-check-failed (off)" in listed
    assert "two-owners (off)" in listed
    assert "crash-loop (off)" not in listed
    document = json.loads(fluxmedic("rules", "list", "shipped", str(tmp_path), "-o", "json").stdout)
    told = {each["name"]: each for each in document["detectors"]}
    assert (told["two-owners"]["enabled"], told["crash-loop"]["for"]) == (False, 300.0)
    assert "flux.md" not in listed


KEPT = (
    WRONG.replace("for: 1m", "keep_firing_for: 5m")
    .replace(
        "given: {reason: BuildFailed}, after: 30s, expect: {state: firing, severity: critical}",
        'given: [{reason: BuildFailed, for: 1m}, {ready: "True"}], after: 2m, expect: {state: firing}',
    )
    .replace(
        "given: {reason: BuildFailed}, after: 30s, expect: {state: pending}",
        'given: {ready: "True"}, after: 1m, expect: {state: none}',
    )
)


def test_what_is_kept_firing_fires_in_an_example_too(fluxmedic, tmp_path):
    (tmp_path / "kept.yaml").write_text(KEPT)
    assert fluxmedic("rules", "test", str(tmp_path)).stderr == "2 examples passed, 0 failed\n"


def test_the_examples_of_a_rule_that_an_overlay_changed_are_not_held_against_it(fluxmedic, tmp_path):
    (tmp_path / "mine.yaml").write_text(OFF)
    found = fluxmedic("rules", "test", "shipped", str(tmp_path))
    assert found.returncode == 0


LATER = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: build-failed}
spec:
  overlay: true
  for: 10m
  severity: info
  examples:
    - {name: waits longer now, given: {reason: BuildFailed}, after: 9m, expect: {state: pending, severity: info}}
    - {name: fires later, given: {reason: BuildFailed}, after: 11m, expect: {state: firing, severity: info}}
---
apiVersion: fluxmedic.dev/v1
kind: Detector
metadata: {name: two-owners}
spec: {severity: info}
"""


def test_examples_of_an_overlay_are_of_the_rule_as_it_left_it_and_not_of_what_came_later(fluxmedic, tmp_path):
    (tmp_path / "a.yaml").write_text(LATER)
    (tmp_path / "b.yaml").write_text(OFF.replace("health-check-failed", "build-failed"))
    found = fluxmedic("rules", "test", "shipped", str(tmp_path), "--run", "^build-failed$", "-o", "json")
    assert found.returncode == 0
    names = [each["example"] for each in json.loads(found.stdout)["items"]]
    assert names[-2:] == ["waits longer now", "fires later"]
    assert len(names) > 2


def test_an_example_of_an_overlay_that_fails_is_told_with_its_place(fluxmedic, tmp_path):
    (tmp_path / "a.yaml").write_text(LATER.replace("after: 9m", "after: 12m"))
    found = fluxmedic("rules", "test", "shipped", str(tmp_path), "--run", "^build-failed$")
    assert found.returncode == 1
    assert "a.yaml:10: build-failed: waits longer now: expected pending, was firing after 720 s" in found.stdout


def test_a_mistake_in_an_example_of_an_overlay_is_refused_with_its_place(fluxmedic, tmp_path):
    (tmp_path / "a.yaml").write_text(LATER.replace("after: 9m", "after: 9m, object: {kind: HelmRelease}"))
    found = fluxmedic("rules", "check", "shipped", str(tmp_path))
    assert found.returncode == 2
    assert "a.yaml:10:" in found.stderr
    assert "the rule is not about HelmRelease" in found.stderr


def test_the_examples_of_a_detector_that_an_overlay_changed_are_not_held_against_it(fluxmedic, tmp_path):
    head = "apiVersion: fluxmedic.dev/v1\nkind: Detector\nmetadata: {name: %s}\nspec: {severity: info, for: 2h}\n"
    changed = ("dependency-cycle", "dependency-missing", "two-owners")
    (tmp_path / "mine.yaml").write_text("---\n".join(head % name for name in changed))
    for name in changed:
        found = fluxmedic("rules", "test", "shipped", str(tmp_path), "--run", name)
        assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("matcher", "comment", "words"),
    [
        ("namespace=*", "x", "this silence matches everything"),
        ("name=[!~]*", "x", "this silence matches everything"),
        ("kind=*e*", " ", "say why: this is blank"),
    ],
)
def test_a_silence_of_everything_or_without_a_reason_is_refused_in_a_preview_too(fluxmedic, matcher, comment, words):
    found = fluxmedic("silence", "add", matcher, "--for", "1h", "--comment", comment, "--preview")
    assert found.returncode == 2
    assert words in found.stderr


def test_how_a_detector_was_changed_is_listed_where_there_is_room(fluxmedic, tmp_path):
    text = (
        "apiVersion: fluxmedic.dev/v1\nkind: Detector\nmetadata: {name: two-owners}\nspec: {severity: info, for: 5m}\n"
    )
    (tmp_path / "mine.yaml").write_text(text)
    wide = fluxmedic("rules", "list", "shipped", str(tmp_path), "-o", "wide").stdout.splitlines()
    (header,) = (line for line in wide if line.startswith("DETECTOR"))
    assert header.split()[:4] == ["DETECTOR", "EXAMPLES", "SEVERITY", "FOR"]
    (row,) = (line.split() for line in wide if line.startswith("two-owners"))
    assert row[1:4] == ["2", "info", "300s"]
    assert not any("None" in line for line in wide)
