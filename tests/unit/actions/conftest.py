"""A small live cluster with one Helm release, our own client over real HTTP, and virtual time.

The HelmRelease is the platform team's own (no inventory holds it) unless `from_git` puts it into a Kustomization.
"""

import asyncio
import copy
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.actions.plugin import OWNER_ANNOTATION, Plugin
from daemon.flux.kinds import HELM, KUSTOMIZE, SOURCE
from daemon.kube.client import KubeCluster, connect_dict
from daemon.model.refs import EffectId, IncidentId, ObjectRef
from daemon.model.remedies import ActionRequest, ActionResult, Expectation
from daemon.runtime.clock import LoopClock
from daemon.runtime.supervise import Tasks
from daemon.simulator.api.faults import Asked
from daemon.simulator.api.store import Change
from daemon.simulator.flux.client import Client
from daemon.simulator.flux.git import Chart
from daemon.simulator.scenarios import parts
from daemon.simulator.server import SimulatedCluster, kubeconfig

asyncio.set_event_loop(None)  # else pytest-asyncio makes one for the first sync fixture, and nobody closes it

Json = dict[str, Any]
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
AGE = 120.0
PLACE = "kube-system"
ID = "0123456789ab"
TOKEN = f"fluxmedic-{ID}"
GROUPS = {"HelmRelease": HELM, "Kustomization": KUSTOMIZE, "GitRepository": SOURCE, "HelmRepository": SOURCE}
FIRST = "sh.helm.release.v1.net.v1"


def _render(_: Json) -> list[Json]:
    labels = {"k8s-app": "net"}
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "net", "namespace": PLACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "net", "image": "quay.io/example/net:v1"}]},
            },
        },
    }
    return [daemon_set, parts.deployment(PLACE, "net-operator", "quay.io/example/operator:v1")]


def release(**spec: object) -> Json:
    """Return the HelmRelease over the release that somebody installed by hand."""
    source = {"kind": "HelmRepository", "name": "net", "namespace": "flux-system"}
    chart = {"spec": {"chart": "net", "version": "1.0.0", "sourceRef": source}}
    return {
        "apiVersion": f"{HELM}/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "net", "namespace": PLACE},
        "spec": {"interval": "30m", "timeout": "30s", "chart": chart} | spec,
    }


class Telling(deque[Asked]):
    """The API server's log, which does something the moment a request comes in, before it is carried out."""

    def __init__(self, verb: str, act: Callable[[], Any], times: int) -> None:
        super().__init__()
        self.verb = verb
        self.act = act
        self.left = times

    def append(self, asked: Asked) -> None:
        super().append(asked)
        if asked.verb == self.verb and self.left:
            self.left -= 1
            self.act()


class Stage:
    """The cluster, our client, and what one test does to them."""

    def __init__(self, kube: KubeCluster, cluster: SimulatedCluster, clock: LoopClock) -> None:
        self.kube = kube
        self.cluster = cluster
        self.clock = clock
        self.faults = cluster.faults
        self.person = Client(cluster.store, "kubectl")
        self.before = self.uids()
        self.faults.asked.clear()

    # What is there

    def uids(self) -> dict[str, str]:
        """Return the uids of what must survive."""
        rows = [("DaemonSet", "net"), ("Deployment", "net-operator"), ("Secret", FIRST)]
        found = [(kind, name, self.cluster.get(kind, PLACE, name)) for kind, name in rows]
        return {f"{kind}/{name}": item["metadata"]["uid"] for kind, name, item in found if item}

    def live(self, kind: str = "HelmRelease", name: str = "net", place: str = "") -> Json:
        """Return an object that is there."""
        found = self.cluster.get(kind, place or (PLACE if kind == "HelmRelease" else "flux-system"), name)
        assert found is not None
        return found

    @property
    def gone(self) -> bool:
        """Say whether the HelmRelease is gone."""
        return self.cluster.get("HelmRelease", PLACE, "net") is None

    def marks(self, kind: str = "HelmRelease", name: str = "net") -> dict[str, str]:
        """Return what our actions left on an object, by annotation."""
        annotations = self.live(kind, name)["metadata"].get("annotations", {})
        return {key: value for key, value in annotations.items() if value == TOKEN}

    def writes(self) -> list[str]:
        """Return our writes as verb and resource; nobody else writes over HTTP here."""
        return [f"{one.verb} {one.resource}" for one in self.faults.asked if one.method != "GET"]

    # What somebody does

    def change(self, change: Callable[[Json], Any], kind: str = "HelmRelease", name: str = "net") -> None:
        """Change spec or metadata as a person would."""
        place = self.live(kind, name)["metadata"]["namespace"]
        self.person.change(kind, place, name, change)

    def touch_status(self, **status: object) -> None:
        """Move only the version, as a controller's status does."""
        self.person.status("HelmRelease", PLACE, "net", lambda live: live.update(status))

    def recreate(self, **spec: object) -> None:
        """Take the HelmRelease away without a trace, and put one of the same name in its place."""
        self.vanish()
        self.cluster.put(release(**spec))

    @staticmethod
    def manifest(**spec: object) -> Json:
        """Return the HelmRelease's manifest."""
        return release(**spec)

    def vanish_if_held(self) -> None:
        """Let a deleted HelmRelease go, as helm-controller does once it has seen the deletion."""
        if not self.gone:
            self.person.release("HelmRelease", PLACE, "net")

    def vanish(self) -> None:
        """Take the HelmRelease away at once, as if its finalizer had been handled."""
        self.person.release("HelmRelease", PLACE, "net")
        self.person.delete("HelmRelease", PLACE, "net")

    def inventory(self, kind: str, name: str, entries: list[str]) -> None:
        """Give an object an inventory."""
        place = self.live(kind, name)["metadata"]["namespace"]
        rows = [{"id": entry, "v": "v2"} for entry in entries]
        self.person.status(kind, place, name, lambda status: status.update(inventory={"entries": rows}))

    def once(self, wanted: Callable[[Json], bool], act: Callable[[], Any], *, kind: str = "HelmRelease") -> None:
        """Do something right after the first change to the HelmRelease that looks as wanted."""
        done: list[bool] = []

        def seen(resource: Any, change: Change) -> None:
            if not done and resource.kind == kind and change.type != "DELETED" and wanted(change.new):
                done.append(True)
                act()

        self.cluster.store.listeners.append(seen)

    def before_write(self, verb: str, act: Callable[[], Any], *, times: int = 1) -> None:
        """Do something between our last look and our write of this verb, `times` times."""
        self.faults.asked = Telling(verb, act, times)

    # What we do

    def ref(self, kind: str = "HelmRelease", name: str = "net", place: str = "", group: str = "") -> ObjectRef:
        """Return a ref in this cluster."""
        where = place or (PLACE if kind == "HelmRelease" else "flux-system")
        return ObjectRef("demo", group or GROUPS[kind], kind, where, name)

    def request(self, ref: ObjectRef | None = None, *, seconds: float | None = 20.0, **more: Any) -> ActionRequest:
        """Return a request that expects the object as it is now."""
        ref = ref or self.ref()
        live = self.cluster.get(ref.kind, ref.namespace, ref.name)
        meta = live["metadata"] if live else {}
        deadline = self.clock.now() + timedelta(seconds=seconds) if seconds is not None else None
        facts: dict[str, Any] = {
            "expects": Expectation(meta.get("uid", ""), meta.get("generation")),
            "deadline": deadline,
        }
        facts |= more
        return ActionRequest(EffectId(ID), IncidentId("i"), "plan", 0, 1, "action", ref, **facts)

    async def run(self, plugin: Plugin, request: ActionRequest, *, flux: bool = True) -> ActionResult:
        """Run the action; Flux is alive beside it unless told otherwise."""
        return await self._with_flux(plugin.build(self.kube, self.clock).run(request), alive=flux)

    async def live_on(self, seconds: float) -> None:
        """Let Flux live for so many seconds."""
        async with Tasks("flux", self.clock, _fault) as tasks:
            tasks.keep("cluster", self.cluster.run, restart=False)
            await self.clock.sleep(seconds)

    async def beside(
        self, plugin: Plugin, request: ActionRequest, story: Callable[[], Awaitable[None]]
    ) -> ActionResult:
        """Run the action with Flux alive, and a story beside it."""
        told, _ = await asyncio.gather(self.run(plugin, request), story())
        return told

    async def look(self, plugin: Plugin, request: ActionRequest) -> ActionResult:
        """Ask what became of a request."""
        return await plugin.build(self.kube, self.clock).look(request)

    async def _with_flux(self, work: Awaitable[ActionResult], *, alive: bool) -> ActionResult:
        async with Tasks("flux", self.clock, _fault) as tasks:
            if alive:
                tasks.keep("cluster", self.cluster.run, restart=False)
            return await work


def _fault(name: str, error: BaseException) -> None:
    raise AssertionError(name) from error


def build(clock: LoopClock, *, from_git: bool = False) -> SimulatedCluster:
    """Return a healthy cluster that has lived for a while; with `from_git` a Kustomization applies the HelmRelease."""
    cluster = SimulatedCluster(clock)
    cluster.clock.behind = AGE
    parts.add_nodes(cluster, "node")
    chart = Chart("net", "1.0.0", _render, "1.0.0")
    cluster.outside.add_chart(chart)
    cluster.controllers.cli.upgrade(PLACE, "net", chart, {})
    root = [parts.helm_repository("net", "https://charts.example.com"), parts.kustomization("net", "app")]
    app = [parts.config_map(PLACE, "net-settings")] + ([release()] if from_git else [])
    cluster.push("feat: net", {"root": root, "app": app})
    cluster.put(parts.git_repository("ssh://git@git.example.com/platform/net"))
    cluster.put(parts.kustomization("flux-system", "root"))
    if not from_git:
        cluster.put(copy.deepcopy(release()))
    cluster.settle(AGE)
    return cluster


@asynccontextmanager
async def staged(*, from_git: bool = False) -> AsyncIterator[Stage]:
    """Serve the cluster and connect to it."""
    clock = LoopClock(START)
    cluster = build(clock, from_git=from_git)
    async with cluster.serve() as url, await connect_dict("demo", kubeconfig(url)) as kube:
        yield Stage(kube, cluster, clock)


@pytest.fixture
def stage():
    """Give what a test opens with `async with`."""
    return staged


@pytest.fixture
def owner() -> str:
    """Give the annotation that says a suspension is ours."""
    return OWNER_ANNOTATION
