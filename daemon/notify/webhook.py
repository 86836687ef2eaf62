"""An outgoing webhook: CloudEvents 1.0, signed over the exact bytes, the same id over every retry.

At least once: the far side drops a repeat by its Idempotency-Key. Redirects are not followed, answers are read only so
far, and addresses that a request from inside a cluster must not reach are refused.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

import aiohttp
import orjson

from daemon.model.documents import Document, entry_document, incident_document, stamp
from daemon.model.notices import Delivery, Notification, Sent

LIMIT = 10.0
"""Seconds for one whole attempt (fault 83)."""
ANSWER = 64 * 1024
"""Bytes of an answer that are read."""
LONGEST = 3600.0
"""Seconds that we wait at most when the far side asks for a pause: an odd header must not silence us for good."""
TRIED = 3
"""Addresses of the host that one attempt tries."""
NAT64 = ipaddress.ip_network("64:ff9b::/96")
METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})
"""Where clouds keep a machine's credentials beside 169.254.169.254."""
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


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
        limit: float = LIMIT,
    ) -> None:
        """Post to this URL within `limit` seconds, signed with this key. Raises ValueError for a URL of no use."""
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("the webhook needs an https address with a host")
        if parts.scheme == "http" and not (allow_http or allow_private):
            raise ValueError("the webhook must be https; plain http only to a private address that is allowed")
        self._parts = parts
        self._port = "" if parts.port is None else f":{parts.port}"
        self._host = parts.hostname.encode("idna").decode()
        self._key = key
        self._session = session
        self._allow_private = allow_private
        self._limit = limit

    async def send(self, notification: Notification, thread: str) -> Delivery:
        """Post it."""
        del thread
        body = orjson.dumps(event_of(notification))
        try:
            async with asyncio.timeout(self._limit):
                return await self._post(notification, body, await self._addresses())
        except aiohttp.ClientConnectorCertificateError:
            text = f"the certificate of {self._host} is not valid: renew it, or trust who issued it"
            return _outcome(notification, Sent.RETRY, text)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _outcome(notification, Sent.RETRY, f"the webhook does not answer ({type(error).__name__})")
        except ValueError as error:
            return _outcome(notification, Sent.FAILED, str(error))

    async def find(self, notification: Notification) -> Delivery | None:
        """Return None: the key makes a repeat harmless."""
        del notification
        return None

    async def _post(self, notification: Notification, body: bytes, addresses: Sequence[Address]) -> Delivery:
        """Post to the first address that takes a connection: the one that was looked at, whatever DNS says by now."""
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "Idempotency-Key": notification.key,
            "Host": _bracketed(self._host) + self._port,
        }
        if self._key:
            headers["X-Signature"] = "sha256=" + hmac.new(self._key, body, hashlib.sha256).hexdigest()
        name = self._host if self._parts.scheme == "https" else None
        refused: aiohttp.ClientError | None = None
        for address in addresses[:TRIED]:
            url = _at(self._parts, _bracketed(str(address)) + self._port)
            try:
                async with self._session.post(
                    url, data=body, headers=headers, server_hostname=name, allow_redirects=False
                ) as answer:
                    await answer.content.read(ANSWER)
                    return _judged(notification, answer.status, answer.headers)
            except aiohttp.ClientConnectorError as error:
                refused = error
        raise refused or OSError("the host has no address")

    async def _addresses(self) -> list[Address]:
        """Return where the host is; refuse what a pod must not be talked into calling (fault 84)."""
        found = await _resolved(self._host)
        for address in found:
            if is_refused(address, allow_private=self._allow_private):
                raise ValueError(f"the webhook's host {self._host} is at {address}, which is not allowed as a target")
        return found


def is_refused(address: Address, *, allow_private: bool) -> bool:
    """Say whether an address must not be called; an IPv4 address within an IPv6 one counts as itself."""
    inner = _inner(address)
    bad = inner.is_link_local or inner.is_multicast or inner.is_unspecified or inner in METADATA
    return bad or (not allow_private and not inner.is_global)


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
        wait = min(float(after), LONGEST) if after.isdecimal() else None
        return _outcome(notification, Sent.RETRY, f"the webhook answered {status}", wait)
    return _outcome(notification, Sent.FAILED, f"the webhook refused it: {status}; check its address and key")


def _outcome(notification: Notification, outcome: Sent, detail: str, after: float | None = None) -> Delivery:
    return Delivery(notification.key, notification.target, notification.incident.id, outcome, detail, retry_after=after)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _at(parts: SplitResult, authority: str) -> str:
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{authority}").geturl()


def _inner(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64 or address.packed[:12] == bytes(12):
        return ipaddress.IPv4Address(address.packed[12:]) if int(address) > 1 else address
    return address.ipv4_mapped or address.sixtofour or address


async def _resolved(host: str) -> list[Address]:
    found = await aiohttp.ThreadedResolver().resolve(host, 0, family=socket.AF_UNSPEC)
    return list(dict.fromkeys(ipaddress.ip_address(each["host"].partition("%")[0]) for each in found))
