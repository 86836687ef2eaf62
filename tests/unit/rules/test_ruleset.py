"""Matching and its explanation, the index by kind, windows and procedures."""

from datetime import UTC, datetime, timedelta

import pytest

from daemon.model.errors import ConfigError
from daemon.model.findings import Clause, Severity
from daemon.model.objects import Condition, Health, ObjectState
from daemon.model.refs import ObjectRef
from daemon.rules.expression import compile_expression
from daemon.rules.procedure import CheckSpec, Procedure
from daemon.rules.ruleset import (
    EMPTY,
    Match,
    Rule,
    RuleSet,
    Window,
    reasons_of,
)
from daemon.rules.template import compile_template

CILIUM = ObjectRef("c", "helm.toolkit.fluxcd.io", "HelmRelease", "kube-system", "cilium")
FAILED = ObjectState(
    CILIUM,
    labels={"team": "net"},
    conditions=(
        Condition("Stalled", "True", "RetriesExceeded"),
        Condition("Ready", "False", "UpgradeFailed"),
        Condition("Healthy", "False", "Other"),
    ),
)
MATCH = Match(
    frozenset({"HelmRelease"}),
    "kube-*",
    "cil?um",
    {"team": "n*"},
    frozenset({Health.FAILED}),
    frozenset({"UpgradeFailed", "InstallFailed"}),
)


def rule(name: str, match: Match, *, when: str = "", enabled: bool = True) -> Rule:
    return Rule(
        name,
        match,
        Severity.WARNING,
        compile_template("x"),
        compile_expression(when) if when else None,
        enabled=enabled,
    )


def test_a_rule_that_fits_says_why_clause_by_clause() -> None:
    assert MATCH.matches(FAILED, Health.FAILED)
    assert MATCH.clauses(FAILED, Health.FAILED) == (
        Clause("kind", "HelmRelease", "HelmRelease", held=True),
        Clause("namespace", "kube-*", "kube-system", held=True),
        Clause("name", "cil?um", "cilium", held=True),
        Clause("label team", "n*", "net", held=True),
        Clause("health", "Failed", "Failed", held=True),
        Clause("reason", "InstallFailed or UpgradeFailed", "RetriesExceeded or UpgradeFailed", held=True),
    )


def test_a_match_that_asks_nothing_more_than_the_kind_takes_every_object_of_it() -> None:
    assert Match(frozenset({"HelmRelease"})).matches(ObjectState(CILIUM), Health.UNKNOWN)


@pytest.mark.parametrize(
    ("match", "stopped", "seen"),
    [
        (Match(frozenset({"Kustomization"})), "kind", "HelmRelease"),
        (Match(frozenset({"HelmRelease"}), namespace="flux-*"), "namespace", "kube-system"),
        (Match(frozenset({"HelmRelease"}), name="CILIUM"), "name", "cilium"),
        (Match(frozenset({"HelmRelease"}), health=frozenset({Health.BLOCKED})), "health", "Failed"),
        (Match(frozenset({"HelmRelease"}), reasons=frozenset({"Other"})), "reason", "RetriesExceeded or UpgradeFailed"),
        (Match(frozenset({"HelmRelease"}), labels={"tier": "*?"}), "label tier", "none"),
    ],
)
def test_a_rule_that_does_not_fit_says_where_it_stopped_and_what_it_saw(match: Match, stopped: str, seen: str) -> None:
    assert not match.matches(FAILED, Health.FAILED)
    last = match.clauses(FAILED, Health.FAILED)[-1]
    assert (last.name, last.seen, last.held) == (stopped, seen, False)


def test_whom_a_match_is_about_does_not_depend_on_how_it_stands() -> None:
    match = Match(frozenset({"HelmRelease"}), health=frozenset({Health.BLOCKED}))
    assert match.covers(FAILED)
    assert not Match(frozenset({"Kustomization"})).covers(FAILED)


def test_reasons_are_those_of_what_is_not_well() -> None:
    assert reasons_of(FAILED) == {"UpgradeFailed", "RetriesExceeded"}
    well = ObjectState(
        CILIUM, conditions=(Condition("Ready", "True", "UpgradeSucceeded"), Condition("Stalled", "False", "X"))
    )
    assert reasons_of(well) == frozenset()


def test_rules_are_found_by_kind_the_most_specific_first_and_disabled_ones_never() -> None:
    both = frozenset({"HelmRelease", "Kustomization"})
    one = frozenset({"HelmRelease"})
    rules = (
        rule("d-wide", Match(both)),
        rule("c-one", Match(one)),
        rule("b-asks", Match(one), when="health == 'Failed'"),
        rule("a-reason", Match(one, reasons=frozenset({"UpgradeFailed"}))),
        rule("glob", Match(one, name="cil*")),
        rule("named", Match(one, "kube-system", "cilium")),
        rule("off", Match(one), enabled=False),
    )
    ruleset = RuleSet(rules)
    found = [each.name for each in ruleset.for_object("HelmRelease", Health.FAILED)]
    assert found == ["named", "glob", "a-reason", "b-asks", "c-one", "d-wide"]
    assert [each.name for each in ruleset.for_object("Kustomization", Health.FAILED)] == ["d-wide"]
    assert ruleset.for_object("Bucket", Health.FAILED) == ()
    assert min(rules, key=lambda each: each.rank).name == "named"


def test_a_rule_is_found_by_name_even_when_disabled() -> None:
    ruleset = RuleSet((rule("off", MATCH, enabled=False),))
    found = ruleset.rule("off")
    assert found is not None
    assert not found.enabled
    assert ruleset.rule("none") is None
    assert EMPTY.rule("off") is None


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a moment of the week that begins on Monday, 2026-03-02."""
    return datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        (at(0, 21, 59), False),
        (at(0, 22), True),
        (at(1, 5, 59), True),
        (at(1, 6), False),
        (at(1, 22), False),
        (at(0, 3), False),
        (at(4, 23), True),
        (at(5, 2), True),
        (at(5, 23), False),
    ],
)
def test_a_window_may_run_past_midnight_and_belongs_to_the_day_on_which_it_begins(
    moment: datetime, inside: bool
) -> None:
    window = Window("nights", frozenset({0, 4}), 22 * 60, 8 * 60, quiet=True)
    assert window.contains(moment) is inside


def test_a_window_that_begins_on_sunday_ends_on_monday() -> None:
    window = Window("x", frozenset({6}), 23 * 60, 120, quiet=True)
    assert window.contains(at(7, 0, 30))
    assert not window.contains(at(6, 0, 30))


def test_a_window_is_read_at_its_own_offset() -> None:
    window = Window("x", frozenset({1}), 0, 60, offset=120, freeze=True)
    assert window.contains(at(0, 22, 30))
    assert not window.contains(at(1, 0, 30))


def test_a_window_may_be_about_some_namespaces_only() -> None:
    window = Window("x", frozenset(range(7)), 0, 24 * 60, quiet=True, namespaces="team-*")
    assert window.contains(at(0, 1), "team-a")
    assert not window.contains(at(0, 1), "kube-system")


PATTERN = (
    CheckSpec(
        "S9",
        "condition",
        {"kind": "Kustomization", "namespace": "a", "name": "cluster-${cluster}"},
        text="${cluster} is Ready",
    ),
)
PROCEDURE = Procedure("p", {"cluster": "infra"}, checks=PATTERN, pattern=PATTERN)


def test_a_procedure_takes_other_parameters_and_can_be_bound_again() -> None:
    bound = PROCEDURE.bind({})
    assert (bound.checks[0].params["name"], bound.checks[0].text) == ("cluster-infra", "infra is Ready")
    again = bound.bind({"cluster": "apps"})
    assert again.checks[0].params["name"] == "cluster-apps"
    assert again.parameters == {"cluster": "apps"}


def test_a_parameter_that_a_procedure_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="procedure p has no parameter 'clutser', it has: cluster"):
        PROCEDURE.bind({"clutser": "x"})
    with pytest.raises(ConfigError, match="it has: none"):
        Procedure("q").bind({"a": "b"})


def test_a_value_that_a_probe_cannot_read_is_refused_when_a_procedure_is_bound_with_it() -> None:
    params = {"kind": "DaemonSet", "namespace": "a", "name": "x", "ready": "${count}"}
    pattern = (CheckSpec("B", "workload", params), CheckSpec("C", "absent", {"kind": "DaemonSet", "name": "x"}))
    with pytest.raises(ConfigError) as caught:
        Procedure("p", {"count": "2"}, file="a.yaml", line=3, pattern=pattern).bind({"count": "lots"})
    assert [str(problem) for problem in caught.value.problems] == [
        "a.yaml:3: procedure p, check B: ready should be all or a number from 1 on, not 'lots'",
        "a.yaml:3: procedure p, check C: a DaemonSet is in a namespace: say which",
    ]


@pytest.mark.parametrize("moment", [at(0, 22), at(0, 23, 59), at(1, 3, 30)])
def test_a_window_says_when_it_ends(moment: datetime) -> None:
    window = Window("nights", frozenset({0, 4}), 22 * 60, 8 * 60, quiet=True)
    assert window.ends(moment) == at(1, 6)


def test_a_window_ends_at_its_own_offset() -> None:
    window = Window("nights", frozenset({0}), 22 * 60, 8 * 60, offset=60, quiet=True)
    assert window.ends(at(0, 21, 30)) == at(1, 5)
