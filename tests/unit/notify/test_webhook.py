"""The outgoing webhook over real HTTP: signed CloudEvents under one key; addresses that must not be called are not."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import orjson
import pytest
from aiohttp import web

from daemon.model.notices import Notification, Reason, Sent
from daemon.model.refs import EffectId, Target
from daemon.notify.log import LogNotifier
from daemon.notify.webhook import WebhookNotifier, event_of
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
async def receiver(key: bytes | None = KEY, **more: bool) -> AsyncIterator[tuple[Receiver, WebhookNotifier]]:
    far = Receiver()
    app = web.Application()
    app.router.add_post("/in", far.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
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
        (503, {"Retry-After": "soon"}, Sent.RETRY, None),
        (400, {}, Sent.FAILED, None),
        (302, {"Location": "http://127.0.0.1:1/"}, Sent.FAILED, None),
    ],
)
async def test_f083_the_answer_decides_whether_it_is_tried_again(status, headers, outcome, after):
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


async def test_the_log_takes_a_line_and_finds_nothing_again():
    lines: list[str] = []
    notifier = LogNotifier(lines.append)
    said = await notifier.send(notice(), "")
    assert (said.outcome, said.thread) == (Sent.SENT, "log")
    assert lines[0].startswith("opened: ")
    assert await notifier.find(notice()) is None
