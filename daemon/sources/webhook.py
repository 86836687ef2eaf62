"""What notification-controller posts: a signed hint that something changed. It only makes us faster.

The signature is checked over the exact bytes before anything is parsed. A post never opens an incident: it becomes an
event about an object, which the watch shows anyway. Duplicates and replays are harmless, and are dropped all the same.
"""

import hashlib
import hmac
from collections import OrderedDict
from datetime import datetime, timedelta

import orjson

from daemon.flux.decode import decode_webhook
from daemon.model.ports import Clock, HttpAnswer, HttpRequest, HttpRoute, Inbox

LIMIT = 3 * 1024 * 1024
"""Bytes of a body, notification-controller's own limit (flux.md 4.1)."""
OLDEST = timedelta(minutes=10)
"""How old a post may be by its own clock: its retries end within a minute, the rest is clocks that differ."""
REMEMBERED = 10_000
"""Digests kept against replays: a day of a busy cluster."""
KEPT = timedelta(hours=24)


class FluxWebhook:
    """The generic-hmac receiver."""

    def __init__(
        self, cluster: str, inbox: Inbox, clock: Clock, key: bytes | None, *, allow_unsigned: bool = False
    ) -> None:
        """Accept posts signed with this key; without a key only if unsigned ones are allowed."""
        self._cluster = cluster
        self._inbox = inbox
        self._clock = clock
        self._key = key
        self._allow_unsigned = allow_unsigned
        self._seen: OrderedDict[str, datetime] = OrderedDict()
        self.accepted = 0
        self.refused = 0
        self.duplicates = 0

    def routes(self) -> tuple[HttpRoute, ...]:
        """Return the one path; none while it is closed."""
        if not self._key and not self._allow_unsigned:
            return ()
        return (HttpRoute("POST", "/hook/flux", self.answer, LIMIT, 30.0),)

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """Take one post: 202 taken, 200 known already, 400 malformed, 401 not signed, 413 too large by the server."""
        if not self._is_signed(request):
            self.refused += 1
            return HttpAnswer(401, b"the signature does not match\n")
        if request.headers.get("content-encoding", "identity") != "identity":
            return HttpAnswer(415, b"a compressed body is not accepted\n")
        now = self._clock.now()
        try:
            body = orjson.loads(request.body)
            if not isinstance(body, dict):
                raise ValueError("the body must be an object")  # noqa: TRY004, TRY301 - one answer for a wrong body
            event = decode_webhook(body, self._cluster, now)
        except ValueError as error:
            self.refused += 1
            return HttpAnswer(400, f"not an event of notification-controller: {error}\n".encode())
        if event.happened_at is not None and abs(now - event.happened_at) > OLDEST:
            self.refused += 1
            return HttpAnswer(400, b"the event is too old, or from the future: is a clock wrong?\n")
        if self._is_known(request.body, now):
            self.duplicates += 1
            return HttpAnswer(200, b"known already\n")
        self.accepted += 1
        self._inbox.put(event)
        return HttpAnswer(202)

    def _is_signed(self, request: HttpRequest) -> bool:
        if self._key is None or not self._key:
            return self._allow_unsigned
        wanted = "sha256=" + hmac.new(self._key, request.body, hashlib.sha256).hexdigest()
        given = request.headers.get("x-signature", "")
        return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "surrogateescape"))

    def _is_known(self, body: bytes, now: datetime) -> bool:
        digest = hashlib.sha256(body).hexdigest()
        while self._seen and (len(self._seen) >= REMEMBERED or now - next(iter(self._seen.values())) > KEPT):
            self._seen.popitem(last=False)
        known = digest in self._seen
        self._seen.setdefault(digest, now)
        return known
