"""The page of all incidents: how many are open, how bad, and the worst first."""

import html
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model.findings import Severity
from daemon.model.incidents import Member, Role, State
from daemon.model.ports import Readiness
from daemon.model.refs import IncidentId
from daemon.web.markup import CONTROL, Markup, moment, page, shown, span, tag
from daemon.web.pages import incidents_page
from tests.builders import T0, Cluster, Story, failing, ref

SEEING = Readiness(ready=True)
BASE = Story().see(Cluster().state("Kustomization", "a", failing())).wait(6).case.incident


def incident(name: str, severity: Severity = Severity.CRITICAL, state: State = State.OPEN, **more: object):
    return replace(BASE, id=IncidentId(name), severity=severity, state=state, **more)  # type: ignore[arg-type]


def test_the_banner_counts_what_is_open_how_bad_it_is_and_what_is_done_about_it():
    many = [
        incident("i1", Severity.WARNING),
        incident("i2", state=State.REMEDIATING),
        incident("i3", state=State.ACKNOWLEDGED),
        incident("i4", state=State.RESOLVED, resolved_at=T0),
    ]
    body = incidents_page(many, SEEING, T0, 0)
    assert "● 3 open incidents" in body
    assert "2 critical · 1 warning · 1 being mended · 1 acknowledged · 1 taken by nobody" in body
    assert "<title>3 open - fluxmedic</title>" in body
    assert 'class="banner critical"' in body


def test_the_worst_comes_first_and_what_is_over_last():
    many = [
        incident("over", state=State.RESOLVED, resolved_at=T0),
        incident("mild", Severity.WARNING),
        incident("bad", Severity.CRITICAL),
        incident("worse", Severity.CRITICAL, opened_at=T0 - timedelta(hours=1)),
    ]
    body = incidents_page(many, SEEING, T0, 0)
    places = [body.index(f"/incidents/{name}") for name in ("bad", "worse", "mild", "over")]
    assert places == sorted(places)


def test_what_cannot_be_seen_hides_no_incident():
    blind = Readiness(ready=False, reasons=("helmreleases: stale",))
    body = incidents_page([incident("i1")], blind, T0, 0)
    assert "Not everything can be seen yet" in body
    assert "● 1 open incident<" in body
    assert "All well" not in incidents_page([], blind, T0, 0)


def test_a_row_says_what_it_broke_who_took_it_and_for_how_long():
    victims = tuple(
        Member(ref("Kustomization", name), Role.DEPENDENT, T0, recovered_at=end)
        for name, end in (("b", T0), ("c", None))
    )
    taken = incident("i1", state=State.ACKNOWLEDGED, acknowledged_by="ada", members=victims, opened_at=T0)
    body = incidents_page([taken], SEEING, T0 + timedelta(minutes=12), 0)
    for words in ("2, 1 still down", "by ada", "12 min ago"):
        assert words in body
    ended = replace(taken, state=State.RESOLVED, resolved_at=T0 + timedelta(seconds=30), members=victims[:1])
    body = incidents_page([ended], SEEING, T0 + timedelta(days=9), 0)
    for words in ("1, all well", "lasted 30 s"):
        assert words in body


def test_a_long_cause_is_cut_and_says_so():
    body = incidents_page([incident("i1", cause="Kustomization apps/a: " + "x" * 500)], SEEING, T0, 0)
    assert "x" * 199 + "…" in body
    assert "x" * 200 not in body


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h 0 min"), (172_800, "2 d")]
)
def test_a_length_of_time_is_told_in_the_unit_that_matters(seconds, words):
    assert span(seconds) == words


def test_an_incident_of_severity_info_raises_no_alarm():
    quiet = replace(BASE, severity=Severity.INFO)
    assert "All well" in incidents_page([quiet], SEEING, T0, 0)
    mending = replace(quiet, severity=Severity.WARNING, state=State.REMEDIATING, opened_at=T0 - timedelta(hours=3))
    shown_page = incidents_page([mending, mending], SEEING, T0, 0)
    assert "2 open incidents" in shown_page
    assert "2 warning · 2 being mended" in shown_page
    assert "3 h 0 min ago" in shown_page
    old = replace(mending, opened_at=T0 - timedelta(days=3))
    assert "3 d ago" in incidents_page([old], SEEING, T0, 0)


@given(st.text())
def test_f105_no_text_becomes_markup(text):
    safe = shown(text)
    assert "<" not in safe
    assert ">" not in safe
    assert '"' not in safe
    assert "'" not in safe
    assert html.unescape(safe) == CONTROL.sub("", text)
    safe.encode()
    assert shown(safe) == safe


def test_markup_is_made_of_functions():
    assert tag("a", "x", href='"', class_="y", hidden=None) == '<a href="&quot;" class="y">x</a>'
    assert moment(None) == Markup("")
    assert "2026-03-01" in moment(T0)
    assert "refresh" in page("t", refresh=5)
