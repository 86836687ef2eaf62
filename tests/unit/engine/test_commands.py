"""A person's word: once, answered with an entry, never with an exception."""

from datetime import timedelta

import pytest

from daemon.engine.view import WorldView
from daemon.model.effects import Commit, SavePause, SaveSilence
from daemon.model.incidents import State
from daemon.model.signals import Command
from tests.builders import Cluster, Story, failing


def broken() -> Story:
    return Story().see(Cluster().state("Kustomization", "a", failing())).wait(16)


def say(story: Story, verb: str, subject: str = "", text: str = "", name: str = "") -> Story:
    subject = subject or story.case.incident.id
    return story.give(Command(story.at, name or f"{verb}{subject}", verb, "ada", subject, text))


def texts(story: Story) -> list[str]:
    return [entry.text for entry in story.case.incident.timeline]


def test_an_acknowledged_incident_names_who_did_it_and_tells_the_channel():
    story = say(broken(), "acknowledge")
    assert story.case.incident.state is State.ACKNOWLEDGED
    assert story.case.incident.acknowledged_by == "ada"
    assert story.reasons == ["opened", "acknowledged"]


def test_an_acknowledgement_that_is_too_old_opens_the_incident_again():
    story = say(broken(), "acknowledge")
    story.wait(story.world.limits.acknowledge_for)
    assert story.case.incident.state is State.OPEN
    assert story.reasons[-1] == "repeated"


def test_an_incident_cannot_be_acknowledged_twice():
    story = say(say(broken(), "acknowledge"), "acknowledge", name="again")
    assert "acknowledge: refused while acknowledged" in texts(story)


def test_the_same_command_twice_is_one():
    story = broken()
    for _ in range(2):
        say(story, "note", text="I look", name="one")
    assert texts(story).count("I look") == 1


def test_a_beginning_of_an_id_is_enough_when_it_is_the_only_one():
    story = broken()
    say(story, "note", story.case.incident.id[:5], "short")
    assert "short" in texts(story)


def test_a_command_about_nothing_is_counted():
    story = broken()
    say(story, "note", "no-such-incident", "lost")
    story.give(Command(story.at, "empty", "note", "ada"))
    assert story.world.counts["commands_unmatched"] == 2


def test_a_person_may_close_an_incident():
    story = say(broken(), "resolve")
    assert story.case.incident.state is State.RESOLVED
    assert story.reasons[-1] == "resolved"
    say(story, "resolve", name="again")
    assert "resolved by a person: refused while resolved" in texts(story)


def test_an_unknown_command_is_answered():
    assert "unknown command 'dance': nothing done" in texts(say(broken(), "dance"))


def test_the_kill_switch_is_remembered():
    story = Story().give(Command(Story().at, "p", "pause", "ada"))
    rows = [row for effect in story.effects if isinstance(effect, Commit) for row in effect.rows]
    assert SavePause(paused=True) in rows


def silence(story: Story, matcher: str = "kind=Kustomization,name=a*", seconds: float = 3600) -> Story:
    until = story.at + timedelta(seconds=seconds)
    return story.give(Command(story.at, "quiet", "silence", "ada", matcher, "rebuild", until=until))


def test_a_silence_is_kept_written_down_and_mutes():
    story = silence(broken())
    assert "silenced until 2026-03-01 04:00Z: rebuild" in texts(story)
    saved = [row for effect in story.effects if isinstance(effect, Commit) for row in effect.rows]
    (row,) = (row for row in saved if isinstance(row, SaveSilence))
    assert row.silence.matcher == (("kind", "Kustomization"), ("name", "a*"))
    assert (row.silence.by, row.silence.comment) == ("ada", "rebuild")
    say(story, "acknowledge")
    assert story.reasons == ["opened"]


def test_a_silence_about_something_else_leaves_an_incident_alone():
    story = silence(broken(), "namespace=other")
    assert not any("silenced" in text for text in texts(story))


@pytest.mark.parametrize("seconds", [0, -5])
def test_a_silence_that_is_over_before_it_begins_is_counted_and_nothing_else(seconds):
    story = silence(broken(), seconds=seconds)
    assert story.world.silences == {}
    assert story.world.counts["commands_unmatched"] == 1


def test_a_silence_without_an_end_is_none():
    story = broken()
    story.give(Command(story.at, "quiet", "silence", "ada", "name=a", "for ever"))
    assert story.world.silences == {}


def test_a_silence_ended_by_hand_is_over_at_once():
    story = silence(broken())
    story.give(Command(story.at, "end", "expire", "ada", "qui"))
    assert story.world.silences == {}
    assert "silence ended: rebuild" in texts(story)
    say(story, "acknowledge")
    assert story.reasons == ["opened", "acknowledged"]


def test_the_end_of_a_silence_about_something_else_is_not_told_here():
    story = silence(broken(), "namespace=other")
    story.give(Command(story.at, "end", "expire", "ada", "quiet"))
    assert not any("silence ended" in text for text in texts(story))


@pytest.mark.parametrize("wanted", ["", "nobody"])
def test_an_unknown_silence_is_not_ended(wanted):
    story = silence(broken())
    story.give(Command(story.at, "end", "expire", "ada", wanted))
    assert list(story.world.silences) == ["quiet"]


def test_silences_that_are_over_are_forgotten_with_the_next_one():
    story = silence(broken(), seconds=60).wait(120)
    story.give(Command(story.at, "b", "silence", "ada", "name=b", "x", until=story.at + timedelta(hours=1)))
    assert list(story.world.silences) == ["b"]
    assert [each.id for each in WorldView(story.world).silences()] == ["b"]
