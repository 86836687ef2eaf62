"""The truth comes from lists and watches, whatever happens to the API server, the rights or the kinds meanwhile."""

import asyncio
import json
import signal
from pathlib import Path

from tests.cluster import manifests
from tests.cluster.bringup import install_crds
from tests.cluster.eventually import eventually
from tests.cluster.mute import Mute
from tests.cluster.rights import account_kubeconfig, grant, new_token
from tests.cluster.story import Story
from tests.cluster.watchman import Watchman

HANGS = 20.0
CHAIN: dict[str, tuple[str, ...]] = {"base": (), "top": ("base",)}


async def broken(story: Story) -> None:
    await story.push({"base/all.yaml": manifests.deployment(story.name, "base", "crash")})


async def mended(story: Story) -> None:
    await story.push({"base/all.yaml": manifests.deployment(story.name, "base")})


async def unready(watchman: Watchman, words: str) -> str:
    """Wait until the daemon says that it is not ready, or not whole, in these words."""

    async def look() -> str:
        return (await watchman.fetch("/readyz"))[1]

    return await eventually(f"readiness to say {words!r}", look, lambda text: words in text, within=120)


async def test_f012_an_api_server_that_is_restarted_loses_nothing_and_doubles_nothing(own_plane: Story):
    await own_plane.fleet(CHAIN)
    watchman = await own_plane.watchman()
    await broken(own_plane)
    incident = await own_plane.incident(watchman, "Kustomization/base")
    own_plane.plane.restart("kube-apiserver")
    await watchman.until_ready(120)
    await eventually("Flux to be back", lambda: mended_or_not(own_plane), bool, within=60)
    done = await own_plane.resolved(watchman, incident["id"], within=300)
    assert done["id"] == incident["id"]
    assert len(await watchman.incidents(own_plane.name)) == 1
    await own_plane.told.root(own_plane.name)


async def mended_or_not(story: Story) -> bool:
    """Push the repair; say whether the API server took it."""
    try:
        await mended(story)
    except OSError:
        return False
    return True


async def test_f001_a_compacted_history_is_listed_anew(own_plane: Story):
    await own_plane.fleet(CHAIN)
    watchman = await own_plane.watchman()
    await broken(own_plane)
    incident = await own_plane.incident(watchman, "Kustomization/base")
    watchman.process.signal(signal.SIGSTOP)
    await mended(own_plane)
    await own_plane.ready("Kustomization", "base")
    own_plane.plane.compact()
    own_plane.plane.restart("kube-apiserver")
    watchman.process.signal(signal.SIGCONT)
    await own_plane.resolved(watchman, incident["id"], within=240)
    await own_plane.told.root(own_plane.name)


async def test_f016_f017_kinds_that_are_installed_late_are_watched_and_removed_ones_are_no_fault(own_plane: Story):
    names = [each["metadata"]["name"] for each in await own_plane.api.list("CustomResourceDefinition")]
    buckets = next(name for name in names if name.startswith("buckets."))
    own_plane.plane.kill("source-controller")
    await own_plane.api.delete("CustomResourceDefinition", "", buckets)
    watchman = await own_plane.watchman()
    await install_crds(own_plane.plane, own_plane.api)
    own_plane.plane.start("source-controller")
    spec = {"endpoint": "127.0.0.1:1", "bucketName": "x", "interval": "1m", "insecure": True, "timeout": "5s"}
    await own_plane.apply(manifests.made("Bucket", own_plane.name, "late", spec))
    await own_plane.incident(watchman, "Bucket/late", within=180)
    await own_plane.api.delete("CustomResourceDefinition", "", buckets)

    async def closed() -> list[str]:
        return [each["state"] for each in await watchman.incidents(own_plane.name)]

    await eventually(
        "the incident of a kind that is gone to end", closed, lambda states: states == ["resolved"], within=180
    )
    await watchman.until_ready()


async def test_f019_rights_that_are_taken_are_said_and_given_back_are_used(own_plane: Story):
    await own_plane.fleet(CHAIN)
    await grant(own_plane.api)
    watchman = await own_plane.watchman(kubeconfig=await account_kubeconfig(own_plane), HELM_STORAGE="false")
    await own_plane.api.delete("ClusterRoleBinding", "", "fluxmedic")
    own_plane.plane.restart("kube-apiserver")
    await unready(watchman, "kustomizations")
    await broken(own_plane)
    await own_plane.ready("Kustomization", "base", status="False")
    await grant(own_plane.api)
    await watchman.until_ready(180)
    await own_plane.incident(watchman, "Kustomization/base")


async def test_f020_a_token_that_is_rotated_is_read_again(own_plane: Story):
    await own_plane.fleet(CHAIN)
    await grant(own_plane.api)
    kubeconfig = await account_kubeconfig(own_plane)
    watchman = await own_plane.watchman(kubeconfig=kubeconfig, HELM_STORAGE="false")
    await new_token(own_plane)
    own_plane.plane.restart("kube-apiserver")
    await watchman.until_ready(180)
    await broken(own_plane)
    await own_plane.incident(watchman, "Kustomization/base", within=180)


async def test_f006_an_api_server_that_hangs_is_said_and_outlived(own_plane: Story):
    await own_plane.fleet(CHAIN)
    watchman = await own_plane.watchman()
    await broken(own_plane)
    incident = await own_plane.incident(watchman, "Kustomization/base")
    own_plane.plane.pause("kube-apiserver")
    await asyncio.sleep(HANGS)
    own_plane.plane.resume("kube-apiserver")
    await watchman.until_ready(180)
    await mended(own_plane)
    await own_plane.resolved(watchman, incident["id"], within=240)
    assert len(await watchman.incidents(own_plane.name)) == 1


async def test_f006_one_kind_whose_stream_is_silent_is_followed_anew_and_nothing_is_lost(story: Story):
    await story.fleet(CHAIN)
    mute = Mute(story.api)
    async with mute.served() as address:
        watchman = await story.watchman(kubeconfig=_plain(story, address))
        mute.muted.add("kustomizations")
        opened = mute.watches.count("kustomizations")
        await broken(story)
        await story.ready("Kustomization", "base", status="False")
        await story.quiet(watchman, 5)

        async def watches() -> int:
            return mute.watches.count("kustomizations")

        await eventually("the silent watch to be given up", watches, lambda count: count > opened, within=150)
        mute.muted.clear()
        await story.incident(watchman, "Kustomization/base", within=150)


def _plain(story: Story, address: str) -> Path:
    """Write a kubeconfig for a server that asks for nothing."""
    path = story.folder / "plain.kubeconfig"
    context = {"name": "plain", "context": {"cluster": "plain", "user": "plain"}}
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "plain", "cluster": {"server": address}}],
        "users": [{"name": "plain", "user": {}}],
        "contexts": [context],
        "current-context": "plain",
    }
    path.write_text(json.dumps(found))
    return path
