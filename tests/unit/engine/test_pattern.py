"""Rules that ask what happened over time: so often, not for so long, one after the other."""

from datetime import timedelta

import pytest

from daemon.engine.match import trace
from daemon.engine.step import adopt
from daemon.model.findings import Clause, FindingState
from daemon.model.objects import Condition, ObjectState
from daemon.model.refs import Fingerprint
from daemon.model.signals import EventSeen, Synced, Tick
from daemon.rules.compile import compile_rules
from tests.builders import Cluster, Story, failing, progressing, ready, ref

A = ref("Kustomization", "a")
HEAD = (
    "apiVersion: fluxmedic.dev/v1\nkind: Rule\nmetadata: {name: over-time}\nspec:\n  severity: warning\n  summary: x\n"
)
OFTEN = HEAD + "  match: {kind: Kustomization, health: Failed}\n  count: {at_least: 3, within: 10m}\n"
WARNINGS = (
    HEAD + "  match: {kind: Kustomization}\n  when: event.type == 'Warning'\n  count: {at_least: 3, within: 10m}\n"
)
QUIET = HEAD + "  match: {kind: Kustomization, health: Current}\n  absent_for: 10m\n"
NO_NEWS = HEAD + "  match: {kind: Kustomization}\n  when: event.reason == 'NewArtifact'\n  absent_for: 10m\n"
STEPS = HEAD + (
    "  match: {kind: Kustomization}\n"
    "  sequence:\n"
    "    - {when: ready.reason == 'Suspicious'}\n"
    "    - {when: health == 'Failed', within: 5m}\n"
)


def fires(story: Story) -> bool:
    found = story.world.findings.get(Fingerprint("over-time", A))
    return found is not None and found.state is FindingState.FIRING


def clauses(story: Story) -> tuple[Clause, ...]:
    rule, known = story.world.rules.rule("over-time"), story.world.known(A)
    assert rule is not None
    assert known is not None
    return trace(story.world, known, rule).clauses


def clause(story: Story) -> Clause:
    return clauses(story)[-1]


def event(story: Story, *, reason: str = "Oops", uid: str = "e", count: int = 1, warning: bool = True) -> EventSeen:
    return EventSeen(story.at, A, reason, "text", warning=warning, uid=uid, count=count)


def flap(story: Story, cluster: Cluster, times: int, pause: float = 30) -> Story:
    for _ in range(times):
        story.see(cluster.state("Kustomization", "a", failing())).wait(pause)
        story.see(cluster.state("Kustomization", "a", ready())).wait(pause)
    return story


def test_a_test_that_becomes_true_often_enough_fires():
    cluster, story = Cluster(), Story(OFTEN)
    assert not fires(flap(story, cluster, 2))
    story.see(cluster.state("Kustomization", "a", failing()))
    assert fires(story)


def test_what_stays_true_counts_once():
    cluster, story = Cluster(), Story(OFTEN)
    for number in range(5):
        story.see(cluster.state("Kustomization", "a", failing(message=f"try {number}"))).wait(10)
        story.see(cluster.state("Kustomization", "a", progressing())).wait(10)
    assert not fires(story)


def test_moments_leave_the_window_one_by_one():
    cluster, story = Cluster(), Story(OFTEN)
    flap(story, cluster, 3)
    assert fires(story)
    assert fires(story.wait(600 - 181))
    assert not fires(story.wait(60))


def test_moments_too_far_apart_never_fire():
    assert not fires(flap(Story(OFTEN), Cluster(), 6, pause=200))


def test_why_says_how_often_it_was_seen():
    story = flap(Story(OFTEN), Cluster(), 2)
    assert clause(story) == Clause("count", "at least 3 times within 600 s", "2 times", held=False)


def test_why_says_what_a_pattern_wants_of_what_never_showed_it():
    story = Story(OFTEN).see(Cluster().state("Kustomization", "a", ready()))
    assert clause(story) == Clause("count", "at least 3 times within 600 s", "0 times", held=False)


def test_events_count_once_each():
    story = Story(WARNINGS).see(Cluster().state("Kustomization", "a", ready()))
    story.give(event(story, uid="1")).give(event(story, uid="1")).wait(1).give(event(story, uid="2", reason="Other"))
    assert not fires(story)
    assert fires(story.give(event(story, uid="3", reason="Third")))


def test_an_event_that_the_api_server_folded_counts_as_often_as_it_happened():
    story = Story(WARNINGS).see(Cluster().state("Kustomization", "a", ready()))
    story.give(event(story, count=2))
    assert not fires(story)
    assert fires(story.give(event(story, count=3)))


def test_an_event_that_does_not_fit_does_not_count():
    story = Story(WARNINGS).see(Cluster().state("Kustomization", "a", ready()))
    assert not fires(story.give(*(event(story, uid=str(number), warning=False) for number in range(5))))


def test_a_webhook_of_an_event_that_was_seen_counts_nothing_more():
    story = Story(WARNINGS).see(Cluster().state("Kustomization", "a", ready()))
    assert not fires(story.give(*(event(story, uid="") for _ in range(5))))


def test_an_event_is_not_counted_again_when_its_object_changes():
    cluster, story = Cluster(), Story(WARNINGS)
    story.see(cluster.state("Kustomization", "a", ready())).give(event(story))
    for number in range(5):
        story.see(cluster.state("Kustomization", "a", ready(message=str(number))))
    assert not fires(story)


def test_events_of_the_first_list_are_facts_and_not_moments():
    cluster, story = Cluster(), Story(WARNINGS, expected=frozenset({"everything", "late"}))
    story.world.awake = False
    story.see(cluster.state("Kustomization", "a", ready()))
    story.give(*(event(story, uid=str(number)) for number in range(5))).give(Synced(story.at, "late"))
    assert not fires(story)


@pytest.mark.parametrize("rules", [QUIET, NO_NEWS])
def test_what_does_not_come_for_too_long_fires(rules):
    story = Story(rules).see(Cluster().state("Kustomization", "a", progressing()))
    assert not fires(story.wait(599))
    assert fires(story.wait(1))


def test_what_comes_begins_the_wait_anew():
    story = Story(NO_NEWS).see(Cluster().state("Kustomization", "a", ready())).wait(500)
    story.give(event(story, reason="NewArtifact"))
    assert not fires(story.wait(599))
    assert fires(story.wait(1))
    assert not fires(story.give(event(story, reason="NewArtifact", uid="2")))


def test_what_held_for_long_is_absent_only_from_when_it_ceased():
    cluster, story = Cluster(), Story(QUIET)
    story.see(cluster.state("Kustomization", "a", ready())).wait(3600)
    story.see(cluster.state("Kustomization", "a", failing())).wait(599)
    assert not fires(story)
    assert fires(story.wait(1))


def test_why_not_shows_how_what_is_counted_stands_now():
    cluster, story = Cluster(), Story(OFTEN)
    story.see(cluster.state("Kustomization", "a", ready()))
    assert [(each.name, each.held) for each in clauses(story)] == [("kind", True), ("health", False), ("count", False)]
    story = Story(WARNINGS).see(cluster.state("Kustomization", "a", ready()))
    assert [(each.name, each.held) for each in clauses(story)] == [("kind", True), ("when", False), ("count", False)]


def test_why_not_shows_the_step_that_is_waited_for_and_what_is_wrong_with_it():
    cluster, story = Cluster(), Story(STEPS)
    story.see(cluster.state("Kustomization", "a", failing("Suspicious")))
    assert [(each.name, each.held) for each in clauses(story)][1:] == [("step 2", True), ("sequence", False)]
    wrong = STEPS.replace("ready.reason == 'Suspicious'", "object.spec.gone == 1")
    story = Story(wrong).see(cluster.state("Kustomization", "a", ready()))
    assert [(each.name, each.held) for each in clauses(story)][1:] == [("step 1", None), ("sequence", False)]


def test_why_shows_of_a_complete_pattern_what_is_counted_and_not_how_it_stands():
    cluster, story = Cluster(), Story(OFTEN)
    flap(story, cluster, 3, 10)
    assert [(each.name, each.held) for each in clauses(story)] == [("kind", True), ("count", True)]


def test_a_rule_that_asks_how_long_it_fails_is_asked_when_that_time_is_over():
    asked = (
        HEAD + "  match: {kind: Kustomization}\n  when: failing_for > duration('10m') || duration('1h') < failing_for\n"
    )
    story = Story(asked).see(Cluster().state("Kustomization", "a", failing()))
    assert not fires(story.wait(600))
    assert fires(story.wait(0.01))


def test_what_was_overdue_before_and_came_is_waited_for_again():
    cluster, story = Cluster(), Story(QUIET)
    story.see(cluster.state("Kustomization", "a", failing())).wait(601)
    assert fires(story)
    story.see(cluster.state("Kustomization", "a", ready()))
    assert not fires(story.wait(3600))
    story.see(cluster.state("Kustomization", "a", failing()))
    assert clause(story).seen == "0 s"
    assert fires(story.wait(600))


def test_steps_in_their_order_fire():
    cluster, story = Cluster(), Story(STEPS)
    story.see(cluster.state("Kustomization", "a", ready("Suspicious"))).wait(60)
    assert clause(story) == Clause("sequence", "all 2 steps in order", "1 of them", held=False)
    assert fires(story.see(cluster.state("Kustomization", "a", failing())))


def test_a_complete_sequence_is_told_for_as_long_as_its_last_step_may_take():
    cluster, story = Cluster(), Story(STEPS)
    story.see(cluster.state("Kustomization", "a", ready("Suspicious"))).wait(60)
    story.see(cluster.state("Kustomization", "a", failing()))
    assert fires(story.wait(299))
    assert not fires(story.wait(1))


def test_a_first_step_that_is_still_true_does_not_begin_again():
    cluster, story = Cluster(), Story(STEPS)
    story.see(cluster.state("Kustomization", "a", ready("Suspicious"))).wait(301)
    assert clause(story).seen == "0 of them"
    story.see(cluster.state("Kustomization", "a", ready()), cluster.state("Kustomization", "a", ready("Suspicious")))
    assert clause(story).seen == "1 of them"


def test_steps_in_another_order_do_not_fire():
    cluster, story = Cluster(), Story(STEPS)
    story.see(cluster.state("Kustomization", "a", failing())).wait(60)
    story.see(cluster.state("Kustomization", "a", ready("Suspicious"))).wait(60)
    assert not fires(story)


def test_a_step_that_comes_too_late_does_not_fire():
    cluster, story = Cluster(), Story(STEPS)
    story.see(cluster.state("Kustomization", "a", ready("Suspicious"))).wait(301)
    assert not fires(story.see(cluster.state("Kustomization", "a", failing())))


def test_one_signal_is_one_step():
    cluster = Cluster()
    story = Story(STEPS.replace("ready.reason == 'Suspicious'", "health == 'Failed'"))
    story.see(cluster.state("Kustomization", "a", failing()))
    assert not fires(story)
    assert fires(story.see(cluster.state("Kustomization", "a", failing(message="again"))))


def test_a_pattern_goes_with_its_object():
    story = flap(Story(OFTEN), Cluster(), 2).lose(A)
    assert story.world.progress == {}


def test_a_pattern_goes_with_its_rule():
    story = flap(Story(OFTEN), Cluster(), 2)
    adopt(story.world, compile_rules([("rules.yaml", OFTEN)]), story.at)
    assert story.world.progress[A]["over-time"].moments
    adopt(story.world, compile_rules([("rules.yaml", OFTEN.replace("over-time", "other"))]), story.at)
    assert "over-time" not in story.world.progress.get(A, {})
    adopt(story.world, compile_rules([("rules.yaml", OFTEN + "  enabled: false\n")]), story.at)
    assert story.world.progress == {}


def test_a_rule_sees_what_an_object_was_before():
    rules = (
        HEAD
        + "  match: {kind: Kustomization}\n  when: old.?spec.path.orValue('') == './a' && object.spec.path == './b'\n"
    )
    cluster, story = Cluster(), Story(rules)
    texts = ('{"spec": {"path": "./a"}}', '{"spec": {"path": "./b"}}')
    story.see(cluster.state("Kustomization", "a", ready(), text=texts[0]))
    assert not fires(story)
    assert fires(story.see(cluster.state("Kustomization", "a", ready(), text=texts[1])))


def test_what_no_rule_compares_is_not_remembered():
    cluster, story = Cluster(), Story(OFTEN)
    story.see(*(cluster.state("Kustomization", "a", ready(), text='{"spec": {}}') for _ in range(2)))
    assert story.world.known(A).before == ""


GRACE = HEAD + "  match: {kind: Kustomization, health: Failed}\n  for: 10s\n  grace: 60s\n"


def revised(cluster: Cluster, revision: str) -> ObjectState:
    return cluster.state("GitRepository", "repo", ready(), artifact_revision=revision)


def test_a_rule_with_a_grace_waits_while_a_new_revision_rolls_through():
    cluster, story = Cluster(), Story(GRACE)
    source = ref("GitRepository", "repo")
    story.see(revised(cluster, "main@sha1:1")).wait(60).see(revised(cluster, "main@sha1:2"))
    story.see(cluster.state("Kustomization", "a", failing(), source=source))
    assert not fires(story.wait(59))
    assert fires(story.wait(1))


def test_a_grace_that_begins_anew_keeps_a_waiting_rule_quiet():
    cluster, story = Cluster(), Story(GRACE)
    source = ref("GitRepository", "repo")
    story.see(revised(cluster, "main@sha1:1"), cluster.state("Kustomization", "a", failing(), source=source)).wait(5)
    story.see(revised(cluster, "main@sha1:2"))
    assert not fires(story.wait(59))
    assert fires(story.wait(1))


def test_without_a_new_revision_a_grace_changes_nothing():
    cluster, story = Cluster(), Story(GRACE)
    source = ref("GitRepository", "repo")
    story.see(revised(cluster, "main@sha1:1"), cluster.state("Kustomization", "a", failing(), source=source))
    assert not fires(story.wait(9))
    assert fires(story.wait(1))


def test_a_workload_has_the_grace_of_the_kustomization_that_applies_it():
    cluster, story = Cluster(), Story(GRACE.replace("kind: Kustomization", "kind: Deployment"))
    workload = ref("Deployment", "web")
    story.see(
        revised(cluster, "main@sha1:1"),
        cluster.state("Kustomization", "a", ready(), source=ref("GitRepository", "repo"), contains=(workload,)),
    )
    story.wait(1).see(revised(cluster, "main@sha1:2"))
    stuck = Condition("Progressing", "False", "ProgressDeadlineExceeded")
    story.see(cluster.state("Deployment", "web", stuck))
    found = Fingerprint("over-time", workload)
    assert story.wait(59).world.findings[found].state is FindingState.PENDING
    assert story.wait(1).world.findings[found].state is FindingState.FIRING


def test_why_says_how_long_a_finding_has_held():
    story = Story(GRACE).see(Cluster().state("Kustomization", "a", failing())).wait(4)
    assert clause(story.give(Tick(story.at))) == Clause("for", "10 s", "4 s", held=False)
    assert clause(story.wait(6)) == Clause("for", "10 s", "10 s", held=True)


def test_why_says_of_what_is_over_how_long_it_is_kept():
    cluster = Cluster()
    story = Story(HEAD + "  match: {kind: Kustomization, health: Failed}\n  keep_firing_for: 10m\n")
    story.see(cluster.state("Kustomization", "a", failing())).wait(5)
    story.see(cluster.state("Kustomization", "a", ready())).wait(30).give(Tick(story.at))
    assert [(each.name, each.held) for each in clauses(story)] == [
        ("kind", True),
        ("health", False),
        ("keep_firing_for", True),
    ]
    assert clause(story).seen == "30 s since it last held: it is told on"


def test_time_is_never_asked_about_twice_for_one_wait():
    story = Story(QUIET).see(Cluster().state("Kustomization", "a", progressing()))
    for number in range(20):
        story.see(Cluster().state("Kustomization", "a", progressing(str(number)))).wait(1)
    assert len([entry for entry in story.world.heap if entry[2] == A]) == 1
    assert story.at - timedelta(seconds=20) < story.world.heap[0][0]


def test_an_event_that_a_webhook_repeats_is_counted_once():
    cluster, story = Cluster(), Story(WARNINGS)
    story.see(cluster.state("Kustomization", "a", ready()))
    for count in (1, 2):
        webhook = EventSeen(story.at, A, "Oops", "text", warning=True, origin="webhook")
        story.give(event(story, count=count), webhook).wait(10)
    assert clause(story).seen == "2 times"
