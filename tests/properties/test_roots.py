"""The roots of random clusters against a brute-force oracle (tests/properties/made_up.py).

Limits: where an object is held up twice, Flux says one thing only; the answer must lie between what is said and what is
true. Whose incident a victim is in, when it has several or its own cause left another incident, is not asked.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.engine.graph import root_of, roots_of
from daemon.model.incidents import Role
from daemon.model.signals import Synced
from daemon.rules.compile import compile_rules
from tests.builders import RULES, Cluster, Story, ready
from tests.properties.made_up import RESOURCES, Thing, Truth, clusters, key_of, where

RULESET = compile_rules([("test.yaml", RULES)])
QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class Play:
    """A cluster that breaks before the World's eyes, and when each object was first seen unwell."""

    truth: Truth
    story: Story
    seen: dict[str, float]

    def incidents(self) -> dict[str, set[str]]:
        return {
            key_of(case.incident.root): {
                key_of(member.ref) for member in case.incident.members if member.role is not Role.RELATED
            }
            for case in self.story.world.open_cases()
        }


def listed(things: list[Thing]) -> Play:
    """Let everything be seen at once, at rest, in this order."""
    truth, story, cluster = Truth(things), Story(RULESET, expected=frozenset(RESOURCES)), Cluster()
    for thing in things:
        story.see(truth.state(cluster, thing.key))
    story.give(*(Synced(story.at, resource) for resource in RESOURCES)).wait(300)
    return Play(truth, story, dict.fromkeys(truth.things, 0.0))


def broken(things: list[Thing], pauses: list[float]) -> Play:
    """Let all be well first, then come to rest one after the other, in this order and with these pauses."""
    truth, story, cluster, seen = Truth(things), Story(RULESET, expected=frozenset(RESOURCES)), Cluster(), {}
    for thing in things:
        story.see(truth.state(cluster, thing.key, ready()))
    story.give(*(Synced(story.at, resource) for resource in RESOURCES)).wait(1)
    for thing, pause in zip(things, pauses, strict=False):
        story.wait(pause).see(truth.state(cluster, thing.key))
        seen[thing.key] = story.at.timestamp()
    story.wait(300)
    return Play(truth, story, seen)


SOURCE = Thing("GitRepository/g")
ORDERS = clusters().flatmap(st.permutations)
PAUSES = st.lists(st.sampled_from([0.0, 0.3, 4.0, 7.0, 40.0]), min_size=18, max_size=18)
PLAYS = st.one_of(st.builds(listed, ORDERS), st.builds(broken, ORDERS, PAUSES))


@QUICK
@given(PLAYS)
def test_the_roots_of_whatever_is_unwell_are_those_of_a_search_by_brute_force(play):
    for key in play.truth.unwell:
        roots = {key_of(root) for root in roots_of(play.story.world, where(key))}
        behind, told = play.truth.behind(key), play.truth.told(key)
        assert all(any(root in cell for cell in behind) for root in roots), (key, roots, behind)
        assert all(roots & cell for cell in told), (key, roots, told)
        assert key_of(root_of(play.story.world, where(key))) in roots


@QUICK
@given(PLAYS)
def test_whatever_is_unwell_is_in_exactly_one_open_incident(play):
    members = [key for held in play.incidents().values() for key in held]
    for key in play.truth.unwell:
        assert members.count(key) == 1, key


@QUICK
@given(PLAYS)
def test_every_incident_stands_at_a_true_root_and_every_true_root_has_one(play):
    roots = [key_of(case.incident.root) for case in play.story.world.open_cases()]
    cells = set().union(*(play.truth.behind(key) for key in play.truth.unwell))
    wanted = set().union(*(play.truth.told(key) for key in play.truth.unwell))
    assert len(roots) == len(set(roots))
    assert all(any(root in cell for cell in cells) for root in roots), (roots, cells)
    assert all(set(roots) & cell for cell in wanted), (roots, wanted)


@QUICK
@given(PLAYS)
def test_of_several_roots_the_one_that_failed_first_stands_for_all(play):
    for key in play.truth.unwell:
        roots = [key_of(root) for root in roots_of(play.story.world, where(key))]
        first = min(roots, key=lambda root: (play.seen[root], where(root)))
        assert key_of(root_of(play.story.world, where(key))) == first


@QUICK
@given(clusters(), st.data())
def test_the_order_in_which_everything_is_listed_changes_nothing(things, data):
    assert listed(data.draw(st.permutations(things))).incidents() == listed(things).incidents()


def kustomization(name: str, *needs: str, fault: str = "", **more: Any) -> Thing:
    return Thing(f"Kustomization/{name}", fault, SOURCE.key, tuple(f"Kustomization/{each}" for each in needs), **more)


@QUICK
@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True), st.sampled_from("abcdefghz"))
def test_every_member_of_a_ring_and_who_waits_for_it_is_one_incident_of_the_ring(names, victim):
    ring = [kustomization(name, names[index - 1]) for index, name in enumerate(names)]
    outside = [] if victim in names else [kustomization(victim, names[0])]
    held = listed([SOURCE, *outside, *ring]).incidents()
    assert held == {f"Kustomization/{min(names)}": {thing.key for thing in [*ring, *outside]}}


@settings(QUICK, max_examples=24)
@given(st.permutations("abcd"))
def test_a_missing_dependency_is_a_root_of_its_own(names):
    one, two, three, four = names
    things = [kustomization(one, fault="build"), kustomization(two, one, "nowhere"), kustomization(three, two)]
    held = listed([SOURCE, *things, kustomization(four, one)]).incidents()
    assert held.keys() == {f"Kustomization/{one}", f"Kustomization/{two}"}


@settings(QUICK, max_examples=24)
@given(st.permutations("abcd"), st.integers(1, 2))
def test_two_roots_are_two_incidents_even_when_they_share_their_dependents(names, shared):
    roots, victims = names[:2], names[2 : 2 + shared]
    things = [*(kustomization(name, fault="build") for name in roots), *(kustomization(v, *roots) for v in victims)]
    held = listed([SOURCE, *things]).incidents()
    assert held.keys() == {f"Kustomization/{name}" for name in roots}
    assert sum(len(each) for each in held.values()) == len(things)


@settings(QUICK, max_examples=24)
@given(st.permutations("abcd"), st.lists(st.sampled_from([0.0, 7.0, 40.0]), min_size=5, max_size=5))
def test_a_cause_that_shows_after_what_it_broke_takes_the_incident_over(names, pauses):
    below = [
        kustomization(name, holds=(f"Kustomization/{names[i + 1]}",), waits=True) for i, name in enumerate(names[:3])
    ]
    play = broken([SOURCE, *below, kustomization(names[3], fault="build")], pauses)
    assert play.incidents() == {f"Kustomization/{names[3]}": {f"Kustomization/{name}" for name in names}}


@settings(QUICK, max_examples=15)
@given(st.lists(st.integers(0, 39), min_size=40, max_size=40), st.randoms(use_true_random=False))
def test_forty_victims_of_one_root_are_one_incident(picks, chance):
    chain = [f"v{index:02}" for index in range(40)]
    needed = [chain[pick % index] if index else "z" for index, pick in enumerate(picks)]
    things = [SOURCE, kustomization("z", fault="build"), *map(kustomization, chain, needed)]
    chance.shuffle(things)
    assert listed(things).incidents() == {"Kustomization/z": {thing.key for thing in things} - {SOURCE.key}}
