"""What an editor can be told beyond shapes: which texts, names and combinations load refuses, as JSON schema.

Limit: it never refuses what load accepts, so a sum (31d1h), a range that runs backwards and whatever a ${parameter}
stands for are left to load.
"""

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from daemon.rules.catalogue import ACTIONS, PROBES, Probe
from daemon.rules.parameter import EVERY, RELEASE_STATUSES, SINGLE, STATUSES

Schema = dict[str, JsonValue]

_DAY = 86_400
_UNITS = (("d", _DAY), ("h", 3_600), ("m", 60), (r"(?:\.[0-9]+)?s", 1))
_NAMED = frozenset({"kind", "namespace", "name"})
_NO_GLOB = r"^[^*?\[]*$"
_PLACEHOLDER = r"\$"
"""What holds a ${parameter} is judged at load, with what stands there then."""
_NULL: Schema = {"type": "null"}
_SOME: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1}]}
_ASKED: tuple[JsonValue, ...] = tuple(
    {"properties": {"match": {"required": [key], "properties": {key: _SOME}}}} for key in ("health", "reason")
)


def up_to(most: int) -> str:
    """Return a pattern of the numbers from 0 to `most`, with any zeros before them."""
    text = str(most)
    ways = [text]
    for index, digit in enumerate(text):
        if digit != "0":
            rest = len(text) - index - 1
            ways.append(f"{text[:index]}[0-{int(digit) - 1}]" + f"[0-9]{{{rest}}}" * bool(rest))
    shorter = [f"[0-9]{{1,{len(text) - 1}}}"] * (len(text) > 1)
    return f"0*(?:{'|'.join((*ways, *shorter))})"


def duration(longest: float, *, lasting: bool = False) -> Schema:
    """Return the schema of a duration of so many seconds at most; `lasting`: more than none at all."""
    parts = [f"(?:{up_to(int(longest) // seconds)}{unit})?" for unit, seconds in _UNITS]
    said = f"a duration needs a unit, such as 30s, 5m or 1h30m, and is at most {longest / _DAY:g}d"
    return {
        "type": "string",
        "pattern": f"^(?=[0-9]){'(?=.*[1-9])' * lasting}{''.join(parts)}$",
        "examples": ["30s", "5m"],
        "errorMessage": f"{said}; none at all is too short" if lasting else said,
    }


def or_null(schema: Schema) -> Schema:
    """Return the schema of the same text, or of none."""
    return {**schema, "type": [str(schema["type"]), "null"]}


def _field(least: int, most: int, names: Iterable[str] = ()) -> str:
    """Return a pattern of one cron field, a list of numbers, ranges and steps."""
    words = "".join("|" + "".join(f"[{letter.upper()}{letter}]" for letter in name) for name in names)
    value = f"(?:{'(?!0+(?![0-9]))' * least}{up_to(most)}{words})"
    part = f"(?:\\*|{value}(?:-{value})?)(?:/(?!0+(?![0-9])){up_to(most - least)})?"
    return f"{part}(?:,{part})*"


def cron(months: Iterable[str], weekdays: Iterable[str]) -> Schema:
    """Return the schema of a cron line."""
    fields = (_field(0, 59), _field(0, 23), _field(1, 31), _field(1, 12, months), _field(0, 7, weekdays))
    return {
        "pattern": r"^\s*" + r"\s+".join(fields) + r"\s*$",
        "examples": ["17 * * * *"],
        "errorMessage": "a schedule has five fields: minute hour day month weekday, such as 17 * * * *",
    }


def one_of(words: Iterable[str]) -> Schema:
    """Return what is added to the schema of a text that is one of these words."""
    return {"enum": [*sorted(words)]}


def _when(key: str, word: str, then: Schema) -> JsonValue:
    return {"if": {"properties": {key: {"const": word}}, "required": [key]}, "then": then}


def _keys(names: Iterable[str]) -> Schema:
    """Allow these keys alone; an enum must not be empty."""
    known = one_of(names)
    return {"propertyNames": known} if known["enum"] else {"maxProperties": 0}


def _text(pattern: str) -> Schema:
    """Let a text fit a pattern or hold a ${parameter}; a number is read as its text, and judged at load."""
    return {"pattern": f"{pattern}|{_PLACEHOLDER}"}


def _number(*words: str) -> Schema:
    said: Schema = {"type": "string", **_text("|".join(("^[1-9][0-9]{0,5}$", *(f"^{word}$" for word in words))))}
    return {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 999_999}, said]}


def _words(words: Iterable[str]) -> Schema:
    return {"anyOf": [one_of(words), {"type": "string", "pattern": _PLACEHOLDER}]}


_VALUES: Mapping[str, Schema] = {
    "exists": {"at-least": _number()},
    "workload": {"ready": _number(EVERY)},
    "condition": {"status": _words(STATUSES), "type": _text(r"\S")},
    "release": {"status": _words(RELEASE_STATUSES), "name": _text(_NO_GLOB), "namespace": _text(_NO_GLOB)},
}


_OBJECT: Schema = {"name": _text(r"^[^*?\[]+$"), "namespace": _text(_NO_GLOB)}
"""Of probes that look at one object."""
_TOGETHER: Schema = {"dependentRequired": {"kind": ["name"], "name": ["kind"], "namespace": ["kind"]}}


def _check(name: str, probe: Probe) -> JsonValue:
    """Return what holds of a check with this probe."""
    single = name in SINGLE
    values: Schema = {
        "kind": _text("^[A-Za-z][A-Za-z0-9]*$"),
        **(_OBJECT if single else {}),
        **_VALUES.get(name, {}),
    }
    given: Schema = {
        **_keys(probe.required | probe.optional),
        **(_TOGETHER if single else {}),
        "required": [*sorted(probe.required)],
        "properties": values,
    }
    then: Schema = {"properties": {"with": given}, **({"required": ["with"]} if probe.required else {})}
    return _when("probe", name, then)


def _step(name: str) -> JsonValue:
    """Return what holds of a step with this action: another object is named by kind and name, or not at all."""
    named: list[JsonValue] = [
        {"required": [key], "properties": {key: {"not": {"const": ""}}}} for key in sorted(_NAMED)
    ]
    both: Schema = {"if": {"anyOf": named}, "then": {"required": ["kind", "name"]}}
    return _when("action", name, {"properties": {"with": {**_keys(ACTIONS[name] | _NAMED), **both}}})


CHECK: Schema = {"allOf": [_check(name, probe) for name, probe in sorted(PROBES.items())]}
"""What its probe makes of a check."""
STEP: Schema = {"allOf": [_step(name) for name in sorted(ACTIONS)]}
"""What its action makes of a step."""
SEQUENCE: Schema = {"anyOf": [{"maxItems": 0}, {"minItems": 2}]}
WINDOW: Schema = {
    "anyOf": [{"properties": {key: {"const": True}}, "required": [key]} for key in ("quiet", "freeze")],
}
RULE: Schema = {
    "anyOf": [
        {"required": ["when"], "properties": {"when": {"type": "string"}}},
        {"required": ["sequence"], "properties": {"sequence": {"minItems": 1}}},
        *_ASKED,
    ],
    "allOf": [
        {
            "if": {"required": ["sequence"], "properties": {"sequence": {"minItems": 1}}},
            "then": {"properties": {"when": _NULL, "count": _NULL, "absent_for": _NULL}},
        },
        {
            "if": {"required": ["count"], "properties": {"count": {"type": "object"}}},
            "then": {"properties": {"absent_for": _NULL}},
        },
    ],
}
"""A rule asks something of its object, and one thing over time at most."""
