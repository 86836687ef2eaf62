"""The outgoing webhook over real HTTP: signed CloudEvents under one key; addresses that must not be called are not."""

import asyncio
import hashlib
import hmac
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import aiohttp
import orjson
import pytest
from aiohttp import TCPConnector, ThreadedResolver, web
from aiohttp.abc import ResolveResult

from daemon.model.notices import Notification, Reason, Sent
from daemon.model.refs import EffectId, Target
from daemon.notify.log import LogNotifier
from daemon.notify.webhook import WebhookNotifier, event_of, is_refused
from tests.builders import T0, Cluster, Story, failing

KEY = b"a key"


def notice() -> Notification:
    incident = Story().see(Cluster().state("Kustomization", "a", failing())).wait(6).case.incident
    return Notification(EffectId("k1"), Target("webhook"), Reason.OPENED, incident, T0, incident.timeline)


class Receiver:
    """The far side: keeps what it got and answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.headers: dict[str, str] = {}

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, headers=self.headers, text="x" * 100_000)


@asynccontextmanager
async def receiver(
    key: bytes | None = KEY, tls: ssl.SSLContext | None = None, **more: bool
) -> AsyncIterator[tuple[Receiver, WebhookNotifier]]:
    far = Receiver()
    app = web.Application()
    app.router.add_post("/in", far.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    try:
        async with aiohttp.ClientSession() as session:
            yield far, WebhookNotifier(url, key, session, **({"allow_private": True} | more))
    finally:
        await runner.cleanup()


async def test_a_notification_is_a_signed_cloud_event_under_its_key():
    async with receiver() as (far, notifier):
        assert (await notifier.send(notice(), "")).outcome is Sent.SENT
    headers, body = far.got[0]
    assert headers["X-Signature"] == "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest()
    event = orjson.loads(body)
    assert headers["Idempotency-Key"] == event["id"] == "k1"
    assert event["type"] == "dev.fluxmedic.incident.opened.v1"
    assert event["specversion"] == "1.0"
    assert event["data"]["root"]["name"] == "a"


async def test_the_same_notification_is_the_same_bytes_each_time():
    told = notice()
    async with receiver(None) as (far, notifier):
        await notifier.send(told, "")
        await notifier.send(told, "")
    assert far.got[0][1] == far.got[1][1] == orjson.dumps(event_of(told))
    assert "X-Signature" not in far.got[0][0]


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "after"),
    [
        (204, {}, Sent.SENT, None),
        (429, {"Retry-After": "9"}, Sent.RETRY, 9.0),
        (429, {"Retry-After": "9" * 400}, Sent.RETRY, 3600.0),
        (503, {"Retry-After": "soon"}, Sent.RETRY, None),
        (400, {}, Sent.FAILED, None),
        (302, {"Location": "http://127.0.0.1:1/"}, Sent.FAILED, None),
    ],
)
async def test_f085_the_answer_decides_whether_it_is_tried_again(status, headers, outcome, after):
    async with receiver() as (far, notifier):
        far.status, far.headers = status, headers
        said = await notifier.send(notice(), "")
    assert (said.outcome, said.retry_after) == (outcome, after)
    assert len(far.got) == 1


async def test_a_webhook_that_does_not_answer_is_tried_again():
    async with aiohttp.ClientSession() as session:
        notifier = WebhookNotifier("http://127.0.0.1:1/", KEY, session, allow_private=True)
        said = await notifier.send(notice(), "")
        assert said.outcome is Sent.RETRY
        assert await notifier.find(notice()) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "[::1]", "224.0.0.1"])
async def test_f084_an_address_inside_is_not_called_unless_that_was_allowed(host):
    async with aiohttp.ClientSession() as session:
        said = await WebhookNotifier(f"https://{host}/x", KEY, session).send(notice(), "")
    assert said.outcome is Sent.FAILED
    assert "is not allowed as a target" in said.detail


async def test_f084_the_clouds_own_address_is_never_called():
    async with aiohttp.ClientSession() as session:
        said = await WebhookNotifier("https://169.254.169.254/x", KEY, session, allow_private=True).send(notice(), "")
    assert said.outcome is Sent.FAILED


@pytest.mark.parametrize("url", ["ftp://x/y", "https:///nohost", "http://example.com/x"])
async def test_an_address_that_must_not_be_used_is_refused_at_once(url):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ValueError, match="webhook"):
            WebhookNotifier(url, KEY, session)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"])
async def test_f083_a_far_side_that_hangs_is_left_after_the_whole_limit(answer):
    left = asyncio.Event()

    async def trickling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()  # until the other side has had enough
        writer.close()
        left.set()

    server = await asyncio.start_server(trickling, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    async with server, aiohttp.ClientSession() as session:
        said = await WebhookNotifier(url, KEY, session, allow_private=True, limit=0.2).send(notice(), "")
        await left.wait()
    assert (said.outcome, said.detail) == (Sent.RETRY, "the webhook does not answer (TimeoutError)")


class Elsewhere(ThreadedResolver):
    """DNS that has changed its mind since the address was looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return []


async def test_f084_the_address_that_was_looked_at_is_the_one_that_is_called():
    resolver = Elsewhere()
    async with (
        receiver() as (far, notifier),
        aiohttp.ClientSession(connector=TCPConnector(resolver=resolver)) as session,
    ):
        port = notifier._port
        named = WebhookNotifier(f"http://localhost{port}/in?x=1", KEY, session, allow_private=True)
        assert (await named.send(notice(), "")).outcome is Sent.SENT
    assert resolver.asked == []
    assert far.got[0][0]["Host"] == f"localhost{port}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the path of a certificate for localhost with its key, made for this test."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not on this machine")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    facts = ["-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subprocess.run([openssl, "req", *kind, *facts, "-keyout", path, "-out", path], check=True, capture_output=True)
    return path


@pytest.mark.parametrize(("host", "outcome"), [("localhost", Sent.SENT), ("127.0.0.1", Sent.RETRY)])
async def test_f084_the_certificate_must_be_the_hosts_own_although_its_address_is_called(certificate, host, outcome):
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with receiver(tls=serving) as (far, notifier):
        async with aiohttp.ClientSession(connector=TCPConnector(ssl=trusting)) as session:
            url = f"https://{host}{notifier._port}/in"
            said = await WebhookNotifier(url, KEY, session, allow_private=True).send(notice(), "")
    assert said.outcome is outcome
    assert said.detail.startswith("the certificate of 127.0.0.1 is not valid" if outcome is Sent.RETRY else "")
    assert len(far.got) == (outcome is Sent.SENT)


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "fe80::1",
        "ff02::1",
        "::",
        "0.0.0.0",
    ],
)
def test_f084_what_holds_a_clouds_credentials_is_refused_in_every_spelling(address):
    assert is_refused(ip_address(address), allow_private=True)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "100.64.0.1", "127.0.0.1", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "fd00::1", "192.168.1.1"],
)
def test_f084_an_inner_address_is_refused_until_it_is_allowed(address):
    assert is_refused(ip_address(address), allow_private=False)
    assert not is_refused(ip_address(address), allow_private=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_an_outer_address_is_called(address):
    assert not is_refused(ip_address(address), allow_private=False)


async def test_an_address_with_a_user_and_a_port_keeps_both():
    async with receiver() as (far, plain), aiohttp.ClientSession() as session:
        url = f"http://ada:pw@localhost{plain._port}/in"
        assert (await WebhookNotifier(url, KEY, session, allow_private=True).send(notice(), "")).outcome is Sent.SENT
    assert far.got[0][0]["Authorization"].startswith("Basic ")
    assert "ada" not in far.got[0][0]["Host"]


async def test_a_host_that_has_no_address_is_tried_again():
    async with aiohttp.ClientSession() as session:
        said = await WebhookNotifier("https://nowhere.invalid/x", KEY, session).send(notice(), "")
    assert said.outcome is Sent.RETRY


async def test_the_log_takes_a_line_and_finds_nothing_again():
    lines: list[str] = []
    notifier = LogNotifier(lines.append)
    said = await notifier.send(notice(), "")
    assert (said.outcome, said.thread) == (Sent.SENT, "log")
    assert lines[0].startswith("opened: ")
    assert await notifier.find(notice()) is None
