"""List, watch, resume, relist against the simulated API server over real HTTP: nothing lost, nothing doubled."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise, repeat
from typing import Any

import orjson
import pytest

from daemon.kube.client import LINE_LIMIT, KubeCluster, connect_dict
from daemon.kube.informer import Informer
from daemon.model.ports import Json
from daemon.runtime.clock import ScaledClock
from daemon.simulator.server import SimulatedCluster, definition, kubeconfig

GROUP, KIND = "kustomize.toolkit.fluxcd.io", "Kustomization"
RESOURCE = f"kustomizations.{GROUP}"
SPEED = 200.0


class Recorder:
    """A sink that keeps what it was told, and what is there now by it."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}
        self.told: list[tuple[str, str]] = []
        self.stales: list[tuple[str, bool]] = []
        self.syncs = 0
        self.bell = asyncio.Event()

    def changed(self, raw: Json, *, initial: bool) -> None:
        name = str(raw["metadata"]["name"])  # type: ignore[index]
        assert raw["kind"] == KIND
        self.there[name] = str(raw["metadata"]["uid"])  # type: ignore[index]
        self.told.append(("initial" if initial else "changed", name))
        self.bell.set()

    def gone(self, raw: Json) -> None:
        name = str(raw["metadata"]["name"])  # type: ignore[index]
        self.there.pop(name, None)
        self.told.append(("gone", name))
        self.bell.set()

    def synced(self) -> None:
        self.syncs += 1
        self.bell.set()

    def stale(self, reason: str, *, absent: bool) -> None:
        self.stales.append((reason, absent))
        self.bell.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self.bell.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.bell.wait(), 0.05)


def waits() -> Iterator[Iterator[float]]:
    return repeat(repeat(2.0))


class Bench:
    """A simulated cluster, an informer on it, and what it told."""

    def __init__(self, cluster: SimulatedCluster, client: KubeCluster, informer: Informer, sink: Recorder) -> None:
        self.cluster, self.client, self.informer, self.sink = cluster, client, informer, sink

    def put(self, name: str, **spec: object) -> dict[str, Any]:
        return self.cluster.put(kustomization(name, **spec))

    def remove(self, name: str) -> None:
        self.cluster.remove(KIND, "default", name)

    async def seen(self, *names: str) -> None:
        await self.sink.until(lambda: set(self.sink.there) == set(names) and self.informer.watches > 0)
        await asyncio.sleep(0.05)  # the answer to the watch is on its way: what is injected reaches open ones alone


def kustomization(name: str, **spec: object) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": f"{GROUP}/v1", "kind": KIND, "metadata": metadata, "spec": {"path": ".", **spec}}


@asynccontextmanager
async def running(
    prepare: Callable[[SimulatedCluster], object] = lambda _: None, speed: float = SPEED
) -> AsyncIterator[Bench]:
    clock = ScaledClock(speed)
    cluster = SimulatedCluster(clock)
    prepare(cluster)
    async with cluster.serve() as url, await connect_dict("c", kubeconfig(url)) as client:
        informer, sink = Informer(client, GROUP, KIND, clock, waits()), Recorder()
        task = asyncio.ensure_future(informer.run(sink))  # noqa: TID251 - a test may own a task
        try:
            yield Bench(cluster, client, informer, sink)
            if task.done():
                task.result()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_what_is_there_is_listed_as_facts_and_what_happens_is_told_as_it_happens():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.sink.until(lambda: bench.sink.syncs == 1)
        bench.put("b")
        await bench.seen("a", "b")
        bench.put("b", path="./other")
        bench.remove("a")
        await bench.seen("b")
        assert bench.sink.told == [("initial", "a"), ("changed", "b"), ("changed", "b"), ("gone", "a")]
        assert bench.informer.lists == 1


async def test_f001_a_version_that_is_too_old_is_listed_anew_and_nothing_is_lost():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.expire_watches(RESOURCE)
        bench.put("b")
        bench.remove("a")
        await bench.seen("b")
        assert bench.sink.told.count(("gone", "a")) == 1
        assert bench.informer.lists >= 2


async def test_f001_a_410_as_an_http_status_means_the_same():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.gone_as_status = True
        bench.cluster.faults.fail_next(1, 410, verb="watch", resource=RESOURCE)
        bench.cluster.faults.cut_watches(RESOURCE)
        await bench.sink.until(lambda: bench.informer.lists >= 2)
        bench.put("b")
        await bench.seen("a", "b")


async def test_f026_a_list_of_many_pages_is_one_list():
    def many(cluster: SimulatedCluster) -> None:
        for number in range(1203):
            cluster.put(kustomization(f"k{number:04}"))

    async with running(many) as bench:
        await bench.sink.until(lambda: bench.sink.syncs == 1)
        assert len(bench.sink.there) == 1203


async def test_f002_a_page_token_that_expired_is_answered_by_one_list_without_pages():
    def many(cluster: SimulatedCluster) -> None:
        for number in range(600):
            cluster.put(kustomization(f"k{number:04}"))

    async with running(many) as bench:
        await bench.sink.until(lambda: bench.sink.syncs == 1 and bench.informer.watches > 0)
        await asyncio.sleep(0.05)
        asked = bench.informer._cluster.page
        tokens: list[tuple[str, int]] = []

        async def page(group: str, kind: str, **more: Any) -> Json:
            tokens.append((more["token"], more["limit"]))
            if more["token"]:
                bench.cluster.faults.fail_next(1, 410, verb="list", resource=RESOURCE)
            return await asked(group, kind, **more)

        bench.client.page = page  # type: ignore[method-assign]
        bench.cluster.faults.expire_watches(RESOURCE)
        await bench.sink.until(lambda: bench.sink.syncs == 2)
        assert [limit for _, limit in tokens] == [500, 500, 0]
        assert len(bench.sink.there) == 600


@pytest.mark.parametrize("inside", [False, True])
async def test_f012_a_watch_that_is_cut_goes_on_where_it_was(inside):
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        for name in ("b", "c", "d"):
            bench.cluster.faults.cut_watches(RESOURCE, inside_a_line=inside)
            bench.put(name)
            await bench.sink.until(lambda name=name: name in bench.sink.there)  # type: ignore[misc]
        assert bench.informer.lists == 1
        assert len([told for told in bench.sink.told if told[0] == "changed"]) == 3


async def test_f006_a_half_open_connection_is_given_up_and_followed_anew():
    def silent(cluster: SimulatedCluster) -> None:
        cluster.put(kustomization("a"))
        cluster.faults.no_bookmarks = True

    async with running(silent, speed=1.0) as bench:
        bench.informer._silence = 0.3  # a stream's silence is the socket's, in real seconds
        await bench.seen("a")
        bench.cluster.faults.mute_watches(RESOURCE)
        bench.cluster.faults.cut_watches(RESOURCE)
        watches = bench.informer.watches
        await bench.sink.until(lambda: bench.informer.watches > watches)
        bench.cluster.faults.unmute_watches(RESOURCE)
        bench.put("b")
        await bench.seen("a", "b")
        assert bench.informer.lists == 1


async def test_f015_lines_that_are_no_json_or_no_event_are_skipped_and_counted():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        for line in (b"not json\n", b"[]\n", b'{"type":"ADDED"}\n', b"\n"):
            bench.cluster.faults.inject(RESOURCE, line)
        bench.put("b")
        await bench.seen("a", "b")
        assert bench.informer.skipped == 3
        assert bench.informer.lists == 1


async def test_f014_empty_lines_and_carriage_returns_are_passed_over_and_a_large_object_is_read():
    large = kustomization("b", text="x" * 1_500_000)
    large["metadata"] |= {"uid": "b", "resourceVersion": "1000"}
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.inject(RESOURCE, b"\r\n\n")
        bench.cluster.faults.inject(RESOURCE, orjson.dumps({"type": "ADDED", "object": large}) + b"\r\n")
        await bench.seen("a", "b")
        assert (bench.informer.lists, bench.informer.skipped) == (1, 0)


async def test_f014_a_line_beyond_the_limit_is_listed_anew_instead_of_read_for_ever():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.inject(RESOURCE, b"x" * (LINE_LIMIT + 1) + b"\n")
        await bench.sink.until(lambda: bench.informer.lists == 2)
        bench.put("b")
        await bench.seen("a", "b")


async def test_f005_an_error_in_the_stream_that_nobody_knows_is_tried_again_from_the_same_place():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.inject(
            RESOURCE, b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd"}}\n'
        )
        bench.put("b")
        await bench.seen("a", "b")
        assert bench.informer.lists == 1


async def test_f001_an_expiry_without_a_code_is_an_expiry():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.inject(RESOURCE, b'{"type":"ERROR","object":{"kind":"Status","reason":"Expired"}}\n')
        await bench.sink.until(lambda: bench.informer.lists == 2)


async def test_f008_a_duplicate_and_an_older_state_change_nothing():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        old = bench.cluster.get(KIND, "default", "a")
        bench.put("a", path="./new")
        await bench.sink.until(lambda: ("changed", "a") in bench.sink.told)
        for _ in range(2):
            bench.cluster.faults.inject(RESOURCE, orjson.dumps({"type": "MODIFIED", "object": old}) + b"\n")
        gone = {**old, "metadata": {**old["metadata"], "uid": "another"}}  # type: ignore[dict-item, index]
        bench.cluster.faults.inject(RESOURCE, orjson.dumps({"type": "DELETED", "object": gone}) + b"\n")
        bench.put("b")
        await bench.seen("a", "b")
        assert bench.sink.told.count(("changed", "a")) == 1
        assert ("gone", "a") not in bench.sink.told


async def test_f011_an_object_made_anew_under_its_name_is_two_objects():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        first = bench.sink.there["a"]
        bench.cluster.faults.mute_watches(RESOURCE)
        bench.remove("a")
        bench.put("a")
        bench.cluster.faults.unmute_watches(RESOURCE)
        bench.cluster.faults.expire_watches(RESOURCE)
        await bench.sink.until(lambda: bench.sink.there.get("a", first) != first)
        assert ("gone", "a") in bench.sink.told


async def test_f001_a_deletion_that_nobody_saw_is_told_by_the_next_list():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.fail_next(3, 503, verb="watch", resource=RESOURCE)
        bench.cluster.faults.expire_watches(RESOURCE)
        bench.remove("a")
        await bench.seen()
        assert bench.sink.told.count(("gone", "a")) == 1


async def test_f013_a_server_that_does_not_answer_makes_the_kind_stale_and_well_again():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.fail_next(60, 503, resource=RESOURCE)
        bench.cluster.faults.cut_watches(RESOURCE)
        await bench.sink.until(lambda: bool(bench.sink.stales))
        assert bench.sink.stales[0][1] is False
        await bench.sink.until(lambda: bench.sink.syncs == 2)
        bench.put("b")
        await bench.seen("a", "b")


async def test_f004_a_wish_to_wait_is_granted():
    def busy(cluster: SimulatedCluster) -> None:
        cluster.put(kustomization("a"))
        cluster.faults.fail_next(1, 429, retry_after=60, verb="list", resource=RESOURCE)

    async with running(busy) as bench:
        await bench.seen("a")
        asked = [
            asked.at for asked in bench.cluster.faults.asked if asked.resource == RESOURCE and asked.verb == "list"
        ]
        assert asked[1] - asked[0] >= 60


async def test_f020_credentials_that_are_refused_are_tried_again():
    def locked(cluster: SimulatedCluster) -> None:
        cluster.put(kustomization("a"))
        cluster.faults.fail_next(4, 401, resource=RESOURCE)

    async with running(locked) as bench:
        await bench.seen("a")
        assert any("credentials" in reason for reason, _ in bench.sink.stales)


async def test_f016_a_kind_that_is_not_installed_is_absent_and_heard_once_it_is():
    def without(cluster: SimulatedCluster) -> None:
        cluster.resources.remove(GROUP, "kustomizations")

    async with running(without) as bench:
        await bench.sink.until(lambda: any(absent for _, absent in bench.sink.stales))
        resource = next(each for each in SimulatedCluster(ScaledClock(1.0)).resources.all() if each.id == RESOURCE)
        bench.cluster.put(definition(resource), manager="kube-apiserver")
        bench.cluster.resources.install(resource)
        bench.put("a")
        await bench.seen("a")


async def test_f017_a_kind_that_is_taken_away_takes_its_objects_with_it():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.resources.remove(GROUP, "kustomizations")
        bench.cluster.faults.cut_watches(RESOURCE)
        await bench.seen()
        assert any(absent for _, absent in bench.sink.stales)


async def test_f019_without_the_right_the_kind_is_stale_until_it_is_given():
    def denied(cluster: SimulatedCluster) -> None:
        cluster.put(kustomization("a"))
        cluster.faults.deny("list", RESOURCE)

    async with running(denied) as bench:
        await bench.sink.until(lambda: bool(bench.sink.stales))
        assert "the right is missing" in bench.sink.stales[0][0]
        bench.cluster.faults.permit("list", RESOURCE)
        await bench.seen("a")


async def test_f019_a_right_that_is_lost_while_watching_makes_the_kind_stale():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.deny("watch", RESOURCE)
        bench.cluster.faults.cut_watches(RESOURCE)
        await bench.sink.until(lambda: bool(bench.sink.stales))
        bench.cluster.faults.permit("watch", RESOURCE)
        await bench.sink.until(lambda: bench.sink.syncs == 2)


async def test_f003_a_version_that_the_server_does_not_know_yet_is_listed_anew():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        status = b'{"kind":"Status","code":504,"message":"Too large resource version: 99, current: 7"}'
        bench.cluster.faults.inject(RESOURCE, b'{"type":"ERROR","object":' + status + b"}\n")
        await bench.sink.until(lambda: bench.informer.lists == 2)


async def test_a_request_that_is_called_wrong_is_listed_anew():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.inject(
            RESOURCE, b'{"type":"ERROR","object":{"kind":"Status","code":400,"message":"no"}}\n'
        )
        await bench.sink.until(lambda: bench.informer.lists == 2)


async def test_f007_without_bookmarks_it_still_follows():
    def plain(cluster: SimulatedCluster) -> None:
        cluster.put(kustomization("a"))
        cluster.faults.no_bookmarks = True

    async with running(plain) as bench:
        await bench.seen("a")
        bench.put("b")
        await bench.seen("a", "b")


async def test_f012_a_watch_that_ends_at_once_is_not_asked_for_in_a_hot_loop():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        for _ in range(5):
            bench.cluster.faults.cut_watches(RESOURCE)
            await asyncio.sleep(0.02)
        starts = [each.at for each in bench.cluster.faults.asked if each.resource == RESOURCE and each.verb == "watch"]
        assert all(after - before >= 1.0 for before, after in pairwise(starts))


async def test_the_age_of_what_is_known_grows_while_nothing_is_heard():
    async with running(lambda cluster: cluster.put(kustomization("a"))) as bench:
        await bench.seen("a")
        bench.cluster.faults.mute_watches(RESOURCE)
        before = bench.informer.age
        await asyncio.sleep(0.05)
        assert bench.informer.age > before
