"""Frozen values to JSON-able data and back, by their type annotations: how the ledger keeps what must survive.

Limits: dataclasses, enums, datetimes, tuples, string-keyed mappings, unions with None and plain scalars; that is all
the model uses. Unknown keys are ignored and missing ones take the field's default, so an older row can be read.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import TypeVar

T = TypeVar("T")


def encode(value: object) -> object:
    """Return `value` as dictionaries, lists and scalars. Raises TypeError for what the model does not use."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    names = _names(type(value))
    if names is not None:
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list | frozenset):
        return [encode(item) for item in value]
    raise TypeError(f"cannot keep a {type(value).__name__}")


def decode(kind: type[T], data: object) -> T:
    """Return the value of type `kind` that `encode` made `data` of. Raises ValueError or TypeError."""
    return typing.cast("T", _decode(kind, data))


def _decode(kind: object, data: object) -> object:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_optional(typing.get_args(kind), data)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), data)
    if origin is not None and issubclass(origin, Mapping):
        item = typing.get_args(kind)[1]
        return {key: _decode(item, value) for key, value in _mapping(data).items()}
    if isinstance(kind, typing.NewType):
        return _decode(kind.__supertype__, data)
    if isinstance(kind, type):
        return _decode_class(kind, data)
    raise TypeError(f"cannot read a {kind!r}")


def _decode_optional(options: tuple[object, ...], data: object) -> object:
    if data is None:
        return None
    wanted = [option for option in options if option is not types.NoneType]
    return _decode(wanted[0], data)


def _decode_tuple(items: tuple[object, ...], data: object) -> object:
    if not isinstance(data, list):
        raise TypeError(f"a list was expected, not {type(data).__name__}")
    if items[-1] is Ellipsis:
        return tuple(_decode(items[0], item) for item in data)
    return tuple(_decode(kind, item) for kind, item in zip(items, data, strict=True))


def _decode_class(kind: type, data: object) -> object:
    if issubclass(kind, Enum):
        return kind(data)
    if kind is datetime:
        return datetime.fromisoformat(str(data))
    names = _names(kind)
    if names is not None:
        raw, hints = _mapping(data), _hints(kind)  # type: ignore[arg-type] # a class can be hashed
        return kind(**{name: _decode(hints[name], raw[name]) for name in names if name in raw})
    if kind is float and isinstance(data, int):
        return float(data)
    if not isinstance(data, kind):
        raise TypeError(f"a {kind.__name__} was expected, not {type(data).__name__}")
    return data


_hints = functools.cache(typing.get_type_hints)
"""Working them out anew for each value is half of what a restart costs."""


def _names(kind: type) -> tuple[str, ...] | None:
    """Return the fields of a data class or a named tuple; None for any other type."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    return getattr(kind, "_fields", None)


def _mapping(data: object) -> Mapping[str, object]:
    if not isinstance(data, Mapping):
        raise TypeError(f"an object was expected, not {type(data).__name__}")
    return data
