"""The shipped rules: complete, unambiguous, and each doing what its own examples say.

The examples are run through the whole core elsewhere; here they are judged by the rules alone, with the one thing that
they need to know of the core: Failed is latched until the object is well again.
"""

import re
from pathlib import Path

import pytest

from daemon.flux.kinds import WATCHED
from daemon.flux.reasons import ReasonClass, classify
from daemon.model.findings import Severity
from daemon.model.objects import Condition, Health, ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.remedies import Mode
from daemon.rules.compile import compile_rules
from daemon.rules.expression import activation
from daemon.rules.ruleset import Example, GivenState, Rule

FOLDER = Path(__file__).parents[3] / "rules"
FILES = [(path.name, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))]
SHIPPED = compile_rules(FILES)
CASES = [
    pytest.param(rule, example, id=f"{rule.name}: {example.name}")
    for rule in SHIPPED.rules
    for example in rule.examples
    if not rule.temporal
    and not any(given.spec or given.status or given.others or given.deleting for given in example.given)
    # what asks over time, or of more than a condition, is run through the whole core alone (tests/architecture)
]
RULES = [pytest.param(rule, id=rule.name) for rule in SHIPPED.rules]
CLASSES = {
    ReasonClass.OK: Health.CURRENT,
    ReasonClass.FAILED: Health.FAILED,
    ReasonClass.CONFIG: Health.FAILED,
    ReasonClass.BLOCKED: Health.BLOCKED,
    ReasonClass.SYMPTOM: Health.BLOCKED,
}


def seen(rule: Rule, example: Example, given: GivenState) -> tuple[ObjectState, Health]:
    conditions = [Condition("Ready", given.ready, given.reason, given.message)]
    if given.stalled:
        conditions.append(Condition("Stalled", "True", given.stalled, given.message))
    ref = ObjectRef("c", "", example.kind, example.namespace, example.object_name)
    health = CLASSES.get(classify(example.kind, given.ready, given.reason, given.message), Health.IN_PROGRESS)
    return ObjectState(ref, conditions=tuple(conditions), labels=example.labels), health


def values(state: ObjectState, health: Health, given: GivenState) -> dict[str, object]:
    stalled = state.condition("Stalled")
    ready = state.ready
    waiting = [
        {"kind": "Kustomization", "namespace": "x", "name": str(n), "health": "Blocked"} for n in range(given.waiting)
    ]
    return {
        "ready": {"status": ready.status, "reason": ready.reason, "message": ready.message} if ready else {},
        "stalled": {"status": "True", "reason": stalled.reason, "message": stalled.message} if stalled else {},
        "ref": {"kind": state.ref.kind, "namespace": state.ref.namespace, "name": state.ref.name},
        "health": health.value,
        "suspended": given.suspended,
        "dependents": waiting,
    }


def holds(rule: Rule, state: ObjectState, health: Health, given: GivenState) -> bool:
    if not rule.match.matches(state, health):
        return False
    answer = rule.when.evaluate(activation(values(state, health, given))).value if rule.when else True
    assert answer is not None
    return answer


def outcome(rule: Rule, example: Example) -> str:
    """Return firing, pending or none at the end of an example, with Failed latched."""
    since: float | None = None
    latched: tuple[ObjectState, GivenState] | None = None
    clock = 0.0
    for given in example.given:
        state, health = seen(rule, example, given)
        if health is Health.FAILED:
            latched = (state, given)
        elif health is Health.CURRENT:
            latched = None
        elif latched is not None and health is Health.IN_PROGRESS:
            (state, given), health = latched, Health.FAILED  # noqa: PLW2901 - what a retry hides
        held = holds(rule, state, health, given)
        since = None if not held else clock if since is None else since
        clock += given.seconds
    if since is None:
        return "none"
    return "firing" if example.after - since >= rule.hold else "pending"


def firing(kind: str, reason: str, message: str = "x", stalled: str = "") -> list[str]:
    """Return the names of the rules that hold for a failure, most specific first."""
    given = GivenState("False", reason, message, stalled)
    example = Example("x", (given,), 0.0, SHIPPED.rules[0].examples[0].expect, kind, "kube-system", "other")
    rule = SHIPPED.rules[0]
    state, _ = seen(rule, example, given)
    return [
        each.name
        for each in SHIPPED.for_object(kind, Health.FAILED)
        if not each.temporal and holds(each, state, Health.FAILED, given)
    ]


def test_the_shipped_rules_load_without_a_warning() -> None:
    assert [str(problem) for problem in SHIPPED.problems] == []
    assert len(SHIPPED.rules) >= 30


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_each_example_ends_as_it_says(rule: Rule, example: Example) -> None:
    assert outcome(rule, example) == example.expect.state
    assert example.expect.severity in (None, rule.severity)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_says_what_to_do_next_and_where_to_read_more(rule: Rule) -> None:
    assert rule.next_step is not None
    assert re.search(r"\b(kubectl|flux|helm)\b", rule.next_step.source)
    assert re.fullmatch(r"https://\S+/#[a-z0-9-]+", rule.runbook)  # the section, not a page to search through
    assert any(example.expect.state == "firing" for example in rule.examples)


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_each_summary_can_be_filled_in_and_names_the_object(rule: Rule, example: Example) -> None:
    state, health = seen(rule, example, example.given[0])
    told = values(state, health, example.given[0])
    summary = rule.summary.render(told)
    assert "not filled in" not in summary
    assert "\n" not in summary
    assert len(summary) < 700
    assert rule.next_step is not None
    assert "not filled in" not in rule.next_step.render(told)
    if not rule.match.name:
        assert state.ref.name in summary


PATIENT = {"helm-unlock-failed": 30.0, "helm-pending-long": 1200.0}
"""Rules about what Flux does not call a failure, and the seconds for which each must last: longer than a retry."""


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_only_about_failures_so_that_waiting_never_fires_alone(rule: Rule) -> None:
    if rule.temporal or ("area", "drift") in rule.labels:
        return  # what drifts stays Ready
    if rule.name in PATIENT:
        assert rule.severity < Severity.CRITICAL
        assert rule.hold >= PATIENT[rule.name]
        return
    assert Health.FAILED in rule.match.health
    assert rule.match.health <= {Health.FAILED, Health.TERMINATING}


CONDITIONED = sorted(kind.kind for kind in WATCHED if kind.flux and kind.conditions and kind.kind != "FluxReport")


NAMED = sorted({word for _, text in FILES for word in re.findall(r"\b[A-Z][a-z]+(?:[A-Z]+[a-z]+)+\b", text)})


@pytest.mark.parametrize("kind", CONDITIONED)
def test_f051_a_failure_of_any_kind_with_any_reason_is_told_by_exactly_one_rule(kind: str) -> None:
    told = {reason: firing(kind, reason) for reason in ("SomethingNew", *NAMED)}
    assert {reason: rules for reason, rules in told.items() if len({*rules} - {"helm-stalled"}) != 1} == {}


@pytest.mark.parametrize(
    ("kind", "reason", "stalled", "rules"),
    [
        ("HelmRelease", "UpgradeFailed", "", ["helm-upgrade-failed"]),
        ("HelmRelease", "UpgradeFailed", "RetriesExceeded", ["helm-stalled", "helm-upgrade-failed"]),
        ("HelmRelease", "RollbackSucceeded", "", ["helm-rolled-back"]),
        ("HelmRelease", "StateError", "", ["helmrelease-failed"]),
        ("HelmRelease", "AccessDenied", "AccessDenied", ["config-refused"]),
        ("Kustomization", "BuildFailed", "", ["build-failed"]),
        ("Kustomization", "ReconciliationFailed", "", ["apply-refused"]),
        ("Kustomization", "Other", "", ["kustomization-failed"]),
        ("GitRepository", "GitOperationFailed", "", ["git-fetch-failed"]),
        ("GitRepository", "InvalidCommitSignature", "", ["signature-refused"]),
        ("GitRepository", "StorageOperationFailed", "", ["source-failed"]),
        ("Bucket", "AuthenticationFailed", "", ["source-failed"]),
        ("HelmChart", "InvalidChartReference", "InvalidChartReference", ["chart-version-missing"]),
        ("HelmChart", "ChartPullError", "", ["chart-fetch-failed"]),
        ("HelmRepository", "Failed", "", ["chart-fetch-failed"]),
        ("ImagePolicy", "InvalidPolicy", "", ["image-automation-failed"]),
        ("Receiver", "ValidationFailed", "ValidationFailed", ["config-refused"]),
        ("ResourceSet", "BuildFailed", "", ["flux-operator-failed"]),
    ],
)
def test_f051_one_failure_is_told_by_the_rule_that_knows_it_best(
    kind: str, reason: str, stalled: str, rules: list[str]
) -> None:
    assert firing(kind, reason, stalled=stalled) == rules


def test_releases_and_kustomizations_are_critical_and_fetching_is_a_warning() -> None:
    loud = {rule.name: rule.severity for rule in SHIPPED.rules}
    assert loud["helm-upgrade-failed"] is loud["apply-refused"] is loud["signature-refused"] is Severity.CRITICAL
    assert loud["git-fetch-failed"] is loud["oci-fetch-failed"] is loud["source-failed"] is Severity.WARNING


def test_what_is_latched_fires_at_once_and_what_flux_retries_within_seconds_waits() -> None:
    for rule in [each for each in SHIPPED.rules if each.name not in PATIENT]:
        sources = rule.match.kinds & {"GitRepository", "OCIRepository", "Bucket", "HelmRepository"}
        assert rule.hold <= 30.0
        if sources and rule.severity is Severity.WARNING:
            assert rule.hold == 15.0


def test_the_rule_of_the_seed_incident_deletes_safely_and_proves_recovery() -> None:
    rule = SHIPPED.rule("cilium-upgrade-failed")
    assert rule is not None
    spec = rule.remediation
    assert spec is not None
    assert [step.action for step in spec.steps] == ["delete-release", "reconcile"]
    assert (spec.steps[1].target, spec.steps[1].params) == ("owner", {"source": "true"})
    assert (spec.mode, spec.recovery, spec.attempts) == (Mode.AUTO, "cilium-bootstrap", 2)


def test_only_the_rule_of_the_seed_goes_further_than_a_proposal() -> None:
    modes = {rule.name: rule.remediation.mode for rule in SHIPPED.rules if rule.remediation is not None}
    assert {name for name, mode in modes.items() if mode is Mode.AUTO} == {"cilium-upgrade-failed"}
    for rule in SHIPPED.rules:
        if rule.remediation is not None and rule.name in modes and modes[rule.name] is Mode.PROPOSE:
            assert [step.action for step in rule.remediation.steps] == ["reconcile"]


def test_no_text_of_the_seed_rule_tells_a_person_to_delete_the_release() -> None:
    rule = SHIPPED.rule("cilium-upgrade-failed")
    assert rule is not None
    assert rule.next_step is not None
    told = rule.next_step.render({"ref": {"kind": "HelmRelease", "namespace": "kube-system", "name": "cilium"}})
    assert told.startswith("Never delete this HelmRelease while it is not suspended")
    assert "kubectl delete" not in told
    assert "flux suspend helmrelease cilium -n kube-system" in told


@pytest.mark.parametrize(
    ("check", "probe", "within"),
    [("S4", "absent", 15.0), ("S6", "workload", 20.0), ("S5", "condition", 30.0), ("S10", "dependents", 120.0)],
)
def test_the_recovery_contract_has_the_times_of_the_runbook(check: str, probe: str, within: float) -> None:
    found = next(each for each in SHIPPED.procedures["cilium-bootstrap"].checks if each.id == check)
    assert (found.probe, found.within, found.optional) == (probe, within, False)


def test_what_not_every_cluster_has_or_shows_is_optional() -> None:
    optional = {each.id for each in SHIPPED.procedures["cilium-bootstrap"].checks if each.optional}
    assert optional == {"S6b", "S11", "S12", "S13", "S18"}


def test_the_contract_of_another_cluster_is_a_matter_of_parameters() -> None:
    bound = SHIPPED.procedures["cilium-bootstrap"].bind({"kustomization": "network", "operators": "2"})
    texts = {each.id: each.text for each in bound.checks}
    assert texts["S5"] == "Kustomization flux-system/network is Ready"
    assert texts["S6b"] == "Deployment kube-system/cilium-operator has at least 2 ready"


def test_every_proposed_fix_has_a_proof() -> None:
    for rule in SHIPPED.rules:
        if rule.remediation is not None:
            assert rule.remediation.recovery in SHIPPED.procedures


@pytest.mark.parametrize(
    ("rule", "message", "word"),
    [
        (
            "apply-refused",
            "Deployment/shop/immutable-store dry-run failed: expected numeric",
            "can't be",
        ),
        ("apply-refused", "ValidatingAdmissionPolicy/names dry-run failed: .spec.rules: expected list", "a policy"),
        ("apply-refused", 'ConfigMap/a/namespaces dry-run failed: secrets "x" not found', "namespace does not"),
        ("git-fetch-failed", "unable to list remote for 'https://git.example/Unauthorized.git': EOF", "credentials"),
    ],
)
def test_a_word_in_a_name_does_not_change_what_is_told(rule: str, message: str, word: str) -> None:
    found = SHIPPED.rule(rule)
    assert found is not None
    told = {"ready": {"status": "False", "reason": "x", "message": message}}
    named = {"ref": {"kind": "x", "namespace": "a", "name": "b"}, "culprit": "c"}
    assert word not in found.summary.render({**told, **named})
