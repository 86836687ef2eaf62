"""A person's word over HTTP: acknowledge, note, resolve, approve, deny, silence, expire, pause.

Needs a token, unless the server listens on loopback alone. A browser cannot be talked into it: only JSON is taken, and
nothing that names another origin. The same id twice is one command.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import orjson

from daemon.model.ports import Clock, HttpAnswer, HttpRequest, HttpRoute, Inbox
from daemon.model.signals import Command

VERBS = frozenset({"acknowledge", "note", "resolve", "approve", "deny", "silence", "expire", "pause", "resume"})
MATCHER = re.compile(r"(?:kind|namespace|name|rule|incident)=[^=,]+")
SECONDS = re.compile(r"[0-9]{1,9}")
ANYTHING = re.compile(r"[*?]*")
LONGEST = timedelta(days=90)
"""A silence that outlives a quarter is a rule that should be switched off (rules/build.py says the same of files)."""
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
        facts = {key: found.get(key, "") for key in ("verb", "actor", "subject", "text", "digest", "id", "seconds")}
        wrong = [key for key, value in facts.items() if not isinstance(value, str) or len(value) > TEXT]
        if wrong:
            raise ValueError(f"{wrong[0]} must be a string of at most {TEXT} characters")
        if facts["verb"] not in VERBS:
            raise ValueError(f"verb must be one of {', '.join(sorted(VERBS))}")
        if facts["verb"] not in ("pause", "resume") and not facts["subject"]:
            raise ValueError("subject (an incident, a plan or a matcher) is needed")
        now = self._clock.now()
        until = _end(facts, now) if facts["verb"] == "silence" else None
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
            until,
        )


def _end(facts: Mapping[str, str], now: datetime) -> datetime:
    """Return when a silence ends. Raises ValueError for one that matches everything, has no end or no comment."""
    pairs = facts["subject"].split(",")
    if not all(MATCHER.fullmatch(pair) for pair in pairs):
        raise ValueError("a silence matches kind=, namespace=, name=, rule= or incident=, joined by commas")
    if all(ANYTHING.fullmatch(pair.partition("=")[2]) for pair in pairs):
        raise ValueError("this silence matches everything: name a kind, namespace, name, rule or incident")
    if not facts["text"].strip():
        raise ValueError("a silence needs a comment: whoever finds it must know why")
    if not SECONDS.fullmatch(facts["seconds"]) or not 0 < int(facts["seconds"]) <= LONGEST.total_seconds():
        raise ValueError(f"seconds must be a whole number above 0, of at most {LONGEST.days} days")
    return now + timedelta(seconds=int(facts["seconds"]))


def _said(status: int, text: str) -> HttpAnswer:
    return HttpAnswer(status, orjson.dumps({"message": text}), "application/json")
