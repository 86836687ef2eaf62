"""Slack's buttons: signed posts of now become a person's word, once; everything else is turned away unread."""

import hashlib
import hmac
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode

import aiohttp
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.view import WorldView
from daemon.model.notices import Notification, Reason
from daemon.model.ports import HttpRequest, Readiness
from daemon.model.refs import EffectId, Target
from daemon.model.signals import Arrival, Command
from daemon.notify.message import compose
from daemon.notify.slack_blocks import root_blocks
from daemon.runtime.clock import LoopClock
from daemon.sources.slack import LIMIT, SlackInteractions
from daemon.web.server import Vitals, WebServer
from tests.builders import T0, Cluster, Story, failing

SECRET = b"8f742231b10e8888abcd99yyyzzz85a5"
NOW = int(T0.timestamp())


class Inbox:
    """Keeps what is put."""

    def __init__(self) -> None:
        self.got: list[Arrival] = []

    def put(self, signal: Arrival) -> None:
        self.got.append(signal)


def interactions(secret: bytes | None = SECRET) -> tuple[Inbox, SlackInteractions]:
    inbox = Inbox()
    return inbox, SlackInteractions(inbox, LoopClock(T0), secret)


def button(name: object = "approve", value: object = "i1|p1|d1", at: str = "1.5") -> dict[str, object]:
    return {"type": "button", "action_id": name, "block_id": "b", "value": value, "action_ts": at}


def payload(*actions: object, **more: object) -> bytes:
    user = {"id": "U1", "username": "ada", "name": "ada", "team_id": "T1"}
    told = {"type": "block_actions", "user": user, "api_app_id": "A1", "actions": actions or (button(),), **more}
    return urlencode({"payload": orjson.dumps(told).decode()}).encode()


def post(
    body: bytes, at: object = NOW, secret: bytes = SECRET, headers: Mapping[str, str] = MappingProxyType({})
) -> HttpRequest:
    digest = hmac.new(secret, f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    facts = {"x-slack-request-timestamp": str(at), "x-slack-signature": f"v0={digest}"}
    return HttpRequest("POST", "/hook/slack", {**facts, **headers}, body)


async def test_a_button_is_the_word_of_the_person_who_pressed_it():
    inbox, source = interactions()
    assert (await source.answer(post(payload()))).status == 200
    (command,) = inbox.got
    assert isinstance(command, Command)
    assert (command.verb, command.subject, command.digest) == ("approve", "p1", "d1")
    assert (command.at - T0).total_seconds() < 60  # our clock's time, not the post's
    assert command.actor == "ada (U1)"
    assert source.accepted == 1


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("deny", "i1|p1|d1", ("deny", "p1", "d1")),
        ("acknowledge", "i1", ("acknowledge", "i1", "")),
    ],
)
async def test_each_button_has_its_own_word_about_its_own_subject(name, value, word):
    inbox, source = interactions()
    await source.answer(post(payload(button(name, value))))
    assert [(each.verb, each.subject, each.digest) for each in inbox.got if isinstance(each, Command)] == [word]


async def test_the_signature_is_the_one_that_slack_documents():
    """The example of Slack's page about verifying requests: secret, time, body and signature stand there."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    facts = {"x-slack-request-timestamp": "1531420618", "x-slack-signature": signature}
    answer = await interactions()[1].answer(HttpRequest("POST", "/hook/slack", facts, body))
    assert b"too old" in answer.body  # it passed the signature: only its time is over


@pytest.mark.parametrize(
    "request_",
    [
        post(payload(), secret=b"another"),
        post(b"payload={not json", secret=b"another"),
        post(payload(), headers={"x-slack-signature": ""}),
        post(payload(), headers={"x-slack-signature": "v0="}),
        post(payload(), headers={"x-slack-signature": "\udc80"}),
        post(payload(), headers={"x-slack-request-timestamp": str(NOW + 1)}),
        post(payload(), at=""),
        post(payload(), at=f"{NOW}.5"),
        post(payload(), at="-1"),
        post(payload(), at="9" * 5000),
        post(payload(), at="١٧٧٢٣٣٤٠٠٠"),
        HttpRequest("POST", "/hook/slack", {}, payload()),
        HttpRequest("POST", "/hook/slack", post(payload()).headers, payload() + b"&x=1"),
    ],
)
async def test_f040_a_forged_post_is_refused_before_it_is_parsed(request_):
    inbox, source = interactions()
    answer = await source.answer(request_)
    assert (answer.status, answer.body) == (401, b"the signature does not match\n")
    assert inbox.got == []
    assert source.refused == 1


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-290, 200), (290, 200), (310, 401)])
async def test_f040_a_post_of_another_time_is_refused(seconds, status):
    inbox, source = interactions()
    assert (await source.answer(post(payload(), NOW + seconds))).status == status
    assert len(inbox.got) == (status == 200)


async def test_f041_a_post_that_comes_twice_is_one_command_and_a_second_press_is_another():
    inbox, source = interactions()
    for request in (post(payload()), post(payload(), NOW + 3), post(payload(button(at="9.9")))):
        assert (await source.answer(request)).status == 200
    ids = [command.id for command in inbox.got if isinstance(command, Command)]
    assert ids[0] == ids[1] != ids[2]


async def test_two_people_who_press_are_two_commands():
    inbox, source = interactions()
    await source.answer(post(payload()))
    await source.answer(post(payload(user={"id": "U2", "name": "bob"})))
    assert [command.actor for command in inbox.got if isinstance(command, Command)] == ["ada (U1)", "bob (U2)"]
    assert len({command.id for command in inbox.got if isinstance(command, Command)}) == 2


@pytest.mark.parametrize(
    "body",
    [
        payload(type="view_submission"),
        payload(actions=[]),
        payload(actions="odd"),
        payload(button("timeline", "https://x")),
        payload(button(7)),
        payload("odd", None),
    ],
)
async def test_what_is_no_word_for_us_is_answered_and_ignored(body):
    inbox, source = interactions()
    assert (await source.answer(post(body))).status == 200
    assert inbox.got == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"payload=",
        b"payload=[]",
        b"payload={",
        b"x&" * 50 + b"x=1",
        b"&".join(b"a=1" for _ in range(50)),
        b"payload=" + b"[" * 2000,
        payload(user=None),
        payload(user={"id": 5}),
        payload(user={"id": "<!channel>"[:2], "name": "x"}),
        payload(button(value="i1|p1")),
        payload(button(value="i1|p1|")),
        payload(button(value="i1|p1|d1|more")),
        payload(button(value=5)),
        payload(button("deny", "")),
        payload(button("acknowledge", "")),
    ],
)
async def test_a_signed_body_of_another_shape_is_refused(body):
    inbox, source = interactions()
    answer = await source.answer(post(body))
    assert answer.status == 400
    assert answer.body.startswith(b"not an interaction of ours")
    assert inbox.got == []


async def test_a_payload_with_one_wrong_button_gives_no_word_at_all():
    inbox, source = interactions()
    assert (await source.answer(post(payload(button(), button(value="odd"))))).status == 400
    assert inbox.got == []


async def test_a_name_cannot_pose_as_another_id_or_as_markup():
    inbox, source = interactions()
    await source.answer(post(payload(user={"id": "U1", "username": "root (U9) <!channel>\x1b[2J"})))
    (command,) = inbox.got
    assert isinstance(command, Command)
    assert command.actor == "rootU9channel2J (U1)"
    await source.answer(post(payload(user={"id": "U1"})))
    assert inbox.got[1].actor == "U1"


@given(st.binary(max_size=300), st.text(max_size=40), st.text(max_size=80))
async def test_nothing_that_is_posted_raises(body, stamp, signature):
    inbox, source = interactions()
    facts = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}
    assert (await source.answer(HttpRequest("POST", "/hook/slack", facts, body))).status == 401
    assert (await source.answer(post(body))).status in (200, 400)
    assert inbox.got == []


@given(
    st.recursive(
        st.none() | st.text(max_size=8) | st.integers(-9, 9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(("id", "name", "value", "action_id")) | st.text(max_size=3), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
async def test_no_shape_of_a_signed_payload_raises(shape):
    _, source = interactions()
    for body in (payload(shape), payload(actions=shape), payload(user=shape)):
        assert (await source.answer(post(body))).status in (200, 400)


def test_without_a_secret_the_path_is_closed():
    assert interactions(None)[1].routes() == ()
    assert interactions(b"")[1].routes() == ()
    (route,) = interactions()[1].routes()
    assert (route.method, route.path, route.limit) == ("POST", "/hook/slack", LIMIT)
    assert route.seconds < 3


async def test_without_a_secret_nothing_is_signed():
    inbox, source = interactions(None)
    assert (await source.answer(post(payload(), secret=b""))).status == 401
    assert inbox.got == []


async def test_over_http_slack_is_answered_at_once_and_the_buttons_of_our_message_are_understood():
    story = Story().see(Cluster().state("Kustomization", "a", failing())).wait(6)
    told = Notification(EffectId("k"), Target("slack"), Reason.OPENED, story.case.incident, T0)
    blocks = root_blocks(compose(told), "", interactive=True)
    (pressed,) = [element for block in blocks if block["type"] == "actions" for element in block["elements"]]  # type: ignore[attr-defined]
    body = payload({**pressed, "action_ts": "1.5"})
    inbox, source = interactions()
    vitals = Vitals(lambda: Readiness(ready=True), float, bytes)
    server = WebServer(WorldView(story.world), vitals, LoopClock(T0), source.routes())
    async with server.serve("127.0.0.1:0") as address, aiohttp.ClientSession() as session:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for request, status in ((post(body), 200), (post(body, secret=b"no"), 401), (post(b"x" * (LIMIT + 1)), 413)):
            headers = {**request.headers, **form}
            async with session.post(f"{address}/hook/slack", data=request.body, headers=headers) as answer:
                assert answer.status == status
    (command,) = inbox.got
    assert isinstance(command, Command)
    story.give(command)
    assert story.case.incident.state.value == "acknowledged"
    assert story.case.incident.acknowledged_by == "ada (U1)"
