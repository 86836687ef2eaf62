"""Clocks: the machine's, a faster one, and the loop's own."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from daemon.runtime.clock import LoopClock, ScaledClock, SystemClock

AT = datetime(2026, 3, 1, tzinfo=UTC)


async def nothing() -> None:
    return


def test_the_machines_time_is_aware_and_does_not_go_back():
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    first = clock.monotonic()
    assert clock.monotonic() >= first


@pytest.mark.parametrize("clock", [SystemClock(), ScaledClock(1000), LoopClock(AT)], ids=["system", "scaled", "loop"])
@pytest.mark.looptime
async def test_work_that_ends_in_time_is_done(clock):
    assert await clock.within(5, nothing())


@pytest.mark.parametrize("clock", [SystemClock(), ScaledClock(1000), LoopClock(AT)], ids=["system", "scaled", "loop"])
@pytest.mark.looptime
async def test_work_that_takes_too_long_is_cut_off(clock):
    assert not await clock.within(5, asyncio.Event().wait())


@pytest.mark.looptime
async def test_a_faster_clock_sleeps_less(looptime):
    clock = ScaledClock(60)
    await clock.sleep(120)
    assert looptime == 2
    assert not await clock.within(60, asyncio.Event().wait())
    assert looptime == 3


def test_a_faster_clock_begins_at_the_present():
    system = SystemClock()
    before = system.now()
    clock = ScaledClock(10)
    assert before <= clock.now()
    assert clock.now() - clock.now() <= timedelta(0)


def test_a_clock_that_stands_still_is_refused():
    with pytest.raises(ValueError, match="above zero"):
        ScaledClock(0)


@pytest.mark.looptime
async def test_the_loops_clock_moves_with_the_loop():
    clock = LoopClock(AT)
    assert clock.now() == AT
    await clock.sleep(90)
    assert clock.now() == AT + timedelta(seconds=90)
    assert clock.monotonic() == 90


@pytest.mark.looptime
async def test_sleeping_less_than_nothing_is_no_sleep(looptime):
    await SystemClock().sleep(-5)
    await LoopClock(AT).sleep(-5)
    assert looptime == 0
