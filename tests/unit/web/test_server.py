"""The one server over real HTTP: pages that need no script, JSON of everything, health with a reason."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest

from daemon.engine.view import WorldView
from daemon.model.errors import ConfigError
from daemon.model.incidents import Member, Role
from daemon.model.ports import HttpAnswer, HttpRequest, HttpRoute, Readiness
from daemon.model.refs import IncidentId
from daemon.runtime.clock import ScaledClock
from daemon.web.incident import BRANCHES, LINES, incident_page
from daemon.web.pages import ROWS, incidents_page
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


async def test_f105_f106_pages_carry_a_strict_policy_and_no_script():
    async with served(broken()) as web:
        for path in ("/", "/style.css", "/nowhere", "/api/v1/incidents"):
            _, body, headers = await web.get(path)
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            for part in ("frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'", "style-src 'self'"):
                assert part in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "<script" not in body.lower() or path.startswith("/api")


async def test_f105_text_from_the_cluster_is_never_markup_on_a_page():
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
        assert "What it broke: 1, 1 still down" in body
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
        status, told, _ = await web.get("/api/v1/why?kind=kustomization&namespace=apps&name=a&incident=zzz")
        assert (status, "no incident is called" in str(told)) == (404, True)
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


async def test_f035_a_body_that_is_too_large_is_refused_whatever_its_header_says():
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"12345"

    async with served(Story()) as web, aiohttp.ClientSession() as session:
        for data in (b"x" * 11, endless()):
            async with session.post(f"{web.address}/echo", data=data, headers={"X-Mark": "m"}) as answer:
                assert answer.status == 413


async def test_f035_a_body_that_comes_too_slowly_is_cut_off():
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


async def fails(request: HttpRequest) -> HttpAnswer:
    raise RuntimeError("a secret detail")


async def test_a_fault_of_our_own_shows_no_trace_and_keeps_the_policy():
    server = WebServer(
        WorldView(Story().world),
        Vitals(lambda: Readiness(ready=True), float, bytes),
        ScaledClock(20.0),
        (HttpRoute("POST", "/fails", fails),),
    )
    async with server.serve("127.0.0.1:0") as address, aiohttp.ClientSession() as session:
        async with session.post(f"{address}/fails", headers={"Accept": "text/html"}) as answer:
            assert answer.status == 500
            assert "secret" not in await answer.text()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_f106_no_page_takes_a_post_and_none_has_a_form():
    story = broken()
    async with served(story) as web, aiohttp.ClientSession() as session:
        for path in ("/", f"/incidents/{story.case.incident.id}", "/api/v1/incidents", "/metrics", "/healthz"):
            async with session.post(web.address + path, data=b"verb=approve") as answer:
                assert (answer.status, await answer.text()) == (405, "405 Method Not Allowed\n")
            assert "<form" not in (await web.get(path))[1]


@pytest.mark.parametrize("odd", ["9" * 5000, "-1", "1.5", "x", "", "%00", "²"])
async def test_f107_an_odd_page_number_is_the_first_page(odd):
    async with served(broken()) as web:
        status, body, _ = await web.get(f"/?offset={odd}")
        assert status == 200
        assert "Kustomization apps/a" in body
        for name in ("offset", "limit"):
            found = await web.json(f"/api/v1/incidents?{name}={odd}")
            assert len(found["items"]) == found["total"] == 1  # type: ignore[arg-type]


async def test_f105_an_address_that_is_markup_is_told_as_text():
    async with served(Story()) as web:
        for path in ("/incidents/<script>", "/api/v1/incidents/%3Cscript%3E", "/%3Cscript%3E"):
            status, body, headers = await web.get(path)
            assert status == 404
            assert "<script>" not in body or headers["Content-Type"] == "application/json"


async def test_the_stream_sends_each_incident_as_it_changes():
    story = broken()
    async with served(story) as web, aiohttp.ClientSession() as session:
        async with session.get(f"{web.address}/api/v1/stream") as answer:
            first = await answer.content.readuntil(b"\n\n")
            assert first.startswith(b"event: incident\ndata: {")
            assert await answer.content.readuntil(b"\n\n") == b": here\n\n"
            assert await answer.content.readuntil(b"\n\n") == b": here\n\n"  # nothing new, and nothing is said twice
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
    assert first.count("</tr>") == ROWS + 1
    assert len(first) < 200_000
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
