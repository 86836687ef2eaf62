"""Slack: one root message an incident, edited in place; what is new goes into its thread.

Slack has no idempotency key, so each message carries the incident and the key in its metadata, and after an outcome
that is unknown the channel is asked before anything is posted again. Nothing is retried here: that is the lane's.
"""

import asyncio
from collections.abc import Mapping

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from daemon.model.notices import QUIET, Delivery, Notification, Reason, Sent
from daemon.notify.message import Message, compose
from daemon.notify.slack_blocks import Block, bare, fallback, root_blocks, thread_blocks, thread_text

EVENT_TYPE = "fluxmedic_incident"
HISTORY = 100
"""Messages of the channel that are searched for our own: a crash is looked into within minutes."""
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
TOO_BIG = frozenset({"msg_blocks_too_long", "invalid_blocks", "msg_too_long", "invalid_blocks_format"})
BUSY = frozenset({"ratelimited", "rate_limited", "service_unavailable", "internal_error", "fatal_error"})
ADVICE: Mapping[str, str] = {
    "invalid_auth": "the token is not valid: put a new one into the token file",
    "token_revoked": "the token was revoked: put a new one into the token file",
    "account_inactive": "the app's account is inactive: ask a workspace administrator",
    "channel_not_found": "there is no such channel, or the app may not see it: check the channel's id",
    "not_in_channel": "invite the app to the channel: /invite @fluxmedic",
    "is_archived": "the channel is archived: choose another one",
    "missing_scope": "the token lacks a scope: chat:write and channels:history are needed",
}
SETTLE = 300.0
"""Seconds until a refusal that only a person can lift is tried again (fault 75)."""
LONGEST = 3600.0
"""Seconds that we wait at most when Slack asks for a pause: an odd header must not silence us for good."""


class SlackNotifier:
    """The Notifier port for one channel."""

    def __init__(
        self,
        token: str,
        channel: str,
        session: aiohttp.ClientSession,
        *,
        api_url: str = "",
        page_url: str = "",
        interactive: bool = True,
    ) -> None:
        """Post into this channel, link to `page_url`, and show buttons if there is somebody who answers them."""
        base = api_url or AsyncWebClient.BASE_URL
        self._client = AsyncWebClient(token=token, base_url=base, session=session, retry_handlers=[])
        self._channel = channel
        self._page_url = page_url.rstrip("/")
        self._interactive = interactive
        self._halfway: dict[str, str] = {}
        """Incident to its root, where the root stands but the thread may lack the last news."""

    async def send(self, notification: Notification, thread: str) -> Delivery:
        """Post or edit the root; add what is new to its thread."""
        message = compose(notification)
        try:
            if not thread:
                thread = await self._known_root(notification)
            thread = await self._root(notification, message, thread)
            if notification.reason not in QUIET:
                self._halfway[notification.incident.id] = thread
                await self._reply(notification, message, thread)
        except SlackApiError as error:
            return self._refused(notification, error)
        except (aiohttp.ClientConnectorError, ConnectionRefusedError) as error:
            return self._outcome(notification, Sent.RETRY, f"Slack cannot be reached ({type(error).__name__})")
        except (aiohttp.ClientError, SlackClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            return self._outcome(notification, Sent.UNKNOWN, f"no answer from Slack ({type(error).__name__})")
        self._halfway.pop(notification.incident.id, None)
        return self._outcome(notification, Sent.SENT, "", thread)

    async def find(self, notification: Notification) -> Delivery | None:
        """Ask the channel whether this very notification already stands there in full; None when it does not."""
        try:
            root, shown = await self._search(notification)
        except (SlackApiError, SlackClientError, aiohttp.ClientError, TimeoutError) as error:
            return self._outcome(notification, Sent.RETRY, f"Slack cannot be asked ({type(error).__name__})")
        if not shown:
            if root:
                self._halfway[notification.incident.id] = root
            return None
        found = self._outcome(notification, Sent.SENT, "found already shown", root)
        return Delivery(found.key, found.target, found.incident, found.outcome, found.detail, root, duplicate=True)

    async def check(self) -> str:
        """Return who Slack says we are. Raises SlackApiError."""
        answer = await self._client.auth_test()
        return str(answer.get("user", "?"))

    async def _root(self, notification: Notification, message: Message, thread: str) -> str:
        """Edit the root where it stands; post one where there is none, or where it was deleted."""
        if thread:
            try:
                await self._laid_out(notification, message, thread)
            except SlackApiError as error:
                if _code(error) not in GONE:
                    raise
            else:
                return thread
        return await self._laid_out(notification, message, "")

    async def _laid_out(self, notification: Notification, message: Message, thread: str) -> str:
        """Say it in full; if Slack finds that too long, shorter, and at last as plain text (fault 78)."""
        link = f"{self._page_url}/incidents/{notification.incident.id}" if self._page_url else ""
        full = root_blocks(message, link, interactive=self._interactive)
        for blocks in (full, full[:2]):
            try:
                return await self._put(notification, thread, fallback(message), blocks, message.colour)
            except SlackApiError as error:
                if _code(error) not in TOO_BIG:
                    raise
        return await self._put(notification, thread, bare(message, link), [], message.colour)

    async def _put(self, notification: Notification, thread: str, text: str, blocks: list[Block], colour: str) -> str:
        """Post or edit the root: the title on top, the rest beside a bar in the state's colour."""
        facts = {
            "text": text,
            "blocks": blocks[:1],
            "attachments": [{"color": colour, "blocks": blocks[1:], "fallback": text}] if blocks else [],
            "metadata": self._metadata(notification, "root"),
        }
        if thread:
            channel, _, ts = thread.partition(":")
            await self._client.chat_update(channel=channel, ts=ts, **facts)  # type: ignore[arg-type]
            return thread
        answer = await self._client.chat_postMessage(channel=self._channel, **facts)  # type: ignore[arg-type]
        return f"{answer['channel']}:{answer['ts']}"

    async def _reply(self, notification: Notification, message: Message, thread: str) -> None:
        channel, _, ts = thread.partition(":")
        await self._client.chat_postMessage(
            channel=channel,
            thread_ts=ts,
            text=thread_text(message, notification),
            blocks=thread_blocks(message, notification, interactive=self._interactive),
            reply_broadcast=False,
            metadata=self._metadata(notification, "thread"),
        )

    async def _known_root(self, notification: Notification) -> str:
        """Find the root of an incident that we do not remember posting: the ledger may have been lost."""
        halfway = self._halfway.get(notification.incident.id, "")
        if halfway or (notification.reason is Reason.OPENED and notification.incident.version <= 1):
            return halfway
        root, _ = await self._search(notification)
        return root

    async def _search(self, notification: Notification) -> tuple[str, bool]:
        """Return channel:ts of this incident's newest root, and whether this notification stands there in full.

        What adds to the thread is shown when the thread has its key: the root is written before.
        """
        answer = await self._client.conversations_history(
            channel=self._channel, limit=HISTORY, include_all_metadata=True
        )
        newest = ""
        for item in answer.get("messages") or []:
            payload = _payload(item)
            if payload.get("incident") != notification.incident.id:
                continue
            root = f"{self._channel}:{item['ts']}"
            newest = newest or root
            edited = notification.reason in QUIET and payload.get("key") == notification.key
            if edited or await self._in_thread(item["ts"], notification.key):
                return root, True
        return newest, False

    async def _in_thread(self, ts: str, key: str) -> bool:
        answer = await self._client.conversations_replies(channel=self._channel, ts=ts, include_all_metadata=True)
        told = [_payload(item) for item in answer.get("messages") or []]
        return any((payload.get("part"), payload.get("key")) == ("thread", key) for payload in told)

    def _metadata(self, notification: Notification, part: str) -> dict[str, object]:
        incident = notification.incident
        payload = {"incident": incident.id, "key": notification.key, "version": incident.version, "part": part}
        return {"event_type": EVENT_TYPE, "event_payload": payload}

    def _refused(self, notification: Notification, error: SlackApiError) -> Delivery:
        code = _code(error)
        status = getattr(error.response, "status_code", 0)
        after = _after(error)
        if code in BUSY or status == 429:  # noqa: PLR2004 - Too Many Requests
            return self._outcome(notification, Sent.RETRY, f"Slack asks to wait ({code})", after=after)
        if status >= 500:  # noqa: PLR2004 - the server's own fault: it may have posted
            return self._outcome(notification, Sent.UNKNOWN, f"Slack answered {status}")
        advice = ADVICE.get(code, "see Slack's documentation of this error")
        return self._outcome(notification, Sent.FAILED, f"Slack refused ({code}): {advice}", after=SETTLE)

    def _outcome(
        self, notification: Notification, outcome: Sent, detail: str, thread: str = "", after: float | None = None
    ) -> Delivery:
        target, incident = notification.target, notification.incident.id
        return Delivery(notification.key, target, incident, outcome, detail, thread, after)


def _code(error: SlackApiError) -> str:
    """Return Slack's own error code; an answer that is no JSON (a proxy's 502) has none."""
    data = getattr(error.response, "data", error.response)
    value = data.get("error") if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else ""


def _after(error: SlackApiError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    value = str(headers.get("Retry-After", ""))
    return min(float(value), LONGEST) if value.isdecimal() else None


def _payload(item: Mapping[str, object]) -> Mapping[str, object]:
    metadata = item.get("metadata")
    payload = metadata.get("event_payload") if isinstance(metadata, Mapping) else None
    return payload if isinstance(payload, Mapping) else {}
