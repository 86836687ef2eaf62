"""Logs: one JSON line an event, ours and every library's, without secrets and control characters."""

import io
import json
import logging
import sys

import pytest
import structlog

from daemon.model.redact import redact
from daemon.runtime import logs
from daemon.runtime.clock import LoopClock
from tests.builders import T0


@pytest.fixture
async def stream():
    """Log into memory; put everything back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    memory = io.StringIO()
    logs.configure(LoopClock(T0), redact, memory)
    yield memory
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_an_event_is_one_json_line_with_its_time_and_facts(stream):
    structlog.get_logger("x").info("something", count=3, ok=True, who=None, rate=0.5)
    (line,) = lines(stream)
    assert (line["event"], line["count"], line["ok"], line["level"], line["logger"]) == (
        "something",
        3,
        True,
        "info",
        "x",
    )
    assert line["at"] == T0.isoformat()


async def test_f110_a_secret_never_reaches_a_log(stream):
    log = structlog.get_logger("x")
    log.warning(
        "password=hunter22", nested={"token=abc12345": ["Bearer abcdefgh12345678"]}, path={"password: hunter33"}
    )
    logging.getLogger("library").error("url https://me:hunter44@host/ failed")
    try:
        int("password=hunter55")
    except ValueError:
        log.exception("broke")
    assert "hunter" not in stream.getvalue()
    assert "abcdefgh12345678" not in stream.getvalue()


async def test_f109_control_characters_are_spelled_out(stream):
    structlog.get_logger("x").info("a\x1b[2Jb\u202e", key="\x07")
    assert "\x1b" not in stream.getvalue()
    assert lines(stream)[0]["event"] == "a\\x1b[2Jb\\u202e"


async def test_libraries_that_print_bodies_are_kept_quiet(stream):
    logging.getLogger("kubernetes_asyncio.client.rest").debug("response body: secret")
    logging.getLogger("aiohttp.access").info("GET /")
    logging.getLogger("x").debug("too fine")
    assert stream.getvalue() == ""


async def test_what_is_bound_stands_in_every_line_below(stream):
    with structlog.contextvars.bound_contextvars(incident="i1"):
        structlog.get_logger("x").info("one")
        logging.getLogger("library").warning("two %s", "three")
    assert [line["incident"] for line in lines(stream)] == ["i1", "i1"]
    assert lines(stream)[1]["event"] == "two three"


async def test_an_error_is_shown_with_its_trace(stream):
    try:
        int("x")
    except ValueError:
        logging.getLogger("library").exception("broke")
    assert "Traceback" in str(lines(stream)[0]["exception"])
    assert sys.exc_info() == (None, None, None)
