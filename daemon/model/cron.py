"""A cron line: five fields as crontab(5) reads them, as the numbers they stand for.

Read where rules are loaded and where they fire, so that both mean the same. Limit: it says no moments; a library does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FIELDS = ("minute", "hour", "day", "month", "weekday")
_LIMITS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES: dict[str, dict[str, int]] = {
    "month": {name: number for number, name in enumerate(MONTHS, start=1)},
    "weekday": {name: number for number, name in enumerate(WEEKDAYS)},
}
_LAST_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Of each month, in a leap year."""
_WEEK = 7
_SATURDAY = 6
"""Where the week ends for a star: 7 is Sunday once more."""
_VALUE = r"(?:[0-9]{1,4}|[A-Za-z]{3})"
_PART = re.compile(rf"(?:\*|({_VALUE})(?:-({_VALUE}))?)(?:/([0-9]{{1,4}}))?")
_SHAPE = 'a schedule has five fields: minute hour day month weekday, such as "17 * * * *"'


@dataclass(frozen=True, slots=True)
class Cron:
    """When something comes round, in the time zone of whoever asks; Sunday is 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool = False
    """True: it comes on the days and on the weekdays, as cron has it where both are asked for; else on days that are
    both."""

    @property
    def comes(self) -> bool:
        """Say whether there is such a day in any year."""
        return self.either or any(day <= _LAST_DAYS[month - 1] for day in self.days for month in self.months)


def parse(line: str) -> Cron:
    """Read five cron fields. Raises ValueError that names the field and what is wrong with it."""
    fields = line.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(_SHAPE)
    minutes, hours, days, months, weekdays = (_numbers(name, text) for name, text in zip(_FIELDS, fields, strict=True))
    either = not any(text.startswith("*") for text in (fields[2], fields[4]))
    return Cron(minutes, hours, days, months, frozenset(day % _WEEK for day in weekdays), either)


def _numbers(name: str, text: str) -> frozenset[int]:
    return frozenset(number for part in text.split(",") for number in _of_part(name, part))


def _of_part(name: str, part: str) -> Iterator[int]:
    """Yield what one entry of a list stands for: a number, a range or everything, perhaps with a step."""
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"{name} {part!r} is none of 5, 1-5, */5 and lists of these; {_SHAPE}")
    start, end, step = found.groups()
    least, most = _span(name)
    first = least if start is None else _value(name, start)
    if end is not None:
        return _stepped(name, part, first, _end(name, first, end), step)
    return _stepped(name, part, first, most if start is None or step is not None else first, step)


def _span(name: str) -> tuple[int, int]:
    """Return the first and the last number that a star stands for."""
    least, most = _LIMITS[name]
    return least, _SATURDAY if name == "weekday" else most


def _value(name: str, text: str) -> int:
    """Return the number of a value or name of a field."""
    least, most = _LIMITS[name]
    if not text.isdigit():
        known = _NAMES.get(name, {})
        if text.lower() not in known:
            raise ValueError(f"{name} {text!r} is unknown, " + (f"there are {', '.join(known)}" if known else _SHAPE))
        return known[text.lower()]
    if not least <= int(text) <= most:
        raise ValueError(f"{name} {text} is out of range, it is {least} to {most}")
    return int(text)


def _end(name: str, first: int, text: str) -> int:
    """Return the last number of a range; a week that ends on `sun` ends with its seventh day."""
    last = _value(name, text)
    return _WEEK if name == "weekday" and last == 0 and first and not text.isdigit() else last


def _stepped(name: str, part: str, first: int, last: int, step: str | None) -> Iterator[int]:
    width = 1 if step is None else int(step)
    if last < first:
        least, most = _span(name)
        before = f"{first}-{most}," if first < most else f"{first},"
        raise ValueError(f"{name} {part} runs backwards: write {before if first <= most else ''}{least}-{last}")
    if not width:
        raise ValueError(f"{name} {part} has a step of nothing: the least is 1")
    if width > max(1, last - first):
        raise ValueError(f"{name} {part} has a step beyond its end: only {first} would ever come, so write {first}")
    yield from range(first, last + 1, width)
