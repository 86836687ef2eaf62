"""Kubernetes Events of the simulated controllers, and what notification-controller posts of them.

Identical Events are counted up; identical posts are held back for five minutes (notification-controller's default).
Limit: no aggregation of similar Events and no spam filter: a scenario is over before they would begin.
"""

import hashlib
import hmac
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import orjson

from daemon.simulator.flux.client import Client

Json = dict[str, Any]

WITHHELD = timedelta(minutes=5)
TRIES = (2.0, 4.0, 8.0)
"""Seconds between the tries of one post; the whole takes at most 15 s, a Provider's default timeout."""
DROPPED = frozenset({"checksum", "digest", "token"})
"""Metadata that notification-controller keeps to itself."""


@dataclass(slots=True)
class Post:
    """One post under way: due at `at` (monotonic seconds)."""

    at: float
    component: str
    body: bytes
    tries: int = 0


class Recorder:
    """Writes Events, and posts Flux's to a generic-hmac Provider once `hook` is set."""

    def __init__(self, client: Client, cluster: str = "demo") -> None:
        self.client = client
        self.cluster = cluster
        self.hook = ""
        self.key = b""
        self.delivered = 0
        self.lost = 0
        self._posts: deque[Post] = deque()
        self._sent: dict[str, Any] = {}
        self._names: dict[tuple[str, ...], str] = {}

    def normal(self, item: Json, component: str, reason: str, message: str, **metadata: str) -> None:
        """Record and post an Event of severity info."""
        self._record(item, component, "Normal", reason, message, metadata)
        self._post(item, component, "info", reason, message, metadata)

    def warning(self, item: Json, component: str, reason: str, message: str, **metadata: str) -> None:
        """Record and post an Event of severity error."""
        self._record(item, component, "Warning", reason, message, metadata)
        self._post(item, component, "error", reason, message, metadata)

    def trace(self, item: Json, component: str, reason: str, message: str, kind: str = "Normal") -> None:
        """Record an Event that is not posted: Flux's traces, and every Event that is not Flux's."""
        self._record(item, component, kind, reason, message, {})

    def _record(
        self, item: Json, component: str, kind: str, reason: str, message: str, metadata: dict[str, str]
    ) -> None:
        meta = item["metadata"]
        namespace = meta.get("namespace") or "default"
        key = (component, meta["uid"], kind, reason, message)
        now = self.client.stamp()
        name = self._names.get(key, "")
        if name and self.client.find("Event", namespace, name):
            self.client.change(
                "Event", namespace, name, lambda new: new.update(count=new["count"] + 1, lastTimestamp=now)
            )
            return
        moment = int(self.client.now().timestamp() * 1e9) + len(self._names)
        self._names[key] = f"{meta['name']}.{moment:x}"
        group = item["apiVersion"].partition("/")[0]
        annotations = {f"{group}/{part.replace('_version', '-version')}": text for part, text in metadata.items()}
        event: Json = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": self._names[key], "namespace": namespace},
            "involvedObject": _about(item),
            "reason": reason,
            "message": message,
            "source": {"component": component},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": component,
            "reportingInstance": "",
        }
        if annotations:
            event["metadata"]["annotations"] = annotations
        Client(self.client.store, component).create(event)

    def _post(
        self, item: Json, component: str, severity: str, reason: str, message: str, metadata: dict[str, str]
    ) -> None:
        if not self.hook:
            return
        kept = {name.replace("_version", "-version"): text for name, text in metadata.items() if name not in DROPPED}
        body: Json = {
            "involvedObject": _about(item),
            "severity": severity,
            "timestamp": self.client.stamp(),
            "message": message,
            "reason": reason,
            "metadata": {"cluster": self.cluster} | kept,
            "reportingController": component,
            "reportingInstance": f"{component}-simulated",
        }
        same = hashlib.sha256(orjson.dumps([body["involvedObject"]["uid"], reason, message, kept])).hexdigest()
        now = self.client.now()
        if same in self._sent and now - self._sent[same] < WITHHELD:
            return
        self._sent[same] = now
        self._posts.append(Post(self.client.seconds(), component, _encoded(body)))

    async def deliver(self, session: aiohttp.ClientSession) -> None:
        """Post what is due; a refused connection, 429 and 5xx are tried again, everything else is lost or done."""
        now = self.client.seconds()
        for _ in range(len(self._posts)):
            post = self._posts.popleft()
            if post.at > now:
                self._posts.append(post)
            elif await self._try(session, post):
                self.delivered += 1
            elif post.tries < len(TRIES):
                post.at = now + TRIES[post.tries]
                post.tries += 1
                self._posts.append(post)
            else:
                self.lost += 1

    async def _try(self, session: aiohttp.ClientSession, post: Post) -> bool:
        signature = hmac.new(self.key, post.body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "Gotk-Component": post.component,
            "User-Agent": "Go-http-client/1.1",
            "X-Signature": f"sha256={signature}",
        }
        try:
            timeout = aiohttp.ClientTimeout(total=5)
            async with session.post(self.hook, data=post.body, headers=headers, timeout=timeout) as response:
                if not (response.status == 429 or response.status >= 500):  # noqa: PLR2004 - HTTP's own numbers
                    post.tries = len(TRIES)
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            return False


def _about(item: Json) -> Json:
    meta = item["metadata"]
    about = {
        "kind": item["kind"],
        "namespace": meta.get("namespace", ""),
        "name": meta["name"],
        "uid": meta["uid"],
        "apiVersion": item["apiVersion"],
        "resourceVersion": meta["resourceVersion"],
    }
    return {key: value for key, value in about.items() if value}


def _encoded(body: Json) -> bytes:
    # Go's encoder escapes these three, and the signature is over exactly what is sent.
    text = orjson.dumps(body)
    for character, escape in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        text = text.replace(character, escape)
    return text
