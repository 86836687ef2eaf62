"""The composition root: it starts, becomes ready, takes new rules, tells when it cannot, and stops when asked."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon.app import STOP_WITHIN, Parts, compiled, notifiers_of, run
from daemon.kube.client import connect_dict
from daemon.model.effects import Effect
from daemon.model.errors import ConfigError, DaemonError, LedgerError
from daemon.model.ports import View
from daemon.notify.log import LogNotifier
from daemon.notify.slack import SlackNotifier
from daemon.notify.webhook import WebhookNotifier
from daemon.runtime.clock import ScaledClock
from daemon.runtime.supervise import Stop
from daemon.settings import Settings, load, shipped_rules
from daemon.simulator.scenarios import SCENARIOS
from daemon.simulator.server import SimulatedCluster, kubeconfig
from daemon.simulator.slack import FakeSlack
from tests.builders import RULES

SPEED = 50.0
BAD = RULES.replace("severity: critical", "severity: dreadful")


class Running:
    """A daemon that listens: what it answers, and the wish that it stops."""

    def __init__(self, clock: ScaledClock, stop: Stop, address: str) -> None:
        self.clock, self.stop, self.address = clock, stop, address

    async def fetch(self, path: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.address}{path}") as answer:
            return answer.status, await answer.json()

    async def until(self, path: str, holds: Callable[[int, Any], bool]) -> Any:
        """Ask until the answer is as wanted."""
        for _ in range(200):
            status, found = await self.fetch(path)
            if holds(status, found):
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(f"{path} never came so far: {status} {found}")


def settings(folder: Path, **more: object) -> Settings:
    """Return the settings of a daemon whose files are all in this folder."""
    flags = {"ledger.url": f"sqlite+aiosqlite:///{folder / 'ledger.db'}", "http.bind": "127.0.0.1:0"}
    return load({}, flags=flags | {key.replace("__", "."): value for key, value in more.items()}).settings


@asynccontextmanager
async def daemon(chosen: Settings, parts: Parts | None = None) -> AsyncIterator[Running]:
    """Run a daemon against a healthy simulated cluster; on leaving it is asked to stop, and must end well."""
    clock = ScaledClock(SPEED)
    stop = Stop(clock, STOP_WITHIN)
    simulated = SimulatedCluster(clock)
    SCENARIOS["healthy-push"].prepare(simulated)
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    parts = parts or Parts()
    parts.clock, parts.stop, parts.on_started = clock, stop, listening.set_result
    async with simulated.serve() as url, await connect_dict("default", kubeconfig(url)) as cluster:
        parts.cluster = cluster
        ended = asyncio.create_task(run(chosen, parts))  # noqa: TID251 - the daemon beside the test
        try:
            both: list[asyncio.Future[Any]] = [ended, listening]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                await ended
            yield Running(clock, stop, listening.result())
            stop.ask("the test is over")
            await asyncio.wait_for(ended, 30)
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)


def ready(status: int, found: Any) -> bool:
    return status == 200 and bool(found["ready"])


async def test_it_becomes_ready_when_every_kind_was_listed(tmp_path):
    async with daemon(settings(tmp_path)) as running:
        found = await running.until("/readyz", ready)
        assert found["kinds"]["kustomizations.kustomize.toolkit.fluxcd.io"] == "synced"
        assert set(found["kinds"].values()) == {"synced", "absent"}
        assert (await running.fetch("/api/v1/incidents"))[1]["items"] == []
    assert running.stop.why == "the test is over"


async def test_its_own_numbers_are_measured(tmp_path):
    async with daemon(settings(tmp_path)) as running:
        await running.until("/readyz", ready)
        async with aiohttp.ClientSession() as session, session.get(f"{running.address}/metrics") as answer:
            lines = (await answer.text()).splitlines()
    numbers = dict(line.split() for line in lines if not line.startswith("#"))
    assert float(numbers["fluxmedic_process_inbox_received_total"]) > 10
    assert float(numbers["fluxmedic_world_objects"]) > 10
    assert float(numbers["fluxmedic_target_log_sent_total"]) == 0


async def test_every_step_is_seen_by_the_watcher(tmp_path):
    seen: list[datetime] = []

    def watch(view: View, at: datetime, effects: tuple[Effect, ...]) -> None:
        seen.append(at)

    async with daemon(settings(tmp_path), Parts(watcher=watch)) as running:
        await running.until("/readyz", ready)
    assert len(seen) > 10
    assert seen == sorted(seen)


async def test_changed_rules_come_into_force_and_bad_ones_leave_the_last_good_set(tmp_path):
    rules = tmp_path / "rules"
    rules.mkdir()
    file = rules / "own.yaml"
    file.write_text(RULES)
    async with daemon(settings(tmp_path, rules=str(rules))) as running:
        await running.until("/readyz", ready)

        file.write_text(BAD)
        told = await running.until("/readyz", lambda _, found: any("rules" in each for each in found["reasons"]))
        assert told["ready"]
        assert "own.yaml:" in " ".join(told["reasons"])
        assert "severity: should be 'info', 'warning' or 'critical'" in " ".join(told["reasons"])
        assert [item["name"] for item in (await running.fetch("/api/v1/rules"))[1]["items"]] == ["failed"]

        file.write_text(RULES.replace("name: failed}", "name: renamed}"))
        await running.until("/readyz", lambda _, found: not found["reasons"])
        listed = await running.until("/api/v1/rules", lambda _, found: found["items"][0]["name"] != "failed")
        assert [item["name"] for item in listed["items"]] == ["renamed"]


async def test_a_stop_ends_the_server_and_the_ledger(tmp_path):
    async with daemon(settings(tmp_path)) as running:
        await running.until("/readyz", ready)
    with pytest.raises(aiohttp.ClientConnectorError):
        await running.fetch("/readyz")
    async with daemon(settings(tmp_path)) as again:
        await again.until("/readyz", ready)


async def test_a_stop_before_it_is_ready_ends_it_too(tmp_path):
    async with daemon(settings(tmp_path)) as running:
        running.stop.ask("at once")
    assert running.stop.why == "at once"


async def test_a_taken_port_is_told_with_its_remedy(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen at 127.0.0.1:{port}.*FLUXMEDIC_HTTP__BIND"):
            async with daemon(settings(tmp_path, http__bind=f"127.0.0.1:{port}")):
                pass


async def test_rules_that_are_bad_at_the_start_keep_it_from_starting(tmp_path):
    (tmp_path / "own.yaml").write_text(BAD)
    with pytest.raises(ConfigError, match=r"own\.yaml"):
        async with daemon(settings(tmp_path, rules=str(tmp_path / "own.yaml"))):
            pass


async def test_a_ledger_that_cannot_be_opened_keeps_it_from_starting(tmp_path):
    with pytest.raises((LedgerError, ConfigError)):
        async with daemon(settings(tmp_path, ledger__url="nonsense://nowhere")):
            pass


async def test_a_hook_key_that_is_empty_keeps_it_from_starting(tmp_path):
    (tmp_path / "key").write_bytes(b"")
    with pytest.raises(ConfigError, match="the HMAC key of the Flux webhook is empty"):
        async with daemon(settings(tmp_path, hook__key_file=str(tmp_path / "key"))):
            pass


async def test_without_a_cluster_it_says_where_it_looked(tmp_path):
    with pytest.raises(DaemonError, match="nothing-there"):
        await run(settings(tmp_path, kubeconfig=str(tmp_path / "nothing-there")))


async def test_a_ledger_without_a_place_is_kept_in_memory_and_said_so_by_readiness(tmp_path):
    (tmp_path / "file").touch()
    nowhere = f"sqlite+aiosqlite:///{tmp_path / 'file' / 'ledger.db'}"
    async with daemon(settings(tmp_path, ledger__url=nowhere)) as running:
        found = await running.until("/readyz", ready)
    assert "the ledger is in memory" in str(found["reasons"])


async def test_a_scheduled_procedure_needs_nothing_else_to_be_kept(tmp_path):
    shipped = (shipped_rules() / "cilium.yaml").read_text()
    first = shipped.index("kind: Procedure")
    scheduled = shipped[:first] + shipped[first:].replace("spec:\n", 'spec:\n  schedule: "17 * * * *"\n', 1)
    (tmp_path / "own.yaml").write_text(scheduled)
    async with daemon(settings(tmp_path, rules=str(tmp_path / "own.yaml"))) as running:
        await running.until("/readyz", ready)


class Held(datetime):
    """The time that APScheduler reads: it stands still a second before noon until the test lets noon come."""

    noon = False

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # a plain one is wanted
        noon = datetime(2026, 11, 26, 12, tzinfo=UTC)
        return (noon if cls.noon else noon - timedelta(seconds=1)).astimezone(tz)


SCHEDULED = f"""{RULES}
---
apiVersion: fluxmedic.dev/v1
kind: Procedure
metadata: {{name: basics}}
spec:
  schedule: "0 12 * * *"
  checks:
    - {{id: A, probe: condition, with: {{kind: Kustomization, namespace: flux-system, name: staging, status: "False"}}}}
"""


async def test_a_schedule_that_came_with_changed_rules_is_in_force(tmp_path, monkeypatch):
    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Held)
    monkeypatch.setattr("apscheduler.executors.base.datetime", Held)
    file = tmp_path / "own.yaml"
    file.write_text(RULES)
    async with daemon(settings(tmp_path, rules=str(file))) as running:
        await running.until("/readyz", ready)
        file.write_text(SCHEDULED.replace("name: failed}", "name: renamed}"))
        await running.until("/api/v1/rules", lambda _, found: found["items"][0]["name"] == "renamed")
        assert (await running.fetch("/api/v1/incidents"))[1]["items"] == []
        monkeypatch.setattr(Held, "noon", True)
        (incident,) = (await running.until("/api/v1/incidents", lambda _, found: found["items"]))["items"]
    assert incident["rules"] == ["verify:basics/A"]


def test_no_rule_file_at_all_is_refused():
    with pytest.raises(ConfigError, match="no rule file is there"):
        compiled(())


async def targets(chosen: Settings) -> dict[str, object]:
    async with aiohttp.ClientSession() as session:
        return {str(name): notifier for name, (notifier, _) in notifiers_of(chosen, session).items()}


async def test_without_a_target_the_log_is_told(tmp_path):
    found = await targets(settings(tmp_path))
    assert [type(each) for each in found.values()] == [LogNotifier]


async def test_a_slack_token_without_a_channel_is_refused(tmp_path):
    (tmp_path / "token").write_text("xoxb-1")
    with pytest.raises(ConfigError, match="a Slack token without a channel"):
        await targets(settings(tmp_path, slack__token_file=str(tmp_path / "token")))


async def test_slack_and_the_webhook_stand_side_by_side(tmp_path):
    (tmp_path / "token").write_text("xoxb-1")
    (tmp_path / "key").write_bytes(b"k")
    chosen = settings(
        tmp_path,
        slack__token_file=str(tmp_path / "token"),
        slack__channel="C1",
        webhook__url="https://example.com/hook",
        webhook__key_file=str(tmp_path / "key"),
    )
    found = await targets(chosen)
    assert {name: type(each) for name, each in found.items()} == {"slack": SlackNotifier, "webhook": WebhookNotifier}


async def test_an_address_that_is_no_webhook_is_refused_with_its_setting(tmp_path):
    with pytest.raises(ConfigError, match=r"webhook\.url"):
        await targets(settings(tmp_path, webhook__url="file:///etc/passwd"))


async def test_slack_is_told_by_the_running_daemon_of_nothing_when_all_is_well(tmp_path):
    slack = FakeSlack(ScaledClock(SPEED))
    (tmp_path / "token").write_text("xoxb-1")
    async with slack.serve() as address:
        more = {"slack__channel": "C1", "slack__api_url": f"{address}/api/"}
        async with daemon(settings(tmp_path, slack__token_file=str(tmp_path / "token"), **more)) as running:
            await running.until("/readyz", ready)
    assert slack.roots() == []
