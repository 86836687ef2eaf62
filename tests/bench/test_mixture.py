"""The mix of the benchmark has everything that the rule language has, and every rule of it does what it says."""

from itertools import islice

import pytest
import yaml

from daemon.engine.step import adopt, step
from daemon.engine.world import Limits, World
from daemon.model.findings import FindingState
from daemon.model.incidents import State
from daemon.model.signals import ObjectChanged, Synced
from daemon.replay.examples import run_examples
from daemon.rules import schema, scope
from tests.bench.matter import CLUSTER, T0
from tests.bench.mixture import RULES, day, estate, files, mixed


@pytest.fixture(scope="module")
def ruleset():
    return mixed()


def keys_of(value) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(keys_of(each) for each in value.values()))
    return set().union(*(keys_of(each) for each in value)) if isinstance(value, list) else set()


ONLY_IN_EXAMPLES = {"others", "raw", "gone", "unchanged", "deleting", "annotations"}
"""What an example shows beside its own object costs a running daemon nothing."""


def test_every_key_of_the_rule_language_occurs():
    found = set().union(*(keys_of(document) for _, text in files() for document in yaml.safe_load_all(text)))
    assert schema.keys() - found - ONLY_IN_EXAMPLES == set()


def test_every_fact_that_an_expression_may_read_is_read(ruleset):
    used = frozenset().union(*(test.uses for rule in ruleset.rules for test in rule.tests))
    assert used == scope.NAMES - scope.TEMPLATE_ONLY


def test_there_are_fifty_rules_for_kustomizations_and_nothing_is_wrong_with_them(ruleset):
    assert len(ruleset.rules) == RULES
    assert all("Kustomization" in rule.match.kinds for rule in ruleset.rules)
    assert ruleset.problems == ()


def test_every_example_passes(ruleset):
    results = run_examples(ruleset)
    assert [result for result in results if not result.passed] == []
    assert len(results) == 2 * RULES


def test_any_number_of_rules_can_be_had():
    assert [len(mixed(number).rules) for number in (30, 120)] == [30, 120]


def test_the_day_fails_and_recovers_and_is_quiet_else(ruleset):
    world, states = World(limits=Limits(cluster=CLUSTER, expected=frozenset({"all"}))), estate(100)
    adopt(world, ruleset, T0)
    for state in states:
        step(world, ObjectChanged(T0, state))
    step(world, Synced(T0, "all"))
    assert not world.findings
    fired: set[str] = set()
    for signal in islice(day(states), 1000):
        step(world, signal)
        fired |= {finding.ref.name for finding in world.findings.values() if finding.state is FindingState.FIRING}
    assert fired == {"app-00000", "app-00008", "app-00050", "app-00058"}
    assert {case.incident.state for case in world.cases.values()} <= {State.OPEN, State.RECOVERING, State.RESOLVED}
    assert not world.faults
