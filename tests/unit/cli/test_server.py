"""What each answer, and each silence, of a daemon means for a person who asks."""

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from daemon.cli import server
from daemon.cli.output import TimedOut


class Far(ThreadingHTTPServer):
    """A server that says one thing to everybody, and keeps what it was told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status, self.says = 200, b"{}"
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    """One answer."""

    def do_GET(self) -> None:
        far = self.server
        assert isinstance(far, Far)
        length = int(self.headers.get("content-length", 0))
        if length:
            far.bodies.append(json.loads(self.rfile.read(length)))
        far.headers.append(dict(self.headers))
        self.send_response(far.status)
        self.send_header("content-length", str(len(far.says)))
        self.end_headers()
        self.wfile.write(far.says)

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def far() -> Iterator[Far]:
    with Far() as serving:
        thread = Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.mark.parametrize("says", [b"<html>hello</html>", b"[1]", b""])
def test_what_answers_and_is_no_daemon_is_told_apart(far, fluxmedic, says):
    far.says = says
    done = fluxmedic("get", "incidents", "--server", far.address)
    assert done.returncode == 4
    assert done.stdout == ""
    assert "is no fluxmedic daemon" in done.stderr


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_wanted_ends_in_six(far, fluxmedic, status):
    far.status, far.says = status, b'{"message": "a bearer token is needed"}'
    done = fluxmedic("ack", "abc", "--server", far.address)
    assert done.returncode == 6
    assert "a bearer token is needed; give --token-file" in done.stderr


def test_a_refusal_is_told_in_the_daemons_own_words(far, fluxmedic):
    far.status, far.says = 404, b'{"message": "no incident is called abc"}'
    done = fluxmedic("describe", "incident", "abc", "--server", far.address)
    assert done.returncode == 1
    assert done.stderr == "error: no incident is called abc\n"


def test_a_command_carries_the_token_the_actor_and_its_subject(far, fluxmedic, tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    far.status, far.says = 202, b'{"id": "x"}'
    more = {"FLUXMEDIC_SERVER": f"{far.address}/", "FLUXMEDIC_TOKEN_FILE": str(tmp_path / "token")}
    assert fluxmedic("note", "abc", "seen", **more).returncode == 0
    assert far.headers[0]["Authorization"] == "Bearer s3cret"
    assert far.bodies[0]["verb"] == "note"
    assert (far.bodies[0]["subject"], far.bodies[0]["text"]) == ("abc", "seen")
    assert far.bodies[0]["actor"]


PLANNED = {
    "id": "abc",
    "remediation": {"plan": "p1", "digest": "d1", "steps": [{"action": "reconcile", "text": "annotate \x1b[2J it"}]},
}


def test_an_approval_is_bound_to_what_was_shown(far, fluxmedic):
    far.says = json.dumps({"items": [{"id": "other", "remediation": None}, PLANNED]}).encode()
    agreed = fluxmedic("approve", "p1", "--yes", "--server", far.address)
    assert agreed.returncode == 0
    assert "1. reconcile: annotate \\x1b[2J it" in agreed.stderr
    assert {key: far.bodies[0][key] for key in ("verb", "subject", "digest")} == {
        "verb": "approve",
        "subject": "p1",
        "digest": "d1",
    }


def test_nobody_approves_by_saying_nothing(far, fluxmedic):
    far.says = json.dumps({"items": [PLANNED]}).encode()
    unsure = fluxmedic("approve", "abc", "--server", far.address)
    assert unsure.returncode == 130
    assert unsure.stdout == ""
    assert "1. reconcile" in unsure.stderr
    assert far.bodies == []


@pytest.mark.parametrize(
    ("command", "verb", "subject"),
    [
        (["deny", "abc"], "deny", "p1"),
        (["resolve", "abc"], "resolve", "abc"),
        (["ack", "abc"], "acknowledge", "abc"),
        (["actions", "pause"], "pause", ""),
        (["actions", "resume"], "resume", ""),
    ],
)
def test_a_persons_word_is_handed_over_as_it_was_meant(far, fluxmedic, command, verb, subject):
    far.says = json.dumps({"items": [PLANNED]}).encode()
    done = fluxmedic(*command, "--server", far.address)
    assert (done.returncode, done.stdout) == (0, "")
    assert (far.bodies[0]["verb"], far.bodies[0]["subject"]) == (verb, subject)


@pytest.mark.parametrize(
    ("length", "seconds", "told"),
    [("12d", "1036800", "12d"), ("30d", "2592000", "30d"), ("90m", "5400", "1h30m"), ("1.5s", "2", "2s")],
)
def test_a_silence_is_asked_for_in_whole_seconds_however_long_it_is(far, fluxmedic, length, seconds, told):
    far.says = b'{"items": [], "id": "s1"}'
    done = fluxmedic("silence", "add", "name=b", "--for", length, "--comment", "x", "--server", far.address)
    assert (done.returncode, far.bodies[0]["seconds"]) == (0, seconds)
    assert f"silence s1 for {told} handed over" in done.stderr


@pytest.mark.parametrize(
    ("matcher", "length", "words"),
    [
        ("name=b", "0s", "'0s': too short, at least 1s"),
        ("name=b", "32d", "'32d': longer than 31 days"),
        ("name=b", "-5m", "'-5m': a duration needs a unit"),
        ("name=b", "nan", "'nan': a duration needs a unit"),
        ("name=", "1h", "'name=' matches nothing"),
        ("name=a,b", "1h", "'name=a,b' matches nothing"),
    ],
)
def test_a_silence_that_the_daemon_would_refuse_is_refused_before_it_is_asked(far, fluxmedic, matcher, length, words):
    done = fluxmedic("silence", "add", matcher, "--for", length, "--comment", "x", "--server", far.address)
    assert done.returncode == 2
    assert words in done.stderr
    assert far.headers == []


def test_a_plan_that_is_not_there_is_a_usage_error(far, fluxmedic):
    far.says = json.dumps({"items": [PLANNED]}).encode()
    done = fluxmedic("deny", "nothing", "--server", far.address)
    assert done.returncode == 2
    assert "no plan or incident with a plan is called 'nothing'" in done.stderr
    assert far.bodies == []


def test_an_empty_list_is_said_and_not_printed(far, fluxmedic):
    far.says = b'{"items": []}'
    done = fluxmedic("get", "incidents", "--state", "open", "--server", far.address)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "No open incidents.\n")
    assert fluxmedic("get", "incidents", "--fail-on", "info", "--server", far.address).returncode == 0


SILENCE = {
    "id": "s1",
    "matcher": "namespace=crm,kind=HelmRelease",
    "starts_at": "2026-12-01T20:00:00.000Z",
    "ends_at": "2026-12-02T04:00:00.000Z",
    "by": "ada",
    "comment": "the database moves",
}


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("table", [["ID", "s1"], ["MATCHER", SILENCE["matcher"]], ["ENDS", "2026-12-02 04:00:00Z"], ["BY", "ada"]]),
        ("wide", [["STARTS", "2026-12-01 20:00:00Z"], ["COMMENT", "the database moves"]]),
    ],
)
def test_silences_are_listed_like_everything_else(far, fluxmedic, output, words):
    far.says = json.dumps({"kind": "SilenceList", "items": [SILENCE]}).encode()
    done = fluxmedic("get", "silences", "-o", output, "--server", far.address)
    header, row = done.stdout.splitlines()
    assert [[name, row[header.index(name) :][: len(value)]] for name, value in words] == words


def test_silences_are_printed_for_programs_too(far, fluxmedic):
    far.says = json.dumps({"kind": "SilenceList", "items": [SILENCE]}).encode()
    assert json.loads(fluxmedic("get", "silences", "-o", "json", "--server", far.address).stdout)["items"] == [SILENCE]
    assert fluxmedic("get", "silences", "-o", "name", "--server", far.address).stdout == "s1\n"
    far.says = b'{"items": []}'
    assert fluxmedic("get", "silences", "--server", far.address).stderr == "No silences.\n"


@pytest.mark.parametrize(("state", "code"), [("open", 1), ("acknowledged", 1), ("resolved", 0)])
def test_open_incidents_fail_a_pipeline_that_asks_for_it(far, fluxmedic, state, code):
    far.says = json.dumps({"items": [{"id": "a", "state": state, "severity": "warning"}]}).encode()
    assert fluxmedic("get", "incidents", "--fail-on", "warning", "--server", far.address).returncode == code
    assert fluxmedic("get", "incidents", "--fail-on", "critical", "--server", far.address).returncode == 0


def test_f109_an_incidents_words_reach_the_terminal_spelled_out(far, fluxmedic):
    item = {"id": "a", "state": "open", "severity": "info", "cause": "\x1b[2Jgone", "members": [], "timeline": []}
    far.says = json.dumps({"items": [item], **item}).encode()
    for command in (["get", "incidents"], ["describe", "incident", "a"]):
        shown = fluxmedic(*command, "--server", far.address).stdout
        assert "\x1b" not in shown
        assert "\\x1b[2Jgone" in shown


def test_an_address_that_is_none_is_told(fluxmedic):
    done = fluxmedic("get", "rules", "--server", "nonsense")
    assert done.returncode == 4
    assert "no daemon answers at nonsense" in done.stderr


@pytest.mark.looptime
async def test_a_daemon_that_hangs_is_not_waited_for_for_ever():
    hanging = asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hanging.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(TimedOut, match="did not answer within 10 s"):
            await server._call(f"http://127.0.0.1:{port}", "GET", "/readyz")
        hanging.set()
        await asyncio.sleep(0.1)


def test_why_of_an_incident_that_is_not_there_ends_in_one(far, fluxmedic):
    far.status, far.says = 404, b'{"message": "no incident is called zzz"}'
    found = fluxmedic("why", "ks/a", "--incident", "zzz", "--server", far.address)
    assert (found.returncode, found.stderr) == (1, "error: no incident is called zzz\n")
