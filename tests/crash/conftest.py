"""One mortal daemon for all tests of this folder: loaded once, forked for each life."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemon.simulator.slack import Post
from tests.crash.farside import DeadlyCluster, DeadlySlack, Killer

ROOT = Path(__file__).parents[2]
LIFE = 20.0
"""Seconds a life may take at most; it takes under one."""


class Mother:
    """The process that forks the lives; it is talked to by lines."""

    def __init__(self) -> None:
        program = [sys.executable, str(Path(__file__).parent / "child.py")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )

    async def bear(self, orders: dict[str, str]) -> int:
        """Begin a life; return its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(orders) + "\n")
        self._process.stdin.flush()
        return await self.hear()

    async def hear(self) -> int:
        """Return the next number it says, a pid or an exit status."""
        assert self._process.stdout is not None
        return int(await asyncio.to_thread(self._process.stdout.readline))

    def close(self) -> None:
        self._process.communicate(timeout=LIFE)


@dataclass
class Ground:
    """What outlives every life: the ledger's folder, and the far sides with their memory."""

    mother: Mother
    folder: Path
    killer: Killer
    slack: DeadlySlack
    cluster: DeadlyCluster
    addresses: dict[str, str] = field(default_factory=dict)

    async def live(self, die: str = "") -> int:
        """Let a daemon live until it rests, or until it is killed at this point; return its exit status."""
        ledger = f"sqlite+aiosqlite:///{self.folder / 'ledger.db'}"
        trace = str(self.folder / "trace")
        self.killer.where, self.killer.pid = die, 0
        self.killer.pid = await self.mother.bear({"ledger": ledger, "trace": trace, "die": die, **self.addresses})
        try:
            return await asyncio.wait_for(asyncio.shield(hearing := asyncio.ensure_future(self.mother.hear())), LIFE)  # noqa: TID251 - it must be heard to its end
        except TimeoutError:
            os.kill(self.killer.pid, signal.SIGKILL)
            await hearing
            pytest.fail(f"a life that should {f'die {die!r}' if die else 'rest'} did neither; passed: {self.passed()}")

    async def live_until_over(self) -> int:
        """Let a daemon live until the ledger says that the incident is over, and kill it some looks later."""
        life = asyncio.ensure_future(self.live())  # noqa: TID251 - two things at once is the point
        while ("resolved",) not in self._asked("SELECT state FROM incidents"):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        os.kill(self.killer.pid, signal.SIGKILL)
        return await life

    def passed(self) -> list[str]:
        """Return every point that was passed, on this side and on the far ones."""
        here = (self.folder / "trace").read_text().splitlines() if (self.folder / "trace").exists() else []
        return [*here, *(point for point in self.killer.passed if not point.endswith("object"))]

    def unfinished(self) -> list[tuple[str, ...]]:
        """Return what the ledger holds that is not done: states of outbox, intents and incidents."""
        return [
            *self._asked("SELECT 'outbox', state FROM outbox WHERE state != 'sent'"),
            *self._asked("SELECT 'intent', state FROM intents WHERE state NOT IN ('changed', 'not done')"),
            *self._asked("SELECT 'incident', state FROM incidents WHERE state != 'resolved'"),
        ]

    def _asked(self, question: str) -> list[tuple[str, ...]]:
        database = sqlite3.connect(self.folder / "ledger.db")
        try:
            return database.execute(question).fetchall()
        except sqlite3.OperationalError:
            return []  # it has no tables yet
        finally:
            database.close()

    def lines(self) -> list[Post]:
        """Return what stands in the thread of the one root message."""
        (root,) = self.slack.roots()
        return self.slack.replies(root.ts)


@pytest.fixture(scope="session")
def mother() -> Iterator[Mother]:
    """Load the daemon once."""
    made = Mother()
    yield made
    made.close()


@pytest.fixture
async def ground(mother: Mother, tmp_path: Path) -> AsyncIterator[Ground]:
    """Give a fresh ledger and fresh far sides."""
    async with prepared(mother, tmp_path) as made:
        yield made


@asynccontextmanager
async def prepared(mother: Mother, folder: Path) -> AsyncIterator[Ground]:
    """Serve the far sides while the context is open."""
    killer = Killer()
    made = Ground(mother, folder, killer, DeadlySlack(killer), DeadlyCluster(killer))
    async with made.slack.serve() as slack, made.cluster.serve() as cluster:
        made.addresses = {"slack": slack, "cluster": cluster}
        yield made
