"""Schedules fire at the moments that their lines say, each for itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from structlog.testing import capture_logs

from daemon.model.cron import parse
from daemon.model.signals import Arrival, CronFired
from daemon.runtime.clock import LoopClock
from daemon.sources.schedule import Schedule, trigger_of

THURSDAY = datetime(2026, 11, 26, 12, tzinfo=UTC)


def moments(line: str, count: int) -> list[str]:
    """Return the first moments of a line after a Thursday's noon."""
    trigger, found = trigger_of(parse(line)), []
    last = THURSDAY
    for _ in range(count):
        last = trigger.get_next_fire_time(last, last + timedelta(microseconds=1))
        found.append(f"{last:%a %d %b %H:%M}")
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 3 * * 0", ["Sun 29 Nov 03:00", "Sun 06 Dec 03:00"]),
        ("0 3 * * 7", ["Sun 29 Nov 03:00", "Sun 06 Dec 03:00"]),
        ("0 3 * * sun", ["Sun 29 Nov 03:00", "Sun 06 Dec 03:00"]),
        ("0 3 * * 1", ["Mon 30 Nov 03:00", "Mon 07 Dec 03:00"]),
        ("0 3 * * 5-7", ["Fri 27 Nov 03:00", "Sat 28 Nov 03:00", "Sun 29 Nov 03:00", "Fri 04 Dec 03:00"]),
        ("0 3 * * 1-5", ["Fri 27 Nov 03:00", "Mon 30 Nov 03:00"]),
        ("0 3 * * */2", ["Sat 28 Nov 03:00", "Sun 29 Nov 03:00", "Tue 01 Dec 03:00", "Thu 03 Dec 03:00"]),
        ("50/5 12 * * *", ["Thu 26 Nov 12:50", "Thu 26 Nov 12:55", "Fri 27 Nov 12:50"]),
        ("0 0 1 * *", ["Tue 01 Dec 00:00", "Fri 01 Jan 00:00"]),
        ("0 0 1 * fri", ["Fri 27 Nov 00:00", "Tue 01 Dec 00:00", "Fri 04 Dec 00:00"]),
        ("0 0 */15 dec fri", ["Fri 31 Dec 00:00", "Fri 01 Dec 00:00"]),
    ],
)
def test_a_line_comes_round_when_cron_says_so(line, expected):
    assert moments(line, len(expected)) == expected


class Inbox:
    """Keeps when what was put."""

    def __init__(self, clock: LoopClock) -> None:
        self.got: list[str] = []
        self._clock = clock

    def put(self, signal: Arrival) -> None:
        assert isinstance(signal, CronFired)
        self.got.append(f"{signal.name} {signal.at:%H:%M}")


@pytest.fixture
def clock(monkeypatch) -> LoopClock:
    """Let APScheduler, which reads the machine's time, follow the virtual loop."""
    clock = LoopClock(THURSDAY)

    class LoopTime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # a plain one is wanted
            return clock.now().astimezone(tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", LoopTime)
    monkeypatch.setattr("apscheduler.executors.base.datetime", LoopTime)
    return clock


@asynccontextmanager
async def running(schedule: Schedule, inbox: Inbox) -> AsyncIterator[None]:
    task = asyncio.ensure_future(schedule.run(inbox))  # noqa: TID251 - a test may own a task
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.looptime
async def test_a_schedule_fires_when_its_time_comes(clock):
    inbox = Inbox(clock)
    async with running(Schedule(clock, {"hourly": "17 * * * *"}), inbox):
        await asyncio.sleep(2 * 3600)
    assert inbox.got == ["hourly 12:17", "hourly 13:17"]


@pytest.mark.looptime
async def test_a_schedule_that_cannot_be_read_is_told_and_the_others_fire(clock):
    inbox = Inbox(clock)
    lines = {"a-bad": "*/0 * * * *", "never": "0 0 31 2 *", "well": "30 * * * *"}
    with capture_logs() as told:
        async with running(Schedule(clock, lines), inbox):
            await asyncio.sleep(3600)
    assert inbox.got == ["well 12:30"]
    (line,) = told
    assert (line["procedure"], line["schedule"], line["log_level"]) == ("a-bad", "*/0 * * * *", "error")
    assert "has a step of nothing" in line["error"]


@pytest.mark.looptime
async def test_a_changed_a_new_and_a_removed_schedule_are_in_force_while_it_runs(clock):
    inbox = Inbox(clock)
    schedule = Schedule(clock, {"changed": "10 * * * *", "removed": "20 * * * *"})
    async with running(schedule, inbox):
        await asyncio.sleep(1800)
        schedule.take({"changed": "40 * * * *", "new": "50 * * * *"})
        await asyncio.sleep(3600)
        schedule.take({})
        await asyncio.sleep(3600)
    assert inbox.got == ["changed 12:10", "removed 12:20", "changed 12:40", "new 12:50"]


@pytest.mark.looptime
async def test_a_schedule_that_stays_the_same_keeps_its_turn(clock):
    inbox = Inbox(clock)
    schedule = Schedule(clock, {"same": "30 * * * *"})
    async with running(schedule, inbox):
        for minute in range(59):
            schedule.take({"same": "30  * * * *", "other": f"{minute} 3 * * *"})
            await asyncio.sleep(60)
    assert inbox.got == ["same 12:30"]


@pytest.mark.looptime
async def test_a_schedule_that_is_started_again_fires_by_what_it_was_given_last(clock):
    inbox = Inbox(clock)
    schedule = Schedule(clock, {"first": "10 * * * *"})
    async with running(schedule, inbox):
        await asyncio.sleep(60)
    schedule.take({"second": "20 * * * *"})
    async with running(schedule, inbox):
        await asyncio.sleep(3000)
    assert inbox.got == ["second 12:20"]
