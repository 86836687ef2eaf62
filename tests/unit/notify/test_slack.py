"""Slack over real HTTP: one root message an incident, edited in place, found again, and every refusal with advice."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model.incidents import Change, Entry, Incident, Member, Role, State
from daemon.model.notices import Notification, Reason, Sent
from daemon.model.refs import EffectId, Target
from daemon.model.remedies import Check, CheckState, Milestone, Mode, Phase, Remediation, Step
from daemon.notify.message import compose, plain
from daemon.notify.slack import SlackNotifier
from daemon.notify.slack_blocks import (
    approval_blocks,
    bare,
    escaped,
    fallback,
    root_blocks,
    thread_blocks,
    thread_text,
)
from daemon.runtime.clock import SystemClock
from daemon.simulator.slack import FakeSlack
from tests.builders import T0, Cluster, Story, failing, needs, ref, waiting

CHANNEL = "C1"


def incident(**changes: object) -> Incident:
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing(message="boom <b>&"))).wait(6)
    for name in ("b", "c"):
        needed = needs(ref("Kustomization", "a"))
        story.see(cluster.state("Kustomization", name, waiting("apps/a"), depends_on=needed))
    return replace(story.wait(1).case.incident, **changes)  # type: ignore[arg-type]


def notice(reason: Reason = Reason.OPENED, key: str = "k1", version: int = 1, **changes: object) -> Notification:
    told = incident(version=version, **changes)
    return Notification(EffectId(key), Target("slack"), reason, told, T0, told.timeline)


@asynccontextmanager
async def channel(page: str = "") -> AsyncIterator[tuple[FakeSlack, SlackNotifier]]:
    slack = FakeSlack(SystemClock())
    async with slack.serve() as address, aiohttp.ClientSession() as session:
        yield slack, SlackNotifier("xoxb-1", CHANNEL, session, api_url=f"{address}/api/", page_url=page)


async def test_an_incident_is_one_root_message_with_its_news_in_the_thread():
    async with channel("https://fluxmedic.example.com/") as (slack, notifier):
        first = await notifier.send(notice(), "")
        assert first.outcome is Sent.SENT
        second = await notifier.send(
            notice(Reason.RESOLVED, "k2", 2, state=State.RESOLVED, resolved_at=T0), first.thread
        )
        assert second.thread == first.thread
    (root,) = slack.roots()
    assert root.edits == 1
    assert len(slack.replies(root.ts)) == 2
    assert "RESOLVED" in root.text
    assert "https://fluxmedic.example.com/incidents/" in str(root.blocks)
    assert root.metadata["event_payload"]["part"] == "root"  # type: ignore[index]


async def test_what_only_edits_the_message_adds_nothing_to_the_thread():
    async with channel() as (slack, notifier):
        first = await notifier.send(notice(), "")
        await notifier.send(notice(Reason.JOINED, "k2", 2), first.thread)
    assert len(slack.replies(slack.roots()[0].ts)) == 1


async def test_f077_a_message_that_was_deleted_is_posted_anew():
    async with channel() as (slack, notifier):
        first = await notifier.send(notice(), "")
        slack.posts.clear()
        second = await notifier.send(notice(Reason.FAILED, "k2", 2), first.thread)
        assert second.outcome is Sent.SENT
        assert second.thread != first.thread


async def test_a_root_that_we_do_not_remember_is_found_by_its_metadata():
    async with channel() as (slack, notifier):
        first = await notifier.send(notice(), "")
        again = await notifier.send(notice(Reason.FAILED, "k2", 2), "")
        assert again.thread == first.thread
    assert len(slack.roots()) == 1


async def test_f074_a_root_whose_answer_was_lost_is_found_and_only_what_lacks_is_added():
    async with channel() as (slack, notifier):
        slack.fail("accepted-500")
        lost = await notifier.send(notice(), "")
        assert lost.outcome is Sent.UNKNOWN
        assert await notifier.find(notice()) is None  # the root stands, its news in the thread do not
        again = await notifier.send(notice(), "")
        assert (again.outcome, again.thread) == (Sent.SENT, f"{CHANNEL}:{slack.roots()[0].ts}")
    (root,) = slack.roots()
    assert len(slack.replies(root.ts)) == 1


async def test_f074_a_reply_whose_answer_was_lost_is_found_and_not_repeated():
    async with channel() as (slack, notifier):
        first = await notifier.send(notice(), "")
        slack.fail("", times=1)  # the edit of the root goes well
        slack.fail("accepted-500")
        assert (await notifier.send(notice(Reason.FAILED, "k2", 2), first.thread)).outcome is Sent.UNKNOWN
        found = await notifier.find(notice(Reason.FAILED, "k2", 2))
        assert found is not None
        assert found.duplicate
        assert found.thread == first.thread
    assert len(slack.replies(slack.roots()[0].ts)) == 2


async def test_f073_news_that_met_a_limit_after_the_root_was_posted_are_not_lost():
    async with channel() as (slack, notifier):
        slack.fail("", times=1)
        slack.fail("ratelimited", after=30)
        said = await notifier.send(notice(), "")
        assert (said.outcome, said.retry_after) == (Sent.RETRY, 30.0)
        assert await notifier.find(notice()) is None
        assert (await notifier.send(notice(), "")).outcome is Sent.SENT
    (root,) = slack.roots()
    assert len(slack.replies(root.ts)) == 1


async def test_after_a_crash_another_process_completes_what_was_half_told():
    async with channel() as (slack, notifier), aiohttp.ClientSession() as session:
        slack.fail("", times=1)
        slack.fail("500")
        await notifier.send(notice(), "")
        later = SlackNotifier("xoxb-1", CHANNEL, session, api_url=notifier._client.base_url)
        assert await later.find(notice()) is None
        assert (await later.send(notice(), "")).outcome is Sent.SENT
    (root,) = slack.roots()
    assert len(slack.replies(root.ts)) == 1


async def test_a_notification_that_stands_in_the_thread_is_found_there():
    async with channel() as (_, notifier):
        first = await notifier.send(notice(), "")
        await notifier.send(notice(Reason.ACKNOWLEDGED, "k2", 2), first.thread)
        await notifier.send(notice(Reason.JOINED, "k3", 3), first.thread)
        found = await notifier.find(notice(Reason.ACKNOWLEDGED, "k2", 2))
        assert found is not None
        assert await notifier.find(notice(Reason.FAILED, "k9", 9)) is None


async def test_a_channel_of_others_messages_holds_none_of_ours():
    async with channel() as (slack, notifier):
        await notifier.send(notice(), "")
        slack.posts[0].metadata = {"event_payload": "odd"}
        assert await notifier.find(notice()) is None
        slack.posts[0].metadata = {"event_payload": {"incident": "other"}}
        assert await notifier.find(notice()) is None


async def test_f073_a_limit_is_waited_for_as_long_as_slack_asks():
    async with channel() as (slack, notifier):
        slack.fail("ratelimited", after=7)
        said = await notifier.send(notice(), "")
        assert (said.outcome, said.retry_after) == (Sent.RETRY, 7.0)
        slack.fail("ratelimited", after=10**9)
        assert (await notifier.send(notice(), "")).retry_after == 3600.0


async def test_f075_a_revoked_token_is_told_with_advice_and_asked_again_later():
    async with channel() as (slack, notifier):
        slack.refused = "token_revoked"
        said = await notifier.send(notice(), "")
        assert said.outcome is Sent.FAILED
        assert "put a new one into the token file" in said.detail
        assert said.retry_after == 300.0
        assert "xoxb" not in said.detail
        sought = await notifier.find(notice())
        assert sought is not None
        assert sought.outcome is Sent.RETRY


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("channel_not_found", "check the channel's id"),
        ("is_archived", "choose another one"),
        ("not_in_channel", "/invite @fluxmedic"),
        ("missing_scope", "chat:write and channels:history are needed"),
        ("restricted_action", "see Slack's documentation"),
    ],
)
async def test_f076_f085_a_fault_of_the_configuration_in_an_answer_of_200_says_what_to_do(code, advice):
    async with channel() as (slack, notifier):
        slack.refused = code
        said = await notifier.send(notice(), "")
    assert said.outcome is Sent.FAILED
    assert code in said.detail
    assert advice in said.detail
    assert slack.posts == []


@pytest.mark.parametrize("code", ["message_not_found", "cant_update_message", "edit_window_closed"])
async def test_f077_a_message_that_may_not_be_edited_is_posted_anew_with_its_news(code):
    async with channel() as (slack, notifier):
        first = await notifier.send(notice(), "")
        slack.fail(code)
        second = await notifier.send(notice(Reason.FAILED, "k2", 2), first.thread)
    assert second.outcome is Sent.SENT
    assert second.thread != first.thread
    old, new = slack.roots()
    assert (len(slack.replies(old.ts)), len(slack.replies(new.ts))) == (1, 1)


async def test_a_refusal_that_nobody_knows_is_told_by_its_code():
    async with channel() as (slack, notifier):
        slack.refused = "strange_error"
        assert "strange_error" in (await notifier.send(notice(), "")).detail


async def test_f078_what_slack_finds_too_long_is_told_shorter():
    async with channel("https://fluxmedic.example.com") as (slack, notifier):
        slack.fail("msg_blocks_too_long", times=2)
        said = await notifier.send(notice(), "")
        assert said.outcome is Sent.SENT
    (root,) = slack.roots()
    assert (root.blocks, root.attachments) == ([], [])
    assert "https://fluxmedic.example.com/incidents/" in root.text
    assert "boom &lt;b&gt;&amp;" in root.text


async def test_f078_the_first_step_down_keeps_title_and_cause():
    async with channel() as (slack, notifier):
        slack.fail("invalid_blocks")
        await notifier.send(notice(), "")
    (root,) = slack.roots()
    assert len(root.blocks) == 1
    assert len(root.attachments[0]["blocks"]) == 1  # type: ignore[arg-type]


async def test_f078_an_edit_as_plain_text_takes_the_old_blocks_away():
    async with channel() as (slack, notifier):
        first = await notifier.send(notice(), "")
        slack.fail("msg_too_long", times=2)
        assert (await notifier.send(notice(Reason.JOINED, "k2", 2), first.thread)).outcome is Sent.SENT
    (root,) = slack.roots()
    assert (root.edits, root.blocks, root.attachments) == (1, [], [])


async def test_what_slack_refuses_even_as_plain_text_has_failed():
    async with channel() as (slack, notifier):
        slack.fail("msg_blocks_too_long", times=3)
        assert (await notifier.send(notice(), "")).outcome is Sent.FAILED


async def test_an_edit_that_is_refused_is_told():
    async with channel() as (slack, notifier):
        first = await notifier.send(notice(), "")
        slack.refused = "not_in_channel"
        said = await notifier.send(notice(Reason.JOINED, "k2", 2), first.thread)
        assert "invite the app" in said.detail


async def test_a_slack_that_cannot_be_reached_is_tried_again():
    async with aiohttp.ClientSession() as session:
        notifier = SlackNotifier("x", CHANNEL, session, api_url="http://127.0.0.1:1/api/")
        assert (await notifier.send(notice(), "")).outcome is Sent.RETRY
        found = await notifier.find(notice())
        assert found is not None
        assert found.outcome is Sent.RETRY


async def test_f074_a_server_error_leaves_the_outcome_unknown():
    async with channel() as (slack, notifier):
        slack.fail("500")
        said = await notifier.send(notice(), "")
        assert (said.outcome, said.detail) == (Sent.UNKNOWN, "Slack answered 500")
    assert slack.posts == []


async def test_f074_a_connection_that_breaks_off_leaves_the_outcome_unknown():
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    server = await asyncio.start_server(broken, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as session:
        notifier = SlackNotifier("x", CHANNEL, session, api_url=f"http://127.0.0.1:{port}/api/")
        assert (await notifier.send(notice(), "")).outcome is Sent.UNKNOWN


async def test_slack_says_who_we_are():
    async with channel() as (_, notifier):
        assert await notifier.check() == "fluxmedic"


async def test_the_page_of_the_fake_channel_draws_messages_and_threads_without_markup():
    async with channel() as (_, notifier):
        address = notifier._client.base_url.removesuffix("/api/")
        async with aiohttp.ClientSession() as session:
            async with session.get(address + "/") as answer:
                assert "Nobody has said anything yet" in await answer.text()
            first = await notifier.send(notice(remediation=plan(Phase.PROPOSED)), "")
            await notifier.send(notice(Reason.JOINED, "k2", 2), first.thread)
            async with session.get(address + "/") as answer:
                page = await answer.text()
            async with session.get(address + "/style.css") as answer:
                assert "--bar" in await answer.text()
    assert "boom &lt;b&gt;&amp;" in page
    assert "edited 1 times" in page
    assert "Approve" in page


def plan(phase: Phase, state: CheckState = CheckState.MET) -> Remediation:
    steps = (Step("reconcile", ref("Kustomization", "a"), text="annotate it"),)
    rows = (Milestone(Check("S1", "condition", None, "it is Ready", 30.0), state, "yes", T0),)
    return Remediation(
        id="p1", incident=incident().id, rule="r", mode=Mode.PROPOSE, phase=phase, steps=steps, digest="d",
        created_at=T0, verdict="proven", milestones=rows,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"remediation": plan(Phase.PROPOSED)}, "Waits for approval: fluxmedic approve p1"),
        ({"remediation": plan(Phase.RUNNING)}, "Plan p1 is running, step 1 of 1"),
        ({"state": State.RESOLVED, "remediation": plan(Phase.SUCCEEDED)}, "Mended by plan p1: proven"),
        ({"state": State.RESOLVED}, "Mended without us."),
        ({"state": State.RESOLVED, "remediation": plan(Phase.FAILED)}, "Mended without us."),
        ({"next_step": "look"}, "Next: look"),
        ({"next_step": ""}, ""),
    ],
)
def test_the_next_line_says_what_comes(changes, words):
    assert compose(notice(**changes)).next_line == words


def test_the_impact_is_counted_with_a_few_names():
    told = incident()
    many = tuple(Member(ref("Kustomization", f"m{number}"), Role.DEPENDENT, T0) for number in range(9))
    assert compose(notice()).impact == "Holds up 2: b, c"
    assert compose(notice(members=many)).impact.endswith("+4")
    assert compose(notice(members=told.members[:1])).impact == ""
    assert compose(notice(state=State.RESOLVED)).impact == "2 dependents were held up; 2 not seen well yet."
    well = tuple(replace(member, recovered_at=T0) for member in told.members)
    assert compose(notice(state=State.RESOLVED, members=well)).impact == "2 dependents were held up; all well now."
    assert compose(notice(members=well[:2])).impact == "1 dependent was held up; all well now."


def test_revisions_are_shown_short_and_a_span_in_two_units():
    change = Change("main@sha1:0123456789abcdef", "1.2.0", "feat: x")
    fields = dict(compose(notice(change=change)).fields)
    assert fields["Revision"] == "main@sha1:01234567 → 1.2.0"
    for seconds, words in ((5, "5 s"), (65, "1 min 5 s"), (3700, "1 h 1 min")):
        ended = incident().opened_at + timedelta(seconds=seconds)
        assert f"after {words}" in compose(notice(state=State.RESOLVED, resolved_at=ended)).title


def test_a_long_thread_is_cut_at_its_least_telling_end():
    entries = tuple(Entry(T0, T0, "notice", "us", f"line {number}") for number in range(40))
    told = notice(Reason.FAILED)
    assert compose(replace(told, news=entries)).news[0].startswith("… ")
    assert compose(replace(notice(), news=entries)).news[-1].endswith(" more")


def test_a_proposed_plan_has_buttons_that_name_it():
    message = compose(notice(remediation=plan(Phase.PROPOSED)))
    blocks = approval_blocks(message)
    assert {element["action_id"] for block in blocks for element in block.get("elements", ())} == {"approve", "deny"}  # type: ignore[attr-defined]
    assert approval_blocks(compose(notice(remediation=plan(Phase.RUNNING)))) == []
    assert approval_blocks(compose(notice())) == []


def test_the_contract_is_drawn_once_it_runs():
    assert "S1" in str(root_blocks(compose(notice(remediation=plan(Phase.VERIFYING))), ""))
    assert "S1" not in str(root_blocks(compose(notice(remediation=plan(Phase.PROPOSED))), ""))


INCIDENT = incident()
PLAN = plan(Phase.PROPOSED)
LONG = st.sampled_from(("x" * 5000, "&" * 5000, "<!channel> " * 400, "``` " * 900, "é" * 5000)) | st.text()


@given(LONG, LONG, st.integers(0, 40), st.sampled_from(Phase))
def test_f078_f081_any_incident_keeps_slacks_limits_and_can_call_nobody(cause, line, count, phase):
    entries = (Entry(T0, T0, "notice", "us", line),) * count
    step = Step("x", ref("Kustomization", "a"), text=line)
    mending = replace(PLAN, phase=phase, steps=(step,) * count, milestones=PLAN.milestones * count)
    changes = {"cause": cause, "summary": line, "next_step": line, "remediation": mending}
    facts = {"instructions": (line,) * count, "rules": (line,), "change": Change(line, line, line, line, line)}
    told = Notification(
        EffectId("k"), Target("slack"), Reason.FAILED, replace(INCIDENT, **changes, **facts), T0, entries
    )
    message = compose(told)
    root = root_blocks(message, interactive=True)
    thread = thread_blocks(message, told)
    for blocks in (root, thread):
        assert 0 < len(blocks) <= 50
        assert len(str(blocks)) <= 13_000
        for text in texts(blocks):
            assert 0 < len(text) <= 3000
            assert text.count("```") % 2 == 0
            assert safe(text)
    for text in (fallback(message), thread_text(message, told)):
        assert len(text) <= 200
        assert safe(text)
    assert safe(bare(message))


def texts(found: object) -> list[str]:
    """Return every mrkdwn text of some blocks; each must be kept from Slack's own search for names."""
    if isinstance(found, list):
        return [text for item in found for text in texts(item)]
    if not isinstance(found, dict):
        return []
    if found.get("type") == "mrkdwn":
        assert found["verbatim"] is True
        return [found["text"]]
    return [text for item in found.values() for text in texts(item)]


def safe(text: str) -> bool:
    """Say whether a text holds no markup of Slack's at all: no bracket, and no ampersand but in an escape."""
    left = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    return not set("<>&") & set(left)


@given(LONG, st.integers(10, 60))
def test_f081_text_of_the_cluster_is_never_markup_in_slack(text, limit):
    assert safe(escaped(text, limit))
    assert len(escaped(text, limit)) <= limit
    assert html.unescape(escaped(html.unescape(text), 10**6)) == html.unescape(text).replace("```", "'''")


@pytest.mark.parametrize(
    "call", ["<!channel>", "<!here|x>", "<@U123>", "<https://evil.example.com|the page>", "&lt;!channel&gt;"]
)
async def test_f081_a_mention_in_a_message_of_the_cluster_arrives_as_text(call):
    async with channel() as (slack, notifier):
        await notifier.send(notice(cause=f"boom {call}", instructions=(call,)), "")
    (root,) = slack.roots()
    shown = str(
        (root.text, root.blocks, root.attachments, [(reply.text, reply.blocks) for reply in slack.replies(root.ts)])
    )
    assert call not in shown
    assert escaped(call) in shown


def test_a_code_block_of_the_cluster_cannot_end_ours():
    told = replace(notice(Reason.FAILED), news=(Entry(T0, T0, "event", "flux", "a ``` b"),))
    assert texts(thread_blocks(compose(told), told))[0] == "*failed*\n```03:00:00 a ''' b```"


def test_buttons_are_shown_only_where_somebody_answers_them():
    message = compose(notice(remediation=plan(Phase.PROPOSED)))
    assert "actions" in {block["type"] for block in root_blocks(message, interactive=True)}
    assert "actions" not in {block["type"] for block in root_blocks(message)}
    assert "actions" not in {block["type"] for block in approval_blocks(message, interactive=False)}


def test_what_is_seen_to_by_somebody_is_not_offered_to_others():
    message = compose(notice(state=State.ACKNOWLEDGED))
    assert "actions" not in {block["type"] for block in root_blocks(message, interactive=True)}


def test_f078_what_exceeds_slacks_total_is_left_out_from_the_end():
    contract = tuple("S1 " + "x" * 190 for _ in range(20))
    message = replace(compose(notice()), contract=contract, cause="c" * 2900, impact="i" * 2900, next_line="n" * 2900)
    blocks = root_blocks(message)
    assert len(str(blocks)) <= 11_100
    assert "c" * 2900 in str(blocks[1])
    assert blocks[-1]["type"] != "context"


def test_a_message_without_anything_but_a_cause_has_no_empty_parts():
    message = replace(compose(notice()), impact="", fields=(), next_line="")
    assert [block["type"] for block in root_blocks(message)] == ["section", "section", "context"]


@given(st.text())
def test_f081_a_plain_line_steers_no_terminal_and_turns_no_text_around(text):
    line = plain(text + "\x1b[2J\u202e\u061c\ud800\U000e0041", 100)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line)
    line.encode()


@given(st.text(), st.integers(5, 50))
def test_a_plain_line_is_one_line_within_its_limit(text, limit):
    line = plain(text, limit)
    assert len(line) <= limit
    assert "\n" not in line
