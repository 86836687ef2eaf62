"""With exactly the roles in `deploy/` the daemon works; with less, `check` says what; the fence stops all else."""

import copy
from typing import Any

import pytest

from tests.cluster import manifests
from tests.cluster.api import Api, ApiError, path_of
from tests.cluster.rights import BASE, account_kubeconfig, as_account, documents, grant, suspended_release
from tests.cluster.seed import Seed
from tests.cluster.story import Story

OURS = {"reconcile.fluxcd.io/requestedAt": "fluxmedic-1", "fluxmedic.dev/request": "fluxmedic-1"}


async def test_with_the_roles_of_the_base_it_works_and_nothing_it_tries_is_refused(own_plane: Story):
    await own_plane.fleet({"base": (), "top": ("base",)})
    await grant(own_plane.api)
    kubeconfig = await account_kubeconfig(own_plane)
    watchman = await own_plane.watchman(kubeconfig=kubeconfig, HELM_STORAGE="false")
    await own_plane.push({"base/all.yaml": manifests.deployment(own_plane.name, "base", "imagepull")})
    incident = await own_plane.incident(watchman, "Kustomization/base")
    await own_plane.blamed(watchman, incident["id"], "pull")
    assert await refusals(own_plane.api) == 0
    done = await watchman.run("check")
    assert done.returncode == 0, done.stdout


async def refusals(api: Api) -> int:
    """Return how many requests the API server has refused for want of rights; the plane itself makes none."""
    assert api._session is not None
    async with api._session.get(f"{api.server}/metrics") as answer:
        text = await answer.text()
    rows = [row for row in text.splitlines() if row.startswith("apiserver_request_total{") and 'code="403"' in row]
    return int(sum(float(row.rsplit(" ", 1)[1]) for row in rows))


async def test_with_one_verb_less_check_names_it(own_plane: Story):
    less = next(each for each in copy.deepcopy(documents(BASE / "rbac.yaml")) if each["kind"] == "ClusterRole")
    for rule in less["rules"]:
        if "kustomizations" in rule["resources"]:
            rule["verbs"].remove("watch")
    await grant(own_plane.api, change=[less])
    kubeconfig = await account_kubeconfig(own_plane)
    watchman = await own_plane.watchman(kubeconfig=own_plane.plane.kubeconfig, HELM_STORAGE="false")
    done = await watchman.run("check", "--kubeconfig", str(kubeconfig))
    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if "failed" in line]
    assert any("watch" in line and "kustomizations" in line for line in wrong), done.stdout
    assert len(wrong) == 1, done.stdout


async def test_with_the_component_the_whole_fix_goes_through_the_fence(own_plane: Story):
    seed = Seed(own_plane)
    await seed.healthy()
    await grant(own_plane.api, auto_fix=True)
    watchman = await own_plane.watchman(kubeconfig=await account_kubeconfig(own_plane), MODE="auto")
    await seed.breaks()
    await seed.spreads(with_release=False)
    await seed.gone(within=180)
    await seed.bootstrap()
    found = await watchman.incidents()
    done = await own_plane.resolved(watchman, found[0]["id"], within=300)
    assert done["remediation"]["phase"] == "succeeded"
    assert await refusals(own_plane.api) == 0


WRITES: dict[str, tuple[str, dict[str, Any] | None, bool]] = {
    "ask-for-a-run": ("PATCH", {"metadata": {"annotations": OURS}}, True),
    "suspend": ("PATCH", {"spec": {"suspend": True}, "metadata": {"annotations": OURS}}, True),
    "delete-unsuspended": ("DELETE", None, False),
    "change-spec": ("PATCH", {"spec": {"interval": "1h"}}, False),
    "other-annotation": (
        "PATCH",
        {"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}},
        False,
    ),
    "label": ("PATCH", {"metadata": {"labels": {"a": "b"}}}, False),
    "finalizer": ("PATCH", {"metadata": {"finalizers": []}}, False),
}


@pytest.mark.parametrize("name", WRITES)
async def test_f096_the_fence_lets_our_action_through_and_refuses_the_same_account_anything_else(
    story: Story, name: str
):
    method, change, allowed = WRITES[name]
    await grant(story.api, auto_fix=True)
    release = suspended_release(story.name, "db")
    release["spec"]["suspend"] = False
    await story.apply(release)
    await story.ready("HelmRelease", "db", status="False")
    async with await as_account(story) as account:
        path = path_of("HelmRelease", story.name, "db")
        form = "application/merge-patch+json"
        if allowed:
            await account.call(method, path, change, form=form)
            return
        with pytest.raises(ApiError, match="fluxmedic may") as refused:
            await account.call(method, path, change, form=form)
        assert refused.value.code in {403, 422}


async def test_f096_the_fence_lets_a_suspended_release_be_deleted_and_no_kustomization(story: Story):
    await grant(story.api, auto_fix=True)
    await story.apply(suspended_release(story.name, "db"))
    await story.fleet({"api": ()})
    async with await as_account(story) as account:
        with pytest.raises(ApiError) as refused:
            await account.call("DELETE", path_of("Kustomization", story.name, "api"), {})
        assert refused.value.code == 403
        await account.call("DELETE", path_of("HelmRelease", story.name, "db"), {})
