"""The live path in one process, without anything in between: watch bytes in, decision committed; a storm of events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from daemon.app import WorldBrain
from daemon.engine.step import adopt
from daemon.engine.world import Limits, World
from daemon.flux.kinds import kind_of
from daemon.kube.client import KubeCluster, connect_dict
from daemon.model.effects import Inspect, RunAction, Send
from daemon.model.refs import ObjectRef, Target
from daemon.model.signals import EventSeen
from daemon.rules.compile import compile_rules
from daemon.rules.ruleset import RuleSet
from daemon.runtime.backoff import delays
from daemon.runtime.inbox import KeyedInbox
from daemon.runtime.ledger import open_ledger
from daemon.runtime.pump import Pump
from daemon.runtime.supervise import Tasks
from daemon.simulator.server import kubeconfig
from daemon.sources.objects import feeds
from tests.bench.core import RESOURCE
from tests.bench.matter import CLUSTER, kustomization, rules
from tests.bench.mixture import mixed
from tests.bench.table import AT_LEAST, CLOCK, MEGABYTE, Row, Watch, resident
from tests.bench.wire import GROUP, KIND, Wire

OBJECTS = 1000
CHANGES = 10_000
FAILING = 50
"""One change in so many says that the object fails, the next one of the same object that it is well again."""
EVENTS = 100_000
BURST = 500


@dataclass(slots=True)
class Counting:
    """Where effects end: what would have left is counted."""

    sent: int = 0

    def send(self, effect: Send) -> None:
        """Count it."""
        self.sent += bool(effect)

    def act(self, effect: RunAction) -> None:
        """Do nothing."""

    def inspect(self, effect: Inspect) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Line:
    """Inbox, pump and ledger, running."""

    inbox: KeyedInbox
    pump: Pump
    world: World
    tasks: Tasks
    faults: list[str] = field(default_factory=list)

    async def settled(self, received: int) -> None:
        """Wait until so much was received, and all of it decided and durable."""
        while self.inbox.received < received or len(self.inbox) or self.pump.unsaved():
            await CLOCK.sleep(0.002)
        heartbeat = self.pump.heartbeat
        while self.pump.heartbeat == heartbeat and len(self.inbox):
            await CLOCK.sleep(0.002)


@asynccontextmanager
async def _line(path: Path, ruleset: RuleSet) -> AsyncIterator[Line]:
    inbox = KeyedInbox()
    limits = Limits(cluster=CLUSTER, targets=(Target("slack"),), expected=frozenset({RESOURCE}), group_wait=0.0)
    brain = WorldBrain(World(limits=limits))
    ledger = await open_ledger(f"sqlite+aiosqlite:///{path}")
    try:
        pump = Pump(brain, inbox, ledger, Counting(), CLOCK)
        faults: list[str] = []
        async with Tasks("bench", CLOCK, lambda name, error: faults.append(f"{name}: {error!r}")) as tasks:
            await pump.perform(list(adopt(brain.world, ruleset, CLOCK.now())))
            tasks.keep("pump", pump.run, restart=False)
            yield Line(inbox, pump, brain.world, tasks, faults)
        if faults:
            raise RuntimeError("; ".join(faults))
    finally:
        await ledger.close()


async def changes(folder: Path) -> AsyncIterator[Row]:
    """Measure a list and a stream of changes: with fifty rules of one kind, then with fifty of every kind."""
    for name, ruleset in (("50 rules", compile_rules([("bench.yaml", rules(50))])), ("50 mixed rules", mixed())):
        async for row in _changes(folder / f"{name}.db", name, ruleset):
            yield row


async def _changes(path: Path, name: str, ruleset: RuleSet) -> AsyncIterator[Row]:
    wire = Wire([kustomization(each) for each in range(OBJECTS)])
    lines = [_change(number) for number in range(CHANGES)]
    size = sum(map(len, lines)) / CHANGES
    async with (
        wire.serve() as url,
        await connect_dict(CLUSTER, kubeconfig(url)) as cluster,
        _line(path, ruleset) as line,
    ):
        watch = Watch()
        _follow(line, cluster)
        await line.settled(OBJECTS + 1)
        yield Row(f"list 1,000 objects and decide, {name}", watch.seconds, "s", 3)
        await wire.watched.wait()
        before, merged = line.inbox.received, line.inbox.merged
        watch = Watch()
        wire.send(lines)
        await line.settled(before + CHANGES)
        took = watch.seconds
        merged = line.inbox.merged - merged
    note = f"{size:,.0f} B each; {merged:,} merged while waiting; incidents {len(line.world.cases):,}"
    yield Row(f"object changes, {name}, watch bytes to commit", CHANGES / took, "1/s", 5000, AT_LEAST, note)


def _follow(line: Line, cluster: KubeCluster) -> None:
    kind = kind_of(GROUP, KIND)
    if kind is None:
        raise LookupError(KIND)
    for feed in feeds(cluster, line.inbox, CLOCK, iter(delays, None), kinds=[kind], helm_storage=False):
        line.tasks.keep(feed.name, feed.run)


def _change(number: int) -> bytes:
    index, turn = number % OBJECTS, number // OBJECTS
    reason = "BuildFailed" if index % FAILING == 0 and turn % 2 == 0 else ""
    raw = kustomization(index, version=100_000 + number, reason=reason)
    raw["status"]["lastAppliedRevision"] = f"main@sha1:{number}"
    return orjson.dumps({"type": "MODIFIED", "object": raw}) + b"\n"


async def storm(folder: Path) -> AsyncIterator[Row]:
    """Measure a hundred thousand different events, as fast as the inbox takes them, while the pump works.

    It comes first of all: what a process has used before and given back would hide what this takes.
    """
    async with _line(folder / "storm.db", compile_rules([("bench.yaml", rules(50))])) as line:
        before, late = resident(), 0.0
        most = before
        watch = Watch()
        for start in range(0, EVENTS, BURST):
            for number in range(start, start + BURST):
                line.inbox.put(_event(number, CLOCK.now()))
            late, most = max(late, CLOCK.monotonic() - line.pump.heartbeat), max(most, resident())
            await CLOCK.sleep(0.001)
        await line.settled(EVENTS)
        took = watch.seconds
        yield Row(
            "storm of 100,000 events: absorbed in", took, "s", 12, note=f"{line.inbox.dropped:,} dropped, counted"
        )
        yield Row("storm of 100,000 events: memory", (most - before) / MEGABYTE, "MiB", 64)
        yield Row("storm of 100,000 events: oldest heartbeat", late, "s", 10)


def _event(number: int, now: datetime) -> EventSeen:
    ref = ObjectRef(CLUSTER, GROUP, KIND, "apps", f"app-{number % 10_000:05}")
    return EventSeen(now, ref, "HealthCheckFailed", f"health check failed after {number} ms", warning=True)
