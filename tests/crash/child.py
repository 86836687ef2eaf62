"""A daemon that dies on command: the real World, pump, lanes, ledger and Slack notifier in a process of its own.

Started once (`python tests/crash/child.py`), it loads everything and then, for each line of orders on its standard
input, forks a life: a process that serves one incident to its end, or until it is killed. It says the life's pid, and
later its exit status, a line each. Where a life dies is named in its orders: the wrappers below, handed in by
constructor, kill their own process there; what the far side knows about, the far side kills.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aiohttp

from daemon.engine.step import adopt, next_deadline, step
from daemon.engine.world import Limits, World
from daemon.model.effects import (
    Effect,
    ForgetBefore,
    Row,
    SaveDelivery,
    SaveIncident,
    SaveIntent,
    SaveOutbox,
    SaveResult,
)
from daemon.model.notices import Delivery, Notification
from daemon.model.refs import EffectId, Target
from daemon.model.remedies import ActionRequest, ActionResult, Mode, Outcome
from daemon.model.signals import ObjectChanged, Restored, Signal, Synced
from daemon.notify.slack import SlackNotifier
from daemon.rules.compile import compile_rules
from daemon.runtime.clock import SystemClock
from daemon.runtime.inbox import KeyedInbox
from daemon.runtime.lanes import Lanes
from daemon.runtime.ledger import SqlLedger, open_ledger
from daemon.runtime.pump import Pump
from daemon.runtime.supervise import Tasks
from tests.builders import Cluster, failing, ready

SLACK = Target("slack")
RULES = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: mend}
spec:
  match: {kind: [Kustomization], health: Failed}
  severity: critical
  summary: "{{ ref.name }} fails"
  remediation:
    mode: auto
    steps: [{action: reconcile}]
    recovery: proof
    limits: {attempts: 3, cooldown: 60s}
    approval: 10m
  examples:
    - {name: fires, given: [{ready: "False", reason: X}], after: 1s, expect: {state: firing}}
    - {name: quiet, given: [{ready: "True"}], after: 1s, expect: {state: none}}
---
apiVersion: fluxmedic.dev/v1
kind: Procedure
metadata: {name: proof}
spec:
  checks: [{id: R1, probe: condition, by: 30s, text: it is Ready}]
"""
LIMITS = Limits(mode=Mode.AUTO, targets=(SLACK,), group_wait=0.05, resolve_after=0.05, edit_every=0.0)
POLL = 0.01
CALM = 5
"""Looks in a row at which nothing was left to do: then a life is over."""


@dataclass(frozen=True)
class Orders:
    """Where the world of one life is, and where it must die."""

    ledger: str
    slack: str
    cluster: str
    trace: str
    die: str = ""


class Fate:
    """Ends this process at one named point, as a power cut would: nothing is flushed, nothing is closed."""

    def __init__(self, where: str, trace: str) -> None:
        self._where = where
        self._trace = Path(trace).open("a", buffering=1)  # noqa: SIM115 - open as long as the process lives

    def at(self, point: str) -> None:
        self._trace.write(f"{point}\n")
        if point == self._where:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalLedger:
    """The real ledger, with a point before and after everything it makes durable."""

    def __init__(self, ledger: SqlLedger, fate: Fate) -> None:
        self._ledger, self._fate = ledger, fate

    async def commit(self, rows: Sequence[Row]) -> None:
        names = [named(row) for row in rows]
        for name in names:
            self._fate.at(f"before the commit of {name}")
        await self._ledger.commit(rows)
        for name in names:
            self._fate.at(f"after the commit of {name}")

    async def restore(self, now: datetime) -> Restored:
        return await self._ledger.restore(now)

    async def mark_sending(self, key: EffectId) -> bool:
        self._fate.at("before mark_sending")
        known = await self._ledger.mark_sending(key)
        self._fate.at("after mark_sending")
        return known

    async def mark_executing(self, request: EffectId) -> None:
        self._fate.at("before mark_executing")
        await self._ledger.mark_executing(request)
        self._fate.at("after mark_executing")


class MortalNotifier:
    """The real Slack notifier, with a point after its answer has come and before anybody notes it."""

    def __init__(self, notifier: SlackNotifier, fate: Fate) -> None:
        self._notifier, self._fate = notifier, fate

    async def send(self, notification: Notification, thread: str) -> Delivery:
        delivery = await self._notifier.send(notification, thread)
        self._fate.at(f"after the answer to {notification.reason.value}")
        return delivery

    async def find(self, notification: Notification) -> Delivery | None:
        found = await self._notifier.find(notification)
        self._fate.at("after a look at Slack")
        return found


class Hand:
    """An action on the far side: does it once under the request's token, and can be asked whether it was done."""

    def __init__(self, cluster: str, session: aiohttp.ClientSession, fate: Fate) -> None:
        self._cluster, self._session, self._fate = cluster, session, fate

    async def run(self, request: ActionRequest) -> ActionResult:
        async with self._session.post(f"{self._cluster}/effects/{request.token}") as answer:
            answer.raise_for_status()
        self._fate.at("after the answer to the action")
        return ActionResult(Outcome.CHANGED, "done")

    async def look(self, request: ActionRequest) -> ActionResult:
        async with self._session.get(f"{self._cluster}/effects/{request.token}") as answer:
            done = await answer.json()
        self._fate.at("after a look at the action")
        return ActionResult(Outcome.CHANGED, "it is there") if done else ActionResult(Outcome.NOT_DONE, "not there")


class Brain:
    """The core, as the composition root wires it."""

    def __init__(self) -> None:
        self.world = World(limits=LIMITS)

    def step(self, signal: Signal) -> tuple[Effect, ...]:
        return step(self.world, signal)

    def next_deadline(self) -> datetime | None:
        return next_deadline(self.world)


PLAIN = {SaveDelivery: "delivery", SaveIntent: "intent", SaveResult: "result", ForgetBefore: "retention"}


def named(row: Row) -> str:
    """Return what a row is about, as the points are named."""
    match row:
        case SaveOutbox(notification=notification):
            return f"notification {notification.reason.value}"
        case SaveIncident(incident=incident):
            return f"incident {incident.state.value}"
        case _:
            return PLAIN.get(type(row), type(row).__name__)


async def live(orders: Orders) -> None:
    """Serve one incident to its end."""
    clock, fate, brain, inbox = SystemClock(), Fate(orders.die, orders.trace), Brain(), KeyedInbox()
    ledger = await open_ledger(orders.ledger)
    mortal = MortalLedger(ledger, fate)
    async with aiohttp.ClientSession() as session, Tasks("sinks", clock, complain) as sinks:
        slack = MortalNotifier(SlackNotifier("token", "C1", session, api_url=f"{orders.slack}/api/"), fate)
        hand = Hand(orders.cluster, session, fate)
        notifiers = {SLACK: (slack, 0.0)}
        lanes = Lanes(sinks, inbox, mortal, clock, notifiers=notifiers, actions={"reconcile": hand})
        pump = Pump(brain, inbox, mortal, lanes, clock)
        await pump.perform(list(adopt(brain.world, COMPILED, clock.now())))
        await pump.perform(list(brain.step(await mortal.restore(clock.now()))))
        sinks.keep("pump", pump.run, restart=False)
        sinks.keep("watch", lambda: watch(orders.cluster, session, inbox, clock))
        await until(lambda: at_rest(brain.world, inbox, lanes, pump))
    await ledger.close()


async def watch(cluster: str, session: aiohttp.ClientSession, inbox: KeyedInbox, clock: SystemClock) -> None:
    """Tell of the one object as often as it changes."""
    states, seen = Cluster(), 0
    while True:
        async with session.get(f"{cluster}/object") as answer:
            facts = await answer.json()
        if facts["version"] != seen:
            seen = facts["version"]
            states.version = seen - 1
            condition = ready() if facts["well"] else failing()
            inbox.put(ObjectChanged(clock.now(), states.state("Kustomization", "a", condition)))
            inbox.put(Synced(clock.now(), "kustomizations"))
        await asyncio.sleep(POLL)


async def until(calm: Callable[[], bool]) -> None:
    """Wait until it is calm for some looks in a row."""
    looks = 0
    while looks < CALM:
        await asyncio.sleep(POLL)
        looks = looks + 1 if calm() else 0


def at_rest(world: World, inbox: KeyedInbox, lanes: Lanes, pump: Pump) -> bool:
    """Say whether the incident is over and nothing waits, flies or is unsaved."""
    over = bool(world.cases) and not any(case.open for case in world.cases.values())
    busy = len(inbox) or lanes.waiting() or pump.unsaved() or world.outbox or world.running
    return over and not busy


def complain(name: str, error: BaseException) -> None:
    """Say what broke: the test shows it."""
    sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")


def serve() -> None:
    """Fork a life for each line of orders."""
    for line in sys.stdin:
        orders = Orders(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            asyncio.run(live(orders))
            os._exit(0)
        say(pid)
        _, status = os.waitpid(pid, 0)
        say(os.waitstatus_to_exitcode(status))


def say(number: int) -> None:
    """Write one line to the parent."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    COMPILED = compile_rules([("crash.yaml", RULES)])
    serve()
