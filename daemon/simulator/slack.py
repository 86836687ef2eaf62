"""A fake Slack with a memory: messages, threads, edits, metadata, faults on command, and a page that draws it.

Answers the calls that fluxmedic makes, with Slack's own errors. One channel a name; no users, search or Socket Mode.
"""

import html
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from daemon.model.ports import Clock

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0;background:#f4f4f6;color:#1d1c1d}
main{max-width:56rem;margin:0 auto;padding:1rem}
h1{font-size:1.1rem;border-bottom:1px solid #ddd;padding-bottom:.5rem}
article{background:#fff;border-radius:.4rem;padding:.6rem 1rem;margin:.8rem 0;border-left:4px solid var(--bar,#ddd)}
pre{background:#f8f8f8;border:1px solid #e4e4e4;border-radius:.3rem;padding:.5rem;overflow-x:auto;font-size:12px}
.meta{color:#616061;font-size:12px}.thread{margin-left:1.5rem;border-left:2px solid #ddd;padding-left:1rem}
button{border:1px solid #bbb;border-radius:.3rem;background:#fff;padding:.2rem .8rem;margin-right:.4rem}
@media(prefers-color-scheme:dark){body{background:#1a1d21;color:#d1d2d3}article{background:#222529}pre{background:#1a1d21;border-color:#444}}
"""
POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"


@dataclass(slots=True)
class Post:
    """One message as the channel holds it."""

    ts: str
    channel: str
    text: str
    thread: str = ""
    blocks: list[dict[str, object]] = field(default_factory=list)
    attachments: list[dict[str, object]] = field(default_factory=list)
    metadata: dict[str, object] = field(default_factory=dict)
    edits: int = 0


class FakeSlack:
    """The Web API on loopback. `faults` holds, call by call, what goes wrong next: see `fail`."""

    def __init__(self, clock: Clock) -> None:
        """Begin with empty channels."""
        self.posts: list[Post] = []
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.refused = ""
        """An error code that every call answers with, such as invalid_auth."""
        self._clock = clock
        self._faults: list[tuple[str, float]] = []
        self._count = 0

    def fail(self, what: str, *, times: int = 1, after: float = 1.0) -> None:
        """Let the next calls go wrong: ratelimited (Retry-After), 500, accepted-500 (posts, then fails), or a code."""
        self._faults += [(what, after)] * times

    def roots(self) -> list[Post]:
        """Return the messages that are in no thread."""
        return [post for post in self.posts if not post.thread]

    def replies(self, ts: str) -> list[Post]:
        """Return the messages of a thread, without its root."""
        return [post for post in self.posts if post.thread == ts]

    def app(self) -> web.Application:
        """Return the server."""
        app = web.Application()
        app.router.add_post("/api/{method}", self._call)
        app.router.add_get("/api/{method}", self._call)
        app.router.add_get("/", self._page)
        app.router.add_get("/style.css", self._style)
        return app

    @asynccontextmanager
    async def serve(self, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
        """Answer while the context is open; give the address."""
        runner = web.AppRunner(self.app(), shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield f"http://{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _call(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        facts = await _facts(request)
        self.calls.append((method, facts))
        if self.refused:
            return _answer({"ok": False, "error": self.refused})
        fault, after = self._faults.pop(0) if self._faults else ("", 0.0)
        if fault == "ratelimited":
            headers = {"Retry-After": str(round(after))}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        if fault == "500":
            return web.Response(status=500, text="oops")
        if fault and fault != "accepted-500":
            return _answer({"ok": False, "error": fault})
        answer = self._do(method, facts)
        return web.Response(status=500, text="oops") if fault else _answer(answer)

    def _do(self, method: str, facts: dict[str, object]) -> dict[str, object]:  # noqa: PLR0911 - one row a method
        channel = str(facts.get("channel", ""))
        match method:
            case "auth.test":
                return {"ok": True, "user": "fluxmedic", "team": "demo"}
            case "chat.postMessage":
                return self._post(channel, facts)
            case "chat.update":
                return self._update(channel, facts)
            case "chat.delete":
                self.posts = [post for post in self.posts if post.ts != facts.get("ts")]
                return {"ok": True}
            case "conversations.history":
                found = [post for post in reversed(self.posts) if post.channel == channel and not post.thread]
                return {"ok": True, "messages": [_told(post) for post in found]}
            case "conversations.replies":
                ts = str(facts.get("ts", ""))
                found = [post for post in self.posts if ts in (post.ts, post.thread)]
                return {"ok": True, "messages": [_told(post) for post in found]}
            case _:
                return {"ok": False, "error": "unknown_method"}

    def _post(self, channel: str, facts: Mapping[str, object]) -> dict[str, object]:
        self._count += 1
        ts = f"{int(self._clock.now().timestamp())}.{self._count:06d}"
        post = Post(ts, channel, "", str(facts.get("thread_ts", "")))
        self.posts.append(post)
        _write(post, facts)
        return {"ok": True, "channel": channel, "ts": ts}

    def _update(self, channel: str, facts: Mapping[str, object]) -> dict[str, object]:
        for post in self.posts:
            if (post.channel, post.ts) == (channel, facts.get("ts")):
                _write(post, facts)
                post.edits += 1
                return {"ok": True, "channel": channel, "ts": post.ts}
        return {"ok": False, "error": "message_not_found"}

    async def _page(self, _request: web.Request) -> web.Response:
        drawn = "".join(self._drawn(post) for post in self.roots()) or "<p>Nobody has said anything yet.</p>"
        page = (
            "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=2>"
            "<meta name=viewport content='width=device-width'><title>#incidents</title>"
            f"<link rel=stylesheet href=/style.css><main><h1># incidents</h1>{drawn}</main></html>"
        )
        return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    async def _style(self, _request: web.Request) -> web.Response:
        bars = "".join(f".b{colour}{{--bar:#{colour}}}" for colour in sorted(self._colours()))
        return web.Response(text=STYLE + bars, content_type="text/css")

    def _colours(self) -> set[str]:
        found = {str(item.get("color", "")).lstrip("#") for post in self.posts for item in post.attachments}
        return {colour for colour in found if colour.isalnum()}

    def _drawn(self, post: Post) -> str:
        colour = str(post.attachments[0].get("color", "")).lstrip("#") if post.attachments else ""
        blocks = [*post.blocks, *(block for item in post.attachments for block in _listed(item.get("blocks")))]
        body = "".join(_block(block) for block in blocks) or _text(post.text)
        at = datetime.fromtimestamp(float(post.ts.partition(".")[0]), tz=self._clock.now().tzinfo)
        edited = f" · edited {post.edits} times" if post.edits else ""
        thread = "".join(self._drawn(reply) for reply in self.replies(post.ts)) if not post.thread else ""
        below = f"<details open class=thread><summary>{len(self.replies(post.ts))} replies</summary>{thread}</details>"
        name = f" class=b{colour}" if colour.isalnum() and colour else ""
        meta = f"<p class=meta>fluxmedic APP {at:%H:%M:%S}{edited}</p>"
        return f"<article{name}>{meta}{body}{below if thread else ''}</article>"


async def _facts(request: web.Request) -> dict[str, object]:
    """Return the arguments of a call: the client posts forms with JSON inside, or JSON."""
    if request.content_type == "application/json":
        found = await request.json()
        return dict(found)
    form = dict(request.query) | {key: str(value) for key, value in (await request.post()).items()}
    return {key: _loaded(value) for key, value in form.items()}


def _loaded(value: str) -> object:
    if value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _write(post: Post, facts: Mapping[str, object]) -> None:
    post.text = str(facts.get("text", ""))
    post.blocks = _listed(facts.get("blocks"))
    post.attachments = _listed(facts.get("attachments"))
    metadata = facts.get("metadata")
    post.metadata = dict(metadata) if isinstance(metadata, Mapping) else post.metadata


def _told(post: Post) -> dict[str, object]:
    return {"ts": post.ts, "text": post.text, "thread_ts": post.thread or post.ts, "metadata": post.metadata}


def _answer(body: Mapping[str, object]) -> web.Response:
    return web.json_response(body)


def _listed(value: object) -> list[dict[str, object]]:
    return [dict(item) for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _block(block: Mapping[str, object]) -> str:
    """Draw one block; mrkdwn's escapes are Slack's own, so the text is unescaped once and escaped for HTML."""
    if block.get("type") == "actions":
        return (
            "<p>"
            + "".join(f"<button disabled>{_label(item)}</button>" for item in _listed(block.get("elements")))
            + "</p>"
        )
    parts = [block.get("text"), *_listed(block.get("fields")), *_listed(block.get("elements"))]
    texts = [str(part.get("text", "")) for part in parts if isinstance(part, Mapping)]
    return "".join(_text(text) for text in texts)


def _label(item: Mapping[str, object]) -> str:
    text = item.get("text")
    return html.escape(str(text.get("text", ""))) if isinstance(text, Mapping) else ""


def _text(text: str) -> str:
    pieces = text.split("```")
    drawn = []
    for index, piece in enumerate(pieces):
        shown = html.escape(html.unescape(piece))
        if index % 2:
            drawn.append(f"<pre>{shown}</pre>")
        elif piece.strip():
            drawn.append("<p>" + _bold(shown).replace("\n", "<br>") + "</p>")
    return "".join(drawn)


def _bold(text: str) -> str:
    lines = []
    for line in text.split("\n"):
        strong = len(line) > 2 and line.startswith("*") and line.endswith("*")  # noqa: PLR2004 - the two stars
        lines.append(f"<strong>{line[1:-1]}</strong>" if strong else line)
    return "\n".join(lines)
