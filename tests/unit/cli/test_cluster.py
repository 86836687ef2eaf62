"""Commands that talk to a cluster: pre-flight checks and recording, against the simulated API server."""

import asyncio
import gzip
import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from daemon.runtime.clock import ScaledClock
from daemon.runtime.ledger import open_ledger
from daemon.simulator.scenarios import SCENARIOS
from daemon.simulator.server import SimulatedCluster, kubeconfig
from daemon.simulator.slack import FakeSlack

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def cluster(tmp_path):
    """A healthy cluster behind a kubeconfig file."""
    simulated = SimulatedCluster(ScaledClock(1.0))
    SCENARIOS["image-pull"].prepare(simulated)
    async with simulated.serve() as url:
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(kubeconfig(url)))
        yield simulated


async def fluxmedic(tmp_path: Path, *arguments: str, **more: str) -> tuple[int, str, str]:
    """Run the real program beside the simulated cluster."""
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    environment = {
        "PATH": "/usr/bin:/bin",
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "FLUXMEDIC_LEDGER__URL": f"sqlite+aiosqlite:///{tmp_path}/ledger.db",
        **measured,
        **more,
    }
    if arguments[0] == "record":
        del environment["FLUXMEDIC_LEDGER__URL"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daemon", *arguments, stdout=-1, stderr=-1, env=environment, cwd=ROOT
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), error.decode()


async def test_everything_that_is_needed_is_looked_at(cluster, tmp_path):
    code, out, error = await fluxmedic(tmp_path, "check", "-o", "json")
    assert error == ""
    rows = {item["check"]: item for item in json.loads(out)["items"]}
    assert rows["cluster"]["state"] == "ok"
    assert rows["clock"]["state"] in ("ok", "warning")
    assert rows["kind kustomizations.kustomize.toolkit.fluxcd.io"]["detail"] == "list, watch"
    assert rows["kind imagepolicies.image.toolkit.fluxcd.io"]["detail"] == "not installed"
    assert rows["action delete-release"]["state"] == "warning"
    assert "surplus in mode observe" in rows["action delete-release"]["detail"]
    assert code == 0


async def test_above_observe_the_rights_to_write_are_wanted(cluster, tmp_path):
    code, out, _ = await fluxmedic(tmp_path, "check", "-o", "json", FLUXMEDIC_MODE="auto")
    rows = {item["check"]: item for item in json.loads(out)["items"]}
    assert rows["action reconcile"]["state"] == "ok"
    assert code == 0


async def test_beside_a_running_daemon_the_ledger_is_in_use_and_that_is_well(cluster, tmp_path):
    running = await open_ledger(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}")
    try:
        code, out, _ = await fluxmedic(
            tmp_path, "check", "-o", "json", FLUXMEDIC_LEDGER__URL=f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}"
        )
    finally:
        await running.close()
    rows = {item["check"]: item for item in json.loads(out)["items"]}
    assert (code, rows["ledger"]["state"]) == (0, "ok")
    assert rows["ledger"]["detail"] == "in use: a fluxmedic runs on it"


ROUTE = """
apiVersion: fluxmedic.dev/v1
kind: Route
metadata: {name: nights}
spec: {targets: [TARGETS]}
"""


@pytest.mark.parametrize(
    ("named", "state", "detail"),
    [
        ("log", "ok", "log"),
        ("slack, log", "warning", "log; rule files route to slack, which is not set up"),
    ],
)
async def test_a_route_to_nobody_who_is_set_up_is_a_warning(cluster, tmp_path, named, state, detail):
    (tmp_path / "mine.yaml").write_text(ROUTE.replace("TARGETS", named))
    rules = f"shipped,{tmp_path / 'mine.yaml'}"
    code, out, _ = await fluxmedic(tmp_path, "check", "-o", "json", FLUXMEDIC_RULES=rules)
    rows = {item["check"]: item for item in json.loads(out)["items"]}
    assert (code, rows["targets"]["state"], rows["targets"]["detail"]) == (0, state, detail)


async def test_rules_that_cannot_be_read_are_told_once_and_not_by_the_targets(cluster, tmp_path):
    (tmp_path / "mine.yaml").write_text("kind: Rul")
    code, out, _ = await fluxmedic(tmp_path, "check", "-o", "json", FLUXMEDIC_RULES=str(tmp_path / "mine.yaml"))
    rows = {item["check"]: item for item in json.loads(out)["items"]}
    assert (code, rows["rules"]["state"], rows["targets"]["state"]) == (1, "failed", "ok")


async def test_rights_that_are_missing_are_named_and_fail_the_check(cluster, tmp_path):
    cluster.faults.deny("watch", "kustomizations.kustomize.toolkit.fluxcd.io")
    cluster.faults.deny("patch", "kustomizations.kustomize.toolkit.fluxcd.io")
    code, out, _ = await fluxmedic(tmp_path, "check", "-o", "json", FLUXMEDIC_MODE="auto")
    assert code == 1
    rows = {item["check"]: item for item in json.loads(out)["items"]}
    assert rows["kind kustomizations.kustomize.toolkit.fluxcd.io"] == {
        "check": "kind kustomizations.kustomize.toolkit.fluxcd.io",
        "state": "failed",
        "detail": "right missing: watch",
    }
    assert rows["action reconcile"]["state"] == "failed"
    assert "patch kustomizations" in rows["action reconcile"]["detail"]


async def test_a_cluster_without_flux_fails_the_check(tmp_path):
    simulated = SimulatedCluster(ScaledClock(1.0))
    for resource in list(simulated.resources.all()):
        if resource.custom:
            simulated.resources.remove(resource.group, resource.plural)
    async with simulated.serve() as url:
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig(url)))
        code, out, _ = await fluxmedic(tmp_path, "check")
    assert code == 1
    assert "is Flux in this cluster?" in out


async def test_slack_is_asked_who_we_are(cluster, tmp_path):
    slack = FakeSlack(ScaledClock(1.0))
    (tmp_path / "token").write_text("xoxb-test")
    async with slack.serve() as address:
        more = {
            "FLUXMEDIC_SLACK__TOKEN_FILE": str(tmp_path / "token"),
            "FLUXMEDIC_SLACK__CHANNEL": "C1",
            "FLUXMEDIC_SLACK__API_URL": f"{address}/api/",
        }
        code, out, _ = await fluxmedic(tmp_path, "check", **more)
        assert code == 0
        assert "Slack knows us as" in out
    code, out, _ = await fluxmedic(tmp_path, "check", **more)
    assert code == 1
    assert "Slack: " in out


async def test_what_is_recorded_can_be_replayed(cluster, tmp_path):
    for name in ("it.jsonl", "it.jsonl.gz"):
        file = tmp_path / name
        code, _, error = await fluxmedic(tmp_path, "record", "-o", str(file), "--for", "1")
        assert code == 0, error
        assert f"lines written to {file}" in error
        raw = file.read_bytes()
        lines = (gzip.decompress(raw) if name.endswith("gz") else raw).splitlines()
        types = {json.loads(line)["type"] for line in lines}
        assert types >= {"ADDED", "SYNCED"}
        code, out, error = await fluxmedic(tmp_path, "replay", str(file), "-o", "json")
        assert code == 0, error
        assert json.loads(out)["incidents"] == []


async def test_a_recording_that_cannot_be_written_is_a_clear_error(cluster, tmp_path):
    code, _, error = await fluxmedic(tmp_path, "record", "-o", str(tmp_path / "no" / "it.jsonl"))
    assert code == 2
    assert "the recording cannot be written" in error


async def test_a_cluster_that_does_not_answer_ends_in_four(tmp_path):
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:1")))
    code, _, error = await fluxmedic(tmp_path, "record", "-o", str(tmp_path / "it.jsonl"))
    assert code == 4
    assert "the API server does not answer" in error
