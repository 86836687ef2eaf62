"""What the product made of a story, against its truth."""

from typing import Any

from daemon.replay.replay import replay
from daemon.rules.ruleset import RuleSet
from tests.random_clusters.api import Key
from tests.random_clusters.story import Keys, Story, Truth

Report = dict[str, Any]


def verdict(story: Story, ruleset: RuleSet) -> list[str]:
    """Return what is wrong: nothing when every root was found, once, with its victims and nobody else."""
    report: Report = replay(story.lines, ruleset, name=f"seed {story.seed}")
    loud = [each for each in report["incidents"] if each["severity"] != "info"]
    wrong = [f"problem: {problem}" for problem in report["problems"]]
    known = frozenset[Key]().union(*(truth.roots for truth in story.truths)) | story.optional
    for truth in story.truths:
        found = [each for each in loud if _is_about(each, truth.roots, story.optional) and not _is_taken_in(each)]
        told = found or [each for each in loud if _opened_at(each) in truth.roots]
        if len(told) != 1:
            wrong.append(f"{truth.fault}: {len(told)} incidents at {_names(truth.roots)} instead of one")
        for incident in found[:1]:
            wrong += _compare(story, truth, incident)
    for each in loud:
        if _key(each["root"]) not in known:
            wrong.append(f"nobody broke {_name(_key(each['root']))}: {each['cause']}")
        if _is_taken_in(each) and _opened_at(each) not in known:
            wrong.append(f"{_name(_opened_at(each))} was opened in vain: it is the same as another incident")
        wrong += _told_twice(each, report["notifications"])
    return wrong


def _told_twice(incident: Report, notifications: list[Report]) -> list[str]:
    told = [
        note["target"] for note in notifications if note["incident"] == incident["id"] and note["reason"] == "opened"
    ]
    return [f"{_name(_key(incident['root']))} was told as opened twice"] if len(told) != len(set(told)) else []


def _is_about(incident: Report, roots: Keys, hidden: Keys) -> bool:
    """A fault that was hidden behind a root comes to light when that is mended: the same incident goes on with it."""
    found = _key(incident["root"])
    return found in roots or (found in hidden and any(_key(member) in roots for member in incident["members"]))


def _is_taken_in(incident: Report) -> bool:
    """Say whether it ended in another incident: two faults, of which one came to wait for the other."""
    return any("goes on there" in entry["text"] for entry in incident["timeline"])


def _opened_at(incident: Report) -> Key:
    return _key(next(entry["object"] for entry in incident["timeline"] if entry["kind"] == "opened"))


def _compare(story: Story, truth: Truth, incident: Report) -> list[str]:
    members = {_key(member) for member in incident["members"]}
    wrong = []
    if lost := truth.members - members:
        wrong.append(f"{truth.fault} at {_names(truth.roots)}: {_names(lost)} suffer from it and are not in it")
    if strange := (truth.never & members) - story.optional:
        wrong.append(f"{truth.fault} at {_names(truth.roots)}: {_names(strange)} have nothing to do with it")
    if story.repaired != (incident["state"] == "resolved"):
        wrong.append(f"{truth.fault} at {_names(truth.roots)}: {incident['state']}, repaired: {story.repaired}")
    return wrong


def _key(body: Report) -> Key:
    return (body["kind"], body["namespace"], body["name"])


def _name(key: Key) -> str:
    return f"{key[0]} {key[1]}/{key[2]}"


def _names(keys: Keys | set[Key]) -> str:
    return ", ".join(_name(key) for key in sorted(keys))
