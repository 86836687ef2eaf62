"""A row of the table: what was measured, beside what a first version must show."""

import operator
import resource
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.runtime.clock import SystemClock

CLOCK = SystemClock()
AT_LEAST, AT_MOST = ">=", "<="
HOLDS: Mapping[str, Callable[[float, float], bool]] = {AT_LEAST: operator.ge, AT_MOST: operator.le}
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. Without `first` it is only told."""

    name: str
    measured: float
    unit: str
    first: float | None = None
    bound: str = AT_MOST
    note: str = ""

    @property
    def verdict(self) -> str:
        """Return ok, over (it misses the figure), or a dash when there is none."""
        if self.first is None:
            return "-"
        return "ok" if HOLDS[self.bound](self.measured, self.first) else "over"

    def document(self) -> dict[str, object]:
        """Return the row for machines."""
        row: dict[str, object] = {"name": self.name, "measured": round(self.measured, 6), "unit": self.unit}
        if self.first is not None:
            row |= {"first": self.first, "bound": self.bound, "ok": self.verdict == "ok"}
        return row | ({"note": self.note} if self.note else {})


class Watch:
    """Seconds of the machine since it was made."""

    def __init__(self) -> None:
        """Begin now."""
        self._begun = CLOCK.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds so far."""
        return CLOCK.monotonic() - self._begun


def per_second(work: Callable[[], int], at_least: float = 1.0) -> float:
    """Do some work (it returns how much it did) again and again for so many seconds; return how much a second."""
    done, watch = 0, Watch()
    while watch.seconds < at_least:
        done += work()
    return done / watch.seconds


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value that a share (0 to 1) of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def resident() -> int:
    """Return the bytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def show(row: Row) -> None:
    """Print one row as it comes."""
    limit = f"{row.bound} {row.first:,g}" if row.first is not None else ""
    line = f"{row.name:<58} {figure(row.measured):>12} {row.unit:<8} {limit:>10}  {row.verdict:<5} {row.note}"
    sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.flush()


def figure(value: float) -> str:
    """Return a number with as many digits as say something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
