"""The daemon is killed while it remediates, at each point that leaves a trace: it looks, and goes on or stands back."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.seed import FLUX, PLACE, Seed
from tests.cluster.story import Story
from tests.cluster.watchman import Watchman

Point = Callable[[Seed, Watchman], Awaitable[object]]


async def intent(seed: Seed, watchman: Watchman) -> object:
    """The intent is in the ledger."""
    with sqlite3.connect(f"file:{watchman.folder / 'ledger.db'}?mode=ro", uri=True) as ledger:
        return ledger.execute("select state from intents").fetchall()


async def suspended(seed: Seed, watchman: Watchman) -> object:
    """The write that suspends has been taken."""
    return ((await seed.release()) or {}).get("spec", {}).get("suspend")


async def deleted(seed: Seed, watchman: Watchman) -> object:
    """The object is gone."""
    return await seed.release() is None


async def asked(seed: Seed, watchman: Watchman) -> object:
    """The owner is asked to reconcile, after the removal."""
    found = await seed.story.api.get("Kustomization", FLUX, "cilium") or {}
    token = found["metadata"].get("annotations", {}).get("reconcile.fluxcd.io/requestedAt", "")
    return token.startswith("fluxmedic-")


@pytest.mark.parametrize("point", [intent, suspended, deleted, asked], ids=lambda point: point.__name__)
async def test_f056_a_daemon_that_is_killed_while_it_remediates_finishes_and_does_nothing_twice(
    own_plane: Story, point: Point
):
    seed = Seed(own_plane)
    await seed.healthy()
    storage = await seed.storage()
    watchman = await own_plane.watchman(MODE="auto")
    await seed.breaks()

    async def strike() -> None:
        await eventually(f"the point {point.__name__}", lambda: point(seed, watchman), bool, within=180, every=0.02)
        watchman.kill()
        await watchman.start()

    await asyncio.gather(strike(), seed.spreads(with_release=False))
    await seed.gone(within=240)
    await seed.bootstrap()
    found = await watchman.incidents()
    assert len(found) == 1
    done = await own_plane.resolved(watchman, found[0]["id"], within=420)
    assert done["remediation"]["phase"] == "succeeded", json.dumps(done["remediation"], indent=1)
    assert storage.items() <= (await seed.storage()).items()
    assert len(own_plane.told.slack.roots()) == 1
    assert len({body["id"] for body in own_plane.told.opened(done["id"])}) == 1
    assert (await seed.daemon_set())["metadata"]["namespace"] == PLACE
