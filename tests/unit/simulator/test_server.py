"""The simulated cluster as the demo and real clients meet it: over HTTP, on virtual time."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from kubernetes_asyncio import client as kube
from kubernetes_asyncio.config import new_client_from_config_dict
from kubernetes_asyncio.stream import WsApiClient

from daemon.runtime.clock import LoopClock
from daemon.simulator.flux import helm_storage
from daemon.simulator.flux.client import Client
from daemon.simulator.flux.status import condition, is_true
from daemon.simulator.scenarios import SCENARIOS, parts, seed_cilium
from daemon.simulator.server import SimulatedCluster, kubeconfig

Json = dict[str, Any]
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
KEY = b"a key of the hook"


class Story:
    """A scenario, what it did and when."""

    def __init__(self, name: str) -> None:
        self.scenario = SCENARIOS[name]
        self.clock = LoopClock(START)
        self.cluster = SimulatedCluster(self.clock)
        self.scenario.prepare(self.cluster)
        self.ready_at: dict[str, float] = {}
        self.failed_at: dict[str, float] = {}
        self.reasons: dict[str, list[str]] = {}
        self.cluster.store.listeners.append(self._seen)

    def _seen(self, resource: Any, change: Any) -> None:
        name = f"{resource.kind}/{change.new['metadata']['name']}"
        row = condition(change.new, "Ready")
        if resource.kind not in ("Kustomization", "HelmRelease") or row is None:
            return
        if row["reason"] not in self.reasons.setdefault(name, [])[-1:]:
            self.reasons[name].append(row["reason"])
        into = self.ready_at if row["status"] == "True" else self.failed_at
        if row["status"] != "Unknown":
            into[name] = self.clock.monotonic()

    async def play(self, seconds: float, *more: Any) -> None:
        """Play for so long; `more` runs beside it."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(self.cluster.run(), self.scenario.play(self.cluster, self.clock), *more)
        except TimeoutError:
            return

    def failing(self) -> set[str]:
        items = Client(self.cluster.store, "").all("Kustomization")
        return {item["metadata"]["name"] for item in items if not is_true(item, "Ready")}

    def pods(self) -> tuple[int, int]:
        found = self.cluster.get("DaemonSet", "kube-system", "cilium")
        return (found["status"]["numberReady"], found["status"]["desiredNumberScheduled"]) if found else (0, 0)

    def revisions(self) -> list[tuple[int, str]]:
        client = Client(self.cluster.store, "")
        return [(one.version, one.status) for one in helm_storage.revisions(client, "kube-system", "cilium")]

    async def remove_safely(self, at: float) -> None:
        person = Client(self.cluster.store, "fluxmedic")
        await self.clock.sleep(at)
        person.change("HelmRelease", "kube-system", "cilium", lambda item: item["spec"].update(suspend=True))
        await self.clock.sleep(2)
        person.delete("HelmRelease", "kube-system", "cilium")

    async def remove_literally(self, at: float) -> None:
        await self.clock.sleep(at)
        self.cluster.remove("HelmRelease", "kube-system", "cilium")


@pytest.mark.looptime
@pytest.mark.parametrize("name", sorted(SCENARIOS))
async def test_every_scenario_begins_healthy(name: str) -> None:
    story = Story(name)
    assert story.failing() == set()
    assert all(item["kind"] for item in Client(story.cluster.store, "").all("Pod"))
    assert {is_true(pod, "Ready") for pod in Client(story.cluster.store, "").all("Pod")} == {True}


@pytest.mark.looptime
async def test_the_seed_fails_as_it_did_in_life() -> None:
    story = Story("seed-cilium")
    await story.play(62.0)
    dependents = {name for name, *_ in seed_cilium.DEPENDENTS}
    assert story.failing() == {"cilium"} | dependents
    assert story.pods() == (0, 3)
    assert story.revisions() == [(1, "deployed"), (2, "failed")]
    release = story.cluster.get("HelmRelease", "kube-system", "cilium")
    assert release is not None
    stalled = condition(release, "Stalled")
    assert stalled is not None
    assert stalled["reason"] == "RetriesExceeded"
    # The order that real Flux showed: green over the broken upgrade, then the release alone, then the check.
    assert story.reasons["Kustomization/cilium"][:4] == [
        "Progressing",
        "ReconciliationSucceeded",
        "Progressing",
        "HealthCheckFailed",
    ]
    assert story.failed_at["HelmRelease/cilium"] < story.failed_at["Kustomization/cilium"]


@pytest.mark.looptime
async def test_the_seed_recovers_in_dependency_order_once_the_release_is_safely_removed() -> None:
    story = Story("seed-cilium")
    await story.play(180.0, story.remove_safely(65.0))
    assert story.failing() == set()
    assert story.pods() == (3, 3)
    assert story.revisions() == [(1, "superseded"), (2, "failed"), (3, "deployed")]
    at = {name.partition("/")[2]: when for name, when in story.ready_at.items()}
    for name, _, needs, _ in seed_cilium.DEPENDENTS:
        assert all(at[need] < at[name] for need in needs), name
    assert max(at.values()) - 67.0 < 120.0  # the runbook's own timeline


@pytest.mark.looptime
async def test_the_seeds_literal_delete_takes_the_network_away_for_good() -> None:
    story = Story("seed-cilium")
    await story.play(180.0, story.remove_literally(65.0))
    assert story.cluster.get("DaemonSet", "kube-system", "cilium") is None
    assert story.revisions() == []
    assert "cilium" in story.failing()


@pytest.mark.looptime
async def test_a_bootstrap_job_brings_back_what_was_uninstalled() -> None:
    story = Story("seed-cilium")

    async def rerun() -> None:
        await story.clock.sleep(80.0)
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "bootstrap", "namespace": "kube-system"}}
        story.cluster.put(job | {"spec": {}})

    await story.play(240.0, story.remove_literally(65.0), rerun())
    assert (story.pods(), story.failing()) == ((3, 3), set())


@pytest.mark.looptime
async def test_the_seed_ends_by_hand_when_nobody_else_acts() -> None:
    story = Story("seed-cilium")
    await story.play(story.scenario.duration)
    assert (story.pods(), story.failing()) == ((3, 3), set())


@pytest.mark.looptime
async def test_an_image_that_is_missing_blocks_two_and_a_commit_mends_it() -> None:
    story = Story("image-pull")
    await story.play(80.0)
    assert story.failing() == {"catalogue", "checkout", "shop-front"}
    pods = Client(story.cluster.store, "").all("Pod", "shop")
    waiting = [one["status"]["containerStatuses"][0]["state"].get("waiting") for one in pods]
    assert [one["reason"] for one in waiting if one] == ["ImagePullBackOff"]

    story = Story("image-pull")
    await story.play(story.scenario.duration)
    assert story.failing() == set()


@pytest.mark.looptime
async def test_a_healthy_release_only_ever_waits() -> None:
    story = Story("healthy-push")
    await story.play(story.scenario.duration)
    assert story.failing() == set()
    reasons = {reason for rows in story.reasons.values() for reason in rows}
    assert reasons == {"ReconciliationSucceeded", "Progressing", "DependencyNotReady"}
    assert [one for one in Client(story.cluster.store, "").all("Event") if one["type"] == "Warning"] == []


# Webhooks


@asynccontextmanager
async def receiver(answers: list[int]) -> AsyncIterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    got: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        got.append((dict(request.headers), await request.read()))
        return web.Response(status=answers.pop(0) if answers else 202)

    app = web.Application()
    app.router.add_post("/hook/flux", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook/flux", got
    finally:
        await runner.cleanup()


@pytest.mark.looptime
async def test_events_are_posted_signed_over_the_exact_body() -> None:
    story = Story("seed-cilium")
    async with receiver([]) as (url, got):
        story.cluster.hook(url, KEY, "infra")
        await story.play(60.0)
    bodies = [orjson.loads(body) for _, body in got]
    for headers, body in got:
        assert headers["X-Signature"] == "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest()
    failed = next(body for body in bodies if body["reason"] == "UpgradeFailed")
    assert failed["severity"] == "error"
    assert failed["metadata"] == {"app-version": "1.18.2", "cluster": "infra", "revision": "1.18.2"}
    assert failed["involvedObject"]["kind"] == "HelmRelease"
    assert failed["reportingController"] == "helm-controller"
    assert not {body["reason"] for body in bodies} & {"HelmChartCreated", "GitOperationSucceeded", "BackOff"}


@pytest.mark.looptime
async def test_a_repeated_event_is_posted_once_in_five_minutes() -> None:
    story = Story("seed-cilium")
    async with receiver([]) as (url, got):
        story.cluster.hook(url, KEY)
        await story.play(150.0)
    bodies = [orjson.loads(body) for _, body in got]
    waits = [one for one in bodies if one["reason"] == "DependencyNotReady"]
    names = [(one["involvedObject"]["name"], one["metadata"]["revision"]) for one in waits]
    assert len(names) == len(set(names))


@pytest.mark.looptime
async def test_a_busy_receiver_is_asked_again_and_a_refusal_is_final() -> None:
    cluster = SimulatedCluster(LoopClock(START))
    item = cluster.put(parts.kustomization("apps", "apps", suspend=True))
    async with receiver([503, 202, 401]) as (url, got):
        cluster.hook(url, KEY)
        for text in ("one", "two"):
            cluster.controllers.recorder.normal(item, "kustomize-controller", "Progressing", text)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(cluster.run(), 20.0)
    assert [orjson.loads(body)["message"] for _, body in got] == ["one", "one", "two"]
    assert (cluster.controllers.recorder.delivered, cluster.controllers.recorder.lost) == (1, 1)


@pytest.mark.looptime
async def test_a_dead_receiver_loses_the_event_after_its_tries() -> None:
    cluster = SimulatedCluster(LoopClock(START))
    item = cluster.put(parts.kustomization("apps", "apps", suspend=True))
    cluster.hook("http://127.0.0.1:9/hook/flux", KEY)
    cluster.controllers.recorder.warning(item, "kustomize-controller", "BuildFailed", "a < b & c > d")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cluster.run(), 20.0)
    assert (cluster.controllers.recorder.delivered, cluster.controllers.recorder.lost) == (0, 1)


# A real client


@asynccontextmanager
async def connected(cluster: SimulatedCluster) -> AsyncIterator[kube.ApiClient]:
    async with cluster.serve() as url:
        api = await new_client_from_config_dict(kubeconfig(url, "token-1"))
        async with api:
            yield api


async def test_the_real_client_lists_patches_and_is_refused() -> None:
    cluster = SimulatedCluster(LoopClock(START))
    cluster.faults.tokens = frozenset({"token-1"})
    cluster.put(parts.kustomization("apps", "apps"))
    async with connected(cluster) as api:
        objects: Any = kube.CustomObjectsApi(api)
        group = ("kustomize.toolkit.fluxcd.io", "v1", "flux-system", "kustomizations")
        found = await objects.list_namespaced_custom_object(*group)
        assert [item["metadata"]["name"] for item in found["items"]] == ["apps"]
        body = {"spec": {"suspend": True}, "metadata": {"uid": found["items"][0]["metadata"]["uid"]}}
        patched = await objects.patch_namespaced_custom_object(
            *group, "apps", body, _content_type="application/merge-patch+json", field_manager="fluxmedic"
        )
        assert patched["spec"]["suspend"] is True
        with pytest.raises(kube.ApiException) as refused:
            await objects.delete_namespaced_custom_object(*group, "apps", body={"preconditions": {"uid": "other"}})
        assert refused.value.status == 409


async def test_the_real_clients_models_read_nodes_pods_and_daemon_sets() -> None:
    cluster = SimulatedCluster(LoopClock(START))
    seed_cilium.prepare(cluster)
    async with connected(cluster) as api:
        nodes = await kube.CoreV1Api(api).list_node()
        assert [node.metadata.name for node in nodes.items] == ["infra-01", "infra-02", "infra-03"]
        daemon_set = await kube.AppsV1Api(api).read_namespaced_daemon_set("cilium", "kube-system")
        assert daemon_set.status.number_ready == 3
        pods = await kube.CoreV1Api(api).list_namespaced_pod("kube-system", label_selector="k8s-app=cilium")
        assert {pod.status.phase for pod in pods.items} == {"Running"}


async def test_a_lease_is_taken_once() -> None:
    cluster = SimulatedCluster(LoopClock(START))
    async with connected(cluster) as api:
        leases: Any = kube.CoordinationV1Api(api)
        spec = {"holderIdentity": "a", "leaseDurationSeconds": 15}
        lease: Any = {"metadata": {"name": "fluxmedic"}, "spec": spec}
        made = await leases.create_namespaced_lease("default", lease)
        taken: Any = {"metadata": {"name": "fluxmedic", "resourceVersion": "1"}, "spec": spec | {"holderIdentity": "b"}}
        with pytest.raises(kube.ApiException) as refused:
            await leases.replace_namespaced_lease("fluxmedic", "default", taken)
        assert refused.value.status == 409
        taken["metadata"]["resourceVersion"] = made.metadata.resource_version
        renewed = await leases.replace_namespaced_lease("fluxmedic", "default", taken)
        assert renewed.spec.holder_identity == "b"


async def test_a_command_runs_in_a_ready_pod_and_tells_its_exit_code() -> None:
    cluster = SimulatedCluster(LoopClock(START))
    seed_cilium.prepare(cluster)
    pod = next(
        one for one in Client(cluster.store, "").all("Pod", "kube-system") if "operator" not in one["metadata"]["name"]
    )
    async with cluster.serve() as url:
        api = await new_client_from_config_dict(kubeconfig(url))
        await api.close()
        configuration = api.configuration
        async with WsApiClient(configuration) as sockets:
            core: Any = kube.CoreV1Api(sockets)
            name = pod["metadata"]["name"]
            said = await core.connect_get_namespaced_pod_exec(name, "kube-system", command=["cilium", "status"])
            assert "Cilium:        OK" in said
            missing = await core.connect_get_namespaced_pod_exec(
                name, "kube-system", command=["nothing"], _preload_content=False
            )
            async with missing as socket:
                messages = [message.data async for message in socket]
        assert sockets.parse_error_data(messages[-1][1:].decode()) == 127


async def test_logs_of_a_pod_are_text() -> None:
    cluster = SimulatedCluster(LoopClock(START))
    seed_cilium.prepare(cluster)
    name = Client(cluster.store, "").all("Pod", "kube-system")[0]["metadata"]["name"]
    cluster.exec.logs[name] = "level=fatal msg=lost\n"
    async with connected(cluster) as api:
        assert await kube.CoreV1Api(api).read_namespaced_pod_log(name, "kube-system") == "level=fatal msg=lost\n"


async def test_a_command_in_a_pod_that_is_not_running_is_refused() -> None:
    cluster = SimulatedCluster(LoopClock(START))
    meta = {"name": "sick", "namespace": "default"}
    cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": []}})
    async with cluster.serve() as url, aiohttp.ClientSession(url) as session:
        path = "/api/v1/namespaces/default/pods/sick/exec?command=ls"
        async with session.get(path) as response:
            assert (response.status, "container not found" in await response.text()) == (500, True)
        async with session.get("/api/v1/namespaces/default/pods/sick/portforward") as response:
            assert response.status == 404
