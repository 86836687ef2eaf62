"""An outgoing webhook: CloudEvents 1.0, signed over the exact bytes, the same id over every retry.

At least once: the far side drops a repeat by its Idempotency-Key. Redirects are not followed, answers are read only so
far, and addresses that a request from inside a cluster must not reach are refused.
"""

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
import orjson

from daemon.model.documents import Document, entry_document, incident_document, stamp
from daemon.model.notices import Delivery, Notification, Sent

LIMIT = 10.0
"""Seconds for one whole attempt (fault 83)."""
ANSWER = 64 * 1024
"""Bytes of an answer that are read."""
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class WebhookNotifier:
    """The Notifier port for one URL."""

    def __init__(
        self,
        url: str,
        key: bytes | None,
        session: aiohttp.ClientSession,
        *,
        allow_private: bool = False,
        allow_http: bool = False,
    ) -> None:
        """Post to this URL, signed with this key. Raises ValueError for a URL that must not be used."""
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("the webhook needs an https address with a host")
        if parts.scheme == "http" and not (allow_http or allow_private):
            raise ValueError("the webhook must be https; plain http only to a private address that is allowed")
        self._url = url
        self._host = parts.hostname
        self._key = key
        self._session = session
        self._allow_private = allow_private

    async def send(self, notification: Notification, thread: str) -> Delivery:
        """Post it."""
        del thread
        body = orjson.dumps(event_of(notification))
        try:
            await self._check_address()
            return await self._post(notification, body)
        except ValueError as error:
            return _outcome(notification, Sent.FAILED, str(error))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _outcome(notification, Sent.RETRY, f"the webhook does not answer ({type(error).__name__})")

    async def find(self, notification: Notification) -> Delivery | None:
        """Return None: the key makes a repeat harmless."""
        del notification
        return None

    async def _post(self, notification: Notification, body: bytes) -> Delivery:
        headers = {"Content-Type": "application/cloudevents+json; charset=utf-8", "Idempotency-Key": notification.key}
        if self._key:
            headers["X-Signature"] = "sha256=" + hmac.new(self._key, body, hashlib.sha256).hexdigest()
        limit = aiohttp.ClientTimeout(total=LIMIT)
        async with self._session.post(
            self._url, data=body, headers=headers, timeout=limit, allow_redirects=False
        ) as answer:
            await answer.content.read(ANSWER)
            return _judged(notification, answer.status, answer.headers)

    async def _check_address(self) -> None:
        """Refuse a host that resolves to what a pod must not be talked into calling (fault 84)."""
        loop_addresses = await _resolved(self._host)
        for address in loop_addresses:
            bad = address.is_link_local or address.is_multicast or address.is_unspecified
            private = address.is_private or address.is_loopback
            if bad or (private and not self._allow_private):
                raise ValueError(f"the webhook's host {self._host} is at {address}, which is not allowed as a target")


def event_of(notification: Notification) -> Document:
    """Return the CloudEvent of a notification."""
    incident = notification.incident
    data = incident_document(incident) | {
        "reason": notification.reason.value,
        "news": [entry_document(entry) for entry in notification.news],
    }
    return {
        "specversion": "1.0",
        "id": notification.key,
        "type": f"dev.fluxmedic.incident.{notification.reason.value}.v1",
        "source": f"fluxmedic/{incident.root.cluster}",
        "subject": incident.id,
        "time": stamp(notification.at),
        "datacontenttype": "application/json",
        "data": data,
    }


def _judged(notification: Notification, status: int, headers: Mapping[str, str]) -> Delivery:
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own border of success
        return _outcome(notification, Sent.SENT, "")
    after = headers.get("Retry-After", "")
    if status in AGAIN:
        wait = float(after) if after.isdecimal() else None
        return _outcome(notification, Sent.RETRY, f"the webhook answered {status}", wait)
    return _outcome(notification, Sent.FAILED, f"the webhook refused it: {status}; check its address and key")


def _outcome(notification: Notification, outcome: Sent, detail: str, after: float | None = None) -> Delivery:
    return Delivery(notification.key, notification.target, notification.incident.id, outcome, detail, retry_after=after)


async def _resolved(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    found = await aiohttp.ThreadedResolver().resolve(host, 0, family=socket.AF_UNSPEC)
    return [ipaddress.ip_address(each["host"].partition("%")[0]) for each in found]
