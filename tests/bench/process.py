"""The daemon as a process of its own against the simulated API server: start, memory, rest, kill, posts, pages."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import aiohttp
import yaml

from daemon.cli import COMMANDS
from daemon.runtime.clock import SystemClock
from daemon.simulator.server import SimulatedCluster, kubeconfig
from tests.bench.matter import FAST_RULE, Json, kustomization
from tests.bench.table import AT_LEAST, CLOCK, Row, Watch, quantile

FLUXMEDIC = Path(sys.executable).parent / "fluxmedic"
KEY = b"bench-key-of-the-flux-webhook"
REST = 4.0
"""Seconds at rest over which the processor time is taken."""
POSTS = 10_000
READERS = 16
FLIPS = 60
TICKS = os.sysconf("SC_CLK_TCK")
WITHIN = 40.0
"""Seconds after which something that does not come is a broken benchmark."""


@dataclass(slots=True)
class Daemon:
    """One running daemon."""

    process: asyncio.subprocess.Process
    address: str

    def memory(self) -> float:
        """Return the resident MiB."""
        rows = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS")) / 1024

    def processor(self) -> float:
        """Return the seconds of processor so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@dataclass(frozen=True, slots=True)
class Place:
    """Where the daemon runs: its folder, its cluster, and whom it tells."""

    folder: Path
    url: str
    target: str = ""
    rules: str = FAST_RULE

    def settings(self, port: int) -> Path:
        """Write the files that it needs; return the settings'."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "kubeconfig").write_text(json.dumps(kubeconfig(self.url)))
        (self.folder / "key").write_bytes(KEY)
        (self.folder / "rules.yaml").write_text(self.rules)
        settings: Json = {
            "cluster": "bench",
            "kubeconfig": str(self.folder / "kubeconfig"),
            "rules": str(self.folder / "rules.yaml"),
            "ledger": {"url": f"sqlite+aiosqlite:///{self.folder / 'ledger.db'}"},
            "http": {"bind": f"127.0.0.1:{port}"},
            "hook": {"key_file": str(self.folder / "key")},
            "notify": {"group_wait": "0s", "resolve_after": "0s"},
        }
        if self.target:
            settings["webhook"] = {"url": self.target, "allow_private": True}
        path = self.folder / "settings.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path


async def rows(folder: Path) -> AsyncIterator[Row]:
    """Measure."""
    yield await _version()
    async for row in _small(folder / "small"):
        yield row
    for objects, first, memory in ((5000, None, None), (10_000, 10.0, 128.0)):
        async for row in _large(folder / f"of-{objects}", objects, first, memory):
            yield row
    async for row in _telling(folder / "telling"):
        yield row


async def _version() -> Row:
    times = []
    for _ in range(5):
        watch = Watch()
        process = await asyncio.create_subprocess_exec(
            FLUXMEDIC, next(name for name in COMMANDS if name == "version"), stdout=asyncio.subprocess.DEVNULL
        )
        await process.wait()
        times.append(watch.seconds)
    return Row("fluxmedic version", quantile(times, 0.5), "s", note="median of 5")


@asynccontextmanager
async def _daemon(place: Place) -> AsyncIterator[Daemon]:
    port = await _free_port()
    command = [str(FLUXMEDIC), "run", "--config", str(place.settings(port))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLUXMEDIC_")}
    with (place.folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=environment)
    try:
        yield Daemon(process, f"http://127.0.0.1:{port}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _free_port() -> int:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        return int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def _cluster(objects: int) -> AsyncIterator[tuple[SimulatedCluster, str]]:
    """Serve a cluster of so many Kustomizations; the first one fails."""
    cluster = SimulatedCluster(SystemClock())
    for index in range(objects):
        cluster.put(_applied(index, reason="BuildFailed" if index == 0 else ""))
    async with cluster.serve() as url:
        yield cluster, url


def _applied(index: int, *, reason: str = "") -> Json:
    """Return what somebody would apply: a manifest with its status, without what the server adds."""
    raw = kustomization(index, reason=reason)
    kept = ("name", "namespace", "labels", "finalizers")
    raw["metadata"] = {key: raw["metadata"][key] for key in kept} | {"namespace": "default"}
    return raw


async def _until(session: aiohttp.ClientSession, url: str, holds: Callable[[int, bytes], bool]) -> None:
    watch = Watch()
    while watch.seconds < WITHIN:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with session.get(url) as answer:
                if holds(answer.status, await answer.read()):
                    return
        await CLOCK.sleep(0.02)
    raise TimeoutError(f"{url} did not come to be as expected within {WITHIN:g} s")


def _is_ready(status: int, _body: bytes) -> bool:
    return status == 200


def _is_found(_status: int, body: bytes) -> bool:
    return b"app-00000" in body


async def _verdict(daemon: Daemon, session: aiohttp.ClientSession) -> None:
    """Wait until every kind is in sync and the one failure is known."""
    await _until(session, f"{daemon.address}/readyz", _is_ready)
    await _until(session, f"{daemon.address}/api/v1/incidents", _is_found)


async def _small(folder: Path) -> AsyncIterator[Row]:
    async with _cluster(1000) as (cluster, url), aiohttp.ClientSession() as session:
        place = Place(folder, url)
        async with _daemon(place) as daemon:
            watch = Watch()
            await _verdict(daemon, session)
            yield Row("cold start to first verdict, 1,000 objects", watch.seconds, "s", 3)
            await CLOCK.sleep(1.0)
            asked, used = len(cluster.faults.asked), daemon.processor()
            watch = Watch()
            await CLOCK.sleep(REST)
            share = (daemon.processor() - used) / watch.seconds * 1000
            requests = (len(cluster.faults.asked) - asked) / watch.seconds
            lists = [each.resource for each in cluster.faults.asked if each.verb == "list"]
            yield Row("idle processor at 1,000 objects", share, "m CPU", 10)
            yield Row("memory at 1,000 objects", daemon.memory(), "MiB", 80)
            yield Row("API requests at rest", requests, "1/s", 1, note=f"{len(lists)} lists of {len(set(lists))} kinds")
            async for row in _pages(daemon, session):
                yield row
            yield await _posts(daemon)
            daemon.process.kill()
            await daemon.process.wait()
        async with _daemon(place) as daemon:
            watch = Watch()
            await _until(session, f"{daemon.address}/healthz", _is_ready)
            live = watch.seconds
            await _verdict(daemon, session)
            async with session.get(f"{daemon.address}/api/v1/incidents") as answer:
                found = len((await answer.json())["items"])
            note = f"live after {live:.2f} s; {found} incident of 1"
            yield Row("recovery after kill -9", watch.seconds, "s", 10, note=note)


async def _large(folder: Path, objects: int, first: float | None, memory: float | None) -> AsyncIterator[Row]:
    async with _cluster(objects) as (_, url), aiohttp.ClientSession() as session, _daemon(Place(folder, url)) as daemon:
        watch = Watch()
        await _verdict(daemon, session)
        yield Row(f"cold start to first verdict, {objects:,} objects", watch.seconds, "s", first)
        yield Row(f"memory at {objects:,} objects", daemon.memory(), "MiB", memory)


async def _pages(daemon: Daemon, session: aiohttp.ClientSession) -> AsyncIterator[Row]:
    """The incident's page as a reader gets it, and everything a first visit loads."""
    async with session.get(f"{daemon.address}/api/v1/incidents") as answer:
        name = (await answer.json())["items"][0]["id"]
    times, size = [], 0
    for path in ["/style.css", *["/"] * 10, *[f"/incidents/{name}"] * 20]:
        watch = Watch()
        async with session.get(f"{daemon.address}{path}") as answer:
            size = max(size, len(await answer.read()))
        times.append(watch.seconds)
    yield Row("incident page, p99", quantile(times, 0.99) * 1000, "ms", 150, note="one incident")
    yield Row("largest page or style", size / 1000, "kB", 200)


async def _posts(daemon: Daemon) -> Row:
    """Signed posts over connections that stay open; each body is another one."""
    host, _, port = daemon.address.removeprefix("http://").partition(":")
    now = CLOCK.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    shares = [[_post(number, now) for number in range(start, POSTS, READERS)] for start in range(READERS)]
    watch = Watch()
    accepted = sum(await asyncio.gather(*(_talk(host, int(port), share) for share in shares)))
    took = watch.seconds
    return Row("signed webhook posts", POSTS / took, "1/s", 5000, AT_LEAST, f"{accepted:,} of {POSTS:,} accepted")


def _post(number: int, now: str) -> bytes:
    about = {"kind": "Kustomization", "namespace": "default", "name": f"app-{number % 1000:05}"}
    body = json.dumps(
        {
            "involvedObject": about | {"apiVersion": "kustomize.toolkit.fluxcd.io/v1"},
            "severity": "error",
            "timestamp": now,
            "message": f"kustomize build failed: attempt {number}",
            "reason": "BuildFailed",
            "reportingController": "kustomize-controller",
        }
    ).encode()
    signature = hmac.new(KEY, body, hashlib.sha256).hexdigest()
    head = (
        f"POST /hook/flux HTTP/1.1\r\nHost: bench\r\nX-Signature: sha256={signature}\r\nContent-Length: {len(body)}\r\n"
    )
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


async def _talk(host: str, port: int, posts: list[bytes]) -> int:
    """Post one after the other; return how many were accepted."""
    reader, writer = await asyncio.open_connection(host, port)
    accepted = 0
    for post in posts:
        writer.write(post)
        head = await reader.readuntil(b"\r\n\r\n")
        accepted += head.startswith(b"HTTP/1.1 202")
        length = next(
            int(row.split(b":")[1]) for row in head.split(b"\r\n") if row.lower().startswith(b"content-length")
        )
        await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return accepted


class Told:
    """Who is told: notes when a post about an object came."""

    def __init__(self) -> None:
        """Nobody was told of anything."""
        self.at: dict[str, float] = {}
        self.came = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer posts until the other side closes."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                rows = head.lower().split(b"\r\n")
                length = next(int(row.split(b":")[1]) for row in rows if row.startswith(b"content-length"))
                body = json.loads(await reader.readexactly(length))
                if body["data"]["reason"] == "opened":
                    self.at[body["data"]["root"]["name"]] = CLOCK.monotonic()
                    self.came.set()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async def about(self, name: str) -> float:
        """Wait for the post about an object; return when it came."""
        while name not in self.at:
            self.came.clear()
            await self.came.wait()
        return self.at[name]


async def _telling(folder: Path) -> AsyncIterator[Row]:
    """An object fails in the cluster; how long until the first byte of our post is read on the other side."""
    told = Told()
    server = await asyncio.start_server(told.take, "127.0.0.1", 0)
    async with server, _cluster(200) as (cluster, url), aiohttp.ClientSession() as session:
        target = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with _daemon(Place(folder, url, target)) as daemon:
            await _verdict(daemon, session)
            await _in_time(told.about("app-00000"))
            times = []
            for index in range(1, FLIPS + 1):
                begun = CLOCK.monotonic()
                cluster.put(_applied(index, reason="BuildFailed"))
                times.append(await _in_time(told.about(f"app-{index:05}")) - begun)
                await CLOCK.sleep(0.01)
        server.close()
    yield Row("change to outgoing post, p50, durable", quantile(times, 0.5) * 1000, "ms", 10, note=f"of {FLIPS}")
    yield Row("change to outgoing post, p99, durable", quantile(times, 0.99) * 1000, "ms", 50)


async def _in_time(work: Awaitable[float]) -> float:
    return await asyncio.wait_for(work, WITHIN)
