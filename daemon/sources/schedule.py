"""Cron: the only file with APScheduler. A job does nothing but put a signal; the core decides what it means.

Times are UTC: around a change of clocks a local 02:30 may not exist (dependencies: APScheduler 3).
"""

import asyncio
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from daemon.model.cron import Cron, parse
from daemon.model.ports import Clock, Inbox
from daemon.model.signals import CronFired

GRACE = 60
"""Seconds a job may be late before it is skipped: a busy pod pauses for more than APScheduler's default of 1."""

log = structlog.get_logger(__name__)


class Schedule:
    """Puts CronFired for every named schedule; they may be changed while it runs."""

    def __init__(self, clock: Clock, schedules: Mapping[str, str] = MappingProxyType({})) -> None:
        """Fire by these five-field cron lines, by name."""
        self._clock = clock
        self._schedules = schedules
        self._changed = asyncio.Event()

    def take(self, schedules: Mapping[str, str]) -> None:
        """Fire by these from now on and by no others; what stays the same keeps its turn."""
        self._schedules = schedules
        self._changed.set()

    async def run(self, inbox: Inbox) -> None:
        """Fire until cancelled."""
        scheduler = AsyncIOScheduler(timezone="UTC")
        scheduler.start()
        kept: dict[str, Cron] = {}
        try:
            while True:
                self._changed.clear()
                wanted = _readable(self._schedules)
                for name in [name for name, cron in kept.items() if wanted.get(name) != cron]:
                    scheduler.remove_job(name)
                for name in [name for name, cron in wanted.items() if kept.get(name) != cron]:
                    self._add(scheduler, inbox, name, wanted[name])
                kept = wanted
                await self._changed.wait()
        finally:
            scheduler.shutdown(wait=False)

    def _add(self, scheduler: AsyncIOScheduler, inbox: Inbox, name: str, cron: Cron) -> None:
        more = {"id": name, "misfire_grace_time": GRACE, "coalesce": True}
        scheduler.add_job(self._fire, trigger_of(cron), args=(inbox, name), **more)

    async def _fire(self, inbox: Inbox, name: str) -> None:
        inbox.put(CronFired(self._clock.now(), name))


def _readable(schedules: Mapping[str, str]) -> dict[str, Cron]:
    """Return what can come, by name. A line that can't be read is told and left out: the others fire all the same."""
    found = {}
    for name, line in sorted(schedules.items()):
        try:
            found[name] = parse(line)
        except ValueError as error:
            log.error("a schedule is left out", procedure=name, schedule=line, error=str(error))  # noqa: TRY400 - a mistake in a file, not a bug: no traceback
    return {name: cron for name, cron in found.items() if cron.comes}


def trigger_of(cron: Cron) -> BaseTrigger:
    """Return APScheduler's trigger: its weekdays begin with Monday as 0, and it asks for days that fit both fields."""
    weekdays = [(day - 1) % 7 for day in cron.weekdays]
    if cron.either:
        return OrTrigger([_trigger(cron, day=cron.days), _trigger(cron, day_of_week=weekdays)])
    return _trigger(cron, day=cron.days, day_of_week=weekdays)


def _trigger(cron: Cron, **days: Iterable[int]) -> CronTrigger:
    fields = {"minute": cron.minutes, "hour": cron.hours, "month": cron.months, **days}
    return CronTrigger(**{name: ",".join(map(str, sorted(each))) for name, each in fields.items()}, timezone="UTC")
