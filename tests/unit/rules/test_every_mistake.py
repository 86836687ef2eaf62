"""Every mistake of a rule is told at once: none hides another, whatever it is."""

import pytest

from daemon.model.errors import ConfigError
from daemon.rules.compile import compile_rules


def document(kind: str, name: str, spec: str) -> str:
    return f"apiVersion: fluxmedic.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def wrong(*texts: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        compile_rules((f"{index}.yaml", text) for index, text in enumerate(texts))
    return [str(problem).split(": ", 2)[1] for problem in caught.value.problems]


MANY = """
  match: {kind: A, health: Failed}
  severity: info
  summary: "{{ nope }}"
  evidence: [guess]
  inhibited_by: [{rule: nobody}]
  remediation: {mode: observe, recovery: none-such, steps: [{action: dance}, {action: reconcile, with: {x: 1}}]}
  examples:
    - {name: a, object: {kind: B}, given: {}, after: 1s, expect: {state: firing}}
"""


def test_f046_a_broken_text_hides_nothing_else() -> None:
    assert wrong(document("Rule", "x", MANY)) == [
        "spec.summary",
        "spec.evidence.0",
        "spec.remediation.steps.0.action",
        "spec.remediation.steps.1.with.x",
        "spec.examples.0.object.kind",
        "spec.remediation.recovery",
        "spec.inhibited_by.0.rule",
    ]


def test_f046_a_wrong_shape_hides_neither_evidence_nor_actions_nor_references() -> None:
    assert wrong(document("Rule", "x", MANY.replace("severity: info", "sverity: info"))) == [
        "spec.severity",
        "spec.sverity",
        "spec.summary",
        "spec.evidence.0",
        "spec.remediation.steps.0.action",
        "spec.remediation.steps.1.with.x",
        "spec.remediation.recovery",
        "spec.inhibited_by.0.rule",
    ]


@pytest.mark.parametrize(
    "spec",
    [
        "{evidence: guess, remediation: 3, inhibited_by: 4}",
        "{evidence: [3, ''], remediation: {steps: [3, {action: ''}], recovery: 4}, inhibited_by: [3, {rule: 4}]}",
        "{remediation: {steps: {a: b}, recovery: ''}, sequence: 3}",
    ],
)
def test_f046_what_has_no_shape_at_all_is_told_as_that_alone(spec: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_rules([("a.yaml", document("Rule", "x", spec))])
    assert not any("unknown" in problem.text or "called" in problem.text for problem in caught.value.problems)


@pytest.mark.parametrize(
    "raw", ["{kind: Pod, metadata: {nmae: x}}", "{metadata: {name: x}}", "{kind: Pod, metadata: 3}"]
)
def test_a_whole_object_of_an_example_that_is_none_is_refused_with_its_place(raw: str) -> None:
    spec = f"""
  match: {{kind: Kustomization, health: Failed}}
  severity: info
  summary: x
  examples:
    - name: a
      given:
        - others:
            - raw: {raw}
      after: 1s
      expect: {{state: firing}}
"""
    with pytest.raises(ConfigError) as caught:
        compile_rules([("a.yaml", document("Rule", "x", spec))])
    (problem,) = caught.value.problems
    assert (problem.text, problem.line, problem.column) == ("an object needs kind and metadata.name", 12, 20)


ONE = """\
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: x}
spec:
  match:
    kind: Kustomization
    health: Broken
    reason: 3
  severity: info
  summary: x
  route: ""
  examples:
    - name: a
      given:
        ready: "False"
        message: y
        resaon: X
        others:
          - kind: Kustomization
            name: z
            ready: no
          - namespace: b
      after: 1s
      expect: {state: firing}
"""


def test_a_mistake_in_what_stands_for_a_list_of_one_is_told_where_it_stands() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_rules([("a.yaml", ONE)])
    assert [(each.line, each.path) for each in caught.value.problems] == [
        (7, "spec.match.health"),
        (8, "spec.match.reason"),
        (11, "spec.route"),
        (17, "spec.examples.0.given.resaon"),
        (21, "spec.examples.0.given.others.0.ready"),
    ]


def test_another_object_beside_one_state_is_refused_where_it_stands() -> None:
    text = ONE.replace("health: Broken", "health: Failed").replace("    reason: 3\n", "").replace('  route: ""\n', "")
    text = text.replace("        resaon: X\n", "").replace("ready: no", 'ready: "True"')
    with pytest.raises(ConfigError) as caught:
        compile_rules([("a.yaml", text)])
    assert [(each.line, each.path) for each in caught.value.problems] == [(19, "spec.examples.0.given.others.1")]


def inhibited(name: str, *by: str, more: str = "") -> str:
    inhibitors = ", ".join(f"{{rule: {each}}}" for each in by)
    spec = (
        f"{{match: {{kind: Bucket, health: Failed}}, severity: info, summary: x, inhibited_by: [{inhibitors}]{more}}}"
    )
    return document("Rule", name, spec)


@pytest.mark.parametrize(
    ("rules", "ring"),
    [
        ([inhibited("a", "b"), inhibited("b", "a")], "a by b by a"),
        ([inhibited("a", "two-owners", "b"), inhibited("b", "c"), inhibited("c", "d", "a"), inhibited("d")],
         "a by b by c by a"),
        ([inhibited("z", "a"), inhibited("a", "b"), inhibited("b", "c", "a"), inhibited("c")], "a by b by a"),
    ],
)  # fmt: skip
def test_rules_that_keep_each_other_quiet_are_refused_with_their_place(rules: list[str], ring: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_rules((f"{index}.yaml", text) for index, text in enumerate(rules))
    (problem,) = caught.value.problems
    assert problem.text == f"these keep each other quiet, so that none of them is sent: {ring}"
    assert problem.path.startswith("spec.inhibited_by.")
    assert problem.line == 4


def test_rules_that_inhibit_without_a_ring_are_fine() -> None:
    files = [inhibited("a", "b", "c", "two-owners"), inhibited("b", "d"), inhibited("c", "d"), inhibited("d")]
    assert len(compile_rules((f"{index}.yaml", text) for index, text in enumerate(files)).rules) == 4
    off = [inhibited("a", "b"), inhibited("b", "a", more=", enabled: false")]
    assert len(compile_rules((f"{index}.yaml", text) for index, text in enumerate(off)).rules) == 2


CHECKS = "checks: [{id: a, probe: exists, with: {kind: Node, at-least: '${n}'}}, {id: b, probe: absant}, {id: c}, 3]"


def test_f046_a_bad_schedule_hides_no_mistake_in_the_checks() -> None:
    spec = f"{{schedule: '*/0 * * * *', parameters: {{n: many}}, {CHECKS}}}"
    assert wrong(document("Procedure", "x", spec)) == [
        "spec.schedule",
        "spec.checks.0.with.at-least",
        "spec.checks.1.probe",
        "spec.checks.2.probe",
        "spec.checks.3",
    ]


def test_f046_without_parameters_that_can_be_read_no_check_is_judged() -> None:
    assert wrong(document("Procedure", "x", f"{{parameters: 3, {CHECKS}}}")) == [
        "spec.parameters",
        "spec.checks.2.probe",
        "spec.checks.3",
    ]
