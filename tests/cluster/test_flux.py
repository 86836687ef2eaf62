"""Flux itself breaks: each controller dies and comes back, the source is down, notifications are dead."""

import pytest

from tests.cluster import manifests
from tests.cluster.story import SOURCE, Story, members_of

CHAIN: dict[str, tuple[str, ...]] = {"base": (), "middle": ("base",), "top": ("middle",)}


@pytest.mark.parametrize(
    "name", ["source-controller", "kustomize-controller", "helm-controller", "notification-controller"]
)
async def test_a_controller_that_dies_and_comes_back_is_no_incident(own_plane: Story, name: str):
    await own_plane.fleet(CHAIN)
    watchman = await own_plane.watchman()
    own_plane.plane.kill(name)
    revision = await own_plane.push({"top/all.yaml": manifests.deployment(own_plane.name, "top", replicas=2)})
    await own_plane.quiet(watchman, 10)
    own_plane.plane.start(name)
    await own_plane.ask("GitRepository", SOURCE)
    await own_plane.applied(revision, *CHAIN)
    await own_plane.quiet(watchman, 5)


async def test_a_failure_while_notifications_are_dead_is_the_same_incident(own_plane: Story):
    await own_plane.fleet(CHAIN)
    watchman = await own_plane.watchman()
    own_plane.plane.kill("notification-controller")
    await own_plane.push({"base/all.yaml": manifests.deployment(own_plane.name, "base", "crash")})
    incident = await own_plane.incident(watchman, "Kustomization/base", within=240)
    assert len(own_plane.told.roots(own_plane.name)) <= 1
    own_plane.plane.start("notification-controller")
    await own_plane.push({"base/all.yaml": manifests.deployment(own_plane.name, "base")})
    incident = await own_plane.resolved(watchman, incident["id"], within=300)
    assert members_of(incident) >= {"Kustomization/middle"}
    await own_plane.told.root(own_plane.name)


async def test_a_source_that_is_down_while_nothing_is_pushed_is_the_root_alone(own_plane: Story):
    await own_plane.fleet(CHAIN)
    watchman = await own_plane.watchman()
    await own_plane.repositories.close_port()
    await own_plane.ask("GitRepository", SOURCE)
    incident = await own_plane.incident(watchman, f"GitRepository/{SOURCE}")
    await own_plane.repositories.open_port()
    await own_plane.ask("GitRepository", SOURCE)
    incident = await own_plane.resolved(watchman, incident["id"])
    assert not members_of(incident) & {f"Kustomization/{name}" for name in CHAIN}


async def test_a_helm_controller_that_stays_dead_is_seen_though_nothing_turns_red(own_plane: Story):
    chart = {"config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-chart}\n"}
    own_plane.repositories.chart("app", "1.0.0", chart)
    await own_plane.apply(manifests.helm_repository(own_plane.name, "charts", own_plane.repositories.charts_url))
    await own_plane.apply(manifests.helm_release(own_plane.name, "db", "app", "1.0.0", "charts"))
    await own_plane.ready("HelmRelease", "db")
    watchman = await own_plane.watchman()
    own_plane.plane.kill("helm-controller")
    await own_plane.api.patch("HelmRelease", own_plane.name, "db", {"spec": {"values": {"a": "1"}}})
    incident = await own_plane.incident(watchman, "HelmRelease/db", within=300)
    await own_plane.blamed(watchman, incident["id"], "controller")
    own_plane.plane.start("helm-controller")
    await own_plane.resolved(watchman, incident["id"])
