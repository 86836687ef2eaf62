"""Buttons of Slack messages, as a person's word: approve, deny, acknowledge.

The signature is checked over the exact bytes before anything is parsed; it binds the post to our app and to its time.
Slack wants its answer within three seconds, so a word is only put into the inbox here. Whether it still holds, the core
decides: the button carries the digest of the plan that was read. Who may press is who may see the channel.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs

import orjson

from daemon.model.ports import Clock, HttpAnswer, HttpRequest, HttpRoute, Inbox
from daemon.model.signals import Command

OLDEST = 300
"""Seconds that a post may differ from our clock: Slack's own advice against replays."""
LIMIT = 256 * 1024
"""Bytes of a body: a payload carries the whole message back, 13 kB of blocks at most, form-encoded."""
SECONDS = 2.5
"""Seconds a body may take to arrive: Slack gives up after 3."""
PRESSED = 5
"""Buttons of one payload that are read; Slack sends one."""
STAMP = re.compile(r"[0-9]{1,12}")
ODD = re.compile(r"[^\w.@-]")

JsonMap = Mapping[str, object]


class SlackInteractions:
    """The receiver of signed interactions."""

    def __init__(self, inbox: Inbox, clock: Clock, signing_secret: bytes | None) -> None:
        """Accept posts that are signed with this secret; none at all without one."""
        self._inbox = inbox
        self._clock = clock
        self._secret = signing_secret
        self.accepted = 0
        self.refused = 0

    def routes(self) -> tuple[HttpRoute, ...]:
        """Return the one path; none while it is closed."""
        if not self._secret:
            return ()
        return (HttpRoute("POST", "/hook/slack", self.answer, LIMIT, SECONDS),)

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """Take one interaction: 200 taken or of no concern, 400 malformed, 401 not signed, or of another time."""
        wrong = self._refusal(request)
        if wrong:
            self.refused += 1
            return HttpAnswer(401, f"{wrong}\n".encode())
        try:
            commands = list(self._read(request.body))
        except ValueError as error:
            self.refused += 1
            return HttpAnswer(400, f"not an interaction of ours: {error}\n".encode())
        for command in commands:
            self.accepted += 1
            self._inbox.put(command)
        return HttpAnswer(200)

    def _refusal(self, request: HttpRequest) -> str:
        """Return why a post is not Slack's and of now; empty when it is."""
        stamp = request.headers.get("x-slack-request-timestamp", "")
        if not self._secret or not STAMP.fullmatch(stamp):
            return "the signature does not match"
        base = b"v0:" + stamp.encode() + b":" + request.body
        wanted = "v0=" + hmac.new(self._secret, base, hashlib.sha256).hexdigest()
        given = request.headers.get("x-slack-signature", "")
        if not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "surrogateescape")):
            return "the signature does not match"
        if abs(self._clock.now().timestamp() - int(stamp)) > OLDEST:
            return "the post is too old, or from the future: is a clock wrong?"
        return ""

    def _read(self, body: bytes) -> Iterator[Command]:
        """Yield the words in a payload. Raises ValueError for what Slack would not send."""
        form = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
        payload = orjson.loads(form.get("payload", [""])[0])
        if not isinstance(payload, dict):
            raise ValueError("the payload must be an object")  # noqa: TRY004 - one answer for a wrong body
        if payload.get("type") != "block_actions":
            return
        actor = _actor(_map(payload.get("user")))
        pressed = payload.get("actions")
        for action in pressed[:PRESSED] if isinstance(pressed, list) else ():
            command = self._command(_map(action), actor)
            if command is not None:
                yield command

    def _command(self, action: JsonMap, actor: str) -> Command | None:
        """Return the word that a button stands for; None for one that only opens a page."""
        name, value, pressed_at = (_text(action, key) for key in ("action_id", "value", "action_ts"))
        parts = value.split("|")
        match name, parts:
            case (("approve" | "deny"), [incident, plan, digest]) if incident and plan and digest:
                subject, bound = plan, digest
            case "acknowledge", [incident] if incident:
                subject, bound = incident, ""
            case (("approve" | "deny" | "acknowledge"), _):
                raise ValueError(f"the value of the button {name} names nothing")
            case _:
                return None
        made = hashlib.sha256(f"{name}\n{value}\n{pressed_at}\n{actor}".encode()).hexdigest()[:16]
        return Command(self._clock.now(), f"slack-{made}", name, actor, subject, digest=bound)


def _actor(user: JsonMap) -> str:
    """Return who pressed: the id is Slack's word, the name is what the person calls themself. Raises ValueError."""
    known = ODD.sub("", _text(user, "id"))[:32]
    if not known:
        raise ValueError("nobody pressed the button")
    name = ODD.sub("", _text(user, "username") or _text(user, "name"))[:64]
    return f"{name} ({known})" if name else known


def _map(value: object) -> JsonMap:
    return value if isinstance(value, dict) else {}


def _text(found: JsonMap, key: str) -> str:
    value = found.get(key)
    return value if isinstance(value, str) else ""
