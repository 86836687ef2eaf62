"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902), pure.

Limit: a strategic merge patch is taken as a merge patch, so lists are replaced.
"""

import copy
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


class PatchError(ValueError):
    """The patch cannot be applied to this document."""


def merged(target: Any, patch: Any) -> Any:
    """Return `target` after the merge patch; null removes a key."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def patched(target: Json, operations: Sequence[Json]) -> Json:
    """Return `target` after the operations, all or none. Raises PatchError."""
    document: Any = copy.deepcopy(target)
    for operation in operations:
        try:
            document = _one(document, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise PatchError(f"the operation {operation.get('op')} {operation.get('path')} failed: {error}") from error
    if not isinstance(document, dict):
        raise PatchError("the result is not an object")
    return document


def _one(document: Any, operation: Json) -> Any:
    name, path = operation["op"], _parts(operation["path"])
    match name:
        case "add":
            return _put(document, path, copy.deepcopy(operation["value"]), insert=True)
        case "replace":
            _at(document, path)
            return _put(document, path, copy.deepcopy(operation["value"]), insert=False)
        case "remove":
            return _take(document, path)
        case "test":
            if _at(document, path) != operation["value"]:
                raise PatchError("the test failed")
            return document
        case "move" | "copy":
            value = copy.deepcopy(_at(document, _parts(operation["from"])))
            rest = _take(document, _parts(operation["from"])) if name == "move" else document
            return _put(rest, path, value, insert=True)
    raise PatchError(f"there is no operation {name!r}")


def _parts(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise PatchError(f"a path begins with a slash: {path!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _at(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _put(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    holder, last = _at(document, path[:-1]), path[-1]
    if not isinstance(holder, list):
        holder[last] = value
    elif insert:
        holder.insert(len(holder) if last == "-" else int(last), value)
    else:
        holder[int(last)] = value
    return document


def _take(document: Any, path: list[str]) -> Any:
    holder = _at(document, path[:-1])
    del holder[int(path[-1]) if isinstance(holder, list) else path[-1]]
    return document
