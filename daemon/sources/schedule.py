"""Cron: the only file with APScheduler. A job does nothing but put a signal; the core decides what it means.

Times are UTC: around a change of clocks a local 02:30 may not exist (dependencies: APScheduler 3).
"""

import asyncio
from collections.abc import Mapping

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from daemon.model.ports import Clock, Inbox
from daemon.model.signals import CronFired

GRACE = 60
"""Seconds a job may be late before it is skipped: a busy pod pauses for more than APScheduler's default of 1."""


class Schedule:
    """Puts CronFired for every named schedule."""

    def __init__(self, clock: Clock, schedules: Mapping[str, str]) -> None:
        """Fire by these five-field cron lines, by name."""
        self._clock = clock
        self._schedules = schedules

    async def run(self, inbox: Inbox) -> None:
        """Fire until cancelled."""
        scheduler = AsyncIOScheduler(timezone="UTC")
        for name, line in sorted(self._schedules.items()):
            trigger = CronTrigger.from_crontab(line, timezone="UTC")
            scheduler.add_job(self._fire, trigger, args=(inbox, name), misfire_grace_time=GRACE, coalesce=True)
        scheduler.start()
        try:
            await asyncio.Event().wait()
        finally:
            scheduler.shutdown(wait=False)

    async def _fire(self, inbox: Inbox, name: str) -> None:
        inbox.put(CronFired(self._clock.now(), name))
