"""Commands against a running daemon: the demo in mode propose, asked, acknowledged, approved and interrupted."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOOKS = 150
"""How often a question is asked until the story must have come so far: the end of waiting, nothing else."""


def environment(**more: str) -> dict[str, str]:
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **measured, **more}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def demo(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "daemon", "demo", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    )


class Live:
    """A demo that is running, and the commands that ask it."""

    def __init__(self, server: str, fluxmedic: Callable[..., Any]) -> None:
        self.server = server
        self._fluxmedic = fluxmedic

    def run(self, *arguments: str, **more: str) -> Any:
        return self._fluxmedic(*arguments, "--server", self.server, **more)

    def json(self, *arguments: str) -> dict[str, Any]:
        found = self.run(*arguments, "-o", "json")
        return dict(json.loads(found.stdout)) if found.returncode == 0 else {}

    def until(self, *arguments: str, holds) -> dict[str, Any]:
        """Ask until the answer is as wanted."""
        for _ in range(LOOKS):
            found = self.json(*arguments)
            if found and holds(found):
                return found
            time.sleep(0.2)
        raise AssertionError(f"{arguments} never came so far: {found}")


@pytest.fixture
def live(fluxmedic) -> Iterator[Live]:
    """A daemon of the test's own that plays the seed incident and waits for a person to agree."""
    port = free_port()
    process = demo("--mode", "propose", "--speed", "6", "--bind", f"127.0.0.1:{port}")
    try:
        yield Live(f"http://127.0.0.1:{port}", fluxmedic)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def proposed(found: dict[str, Any]) -> bool:
    return any((item["remediation"] or {}).get("phase") == "proposed" for item in found["items"])


def test_a_person_reads_agrees_and_sees_it_fixed(live):
    listed = live.until("get", "incidents", holds=proposed)
    incident = listed["items"][0]
    name, plan = incident["id"], incident["remediation"]["plan"]

    table = live.run("get", "incidents", "-o", "wide")
    assert table.stdout.startswith("ID")
    assert f"{plan} proposed" in table.stdout
    assert live.run("get", "incidents", "-o", "name").stdout == f"incident/{name}\n"
    assert live.run("get", "incidents", "--fail-on", "critical").returncode == 1

    assert "Recovery contract" in live.run("describe", "incident", name[:6]).stdout
    assert live.json("describe", "incident", name)["id"] == name
    assert live.run("describe", "incident", "zzz").returncode == 1
    assert "is the root" in live.run("timeline", name).stdout
    assert live.json("timeline", name)["kind"] == "Timeline"

    why = live.run("why", "helmrelease/cilium", "-n", "kube-system")
    assert "is the root of incident" in why.stdout
    assert live.json("why", "ks/cert-manager")["known"]
    assert live.run("why", "ks/nobody").returncode == 1
    assert live.run("why", "ks/cert-manager", "--rule", "nobody").returncode == 2

    assert live.run("ack", name).returncode == 0
    assert live.run("note", name, "looking at it").returncode == 0
    assert live.run("approve", "nothing", "--yes").returncode == 2
    agreed = live.run("approve", plan, "--yes")
    assert agreed.returncode == 0
    assert "1. delete-release: set spec.suspend=true" in agreed.stderr

    def mended(found: dict[str, Any]) -> bool:
        return any(item["state"] in ("recovering", "resolved") for item in found["items"])

    fixed = live.until("get", "incidents", holds=mended)["items"][0]
    assert fixed["remediation"]["phase"] == "succeeded"
    assert fixed["remediation"]["approved_by"]
    texts = [entry["text"] for entry in fixed["timeline"]]
    assert "looking at it" in texts


def test_objects_and_rules_are_listed_and_the_kill_switch_is_at_hand(live):
    def listed(found: dict[str, Any]) -> bool:
        return {"Kustomization", "GitRepository"} <= {item["kind"] for item in found["items"]}

    live.until("get", "objects", holds=listed)
    table = live.run("get", "objects", "-n", "flux-system")
    assert table.stdout.startswith("KIND")
    assert "Kustomization/flux-system/flux-system" in live.run("get", "objects", "-o", "name").stdout
    assert live.run("get", "objects", "--health", "Nonsense").stdout == ""

    assert "cilium-upgrade-failed" in {item["name"] for item in live.json("get", "rules")["items"]}
    assert live.run("get", "rules").stdout.startswith("NAME")

    paused = live.run("actions", "pause")
    assert (paused.returncode, paused.stdout, paused.stderr) == (0, "", "all actions are paused\n")
    assert live.run("actions", "resume").returncode == 0


def test_an_interrupt_ends_the_demo_well():
    process = demo("--exit", "--speed", "5", "--bind", f"127.0.0.1:{free_port()}")
    assert process.stdout is not None
    first = process.stdout.readline()
    while "Ctrl-C" not in first:
        first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in out + error
    assert "Broken off before the end." in out


def test_a_busy_port_is_a_clear_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = demo("--exit", "--bind", f"127.0.0.1:{listener.getsockname()[1]}")
        _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "cannot listen at 127.0.0.1:" in error


def test_an_address_that_is_none_is_a_clear_error():
    process = demo("--exit", "--bind", "nonsense")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" not in error


def test_in_auto_the_demo_ends_in_one_document_whose_contract_is_met_and_draws_a_picture(tmp_path):
    picture = tmp_path / "demo.svg"
    process = demo("--exit", "--no-web", "--mode", "auto", "--speed", "15", "-o", "json", "--picture", str(picture))
    out, error = process.communicate(timeout=110)
    assert process.returncode == 0, error
    found = json.loads(out)
    assert set(found) == {"apiVersion", "kind", "incidents", "notifications", "actions", "milestones"}
    assert found["kind"] == "DemoReport"
    assert [incident["state"] for incident in found["incidents"]] == ["resolved"]
    required = {row["id"]: row["state"] for row in found["milestones"] if not row["optional"]}
    assert set(required.values()) == {"met"}, error
    assert [action["action"] for action in found["actions"]] == ["delete-release", "reconcile"]
    opening = [note["target"] for note in found["notifications"] if note["reason"] == "opened"]
    assert opening == ["slack"]
    assert "Slack: 1 message, " in error
    assert "RESOLVED" in error
    assert "\x1b[" not in error
    assert "http://" not in error
    assert picture.read_text().startswith("<svg")


def test_a_silence_is_previewed_begun_listed_and_ended(live):
    live.until("get", "incidents", holds=lambda found: bool(found["items"]))
    wanted = ("silence", "add", "kind=HelmRelease", "rule=*", "--for", "2h", "--comment", "bootstrap is being rebuilt")
    preview = live.run(*wanted, "--preview")
    assert "HelmRelease/kube-system/cilium" in preview.stdout
    assert preview.stderr == "would mute 1 open incident(s); nothing is changed\n"
    assert live.run("silence", "list").stderr == "No silences.\n"

    assert "for 2h handed over; it mutes 1 open incident(s) now" in live.run(*wanted).stderr
    (kept,) = live.until("silence", "list", holds=lambda found: bool(found["items"]))["items"]
    assert (kept["matcher"], kept["comment"]) == ("kind=HelmRelease,rule=*", "bootstrap is being rebuilt")
    assert live.run("silence", "list").stdout.startswith("ID")
    assert live.json("get", "silences")["items"] == [kept]
    assert live.run("silence", "list", "-o", "name").stdout == f"{kept['id']}\n"

    assert live.run("silence", "expire", "nobody").returncode == 2
    assert live.run("silence", "expire", kept["id"][:6]).returncode == 0
    live.until("silence", "list", holds=lambda found: not found["items"])


def test_a_silence_for_what_incidents_do_not_have_is_refused(fluxmedic):
    found = fluxmedic("silence", "add", "nam=a", "--for", "2h", "--comment", "x", "--preview")
    assert found.returncode == 2
    assert "'nam=a' matches nothing: write KEY=GLOB with one of incident, kind, name, namespace, rule" in found.stderr


def test_a_silence_without_a_length_that_can_be_read_is_refused(fluxmedic):
    found = fluxmedic("silence", "add", "name=a", "--for", "2 hours", "--comment", "x")
    assert found.returncode == 2
    assert "a duration needs a unit" in found.stderr
