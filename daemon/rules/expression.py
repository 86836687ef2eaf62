"""A rule's test in CEL, Flux's own expression language: compiled once, evaluated to true, false or an error.

The only file that knows the CEL library. Its traps are handled here: a run-time error comes back as a *truthy value*,
so only a BOOL that `is True` counts; the iteration budget raises; and nothing limits memory, so whatever could grow a
string is refused at load.

Of Flux's extensions it has strings, optional values and encoders, and bindings besides. Limits: the library has no
sets, and compares a whole number with a fraction only where the type of one is not known (`object`), not in `workload`.
2,000 characters; nesting depth 32 and 10,000 iterations (both the library's). Columns inside a folded YAML scalar (`>`
or a plain one over several lines) are those of the joined text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_optional, ext_strings

from daemon.flux.fields import seconds
from daemon.model.errors import ConfigError, Problem
from daemon.rules import scope, words

MAX_LENGTH = 2_000
"""Characters of one expression (promises: fault 44)."""
MAX_PLUS = 8
"""Additions in one expression: nested bindings of x + x double a string each time; eight give at most 256 times it."""
MAX_ENCODES = 4
"""Calls of base64.encode in one expression: each makes a third more, so four one in another three times as much."""
GROWING = ("replace", "join", "format")
"""String functions whose result can be the product of two messages: 32 kB times 32 kB is a gigabyte."""

BUDGET = "budget exceeded"
"""What the library says of an expression that takes more than its 10,000 iterations."""
COMBINED = 60
"""Tests that are asked together at most: beyond that, nothing is gained."""
HELD = "1"

_TEXT_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)
_TYPES: dict[str, cel.Type] = {
    "object": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "old": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "event": _TEXT_MAP,
    "health": cel.Type.STRING,
    "failing_for": cel.Type.DURATION,
    "ready": _TEXT_MAP,
    "stalled": _TEXT_MAP,
    "ref": _TEXT_MAP,
    "suspended": cel.Type.BOOL,
    "dependencies": cel.Type.List(_TEXT_MAP),
    "dependents": cel.Type.List(_TEXT_MAP),
    "workload": cel.Type.Map(cel.Type.STRING, cel.Type.INT),
}
NAMES = frozenset(_TYPES)
"""Every variable that an expression may read."""
_NOT_LOADED: dict[str, object] = {name: {} for name in scope.LAZY}
_ENV = cel.NewEnv(
    variables=_TYPES,
    extensions=[
        ext_optional.ExtOptional(),
        ext_strings.ExtStrings(),
        ext_bindings.ExtBindings(),
        ext_encoders.ExtEncoders(),
    ],
)
_NO_CODE = re.compile(
    r"(?P<comment>//[^\n]*)"
    r"|(?<!\w)(?:[rR][bB]?|[bB][rR])(?:'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'[^'\n]*'|\"[^\"\n]*\")"
    r"|'''(?:[^\\]|\\[\s\S])*?'''|\"\"\"(?:[^\\]|\\[\s\S])*?\"\"\""
    r"|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
)
"""Comments and string literals, as CEL has them: raw ones know no escapes, those in three quotes go over lines."""
_NAME = re.compile(r"(?<![\w.])([A-Za-z_]\w*)")
_FIELD = re.compile(r"(?<![\w.])([a-z]+)\.\??([A-Za-z_]\w*)(?!\w|\()")
_GROWING = re.compile(rf"\.({'|'.join(GROWING)})\s*\(")
_ENCODE = re.compile(r"(?<![\w.])base64\s*\.\s*encode(?!\w)")
_LIST = re.compile(rf"(?<![\w.])({'|'.join(scope.LISTS)})\b\s*")
_MACRO = re.compile(r"\.\s*(filter|exists|exists_one|all|map)\s*\(\s*([A-Za-z_]\w*)\s*,")
_ENTRY = re.compile(r"\[[^\]]*\]\s*\.\??([A-Za-z_]\w*)(?!\w|\()")
_PATTERN = re.compile(r"(?<!\w)matches\s*\((?:[^()]*,)?\s*([rR]?\"+)\s*\)")
_AGE = re.compile(
    r"\bfailing_for\s*[<>=!]=?\s*duration\(\s*['\"]([^'\"]+)['\"]\s*\)"
    r"|\bduration\(\s*['\"]([^'\"]+)['\"]\s*\)\s*[<>=!]=?\s*failing_for\b"
)
_BAD_PATTERN = "invalid regular expression:"
_CONVERSION = re.compile(r"(?<![\w.])(duration|timestamp)\s*\(\s*([rR]?\"+)\s*\)")
_FORMS = {
    "duration": "no duration: write it as Go does, such as 5m, 24h or 1h30m (there is no unit for days)",
    "timestamp": "no moment: write it with its zone, such as 2026-01-31T22:00:00Z",
}
"""What is told of a literal that its conversion never takes."""
_PLACE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer: true, false, or None with what went wrong. An error is never false and never true."""

    value: bool | None
    error: str = ""

    @property
    def ran_out(self) -> bool:
        """Say whether it was stopped because it took too many steps: the next time it would cost as much (fault 43)."""
        return self.value is None and BUDGET in self.error


TRUE, FALSE = Evaluation(value=True), Evaluation(value=False)


class Activation:
    """The variables of one object, converted once and shared by all rules of its kind."""

    __slots__ = ("_context", "_loaded", "_values", "answers")

    def __init__(self, values: Mapping[str, object], needed: frozenset[str] = NAMES) -> None:
        """Keep the needed values; the raw objects are loaded when an expression first reads one."""
        self._values = {name: scope.filled(name, values.get(name)) for name in needed}
        self._loaded = False
        self._context: cel.Activation | None = None
        self.answers: dict[Combined, str | None] = {}
        """What combined tests said of these values."""

    def context(self, *, raw: bool) -> cel.Activation:
        """Return the library's context; `raw` says that `object` or `old` is read."""
        if raw and not self._loaded:
            self._values |= {name: scope.loaded(self._values[name]) for name in scope.LAZY if name in self._values}
            self._loaded = True
            self._context = None
        if self._context is None:
            shown = self._values if self._loaded else self._values | _NOT_LOADED
            self._context = _ENV.Activation(shown)
        return self._context


def activation(values: Mapping[str, object], needed: frozenset[str] = NAMES) -> Activation:
    """Build the shared context of one object; `object` and `old` may be functions that return the parsed JSON.

    `needed` names the variables that will be read; what is not among them is never asked of `values`.
    """
    return Activation(values, needed)


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled test. `uses` names the variables it reads."""

    source: str
    uses: frozenset[str]
    _compiled: cel.Expression = field(repr=False, compare=False)

    @property
    def ages(self) -> tuple[float, ...]:
        """Return the seconds that it compares `failing_for` with, where they stand beside it as a duration."""
        found = (seconds(before or behind) for behind, before in _AGE.findall(self.source))
        return tuple(age for age in found if age is not None)

    def evaluate(self, given: Activation) -> Evaluation:
        """Answer for one object; never raises."""
        try:
            result = self._compiled.eval(given.context(raw=not self.uses.isdisjoint(scope.LAZY)))
            answer = result.value()
        except RuntimeError as error:
            return Evaluation(None, _tidy(str(error)))
        if answer is True:
            return TRUE
        if answer is False:
            return FALSE
        return Evaluation(None, _tidy(str(answer)))


class Combined:
    """Tests that are asked together: one call into the library costs as much as evaluating a few of them.

    The answer comes back as one text with a digit for each. A test that cannot be evaluated leaves no answer at all,
    and then they must be asked one by one; so must all of them where one is too deep to stand inside another.
    """

    __slots__ = ("_compiled", "_raw")

    def __init__(self, tests: Sequence[Expression]) -> None:
        """Combine tests that read the same raw objects, at most COMBINED of them."""
        # a line end behind each: it may end in a comment
        digits = (f"(({test.source}\n) ? '{HELD}' : '0')" for test in tests)
        self._compiled: cel.Expression | None = None
        with suppress(RuntimeError):
            self._compiled = _ENV.compile(f"[{', '.join(digits)}].join('')")
        self._raw = any(not test.uses.isdisjoint(scope.LAZY) for test in tests)

    def held(self, given: Activation) -> str | None:
        """Return for one object a digit for each test, HELD where it holds; None when one cannot be told."""
        if self not in given.answers:
            given.answers[self] = self._ask(given)
        return given.answers[self]

    def _ask(self, given: Activation) -> str | None:
        if self._compiled is None:
            return None
        try:
            result = self._compiled.eval(given.context(raw=self._raw))
            return str(result.value()) if result.type() == cel.Type.STRING else None
        except RuntimeError:
            return None


def compile_expression(source: str, *, file: str = "", line: int = 0, column: int = 0) -> Expression:
    """Compile a test whose first character stands at file:line:column. Raises ConfigError with every exact place."""

    def refuse(*found: tuple[str, int, int]) -> NoReturn:
        places = dict.fromkeys((row, at, text) for text, row, at in found)
        raise ConfigError(
            *(Problem(text, file, line and line + row - 1, column and column + at - 1) for row, at, text in places)
        )

    if len(source) > MAX_LENGTH:
        text = f"the expression has {len(source)} characters, at most {MAX_LENGTH} are allowed: split the rule"
        refuse((text, 1, 1))
    bare = blanked(source)
    wrong = [(text, *_row(source, offset)) for text, offset in (*_refusals(bare), *_literals(source, bare))]
    try:
        compiled = _ENV.compile(source)
    except RuntimeError as error:
        refuse(*sorted(wrong + list(_complaints(str(error), source)), key=lambda each: each[1:]))
    if wrong:
        refuse(*sorted(wrong, key=lambda each: each[1:]))
    kind = compiled.return_type()
    if kind != cel.Type.BOOL:
        name = kind.name().lower()
        refuse((f"the expression must be true or false, this one is {name}: compare it with == or in", 1, 1))
    return Expression(source, frozenset(_NAME.findall(bare)) & frozenset(_TYPES), compiled)


def _row(source: str, offset: int) -> tuple[int, int]:
    """Return row and column of an offset, both from 1."""
    return source.count("\n", 0, offset) + 1, offset - source.rfind("\n", 0, offset)


def _complaints(error: str, source: str) -> Iterator[tuple[str, int, int]]:
    """Yield what the library's compiler says, in words, with row and column; of syntax errors only the first."""
    found = [(int(row), int(at), text) for row, at, text in _PLACE.findall(error)]
    if not found or found[0][0] < 1:
        yield "the expression is nested too deeply (limit 32): split it", 1, 1
        return
    for row, at, message in found[:1] if "Syntax error" in found[0][2] else found:
        text, name = source.split("\n")[row - 1], words.unknown_name(message)
        start = text.rfind(name, 0, at - 1 + len(name)) if name else -1
        start = at - 1 if start < 0 else start
        call = "." not in name and text[start + len(name) :].lstrip().startswith("(")
        told = words.of_compiler(message, tuple(_TYPES), call=call)
        if told:
            yield told, row, start + 1


def _literals(source: str, bare: str) -> Iterator[tuple[str, int]]:
    """Yield what is wrong with the regular expressions, durations and moments of an expression, with its offset."""
    for found in _PATTERN.finditer(bare):
        error = _failure(f"''.matches({source[found.start(1) : found.end(1)]})")
        if _BAD_PATTERN in error:
            yield f"this is no regular expression (RE2): {error.partition(_BAD_PATTERN)[2].strip()}", found.start(1)
    for found in _CONVERSION.finditer(bare):
        literal = source[found.start(2) : found.end(2)]
        if _failure(f"{found.group(1)}({literal})"):
            yield f"{literal} is {_FORMS[found.group(1)]}", found.start(2)


def _failure(call: str) -> str:
    """Return why a call with a literal always fails; empty where it does not, or where it does not even compile."""
    try:
        result = _ENV.compile(call).eval(_ENV.Activation({}))
    except RuntimeError:
        return ""  # the literal itself is broken: the whole expression does not compile either
    return str(result.value()) if result.type() == cel.Type.ERROR else ""


def blanked(source: str) -> str:
    """Return an expression with quotes in the place of its string literals, and spaces in that of its comments.

    What is left is code, and stands where it stood.
    """
    return _NO_CODE.sub(lambda found: (" " if found["comment"] else '"') * len(found.group()), source)


def _refusals(bare: str) -> Iterator[tuple[str, int]]:
    """Yield what the library would let through, with its offset; string literals are already blanked out."""
    plus = [index for index, letter in enumerate(bare) if letter == "+"]
    for index in plus[MAX_PLUS : MAX_PLUS + 1]:
        yield f"at most {MAX_PLUS} additions are allowed in one expression", index
    for encode in list(_ENCODE.finditer(bare))[MAX_ENCODES : MAX_ENCODES + 1]:
        yield (
            f"base64.encode() is allowed at most {MAX_ENCODES} times in one expression: each makes it grow",
            encode.start(),
        )
    for found in _GROWING.finditer(bare):
        yield f"{found.group(1)}() can grow without bound: use contains(), matches() or exists()", found.start()
    for found in _FIELD.finditer(bare):
        name, attribute = found.groups()
        fields = scope.FIELDS.get(name, ()) if name in _TYPES else ()
        if fields and attribute not in fields:
            yield f"{name} has no field {attribute!r}, only {', '.join(fields)}", found.start(2)
    for found in _LIST.finditer(bare):
        for attribute, offset in _fields_of_entries(bare, found.end()):
            if attribute not in scope.OBJECT_FIELDS:
                known = ", ".join(scope.OBJECT_FIELDS)
                yield f"an entry of {found.group(1)} has no field {attribute!r}, only {known}", offset


def _fields_of_entries(bare: str, at: int) -> Iterator[tuple[str, int]]:
    """Yield every field that is read of the entries of a list whose name ends at `at`, with its offset."""
    entry = _ENTRY.match(bare, at)
    if entry is not None:
        yield entry.group(1), entry.start(1)
    while (macro := _MACRO.match(bare, at)) is not None:
        at = _closing(bare, macro.end())
        read = re.compile(rf"(?<![\w.]){macro.group(2)}\.\??([A-Za-z_]\w*)(?!\w|\()")
        yield from ((field.group(1), field.start(1)) for field in read.finditer(bare, macro.end(), at))
        if macro.group(1) != "filter":
            return  # what comes behind is about something else than entries


def _closing(bare: str, at: int) -> int:
    """Return the offset behind the bracket that closes the one before `at`."""
    depth = 1
    while at < len(bare) and depth:
        depth += {"(": 1, ")": -1}.get(bare[at], 0)
        at += 1
    return at


def _tidy(error: str) -> str:
    """Return the library's error in one line without its status word."""
    text = error.split(": ", 1)[-1] if error.split(": ", 1)[0].isupper() or "_" in error.split(": ", 1)[0] else error
    return re.sub(r"\s*\[[A-Z_]+\]$", "", text).replace("\n", " ")
