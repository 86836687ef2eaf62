"""Messages with holes: a small, logic-less part of Jinja2, checked at load and unable to fail at run time.

The only file that knows jinja2. Allowed are values, `if`, one level of `for` and a few filters; calls, arithmetic and
assignments are refused at load, because the sandbox alone does not stop `'a' * 10 ** 9`.

Limits: 2,000 characters of source and of result; control and invisible formatting characters are dropped, so a message
from the cluster can't move a terminal's cursor or turn text around. Escaping for a medium is the notifier's.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
        filled = scope.fill({name: value for name, value in values.items() if name in self.uses})
        filled |= {name: _one_line(filled[name]) for name in (*scope.FIELDS, *scope.TEXTS) if name in self.uses}
        try:
            filled |= {name: scope.loaded(filled[name]) for name in scope.LAZY if name in self.uses}
            return clean("".join(_capped(self._compiled.generate(filled))))
        except Exception as error:  # noqa: BLE001 - a value of any shape may meet any filter; a message must still leave
            return clean(f"{self._static.strip()} [not filled in: {error}]")


def compile_template(source: str, *, file: str = "", line: int = 0, column: int = 0) -> Template:
    """Compile a message whose first character stands at file:line:column. Raises ConfigError with the place."""

    def refuse(text: str, row: int = 1) -> NoReturn:
        raise ConfigError(Problem(text, file, line and line + row - 1, column if row == 1 else 0))

    if len(source) > MAX_LENGTH:
        refuse(f"the text has {len(source)} characters, at most {MAX_LENGTH} are allowed")
    try:
        tree = _ENV.parse(source)
        for text, row in _refusals(tree):
            refuse(text, row)
        compiled = _ENV.from_string(tree)
    except jinja2.TemplateSyntaxError as error:
        refuse(error.message or "this is no template", error.lineno)
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


def _refusals(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    """Yield what the allowed part of the language does not have, with its line."""
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            yield (
                f"{type(node).__name__.lower()} is not allowed in a text: only values, if, for and filters",
                node.lineno,
            )
        elif isinstance(node, nodes.For) and any(node.find_all(nodes.For)):
            yield "a for inside a for is not allowed", node.lineno
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            yield f"unknown filter {node.name!r}, there are {', '.join(sorted(FILTERS))}", node.lineno
        elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
            fields = scope.FIELDS.get(node.node.name, ())
            if fields and node.attr not in fields:
                yield f"{node.node.name} has no field {node.attr!r}, only {', '.join(fields)}", node.lineno
    for name in sorted(meta.find_undeclared_variables(tree) - scope.NAMES):
        yield f"unknown variable {name!r}, there are {', '.join(sorted(scope.NAMES))}", 1
