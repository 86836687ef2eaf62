"""Owners of tasks: what is kept runs for ever, what fails is told, what is left is ended."""

import asyncio
from datetime import UTC, datetime

import pytest

from daemon.runtime.clock import LoopClock
from daemon.runtime.supervise import STUBBORN, Stop, TaskEnded, Tasks, first

AT = datetime(2026, 3, 1, tzinfo=UTC)


class Book:
    """What an owner was told of."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []

    def __call__(self, name: str, error: BaseException) -> None:
        self.faults.append((name, str(error)))


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.fixture
def book():
    return Book()


@pytest.mark.looptime
async def test_a_kept_task_that_raises_is_told_and_started_again(book):
    runs: list[int] = []

    async def source() -> None:
        runs.append(len(runs))
        if len(runs) < 3:
            raise OSError("cut off")
        await forever()

    async with Tasks("feeds", LoopClock(AT), book) as feeds:
        feeds.keep("objects", source)
        await asyncio.sleep(10)
        assert feeds.restarts == 2
    assert runs == [0, 1, 2]
    assert book.faults == [("feeds/objects", "cut off")] * 2


@pytest.mark.looptime
async def test_f070_a_kept_task_that_returns_is_as_wrong_as_one_that_raises(book):
    async def source() -> None:
        return

    async with Tasks("feeds", LoopClock(AT), book) as feeds:
        feeds.keep("objects", source)
        await asyncio.sleep(1)
    assert feeds.restarts >= 1
    assert book.faults[0] == ("feeds/objects", "feeds/objects ended, which it must not")


@pytest.mark.looptime
async def test_restarts_become_rarer(book, looptime):
    times = []

    async def source() -> None:
        times.append(float(looptime))
        raise OSError

    async with Tasks("feeds", LoopClock(AT), book) as feeds:
        feeds.keep("objects", source)
        await asyncio.sleep(600)
    assert 20 <= len(times) <= 50
    assert times[-1] - times[-2] >= 15


@pytest.mark.looptime
async def test_a_long_calm_run_begins_again_at_the_first_delay(book, looptime):
    times = []
    enough = asyncio.Event()

    async def source() -> None:
        times.append(float(looptime))
        if len(times) == 9:
            enough.set()
        await asyncio.sleep(300 if len(times) == 8 else 0)
        raise OSError

    async with Tasks("feeds", LoopClock(AT), book) as feeds:
        feeds.keep("objects", source)
        await enough.wait()
    assert times[8] - times[7] <= 300.8


@pytest.mark.looptime
async def test_f070_a_vital_task_that_raises_fails_its_owner_with_its_own_error(book):
    async def pump() -> None:
        raise ZeroDivisionError("a bug")

    async with Tasks("brain", LoopClock(AT), book) as brain:
        brain.keep("pump", pump, restart=False)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await brain.failure()
    assert book.faults == [("brain/pump", "a bug")]


@pytest.mark.looptime
async def test_f070_a_vital_task_that_returns_fails_its_owner(book):
    async def pump() -> None:
        return

    async with Tasks("brain", LoopClock(AT), book) as brain:
        brain.keep("pump", pump, restart=False)
        with pytest.raises(TaskEnded, match="brain/pump ended"):
            await brain.failure()


@pytest.mark.looptime
async def test_f070_a_second_vital_failure_changes_nothing(book):
    async def pump() -> None:
        raise ZeroDivisionError("first")

    async def lanes() -> None:
        await asyncio.sleep(1)
        raise OSError("second")

    async with Tasks("brain", LoopClock(AT), book) as brain:
        brain.keep("pump", pump, restart=False)
        brain.keep("lanes", lanes, restart=False)
        await asyncio.sleep(2)
        with pytest.raises(ZeroDivisionError, match="first"):
            await brain.failure()
    assert len(book.faults) == 2


@pytest.mark.looptime
async def test_a_job_that_fails_is_told_and_ends_nothing_else(book):
    async def job() -> None:
        raise OSError("no")

    async with Tasks("sinks", LoopClock(AT), book) as sinks:
        sinks.keep("other", forever)
        sinks.spawn("job", job)
        await asyncio.sleep(1)
        assert sinks.restarts == 0
    assert book.faults == [("sinks/job", "no")]


@pytest.mark.looptime
async def test_leaving_an_owner_ends_its_tasks_and_lets_them_clean_up(book):
    cleaned = []

    async def task() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(1)
            cleaned.append(1)

    async with Tasks("feeds", LoopClock(AT), book) as feeds:
        feeds.keep("one", task)
        feeds.spawn("two", task)
        await asyncio.sleep(0.1)
    assert cleaned == [1, 1]
    assert book.faults == []


@pytest.mark.looptime
async def test_a_job_that_never_began_leaves_nothing_behind(book):
    async with Tasks("sinks", LoopClock(AT), book) as sinks:
        sinks.spawn("job", forever)
    assert book.faults == []


@pytest.mark.looptime
async def test_f057_a_task_that_will_not_end_does_not_hold_the_stop(book, looptime):
    release = asyncio.Event()

    async def stuck() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with Tasks("sinks", LoopClock(AT), book) as sinks:
        sinks.spawn("stuck", stuck)
        await asyncio.sleep(1)
    assert looptime == 1 + STUBBORN
    assert book.faults == [("sinks/stuck", "it did not end within 5 s of being cancelled; it is left behind")]
    release.set()
    await asyncio.sleep(0)


@pytest.mark.looptime
async def test_f057_the_deadline_is_armed_when_stop_is_asked_for(looptime):
    stop = Stop(LoopClock(AT), grace=5)
    await asyncio.sleep(100)
    assert not stop.asked
    stop.ask("SIGTERM")
    await stop.wait()
    assert await stop.within(asyncio.sleep(3))
    stop.ask("again")
    assert not await stop.within(forever())
    assert looptime == 105
    assert (stop.asked, stop.why) == (True, "SIGTERM")


@pytest.mark.looptime
async def test_nothing_is_begun_after_the_deadline(looptime):
    stop = Stop(LoopClock(AT), grace=5)
    stop.ask("SIGTERM")
    await asyncio.sleep(10)
    assert not await stop.within(forever())
    assert looptime == 10


@pytest.mark.looptime
async def test_the_first_to_end_ends_the_waiting_and_cancels_the_rest(looptime):
    ended = []

    async def other() -> None:
        try:
            await forever()
        finally:
            ended.append("other")

    await first(asyncio.sleep(2), other())
    assert looptime == 2
    assert ended == ["other"]


@pytest.mark.looptime
async def test_the_first_to_fail_is_heard():
    async def fails() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await first(forever(), fails())


@pytest.mark.looptime
async def test_waiting_for_the_first_can_be_cancelled():
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(first(forever(), forever()), 1)
