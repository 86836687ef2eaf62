"""A sample of random clusters on every run, and what another watcher of the same story must conclude from it."""

from typing import Any

import pytest

from daemon.cli.rules import load_rules
from daemon.replay.replay import replay
from tests.random_clusters.disturb import DISTURBANCES, disturbed
from tests.random_clusters.story import FAULTS, tell
from tests.random_clusters.verdict import verdict

RULES = load_rules(())
SEEDS = range(5000, 5040)


def told(lines: list[str]) -> list[tuple[str, str, list[str]]]:
    """Return what stands at the end: each incident that a person was told of, with its root and members."""
    report: dict[str, Any] = replay(lines, RULES)
    return sorted(
        (
            f"{each['root']['kind']}/{each['root']['namespace']}/{each['root']['name']}",
            each["state"],
            sorted(f"{member['kind']}/{member['namespace']}/{member['name']}" for member in each["members"]),
        )
        for each in report["incidents"]
        if each["severity"] != "info"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_root_of_a_random_failure_is_found_and_nobody_else_is_blamed(seed):
    assert verdict(tell(seed), RULES) == []


@pytest.mark.parametrize("how", sorted(DISTURBANCES))
@pytest.mark.parametrize("seed", SEEDS[::4])
def test_a_watcher_that_sees_less_or_more_or_in_another_order_tells_the_same_incidents(seed, how):
    story = tell(seed)
    assert told(disturbed(story.lines, how, seed)) == told(story.lines)


def test_the_same_seed_tells_the_same_story():
    assert tell(7).lines == tell(7).lines


def test_every_kind_of_fault_comes_to_show():
    shown = {truth.fault for seed in range(5100, 5220) for truth in tell(seed).truths}
    assert shown >= set(FAULTS)


def test_a_wrong_verdict_is_noticed():
    story = next(story for story in map(tell, SEEDS) if story.truths)
    story.truths = []
    story.optional = frozenset()
    assert "nobody broke" in verdict(story, RULES)[0]
