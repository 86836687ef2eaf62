"""What an example of a rule may expect besides its state: the root of the incident, and words of the summary."""

import pytest

from daemon.model.errors import ConfigError
from daemon.replay.examples import run_examples
from daemon.rules.compile import compile_rules

RULE = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: failed}
spec:
  match: {kind: Kustomization, health: [Failed, Blocked]}
  severity: critical
  summary: "{{ ref.name }} fails: {{ ready.message }}"
  examples:
    - name: one
      object: {kind: Kustomization, namespace: shop, name: web}
      given: GIVEN
      after: 1m
      expect: {state: firing, EXPECT}
"""
FAILS = "{reason: BuildFailed, message: no such file}"
WAITS = """
        reason: DependencyNotReady
        message: "dependency 'shop/db' is not ready"
        spec: {dependsOn: [{name: db}]}
        others: [{kind: Kustomization, namespace: shop, name: db, ready: "False", reason: BuildFailed}]"""


def detail(expect: str, given: str = FAILS, rule: str = RULE) -> str:
    """Return what is wrong with the example, or nothing."""
    (result,) = run_examples(compile_rules([("r.yaml", rule.replace("GIVEN", given).replace("EXPECT", expect))]))
    return result.detail


@pytest.mark.parametrize(
    ("expect", "given"),
    [
        ("root: self", FAILS),
        ("says: no such file", FAILS),
        ("root: Kustomization/shop/db", WAITS),
        ("severity: critical, root: self, says: 'web fails'", FAILS),
    ],
)
def test_an_example_may_expect_a_root_and_words(expect: str, given: str) -> None:
    assert detail(expect, given) == ""


@pytest.mark.parametrize(
    ("expect", "given", "told"),
    [
        ("root: Kustomization/shop/db", FAILS, "expected the root Kustomization/shop/db, it was self"),
        ("root: self", WAITS, "expected the root self, it was Kustomization/shop/db"),
        ("root: none", FAILS, "expected the root none, it was self"),
        ("says: quota", FAILS, "expected a summary with 'quota', it was 'web fails: no such file'"),
    ],
)
def test_another_root_or_other_words_are_told(expect: str, given: str, told: str) -> None:
    assert detail(expect, given) == told


def test_what_does_not_fire_is_in_no_incident_and_says_nothing() -> None:
    quiet = RULE.replace("state: firing", "state: none")
    well = "{ready: 'True', reason: ReconciliationSucceeded}"
    assert detail("root: none", well, quiet) == ""
    assert detail("says: file", well, quiet) == "expected a summary with 'file', it was 'none'"


def test_a_root_that_is_no_object_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError) as refused:
        detail("root: the database")
    (problem,) = refused.value.problems
    assert (problem.line, "root" in str(problem)) == (14, True)
    assert "self, none or KIND/NAMESPACE/NAME" in problem.text
