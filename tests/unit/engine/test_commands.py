"""A person's word: once, answered with an entry, never with an exception."""

from daemon.model.effects import Commit, SavePause
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
