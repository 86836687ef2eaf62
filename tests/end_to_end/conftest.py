"""A whole daemon against the simulated cluster and the fake Slack, over real HTTP, on a clock that runs faster."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from daemon.cli.stage import Addresses, Options, Show, Stage
from daemon.model.effects import Effect
from daemon.model.ports import View
from daemon.model.remedies import Mode
from daemon.simulator.scenarios import SCENARIOS

SPEED = 20.0
Look = Callable[[str, View], Awaitable[None]]


class Spectator:
    """Sees a demo and keeps what it saw."""

    def __init__(self) -> None:
        self.addresses: Addresses | None = None
        self.pushes: list[str] = []
        self.ends = 0
        self.steps = 0

    def opened(self, addresses: Addresses, begun: datetime) -> None:
        self.addresses = addresses

    def pushed(self, at: datetime, subject: str) -> None:
        self.pushes.append(subject)

    def stepped(self, effects: tuple[Effect, ...], view: View) -> None:
        self.steps += 1

    def ended(self, show: Show) -> None:
        self.ends += 1

    def lingers(self, seconds: float) -> None:
        self.ends += 1


class Played:
    """What came of one story."""

    def __init__(self, stage: Stage, show: Show, spectator: Spectator) -> None:
        self.stage, self.show, self.spectator = stage, show, spectator

    @property
    def incident(self):
        assert len(self.show.incidents) == 1, [incident.title for incident in self.show.incidents]
        return self.show.incidents[0]


async def played(folder: Path, scenario: str, mode: Mode, speed: float = SPEED) -> Played:
    """Play a scenario to its end."""
    spectator = Spectator()
    stage = Stage(Options(SCENARIOS[scenario], mode, speed), folder, spectator)
    return Played(stage, await stage.play(), spectator)


async def fetched(address: str, path: str, **more: object) -> tuple[int, str]:
    """Return status and text of one page."""
    async with aiohttp.ClientSession() as session, session.get(f"{address}{path}", **more) as answer:  # type: ignore[arg-type]
        return answer.status, await answer.text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
