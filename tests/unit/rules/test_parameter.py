"""What a procedure says to its probes is refused at load where they could not read it, or could never find it."""

import pytest

from daemon.model.errors import ConfigError
from daemon.rules.compile import compile_rules
from daemon.rules.parameter import misfits, near, whole

KUSTOMIZATION = "kind: Kustomization, namespace: a, name: x"
DAEMON_SET = "kind: DaemonSet, namespace: a, name: x"


def procedure(probe: str, given: str, parameters: str = "") -> str:
    """Return a rule file with one check; what is given stands in line 7 from column 13 on."""
    return f"""apiVersion: fluxmedic.dev/v1
kind: Procedure
metadata: {{name: p}}
spec:
  parameters: {{{parameters}}}
  checks: [{{id: a, probe: {probe}, with:
           {{{given}}}}}]
"""


def problems(text: str) -> list[str]:
    try:
        compile_rules([("a.yaml", text)])
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("probe", "given", "said"),
    [
        ("exists", "kind: Node, at-least: many", "a.yaml:7:35: spec.checks.0.with.at-least: should be a whole number"),
        ("exists", "kind: Node, at-least: 0", "at-least: should be a whole number from 1 on, not '0'"),
        ("exists", "kind: Node, at-least: -1", "at-least: should be a whole number from 1 on, not '-1'"),
        ("exists", "kind: Node, at-least: 1.5", "at-least: should be a whole number from 1 on, not '1.5'"),
        ("exists", "kind: Node, at-least: true", "at-least: should be a whole number from 1 on, not 'true'"),
        ("exists", "kind: Node, at-least: '٣'", "at-least: should be a whole number from 1 on, not '٣'"),
        ("exists", "kind: '*'", "a.yaml:7:19: spec.checks.0.with.kind: should be one kind, such as HelmRelease"),
        ("exists", "kind: ''", "with.kind: should be one kind, such as HelmRelease, not ''"),
        ("exists", "kind: kustomization", "no kind is called 'kustomization', did you mean 'Kustomization'?"),
        ("exists", "kind: ks", "no kind is called 'ks', did you mean 'Kustomization'?"),
        ("workload", f"{DAEMON_SET}, ready: lots", "with.ready: should be all or a number from 1 on, not 'lots'"),
        ("workload", f"{DAEMON_SET}, ready: ''", "with.ready: should be all or a number from 1 on, not ''"),
        ("workload", KUSTOMIZATION, "with.kind: Kustomization has no pods that are counted, only DaemonSet"),
        ("absent", "kind: HelmRelease, namespace: a, name: 'x*'", "with.name: should be one object's, not the glob"),
        ("absent", "kind: HelmRelease, namespace: '[ab]', name: x", "with.namespace: should be one object's, not the"),
        ("absent", "kind: HelmRelease, namespace: a, name: ''", "with.name: which one? give a name beside kind"),
        ("absent", "kind: HelmRelease, namespace: '', name: x", "with.namespace: a HelmRelease is in a namespace"),
        ("absent", "kind: Node, namespace: a, name: x", "a Node is in no namespace: write an empty text, in quotes"),
        ("condition", "kind: HelmRelease, namespace: a", "a.yaml:6:12: spec.checks.0: which one? give a name beside"),
        ("condition", "kind: HelmRelease, name: x", "a.yaml:6:12: spec.checks.0: a HelmRelease is in a namespace"),
        ("condition", "name: x", "with.name: says nothing without a kind: give kind beside name"),
        ("condition", "type: ' '", "with.type: must not be empty: leave it out for Ready"),
        ("condition", "status: yes", "with.status: is never 'yes', only True, False, Unknown"),
        ("condition", "status: True", "did you mean 'True'? Put it in quotes: YAML reads a boolean."),
        ("release", "status: deploid, name: x, namespace: a", "with.status: is never 'deploid', only deployed"),
        ("release", "name: x", "with.name: says nothing alone: give namespace and name of the Helm release"),
        ("release", "name: 'x*', namespace: a", "with.name: should be one release's, not the glob 'x*'"),
        ("dependents", "kind: Node", "with.kind: the probe dependents has no parameter 'kind', it has none"),
        ("exists", "kind: Node, at_least: 2", "it has at-least, kind, name, namespace, did you mean 'at-least'?"),
    ],
)  # fmt: skip
def test_f046_what_a_probe_cannot_use_is_refused_with_its_place(probe, given, said):
    (problem,) = problems(procedure(probe, given))
    assert said in problem
    assert problem.startswith("a.yaml:")


@pytest.mark.parametrize(
    ("probe", "given"),
    [
        ("exists", "kind: Kustomization"),
        ("exists", "kind: PrometheusRule, namespace: 'kube-*', name: '[a-c]*', at-least: 999999"),
        ("workload", f"{DAEMON_SET}, ready: all"),
        ("workload", f"{DAEMON_SET}, ready: 3"),
        ("workload", "kind: Rollout, namespace: a, name: x"),
        ("absent", KUSTOMIZATION),
        ("absent", "kind: Node, namespace: '', name: x"),
        ("absent", "kind: ClusterIssuer, namespace: '', name: x"),
        ("condition", f"{KUSTOMIZATION}, type: Healthy, status: 'False', reason: Progressing"),
        ("condition", "status: Unknown"),
        ("release", "namespace: a, name: x, status: pending-upgrade"),
        ("release", "status: failed"),
        ("release", "namespace: '', name: ''"),
        ("dependents", ""),
    ],
)
def test_what_a_probe_can_use_is_accepted(probe, given):
    assert problems(procedure(probe, given)) == []


def test_f046_a_default_that_a_probe_cannot_read_is_refused_where_it_is_used():
    (problem,) = problems(procedure("workload", f"{DAEMON_SET}, ready: '${{count}}'", "count: lots"))
    assert problem.startswith("a.yaml:7:60: spec.checks.0.with.ready: should be all or a number from 1 on, not 'lots'")
    assert problem.endswith(": that is what ${count} is by default")


def test_a_default_that_a_probe_can_read_is_taken():
    assert problems(procedure("workload", f"{DAEMON_SET}, ready: '${{count}}'", "count: 2")) == []


def test_what_is_not_known_to_be_wrong_is_left_alone():
    assert list(misfits("nothing", {"x": "y"})) == []


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("120", 120), ("0", None), ("01", None), ("9" * 5000, None)])
def test_a_number_of_a_rule_file_is_from_one_on_and_has_an_end(text, number):
    assert whole(text) == number


def test_a_word_in_other_letters_is_near():
    assert near("TRUE", ["True", "False"]) == ", did you mean 'True'?"
    assert near("zzz", ["True", "False"]) == ""
