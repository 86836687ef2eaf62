"""What the cluster shows, as signals: each kind by its informer, pods on demand, cron."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import repeat

import pytest

from daemon.flux.kinds import WATCHED, kind_of, resource_of
from daemon.kube.client import connect_dict
from daemon.model.effects import Inspect
from daemon.model.ports import Json
from daemon.model.refs import ObjectRef
from daemon.model.signals import (
    Arrival,
    CronFired,
    EventSeen,
    ObjectChanged,
    ObjectGone,
    ReleaseSeen,
    Stale,
    Synced,
    Unread,
)
from daemon.probes import pods
from daemon.runtime.clock import ScaledClock
from daemon.simulator.server import SimulatedCluster, kubeconfig
from daemon.sources.objects import KindSink, feeds, resources
from daemon.sources.schedule import Schedule

CLOCK = ScaledClock(100.0)
GROUP = "kustomize.toolkit.fluxcd.io"


class Inbox:
    """Keeps what is put."""

    def __init__(self) -> None:
        self.got: list[Arrival] = []

    def put(self, signal: Arrival) -> None:
        self.got.append(signal)


class Tap:
    """Keeps raw facts."""

    def __init__(self) -> None:
        self.facts: list[str] = []

    def fact(self, at: datetime, kind: str, raw: Json) -> None:
        self.facts.append(kind)

    def synced(self, at: datetime, resource: str) -> None:
        self.facts.append(f"SYNCED {resource}")


def series() -> Iterator[Iterator[float]]:
    return repeat(repeat(1.0))


def kustomization(name: str) -> dict[str, object]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "default", "uid": "u"},
    }


def test_a_sink_turns_deltas_into_signals_and_gives_a_tap_the_raw_facts():
    inbox, tap = Inbox(), Tap()
    sink = KindSink("c", f"kustomizations.{GROUP}", CLOCK, inbox, tap)
    sink.changed(kustomization("a"), initial=True)
    sink.changed(kustomization("a"), initial=False)
    sink.gone(kustomization("a"))
    sink.gone({"kind": "Event", "metadata": {"name": "e"}})
    sink.synced()
    sink.stale("no", absent=True)
    assert [type(signal) for signal in inbox.got] == [ObjectChanged, Unread, ObjectGone, Synced, Stale]
    assert tap.facts == ["ADDED", "MODIFIED", "DELETED", "DELETED", f"SYNCED kustomizations.{GROUP}"]


def test_what_a_watch_says_is_read_later_and_means_the_same_as_in_a_list():
    inbox = Inbox()
    sink = KindSink("c", f"kustomizations.{GROUP}", CLOCK, inbox)
    sink.changed(kustomization("a"), initial=True)
    sink.changed(kustomization("a"), initial=False)
    listed, seen = inbox.got
    assert isinstance(listed, ObjectChanged)
    assert isinstance(seen, Unread)
    assert (seen.ref, seen.uid) == (listed.new.ref, listed.new.uid)
    assert replace(seen.read(), at=listed.at) == replace(listed, initial=False)


def test_what_has_no_name_or_no_meaning_is_left_out_and_counted():
    inbox = Inbox()
    sink = KindSink("c", "x", CLOCK, inbox)
    sink.changed({"kind": "X"}, initial=False)
    sink.changed({"kind": "Secret", "metadata": {"name": "ordinary"}}, initial=False)
    sink.synced()
    assert sink.unreadable == 1
    assert [type(signal) for signal in inbox.got] == [Synced]


def test_every_watched_kind_must_have_been_heard_and_helms_storage_where_it_is_watched():
    assert resources() - resources(helm_storage=False) == {"secrets"}
    assert {resource_of(kind) for kind in WATCHED} == resources(helm_storage=False)


async def test_one_feed_a_kind_fills_the_inbox():
    cluster = SimulatedCluster(CLOCK)
    cluster.put(kustomization("a"))
    labels = {"owner": "helm", "name": "db", "status": "deployed", "version": "1"}
    secret = {"name": "sh.helm.release.v1.db.v1", "namespace": "default", "labels": labels}
    cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": secret, "data": {"release": "aHVudGVyMjI="}})
    inbox = Inbox()
    kind = kind_of(GROUP, "Kustomization")
    assert kind is not None
    async with cluster.serve() as url, await connect_dict("c", kubeconfig(url)) as client:
        both = feeds(client, inbox, CLOCK, series(), kinds=[kind])
        assert [feed.name for feed in both] == [f"kustomizations.{GROUP}", "secrets"]
        assert len(feeds(client, inbox, CLOCK, series(), kinds=[kind], helm_storage=False)) == 1
        tasks = [asyncio.ensure_future(feed.run()) for feed in both]  # noqa: TID251 - a test may own a task
        async with asyncio.timeout(10):
            while sum(isinstance(signal, Synced) for signal in inbox.got) < 2:
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    kinds = {type(signal) for signal in inbox.got}
    assert kinds == {ObjectChanged, ReleaseSeen, Synced}
    assert "hunter22" not in str(inbox.got)
    assert not any(isinstance(signal, EventSeen) for signal in inbox.got)


async def test_the_pods_of_a_workload_are_read_once_and_those_that_went_are_told():
    cluster = SimulatedCluster(CLOCK)
    meta = {"namespace": "default", "labels": {"app": "web"}}
    cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", **meta}, "spec": {}})
    cluster.put({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", **meta}, "spec": {}})
    inbox = Inbox()
    gone = ObjectRef("c", "", "Pod", "default", "web-0")
    workload = ObjectRef("c", "apps", "Deployment", "default", "web")
    async with cluster.serve() as url, await connect_dict("c", kubeconfig(url)) as client:
        asked = Inspect(workload, (("app", "web"),), (gone, ObjectRef("c", "", "Pod", "default", "web-1")))
        await pods.inspect(client, inbox, CLOCK, asked)
        seen = {signal.new.ref.name for signal in inbox.got if isinstance(signal, ObjectChanged)}
        assert seen == {"web-1", "web"}
        assert [signal.ref for signal in inbox.got if isinstance(signal, ObjectGone)] == [gone]
        inbox.got.clear()
        cluster.faults.deny("list", "pods")
        await pods.inspect(client, inbox, CLOCK, asked)
        assert inbox.got == []


async def test_a_schedule_puts_a_signal_and_nothing_else():
    inbox = Inbox()
    schedule = Schedule(CLOCK, {"basics": "* * * * *"})
    await schedule._fire(inbox, "basics")
    (fired,) = inbox.got
    assert isinstance(fired, CronFired)
    assert fired.name == "basics"


async def test_a_schedule_runs_until_it_is_cancelled():
    schedule = Schedule(CLOCK, {"basics": "0 0 1 1 *"})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(schedule.run(Inbox()), 0.05)
