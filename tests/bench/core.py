"""The core alone, on virtual time: steps, rules, memory, a cascade, a recording."""

import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import orjson

from daemon.engine.step import adopt, step
from daemon.engine.world import Limits, World
from daemon.flux.decode import decode_object, signal_of
from daemon.model.notices import Reason
from daemon.model.objects import Condition, ObjectState
from daemon.model.refs import Target
from daemon.model.signals import ObjectChanged, Synced
from daemon.replay.recording import record_line, record_sync
from daemon.replay.replay import Player, replay
from daemon.rules.compile import compile_rules
from daemon.rules.ruleset import RuleSet
from tests.bench.matter import CLUSTER, NAMESPACE, T0, Json, kustomization, later, rules
from tests.bench.table import Row, Watch, per_second

RESOURCE = "kustomizations.kustomize.toolkit.fluxcd.io"
TARGETS = (Target("slack"),)
OBJECTS = 1000
CHILDREN = 100
ENOUGH = 0.7
"""Seconds of steps that give a steady figure."""
Change = Callable[[ObjectState, int], ObjectState]
"""What an object says next, by a number that is another one each time."""


async def rows(_folder: Path) -> AsyncIterator[Row]:
    """Measure."""
    yield _decoding()
    for part in (_memory, _steps, _compiling, lambda: cascade(_one_rule(), "cascade of 101"), _replay):
        for row in part():
            yield row


def world(ruleset: RuleSet, objects: int = OBJECTS) -> World:
    """Return a World that is awake and knows so many healthy objects."""
    made = World(limits=Limits(cluster=CLUSTER, targets=TARGETS, expected=frozenset({RESOURCE})))
    adopt(made, ruleset, T0)
    for index in range(objects):
        step(made, signal(index, 0.0, initial=True))
    step(made, Synced(T0, RESOURCE))
    return made


def signal(index: int, at: float, *, version: int = 0, reason: str = "", initial: bool = False) -> ObjectChanged:
    """Return what the core is given when an object is so."""
    return _decoded(kustomization(index, version=version, reason=reason), at, initial=initial)


def _decoded(raw: Json, at: float, *, initial: bool = False) -> ObjectChanged:
    made = signal_of(raw, CLUSTER, later(at), initial=initial)
    if not isinstance(made, ObjectChanged):
        raise TypeError("a Kustomization must become an ObjectChanged")
    return made


def _decoding() -> Row:
    line = orjson.dumps(kustomization(7))

    def decode() -> int:
        for _ in range(200):
            decode_object(orjson.loads(line), CLUSTER)
        return 200

    return Row("decode a Kustomization, JSON to value", per_second(decode, 0.5), "1/s", note=f"{len(line):,} B each")


def _memory() -> Iterator[Row]:
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = world(compile_rules([("bench.yaml", rules(1))]), 2000)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    each = grown / len(kept.objects)
    yield Row("memory per 1,000 objects in the World", each / 1024 * 1000 / 1024, "MiB", note="2,000 measured")


def _steps() -> Iterator[Row]:
    for number, first in ((1, 0.05), (50, None), (100, 5.0)):
        ruleset = compile_rules([("bench.yaml", rules(number))])
        yield _quiet(ruleset, number, first)
        yield _changing(ruleset, number)


def _quiet(ruleset: RuleSet, number: int, first: float | None) -> Row:
    """The same state under a new version each time: what a controller's heartbeat does."""
    return _stepped(f"quiet step, {number} rules on the kind", ruleset, first, lambda state, _: state)


def _changing(ruleset: RuleSet, number: int) -> Row:
    """Another message each time, so that every rule of the kind must be asked."""
    first = 5.0 if number == 100 else None
    return _stepped(f"changing step, {number} rules on the kind", ruleset, first, _renewed)


def _stepped(name: str, ruleset: RuleSet, first: float | None, change: Change) -> Row:
    took = a_step(world(ruleset), [signal(index, 1.0).new for index in range(OBJECTS)], change)
    return Row(name, took * 1000, "ms", first, note=f"{1 / took:,.0f} steps/s")


def a_step(made: World, states: Sequence[ObjectState], change: Change) -> float:
    """Return the seconds of one step, while all these objects change again and again."""
    done, spent, version = 0, 0.0, 10_000
    while spent < ENOUGH:
        batch = []
        for state in states:
            version += 1
            batch.append(ObjectChanged(later(1.0), replace(change(state, version), resource_version=str(version))))
        watch = Watch()
        for each in batch:
            step(made, each)
        spent += watch.seconds
        done += len(batch)
    return spent / done


def _renewed(state: ObjectState, version: int) -> ObjectState:
    ready = Condition("Ready", "True", "ReconciliationSucceeded", f"Applied revision: main@sha1:{version}", 1)
    return replace(state, conditions=(ready,))


def _compiling() -> Iterator[Row]:
    text = rules(100)
    watch = Watch()
    compile_rules([("bench.yaml", text)])
    yield Row("compile 100 rules", watch.seconds * 1000, "ms")


def _one_rule() -> RuleSet:
    return compile_rules([("bench.yaml", rules(1))])


def cascade(ruleset: RuleSet, name: str, namespace: str = NAMESPACE) -> Iterator[Row]:
    """One root and a hundred that wait for it: how long until people are told of one, with everybody in it."""
    player = Player(Limits(cluster=CLUSTER, targets=TARGETS, expected=frozenset({RESOURCE})), ruleset)
    objects = [kustomization(each, needs=("app-00000",) if each else ()) for each in range(CHILDREN + 1)]
    for raw in objects:
        raw["metadata"]["namespace"] = namespace
        player.play(_decoded(raw, 0.0, initial=True))
    player.play(Synced(T0, RESOURCE))
    signals = [_decoded(_failed(raw, index, namespace), 60.2 + index * 0.3) for index, raw in enumerate(objects)]
    signals[0] = replace(signals[0], at=later(60.0))
    watch = Watch()
    for made in signals:
        player.play(made)
    player.run_until(later(180.0))
    took = watch.seconds
    told = [each for each in player.told.notifications if each["reason"] == Reason.OPENED.value]
    members = {str(member.ref) for case in player.world.cases.values() for member in case.incident.members}
    at = (player.world.cases[next(iter(player.world.cases))].incident.opened_at - later(60.0)).total_seconds()
    spoken = player.told.notifications[0]
    yield Row(f"{name}: incidents", len(player.world.cases), "", 1, note=f"{len(members)} of 101 are members")
    yield Row(f"{name}: first messages", len(told), "", 1, note=f"{len(player.told.notifications)} in all")
    yield Row(f"{name}: root told after", _seconds(spoken) - 60.0, "s", 15, note=f"virtual; opened at {at:g} s")
    yield Row(f"{name}: decided in", took * 1000, "ms")


def _seconds(document: object) -> float:
    if not isinstance(document, dict):
        raise TypeError("a notification must be a document")
    return (datetime.fromisoformat(str(document["at"])) - T0).total_seconds()


def _failed(raw: Json, index: int, namespace: str) -> Json:
    """The same object: the first fails, the others wait for it."""
    waits = ("DependencyNotReady", f"dependency '{namespace}/app-00000' is not ready")
    reason, message = waits if index else ("BuildFailed", "kustomize build failed: BuildFailed")
    raw["metadata"]["resourceVersion"] = str(2000 + index)
    raw["status"]["conditions"][0] |= {"status": "False", "reason": reason, "message": message}
    return raw


def _replay() -> Iterator[Row]:
    """A recording of an upgrade: every object once in progress and once well, 20 facts a second; one in fifty fails."""
    lines = [record_line(T0, "ADDED", kustomization(each)) for each in range(OBJECTS)]
    lines.append(record_sync(T0, RESOURCE))
    for turn in range(2):
        for index in range(OBJECTS):
            reason = "BuildFailed" if turn == 0 and index % 50 == 0 else ""
            fact = kustomization(index, version=10_000 + turn * OBJECTS + index, reason=reason)
            lines.append(record_line(later(10 + (turn * OBJECTS + index) / 20), "MODIFIED", fact))
    ruleset = compile_rules([("bench.yaml", rules(50))])
    watch = Watch()
    report = replay(lines, ruleset, cluster=CLUSTER)
    took = watch.seconds
    found = report["incidents"]
    note = f"{len(lines) / took:,.0f} lines/s, {len(found) if isinstance(found, list) else 0} incidents"
    yield Row("replay of 3,001 lines, 50 rules", took, "s", note=note)
