"""The daemon under test: `fluxmedic run` as a process of its own, with a Slack and a webhook that it tells.

It is the program that ships, started as a user would; a story sees it only through its server, its log, its ledger and
what it sends.
"""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from daemon.runtime.clock import SystemClock
from daemon.simulator.slack import FakeSlack
from tests.cluster.eventually import eventually
from tests.cluster.process import Process, free_port

Raw = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
CHANNEL = "C0STORY"
READY_WITHIN = 60.0
COMMAND_WITHIN = 60.0


@dataclass(slots=True)
class Sink:
    """A webhook that keeps what it gets, and when."""

    taken: list[tuple[datetime, Raw]] = field(default_factory=list)
    address: str = ""

    async def _take(self, request: web.Request) -> web.Response:
        self.taken.append((SystemClock().now(), await request.json()))
        return web.Response(status=202)

    @asynccontextmanager
    async def served(self) -> AsyncIterator["Sink"]:
        """Listen until the end of the story."""
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        try:
            yield self
        finally:
            await runner.cleanup()


class Watchman:
    """One daemon with its folder; it can be killed and started again over the same ledger."""

    def __init__(self, folder: Path, kubeconfig: Path, slack: str, sink: str, **settings: str) -> None:
        """Put its settings together; `settings` are further environment variables without the prefix."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        token = folder / "slack-token"
        token.write_text("xoxb-story")
        self.port = free_port()
        self.server = f"http://127.0.0.1:{self.port}"
        given = {
            "KUBECONFIG": str(kubeconfig),
            "LEDGER__URL": f"sqlite+aiosqlite:///{folder / 'ledger.db'}",
            "HTTP__BIND": f"127.0.0.1:{self.port}",
            "SLACK__TOKEN_FILE": str(token),
            "SLACK__CHANNEL": CHANNEL,
            "SLACK__API_URL": f"{slack}/api/",
            "WEBHOOK__URL": sink,
            "WEBHOOK__ALLOW_PRIVATE": "true",
            **settings,
        }
        self.environment = {f"FLUXMEDIC_{name}": value for name, value in given.items()}
        command = [sys.executable, "-m", "daemon", "run"]
        self.process = Process(
            "fluxmedic", command, folder / "daemon.log", {**self.environment, "PYTHONPATH": str(ROOT)}
        )

    async def start(self) -> "Watchman":
        """Start it and wait until it has seen every kind."""
        self.process.start()
        await self.until_ready()
        return self

    async def until_ready(self, within: float = READY_WITHIN) -> None:
        """Wait until it says that it is ready."""

        async def ready() -> str:
            if not self.process.alive:
                raise AssertionError(f"the daemon ended\n{self.process.tail()}")
            status, text = await self.fetch("/readyz")
            return "" if status == 200 else f"{status} {text}"

        await eventually("the daemon to be ready", ready, lambda problem: problem == "", within=within)

    async def fetch(self, path: str) -> tuple[int, str]:
        """Return status and text of one page; 0 when it does not answer."""
        try:
            async with aiohttp.ClientSession() as session, session.get(self.server + path) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, ConnectionError) as error:
            return 0, str(error)

    async def incidents(self, namespace: str = "") -> list[Raw]:
        """Return the incidents above `info` whose root is in this namespace, or all."""
        status, text = await self.fetch("/api/v1/incidents?limit=500")
        if status != 200:
            return []
        found = [each for each in json.loads(text)["items"] if each["severity"] != "info"]
        return [each for each in found if not namespace or each["root"]["namespace"] == namespace]

    async def timeline(self, incident: str) -> list[Raw]:
        """Return an incident's timeline."""
        _, text = await self.fetch(f"/api/v1/incidents/{incident}/timeline?limit=500")
        return list(json.loads(text)["items"])

    async def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another fluxmedic command against this daemon, as a person would."""
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "daemon", *words],
            cwd=ROOT,
            env={**self.process.environment, "PATH": "/usr/bin:/bin", "FLUXMEDIC_SERVER": self.server},
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN,
            check=False,
        )

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()

    def interrupt(self) -> None:
        """Ask it to end, as Kubernetes does."""
        self.process.signal(signal.SIGTERM)


@dataclass(slots=True)
class Told:
    """What people were told: Slack's channel and the webhook's stream."""

    slack: FakeSlack
    sink: Sink
    slack_address: str

    def opened(self, incident: str) -> list[Raw]:
        """Return the webhook's bodies that told that an incident was opened."""
        told = (body for _, body in self.sink.taken if body["subject"] == incident)
        return [body for body in told if body["type"].endswith(".opened.v1")]

    async def root(self, words: str, within: float = 30) -> str:
        """Wait for the one root message that contains these words, and return it."""

        async def look() -> list[str]:
            return self.roots(words)

        return (await eventually(f"one root message with {words!r}", look, lambda seen: len(seen) == 1, within=within))[
            0
        ]

    def roots(self, words: str = "") -> list[str]:
        """Return the texts of the root messages that contain these words."""
        return [post.text for post in self.slack.roots() if words in json.dumps(post.blocks) + post.text]


@asynccontextmanager
async def listening() -> AsyncIterator[Told]:
    """Open a Slack and a webhook for one story."""
    slack = FakeSlack(SystemClock())
    async with slack.serve() as address, Sink().served() as sink:
        yield Told(slack, sink, address)
