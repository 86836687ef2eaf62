"""Label and field selectors, pure.

Limit: field selectors look at any string field of a built-in kind; a custom resource knows metadata only, as in life.
"""

import re
from collections.abc import Callable
from typing import Any

from daemon.simulator.api.errors import ApiError
from daemon.simulator.api.resources import Resource

Json = dict[str, Any]
Test = Callable[[Json], bool]

_SET = re.compile(r"^\s*(?P<key>\S+)\s+(?P<word>in|notin)\s*\((?P<values>[^)]*)\)\s*$")
_PAIR = re.compile(r"^\s*(?P<key>[^\s=!]+)\s*(?P<sign>==|!=|=)\s*(?P<value>[^\s=!]*)\s*$")
_EXISTS = re.compile(r"^\s*(?P<no>!?)\s*(?P<key>[^\s=!(),]+)\s*$")
_COMMA = re.compile(r",(?![^(]*\))")


def selector(resource: Resource, labels: str, fields: str) -> Test:
    """Return the test that both selectors make together. Raises ApiError 400 for a bad one."""
    tests = [_label(part) for part in _COMMA.split(labels) if part.strip()]
    tests += [_field(resource, part) for part in fields.split(",") if part.strip()]
    return lambda item: all(test(item) for test in tests)


def _labels_of(item: Json) -> Json:
    return item["metadata"].get("labels") or {}


def _label(part: str) -> Test:
    if match := _SET.match(part):
        key, wanted = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["word"] == "in":
            return lambda item: _labels_of(item).get(key) in wanted
        return lambda item: _labels_of(item).get(key) not in wanted
    if match := _PAIR.match(part):
        key, value, equal = match["key"], match["value"], match["sign"] != "!="
        return lambda item: (_labels_of(item).get(key) == value) is equal
    if match := _EXISTS.match(part):
        key, wanted_there = match["key"], not match["no"]
        return lambda item: (key in _labels_of(item)) is wanted_there
    raise ApiError(400, f"unable to parse requirement: {part!r} is not a label selector")


def _field(resource: Resource, part: str) -> Test:
    match = _PAIR.match(part)
    if match is None:
        raise ApiError(400, f"invalid selector: {part!r}; can't understand it")
    path, value, equal = match["key"], match["value"], match["sign"] != "!="
    if resource.custom and path not in ("metadata.name", "metadata.namespace"):
        raise ApiError(400, f"field label not supported: {path}")
    return lambda item: (_look(item, path) == value) is equal


def _look(item: Json, path: str) -> str:
    value: Any = item
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value)
