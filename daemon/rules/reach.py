"""Whether an expression can be true at all: no only where its own words rule each other out.

The demands that `formula` reads are put together in every way that makes the expression true. Limit: what can't be read
demands nothing, and with too many ways it says that the expression may be true: it never says "never" by mistake.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import product
from types import MappingProxyType

from daemon.flux.possible import AT_EASE
from daemon.model.objects import Health
from daemon.rules.expression import Expression
from daemon.rules.formula import ENTRY, SIZE, All, Either, Fact, Node, facts_of, read

MOST_WAYS = 2_000
"""Ways in which an expression may be true that are looked at: rules are loaded within a second or two."""
STATUS = ("True", "False", "Unknown", "")
HEALTHS = tuple(health.value for health in Health)
WORDS = {
    "health": HEALTHS,
    "ready.status": STATUS,
    "stalled.status": STATUS,
    "event.type": ("Normal", "Warning", ""),
    f"{ENTRY}.health": HEALTHS,
    "suspended": ("true", "false"),
}
"""Variables that only ever hold one of a few words."""
FLAG = frozenset({"true", "false"})

Held = Mapping[str, frozenset[str]]
"""The only words that a variable can hold; none: a list has no entries, counts are 0."""
NOTHING: frozenset[str] = frozenset()
_FREE: Held = MappingProxyType({name: frozenset(words) for name, words in WORDS.items()})
_Way = tuple[Fact, ...]


class _TooManyError(Exception):
    """There are more ways than are looked at."""


def can_be_true(expression: Expression, held: Held = MappingProxyType({}), least: float = 0.0) -> bool:
    """Say whether some object could make it true: one of which some variables hold one of a few words.

    `least` is for how many seconds an object that is Failed then has failed already.
    """
    try:
        ways = _ways(read(expression.source))
        return any(_agrees(way, {**_FREE, **held}, Fraction(least)) for way in ways)
    except _TooManyError:
        return True


def asked(expression: Expression, key: str, *, anyhow: bool = False) -> tuple[str, ...]:
    """Return the words of which one is demanded of a variable; `anyhow`: also those that it must not be."""
    facts = (fact for fact in facts_of(read(expression.source)) if fact.key == key and fact.operation == "in")
    return tuple(dict.fromkeys(word for fact in facts if fact.wanted or anyhow for word in fact.words))


def _ways(node: Node) -> list[_Way]:
    """Return every set of facts that makes a node true."""
    if isinstance(node, Fact):
        return [(node,)]
    if isinstance(node, Either):
        return _limited(way for part in node.parts for way in _ways(part))
    found: list[_Way] = [()]
    for part in node.parts:
        found = _limited((*one, *two) for one, two in product(found, _ways(part)))
    return found


def _limited(ways: Iterable[_Way]) -> list[_Way]:
    found: list[_Way] = []
    for way in ways:
        found.append(way)
        if len(found) > MOST_WAYS:
            raise _TooManyError
    return found


def _agrees(way: _Way, held: Held, least: Fraction) -> bool:
    """Say whether all these facts can be so of one object."""
    by_key: dict[str, list[Fact]] = {}
    for fact in way:
        by_key.setdefault(fact.key, []).append(fact)
    asked_health = by_key.pop("health", [])
    health = frozenset(word for word in held["health"] if all(_is_so(fact, word) for fact in asked_health))
    if not health:
        return False
    if health == {Health.SUSPENDED.value}:
        held = {**held, "suspended": held["suspended"] & {"true"}}
    lasted = least if health == {Health.FAILED.value} else Fraction(0)
    if health <= {word.value for word in AT_EASE}:
        held = {**held, "failing_for": NOTHING}
    return all(_agree(key, facts, held, lasted) for key, facts in by_key.items())


def _agree(key: str, facts: list[Fact], held: Held, least: Fraction) -> bool:
    counted = key.removeprefix(f"{SIZE}.").partition(".")[0]
    if key == "failing_for" or key.startswith((f"{SIZE}.", "workload.")):
        most = Fraction(0) if held.get(counted) == NOTHING else None
        return _lasts(facts, least if key == "failing_for" else Fraction(0), most)
    if any(fact.body is not None for fact in facts):
        everyone = [fact.body for fact in facts if fact.operation == "all" and fact.body is not None]
        someone = [fact.body for fact in facts if fact.operation == "exists" and fact.body is not None]
        if someone and held.get(key) == NOTHING:
            return False
        return all(any(_agrees(way, _FREE, least) for way in _ways(All((one, *everyone)))) for one in someone)
    words = [frozenset(fact.words) for fact in facts if fact.operation == "in" and fact.wanted]
    if key in held or words:
        candidates = frozenset.intersection(*words, *([held[key]] if key in held else []))
        return any(all(_is_so(fact, word) for fact in facts) for word in candidates)
    return not any(_excludes(one, two) for one, two in product(facts, facts))


def _is_so(fact: Fact, word: str) -> bool:
    """Say whether a text is as a fact wants it."""
    if fact.operation == "in":
        return (word in fact.words) == fact.wanted
    (text,) = fact.words
    held = {"contains": text in word, "startsWith": word.startswith(text), "endsWith": word.endswith(text)}
    return held[fact.operation] == fact.wanted


def _excludes(one: Fact, two: Fact) -> bool:
    """Say whether no text at all is as both want it; in doubt it may be."""
    if one.operation == "in" or two.operation == "in":
        return False  # a text must be none of some words: there are others
    (text,), (other,) = one.words, two.words
    if not one.wanted:
        return not text
    if not two.wanted:
        held = {"contains": other in text, "startsWith": text.startswith(other), "endsWith": text.endswith(other)}
        return held[two.operation] and two.operation in ("contains", one.operation)
    if one.operation != two.operation or one.operation == "contains":
        return False
    ends = str.startswith if one.operation == "startsWith" else str.endswith
    return not ends(text, other) and not ends(other, text)


def _lasts(facts: list[Fact], least: Fraction, most: Fraction | None) -> bool:
    """Say whether some time or count, of `least` at least and `most` at most, is as all comparisons want it."""
    lower, upper, open_below, open_above = least, most, False, False
    without = {fact.number for fact in facts if fact.operation == "!="}
    for fact in facts:
        if fact.operation in (">", ">=", "==") and fact.number >= lower:
            open_below = (open_below and fact.number == lower) or fact.operation == ">"
            lower = fact.number
        if fact.operation in ("<", "<=", "==") and (upper is None or fact.number <= upper):
            open_above = (open_above and fact.number == upper) or fact.operation == "<"
            upper = fact.number
    if upper is None or lower < upper:
        return True
    return lower == upper and not open_below and not open_above and lower not in without
