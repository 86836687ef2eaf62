"""The simulated API server over real HTTP: what a client can notice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import pytest

from daemon.runtime.clock import LoopClock
from daemon.simulator.api.resources import FLUX
from daemon.simulator.server import SimulatedCluster

Json = dict[str, Any]
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
KUSTOMIZATIONS = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
MERGE = {"Content-Type": "application/merge-patch+json"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}


class Client:
    def __init__(self, session: aiohttp.ClientSession, cluster: SimulatedCluster) -> None:
        self.session = session
        self.cluster = cluster

    async def ask(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, Json]:
        data = orjson.dumps(body) if body is not None else None
        async with self.session.request(method, path, data=data, **more) as response:
            return response.status, orjson.loads(await response.read())

    async def get(self, path: str, **more: Any) -> Json:
        status, body = await self.ask("GET", path, **more)
        assert status == 200, body
        return body

    @asynccontextmanager
    async def watch(self, path: str, query: str) -> AsyncIterator[aiohttp.StreamReader]:
        async with self.session.get(f"{path}?watch=1&{query}") as response:
            assert response.status == 200, await response.text()
            yield response.content


async def line(stream: aiohttp.StreamReader) -> Json:
    raw = await asyncio.wait_for(stream.readline(), 120)
    return dict(orjson.loads(raw)) if raw else {}


@asynccontextmanager
async def running() -> AsyncIterator[Client]:
    cluster = SimulatedCluster(LoopClock(START))
    async with cluster.serve() as url, aiohttp.ClientSession(url) as session:
        yield Client(session, cluster)


def kustomization(name: str, **spec: object) -> Json:
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "10m", **spec},
    }


def config(name: str, **labels: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"a": "1"}}


async def test_discovery_lists_flux_groups_with_their_versions() -> None:
    async with running() as client:
        groups = (await client.get("/apis"))["groups"]
        versions = {group["name"]: group["preferredVersion"]["version"] for group in groups}
        assert {one.group: one.versions[0] for one in FLUX if one.kind != "Receiver"}.items() <= versions.items()
        rows = (await client.get("/apis/helm.toolkit.fluxcd.io/v2"))["resources"]
        assert [row["name"] for row in rows] == ["helmreleases", "helmreleases/status"]


async def test_a_group_that_is_not_installed_is_404() -> None:
    async with running() as client:
        status, body = await client.ask("GET", "/apis/image.toolkit.fluxcd.io/v1/imagepolicies")
        assert (status, body["kind"], body["reason"]) == (404, "Status", "NotFound")


async def test_a_created_object_gets_identity_and_flux_default_status() -> None:
    async with running() as client:
        status, body = await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        assert status == 201
        assert body["metadata"]["generation"] == 1
        assert body["metadata"]["uid"]
        assert int(body["metadata"]["resourceVersion"]) > 1000
        assert body["status"] == {"observedGeneration": -1}


async def test_a_second_create_is_409_already_exists() -> None:
    async with running() as client:
        await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        status, body = await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        assert (status, body["reason"]) == (409, "AlreadyExists")


async def test_an_object_in_a_missing_namespace_is_404() -> None:
    async with running() as client:
        status, body = await client.ask("POST", "/api/v1/namespaces/nowhere/configmaps", config("a"))
        assert (status, body["message"]) == (404, 'namespaces "nowhere" not found')


async def test_a_bad_name_is_422_with_its_field() -> None:
    async with running() as client:
        status, body = await client.ask("POST", CONFIGMAPS, config("Not_A_Name"))
        assert (status, body["details"]["causes"][0]["field"]) == (422, "metadata.name")


async def test_only_a_spec_change_moves_the_generation() -> None:
    async with running() as client:
        await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        path = f"{KUSTOMIZATIONS}/apps"
        annotate = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "x"}}}
        _, body = await client.ask("PATCH", path, annotate, headers=MERGE)
        assert body["metadata"]["generation"] == 1
        _, body = await client.ask("PATCH", path, {"spec": {"suspend": True}}, headers=MERGE)
        assert body["metadata"]["generation"] == 2


async def test_status_and_spec_do_not_reach_each_other() -> None:
    async with running() as client:
        await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        both = {"spec": {"suspend": True}, "status": {"observedGeneration": 7}}
        _, body = await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps/status", both, headers=MERGE)
        assert (body["status"], body["spec"].get("suspend")) == ({"observedGeneration": 7}, None)
        _, body = await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", both | {"status": {}}, headers=MERGE)
        assert (body["status"], body["spec"]["suspend"]) == ({"observedGeneration": 7}, True)


async def test_a_write_with_a_stale_version_is_409() -> None:
    async with running() as client:
        _, body = await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        old = body["metadata"]["resourceVersion"]
        await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", {"spec": {"suspend": True}}, headers=MERGE)
        stale = {"metadata": {"resourceVersion": old}, "spec": {"suspend": False}}
        status, refused = await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", stale, headers=MERGE)
        assert (status, refused["reason"]) == (409, "Conflict")
        assert "has been modified" in refused["message"]
        status, _ = await client.ask("PUT", f"{KUSTOMIZATIONS}/apps", body)
        assert status == 409


async def test_a_patch_for_another_incarnation_is_409() -> None:
    async with running() as client:
        await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        other = {"metadata": {"uid": "not-this-one"}, "spec": {"suspend": True}}
        status, body = await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", other, headers=MERGE)
        assert (status, body["reason"]) == (409, "Conflict")


async def test_a_put_of_a_custom_resource_needs_a_version() -> None:
    async with running() as client:
        await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        status, _ = await client.ask("PUT", f"{KUSTOMIZATIONS}/apps", kustomization("apps", suspend=True))
        assert status == 422


async def test_a_write_that_changes_nothing_keeps_the_version() -> None:
    async with running() as client:
        _, body = await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        _, again = await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", {"spec": {"interval": "10m"}}, headers=MERGE)
        assert again["metadata"]["resourceVersion"] == body["metadata"]["resourceVersion"]


async def test_a_dry_run_changes_nothing() -> None:
    async with running() as client:
        await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        path = f"{KUSTOMIZATIONS}/apps?dryRun=All"
        _, tried = await client.ask("PATCH", path, {"spec": {"suspend": True}}, headers=MERGE)
        await client.ask("DELETE", path)
        live = await client.get(f"{KUSTOMIZATIONS}/apps")
        assert (tried["spec"]["suspend"], live["spec"].get("suspend")) == (True, None)


async def test_a_json_patch_is_all_or_nothing() -> None:
    async with running() as client:
        await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        steps = [{"op": "add", "path": "/spec/suspend", "value": True}, {"op": "test", "path": "/spec/x", "value": 1}]
        headers = {"Content-Type": "application/json-patch+json"}
        status, _ = await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", steps, headers=headers)
        live = await client.get(f"{KUSTOMIZATIONS}/apps")
        assert (status, "suspend" in live["spec"]) == (422, False)
        status, _ = await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", steps[:1], headers=headers)
        live = await client.get(f"{KUSTOMIZATIONS}/apps")
        assert (status, live["spec"]["suspend"]) == (200, True)


async def test_a_strategic_patch_of_a_custom_resource_is_415() -> None:
    async with running() as client:
        await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        status, _ = await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", {"spec": {}}, headers=headers)
        assert status == 415


async def test_apply_creates_updates_and_drops_what_it_no_longer_names() -> None:
    async with running() as client:
        path = f"{KUSTOMIZATIONS}/apps?fieldManager=us"
        status, _ = await client.ask("PATCH", path, kustomization("apps", timeout="1m", wait=True), headers=APPLY)
        assert status == 201
        status, body = await client.ask("PATCH", path, kustomization("apps", timeout="2m"), headers=APPLY)
        assert status == 200
        assert body["spec"] == {"interval": "10m", "timeout": "2m"}
        assert [entry["manager"] for entry in body["metadata"]["managedFields"]] == ["us"]


async def test_apply_over_another_owner_needs_force() -> None:
    async with running() as client:
        path = f"{KUSTOMIZATIONS}/apps"
        await client.ask("PATCH", f"{path}?fieldManager=one", kustomization("apps", suspend=False), headers=APPLY)
        wanted = kustomization("apps", suspend=True)
        status, body = await client.ask("PATCH", f"{path}?fieldManager=two", wanted, headers=APPLY)
        assert (status, body["details"]["causes"][0]["field"]) == (409, ".spec.suspend")
        status, body = await client.ask("PATCH", f"{path}?fieldManager=two&force=true", wanted, headers=APPLY)
        assert (status, body["spec"]["suspend"]) == (200, True)


async def test_a_merge_patch_is_recorded_under_its_field_manager() -> None:
    async with running() as client:
        await client.ask("POST", f"{KUSTOMIZATIONS}?fieldManager=git", kustomization("apps"))
        path = f"{KUSTOMIZATIONS}/apps?fieldManager=fluxmedic"
        _, body = await client.ask("PATCH", path, {"spec": {"suspend": True}}, headers=MERGE)
        entries = {entry["manager"]: entry for entry in body["metadata"]["managedFields"]}
        assert entries["fluxmedic"]["fieldsV1"] == {"f:spec": {"f:suspend": {}}}
        assert entries["git"]["operation"] == "Update"


async def test_a_finalizer_holds_a_deleted_object_until_it_is_removed() -> None:
    async with running() as client:
        body = kustomization("apps")
        body["metadata"]["finalizers"] = ["finalizers.fluxcd.io"]
        await client.ask("POST", KUSTOMIZATIONS, body)
        status, held = await client.ask("DELETE", f"{KUSTOMIZATIONS}/apps")
        assert (status, held["metadata"]["generation"]) == (200, 2)
        assert "deletionTimestamp" in held["metadata"]
        free = {"metadata": {"finalizers": None}}
        await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", free, headers=MERGE)
        status, _ = await client.ask("GET", f"{KUSTOMIZATIONS}/apps")
        assert status == 404


@pytest.mark.parametrize("field", ["uid", "resourceVersion"])
async def test_a_delete_whose_precondition_fails_is_409(field: str) -> None:
    async with running() as client:
        _, body = await client.ask("POST", CONFIGMAPS, config("a"))
        options = {"preconditions": {field: "999"}}
        status, refused = await client.ask("DELETE", f"{CONFIGMAPS}/a", options)
        assert (status, refused["reason"]) == (409, "Conflict")
        status, done = await client.ask(
            "DELETE", f"{CONFIGMAPS}/a", {"preconditions": {field: body["metadata"][field]}}
        )
        assert (status, done["status"]) == (200, "Success")


async def test_what_an_object_owns_goes_with_it() -> None:
    async with running() as client:
        _, owner = await client.ask("POST", CONFIGMAPS, config("owner"))
        owned = config("owned")
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
        owned["metadata"]["ownerReferences"] = [reference]
        await client.ask("POST", CONFIGMAPS, owned)
        await client.ask("DELETE", f"{CONFIGMAPS}/owner")
        assert (await client.get(CONFIGMAPS))["items"] == []


async def test_a_list_comes_in_pages() -> None:
    async with running() as client:
        for name in "abcde":
            await client.ask("POST", CONFIGMAPS, config(name))
        first = await client.get(f"{CONFIGMAPS}?limit=2")
        assert first["metadata"]["remainingItemCount"] == 3
        token = first["metadata"]["continue"]
        second = await client.get(f"{CONFIGMAPS}?limit=9", params={"continue": token})
        names = [item["metadata"]["name"] for item in first["items"] + second["items"]]
        assert names == list("abcde")
        assert "continue" not in second["metadata"]


async def test_a_continue_token_from_before_compaction_is_410() -> None:
    async with running() as client:
        for name in "abc":
            await client.ask("POST", CONFIGMAPS, config(name))
        token = (await client.get(f"{CONFIGMAPS}?limit=1"))["metadata"]["continue"]
        client.cluster.store.compact()
        status, body = await client.ask("GET", CONFIGMAPS, params={"limit": "1", "continue": token})
        assert (status, body["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=web", "a"),
        ("app!=web", "bc"),
        ("app in (web, db)", "ab"),
        ("app notin (web)", "bc"),
        ("app", "ab"),
        ("!app", "c"),
        ("app,tier==x", "b"),
    ],
)
async def test_label_selectors_select(selector: str, names: str) -> None:
    async with running() as client:
        for item in (config("a", app="web"), config("b", app="db", tier="x"), config("c")):
            await client.ask("POST", CONFIGMAPS, item)
        found = await client.get(CONFIGMAPS, params={"labelSelector": selector})
        assert "".join(item["metadata"]["name"] for item in found["items"]) == names


async def test_field_selectors_select_by_type_and_name() -> None:
    async with running() as client:
        secrets = "/api/v1/namespaces/default/secrets"
        for name, kind in (("a", "helm.sh/release.v1"), ("b", "Opaque")):
            await client.ask("POST", secrets, {"metadata": {"name": name}, "type": kind})
        found = await client.get(secrets, params={"fieldSelector": "type=helm.sh/release.v1"})
        assert [item["metadata"]["name"] for item in found["items"]] == ["a"]
        found = await client.get(secrets, params={"fieldSelector": "metadata.name=b"})
        assert [item["metadata"]["name"] for item in found["items"]] == ["b"]


async def test_a_custom_resource_has_no_field_labels_of_its_own() -> None:
    async with running() as client:
        status, body = await client.ask("GET", KUSTOMIZATIONS, params={"fieldSelector": "spec.path=x"})
        assert (status, body["message"]) == (400, "field label not supported: spec.path")


SINGLE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


async def test_metadata_alone_leaves_the_contents_of_secrets_out() -> None:
    async with running() as client:
        secrets = "/api/v1/namespaces/default/secrets"
        await client.ask(
            "POST", secrets, {"metadata": {"name": "a", "labels": {"owner": "helm"}}, "data": {"k": "c2Vj"}}
        )
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        found = await client.get(secrets, headers={"Accept": accept})
        assert found["kind"] == "PartialObjectMetadataList"
        assert found["items"][0].keys() == {"kind", "apiVersion", "metadata"}
        status, body = await client.ask("GET", secrets, headers={"Accept": SINGLE})
        assert (status, body["message"]) == (
            406,
            "you requested PartialObjectMetadata, but the requested object is a list",
        )
        async with client.session.get(f"{secrets}?watch=1&timeoutSeconds=5", headers={"Accept": accept}) as response:
            assert (response.status, await response.read()) == (200, b"")
        async with client.session.get(f"{secrets}?watch=1&timeoutSeconds=5", headers={"Accept": SINGLE}) as response:
            event = await line(response.content)
        assert (event["object"]["kind"], "data" in event["object"]) == ("PartialObjectMetadata", False)


async def test_a_watch_sends_what_happens_after_its_version() -> None:
    async with running() as client:
        await client.ask("POST", CONFIGMAPS, config("before"))
        version = (await client.get(CONFIGMAPS))["metadata"]["resourceVersion"]
        async with client.watch(CONFIGMAPS, f"resourceVersion={version}") as stream:
            await client.ask("POST", CONFIGMAPS, config("a"))
            await client.ask("PATCH", f"{CONFIGMAPS}/a", {"data": {"a": "2"}}, headers=MERGE)
            await client.ask("DELETE", f"{CONFIGMAPS}/a")
            seen = [await line(stream) for _ in range(3)]
        assert [event["type"] for event in seen] == ["ADDED", "MODIFIED", "DELETED"]
        assert {event["object"]["metadata"]["name"] for event in seen} == {"a"}


async def test_a_watch_resumes_without_loss() -> None:
    async with running() as client:
        version = (await client.get(CONFIGMAPS))["metadata"]["resourceVersion"]
        for name in "ab":
            await client.ask("POST", CONFIGMAPS, config(name))
        async with client.watch(CONFIGMAPS, f"resourceVersion={version}") as stream:
            first = await line(stream)
        version = first["object"]["metadata"]["resourceVersion"]
        async with client.watch(CONFIGMAPS, f"resourceVersion={version}") as stream:
            second = await line(stream)
        assert [event["object"]["metadata"]["name"] for event in (first, second)] == ["a", "b"]


async def test_an_object_that_leaves_the_selector_is_deleted_for_the_watch() -> None:
    async with running() as client:
        await client.ask("POST", CONFIGMAPS, config("a", app="web"))
        async with client.watch(CONFIGMAPS, "labelSelector=app%3Dweb") as stream:
            assert (await line(stream))["type"] == "ADDED"
            await client.ask("PATCH", f"{CONFIGMAPS}/a", {"metadata": {"labels": {"app": "db"}}}, headers=MERGE)
            assert (await line(stream))["type"] == "DELETED"


async def test_a_watch_from_before_the_window_gets_an_error_event() -> None:
    async with running() as client:
        await client.ask("POST", CONFIGMAPS, config("a"))
        version = (await client.get(CONFIGMAPS))["metadata"]["resourceVersion"]
        client.cluster.store.compact()
        async with client.watch(CONFIGMAPS, f"resourceVersion={version}") as stream:
            event, end = await line(stream), await line(stream)
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert end == {}


async def test_a_watch_from_before_the_window_can_be_refused_outright() -> None:
    async with running() as client:
        client.cluster.faults.gone_as_status = True
        client.cluster.store.compact()
        status, body = await client.ask("GET", f"{CONFIGMAPS}?watch=1&resourceVersion=1")
        assert (status, body["code"]) == (410, 410)


async def test_a_version_from_the_future_is_too_large() -> None:
    async with running() as client:
        status, body = await client.ask("GET", f"{CONFIGMAPS}?resourceVersion=999999999")
        assert (status, body["message"].startswith("Too large resource version")) == (504, True)


@pytest.mark.looptime
async def test_bookmarks_come_every_minute_and_carry_the_version() -> None:
    async with running() as client:
        version = (await client.get(CONFIGMAPS))["metadata"]["resourceVersion"]
        async with client.watch(CONFIGMAPS, f"resourceVersion={version}&allowWatchBookmarks=true") as stream:
            began = asyncio.get_running_loop().time()
            client.cluster.put(kustomization("other"))
            event = await line(stream)
            waited = asyncio.get_running_loop().time() - began
        assert event["type"] == "BOOKMARK"
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(version)
        assert 59 <= waited <= 61


@pytest.mark.looptime
async def test_a_watch_ends_when_its_time_is_over() -> None:
    async with running() as client, client.watch(CONFIGMAPS, "timeoutSeconds=240") as stream:
        began = asyncio.get_running_loop().time()
        assert await stream.readline() == b""
        assert 239 <= asyncio.get_running_loop().time() - began <= 241


async def test_initial_events_end_with_a_marked_bookmark() -> None:
    async with running() as client:
        await client.ask("POST", CONFIGMAPS, config("a"))
        query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        async with client.watch(CONFIGMAPS, query) as stream:
            seen = [await line(stream), await line(stream)]
        assert [event["type"] for event in seen] == ["ADDED", "BOOKMARK"]
        assert seen[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_cut_watch_breaks_in_the_middle_of_a_line() -> None:
    async with running() as client, client.watch(CONFIGMAPS, "") as stream:
        client.cluster.faults.cut_watches(inside_a_line=True)
        with pytest.raises(aiohttp.ClientError):
            await stream.read()


async def test_a_muted_watch_holds_back_what_happens() -> None:
    async with running() as client, client.watch(CONFIGMAPS, "") as stream:
        client.cluster.faults.mute_watches("configmaps")
        await client.ask("POST", CONFIGMAPS, config("a"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.readline(), 0.05)
        client.cluster.faults.unmute_watches("configmaps")
        assert (await line(stream))["object"]["metadata"]["name"] == "a"


async def test_open_watches_can_be_expired() -> None:
    async with running() as client, client.watch(CONFIGMAPS, "") as stream:
        client.cluster.faults.expire_watches("configmaps")
        event = await line(stream)
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


async def test_a_denied_verb_is_403_and_the_review_says_so() -> None:
    async with running() as client:
        client.cluster.faults.deny("patch", "kustomizations.kustomize.toolkit.fluxcd.io")
        await client.ask("POST", KUSTOMIZATIONS, kustomization("apps"))
        status, body = await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", {}, headers=MERGE)
        assert (status, 'cannot patch resource "kustomizations"' in body["message"]) == (403, True)
        allowed = []
        for verb in ("patch", "get"):
            asked = {"verb": verb, "resource": "kustomizations", "group": "kustomize.toolkit.fluxcd.io"}
            review = {"spec": {"resourceAttributes": asked}}
            _, answer = await client.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
            allowed.append(answer["status"]["allowed"])
        assert allowed == [False, True]


async def test_a_wrong_token_is_401() -> None:
    async with running() as client:
        client.cluster.faults.tokens = frozenset({"right"})
        assert (await client.ask("GET", CONFIGMAPS))[0] == 401
        assert (await client.ask("GET", CONFIGMAPS, headers={"Authorization": "Bearer right"}))[0] == 200


async def test_told_failures_carry_retry_after_and_end() -> None:
    async with running() as client:
        client.cluster.faults.fail_next(1, 429, retry_after=7)
        async with client.session.get(CONFIGMAPS) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "7")
        assert (await client.ask("GET", CONFIGMAPS))[0] == 200


async def test_a_lost_answer_leaves_the_write_done() -> None:
    async with running() as client:
        client.cluster.faults.fail_next(1, 0, verb="create", after_write=True)
        with pytest.raises(aiohttp.ClientError):
            await client.ask("POST", CONFIGMAPS, config("a"))
        assert (await client.ask("GET", f"{CONFIGMAPS}/a"))[0] == 200


async def test_a_hanging_server_answers_when_it_is_told_to() -> None:
    async with running() as client:
        client.cluster.faults.hang()
        with pytest.raises(TimeoutError):
            await client.ask("GET", CONFIGMAPS, timeout=aiohttp.ClientTimeout(total=0.05))
        client.cluster.faults.answer()
        assert (await client.ask("GET", CONFIGMAPS))[0] == 200


async def test_admission_refuses_with_its_own_words() -> None:
    async with running() as client:
        client.cluster.faults.admission.append(lambda verb, _item: "no deletes here" if verb == "DELETE" else None)
        await client.ask("POST", CONFIGMAPS, config("a"))
        status, body = await client.ask("DELETE", f"{CONFIGMAPS}/a")
        assert (status, body["message"]) == (403, "no deletes here")


async def test_a_removed_kind_ends_its_watch_and_is_404() -> None:
    async with running() as client, client.watch(KUSTOMIZATIONS, "") as stream:
        client.cluster.resources.remove("kustomize.toolkit.fluxcd.io", "kustomizations")
        client.cluster.store.pulse()
        assert await line(stream) == {}
        assert (await client.ask("GET", KUSTOMIZATIONS))[0] == 404


async def test_requests_are_logged_with_their_verb() -> None:
    async with running() as client:
        await client.get(KUSTOMIZATIONS)
        last = client.cluster.faults.asked[-1]
        assert (last.verb, last.resource) == ("list", "kustomizations.kustomize.toolkit.fluxcd.io")


async def test_closing_ends_open_watches_at_once() -> None:
    cluster = SimulatedCluster(LoopClock(START))
    async with aiohttp.ClientSession() as session:
        async with cluster.serve() as url:
            response = await session.get(f"{url}{CONFIGMAPS}?watch=1")
        assert await response.content.read() == b""


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/", "paths"),
        ("/version", "gitVersion"),
        ("/api", "versions"),
        ("/api/v1", "resources"),
        ("/apis/apps", "versions"),
    ],
)
async def test_discovery_answers(path: str, key: str) -> None:
    async with running() as client:
        assert (await client.get(path))[key]


async def test_health_is_plain_text() -> None:
    async with running() as client, client.session.get("/readyz") as response:
        assert await response.text() == "ok"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/v1/namespaces/default/unicorns", 404),
        ("PUT", CONFIGMAPS, 405),
        ("GET", f"{CONFIGMAPS}?labelSelector=a%3D%3D%3Db", 400),
        ("GET", f"{CONFIGMAPS}?fieldSelector=oops", 400),
        ("GET", f"{CONFIGMAPS}?continue=nonsense", 400),
        ("GET", f"{CONFIGMAPS}?watch=1&resourceVersion=abc", 400),
        ("GET", f"{CONFIGMAPS}?watch=1&resourceVersion=99999999", 504),
        ("GET", f"{CONFIGMAPS}/a/status", 404),
        ("POST", CONFIGMAPS, 400),
    ],
)
async def test_what_cannot_be_asked_is_a_status(method: str, path: str, status: int) -> None:
    async with running() as client:
        async with client.session.request(method, path, data=b"[]" if method == "POST" else None) as response:
            body = await response.json()
        assert (response.status, body["kind"], body["code"]) == (status, "Status", status)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"metadata": {"name": "a", "namespace": "other"}}, 400),
        ({"metadata": {"name": "a", "labels": {"x": 1}}}, 400),
        ({"metadata": {"name": "a"}, "kind": "Secret"}, 400),
        ({"metadata": {"name": "a"}, "spec": "text"}, 422),
        ({"metadata": {}}, 422),
    ],
)
async def test_a_body_that_cannot_be_stored_is_refused(body: Json, status: int) -> None:
    async with running() as client:
        assert (await client.ask("POST", CONFIGMAPS, body))[0] == status


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/merge-patch+json", [], 400),
        ("application/json-patch+json", {}, 400),
        ("application/apply-patch+yaml", {"spec": {}}, 400),
        ("text/plain", {}, 415),
        ("application/merge-patch+json", {"metadata": {"name": "b"}}, 200),
    ],
)
async def test_a_patch_of_the_wrong_shape_is_refused(kind: str, body: object, status: int) -> None:
    async with running() as client:
        await client.ask("POST", CONFIGMAPS, config("a"))
        assert (await client.ask("PATCH", f"{CONFIGMAPS}/a", body, headers={"Content-Type": kind}))[0] == status


async def test_broken_json_is_400() -> None:
    async with running() as client, client.session.post(CONFIGMAPS, data=b"{") as response:
        assert response.status == 400


async def test_a_name_is_generated_from_its_beginning() -> None:
    async with running() as client:
        names = set()
        for _ in range(3):
            _, body = await client.ask("POST", CONFIGMAPS, {"metadata": {"generateName": "job-"}})
            names.add(body["metadata"]["name"])
        assert len(names) == 3
        assert {len(name) for name in names} == {len("job-") + 5}


async def test_a_collection_is_deleted_by_selector() -> None:
    async with running() as client:
        for item in (config("a", app="x"), config("b", app="y")):
            await client.ask("POST", CONFIGMAPS, item)
        await client.ask("DELETE", f"{CONFIGMAPS}?labelSelector=app%3Dx")
        assert [item["metadata"]["name"] for item in (await client.get(CONFIGMAPS))["items"]] == ["b"]


async def test_an_orphaning_delete_leaves_what_is_owned() -> None:
    async with running() as client:
        _, owner = await client.ask("POST", CONFIGMAPS, config("owner"))
        owned = config("owned")
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
        owned["metadata"]["ownerReferences"] = [reference]
        await client.ask("POST", CONFIGMAPS, owned)
        await client.ask("DELETE", f"{CONFIGMAPS}/owner?propagationPolicy=Orphan")
        assert [item["metadata"]["name"] for item in (await client.get(CONFIGMAPS))["items"]] == ["owned"]


async def test_a_deleted_object_takes_no_new_finalizers() -> None:
    async with running() as client:
        body = kustomization("apps")
        body["metadata"]["finalizers"] = ["one/two"]
        await client.ask("POST", KUSTOMIZATIONS, body)
        await client.ask("DELETE", f"{KUSTOMIZATIONS}/apps")
        more = {"metadata": {"finalizers": ["one/two", "three/four"]}}
        assert (await client.ask("PATCH", f"{KUSTOMIZATIONS}/apps", more, headers=MERGE))[0] == 422


async def test_an_old_change_falls_out_of_the_window() -> None:
    async with running() as client:
        client.cluster.store.window = 2
        version = (await client.get(CONFIGMAPS))["metadata"]["resourceVersion"]
        for name in "abc":
            await client.ask("POST", CONFIGMAPS, config(name))
        async with client.watch(CONFIGMAPS, f"resourceVersion={version}") as stream:
            assert (await line(stream))["type"] == "ERROR"


async def test_a_watch_of_one_namespace_does_not_see_another() -> None:
    async with running() as client, client.watch(CONFIGMAPS, "") as stream:
        await client.ask("POST", "/api/v1/namespaces/kube-system/configmaps", config("other"))
        await client.ask("POST", CONFIGMAPS, config("mine"))
        assert (await line(stream))["object"]["metadata"]["name"] == "mine"


@pytest.mark.looptime
async def test_latency_is_added_to_every_answer() -> None:
    async with running() as client:
        client.cluster.faults.latency = 3.0
        began = asyncio.get_running_loop().time()
        await client.get(CONFIGMAPS)
        assert asyncio.get_running_loop().time() - began >= 3.0


async def test_a_told_failure_spares_other_verbs_and_a_permit_ends_a_denial() -> None:
    async with running() as client:
        client.cluster.faults.fail_next(1, 503, verb="create", resource="configmaps")
        assert (await client.ask("GET", CONFIGMAPS))[0] == 200
        assert (await client.ask("POST", CONFIGMAPS, config("a")))[0] == 503
        client.cluster.faults.deny("*", "configmaps")
        assert (await client.ask("GET", CONFIGMAPS))[0] == 403
        client.cluster.faults.permit("*", "configmaps")
        assert (await client.ask("GET", CONFIGMAPS))[0] == 200


async def test_without_bookmarks_none_comes() -> None:
    async with running() as client:
        client.cluster.faults.no_bookmarks = True
        async with client.watch(CONFIGMAPS, "allowWatchBookmarks=true&timeoutSeconds=1") as stream:
            assert await stream.read() == b""
