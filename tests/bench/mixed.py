"""The core with fifty rules of every kind, on virtual time: changes a second, one step, memory, a cascade.

Limit: one process and no ledger; `live.changes` has the way from watch bytes to the commit with the same rules.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from daemon.engine.step import adopt, next_deadline, step
from daemon.engine.world import Limits, World
from daemon.model.effects import Effect, Send
from daemon.model.notices import Delivery, Sent
from daemon.model.objects import ObjectState
from daemon.model.signals import Delivered, ObjectChanged, Signal, Synced, Tick
from daemon.rules.ruleset import RuleSet
from tests.bench.core import TARGETS, Change, a_step, cascade
from tests.bench.matter import CLUSTER, T0
from tests.bench.mixture import PHASES, RULES, day, estate, mixed, renewed
from tests.bench.table import AT_LEAST, MEGABYTE, Row, Watch, quantile, resident

RESOURCE = "everything"
OBJECTS = 1000
MANY = 10_000
SIGNALS = 12_000
"""A round and a half: what fails in it recovers in it."""
LOOKS = PHASES
"""Looks at each of ten thousand objects before memory is taken again: one round."""


async def rows(_folder: Path) -> AsyncIterator[Row]:
    """Measure."""
    ruleset = mixed()
    for part in (_throughput, _day):
        for row in part(ruleset):
            yield row
    for row in cascade(ruleset, f"cascade of 101, {RULES} mixed rules", "team-10"):
        yield row
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        listed, changed, note = await asyncio.wrap_future(pool.submit(weigh, MANY))
    yield Row(f"memory of {MANY:,} objects, mixed rules: listed", listed, "MiB", 128, note=f"{RSS}; {note}")
    yield Row(f"memory of {MANY:,} objects, mixed rules: changed", changed, "MiB", 128, note=f"{LOOKS} changes each")


RSS = "growth of RSS, core alone"


def awake(ruleset: RuleSet, states: list[ObjectState]) -> World:
    """Return a World that is awake and knows these objects."""
    made = World(limits=Limits(cluster=CLUSTER, targets=TARGETS, expected=frozenset({RESOURCE})))
    adopt(made, ruleset, T0)
    for state in states:
        step(made, ObjectChanged(T0, state, initial=True))
    step(made, Synced(T0, RESOURCE))
    return made


def weigh(objects: int) -> tuple[float, float, str]:
    """Return the MiB that a World of so many objects takes when listed and after a while; for a process of its own."""
    ruleset, before = mixed(), resident()
    states = estate(objects)
    held = Timed(awake(ruleset, states))
    gc.collect()
    listed = resident() - before
    for signal in islice(day(states), LOOKS * objects):
        held.take(signal)
    gc.collect()
    return listed / MEGABYTE, (resident() - before) / MEGABYTE, f"{len(held.world.objects):,} kept"


class Timed:
    """A World whose every step is timed; deadlines are kept, and what is sent counts as delivered at once."""

    def __init__(self, world: World) -> None:
        """Time this World."""
        self.world = world
        self.times: list[float] = []
        self.sent = 0

    def take(self, signal: Signal) -> None:
        """Let time run up to the signal, then take it in."""
        while (due := next_deadline(self.world)) is not None and due <= signal.at:
            self._step(Tick(due))
        self._step(signal)

    def _step(self, signal: Signal) -> None:
        watch = Watch()
        effects = step(self.world, signal)
        self.times.append(watch.seconds)
        for effect in effects:
            self._deliver(effect, signal)

    def _deliver(self, effect: Effect, signal: Signal) -> None:
        if isinstance(effect, Send):
            told = effect.notification
            self.sent += 1
            delivery = Delivery(told.key, told.target, told.incident.id, Sent.SENT, thread=f"{told.target}:1")
            self._step(Delivered(signal.at, delivery))


def _throughput(ruleset: RuleSet) -> Iterator[Row]:
    """What all objects say anew, and the same state under a new version: end to end wants 5,000 of it."""
    changes: tuple[tuple[str, Change], ...] = (("changing", renewed), ("quiet", lambda state, _: state))
    for name, change in changes:
        states = estate(OBJECTS)
        rate = 1 / a_step(awake(ruleset, states), states, change)
        yield Row(
            f"{name} objects, {RULES} mixed rules", rate, "1/s", 5000, AT_LEAST, "core alone; end to end wants it"
        )


def _day(ruleset: RuleSet) -> Iterator[Row]:
    states = estate(OBJECTS)
    held = Timed(awake(ruleset, states))
    signals = list(islice(day(states), SIGNALS))
    gc.collect()
    for signal in signals:
        held.take(signal)
    incidents = f"{len(held.world.cases)} incidents, {held.sent} messages"
    yield Row(f"one step, {RULES} mixed rules: p50", quantile(held.times, 0.5) * 1000, "ms", note=incidents)
    yield Row(f"one step, {RULES} mixed rules: p99", quantile(held.times, 0.99) * 1000, "ms", 20, note="of the post")
    yield Row(f"one step, {RULES} mixed rules: max", max(held.times) * 1000, "ms", note=f"{len(held.times):,} steps")
