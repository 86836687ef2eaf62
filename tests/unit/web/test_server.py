"""The one server over real HTTP: pages that need no script, JSON of everything, health with a reason."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.view import WorldView
from daemon.model.errors import ConfigError
from daemon.model.findings import Severity
from daemon.model.incidents import Change, Incident, Member, Role, State
from daemon.model.ports import HttpAnswer, HttpRequest, HttpRoute, Readiness
from daemon.model.refs import IncidentId
from daemon.model.remedies import (
    Check,
    CheckState,
    Milestone,
    Mode,
    Outcome,
    Phase,
    Remediation,
    Step,
)
from daemon.runtime.clock import ScaledClock
from daemon.web.markup import Markup, moment, page, shown, tag
from daemon.web.pages import BRANCHES, LINES, ROWS, incident_page, incidents_page
from daemon.web.server import STREAMS, Vitals, WebServer
from tests.builders import T0, Cluster, Story, failing, needs, ready, ref, waiting

EVIL = "<script>alert(1)</script>\x1b[2J\u202e"


def broken() -> Story:
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing(message=f"boom {EVIL}"))).wait(6)
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a"))))
    return story.see(cluster.state("Kustomization", "well", ready())).wait(10)


class Served:
    """A server over a story, and how it is asked."""

    def __init__(self, address: str, vitals: dict[str, object]) -> None:
        self.address, self.vitals = address, vitals

    async def get(self, path: str, **more: object) -> tuple[int, str, dict[str, str]]:
        async with aiohttp.ClientSession() as session, session.request("GET", self.address + path, **more) as answer:  # type: ignore[arg-type]
            return answer.status, await answer.text(), dict(answer.headers)

    async def json(self, path: str) -> dict[str, object]:
        async with aiohttp.ClientSession() as session, session.get(self.address + path) as answer:
            return dict(await answer.json())


async def echo(request: HttpRequest) -> HttpAnswer:
    return HttpAnswer(200, request.body + request.headers["x-mark"].encode() + request.query.get("q", "").encode())


ROUTE = HttpRoute("POST", "/echo", echo, limit=10, seconds=0.3)


@asynccontextmanager
async def served(story: Story) -> AsyncIterator[Served]:
    state: dict[str, object] = {"ready": Readiness(ready=True), "age": 0.0}
    vitals = Vitals(lambda: state["ready"], lambda: state["age"], lambda: b"# metrics\n")  # type: ignore[return-value, arg-type]
    server = WebServer(WorldView(story.world), vitals, ScaledClock(20.0), (ROUTE,))
    async with server.serve("127.0.0.1:0") as address:
        yield Served(address, state)


async def test_pages_carry_a_strict_policy_and_no_script():
    async with served(broken()) as web:
        for path in ("/", "/style.css", "/nowhere", "/api/v1/incidents"):
            _, body, headers = await web.get(path)
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Frame-Options"] == "DENY"
            assert "<script" not in body.lower() or path.startswith("/api")


async def test_f106_text_from_the_cluster_is_never_markup_on_a_page():
    story = broken()
    async with served(story) as web:
        _, body, _ = await web.get(f"/incidents/{story.case.incident.id}")
    assert "&lt;script&gt;" in body
    assert "<script>" not in body
    assert "\x1b" not in body
    assert "\u202e" not in body


async def test_the_first_page_says_how_it_stands():
    story = broken()
    async with served(story) as web:
        _, body, _ = await web.get("/")
        assert "1 open incident" in body
        assert "Kustomization apps/a" in body
        web.vitals["ready"] = Readiness(ready=False, reasons=("helmreleases: syncing",))
        _, body, _ = await web.get("/")
        assert "Not everything can be seen yet" in body
        assert "helmreleases: syncing" in body
    async with served(Story()) as web:
        _, body, _ = await web.get("/?offset=x")
        assert "All well" in body
        assert "No incident is known." in body


async def test_an_incident_is_shown_with_its_tree_and_timeline_and_as_json():
    story = broken()
    name = story.case.incident.id
    async with served(story) as web:
        _, body, _ = await web.get(f"/incidents/{name[:6]}")
        assert "What it broke (1)" in body
        assert "Kustomization apps/b" in body
        assert (await web.json(f"/incidents/{name}.json"))["id"] == name
        assert (await web.json(f"/api/v1/incidents/{name}"))["kind"] == "Incident"
        assert (await web.json(f"/api/v1/incidents/{name}/timeline"))["incident"] == name
        for path in (
            "/incidents/zzz",
            "/incidents/zzz.json",
            "/api/v1/incidents/zzz",
            "/api/v1/incidents/zzz/timeline",
        ):
            status, _, _ = await web.get(path)
            assert status == 404


async def test_lists_can_be_filtered_and_turned():
    story = broken()
    async with served(story) as web:
        assert (await web.json("/api/v1/incidents?state=open&severity=critical&limit=1&offset=0"))["total"] == 1
        assert (await web.json("/api/v1/incidents?state=resolved"))["items"] == []
        assert (await web.json("/api/v1/incidents?severity=info"))["items"] == []
        assert (await web.json("/api/v1/objects?health=Current"))["total"] == 1
        assert (await web.json("/api/v1/objects?kind=HelmRelease"))["total"] == 0
        assert (await web.json("/api/v1/objects?namespace=other"))["total"] == 0
        found = await web.json("/api/v1/findings")
        assert [item["test"] for item in found["items"]] == ["failed"]  # type: ignore[attr-defined]
        rules = await web.json("/api/v1/rules")
        assert [item["name"] for item in rules["items"]] == ["failed"]  # type: ignore[attr-defined]


async def test_why_answers_for_any_object_and_asks_for_what_it_needs():
    async with served(broken()) as web:
        assert (await web.json("/api/v1/why?kind=kustomization&namespace=apps&name=a"))["known"]
        assert not (await web.json("/api/v1/why?kind=Kustomization&name=ghost"))["known"]
        status, _, _ = await web.get("/api/v1/why?kind=Kustomization")
        assert status == 400


async def test_f069_liveness_fails_when_the_pump_stands_still():
    async with served(Story()) as web:
        assert (await web.get("/healthz"))[0] == 200
        web.vitals["age"] = 31.0
        status, body, _ = await web.get("/healthz")
        assert (status, body) == (503, "the pump has not turned for 31 s\n")


async def test_readiness_gives_its_reason():
    async with served(Story()) as web:
        assert (await web.get("/readyz"))[0] == 200
        assert (await web.get("/api/v1/readiness"))[0] == 200
        web.vitals["ready"] = Readiness(ready=False, reasons=("x: syncing",))
        status, body, _ = await web.get("/readyz")
        assert status == 503
        assert "x: syncing" in body
        assert (await web.get("/metrics"))[1] == "# metrics\n"


async def test_a_route_of_a_source_gets_the_exact_body_headers_and_query():
    async with served(Story()) as web, aiohttp.ClientSession() as session:
        async with session.post(f"{web.address}/echo?q=x", data=b"abc", headers={"X-Mark": "m"}) as answer:
            assert await answer.read() == b"abcmx"


async def test_f105_a_body_that_is_too_large_is_refused_whatever_its_header_says():
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"12345"

    async with served(Story()) as web, aiohttp.ClientSession() as session:
        for data in (b"x" * 11, endless()):
            async with session.post(f"{web.address}/echo", data=data, headers={"X-Mark": "m"}) as answer:
                assert answer.status == 413


async def test_f105_a_body_that_comes_too_slowly_is_cut_off():
    async def slow() -> AsyncIterator[bytes]:
        yield b"1"
        await asyncio.sleep(5)
        yield b"2"

    async with served(Story()) as web, aiohttp.ClientSession() as session:
        try:
            async with session.post(f"{web.address}/echo", data=slow(), headers={"X-Mark": "m"}) as answer:
                assert answer.status == 408
        except aiohttp.ClientError:
            pass  # the server may close before it has heard all: that is a refusal too


async def test_the_stream_sends_each_incident_as_it_changes():
    story = broken()
    async with served(story) as web, aiohttp.ClientSession() as session:
        async with session.get(f"{web.address}/api/v1/stream") as answer:
            first = await answer.content.readuntil(b"\n\n")
            assert first.startswith(b"event: incident\ndata: {")
            assert await answer.content.readuntil(b"\n\n") == b": here\n\n"
            case = story.case
            case.incident = replace(case.incident, updated_at=story.at + timedelta(seconds=1))
            while b"event: incident" not in await answer.content.readuntil(b"\n\n"):
                pass


async def test_too_many_readers_of_the_stream_are_turned_away():
    async with served(Story()) as web, aiohttp.ClientSession() as session:
        readers = [await session.get(f"{web.address}/api/v1/stream") for _ in range(STREAMS)]
        async with session.get(f"{web.address}/api/v1/stream") as answer:
            assert answer.status == 503
        for reader in readers:
            reader.close()


@pytest.mark.parametrize("bind", ["nonsense", "127.0.0.1:http", "127.0.0.1:70000"])
async def test_an_address_that_is_none_is_refused(bind):
    server = WebServer(WorldView(Story().world), Vitals(lambda: Readiness(ready=True), float, bytes), ScaledClock(1.0))
    with pytest.raises(ConfigError, match="address:port"):
        async with server.serve(bind):
            pass


async def test_a_port_that_is_taken_is_a_clear_error():
    async with served(Story()) as web:
        server = WebServer(
            WorldView(Story().world), Vitals(lambda: Readiness(ready=True), float, bytes), ScaledClock(1.0)
        )
        with pytest.raises(ConfigError, match="cannot listen at"):
            async with server.serve(web.address.removeprefix("http://")):
                pass


def test_f107_a_page_of_many_incidents_and_members_stays_small():
    story = broken()
    base = story.case.incident
    many = [replace(base, id=IncidentId(f"i{number:03}")) for number in range(ROWS * 3)]
    first = incidents_page(many, Readiness(ready=True), T0, 0)
    middle = incidents_page(many, Readiness(ready=True), T0, ROWS)
    assert first.count("<tr>") == ROWS + 1
    assert "older (100 more)" in first
    assert "newer" in middle
    members = tuple(
        Member(ref("Kustomization", f"m{number}"), Role.DEPENDENT, T0, "waits", base.root) for number in range(1000)
    )
    entries = base.timeline * LINES
    big = incident_page(replace(base, members=(base.members[0], *members), timeline=entries), T0)
    assert len(big) < 200_000
    assert f"+{1001 - BRANCHES} more" in big
    assert "earlier entries" in big


def plan(phase: Phase) -> Remediation:
    step = Step("reconcile", ref("Kustomization", "a"), text="annotate it", outcome=Outcome.CHANGED, finished_at=T0)
    check = Check("S1", "condition", None, "it is Ready", 30.0)
    rows = (
        Milestone(check, CheckState.MET, "yes", T0 + timedelta(seconds=4), late=True),
        Milestone(check, CheckState.PENDING),
    )
    return Remediation(
        id="p1", incident=IncidentId("i"), rule="r", mode=Mode.PROPOSE, phase=phase,
        steps=(step, Step("x", step.ref)), digest="d", created_at=T0, started_at=T0, verdict="so far", milestones=rows,
    )  # fmt: skip


def whole(**changes: object) -> Incident:
    return replace(
        broken().case.incident,
        change=Change("1", "2", "feat: x", "GitRepository/r", "Kustomization/apps"),
        summary="in short",
        acknowledged_by="ada",
        instructions=("do this",),
        related=(IncidentId("other"),),
        **changes,  # type: ignore[arg-type]
    )


def test_a_plan_that_waits_shows_how_to_agree():
    body = incident_page(whole(remediation=plan(Phase.PROPOSED)), T0)
    assert "fluxmedic approve p1" in body
    assert "annotate it" in body
    assert "T+4 s" in body
    assert "met late" in body
    assert "do this" in body
    assert "/incidents/other" in body


def test_a_resolved_incident_does_not_tell_anybody_to_do_anything():
    body = incident_page(whole(state=State.RESOLVED, resolved_at=T0, remediation=plan(Phase.SUCCEEDED)), T0)
    assert "do this" not in body
    assert "http-equiv" not in body
    assert "fluxmedic approve" not in body


def test_an_incident_of_severity_info_raises_no_alarm():
    quiet = replace(broken().case.incident, severity=Severity.INFO)
    assert "All well" in incidents_page([quiet], Readiness(ready=True), T0, 0)
    mending = replace(quiet, severity=Severity.WARNING, state=State.REMEDIATING, opened_at=T0 - timedelta(hours=3))
    shown_page = incidents_page([mending, mending], Readiness(ready=True), T0, 0)
    assert "2 open incidents, 2 being mended" in shown_page
    assert "3 h 0 min ago" in shown_page
    old = replace(mending, opened_at=T0 - timedelta(days=3))
    assert "3 d ago" in incidents_page([old], Readiness(ready=True), T0, 0)


def test_members_without_a_root_are_drawn_all_the_same():
    base = broken().case.incident
    orphans = replace(base, members=base.members[1:])
    assert "Kustomization apps/b" in incident_page(orphans, T0)


def test_a_next_step_stands_in_for_instructions():
    base = replace(broken().case.incident, instructions=(), next_step="look there")
    assert "look there" in incident_page(base, T0)
    assert "What a person would do" not in incident_page(replace(base, next_step=""), T0)


@given(st.text())
def test_no_text_becomes_markup(text):
    safe = shown(text)
    assert "<" not in safe
    assert '"' not in safe
    assert shown(safe) == safe


def test_markup_is_made_of_functions():
    assert tag("a", "x", href='"', class_="y", hidden=None) == '<a href="&quot;" class="y">x</a>'
    assert moment(None) == Markup("")
    assert "2026-03-01" in moment(T0)
    assert "refresh" in page("t", refresh=5)
