"""Who is told what and when: once, in one place, and not while somebody asked for quiet."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.model.effects import Send
from daemon.model.incidents import State
from daemon.model.notices import Silence
from daemon.model.refs import Target
from daemon.model.signals import Command
from tests.builders import RULES, T0, Cluster, Story, failing, needs, ready, ref, waiting

DOCUMENT = "\n---\napiVersion: fluxmedic.dev/v1\n"
BOTH = (Target("slack"), Target("webhook"))


def broken(rules: str = RULES, seconds: float = 16, **limits: Any) -> Story:
    return Story(rules, **limits).see(Cluster().state("Kustomization", "a", failing())).wait(seconds)


def targets(story: Story) -> list[str]:
    return [effect.notification.target for effect in story.effects if isinstance(effect, Send)]


def test_the_first_message_waits_for_the_root():
    assert broken(seconds=14).reasons == []
    assert broken(seconds=16).reasons == ["opened"]


def test_without_a_wait_it_is_told_at_once():
    assert broken(seconds=5, group_wait=0.0).reasons == ["opened"]


def test_an_incident_that_ends_within_its_wait_is_never_told():
    cluster = Cluster()
    story = Story(resolve_after=0.0).see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "a", ready())).wait(60)
    assert story.case.incident.state is State.RESOLVED
    assert story.reasons == []


def test_without_routes_every_target_is_told():
    assert targets(broken(targets=BOTH)) == ["slack", "webhook"]


def test_the_first_route_that_fits_answers():
    routes = (
        DOCUMENT + "kind: Route\nmetadata: {name: a}\nspec: {namespaces: 'other*', targets: [webhook]}\n"
        + DOCUMENT + "kind: Route\nmetadata: {name: b}\nspec: {kinds: Kustomization, targets: [webhook]}\n"
        + DOCUMENT + "kind: Route\nmetadata: {name: c}\nspec: {targets: [slack]}\n"
    )  # fmt: skip
    assert targets(broken(RULES + routes, targets=BOTH)) == ["webhook"]


def test_a_route_may_let_later_ones_answer_too():
    routes = (
        DOCUMENT + "kind: Route\nmetadata: {name: a}\nspec: {targets: [webhook], continue: true}\n"
        + DOCUMENT + "kind: Route\nmetadata: {name: c}\nspec: {targets: [slack, webhook]}\n"
    )  # fmt: skip
    assert sorted(targets(broken(RULES + routes, targets=BOTH))) == ["slack", "webhook"]


def test_a_route_to_nowhere_still_tells_somebody():
    routes = DOCUMENT + "kind: Route\nmetadata: {name: a}\nspec: {targets: [pager]}\n"
    assert targets(broken(RULES + routes, targets=BOTH)) == ["slack", "webhook"]


def silence(story: Story, matcher: tuple[tuple[str, str], ...], **more: Any) -> Silence:
    return Silence("s", matcher, story.at + timedelta(minutes=5), "maintenance", "ada", **more)


def test_a_silenced_incident_opens_and_is_not_told():
    story = Story()
    story.world.silences["s"] = silence(story, (("namespace", "ap*"), ("kind", "Kustomization")))
    story.see(Cluster().state("Kustomization", "a", failing())).wait(60)
    assert story.case.incident.state is State.OPEN
    assert story.reasons == []


def test_a_silence_for_something_else_or_of_tomorrow_mutes_nothing():
    for matcher, more in (((("name", "b"),), {}), ((("name", "a"),), {"starts_at": T0 + timedelta(hours=1)})):
        story = Story()
        story.world.silences["s"] = silence(story, matcher, **more)
        story.see(Cluster().state("Kustomization", "a", failing())).wait(16)
        assert story.reasons == ["opened"]


def test_a_silence_mutes_later_messages_too():
    story = broken()
    story.world.silences["s"] = silence(story, (("name", "a"),))
    story.give(Command(story.at, "c", "acknowledge", "ada", story.case.incident.id))
    assert story.reasons == ["opened"]


def test_a_silence_of_a_rule_file_counts_like_a_persons():
    rule = DOCUMENT + (
        "kind: Silence\nmetadata: {name: s}\nspec:\n  match: {name: a}\n  starts: 2026-02-28T00:00:00Z\n"
        "  ends: 2026-03-05T00:00:00Z\n  comment: rebuild\n  by: ada\n"
    )
    assert broken(RULES + rule).reasons == []


def test_in_a_quiet_stretch_of_the_week_nobody_is_told():
    window = (
        DOCUMENT + "kind: Window\nmetadata: {name: w}\nspec: {days: sun, from: '02:00', to: '05:00', quiet: true}\n"
    )
    assert broken(RULES + window).reasons == []


def test_an_incident_that_stays_open_is_told_again_each_time_twice_as_late():
    story = broken(seconds=3600 * 13)
    assert story.reasons == ["opened", "repeated", "repeated"]


def test_an_acknowledged_incident_is_not_told_again():
    story = broken()
    story.give(Command(story.at, "c", "acknowledge", "ada", story.case.incident.id))
    story.wait(3600 * 13)
    assert story.reasons == ["opened", "acknowledged"]


def test_what_only_edits_the_message_waits_until_it_may():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(16)
    for name in "bcd":
        needed = needs(ref("Kustomization", "a"))
        story.see(cluster.state("Kustomization", name, waiting("apps/a"), depends_on=needed))
        story.wait(1)
    assert story.reasons == ["opened"]
    assert story.wait(5).reasons == ["opened", "joined"]


def test_an_incident_of_severity_info_is_never_told():
    story = broken(RULES.replace("severity: critical", "severity: info"), 3600)
    assert story.case.incident.state is State.OPEN
    story.give(Command(story.at, "c", "acknowledge", "ada", story.case.incident.id))
    assert story.reasons == []


LABELLED = RULES.replace("  for: 5s\n", "  for: 5s\n  labels: {team: net}\n")


def test_a_rule_may_name_the_targets_of_its_own_incidents():
    route = DOCUMENT + "kind: Route\nmetadata: {name: a}\nspec: {targets: [slack]}\n"
    rules = RULES.replace("  for: 5s\n", "  for: 5s\n  route: webhook\n") + route
    assert targets(broken(rules, targets=BOTH)) == ["webhook"]


def test_a_rule_that_names_an_unknown_target_leaves_it_to_the_routes():
    route = DOCUMENT + "kind: Route\nmetadata: {name: a}\nspec: {targets: [slack]}\n"
    rules = RULES.replace("  for: 5s\n", "  for: 5s\n  route: nowhere\n") + route
    assert targets(broken(rules, targets=BOTH)) == ["slack"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("rules: fail*", ["webhook"]),
        ("rules: [other, failed]", ["webhook"]),
        ("rules: other", ["slack"]),
        ("labels: {team: n*}", ["webhook"]),
        ("labels: {team: db}", ["slack"]),
        ("labels: {area: n*}", ["slack"]),
    ],
)
def test_a_route_may_ask_for_rules_and_their_labels(asked: str, expected: list[str]):
    routes = (
        DOCUMENT + f"kind: Route\nmetadata: {{name: a}}\nspec: {{{asked}, targets: [webhook]}}\n"
        + DOCUMENT + "kind: Route\nmetadata: {name: b}\nspec: {targets: [slack]}\n"
    )  # fmt: skip
    assert targets(broken(LABELLED + routes, targets=BOTH)) == expected
