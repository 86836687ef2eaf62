"""kill -9 at every point between an effect and its record; then another life on the same ledger.

Nothing is lost: the incident is told, mended and told to be over. Nothing is doubled: one root message an incident, no
line of its thread twice, the object touched once. The ledger is left with nothing unfinished.
"""

import pytest

from tests.crash.conftest import Ground

KILLED = -9
ROWS = (
    "incident open",
    "incident remediating",
    "incident recovering",
    "incident resolved",
    "notification opened",
    "notification verified",
    "notification resolved",
    "delivery",
    "intent",
    "result",
    "retention",
)
COMMITS = [f"{when} the commit of {row}" for row in ROWS for when in ("before", "after")]
TELLING = [
    *(f"{when} mark_sending" for when in ("before", "after")),
    *(f"{when} {what}" for what in ("root", "line", "edit") for when in ("got", "took")),
    *(f"after the answer to {reason}" for reason in ("opened", "verified", "resolved")),
]
ACTING = [
    "before mark_executing",
    "after mark_executing",
    "got effect",
    "took effect",
    "after the answer to the action",
]
ASKING = [
    ("took root", "got history"),
    ("took root", "took history"),
    ("took root", "got replies"),
    ("took line", "took replies"),
    ("took line", "after a look at Slack"),
    ("took effect", "got look"),
    ("took effect", "took look"),
    ("took effect", "after a look at the action"),
    ("took effect", "before the commit of result"),
    ("took effect", "after the commit of result"),
    ("after mark_executing", "after a look at the action"),
    ("after mark_executing", "took effect"),
]
"""Points that only a life after a kill comes to: there it is killed again."""


def is_whole(ground: Ground) -> None:
    """Assert that nothing was lost and nothing doubled."""
    assert ground.unfinished() == []
    (root,) = ground.slack.roots()
    assert "RESOLVED" in root.text
    told = [line.metadata["event_payload"]["key"] for line in ground.lines()]  # type: ignore[index]
    assert len(told) == len(set(told))
    assert ground.lines()[-1].text.startswith("resolved")
    assert len(ground.cluster.effects) == 1


async def test_a_life_that_nobody_ends_tells_mends_and_tells_that_it_is_over(ground):
    assert await ground.live() == 0
    is_whole(ground)
    assert [line.text.partition(":")[0] for line in ground.lines()] == ["opened", "verified", "resolved"]


async def test_a_second_life_after_a_good_end_says_and_does_nothing(ground):
    await ground.live()
    calls = len(ground.slack.calls)
    assert await ground.live() == 0
    assert len(ground.slack.calls) == calls
    is_whole(ground)


@pytest.mark.parametrize("point", COMMITS)
async def test_f055_f056_killed_beside_a_commit(ground, point):
    assert await ground.live(point) == KILLED
    assert await ground.live() == 0
    is_whole(ground)


@pytest.mark.parametrize("point", TELLING)
async def test_f055_killed_while_telling(ground, point):
    assert await ground.live(point) == KILLED
    assert await ground.live() == 0
    is_whole(ground)


@pytest.mark.parametrize("point", ACTING)
async def test_f056_killed_while_acting(ground, point):
    assert await ground.live(point) == KILLED
    assert await ground.live() == 0
    is_whole(ground)
    (token,) = ground.cluster.effects
    assert token.startswith("fluxmedic-")


@pytest.mark.parametrize("points", ASKING, ids=" then ".join)
async def test_f055_f056_killed_again_while_asking_what_became_of_it(ground, points):
    for point in points:
        assert await ground.live(point) == KILLED
    assert await ground.live() == 0
    is_whole(ground)


async def test_f056_an_effect_that_was_taken_is_looked_at_and_not_repeated(ground):
    await ground.live("took effect")
    await ground.live()
    assert [point for point in ground.passed() if "effect" in point] == ["got effect", "took effect"]
    assert "took look" in ground.passed()


async def test_f055_a_root_that_was_posted_is_found_by_its_metadata_and_adopted(ground):
    await ground.live("took root")
    (orphan,) = ground.slack.roots()
    await ground.live()
    (root,) = ground.slack.roots()
    assert root is orphan
    assert root.edits > 0
    assert ground.lines()[0].text.startswith("opened")


async def test_f058_a_crash_loop_through_every_point_of_telling_tells_once(ground):
    deaths = [point for point in TELLING if await ground.live(point) == KILLED]
    assert len(deaths) > 5
    assert await ground.live() == 0
    is_whole(ground)


async def test_f055_what_waited_together_for_a_slack_that_was_away_is_told_in_its_newest_state(ground):
    ground.slack.refused = "ratelimited"
    assert await ground.live_until_over() == KILLED
    assert ground.slack.roots() == []
    ground.slack.refused = ""
    assert await ground.live() == 0
    assert ground.unfinished() == []
    (root,) = ground.slack.roots()
    assert "RESOLVED" in root.text
    assert len(ground.cluster.effects) == 1


async def test_every_point_that_a_life_passes_is_a_point_where_one_was_killed(ground):
    await ground.live("took line")
    await ground.live("took effect")
    await ground.live()
    killed = {*COMMITS, *TELLING, *ACTING, *(point for points in ASKING for point in points)}
    assert set(ground.passed()) <= killed
