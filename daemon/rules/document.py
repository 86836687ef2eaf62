"""YAML text to plain data with the place of every key and value.

Built from the parser's events, so that nothing is ever constructed by a tag, an alias can't expand, and depth and
size end before memory does. Scalars follow YAML 1.2's core schema: `on`, `no` and `12:30` are strings, `017` is 17.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from daemon.model.errors import ConfigError, Problem

MAX_CHARACTERS = 1_000_000
"""One file; 200 rules are 53 kB."""
MAX_NODES = 100_000
MAX_DEPTH = 32
"""A rule is about eight levels deep."""

Path = tuple[str | int, ...]

_STANDARD = "tag:yaml.org,2002:"
_TAGS = frozenset(f"{_STANDARD}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_QUOTED = ("'", '"', "|", ">")
_ESCAPE = {
    '"': re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^xuU])"),
    "'": re.compile("''"),
}
"""How one character may be written with several, by the style of the string."""
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, object] = {
    word: value
    for value, words in ((True, "true True TRUE"), (False, "false False FALSE"), (None, "null Null NULL ~"))
    for word in (*words.split(), *([""] if value is None else []))
}


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: plain data, and where each value and each key of it stands."""

    file: str
    data: object
    values: dict[Path, Place] = field(repr=False)
    keys: dict[Path, Place] = field(repr=False)
    texts: dict[Path, Place] = field(repr=False)
    """Where the first character of each string's content stands, behind a quote or on the line after `|`."""
    folded: dict[Path, tuple[str, str, tuple[str, ...]]] = field(repr=False)
    """Of strings that YAML joined or unescaped: text, style and source lines; places in them must be found again."""

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return the place of the nearest thing known on the way to `path`."""
        path = self.written(path)
        if key and path in self.keys:
            return self.keys[path]
        while path not in self.values:
            path = path[:-1]
        return self.values[path]

    def problem(self, text: str, path: Path = (), *, key: bool = False) -> Problem:
        """Return a problem with its place and its path in the document."""
        place = self.place(path, key=key)
        return Problem(text, self.file, place.line, place.column, ".".join(str(part) for part in self.written(path)))

    def written(self, path: Path) -> Path:
        """Return a path as the file has it: without the index of the one value that stands for a list of one."""
        found: Path = ()
        for part in path:
            if part == 0 and (*found, part) not in self.values and found in self.values:
                continue
            found = (*found, part)
        return found

    def inside(self, problem: Problem, path: Path) -> Problem:
        """Return a problem found inside the string at `path`, with the place in the file where a fold moved it."""
        start = self.texts[path]
        line, column = problem.line, problem.column
        if path in self.folded and column:
            line, column = _unfold(*self.folded[path], start, line - start.line, column - start.column)
        return Problem(problem.text, self.file, line, column, ".".join(str(part) for part in path))


def read(file: str, text: str) -> tuple[list[Document], list[Problem]]:
    """Return the documents of a file and everything wrong in it; after a syntax error what stood before is kept."""
    if len(text) > MAX_CHARACTERS:
        return [], [Problem(f"the file has more than {MAX_CHARACTERS} characters: split it", file)]
    reader = _Reader(file, text)
    documents: list[Document] = []
    try:
        documents.extend(reader.documents())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        reader.problems.append(Problem(_syntax(error, reader.lines, place), file, place.line, place.column))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        reader.problems.append(Problem(f"this is not text: {error.reason}", file, line, column))
    except UnicodeError:
        reader.problems.append(Problem("this is not text: it can't be written as UTF-8", file, 1, 1))
    except ConfigError as error:
        reader.problems.extend(error.problems)
    return documents, reader.problems


class _Reader:
    """Walks the events of one file; a duplicate key is noted, what makes the rest meaningless is raised."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.problems: list[Problem] = []
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        self._nodes = 0
        self._document = Document(file, None, {}, {}, {}, {})

    def documents(self) -> Iterator[Document]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._document = Document(self.file, None, {}, {}, {}, {})
                data = self._node(next(self._events), (), 0)
                if data is not None:
                    found = self._document
                    yield Document(self.file, data, found.values, found.keys, found.texts, found.folded)

    def _node(self, event: yaml.Event, path: Path, depth: int) -> object:
        place = _place(event)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._stop(f"more than {MAX_NODES} values in one file: split it", place)
        if depth > MAX_DEPTH:
            raise self._stop(f"nested deeper than {MAX_DEPTH} levels", place)
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            raise self._stop("anchors and aliases are not allowed: write the value out", place)
        tag = event.tag if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) else None
        if tag and tag not in _TAGS:
            raise self._stop(f"the tag {tag} is not allowed", place)
        self._document.values[path] = place
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path, place)
        return self._mapping(path, depth) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path, depth)

    def _mapping(self, path: Path, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            place = _place(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise self._stop("a key must be a word", place)
            key = str(event.value)
            if key in found:
                first = self._document.keys[*path, key]
                text = f"the key {key!r} is given twice, first at {first.line}:{first.column}"
                self.problems.append(Problem(text, self.file, place.line, place.column))
            else:
                self._document.keys[*path, key] = place
            found[key] = self._node(next(self._events), (*path, key), depth + 1)
        return found

    def _sequence(self, path: Path, depth: int) -> list[object]:
        found: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._node(event, (*path, len(found)), depth + 1))
        return found

    def _scalar(self, event: yaml.ScalarEvent, path: Path, place: Place) -> object:
        self._document.texts[path] = first = self._first_character(event, place)
        last = _place(event, end=True).line
        if event.style in ("'", '"', ">") or (event.style != "|" and last > place.line):
            self._document.folded[path] = (event.value, event.style or "", tuple(self.lines[first.line - 1 : last]))
        if event.tag:
            return self._tagged(event.tag.removeprefix(_STANDARD), event.value, place)
        return event.value if event.style in _QUOTED else core(event.value)

    def _tagged(self, tag: str, value: str, place: Place) -> object:
        if tag == "str":
            return value
        found = core(value)
        if type(found).__name__ == {"null": "NoneType"}.get(tag, tag):
            return found
        raise self._stop(f"{value!r} is no {tag}", place)

    def _first_character(self, event: yaml.ScalarEvent, place: Place) -> Place:
        if event.style in ("'", '"'):
            return Place(place.line, place.column + 1)
        if event.style in ("|", ">"):
            line = next((row for row in self.lines[place.line :] if row.strip()), "")
            return Place(place.line + 1, len(line) - len(line.lstrip(" ")) + 1)
        return place

    def _stop(self, text: str, place: Place) -> ConfigError:
        return ConfigError(Problem(text, self.file, place.line, place.column))


def _place(event: yaml.Event, *, end: bool = False) -> Place:
    mark = event.end_mark if end else event.start_mark
    return Place(mark.line + 1, mark.column + 1)  # type: ignore[union-attr] # the parser's events always have marks


def core(text: str) -> object:
    """Return what a plain scalar means in YAML 1.2's core schema, without its infinities."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) <= 18:  # noqa: PLR2004 - digits that surely fit 64 bits, CEL's integer
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _unfold(text: str, style: str, lines: tuple[str, ...], start: Place, row: int, at: int) -> tuple[int, int]:
    """Return line and column of the character that stands at `at` in a row of the text of a string in a file."""
    offset = sum(len(line) + 1 for line in text.split("\n")[:row]) + at
    index = 0
    for number, line in enumerate(lines):
        column = len(line) - len(line.lstrip()) if number else start.column - 1
        while number and index < len(text) and text[index] in " \n":
            index += 1  # what stands for the end of the line before
        while column < len(line) and index < len(text):
            written = _ESCAPE[style].match(line, column) if style in _ESCAPE else None
            if written is None and line[column] != text[index]:
                break
            if index >= offset:
                return start.line + number, column + 1
            index, column = index + 1, column + (len(written.group()) if written is not None else 1)
        if index == len(text) == offset:
            return start.line + number, column + 1
    return start.line, start.column


def _syntax(error: yaml.MarkedYAMLError, lines: list[str], place: Place) -> str:
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: place.column]:
        return "a tab can't indent YAML: use spaces"
    return " ".join(part for part in (error.context, error.problem) if part) or "this is no YAML"
