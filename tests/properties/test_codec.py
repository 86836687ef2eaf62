"""What the ledger keeps comes back as it was: every value of the model, made from its own annotations."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.model import effects, findings, incidents, notices, objects, refs, remedies, signals
from daemon.model.codec import decode, encode

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-9))])
SCALARS: dict[object, st.SearchStrategy[object]] = {
    types.NoneType: st.none(),
    str: st.text(max_size=12),
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 100).map(float),
    datetime: st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES),  # noqa: DTZ001 - bounds are naive
}
UNIONS = {effects.Commit, signals.Unread}
"""Never kept: the rows of one are of many kinds, and each is a row of its own; the other is gone when it is read."""
VALUES = tuple(
    found
    for module in (refs, findings, objects, incidents, remedies, notices, signals, effects)
    for found in vars(module).values()
    if isinstance(found, type)
    and (dataclasses.is_dataclass(found) or hasattr(found, "_fields"))
    and found.__module__ == module.__name__
    and found not in UNIONS
)


def made(kind: object) -> st.SearchStrategy[typing.Any]:
    """Return values of a type of the model."""
    if isinstance(kind, typing.NewType):
        return made(kind.__supertype__)
    if kind in SCALARS:
        return SCALARS[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
        hints = typing.get_type_hints(kind)
        names = getattr(kind, "_fields", None) or [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
        return st.builds(typing.cast("type[object]", kind), **{name: made(hints[name]) for name in names})
    return gathered(typing.get_origin(kind), typing.get_args(kind))


def gathered(origin: object, items: tuple[object, ...]) -> st.SearchStrategy[typing.Any]:
    """Return values of a type that is made of others: a tuple, a mapping, or one of several."""
    parts = [made(item) for item in items if item is not ...]
    if origin is tuple:
        return st.lists(parts[0], max_size=2).map(tuple) if items[-1] is ... else st.tuples(*parts)
    if origin is Mapping:
        return st.dictionaries(*parts, max_size=2)
    assert origin in (typing.Union, types.UnionType), origin
    return st.one_of(parts)


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_value_of_the_model_comes_back_as_it_was(kind, data):
    value = data.draw(made(kind))
    kept = orjson.loads(orjson.dumps(encode(value)))
    assert decode(kind, kept) == value


@settings(max_examples=50, deadline=None)
@given(made(incidents.Incident), st.data())
def test_a_row_that_lacks_what_has_a_default_is_read_with_the_default(incident, data):
    row = encode(incident)
    assert isinstance(row, dict)
    optional = [field.name for field in dataclasses.fields(incident) if field.name not in REQUIRED]
    gone = data.draw(st.sampled_from(optional))
    found = decode(incidents.Incident, {key: item for key, item in row.items() if key != gone} | {"from_later": 1})
    assert getattr(found, gone) == getattr(
        incidents.Incident(**{name: getattr(incident, name) for name in REQUIRED}), gone
    )
    assert all(getattr(found, name) == getattr(incident, name) for name in row if name != gone)


REQUIRED = ("id", "root", "cause", "severity", "state", "opened_at", "updated_at")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(REQUIRED) | st.text(max_size=5), inner),
    max_leaves=10,
)


@given(st.sampled_from(VALUES), JSON)
def test_a_row_of_any_shape_is_read_or_refused_and_never_crashes(kind, row):
    try:
        found = decode(kind, row)
    except (TypeError, ValueError):
        return
    assert isinstance(found, kind)
