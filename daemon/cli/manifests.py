"""Objects from a file as kubectl prints or applies them: YAML or JSON, to plain data.

Limit: aliases are refused, which kubectl never writes: a few lines of them can stand for more than memory holds.
"""

from typing import BinaryIO

import orjson
import yaml

from daemon.model.errors import ConfigError, Problem

DEEPEST = 200
"""Levels: the deepest object that Kubernetes lets be written, a schema, has a few dozen."""
TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Plain(yaml.CSafeLoader):
    """Leaves a time as text, as the API server writes it; an impossible one would be an error without a place."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the library's own shape
        first: [each for each in resolvers if each[0] != TIMESTAMP]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def read_manifests(file: BinaryIO) -> list[object]:
    """Return the documents of a file as JSON has them. Raises ConfigError for what is neither YAML nor plain data."""
    name = file.name
    text = file.read()
    try:
        _refuse_snares(text, name)
        found = orjson.loads(orjson.dumps(list(yaml.load_all(text, _Plain))))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        words = str(getattr(error, "problem", None) or "not YAML")
        raise ConfigError(Problem(words, file=name, line=line, column=column)) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(Problem(f"this is no object as Kubernetes has them: {error}", file=name)) from error
    return found if isinstance(found, list) else []


def _refuse_snares(text: bytes, name: str) -> None:
    """Refuse what the library would build until memory or its stack ends."""
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        words = "aliases are not allowed: write the value out" if isinstance(event, yaml.AliasEvent) else ""
        words = f"nested deeper than {DEEPEST} levels" if depth > DEEPEST else words
        if words:
            mark = event.start_mark
            line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
            raise ConfigError(Problem(words, file=name, line=line, column=column))
