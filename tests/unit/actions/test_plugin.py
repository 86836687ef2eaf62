"""The small steps that actions are made of."""

from datetime import UTC, datetime, timedelta

import pytest

import daemon.actions
from daemon.actions.plugin import Plugin, answer_of, field, token_of, wait_for
from daemon.flux.kinds import KINDS
from daemon.model.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unauthorized,
    Unreachable,
)
from daemon.model.remedies import Outcome
from daemon.runtime.clock import LoopClock
from daemon.runtime.plugins import discover

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class Answers:
    """What is seen at each look; an error is raised."""

    def __init__(self, *said: str | ClusterError) -> None:
        self.said = list(said)
        self.looks = 0

    async def __call__(self) -> str:
        self.looks += 1
        found = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(found, ClusterError):
            raise found
        return found


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Conflict("x"), Outcome.REFUSED),
        (Forbidden("x"), Outcome.FAILED),
        (Invalid("x"), Outcome.FAILED),
        (NotFound("x"), Outcome.FAILED),
        (Gone("x"), Outcome.FAILED),
        (Unreachable("x"), Outcome.UNKNOWN),
        (Unauthorized("x"), Outcome.UNKNOWN),
    ],
)
def test_a_no_is_a_no_and_silence_leaves_the_outcome_unknown(error, outcome) -> None:
    assert answer_of(error, "reconcile x").outcome is outcome


@pytest.mark.looptime
async def test_waiting_asks_once_a_second_until_it_is_done() -> None:
    clock, look = LoopClock(START), Answers("busy", "busy", "")
    begun = clock.monotonic()
    assert await wait_for(clock, None, look) == ""
    assert (look.looks, clock.monotonic() - begun) == (3, pytest.approx(2.0))


@pytest.mark.looptime
async def test_waiting_ends_at_the_deadline_with_the_last_word() -> None:
    clock, look = LoopClock(START), Answers("busy")
    assert await wait_for(clock, clock.now() + timedelta(seconds=3), look) == "busy"
    assert look.looks == 4


@pytest.mark.looptime
async def test_a_silent_api_server_is_asked_again_while_there_is_time() -> None:
    clock = LoopClock(START)
    assert await wait_for(clock, None, Answers(Unreachable("no answer"), "")) == ""
    assert await wait_for(clock, clock.now(), Answers(Unreachable("no answer"))) == "no answer"


@pytest.mark.looptime
async def test_a_refusal_while_waiting_is_not_asked_again() -> None:
    look = Answers(Forbidden("no"))
    with pytest.raises(Forbidden):
        await wait_for(LoopClock(START), None, look)
    assert look.looks == 1


@pytest.mark.parametrize(
    "raw", [{}, {"metadata": None}, {"metadata": {"annotations": []}}, {"metadata": {"annotations": {"a": 1}}}]
)
def test_an_annotation_that_is_no_text_is_none(raw) -> None:
    assert token_of(raw, "a") == ""


def test_a_nested_field_is_found_or_none() -> None:
    assert field({"a": {"b": 1}}, "a", "b") == 1
    assert field({"a": 1}, "a", "b") is None


def test_f095_f096_actions_declare_named_rights_on_known_resources_only() -> None:
    known = {(kind.group, kind.plural) for kind in KINDS}
    for plugin in discover(daemon.actions, Plugin).values():
        assert plugin.permissions
        for permission in plugin.permissions:
            assert (permission.group, permission.resource) in known
            assert set(permission.verbs) <= {"get", "list", "patch", "delete"}
            assert "delete" not in permission.verbs or permission.resource == "helmreleases"
