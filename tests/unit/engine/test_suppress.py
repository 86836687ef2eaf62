"""Who is not told now, why, and that it is told when the quiet ends."""

from dataclasses import replace
from datetime import timedelta

from daemon.engine.suppress import inhibitor_of
from daemon.model.notices import Silence
from daemon.model.signals import Command, Restored
from tests.builders import RULES, T0, Cluster, Story, failing, ready

DOCUMENT = "\n---\napiVersion: fluxmedic.dev/v1\n"


def silence(seconds: float, **matcher: str) -> Silence:
    return Silence("s", tuple(sorted(matcher.items())), T0 + timedelta(seconds=seconds), "upgrade", "ada")


def notices(story: Story) -> list[str]:
    return [entry.text for case in story.cases for entry in case.incident.timeline if entry.kind == "notice"]


def quiet(rules: str = RULES, seconds: float = 100, **matcher: str) -> Story:
    story = Story(rules)
    story.world.silences["s"] = silence(seconds, **matcher)
    return story


def test_what_was_not_sent_stands_in_the_timeline_once():
    story = quiet(kind="Kustomization").see(Cluster().state("Kustomization", "a", failing())).wait(60)
    assert notices(story) == ["not sent (opened): silenced by ada until 2026-03-01 03:01Z: upgrade"]
    assert story.reasons == []


def test_what_is_still_open_when_a_silence_ends_is_told_then():
    story = quiet(kind="Kustomization").see(Cluster().state("Kustomization", "a", failing()))
    assert story.wait(99).reasons == []
    assert story.wait(1).reasons == ["opened"]


def test_what_is_over_when_a_silence_ends_is_never_told():
    cluster = Cluster()
    story = quiet(kind="Kustomization").see(cluster.state("Kustomization", "a", failing())).wait(20)
    story.see(cluster.state("Kustomization", "a", ready())).wait(600)
    assert story.reasons == []


def opened_before(seconds: float) -> tuple[Cluster, Story]:
    """Return a story in which an incident was told of, and a silence that begins behind it."""
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(20)
    story.world.silences["s"] = silence(20 + seconds, kind="Kustomization")
    return cluster, story


def test_the_end_of_what_was_told_before_a_silence_is_told_behind_it():
    cluster, story = opened_before(200)
    story.see(cluster.state("Kustomization", "a", ready())).wait(199)
    assert story.reasons == ["opened"]
    assert notices(story)[-1] == "not sent (resolved): silenced by ada until 2026-03-01 03:03Z: upgrade"
    assert story.wait(1).reasons == ["opened", "resolved"]
    assert story.wait(600).reasons == ["opened", "resolved"]


def test_the_end_that_was_kept_back_outlives_a_restart_and_is_told_once():
    cluster, story = opened_before(200)
    story.see(cluster.state("Kustomization", "a", ready())).wait(100)
    kept = story.case.incident
    again = Story()
    again.at = story.at
    again.give(Restored(again.at, incidents=(kept,), silences=(silence(220, kind="Kustomization"),)))
    assert again.wait(99).reasons == []
    assert again.wait(1).reasons == ["resolved"]
    assert notices(again)[-1] == "sent now (resolved): the quiet is over"
    third = Story()
    third.at = again.at
    third.give(Restored(third.at, incidents=(again.case.incident,))).wait(60)
    assert third.reasons == []


def test_however_often_it_is_looked_at_the_end_of_a_silence_is_waited_for_once():
    cluster, story = opened_before(2000)
    for number in range(50):
        story.see(cluster.state("Kustomization", "a", failing(message=f"try {number}"))).wait(1)
    ends = [when for when, _, what in story.world.heap if when == T0 + timedelta(seconds=2020)]
    assert len(ends) == 1


def test_a_shorter_silence_behind_which_another_one_goes_on_is_looked_at_and_waited_for_again():
    cluster, story = opened_before(200)
    story.world.silences["t"] = replace(silence(500, kind="Kustomization"), id="t")
    story.see(cluster.state("Kustomization", "a", ready())).wait(400)
    assert story.reasons == ["opened"]
    assert story.wait(100).reasons == ["opened", "resolved"]


def test_what_became_worse_in_a_silence_is_told_behind_it():
    cluster = Cluster()
    rules = RULES.replace("severity: critical", "severity: warning") + RULE % ("worse", "Kustomization") + WORSE
    story = Story(rules).see(cluster.state("Kustomization", "a", failing())).wait(20)
    story.world.silences["s"] = silence(220, kind="Kustomization")
    story.see(cluster.state("Kustomization", "a", failing("Worse"))).wait(199)
    assert story.reasons == ["opened"]
    assert story.wait(1).reasons == ["opened", "escalated"]


def test_what_failed_again_meanwhile_is_not_told_to_be_over():
    cluster, story = opened_before(200)
    story.see(cluster.state("Kustomization", "a", ready())).wait(100)
    story.see(cluster.state("Kustomization", "a", failing())).wait(120)
    assert "resolved" not in story.reasons


def test_who_ends_a_silence_hears_what_ended_in_it():
    cluster, story = opened_before(2000)
    story.see(cluster.state("Kustomization", "a", ready())).wait(100)
    story.give(Command(story.at, "c", "expire", "ada", "s")).wait(1)
    assert story.reasons == ["opened", "resolved"]


def test_a_silence_may_name_a_rule():
    assert quiet(rule="fail*").see(Cluster().state("Kustomization", "a", failing())).wait(60).reasons == []
    assert quiet(rule="x*").see(Cluster().state("Kustomization", "a", failing())).wait(60).reasons == ["opened"]


def test_what_is_still_open_when_a_quiet_window_ends_is_told_then():
    window = "kind: Window\nmetadata: {name: night}\nspec: {days: [sun], from: '02:00', to: '04:00', quiet: true}\n"
    story = Story(RULES + DOCUMENT + window).see(Cluster().state("Kustomization", "a", failing()))
    assert story.wait(3599).reasons == []
    assert notices(story) == ["not sent (opened): quiet window night until 2026-03-01 04:00Z"]
    assert story.wait(1).reasons == ["opened"]


RULE = (
    DOCUMENT
    + """kind: Rule
metadata: {name: %s}
spec:
  match: {kind: %s, health: Failed}
  for: 5s
  severity: critical
  summary: x
"""
)


WORSE = "  when: ready.reason == 'Worse'\n"


def inhibiting(same: str) -> str:
    """Return two rules: for HelmReleases, and for Kustomizations that the first one inhibits."""
    return (
        RULE % ("release", "HelmRelease")
        + RULE % ("failed", "Kustomization")
        + f"  inhibited_by: [{{rule: release, same: {same}}}]\n"
    )


def both(same: str, namespace: str) -> tuple[Story, Cluster]:
    cluster = Cluster()
    story = Story(inhibiting(same))
    story.see(cluster.state("HelmRelease", "r", failing(), namespace=namespace)).wait(1)
    story.see(cluster.state("Kustomization", "a", failing())).wait(60)
    return story, cluster


def test_a_finding_is_inhibited_by_one_of_the_same_namespace():
    story, _ = both("namespace", "apps")
    assert story.reasons == ["opened"]
    assert notices(story) == ["not sent (opened): inhibited by release of HelmRelease/apps/r"]


def test_a_finding_is_not_inhibited_from_another_namespace():
    assert both("namespace", "elsewhere")[0].reasons == ["opened", "opened"]


def test_a_finding_is_inhibited_by_one_of_the_same_cluster():
    assert both("cluster", "elsewhere")[0].reasons == ["opened"]


def test_another_object_inhibits_nothing_of_this_one():
    assert both("object", "apps")[0].reasons == ["opened", "opened"]


def test_what_an_inhibiting_finding_kept_back_is_told_when_that_ends():
    story, cluster = both("namespace", "apps")
    story.see(cluster.state("HelmRelease", "r", ready())).wait(60)
    assert story.reasons.count("opened") == 2


def test_a_finding_that_only_waits_inhibits_nothing():
    cluster, story = Cluster(), Story(inhibiting("namespace"))
    story.see(cluster.state("HelmRelease", "r", failing()), cluster.state("Kustomization", "a", failing())).wait(1)
    (finding,) = (each for each in story.world.findings.values() if each.test == "failed")
    assert inhibitor_of(story.world, finding) is None
    story.wait(10)
    assert inhibitor_of(story.world, finding) is not None


def test_a_detectors_finding_is_inhibited_by_nothing():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing(), depends_on=())).wait(10)
    (finding,) = story.world.findings.values()
    assert inhibitor_of(story.world, replace(finding, test="two-owners")) is None


def test_an_incident_that_flaps_must_stay_well_longer_each_time():
    cluster, story = Cluster(), Story()
    for _ in range(2):
        story.see(cluster.state("Kustomization", "a", failing())).wait(20)
        story.see(cluster.state("Kustomization", "a", ready())).wait(20)
    assert story.case.incident.flaps == 1
    assert story.wait(39).case.open
    assert not story.wait(1).case.open


def test_what_was_inhibited_to_its_end_is_never_told():
    story, cluster = both("namespace", "apps")
    story.see(cluster.state("Kustomization", "a", ready())).wait(120)
    assert story.reasons == ["opened"]
    assert [case.incident.state.value for case in story.cases] == ["open", "resolved"]
