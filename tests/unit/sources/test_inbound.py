"""What comes in by HTTP: signatures over exact bytes, a person's word, and duplicates that do no harm."""

import hashlib
import hmac
from datetime import timedelta

import orjson
import pytest

from daemon.model.ports import HttpRequest
from daemon.model.signals import Arrival, Command, EventSeen
from daemon.runtime.clock import LoopClock
from daemon.sources import webhook
from daemon.sources.commands import Commands
from daemon.sources.webhook import FluxWebhook
from tests.builders import T0

KEY = b"a key"


class Inbox:
    """Keeps what is put."""

    def __init__(self) -> None:
        self.got: list[Arrival] = []

    def put(self, signal: Arrival) -> None:
        self.got.append(signal)


def body(message: str = "it broke", **more: object) -> bytes:
    about = {"kind": "Kustomization", "namespace": "apps", "name": "a", "apiVersion": "kustomize.toolkit.fluxcd.io/v1"}
    event = {"involvedObject": about, "reason": "BuildFailed", "message": message, "severity": "error"}
    return orjson.dumps({**event, "timestamp": T0.isoformat(), **more})


def signed(content: bytes, key: bytes = KEY, **headers: str) -> HttpRequest:
    digest = hmac.new(key, content, hashlib.sha256).hexdigest()
    return HttpRequest("POST", "/hook/flux", {"x-signature": f"sha256={digest}", **headers}, content)


def hook(key: bytes | None = KEY, *, allow_unsigned: bool = False) -> tuple[Inbox, FluxWebhook]:
    inbox = Inbox()
    return inbox, FluxWebhook("c", inbox, LoopClock(T0), key, allow_unsigned=allow_unsigned)


async def test_a_signed_post_is_a_hint_about_its_object():
    inbox, source = hook()
    assert (await source.answer(signed(body()))).status == 202
    (event,) = inbox.got
    assert isinstance(event, EventSeen)
    assert (event.ref.name, event.reason, event.origin) == ("a", "BuildFailed", "webhook")


async def test_f033_a_wrong_signature_is_refused_before_anything_is_parsed():
    inbox, source = hook()
    for request in (
        signed(b"{not json", b"another key"),
        HttpRequest("POST", "/hook/flux", {}, body()),
        HttpRequest("POST", "/hook/flux", {"x-signature": "sha1=x"}, body()),
        HttpRequest("POST", "/hook/flux", {"x-signature": "\udc80"}, body()),
    ):
        assert (await source.answer(request)).status == 401
    tampered = signed(body())
    changed = HttpRequest(tampered.method, tampered.path, tampered.headers, tampered.body + b" ")
    assert (await source.answer(changed)).status == 401
    assert inbox.got == []
    assert source.refused == 5


async def test_f036_a_post_that_comes_twice_is_one():
    inbox, source = hook()
    statuses = [(await source.answer(signed(body()))).status for _ in range(3)]
    assert statuses == [202, 200, 200]
    assert len(inbox.got) == 1
    assert source.duplicates == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"no",
        b'{"involvedObject":{}}',
        b'{"involvedObject":{"kind":"K","name":"n"},"message":1,"reason":""}',
    ],
)
async def test_a_body_of_another_shape_is_refused(content):
    inbox, source = hook()
    assert (await source.answer(signed(content))).status == 400
    assert inbox.got == []


@pytest.mark.parametrize("minutes", [-11, 11])
async def test_f034_a_post_of_another_time_is_refused(minutes):
    inbox, source = hook()
    at = (T0 + timedelta(minutes=minutes)).isoformat()
    answer = await source.answer(signed(body(timestamp=at)))
    assert answer.status == 400
    assert b"is a clock wrong?" in answer.body
    assert inbox.got == []


async def test_a_compressed_body_is_not_taken():
    _, source = hook()
    assert (await source.answer(signed(body(), KEY, **{"content-encoding": "gzip"}))).status == 415


def test_f033_without_a_key_the_path_is_closed():
    assert hook(None)[1].routes() == ()
    assert hook(b"")[1].routes() == ()
    assert [route.path for route in hook()[1].routes()] == ["/hook/flux"]


async def test_unsigned_posts_are_taken_only_where_that_was_allowed():
    inbox, source = hook(None, allow_unsigned=True)
    assert len(source.routes()) == 1
    assert (await source.answer(HttpRequest("POST", "/hook/flux", {}, body()))).status == 202
    assert len(inbox.got) == 1
    closed, other = hook(None)
    assert (await other.answer(HttpRequest("POST", "/hook/flux", {}, body()))).status == 401
    assert closed.got == []


async def test_what_is_remembered_against_replays_is_bounded():
    _, source = hook()
    for number in range(5):
        await source.answer(signed(body(str(number))))
    assert len(source._seen) == 5
    assert webhook.REMEMBERED == 10_000
    source._seen = type(source._seen)({f"d{number}": T0 for number in range(webhook.REMEMBERED)})
    await source.answer(signed(body("new")))
    assert len(source._seen) == webhook.REMEMBERED


async def test_what_is_older_than_a_day_is_forgotten():
    _, source = hook()
    await source.answer(signed(body()))
    source._seen = type(source._seen)((key, at - timedelta(hours=25)) for key, at in source._seen.items())
    assert (await source.answer(signed(body()))).status == 202


def commands(token: bytes | None = b"secret", *, loopback: bool = False) -> tuple[Inbox, Commands]:
    inbox = Inbox()
    return inbox, Commands(inbox, LoopClock(T0), token, allow_without_token=loopback)


def word(**facts: object) -> bytes:
    return orjson.dumps({"verb": "acknowledge", "subject": "i1", "actor": "ada", **facts})


def asking(content: bytes, **headers: str) -> HttpRequest:
    given = {"authorization": "Bearer secret", "content-type": "application/json; charset=utf-8"}
    return HttpRequest("POST", "/api/v1/commands", {**given, **headers}, content)


async def test_a_persons_word_becomes_a_command():
    inbox, source = commands()
    answer = await source.answer(asking(word(text="looking", digest="d")))
    assert answer.status == 202
    (command,) = inbox.got
    assert isinstance(command, Command)
    assert (command.verb, command.actor, command.subject, command.text) == ("acknowledge", "ada", "i1", "looking")
    assert orjson.loads(answer.body)["id"] == command.id


async def test_the_same_word_in_one_minute_has_one_id_and_a_given_id_is_kept():
    inbox, source = commands()
    await source.answer(asking(word()))
    await source.answer(asking(word()))
    await source.answer(asking(word(id="mine")))
    await source.answer(asking(word(actor="")))
    ids = [command.id for command in inbox.got if isinstance(command, Command)]
    assert ids[0] == ids[1] != ids[2] == "mine"
    assert inbox.got[3].actor == "somebody"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": ""}, 401),
        ({"authorization": "\udc80"}, 401),
        ({"content-type": "text/plain"}, 415),
        ({"origin": "https://evil.example.com"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
async def test_a_stranger_or_a_browser_elsewhere_is_turned_away(headers, status):
    inbox, source = commands()
    assert (await source.answer(asking(word(), **headers))).status == status
    assert inbox.got == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "unexpected"),
        (b"[]", "must be an object"),
        (word(verb="dance"), "verb must be one of"),
        (word(verb=1), "verb must be a string"),
        (word(subject=""), "subject (an incident, a plan or a matcher) is needed"),
        (word(text="x" * 2001), "text must be a string of at most 2000 characters"),
    ],
)
async def test_a_word_of_another_shape_is_refused_with_what_is_wrong(content, words):
    inbox, source = commands()
    answer = await source.answer(asking(content))
    assert answer.status == 400
    assert words in answer.body.decode()
    assert inbox.got == []


async def test_a_silence_ends_so_many_seconds_from_now():
    inbox, source = commands()
    asked = word(verb="silence", subject="kind=HelmRelease,name=ci*", text="rebuild", seconds="7200")
    assert (await source.answer(asking(asked))).status == 202
    (command,) = inbox.got
    assert command.subject == "kind=HelmRelease,name=ci*"
    assert command.until == command.at + timedelta(hours=2)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"subject": "colour=red"}, "a silence matches kind="),
        ({"subject": "kind=HelmRelease,"}, "a silence matches kind="),
        ({"subject": "kind=*,name=?*"}, "matches everything"),
        ({"text": " "}, "needs a comment"),
        ({"seconds": "soon"}, "whole number"),
        ({"seconds": "0"}, "whole number"),
        ({"seconds": "9999999"}, "at most 90 days"),
    ],
)
async def test_a_silence_without_a_matcher_an_end_or_a_reason_is_refused(more, words):
    inbox, source = commands()
    facts = {"verb": "silence", "subject": "name=a", "text": "rebuild", "seconds": "60", **more}
    answer = await source.answer(asking(word(**facts)))
    assert answer.status == 400
    assert words in answer.body.decode()
    assert inbox.got == []


async def test_the_kill_switch_needs_no_subject():
    inbox, source = commands()
    assert (await source.answer(asking(word(verb="pause", subject="")))).status == 202
    assert len(inbox.got) == 1


async def test_without_a_token_only_loopback_is_let_in():
    assert commands(None)[1].routes() == ()
    inbox, source = commands(None, loopback=True)
    assert len(source.routes()) == 1
    assert (await source.answer(asking(word(), authorization=""))).status == 202
    assert len(inbox.got) == 1
