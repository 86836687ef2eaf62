"""Messages with holes: a small, logic-less part of Jinja2, checked at load and unable to fail at run time.

The only file that knows jinja2. Allowed are values, `if`, one level of `for` and a few filters; calls, arithmetic and
assignments are refused at load, because the sandbox alone does not stop `'a' * 10 ** 9`.

Limits: 2,000 characters of source and of result; control and invisible formatting characters are dropped, so a message
from the cluster can't move a terminal's cursor or turn text around. Escaping for a medium is the notifier's.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NoReturn

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from daemon.model.errors import ConfigError, Problem
from daemon.rules import scope

MAX_LENGTH = 2_000
"""Characters of a template and of what it renders; a Slack section holds 3,000."""
FILTERS = frozenset(
    {"default", "first", "join", "last", "length", "lower", "map", "trim", "truncate", "unique", "upper"}
)
"""None of them can make more than it was given by more than a separator."""
_ALLOWED = (
    nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.If, nodes.For,
    nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Concat, nodes.Filter,
    nodes.Keyword, nodes.List, nodes.Tuple, nodes.Test,
)  # fmt: skip
_HOLE = re.compile(r"\{\{.*?(?:\}\}|$)|\{%.*?(?:%\}|$)", re.DOTALL)
_ENV = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=False)


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled message."""

    source: str
    uses: frozenset[str]
    _compiled: jinja2.Template = field(repr=False, compare=False)
    _static: str = field(default="", repr=False, compare=False)

    def render(self, values: Mapping[str, object]) -> str:
        """Return the message for one object; never raises: what can't be filled in is said in the text."""
        filled = {name: scope.filled(name, values.get(name)) for name in self.uses}
        filled |= {name: _one_line(filled[name]) for name in (*scope.FIELDS, *scope.TEXTS) if name in self.uses}
        try:
            filled |= {name: scope.loaded(filled[name]) for name in scope.LAZY if name in self.uses}
            return clean("".join(_capped(self._compiled.generate(filled))))
        except Exception as error:  # noqa: BLE001 - a value of any shape may meet any filter; a message must still leave
            return clean(f"{self._static.strip()} [not filled in: {error}]")


def compile_template(source: str, *, file: str = "", line: int = 0, column: int = 0) -> Template:
    """Compile a message whose first character stands at file:line:column. Raises ConfigError with every place."""

    def refuse(*found: tuple[str, int]) -> NoReturn:
        places = dict.fromkeys(
            (*_row(source, offset), text) for text, offset in sorted(found, key=lambda each: each[1])
        )
        raise ConfigError(
            *(Problem(text, file, line and line + row - 1, column and column + at - 1) for row, at, text in places)
        )

    if len(source) > MAX_LENGTH:
        refuse((f"the text has {len(source)} characters, at most {MAX_LENGTH} are allowed", 0))
    try:
        tree = _ENV.parse(source)
        wrong = [(text, _offset(source, row, pattern)) for text, row, pattern in _refusals(tree)]
        if wrong:
            refuse(*wrong)
        compiled = _ENV.from_string(tree)
    except jinja2.TemplateSyntaxError as error:
        refuse((error.message or "this is no template", _offset(source, error.lineno, "")))
    static = "".join(str(node.data) for node in tree.find_all(nodes.TemplateData))
    return Template(source, frozenset(meta.find_undeclared_variables(tree)), compiled, static)


def clean(text: str) -> str:
    """Return the text without control, surrogate and invisible formatting characters, at most 2,000 of them."""
    kept = [letter for letter in text if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs")]
    short = "".join(kept).strip()
    return short if len(short) <= MAX_LENGTH else short[: MAX_LENGTH - 1] + "…"


def _one_line(value: object) -> object:
    """Return a text, or the texts of a map, without line ends: only the template itself makes lines."""
    if isinstance(value, dict):
        return {key: _one_line(item) for key, item in value.items()}
    return " ".join(value.split()) if isinstance(value, str) else value


def _capped(pieces: Iterator[str]) -> Iterator[str]:
    """Pass pieces on until there is more than will be kept."""
    length = 0
    for piece in pieces:
        yield piece[: MAX_LENGTH * 4]
        length += len(piece)
        if length > MAX_LENGTH * 4:
            return


def _row(source: str, offset: int) -> tuple[int, int]:
    """Return row and column of an offset, both from 1."""
    return source.count("\n", 0, offset) + 1, offset - source.rfind("\n", 0, offset)


def _offset(source: str, row: int, pattern: str) -> int:
    """Return where the code that a pattern finds stands, in the row or behind it; else where that row's code begins."""
    start = sum(len(line) + 1 for line in source.split("\n")[: row - 1])
    holes = [hole.span() for hole in _HOLE.finditer(source) if hole.end() > start]
    for begins, ends in holes if pattern else ():
        found = re.compile(pattern).search(source, max(begins, start), ends)
        if found is not None:
            return found.end() - len(found.group(found.lastindex or 0))
    return max(start, holes[0][0]) if holes else start


def _refusals(tree: nodes.Template) -> Iterator[tuple[str, int, str]]:
    """Yield what the allowed part of the language does not have, with its line and how it is written."""
    for node in tree.find_all(nodes.Node):
        row, name = node.lineno, type(node).__name__.lower()
        if not isinstance(node, _ALLOWED):
            yield f"{name} is not allowed in a text: only values, if, for and filters", row, ""
        elif isinstance(node, nodes.For) and any(node.find_all(nodes.For)):
            yield "a for inside a for is not allowed", row, ""
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            text = f"unknown filter {node.name!r}, there are {', '.join(sorted(FILTERS))}"
            yield text, row, rf"\|\s*({re.escape(node.name)})\b"
        elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
            fields = scope.FIELDS.get(node.node.name, ())
            if fields and node.attr not in fields:
                text = f"{node.node.name} has no field {node.attr!r}, only {', '.join(fields)}"
                yield text, row, rf"\b{node.node.name}\s*\.\s*({node.attr})\b"
    for name in sorted(meta.find_undeclared_variables(tree) - scope.NAMES):
        near = get_close_matches(name, scope.NAMES, 1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        rows = [node.lineno for node in tree.find_all(nodes.Name) if node.name == name]
        text = f"unknown variable {name!r}, there are {', '.join(sorted(scope.NAMES))}{hint}"
        yield text, min(rows), rf"(?<![\w.'\"]){name}\b"
