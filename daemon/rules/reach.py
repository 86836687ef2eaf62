"""Whether an expression can be true at all, by trying what its variables may hold.

Most variables hold one of a few words, the others are compared with texts and durations that stand in the expression:
so a few hundred tries tell. Limits: only conjuncts of the outermost `&&` are judged, and of those none that reads the
raw object, the workload or a pattern; with too many combinations it says that the expression may be true.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import combinations, permutations, product
from math import prod

from daemon.model.objects import Health
from daemon.rules import scope
from daemon.rules.expression import Expression, activation, blanked, compile_expression

MOST_TRIES = 3_000
"""Evaluations of one expression, some 10 µs each: rules are loaded within a second or two."""
MOST_TOGETHER = 3
"""Texts that a message may be asked to hold at once."""
STATUS = ("True", "False", "Unknown", "")
FAILS = frozenset({Health.FAILED, Health.BLOCKED})
"""Health for which `failing_for` counts."""
WORDS = {
    "health": tuple(health.value for health in Health),
    "ready.status": STATUS,
    "stalled.status": STATUS,
    "event.type": ("Normal", "Warning", ""),
}
"""Variables that only ever hold one of a few words."""
_UNJUDGED = frozenset({*scope.LAZY, "workload"})
_KNOWN_CALLS = frozenset(
    {"has", "duration", "contains", "startsWith", "endsWith", "lowerAscii", "exists", "all", "exists_one", "filter"}
)
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_LITERAL = re.compile(r"'((?:[^'\\\n]|\\.)*)'|\"((?:[^\"\\\n]|\\.)*)\"")
_READ = re.compile(r"(?<![\w.])([a-z]+)\.\??([A-Za-z_]\w*)(?!\w|\()")
_ENTRY_FIELD = re.compile(r"(?<![\w.])\w+\.\??(kind|namespace|name)(?!\w|\()")
_DURATION = re.compile(r"duration\(\s*['\"]([^'\"]*)['\"]\s*\)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")


def can_be_true(expression: Expression, healths: Iterable[Health] = (), hold: float = 0.0) -> bool:
    """Say whether some object could make it true that has one of these healths (none: any).

    `hold` is for how many seconds it must stay true: an object that fails has then failed for so long at least.
    """
    parts = [part for part in _conjuncts(expression.source) if _is_judged(part)]
    if not parts:
        return True
    judged = compile_expression(" && ".join(f"({part})" for part in parts))
    domains = _domains(judged, frozenset(healths) or frozenset(Health))
    if prod(len(each) for each in domains.values()) > MOST_TRIES:
        return True
    return any(
        judged.evaluate(activation(_values(dict(zip(domains, chosen, strict=True))))).value is True
        for chosen in product(*domains.values())
        if _lasts(dict(zip(domains, chosen, strict=True)), hold)
    )


def _conjuncts(source: str) -> Iterator[str]:
    """Yield the parts of the outermost `&&`; the whole where an `||` or a choice stands outside of brackets."""
    bare, depth, cuts = blanked(source), 0, [0]
    for at, letter in enumerate(bare):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(letter, 0)
        if not depth and (bare.startswith("||", at) or (letter == "?" and bare[at - 1 : at] not in (".", "["))):
            yield source
            return
        if not depth and bare.startswith("&&", at):
            cuts += [at, at + 2]
    cuts.append(len(source))
    yield from (source[start:end] for start, end in zip(cuts[::2], cuts[1::2], strict=True))


def _is_judged(part: str) -> bool:
    bare = blanked(part)
    names = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", bare))
    calls = set(_CALL.findall(bare))
    compares_texts = re.search(r"[<>+]", bare) is not None and "failing_for" not in names
    lists = not names.isdisjoint(scope.LISTS)
    return not (
        names & _UNJUDGED or calls - _KNOWN_CALLS or compares_texts or (lists and _ENTRY_FIELD.search(bare) is not None)
    )


def _domains(judged: Expression, healths: frozenset[Health]) -> dict[str, list[object]]:
    """Return what each variable may hold, by `name` or `name.field`."""
    texts = list(dict.fromkeys(one or two for one, two in _LITERAL.findall(judged.source)))
    bare = blanked(judged.source)
    domains: dict[str, list[object]] = {name: list(_lists()) for name in sorted(judged.uses & set(scope.LISTS))}
    if "suspended" in judged.uses:
        domains["suspended"] = [True, False]
    if "failing_for" in judged.uses:
        domains["failing_for"] = list(_durations(judged.source))
    if not judged.uses.isdisjoint({"health", "failing_for"}):
        domains["health"] = [health.value for health in Health if health in healths]
    for name, field in sorted(set(_READ.findall(bare))):
        key = f"{name}.{field}"
        if name in judged.uses & set(scope.FIELDS):
            domains[key] = list(WORDS.get(key) or _texts(texts))
    return domains


def _texts(texts: list[str]) -> Iterator[str]:
    """Yield every text compared with, any of them together, nothing, and something else."""
    yield from ("", "\0", *texts)
    for count in range(2, min(len(texts), MOST_TOGETHER) + 1):
        for chosen in permutations(texts, count):
            yield from (between.join(chosen) for between in ("", "\0"))


def _lists() -> Iterator[list[dict[str, str]]]:
    """Yield lists of other objects: none, one of each health, two of any, and all."""
    entries = [{"kind": "", "namespace": "", "name": "", "health": health.value} for health in Health]
    for count in (0, 1, 2, len(entries)):
        yield from (list(chosen) for chosen in combinations(entries, count))


def _durations(source: str) -> Iterator[timedelta]:
    """Yield no time, and of each duration compared with: itself, a little less, a little more."""
    yield timedelta(0)
    for text in _DURATION.findall(source):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        yield from (timedelta(seconds=max(0.0, seconds + more)) for more in (-1.0, 0.0, 1.0))
    yield timedelta(days=365)


def _lasts(chosen: dict[str, object], hold: float) -> bool:
    """Say whether time and health go together: what fails for less than the rule's hold is not told."""
    failing = chosen.get("failing_for")
    if not isinstance(failing, timedelta):
        return True
    fails = chosen["health"] in {health.value for health in FAILS}
    return failing.total_seconds() >= hold or not fails


def _values(chosen: dict[str, object]) -> dict[str, object]:
    """Return values of whole variables from those of their fields."""
    values: dict[str, object] = {}
    for key, value in chosen.items():
        name, _, field = key.partition(".")
        if field:
            held = values.setdefault(name, {})
            assert isinstance(held, dict)  # noqa: S101 - made on the line above
            held[field] = value
        else:
            values[name] = value
    return values
