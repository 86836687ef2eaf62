"""What an expression demands of single variables, as far as that can be read with certainty.

An expression is cut at `&&`, `||` and `!`; what is left must look exactly like one of a few simple tests. Everything
else (an index, a choice, a bound name, a function, two variables compared with each other) demands nothing here, nor
does a whole expression with an escape, a raw or triple-quoted string or a comment: it may be true.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from daemon.rules import scope
from daemon.rules.expression import blanked


@dataclass(frozen=True, slots=True)
class Fact:
    """One demand: a variable is, or is not (`wanted`), one of some words, holds a text, or stands to a duration.

    `operation` is in, contains, startsWith, endsWith, a comparison, or exists and all of the entries of a list.
    """

    key: str
    operation: str
    words: tuple[str, ...] = ()
    wanted: bool = True
    seconds: Fraction = Fraction(0)
    body: "Node | None" = None


@dataclass(frozen=True, slots=True)
class All:
    """Every part is demanded; of no parts: nothing is."""

    parts: "tuple[Node, ...]" = ()


@dataclass(frozen=True, slots=True)
class Either:
    """One part is demanded; of no parts: what can't be."""

    parts: "tuple[Node, ...]" = ()


Node = Fact | All | Either
ANYTHING, NEVER = All(), Either()
ENTRY = "entry"
"""Stands before the field of an entry of a list, whatever the expression calls it."""

_BEYOND = re.compile(r"""\\|'''|\"\"\"""")
_BEYOND_BARE = re.compile(r'//|(?<!\w)[rRbB]{1,2}"')
_LITERAL = r"""(?:'[^'\n]*'|"[^"\n]*")"""
_WORD = re.compile(_LITERAL)
_CHOICE = re.compile(r"(?<![.\[])\?")
_NOTS = re.compile(r"(?:!\s*)+")
_OPERATORS = re.compile(r"[=<>+\-*/%]|(?<!\w)in(?!\w)")
_KEY = re.compile(r"(?<![\w.])(health|(?:ready|stalled|event|ref)\.\w+)(?!\w)")
_LISTED = re.compile(rf"({'|'.join(scope.LISTS)})\s*\.\s*(exists|all)\s*\(\s*([A-Za-z_]\w*)\s*,")
_FAILING = re.compile(rf"failing_for\s*(<=?|>=?|[!=]=)\s*duration\s*\(\s*({_LITERAL})\s*\)")
_SUSPENDED = re.compile(r"suspended(?:\s*(==|!=)\s*(true|false))?")
_LENGTH = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS = {"h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def read(source: str) -> Node:
    """Return what an expression that compiles demands."""
    if _BEYOND.search(source) or _BEYOND_BARE.search(blanked(source)):
        return ANYTHING
    return _read(source, wanted=True, entry="")


def facts_of(node: Node) -> Iterator[Fact]:
    """Yield every single demand, also those on the entries of lists."""
    if isinstance(node, Fact):
        yield node
        if node.body is not None:
            yield from facts_of(node.body)
    else:
        for part in node.parts:
            yield from facts_of(part)


def _read(source: str, *, wanted: bool, entry: str) -> Node:
    source = _unwrapped(source)
    bare = _outermost(source)
    if _CHOICE.search(bare):
        return ANYTHING
    for sign, together in (("||", not wanted), ("&&", wanted)):
        cuts = [found.start() for found in re.finditer(re.escape(sign), bare)]
        if cuts:
            bounds = zip([0, *(cut + 2 for cut in cuts)], [*cuts, len(source)], strict=True)
            parts = tuple(_read(source[start:end], wanted=wanted, entry=entry) for start, end in bounds)
            return All(parts) if together else Either(parts)
    nots = _NOTS.match(source)
    if nots is None:
        return _fact(source, wanted=wanted, entry=entry)
    if _OPERATORS.search(bare, nots.end()):
        return ANYTHING
    return _read(source[nots.end() :], wanted=wanted != bool(nots.group().count("!") % 2), entry=entry)


def _outermost(source: str) -> str:
    """Return an expression with everything in strings and brackets blanked out, letter by letter."""
    bare, depth = "", 0
    for letter in blanked(source):
        depth -= letter in ")]}"
        bare += "_" if depth else letter
        depth += letter in "([{"
    return bare


def _unwrapped(source: str) -> str:
    source = source.strip()
    while source.startswith("(") and re.fullmatch(r"\(_*\)", _outermost(source)):
        source = source[1:-1].strip()
    return source


def _fact(source: str, *, wanted: bool, entry: str) -> Node:
    """Return the demand of one simple test; anything that is none demands nothing."""
    if source in ("true", "false"):
        return ANYTHING if (source == "true") == wanted else NEVER
    if entry:
        field = re.compile(rf"(?<![\w.]){entry}\.(\w+)")
        return _of_text(source, field, f"{ENTRY}.", wanted=wanted)
    if (found := _SUSPENDED.fullmatch(source)) is not None:
        return Fact("suspended", "in", (found.group(2) or "true",), wanted == (found.group(1) != "!="))
    if (found := _FAILING.fullmatch(source)) is not None:
        return _of_time(found.group(1) if wanted else _OPPOSITE[found.group(1)], found.group(2)[1:-1])
    if (found := _LISTED.match(source)) is not None:
        return _of_list(source, found, wanted=wanted)
    return _of_text(source, _KEY, "", wanted=wanted)


def _of_time(sign: str, length: str) -> Node:
    if not _LENGTH.fullmatch(length):
        return ANYTHING
    seconds = sum((Fraction(number) * _UNITS[unit] for number, unit in _PART.findall(length)), Fraction(0))
    return Fact("failing_for", sign, seconds=seconds)


def _of_list(source: str, found: re.Match[str], *, wanted: bool) -> Node:
    """Return what `exists` or `all` demands of the entries; what is not so of all is otherwise of one."""
    name, macro, entry = found.groups()
    if not re.fullmatch(r"[^()]*\(_*\)", _outermost(source)):
        return ANYTHING
    body = _read(source[found.end() : -1], wanted=wanted, entry=entry)
    return Fact(name, macro if wanted else {"exists": "all", "all": "exists"}[macro], body=body)


def _of_text(source: str, key: re.Pattern[str], prefix: str, *, wanted: bool) -> Node:
    """Return the demand of a comparison of one variable with words."""
    named = key.search(blanked(source))
    if named is None:
        return ANYTHING
    name, words = prefix + named.group(1), tuple(word[1:-1] for word in _WORD.findall(source))
    shape = _WORD.sub("'", source[: named.start()] + "$" + source[named.end() :])
    shape = re.sub(r"\s+", "", shape)
    if shape in ("$=='", "'==$", "$!='", "'!=$"):
        return Fact(name, "in", words, wanted == ("==" in shape))
    if re.fullmatch(r"\$in\[(?:'(?:,')*,?)?\]", shape):
        return Fact(name, "in", words, wanted)
    function = re.fullmatch(r"\$\.(contains|startsWith|endsWith)\('\)", shape)
    return ANYTHING if function is None else Fact(name, function.group(1), words, wanted)
