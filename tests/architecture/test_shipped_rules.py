"""Every rule that we ship shows by its own examples when it fires and when it does not."""

from dataclasses import replace

import pytest

from daemon.engine.detect import DETECTORS
from daemon.replay.examples import run_examples
from daemon.rules.compile import compile_rules
from tests.architecture.source import ROOT

FIRES = "firing"


@pytest.fixture(scope="module")
def ruleset():
    """Return the shipped rules, compiled."""
    files = [(path.name, path.read_text("utf-8")) for path in sorted((ROOT / "rules").glob("*.yaml"))]
    return compile_rules(files)


def one_sided(rules) -> list[str]:
    """Find rules without an example that fires, or without one that does not."""
    return [rule.name for rule in rules if {each.expect.state == FIRES for each in rule.examples} != {True, False}]


def test_there_are_rules(ruleset):
    assert len(ruleset.rules) >= 5


def test_every_rule_has_an_example_that_fires_and_one_that_does_not(ruleset):
    assert one_sided(ruleset.rules) == []


def test_every_detector_has_an_example_that_fires_and_one_that_does_not(ruleset):
    assert set(ruleset.detector_examples) == set(DETECTORS)
    told = {name: {each.expect.state == FIRES for each in found} for name, found in ruleset.detector_examples.items()}
    assert [name for name, sides in told.items() if sides != {True, False}] == []


def test_a_detector_that_is_switched_off_has_no_example_to_pass(ruleset):
    off = replace(ruleset, detectors_off=frozenset({"two-owners"}))
    assert {each.rule for each in run_examples(ruleset)} - {each.rule for each in run_examples(off)} == {"two-owners"}


def test_every_example_passes(ruleset):
    results = run_examples(ruleset)
    assert len(results) >= 2 * len(ruleset.rules)
    assert [
        f"{each.file}:{each.line} {each.rule}/{each.example}: {each.detail}" for each in results if not each.passed
    ] == []


RULE = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: failed}
spec:
  match: {kind: [Kustomization], health: Failed}
  for: 5s
  severity: critical
  summary: "{{ ref.name }} fails"
  next_step: "flux get all"
  examples:
    - {name: fires, given: [{ready: "False", reason: BuildFailed}], after: 6s, expect: {state: firing}}
    - {name: waits, given: [{ready: "False", reason: BuildFailed}], after: 2s, expect: {state: pending}}
"""


def test_a_rule_without_an_example_of_silence_is_found():
    whole = compile_rules([("a.yaml", RULE)])
    assert one_sided(whole.rules) == []
    half = compile_rules([("a.yaml", RULE.replace("pending", "firing"))])
    assert one_sided(half.rules) == ["failed"]


def test_an_example_that_does_not_hold_is_found():
    wrong = compile_rules([("a.yaml", RULE.replace("after: 2s", "after: 9s"))])
    assert [each.example for each in run_examples(wrong) if not each.passed] == ["waits"]
