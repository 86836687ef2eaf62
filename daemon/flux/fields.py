"""Reading JSON that may be anything: every reader returns the empty value for what is absent or of the wrong shape.

An object from the cluster is never a reason to raise: tenants write specs by hand, CRDs change between versions.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
LONGEST = 9_223_372_036.0
"""Seconds of Go's longest duration; a longer one is refused by Flux, though the schema lets it through."""
DIGITS = 64
"""Characters of a duration worth reading: Go's longest, in every unit at once, has 40."""
ZERO_TIME = "0001-01-01"
"""Go's zero time: an absent one, written out."""


def mapping(value: object) -> Mapping[str, object]:
    """Return the value if it is an object, else an empty one."""
    if isinstance(value, dict):  # by far the most: asking an abstract class costs ten times as much
        return value
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[object]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else ()


def text(value: object) -> str:
    """Return the value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int:
    """Return the value if it is an integer, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def texts(value: object) -> dict[str, str]:
    """Return the string entries of an object."""
    return {key: item for key, item in mapping(value).items() if isinstance(item, str)}


def moment(value: object) -> datetime | None:
    """Return an RFC 3339 time as aware UTC, or None for what is none."""
    if not isinstance(value, str) or value.startswith(ZERO_TIME):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def seconds(value: object) -> float | None:
    """Return a Go duration ("1h2m3.5s") in seconds, or None for what is none."""
    if not isinstance(value, str) or len(value) > DIGITS:
        return None
    parts = PART.findall(value)
    if not parts or "".join(amount + unit for amount, unit in parts) != value:
        return None
    total = sum(float(amount) * UNITS[unit] for amount, unit in parts)
    return total if total <= LONGEST else None
