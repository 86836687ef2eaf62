"""The demo on a terminal: lines only, colour only where it is wanted, and the exact instructions in observe."""

import io
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from daemon.cli.stage import Addresses, Options, Show
from daemon.cli.terminal import Terminal
from daemon.engine.view import WorldView
from daemon.engine.world import World
from daemon.model.effects import Commit, SaveIncident, Send
from daemon.model.findings import Severity
from daemon.model.incidents import Entry, Incident, State
from daemon.model.notices import Notification, Reason
from daemon.model.refs import EffectId, IncidentId, Target
from daemon.model.remedies import Check, CheckState, Milestone, Mode, Outcome, Phase, Remediation, Step
from daemon.simulator.scenarios import SCENARIOS
from tests.builders import T0, ref

ROOT = ref("HelmRelease", "cilium", "kube-system")
INCIDENT = Incident(
    id=IncidentId("abc"),
    root=ROOT,
    cause="it broke",
    severity=Severity.CRITICAL,
    state=State.OPEN,
    opened_at=T0,
    updated_at=T0,
    instructions=("flux suspend helmrelease cilium", "kubectl delete helmrelease cilium"),
)
COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])[0-9;]*m")


def terminal(mode: Mode = Mode.OBSERVE, *, web: bool = True, colour: bool = False) -> tuple[Terminal, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, width=140, highlight=False, markup=False, force_terminal=colour or None)
    shown = Terminal(console, Options(SCENARIOS["seed-cilium"], mode, 4.0), web=web)
    shown.opened(Addresses("http://page", "http://slack"), T0)
    return shown, file


def entry(kind: str, text: str, name: str = "", seconds: float = 0.0) -> Entry:
    at = T0 + timedelta(seconds=seconds)
    return Entry(
        at=at, seen_at=at, kind=kind, actor="engine", object=ref("Kustomization", name) if name else None, text=text
    )


def stepped(shown: Terminal, *news: Entry, sent: Reason | None = None) -> None:
    effects: list[Any] = [Commit((SaveIncident(INCIDENT, news),))]
    if sent is not None:
        effects.append(Send(Notification(EffectId("e"), Target("slack"), sent, INCIDENT, T0)))
    shown.stepped(tuple(effects), WorldView(World()))


def test_it_opens_with_what_plays_and_where_to_look():
    _, file = terminal()
    text = file.getvalue()
    assert "http://page" in text
    assert "http://slack" in text
    assert "mode   observe; time runs 4 times as fast; Ctrl-C ends it" in text
    assert "http://" not in terminal(web=False)[1].getvalue()


def test_a_fact_is_one_line_with_the_time_since_the_beginning():
    shown, file = terminal()
    shown.pushed(T0 + timedelta(seconds=65), "feat: x")
    stepped(shown, entry("opened", "the root\nis here", seconds=5), sent=Reason.OPENED)
    lines = file.getvalue().splitlines()
    assert "1m 05s  git        pushed: feat: x" in [line.strip() for line in lines]
    assert "5s  opened     the root is here" in [line.strip() for line in lines]
    assert lines[-1].strip() == "0s  slack      told the channel: opened"


def test_many_that_join_at_once_are_one_line():
    shown, file = terminal()
    stepped(shown, *(entry("joined", "fails", name) for name in "abcdef"), entry("cause", "why"))
    assert "6 fail or wait because of it: a, b, c, d and 2 more" in file.getvalue()
    assert "cause      why" in file.getvalue()
    stepped(shown, entry("recovered", "x", "a"), entry("recovered", "x", "b"))
    assert "2 are well again: a, b" in file.getvalue()


def test_f109_what_the_cluster_says_does_not_move_the_cursor():
    shown, file = terminal()
    stepped(shown, entry("evidence", "\x1b[2J\x07gone\u202e"))
    shown.pushed(T0, "\x9b31mred")
    shown.ended(Show(incidents=(replace(INCIDENT, cause="\x1b]0;x\x07"),), over=True))
    assert all(letter.isprintable() or letter == "\n" for letter in file.getvalue())
    assert "\\x1b[2J\\x07gone" in file.getvalue()


def test_there_is_colour_on_a_terminal_and_none_where_it_is_not_wanted(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    shown, file = terminal(colour=True)
    stepped(shown, entry("opened", "x"))
    assert COLOUR.search(file.getvalue())

    shown, file = terminal()
    stepped(shown, entry("opened", "x"))
    assert "\x1b" not in file.getvalue()

    monkeypatch.setenv("NO_COLOR", "1")
    shown, file = terminal(colour=True)
    stepped(shown, entry("opened", "x"))
    assert not COLOUR.search(file.getvalue())


def test_in_observe_a_person_is_told_what_to_do_exactly_and_in_order():
    shown, file = terminal()
    shown.ended(Show(incidents=(INCIDENT,), over=True))
    text = file.getvalue()
    assert "OPEN · critical · HelmRelease/kube-system/cilium" in text
    assert "1. flux suspend helmrelease cilium" in text
    assert "2. kubectl delete helmrelease cilium" in text
    shown, file = terminal(Mode.AUTO)
    shown.ended(Show(incidents=(INCIDENT,), over=True))
    assert "flux suspend" not in file.getvalue()


def test_a_contract_is_shown_as_expected_against_actual():
    check = Check("S1", "absent", ROOT, "it is gone", 15.0)
    begun, met = T0 + timedelta(seconds=10), T0 + timedelta(seconds=14)
    plan = Remediation(
        id="p1",
        incident=INCIDENT.id,
        rule="r",
        mode=Mode.AUTO,
        phase=Phase.SUCCEEDED,
        steps=(Step("delete-release", ROOT, outcome=Outcome.CHANGED, finished_at=begun),),
        digest="d",
        created_at=T0,
        verdict="the recovery contract is met",
        milestones=(
            Milestone(check, CheckState.MET, "not there", met),
            Milestone(replace(check, id="S2"), CheckState.MISSED, "still there"),
            Milestone(replace(check, id="S3"), CheckState.SKIPPED, "not watched"),
        ),
    )
    resolved = replace(INCIDENT, state=State.RESOLVED, resolved_at=T0 + timedelta(seconds=90), remediation=plan)
    shown, file = terminal(Mode.AUTO)
    shown.ended(Show(incidents=(resolved,), over=True))
    text = file.getvalue()
    assert "RESOLVED after 1m 30s" in text
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "✓ S1 it is gone T+15s T+4s not there" in rows
    assert "✗ S2 it is gone T+15s still there" in rows
    assert "- S3 it is gone T+15s skipped: not watched" in rows

    shown, file = terminal(Mode.AUTO)
    shown.ended(Show(incidents=(replace(resolved, remediation=replace(plan, phase=Phase.PROPOSED, verdict="")),)))
    assert "plan    p1: proposed; nobody has agreed yet" in file.getvalue()
    assert "Recovery contract" not in file.getvalue()


@pytest.mark.parametrize(
    ("show", "words"),
    [
        (Show(over=True), "No incident: nothing was wrong, and nobody was told anything."),
        (Show(), "Broken off before the end."),
        (Show(fault="cluster: boom"), "The demo broke off: cluster: boom"),
    ],
)
def test_an_end_without_an_incident_says_which_end_it_was(show, words):
    shown, file = terminal()
    shown.ended(show)
    assert words in file.getvalue()


def test_pages_that_stay_up_are_announced():
    shown, file = terminal()
    shown.lingers(15.0)
    assert "The pages stay up for 15 s; Ctrl-C ends it." in file.getvalue()
