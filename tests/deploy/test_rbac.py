"""The rights equal what the code asks for, in both directions; both sides are computed, neither is a list kept here."""

import asyncio
from datetime import UTC, datetime

import pytest

import daemon.actions
from daemon.actions.plugin import Plugin
from daemon.flux.kinds import by_resource
from daemon.kube.client import connect_dict
from daemon.model.effects import Inspect
from daemon.model.refs import ObjectRef
from daemon.probes import pods
from daemon.runtime.backoff import delays
from daemon.runtime.clock import LoopClock
from daemon.runtime.inbox import KeyedInbox
from daemon.runtime.plugins import discover
from daemon.settings import load
from daemon.simulator.server import SimulatedCluster, kubeconfig
from daemon.sources import objects

READ = {"get", "list", "watch"}
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def series():
    while True:
        yield delays()


def right(resource: str, verb: str) -> tuple[str, str, str]:
    plural, _, group = resource.partition(".")
    return (group, plural, verb)


def declared() -> set[tuple[str, str, str]]:
    """Return the rights that the actions declare."""
    rows = [row for plugin in discover(daemon.actions, Plugin).values() for row in plugin.permissions]
    return {(row.group, row.resource, verb) for row in rows for verb in row.verbs}


async def asked(*, helm_storage: bool) -> tuple[set[str], set[str]]:
    """Run every feed, and one look at pods, against a live cluster; return the verbs of feeds and the looks' rights."""
    clock = LoopClock(START)
    cluster = SimulatedCluster(clock)
    inbox = KeyedInbox()
    async with cluster.serve() as url, await connect_dict("demo", kubeconfig(url)) as kube:
        feeds = objects.feeds(kube, inbox, clock, series(), helm_storage=helm_storage)
        assert {feed.name for feed in feeds} == objects.resources(helm_storage=helm_storage)
        try:
            async with asyncio.timeout(3.0):
                await asyncio.gather(*(feed.run() for feed in feeds))
        except TimeoutError:
            pass
        watching = [(one.verb, one.resource) for one in cluster.faults.asked if one.resource]
        assert {resource for _, resource in watching} <= {feed.name for feed in feeds}
        cluster.faults.asked.clear()
        workload = ObjectRef("demo", "apps", "Deployment", "default", "web")
        await pods.inspect(kube, inbox, clock, Inspect(workload, (("app", "web"),), ()))
        looks = {f"{one.verb} {one.resource}" for one in cluster.faults.asked if one.resource}
    return {verb for verb, _ in watching}, looks


async def needed(*, helm_storage: bool) -> set[tuple[str, str, str]]:
    verbs, looks = await asked(helm_storage=helm_storage)
    watched = {right(resource, verb) for resource in objects.resources(helm_storage=helm_storage) for verb in verbs}
    return watched | {right(look.split()[1], look.split()[0]) for look in looks}


@pytest.mark.looptime
async def test_the_base_may_do_exactly_what_the_watches_and_looks_ask_for(manifests) -> None:
    settings = load(manifests.environment()).settings
    assert manifests.rights("base") == await needed(helm_storage=settings.helm_storage)


@pytest.mark.looptime
async def test_the_component_adds_exactly_what_the_actions_declare_and_the_storage_it_watches(manifests) -> None:
    settings = load(manifests.environment() | manifests.patched_environment("components/auto-fix")).settings
    watched = await needed(helm_storage=settings.helm_storage)
    own = manifests.rights("components/auto-fix")
    assert own | manifests.rights("base") == watched | declared()
    assert own == declared() | (watched - manifests.rights("base"))


def test_p8_the_base_holds_no_right_to_write_and_none_on_secrets(manifests) -> None:
    assert {verb for _, _, verb in manifests.rights("base")} <= READ
    assert not {resource for _, resource, _ in manifests.rights("base")} & {"secrets", "configmaps"}


def test_p8_writes_are_only_on_flux_objects_and_only_patch_and_delete(manifests) -> None:
    writes = {row for row in manifests.rights("components/auto-fix") if row[2] not in READ}
    assert {verb for _, _, verb in writes} == {"patch", "delete"}
    assert all(group.endswith("toolkit.fluxcd.io") for group, _, _ in writes)
    assert {resource for _, resource, verb in writes if verb == "delete"} == {"helmreleases"}


@pytest.mark.parametrize("folder", ["base", "components/auto-fix"])
def test_p8_no_right_is_a_wildcard_or_on_something_unknown(manifests, folder) -> None:
    for group, resource, verb in manifests.rights(folder):
        assert "*" not in group + resource + verb
        assert by_resource(f"{resource}.{group}" if group else resource) is not None


@pytest.mark.parametrize("folder", ["base", "components/auto-fix"])
def test_the_role_is_bound_to_our_service_account_and_to_nobody_else(manifests, folder) -> None:
    binding, account = manifests.one(folder, "ClusterRoleBinding"), manifests.one("base", "ServiceAccount")["metadata"]
    assert binding["roleRef"]["name"] == manifests.one(folder, "ClusterRole")["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    ]
