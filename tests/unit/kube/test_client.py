"""Raw JSON verbs over real HTTP: every answer an error of ours, with what to do next and never a secret."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
import yaml
from aiohttp import web

from daemon.kube.answers import error_of, message_of
from daemon.kube.client import KubeCluster, connect, connect_dict, default_kubeconfig, selector
from daemon.model.errors import (
    ClusterError,
    ConfigError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unauthorized,
    Unreachable,
)
from daemon.model.refs import ObjectRef
from daemon.runtime.clock import SystemClock
from daemon.simulator.server import SimulatedCluster, kubeconfig

GROUP, KIND = "kustomize.toolkit.fluxcd.io", "Kustomization"
A = ObjectRef("c", GROUP, KIND, "default", "a")


@asynccontextmanager
async def connected(token: str = "") -> AsyncIterator[tuple[SimulatedCluster, KubeCluster]]:
    cluster = SimulatedCluster(SystemClock())
    metadata = {"name": "a", "namespace": "default", "labels": {"app": "a"}}
    cluster.put({"apiVersion": f"{GROUP}/v1", "kind": KIND, "metadata": metadata, "spec": {"path": "."}})
    async with cluster.serve() as url, await connect_dict("c", kubeconfig(url, token)) as client:
        yield cluster, client


async def test_objects_are_read_listed_patched_and_deleted_under_preconditions():
    async with connected() as (cluster, client):
        found = await client.get(A)
        uid = found["metadata"]["uid"]  # type: ignore[index]
        assert [item["metadata"]["name"] for item in await client.list(GROUP, KIND)] == ["a"]  # type: ignore[index]
        assert await client.list(GROUP, KIND, namespace="kube-system") == []
        assert await client.list(GROUP, KIND, labels=selector(("app", "b"))) == []
        patched = await client.patch(A, {"metadata": {"uid": uid, "annotations": {"x": "y"}}})
        assert patched["metadata"]["annotations"] == {"x": "y"}  # type: ignore[index]
        dry = await client.patch(A, {"metadata": {"annotations": {"x": "z"}}}, dry_run=True)
        assert dry["metadata"]["annotations"] == {"x": "z"}  # type: ignore[index]
        live = cluster.get(KIND, "default", "a")
        assert live is not None
        assert live["metadata"]["annotations"] == {"x": "y"}
        await client.delete(A, uid=uid, dry_run=True)
        with pytest.raises(Conflict):
            await client.delete(A, uid="another")
        with pytest.raises(Conflict):
            await client.delete(A, uid=uid, resource_version="1")
        await client.delete(A, uid=uid)
        with pytest.raises(NotFound):
            await client.get(A)


async def test_a_patch_of_another_incarnation_is_a_conflict():
    async with connected() as (_, client):
        with pytest.raises(Conflict):
            await client.patch(A, {"metadata": {"uid": "another", "annotations": {"x": "y"}}})


async def test_an_object_is_created():
    async with connected() as (cluster, client):
        metadata = {"name": "new", "namespace": "default"}
        await client.create("", "ConfigMap", "default", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        assert cluster.get("ConfigMap", "default", "new") is not None


async def test_of_secrets_only_the_metadata_is_read():
    async with connected() as (cluster, client):
        metadata = {"name": "s", "namespace": "default", "labels": {"owner": "helm"}}
        cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"release": "aHVudGVyMjI="}})
        found = await client.list("", "Secret", labels="owner=helm", metadata_only=True)
        assert "data" not in found[0]


async def test_rights_are_asked_for_and_the_server_tells_version_and_time():
    async with connected() as (cluster, client):
        assert await client.can_i("list", GROUP, "kustomizations")
        cluster.faults.deny("list", f"kustomizations.{GROUP}")
        assert not await client.can_i("list", GROUP, "kustomizations")
        assert (await client.version()).startswith("v1.")
        assert isinstance(await client.server_time(), datetime)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Gone),
        (422, Invalid),
        (429, Unreachable),
        (500, Unreachable),
        (503, Unreachable),
    ],
)
async def test_every_status_is_an_error_of_ours(status, kind):
    async with connected() as (cluster, client):
        await client.get(A)
        cluster.faults.fail_next(2, status, verb="get", retry_after=3 if status == 429 else None)
        with pytest.raises(kind) as caught:
            await client.get(A)
    assert caught.value.status == status
    assert "Kustomization/default/a" in str(caught.value)
    assert caught.value.after == (3.0 if status == 429 else None)


async def test_a_token_that_is_refused_once_is_tried_once_more():
    async with connected() as (cluster, client):
        cluster.faults.fail_next(1, 401, verb="get")
        assert (await client.get(A))["kind"] == KIND


async def test_a_connection_that_breaks_is_unreachable():
    async with connected() as (cluster, client):
        cluster.faults.fail_next(3, 0, verb="get")
        with pytest.raises(Unreachable):
            await client.get(A)


async def test_the_token_is_never_in_an_error():
    async with connected("very-secret") as (cluster, client):
        cluster.faults.tokens = frozenset({"another"})
        with pytest.raises(Unauthorized) as caught:
            await client.get(A)
    assert "very-secret" not in str(caught.value)


async def test_a_kind_that_is_not_installed_is_not_found():
    async with connected() as (_, client):
        with pytest.raises(NotFound, match="is not installed in this cluster"):
            await client.list("example.com", "Ghost")
        with pytest.raises(NotFound, match="the core group"):
            await client.list("", "Ghost")


@asynccontextmanager
async def odd(answer: web.Response) -> AsyncIterator[KubeCluster]:
    """A server that is no API server."""

    async def handle(_request: web.Request) -> web.Response:
        return answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with await connect_dict("c", kubeconfig(url)) as client:
            yield client
    finally:
        await runner.cleanup()


async def test_what_is_no_api_server_is_told_apart():
    async with odd(web.Response(text="<html>hello</html>")) as client:
        with pytest.raises(Unreachable, match="is this address an API server"):
            await client.version()
    async with odd(web.json_response([1])) as client:
        assert await client.version() == ""


async def test_a_server_without_a_clock_has_none():
    async with odd(web.Response(text="{}", headers={"Date": "soon"})) as client:
        assert await client.server_time() is None


async def test_a_certificate_that_is_not_trusted_is_a_clear_error(tmp_path):
    file = tmp_path / "config"
    document = kubeconfig("https://127.0.0.1:1")
    file.write_text(yaml.safe_dump(document))
    async with await connect("c", str(file)) as client:
        with pytest.raises(Unreachable, match="does not answer"):
            await client.version()


@pytest.mark.parametrize("content", ["", "not: a kubeconfig", "["])
async def test_a_kubeconfig_that_is_none_is_a_clear_error(content, tmp_path):
    file = tmp_path / "config"
    file.write_text(content)
    with pytest.raises(ConfigError, match="no cluster to connect to"):
        await connect("c", str(file))


async def test_outside_of_a_pod_there_is_no_service_account():
    with pytest.raises(ConfigError, match="the pod's service account"):
        await connect("c")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"KUBECONFIG": "/x"}, "/x"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOME": "/root"}, ""),
        ({"HOME": "/nowhere"}, ""),
    ],
)
def test_the_kubeconfig_is_found_as_kubectl_finds_it(environment, expected):
    assert default_kubeconfig(environment) == expected


def test_the_kubeconfig_of_the_home_folder_is_found(tmp_path):
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").touch()
    assert default_kubeconfig({"HOME": str(tmp_path)}) == str(tmp_path / ".kube" / "config")


def test_an_answer_without_words_gets_our_advice():
    assert "run fluxmedic check" in str(error_of(403, "list x", b"no json", {}))
    assert message_of(b"[]") == ""
    assert len(message_of(b'{"message": "' + b"x" * 999 + b'"}')) == 300
    assert isinstance(error_of(418, "x", b"", {"Retry-After": "soon"}), ClusterError)
