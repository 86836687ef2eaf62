"""The same story as another watcher would have seen it: twice, out of order, with states missed, or listed anew.

A watch is one stream a resource and each may lag; it never reorders states of one object, but a broken one is listed
anew and jumps over what happened between.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.random_clusters.api import RESOURCES, Key

Lines = list[dict[str, Any]]


def doubled(lines: Lines, random: Random) -> Lines:
    """Return the story with some lines seen twice, at once or again after others."""
    return [each for line in lines for each in ([line, line] if random.random() < 0.3 else [line])]


def reordered(lines: Lines, random: Random) -> Lines:
    """Return the story with streams that lag by up to half a second: the order within one resource stays."""
    lag = {resource: random.uniform(0.0, 0.5) for resource in (*RESOURCES, "")}
    kinds: dict[str, float] = {}
    for line in lines:
        kinds.setdefault(line.get("object", {}).get("kind", ""), lag[random.choice(RESOURCES)])
    begin = next(index for index, line in enumerate(lines) if line["type"] == "SYNCED")
    head = [line for line in lines if line["at"] <= lines[begin]["at"]]
    tail = [line for line in lines if line["at"] > lines[begin]["at"]]
    late = sorted(range(len(tail)), key=lambda index: (_later(tail[index], kinds), index))
    return head + [{**tail[index], "at": _shifted(tail[index], kinds)} for index in late]


def missed(lines: Lines, random: Random) -> Lines:
    """Return the story without some states that another one of the same object replaced within seconds."""
    following: dict[Key, str] = {}
    kept: Lines = []
    for line in reversed(lines):
        key = _key(line)
        soon = key in following and _seconds(following[key]) - _seconds(line["at"]) < 3.0
        if line["type"] == "MODIFIED" and soon and random.random() < 0.5:
            continue
        following[key] = line["at"]
        kept.append(line)
    return kept[::-1]


def relisted(lines: Lines, random: Random) -> Lines:
    """Return the story with a whole new list somewhere in the middle."""
    at = random.randrange(len(lines) // 3, len(lines))
    now: dict[Key, dict[str, Any]] = {}
    for line in lines[:at]:
        if line["type"] == "DELETED":
            now.pop(_key(line), None)
        elif "object" in line:
            now[_key(line)] = {**line, "type": "ADDED", "at": lines[at - 1]["at"]}
    synced = [{"at": lines[at - 1]["at"], "type": "SYNCED", "resource": resource} for resource in RESOURCES]
    return [*lines[:at], *now.values(), *synced, *lines[at:]]


DISTURBANCES: dict[str, Callable[[Lines, Random], Lines]] = {
    "doubled": doubled,
    "reordered": reordered,
    "missed": missed,
    "relisted": relisted,
}


def disturbed(lines: list[str], how: str, seed: int) -> list[str]:
    """Return the lines of a story as this kind of watcher saw it."""
    return [json.dumps(line) for line in DISTURBANCES[how]([json.loads(line) for line in lines], Random(seed))]


def _key(line: dict[str, Any]) -> Key:
    body = line.get("object")
    return (body["kind"], body["metadata"]["namespace"], body["metadata"]["name"]) if body else ("", "", "")


def _seconds(at: str) -> float:
    hours, minutes, seconds = at[11:-1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _later(line: dict[str, Any], lag: dict[str, float]) -> float:
    return _seconds(line["at"]) + lag[line.get("object", {}).get("kind", "")]


def _shifted(line: dict[str, Any], lag: dict[str, float]) -> str:
    total = _later(line, lag)
    return f"{line['at'][:11]}{int(total // 3600):02}:{int(total % 3600 // 60):02}:{total % 60:06.3f}Z"
