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
    `number` is what a comparison compares with: seconds, or a count.
    """

    key: str
    operation: str
    words: tuple[str, ...] = ()
    wanted: bool = True
    number: Fraction = Fraction(0)
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
SIZE = "size"
"""Stands before the name of a list whose entries are counted."""

_BEYOND = re.compile(r"""\\|'''|\"\"\"""")
_BEYOND_BARE = re.compile(r'//|(?<!\w)[rRbB]{1,2}"')
_LITERAL = r"""(?:'[^'\n]*'|"[^"\n]*")"""
_WORD = re.compile(_LITERAL)
_CHOICE = re.compile(r"(?<![.\[])\?")
_NOTS = re.compile(r"(?:!\s*)+")
_IN = re.compile(r"(?<!\w)in(?!\w)")
_OPERATORS = re.compile(r"[=<>+\-*/%]|(?<!\w)in(?!\w)")
_KEY = re.compile(r"(?<![\w.])(health|(?:ready|stalled|event|ref)\.\w+|(?:object|old)(?:\.[A-Za-z_]\w*)+)(?![\w(])")
_LISTS = "|".join(scope.LISTS)
_LISTED = re.compile(rf"({_LISTS})\s*\.\s*(exists|all)\s*\(\s*([A-Za-z_]\w*)\s*,")
_COMPARED = re.compile(r"<=|>=|==|!=|<|>")
_DURATION = re.compile(rf"duration\s*\(\s*({_LITERAL})\s*\)")
_COUNT = re.compile(rf"(workload\.\w+)|{SIZE}\s*\(\s*({_LISTS})\s*\)|({_LISTS})\s*\.\s*{SIZE}\s*\(\s*\)")
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SUSPENDED = re.compile(r"suspended(?:\s*(==|!=)\s*(true|false))?")
_LENGTH = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS = {"h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}
_MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
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
    compared = _compared(source)
    if compared is not None and compared[0] == compared[2] and _PATH.fullmatch(compared[0]):
        return NEVER if compared[1] in (("<", ">", "!=") if wanted else ("<=", ">=", "==")) else ANYTHING
    if entry:
        field = re.compile(rf"(?<![\w.]){entry}\.(\w+)")
        return _of_text(source, field, f"{ENTRY}.", wanted=wanted)
    if (found := _SUSPENDED.fullmatch(source)) is not None:
        return Fact("suspended", "in", (found.group(2) or "true",), wanted == (found.group(1) != "!="))
    if (found := _LISTED.match(source)) is not None:
        return _of_list(source, found, wanted=wanted)
    measured = _measured(*compared, wanted=wanted) if compared is not None else None
    return measured if measured is not None else _of_text(source, _KEY, "", wanted=wanted)


def _compared(source: str) -> tuple[str, str, str] | None:
    """Return both sides of the only comparison of a test, with its sign between them; None where there is none."""
    bare = _outermost(source)
    signs = list(_COMPARED.finditer(bare))
    if len(signs) != 1 or _IN.search(bare):
        return None
    return source[: signs[0].start()].strip(), signs[0].group(), source[signs[0].end() :].strip()


def _measured(left: str, sign: str, right: str, *, wanted: bool) -> Node | None:
    """Return what is demanded of a duration or a count, on whichever side it stands; None where it is neither."""
    if left != "failing_for" and not _COUNT.fullmatch(left):
        left, sign, right = right, _MIRROR[sign], left
    sign = sign if wanted else _OPPOSITE[sign]
    if left == "failing_for":
        return _of_time(sign, right)
    counted = _COUNT.fullmatch(left)
    if counted is None:
        return None
    key = counted.group(1) or f"{SIZE}.{counted.group(2) or counted.group(3)}"
    return Fact(key, sign, number=Fraction(right)) if _NUMBER.fullmatch(right) else ANYTHING


def _of_time(sign: str, source: str) -> Node:
    length = _DURATION.fullmatch(source)
    if length is None or not _LENGTH.fullmatch(length.group(1)[1:-1]):
        return ANYTHING
    parts = _PART.findall(length.group(1))
    seconds = sum((Fraction(number) * _UNITS[unit] for number, unit in parts), Fraction(0))
    return Fact("failing_for", sign, number=seconds)


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
