"""How fast and how big on real Flux: `python -m tests.cluster.measure [FAILURES] [KUSTOMIZATIONS]`, 100 and 1,000.

For each failure, seconds from the moment its condition changes (as a watch of our own sees it) to the daemon's decision
and to its outgoing request, beside notification-controller's own post about the same failure; then the daemon's memory
with so many real Kustomizations. The wait for the root before a first message is switched off: it is a choice of ten
seconds, not a speed. Prints a table and one line of JSON.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import aiohttp

from tests.cluster import manifests
from tests.cluster.api import path_of
from tests.cluster.bringup import running_plane
from tests.cluster.build import build
from tests.cluster.eventually import eventually
from tests.cluster.story import SOURCE, Story, condition, told_in
from tests.cluster.watchman import Sink, Watchman

PAUSE = 0.3
"""Seconds between two failures."""
BATCH = 50
SETTLE = 20.0

Times = dict[str, float]


async def main(failures: int, many: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="measure-") as made:
        async with (
            running_plane(build()) as (plane, api),
            told_in("measure", Path(made), plane, api) as story,
            Sink().served() as theirs,
        ):
            watchman = await story.watchman(NOTIFY__GROUP_WAIT="0s", HELM_STORAGE="false")
            rows = await _delays(story, watchman, theirs, failures)
            grown = await _memory(story, watchman, many)
    table = {name: _spread(values) for name, values in rows.items()}
    for name, spread in table.items():
        print(f"{name:<58} n={spread['n']:<4.0f} p50 {spread['p50']:7.3f} s   p99 {spread['p99']:7.3f} s")
    for objects, mebibytes in grown.items():
        print(f"memory of the daemon with {objects} Kustomizations: {mebibytes:.0f} MiB")
    print(json.dumps({"delays": table, "memory_mib": grown}))


async def _delays(story: Story, watchman: Watchman, theirs: Sink, failures: int) -> dict[str, list[float]]:
    await story.source({"app/all.yaml": manifests.config_map(story.name, "app")})
    await story.ready("GitRepository", SOURCE)
    secret = manifests.made("Secret", story.name, "hook")
    await story.apply(
        {**secret, "stringData": {"token": "not-a-secret"}},
        manifests.provider(story.name, "theirs", theirs.address, "hook"),
        manifests.alert(story.name, "theirs", "theirs", "Kustomization"),
    )
    await asyncio.sleep(5)
    turned: Times = {}
    watching = asyncio.ensure_future(_watch(story, turned))
    for number in range(failures):
        made = manifests.kustomization(story.name, f"f{number:04}", SOURCE, f"./none-{number}", retryInterval="1h")
        await story.apply(made)
        await asyncio.sleep(PAUSE)

    async def told() -> int:
        return len(_told(story.told.sink))

    await eventually("all failures to be told", told, lambda count: count >= failures, within=180)
    await asyncio.sleep(SETTLE)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    decided = {each["root"]["name"]: _epoch(each["opened_at"]) for each in await watchman.incidents(story.name)}
    return {
        "condition changed → fluxmedic decided": _between(turned, decided),
        "condition changed → fluxmedic's request arrived": _between(turned, _told(story.told.sink)),
        "condition changed → notification-controller's arrived": _between(turned, _posted(theirs)),
    }


async def _watch(story: Story, turned: Times) -> None:
    """Note when each Kustomization becomes Ready=False, by a watch beside the daemon's."""
    assert story.api._session is not None
    address = story.api.server + path_of("Kustomization", story.name)
    limit = aiohttp.ClientTimeout(total=None)
    async with story.api._session.get(address, params={"watch": "1"}, timeout=limit) as answer:
        async for line in answer.content:
            raw = json.loads(line)["object"]
            if condition(raw).get("status") == "False":
                turned.setdefault(raw["metadata"]["name"], time.time())


async def _memory(story: Story, watchman: Watchman, many: int) -> dict[int, float]:
    """Return resident mebibytes by number of real Kustomizations, once their last change is heard."""
    grown = {0: _resident(watchman)}
    for start in range(0, many, BATCH):
        names = [f"m{number:05}" for number in range(start, min(start + BATCH, many))]
        await story.apply(
            *(manifests.kustomization(story.name, each, SOURCE, "./app", prune=False, interval="1h") for each in names)
        )

    async def ready() -> int:
        found = await story.api.list("Kustomization", story.name)
        return sum(condition(each).get("status") == "True" for each in found)

    await eventually(f"{many} Kustomizations to be Ready", ready, lambda count: count >= many, within=900, every=3)
    await asyncio.sleep(SETTLE)
    grown[many] = _resident(watchman)
    return grown


def _resident(watchman: Watchman) -> float:
    assert watchman.process.running is not None
    status = Path(f"/proc/{watchman.process.running.pid}/status").read_text()
    line = next(each for each in status.splitlines() if each.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def _told(sink: Sink) -> Times:
    """When our own webhook first told of each root."""
    times: Times = {}
    for at, body in sink.taken:
        if body["type"].endswith(".opened.v1"):
            times.setdefault(body["data"]["root"]["name"], at.timestamp())
    return times


def _posted(sink: Sink) -> Times:
    """When notification-controller first told of each failing object."""
    times: Times = {}
    for at, body in sink.taken:
        if body.get("severity") == "error":
            times.setdefault(body["involvedObject"]["name"], at.timestamp())
    return times


def _epoch(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _between(first: Times, then: Times) -> list[float]:
    return [then[name] - at for name, at in first.items() if name in then]


def _spread(values: list[float]) -> Mapping[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"n": len(values), "p50": cuts[49], "p99": cuts[98]}


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    asyncio.run(main(*(words + [100, 1000][len(words) :])))
