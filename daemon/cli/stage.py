"""The demo's stage: the real daemon, a simulated cluster and a fake Slack, each behind its own port on loopback.

Nothing of the daemon is shortened or replaced; only time runs faster, and what is on the far side is simulated.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from daemon.app import STOP_WITHIN, Parts, run
from daemon.kube.client import connect_dict
from daemon.model.documents import API_VERSION, Document, incident_document
from daemon.model.effects import Effect
from daemon.model.incidents import Incident, State
from daemon.model.ports import View
from daemon.model.remedies import Mode
from daemon.replay.told import Told
from daemon.runtime.clock import ScaledClock
from daemon.runtime.supervise import Stop, Tasks
from daemon.settings import Settings, load
from daemon.simulator.scenarios import Scenario
from daemon.simulator.server import SimulatedCluster, kubeconfig
from daemon.simulator.slack import FakeSlack

CHANNEL = "C0INCIDENTS"
CLUSTER = "demo"
SETTLED = 10.0
"""Scaled seconds that the far side gets to hear the end of an incident before the demo is over."""
READY_WITHIN = 120.0
"""Scaled seconds in which the daemon must have listed every kind."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a demo is asked for."""

    scenario: Scenario
    mode: Mode
    speed: float
    bind: str = "127.0.0.1:0"
    linger: float = 0.0
    """Real seconds that the pages stay up when the story is over."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a person can look while it plays."""

    page: str
    slack: str


@dataclass(slots=True)
class Show:
    """What happened on stage, for the terminal and the report."""

    incidents: tuple[Incident, ...] = ()
    told: Told = field(default_factory=Told)
    slack: FakeSlack | None = None
    begun: datetime | None = None
    fault: str = ""
    over: bool = False
    """The story came to its end, and was not broken off."""

    def report(self) -> Document:
        """Return the DemoReport."""
        milestones = [
            {"incident": incident.id, **row}
            for incident in self.incidents
            for row in _milestones(incident_document(incident))
        ]
        return {
            "apiVersion": API_VERSION,
            "kind": "DemoReport",
            "incidents": [incident_document(incident) for incident in self.incidents],
            "notifications": self.told.notifications,
            "actions": self.told.actions,
            "milestones": milestones,
        }


class Audience(Protocol):
    """Who watches: the terminal."""

    def opened(self, addresses: Addresses, begun: datetime) -> None:
        """The daemon listens and the story begins."""
        ...

    def pushed(self, at: datetime, subject: str) -> None:
        """Somebody pushed a commit."""
        ...

    def stepped(self, effects: tuple[Effect, ...], view: View) -> None:
        """The daemon decided something."""
        ...

    def ended(self, show: Show) -> None:
        """The story is over, or was broken off."""
        ...

    def lingers(self, seconds: float) -> None:
        """The pages stay up for a while."""
        ...


class Stage:
    """One demo from curtain to curtain."""

    def __init__(self, options: Options, folder: Path, audience: Audience) -> None:
        """Play in this folder, before this audience."""
        self._options = options
        self._folder = folder
        self._audience = audience
        self._key = b""
        self.clock = ScaledClock(options.speed)
        self.show = Show()
        self.cluster = SimulatedCluster(self.clock)
        self.stop = Stop(self.clock, STOP_WITHIN)
        self._view: View | None = None
        self._moved = asyncio.Event()

    async def play(self) -> Show:
        """Play to the end, or until stop is asked for. Raises ConfigError when a port is taken."""
        self._options.scenario.prepare(self.cluster)
        self.cluster.on_push.append(lambda subject: self._audience.pushed(self.clock.now(), subject))
        async with self._far_sides() as (url, slack), Tasks("stage", self.clock, self._broke) as tasks:
            settings = self._settings(slack.page)
            connected = await connect_dict(CLUSTER, kubeconfig(url))
            async with connected as cluster:
                tasks.keep("cluster", self.cluster.run, restart=False)

                def started(address: str) -> None:
                    self.show.begun = self.clock.now()
                    self.cluster.hook(f"{address}/hook/flux", self._key, CLUSTER)
                    self._audience.opened(Addresses(address, slack.page), self.show.begun)
                    tasks.spawn("story", self._story)

                parts = Parts(self.clock, cluster, self._watch, self.stop, started)
                await run(settings, parts)
        if not self.show.over:
            self._audience.ended(self.show)
        return self.show

    @asynccontextmanager
    async def _far_sides(self) -> AsyncIterator[tuple[str, "Channel"]]:
        slack = self.show.slack = FakeSlack(self.clock)
        async with self.cluster.serve() as url, slack.serve() as address:
            yield url, Channel(slack, address)

    def _settings(self, slack: str) -> Settings:
        key, token = self._folder / "hook.key", self._folder / "slack.token"
        self._key = secrets.token_hex(16).encode()
        key.write_bytes(self._key)
        token.write_text("xoxb-demo")
        flags: dict[str, object] = {
            "cluster": CLUSTER,
            "mode": self._options.mode.value,
            "ledger.url": f"sqlite+aiosqlite:///{self._folder / 'ledger.db'}",
            "http.bind": self._options.bind,
            "hook.key_file": str(key),
            "slack.token_file": str(token),
            "slack.channel": CHANNEL,
            "slack.api_url": f"{slack}/api/",
        }
        return load({}, flags=flags).settings

    def _watch(self, view: View, at: datetime, effects: tuple[Effect, ...]) -> None:
        self._view = view
        self.show.told.take(at, effects)
        if effects:
            self.show.incidents = tuple(reversed(view.incidents()))
            self._audience.stepped(effects, view)
        self._moved.set()

    async def _story(self) -> None:
        """Let it happen, wait until it is over, leave the pages up for a while, and ask to stop."""
        scenario = self._options.scenario
        ready = await self.clock.within(READY_WITHIN, self._until(self._is_ready))
        if not ready:
            self.show.fault = "the daemon did not come to see the simulated cluster in time"
            self.stop.ask("not ready")
            return
        async with Tasks("play", self.clock, self._broke) as tasks:
            tasks.spawn("scenario", lambda: scenario.play(self.cluster, self.clock))
            await self.clock.within(scenario.duration, self._until(self._is_over))
        await self.clock.sleep(SETTLED)
        self.show.over = True
        self._audience.ended(self.show)
        if self._options.linger > 0:
            self._audience.lingers(self._options.linger)
            await self.clock.sleep(self._options.linger * self._options.speed)
        self.stop.ask("the story is over")

    async def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._moved.clear()
            await self._moved.wait()

    def _is_ready(self) -> bool:
        return self._view is not None and self._view.readiness().ready

    def _is_over(self) -> bool:
        return bool(self.show.incidents) and all(each.state is State.RESOLVED for each in self.show.incidents)

    def _broke(self, name: str, error: BaseException) -> None:
        self.show.fault = f"{name}: {error}"
        self.stop.ask("broken")


@dataclass(frozen=True, slots=True)
class Channel:
    """The fake Slack and where its page is."""

    slack: FakeSlack
    page: str


def _milestones(incident: Document) -> list[Document]:
    remediation = incident["remediation"]
    found = remediation.get("milestones", []) if isinstance(remediation, dict) else []
    return list(found)
