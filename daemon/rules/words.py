"""What the libraries complain of, in the words of a rule's author: CEL's compiler and pydantic.

A message that is not known here is passed on as it is: strange words are better than none.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

_UNKNOWN = re.compile(r"undeclared reference to '([^']+)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']+)' applied to '\((.*)\)'")
_PACKAGES = {
    "base64": "base64 has only base64.encode(bytes) and base64.decode(text)",
    "sets": "the functions of sets are not there: write exists() or all() over the list",
}
"""Names before a dot that are no variables."""
_END = "<EOF>"
_SIGNS = {"and": "&&", "or": "||", "is": "==", "not": "!"}
_KINDS = (
    ("google.protobuf.Duration", "a duration"),
    ("google.protobuf.Timestamp", "a moment"),
    ("string", "a text"),
    ("int", "a number"),
    ("uint", "a number"),
    ("double", "a number"),
    ("bool", "true or false"),
    ("bytes", "bytes"),
    ("null_type", "null"),
    ("list", "a list"),
    ("map", "a map"),
    ("type", "a type"),
)
FUNCTIONS = (
    *("all", "contains", "duration", "endsWith", "exists", "exists_one", "filter", "has", "lowerAscii", "map"),
    *("matches", "optFlatMap", "optMap", "orValue", "size", "split", "startsWith", "timestamp", "trim", "upperAscii"),
)
"""Functions that rules have a use for; the language has more."""
_SHAPES = {
    "too_short": "must not be empty",
    "too_long": "has too many entries, at most {max_length} are allowed",
    "string_too_short": "must not be empty",
    "string_type": "should be a text: put it in quotes",
    "model_type": "should be a mapping, with `key: value` below it",
    "dict_type": "should be a mapping, with `key: value` below it",
    "list_type": "should be a list",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "greater_than_equal": "should be {ge} or more",
    "less_than_equal": "should be {le} or less",
}
"""What pydantic's errors mean to somebody who writes YAML; nothing has a least length but one."""
_PATTERNS = {
    "rule": "this is no name of a rule or detector",
    "root": "a root is self, none or KIND/NAMESPACE/NAME",
    "metadata": "a name has lower-case letters, digits, dashes and dots, and begins and ends with a letter or a digit",
    "from": "a time of day is written as 22:30, in quotes",
    "to": "a time of day is written as 22:30, in quotes",
    "utc_offset": "an offset from UTC is written as +02:00, in quotes",
}


def of_compiler(message: str, names: Sequence[str], *, call: bool) -> str:
    """Return a message of CEL's compiler in plain words, empty where another message says the same.

    `names` are the variables that there are; `call`: a bracket stands behind what it is about.
    """
    if (found := _UNKNOWN.match(message)) is not None:
        return _unknown(found.group(1).split(".")[0], names, call=call)
    if (found := _OVERLOAD.match(message)) is not None:
        return "" if "*error*" in found.group(2) else _misfit(*found.groups())
    return next((tell(found) for shape, tell in _SYNTAX if (found := shape.match(message)) is not None), message)


def _unexpected(found: re.Match[str]) -> str:
    what = found.group(1)
    if what == _END:
        return "the expression ends too early"
    return f"{what!r} does not belong here" + (f": it is written {_SIGNS[what]}" if what in _SIGNS else "")


def _unreadable(found: re.Match[str]) -> str:
    what = found.group(1).strip()
    if "\\" in what:
        return f"{what} can't be read: in a text a backslash is written \\\\"
    return f"{what!r} can't be read" + (": equal is written ==" if what == "=" else "")


_SYNTAX: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"Syntax error: (?:mismatched|extraneous) input '(.+?)' expecting .*"), _unexpected),
    (re.compile(r"Syntax error: missing '(.+)' at .*"), lambda found: f"{found.group(1)!r} is missing"),
    (re.compile(r"Syntax error: token recognition error at: '(.+)'"), _unreadable),
    (re.compile(r"Syntax error: no viable alternative at input '(.+)'"), _unreadable),
)


def unknown_name(message: str) -> str:
    """Return the name with its fields that the compiler does not know, empty where it complains of something else."""
    found = _UNKNOWN.match(message)
    return found.group(1) if found is not None else ""


def of_shape(kind: str, message: str, path: Sequence[str | int], context: Mapping[str, object]) -> str:
    """Return a message of pydantic about the value at a path in plain words."""
    if kind == "string_pattern_mismatch":
        return next(text for key, text in _PATTERNS.items() if key in path)
    if kind in _SHAPES:
        return _SHAPES[kind].format(**context)
    text = message.removeprefix("Input should be ")
    return f"should be {text}" if text != message else text


def _unknown(name: str, names: Sequence[str], *, call: bool) -> str:
    if name in _PACKAGES:
        return _PACKAGES[name]
    if call and name in FUNCTIONS:
        return f"{name}() is not used like this"
    if call:
        near = get_close_matches(name, FUNCTIONS, 1)
        return f"there is no function {name}()" + (f", did you mean {near[0]}()?" if near else "")
    near = get_close_matches(name, names, 1)
    hint = f", did you mean {near[0]}?" if near else ""
    return f"nothing is called {name}: there are {', '.join(sorted(names))}{hint}"


def _misfit(operator: str, kinds: str) -> str:
    """Say that an operator or a function does not fit what stands around it."""
    shown = [_kind(kind.strip()) for kind in _split(kinds)]
    both = " and ".join(shown)
    sign = operator.strip("_")
    if sign in ("==", "!=", "<", "<=", ">", ">="):
        hint = ": a duration is written as duration('5m')" if "a duration" in shown else ""
        return f"{sign} can't compare {both}{hint}"
    if sign in ("&&", "||", "!"):
        return f"{sign} wants what is true or false, this is {both}"
    if sign == "?_:":
        return f"?: wants what is true or false and then two values of one kind, this is {both}"
    name = {"@in": "in", "[_]": "[ ]"}.get(sign, f"{sign}()" if sign.isidentifier() else sign)
    return f"{name} does not work on {both}"


def _kind(name: str) -> str:
    bare = name.split("(", maxsplit=1)[0]
    return dict(_KINDS).get(bare, name)


def _split(kinds: str) -> list[str]:
    """Return the types of a list of them; a type may have some in brackets."""
    parts, depth = [""], 0
    for letter in kinds:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
