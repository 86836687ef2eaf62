"""Messages with holes: a small, logic-less part of Jinja2, checked at load and unable to fail at run time.

With `hole` the only file that knows jinja2. Allowed are values, `if`, one level of `for` and a few filters; calls,
arithmetic and assignments are refused at load, because the sandbox alone does not stop `'a' * 10 ** 9`.

Limits: 2,000 characters of source and of result; control and invisible formatting characters are dropped, so a message
from the cluster can't move a terminal's cursor or turn text around. Escaping for a medium is the notifier's.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from types import MappingProxyType
from typing import NoReturn

import jinja2
from jinja2 import meta, nodes

from daemon.model.errors import ConfigError, Problem
from daemon.rules import scope
from daemon.rules.hole import FILTERS, Environment, Lasting, without_failing

MAX_LENGTH = 2_000
"""Characters of a template and of what it renders; a Slack section holds 3,000."""
_ALLOWED = (
    nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.If, nodes.For,
    nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Concat, nodes.Filter,
    nodes.Keyword, nodes.List, nodes.Tuple, nodes.Test,
)  # fmt: skip
_HOLE = re.compile(r"\{\{.*?(?:\}\}|$)|\{%.*?(?:%\}|$)", re.DOTALL)
_ENV = Environment()
_Bound = Mapping[str, str]
"""Names that a loop gives to the entries of a list, with the name of the list; empty: to something else."""


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled message."""

    source: str
    uses: frozenset[str]
    _compiled: jinja2.Template = field(repr=False, compare=False)
    _static: str = field(default="", repr=False, compare=False)

    def render(self, values: Mapping[str, object]) -> str:
        """Return the message for one object; never raises: what can't be filled in is said where it would stand."""
        filled = {name: scope.filled(name, values.get(name)) for name in self.uses}
        filled |= {name: _one_line(filled[name]) for name in (*scope.FIELDS, *scope.TEXTS) if name in self.uses}
        filled |= {name: Lasting(seconds=v.total_seconds()) for name, v in filled.items() if isinstance(v, timedelta)}
        try:
            filled |= {name: scope.loaded(filled[name]) for name in scope.LAZY if name in self.uses}
            return clean("".join(_capped(self._compiled.generate(filled))))
        except Exception as error:  # noqa: BLE001 - whatever a fact does when it is loaded, a message must still leave
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
        uses = frozenset(meta.find_undeclared_variables(tree))
        static = "".join(str(node.data) for node in tree.find_all(nodes.TemplateData))
        without_failing(tree)
        compiled = _ENV.from_string(tree)
    except jinja2.TemplateSyntaxError as error:
        refuse((error.message or "this is no template", _offset(source, error.lineno, "")))
    return Template(source, uses, compiled, static)


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
            return found.start(found.lastindex or 0)
    return max(start, holes[0][0]) if holes else start


def _refusals(tree: nodes.Template) -> Iterator[tuple[str, int, str]]:
    """Yield what the allowed part of the language does not have, with its line and how it is written."""
    for node in tree.find_all(nodes.Node):
        row, name = node.lineno, type(node).__name__.lower()
        if not isinstance(node, _ALLOWED):
            yield f"{name} is not allowed in a text: only values, if, for and filters", row, ""
        elif isinstance(node, nodes.For) and any(node.find_all(nodes.For)):
            yield "a for inside a for is not allowed", row, ""
        elif isinstance(node, nodes.For) and not isinstance(node.target, nodes.Name):
            yield "a for has one variable: {% for each in dependents %}", row, ""
        elif isinstance(node, nodes.Filter):
            yield from _of_filter(node)
        elif isinstance(node, nodes.Test) and node.name not in _ENV.tests:
            yield f"there is no test {node.name!r}", row, rf"\bis\s+(?:not\s+)?({re.escape(node.name)})\b"
    yield from _misspelt(tree, MappingProxyType({}))


def _of_filter(node: nodes.Filter) -> Iterator[tuple[str, int, str]]:
    """Tell of a filter that there is not, by its own name or as the one that `map` applies."""
    applied = [arg.value for arg in node.args[:1] if isinstance(arg, nodes.Const)] if node.name == "map" else []
    for name in (node.name, *map(str, applied)):
        if name not in FILTERS:
            text = f"unknown filter {name!r}, there are {', '.join(sorted(FILTERS))}"
            yield text, node.lineno, rf"(?:\|\s*|['\"])({re.escape(name)})\b"
    if node.name == "map" and node.args and not applied:
        yield "map wants the name of a filter in quotes, or attribute='name'", node.lineno, r"\|\s*(map)\b"


def _misspelt(node: nodes.Node, bound: _Bound) -> Iterator[tuple[str, int, str]]:
    """Yield every field that is read of a variable, or of an entry of a list, which has none of that name."""
    if isinstance(node, nodes.For):
        yield from _misspelt(node.iter, bound)
        names = (name.name for name in node.find_all(nodes.Name) if name.ctx == "store")
        inner = {**bound, "loop": "", **dict.fromkeys(names, _listed(node.iter, bound))}
        for child in (*node.body, *([node.test] if node.test is not None else [])):
            yield from _misspelt(child, inner)
        for child in node.else_:
            yield from _misspelt(child, bound)
        return
    if isinstance(node, nodes.Name):
        yield from _unknown_name(node, bound)
    elif isinstance(node, nodes.Getattr):
        yield from _unknown_field(node, node.attr, rf"\.\s*({re.escape(node.attr)})\b", bound)
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        yield from _unknown_field(node, node.arg.value, rf"['\"]({re.escape(node.arg.value)})['\"]", bound)
    elif isinstance(node, nodes.Filter):
        yield from _of_attribute(node, bound)
    for child in node.iter_child_nodes():
        yield from _misspelt(child, bound)


def _unknown_name(node: nodes.Name, bound: _Bound) -> Iterator[tuple[str, int, str]]:
    name = node.name
    if node.ctx == "load" and name not in scope.NAMES and name not in bound:
        near = get_close_matches(name, scope.NAMES, 1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        text = f"unknown variable {name!r}, there are {', '.join(sorted(scope.NAMES))}{hint}"
        yield text, node.lineno, rf"(?<![\w.'\"]){name}\b"


def _unknown_field(
    node: nodes.Getattr | nodes.Getitem, field: str, pattern: str, bound: _Bound
) -> Iterator[tuple[str, int, str]]:
    of = node.node
    if isinstance(of, nodes.Name):
        pattern = rf"\b{of.name}\s*(?:\[\s*)?{pattern}"
    listed = _listed(of, bound)
    if listed:
        text = f"{listed} is a list: read {field!r} of its entries, with a for or {listed} | map(attribute={field!r})"
        yield text, node.lineno, pattern
        return
    name, fields = _fields(of, bound)
    if fields and field not in fields:
        yield f"{name} has no field {field!r}, only {', '.join(fields)}", node.lineno, pattern


def _of_attribute(node: nodes.Filter, bound: _Bound) -> Iterator[tuple[str, int, str]]:
    """Tell of a field that a filter reads of every entry of a list."""
    listed = _listed(node.node, bound)
    places = [pair.value for pair in node.kwargs if pair.key == "attribute"]
    places += node.args[1:2] if node.name in ("join", "unique") else []
    for place in places if listed else ():
        if isinstance(place, nodes.Const) and place.value not in scope.OBJECT_FIELDS:
            known = ", ".join(scope.OBJECT_FIELDS)
            text = f"an entry of {listed} has no field {place.value!r}, only {known}"
            yield text, place.lineno, rf"['\"]({re.escape(str(place.value))})['\"]"


def _fields(node: nodes.Node, bound: _Bound) -> tuple[str, tuple[str, ...]]:
    """Return what a value is called and the only fields that it has; none where nobody knows."""
    if isinstance(node, nodes.Name) and node.name not in bound:
        return node.name, scope.FIELDS.get(node.name, ())
    if isinstance(node, nodes.Name):
        listed = bound[node.name]
    elif isinstance(node, nodes.Getitem) or (isinstance(node, nodes.Filter) and node.name in ("first", "last")):
        listed = _listed(node.node, bound)
    else:
        listed = ""
    return f"an entry of {listed}", scope.OBJECT_FIELDS if listed else ()


def _listed(node: nodes.Node | None, bound: _Bound) -> str:
    """Return the name of the list whose entries a value has; empty where it is something else."""
    if isinstance(node, nodes.Filter) and node.name == "unique":
        return _listed(node.node, bound)
    return node.name if isinstance(node, nodes.Name) and node.name in scope.LISTS and node.name not in bound else ""
