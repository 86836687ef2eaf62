"""A person's word over HTTP: acknowledge, note, resolve, approve, deny, pause, resume.

Needs a token, unless the server listens on loopback alone. A browser cannot be talked into it: only JSON is taken, and
nothing that names another origin. The same id twice is one command.
"""

import hashlib
import hmac

import orjson

from daemon.model.ports import Clock, HttpAnswer, HttpRequest, HttpRoute, Inbox
from daemon.model.signals import Command

VERBS = frozenset({"acknowledge", "note", "resolve", "approve", "deny", "pause", "resume"})
LIMIT = 16 * 1024
TEXT = 2000
"""Characters of a note."""


class Commands:
    """The command path of the API."""

    def __init__(self, inbox: Inbox, clock: Clock, token: bytes | None, *, allow_without_token: bool) -> None:
        """Accept commands that carry this token; without one only where that is allowed (loopback)."""
        self._inbox = inbox
        self._clock = clock
        self._token = token
        self._open = allow_without_token

    def routes(self) -> tuple[HttpRoute, ...]:
        """Return the one path; none while nobody could be let in."""
        if not self._token and not self._open:
            return ()
        return (HttpRoute("POST", "/api/v1/commands", self.answer, LIMIT, 10.0),)

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """Take one command: 202 with its id, 400 malformed, 401 no token, 403 from a browser elsewhere, 415 no JSON."""
        if not self._may(request):
            return _said(401, "a bearer token is needed")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _said(415, "only application/json is taken")
        if "origin" in request.headers or request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return _said(403, "commands are not taken from a web page")
        try:
            command = self._read(request.body)
        except ValueError as error:
            return _said(400, str(error))
        self._inbox.put(command)
        return HttpAnswer(202, orjson.dumps({"id": command.id, "verb": command.verb}), "application/json")

    def _may(self, request: HttpRequest) -> bool:
        if not self._token:
            return self._open
        wanted = b"Bearer " + self._token
        return hmac.compare_digest(wanted, request.headers.get("authorization", "").encode("utf-8", "surrogateescape"))

    def _read(self, body: bytes) -> Command:
        found = orjson.loads(body)
        if not isinstance(found, dict):
            raise ValueError("the body must be an object")  # noqa: TRY004 - one answer for a wrong body
        facts = {key: found.get(key, "") for key in ("verb", "actor", "subject", "text", "digest", "id")}
        wrong = [key for key, value in facts.items() if not isinstance(value, str) or len(value) > TEXT]
        if wrong:
            raise ValueError(f"{wrong[0]} must be a string of at most {TEXT} characters")
        if facts["verb"] not in VERBS:
            raise ValueError(f"verb must be one of {', '.join(sorted(VERBS))}")
        if facts["verb"] not in ("pause", "resume") and not facts["subject"]:
            raise ValueError("subject (an incident or a plan) is needed")
        now = self._clock.now()
        minute = now.replace(second=0, microsecond=0).isoformat()
        made = hashlib.sha256(f"{minute}{sorted(facts.items())}".encode()).hexdigest()[:16]
        return Command(
            now,
            facts["id"] or made,
            facts["verb"],
            facts["actor"] or "somebody",
            facts["subject"],
            facts["text"],
            facts["digest"],
        )


def _said(status: int, text: str) -> HttpAnswer:
    return HttpAnswer(status, orjson.dumps({"message": text}), "application/json")
