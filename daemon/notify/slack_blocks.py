"""A Message as Slack's blocks, within Slack's limits by construction. Pure.

Only `&`, `<` and `>` need escaping in mrkdwn; with them escaped, and with `verbatim` against Slack's own search for
names, no mention, channel call or link can be made by text from the cluster. Emphasis characters are left: they change
a font, not who is woken; but a code fence would swallow what follows, so it becomes quotation marks.
"""

from daemon.model.incidents import State
from daemon.model.notices import Notification, Reason
from daemon.model.remedies import Phase
from daemon.notify.message import Message, plain

BLOCKS = 50
SECTION = 2900
"""Characters of a section's text: Slack's limit is 3,000."""
TOTAL = 11_000
"""Characters of all blocks: messages over about 13,172 were refused (slackapi/bolt-js#2509)."""
FALLBACK = 200
FENCE = "```"
ENTITY = len("&amp;")
STEP = 500
"""Characters of one step of a plan."""

Block = dict[str, object]


def escaped(text: str, limit: int = SECTION) -> str:
    """Return text that Slack shows as it is, at most so many characters, never ending within an escape."""
    safe = text.replace(FENCE, "'''").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(safe) <= limit:
        return safe
    cut = safe[: limit - 1]
    begun = cut.rfind("&", -ENTITY)
    return (cut[:begun] if begun >= 0 and ";" not in cut[begun:] else cut) + "…"


def root_blocks(message: Message, link: str = "", *, interactive: bool = False) -> list[Block]:
    """Return the blocks of the root message: title, cause, impact, fields, contract, next, context, buttons."""
    title = f"<{link}|{escaped(message.title)}>" if link else escaped(message.title)
    blocks: list[Block] = [_section(f"*{title}*"), _section(escaped(message.cause))]
    if message.impact:
        blocks.append(_section(escaped(message.impact)))
    if message.fields:
        blocks.append({"type": "section", "fields": [_field(*field) for field in message.fields[:10]]})
    if message.contract:
        blocks.append(_section(_code(message.contract)))
    if message.next_line:
        blocks.append(_section(escaped(message.next_line)))
    if interactive and message.state is State.OPEN:
        blocks.append({"type": "actions", "elements": [_button("acknowledge", "Acknowledge", message.incident)]})
    blocks.append({"type": "context", "elements": [_text(escaped(message.context))]})
    return _within(blocks)


def thread_blocks(message: Message, notification: Notification, *, interactive: bool = True) -> list[Block]:
    """Return what a notification adds to the thread: the news, what a person would do, and what a plan asks."""
    news = f"\n{_code(message.news)}" if message.news else ""
    blocks = [_section(f"*{notification.reason.value}*{news}")]
    if message.instructions and notification.reason in (Reason.OPENED, Reason.FAILED):
        blocks.append(_section("What a person would do:\n" + _code(message.instructions)))
    return _within(blocks + approval_blocks(message, interactive=interactive))


def approval_blocks(message: Message, *, interactive: bool = True) -> list[Block]:
    """Return what is asked of a person when a plan waits: every step, and the buttons bound to the plan's digest."""
    plan = message.plan
    if plan is None or plan.phase is not Phase.PROPOSED:
        return []
    lines = "\n".join(f"{number}. {plain(step.text, STEP)}" for number, step in enumerate(plan.steps, start=1))
    blocks = [_section(f"*Plan {plan.id}*\n{escaped(lines, SECTION - 100)}")]
    if interactive:
        value = f"{message.incident}|{plan.id}|{plan.digest}"
        buttons = [_button("approve", "Approve", value, "primary"), _button("deny", "Deny", value, "danger")]
        blocks.append({"type": "actions", "elements": buttons})
    return blocks


def thread_text(message: Message, notification: Notification) -> str:
    """Return the text of a phone's push for a message in the thread."""
    newest = f": {message.news[-1]}" if message.news else ""
    return escaped(f"{notification.reason.value}{newest}", FALLBACK)


def fallback(message: Message) -> str:
    """Return the text of a phone's push."""
    return escaped(message.title, FALLBACK)


def bare(message: Message, link: str = "") -> str:
    """Return the whole message as plain text, for when Slack takes no blocks."""
    return "\n".join(part for part in (escaped(message.title), escaped(message.cause), link) if part)


def _text(text: str) -> Block:
    return {"type": "mrkdwn", "text": text or " ", "verbatim": True}


def _section(text: str) -> Block:
    return {"type": "section", "text": _text(text)}


def _field(name: str, value: str) -> Block:
    return _text(f"*{name}*\n{escaped(value)}")


def _code(lines: tuple[str, ...]) -> str:
    text = escaped("\n".join(lines), SECTION - 200)
    return f"{FENCE}{text}{FENCE}"


def _button(action: str, label: str, value: str, style: str = "") -> Block:
    look = {"style": style} if style else {}
    return {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": label},
        "value": value,
        **look,
    }


def _within(blocks: list[Block]) -> list[Block]:
    """Return as many blocks from the front as Slack takes together."""
    kept: list[Block] = []
    size = 0
    for block in blocks[:BLOCKS]:
        size += len(str(block))
        if size > TOTAL:
            break
        kept.append(block)
    return kept
