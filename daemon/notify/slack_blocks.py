"""A Message as Slack's blocks, within Slack's limits by construction. Pure.

Only `&`, `<` and `>` need escaping in mrkdwn; with them escaped no mention, channel call or link can be made by text
from the cluster. Emphasis characters are left: they change a font, not who is woken.
"""

from daemon.model.notices import Notification
from daemon.model.remedies import Phase
from daemon.notify.message import Message

BLOCKS = 50
SECTION = 2900
"""Characters of a section's text: Slack's limit is 3,000, escaping may lengthen."""
TOTAL = 11_000
"""Characters of all blocks: messages over about 13,172 were refused (slackapi/bolt-js#2509)."""
FALLBACK = 200

Block = dict[str, object]


def escaped(text: str) -> str:
    """Return text that Slack shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def root_blocks(message: Message, link: str = "") -> list[Block]:
    """Return the blocks of the root message: title, cause, impact, fields, next, context, buttons."""
    title = f"<{link}|{escaped(message.title)}>" if link else escaped(message.title)
    blocks: list[Block] = [_section(f"*{title}*\n{escaped(message.cause)}")]
    if message.impact:
        blocks.append(_section(escaped(message.impact)))
    if message.fields:
        fields = [{"type": "mrkdwn", "text": f"*{name}*\n{escaped(value)}"} for name, value in message.fields[:10]]
        blocks.append({"type": "section", "fields": fields})
    if message.contract:
        blocks.append(_section(_code(message.contract)))
    if message.next_line:
        blocks.append(_section(escaped(message.next_line)))
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": escaped(message.context)}]})
    return _within(blocks)


def approval_blocks(message: Message, incident: str) -> list[Block]:
    """Return what is asked of a person when a plan waits: every step, and the buttons bound to the plan's digest."""
    plan = message.plan
    if plan is None or plan.phase is not Phase.PROPOSED:
        return []
    lines = "\n".join(f"{number}. {escaped(step.text)}" for number, step in enumerate(plan.steps, start=1))
    value = f"{incident}|{plan.id}|{plan.digest}"
    buttons = [_button("approve", "Approve", value, "primary"), _button("deny", "Deny", value, "danger")]
    return [_section(f"*Plan {plan.id}*\n{lines}"), {"type": "actions", "elements": buttons}]


def thread_text(message: Message, notification: Notification) -> str:
    """Return the line or lines that a notification adds to the thread."""
    parts = [f"*{notification.reason.value}*"]
    if message.news:
        parts.append(_code(message.news))
    if message.instructions and notification.reason.value in ("opened", "failed"):
        parts.append("What a person would do:\n" + _code(message.instructions))
    return "\n".join(parts)[:SECTION]


def fallback(message: Message) -> str:
    """Return the text of a phone's push."""
    return escaped(message.title)[:FALLBACK]


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:SECTION] or " "}}


def _code(lines: tuple[str, ...]) -> str:
    text = "\n".join(escaped(line).replace("```", "'''") for line in lines)
    return f"```{text[: SECTION - 200]}```"


def _button(action: str, label: str, value: str, style: str) -> Block:
    return {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": label},
        "value": value,
        "style": style,
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
