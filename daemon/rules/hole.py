"""How the holes of a message are filled: what can't be filled costs only its own hole, and says so in its place.

jinja2 raises where a filter, a loop or a comparison meets a value of the wrong shape, and one error ends the whole
message. Here a filter gives a hole back, a loop over nothing to loop over is empty, a comparison that can't be made is
false. A dot reads facts, never a method of Python: a spec has fields that are called `items` and `update`.

Limit: which names and fields there are is checked at load, by `template`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import wraps
from typing import cast

import jinja2
from jinja2 import nodes
from jinja2.filters import FILTERS as ALL_FILTERS
from jinja2.filters import make_attrgetter
from jinja2.runtime import ChainableUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

FILTERS = frozenset(
    {"default", "first", "join", "last", "length", "lower", "map", "trim", "truncate", "unique", "upper"}
)
"""None of them can make more than it was given; join ends at MAX_JOINED."""
MAX_JOINED = 8_000
"""Characters that join makes at most: its separator may be a message too, and four times the longest text is enough."""
_ITEMS = "items of a loop"
"""A filter that no author can write."""
_OPERATORS = {"eq": "eq", "ne": "ne", "lt": "lt", "lteq": "le", "gt": "gt", "gteq": "ge", "in": "in", "notin": "in"}
"""The test that compares as an operator does."""
_Filter = Callable[..., object]
_ALL_TESTS = cast("Mapping[str, _Filter]", TESTS)


class Hole(ChainableUndefined):
    """What is not there, with the name or the words that tell what was looked for."""

    __slots__ = ()

    def __str__(self) -> str:
        """Say in the message what could not be filled in."""
        name: object = self._undefined_name  # a number where an entry of a list was looked for
        what = self._undefined_hint if name is None else name if isinstance(name, str) else f"entry {name}"
        return f"[not filled in: {what}]"


class Lasting(timedelta):
    """A duration that prints as Flux writes it: 12m30s, 1h5m."""

    def __str__(self) -> str:
        """Print whole seconds, without the units that are zero at its end."""
        minutes, seconds = divmod(int(self.total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
        return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with holes for what is not there."""

    def __init__(self) -> None:
        """Know only the filters that are allowed, none of which can fail."""
        super().__init__(undefined=Hole, autoescape=False, keep_trailing_newline=False)
        own: dict[str, _Filter] = {"join": _joined}
        self.filters = {name: _never_failing(name, own.get(name, ALL_FILTERS[name])) for name in FILTERS}
        self.filters[_ITEMS] = _items
        self.tests = {name: _false_at_least(test) for name, test in _ALL_TESTS.items()}

    def getattr(self, obj: object, attribute: str) -> object:
        """Return a field of a map, or what a dot finds otherwise, unless it is a method."""
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else Hole(obj=obj, name=attribute)
        return self._fact(super().getattr(obj, attribute), obj, attribute)

    def getitem(self, obj: object, argument: object) -> object:
        """Return an entry of a map or a list; a map's method of that name is none."""
        return self._fact(super().getitem(obj, argument), obj, argument)

    def _fact(self, found: object, obj: object, name: object) -> object:
        is_fact = isinstance(found, jinja2.Undefined) or not callable(found)
        return found if is_fact else Hole(obj=obj, name=str(name))


def without_failing(node: nodes.Node) -> nodes.Node:
    """Change a syntax tree where it may fail, and return what stands in its place: what does the same and can't."""
    for name, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            setattr(node, name, without_failing(value))
        elif isinstance(value, list):
            setattr(node, name, [without_failing(each) if isinstance(each, nodes.Node) else each for each in value])
    if isinstance(node, nodes.For):
        node.iter = nodes.Filter(node.iter, _ITEMS, [], [], None, None, lineno=node.lineno)
    elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
        node.expr2 = nodes.Const("", lineno=node.lineno)  # 'x' if y: without y there is nothing to say
    return _compared(node) if isinstance(node, nodes.Compare) else node


def _compared(node: nodes.Compare) -> nodes.Expr:
    """Return a comparison as tests: those can be kept from failing."""
    found: list[nodes.Expr] = []
    left = node.expr
    for operand in node.ops:
        test: nodes.Expr = nodes.Test(left, _OPERATORS[operand.op], [operand.expr], [], None, None, lineno=node.lineno)
        found.append(nodes.Not(test, lineno=node.lineno) if operand.op == "notin" else test)
        left = operand.expr
    whole = found[0]
    for each in found[1:]:
        whole = nodes.And(whole, each, lineno=node.lineno)
    return whole


def _never_failing(name: str, applied: _Filter) -> _Filter:
    """Return a filter that passes a hole on, and gives one back where it does not work on a value."""
    place = int(hasattr(applied, "jinja_pass_arg"))

    @wraps(applied)
    def filtered(*given: object, **named: object) -> object:
        value = given[place]
        if isinstance(value, jinja2.Undefined) and name != "default":
            return value
        try:
            found = applied(*given, **named)
            return list(found) if isinstance(found, Iterator) else found
        except Exception:  # noqa: BLE001 - a value of any shape may meet any filter
            return Hole(f"{name} does not work on {type(value).__name__}")

    return filtered


def _false_at_least(test: _Filter) -> Callable[..., bool]:
    """Return a test that says no where it can't tell."""

    @wraps(test)
    def tested(*given: object, **named: object) -> bool:
        try:
            return bool(test(*given, **named))
        except Exception:  # noqa: BLE001 - a value of any shape may meet any other
            return False

    return tested


def _items(value: object) -> Iterable[object]:
    return value if isinstance(value, Iterable) else ()


@jinja2.pass_environment
def _joined(
    environment: jinja2.Environment, value: Iterable[object], d: str = "", attribute: str | int | None = None
) -> str:
    """Join as jinja2 does, but end where there is more than will be shown."""
    read = make_attrgetter(environment, attribute) if attribute is not None else None
    text = ""
    for index, item in enumerate(value):
        text += (str(d) if index else "") + str(read(item) if read is not None else item)
        if len(text) > MAX_JOINED:
            break
    return text[:MAX_JOINED]
