"""Failures and pushes on real Flux: one cause is one incident, what only waits is none, nobody is told twice."""

import asyncio

import pytest

from tests.cluster import manifests
from tests.cluster.eventually import eventually
from tests.cluster.story import SOURCE, Story, members_of, root_of

LEVELS = 4
WIDTH = 5


def fleet(levels: int, width: int) -> dict[str, tuple[str, ...]]:
    """Name to what it depends on: every one of a level on one of the level before."""
    return {
        f"l{level}-{index}": (f"l{level - 1}-{index}",) if level else ()
        for level in range(levels)
        for index in range(width)
    }


async def test_a_push_through_twenty_kustomizations_that_only_wait_opens_nothing(story: Story):
    needs = fleet(LEVELS, WIDTH)
    await story.fleet(needs)
    watchman = await story.watchman()
    changed = {f"{name}/all.yaml": manifests.deployment(story.name, name, replicas=2) for name in needs}
    pushing = story.applied(await story.push(changed), *needs)
    _, found = await asyncio.gather(pushing, story.quiet(watchman, 60))
    assert found is None
    await story.quiet(watchman, 5)
    assert not story.told.roots(story.name)


async def test_an_image_that_does_not_exist_is_told_with_what_waits_for_it_and_resolves_after_the_repair(story: Story):
    await story.fleet({"store": (), "shop": ("store",), "checkout": ("shop",)})
    watchman = await story.watchman()
    broken = manifests.deployment(story.name, "store", "imagepull", image="registry.example.test/store:typo")
    await story.push({"store/all.yaml": broken}, "feat(store): new image")
    incident = await story.incident(watchman, "Kustomization/store")
    await story.blamed(watchman, incident["id"], "store:typo")
    await story.push({"store/all.yaml": manifests.deployment(story.name, "store")}, "fix(store): the right image")
    incident = await story.resolved(watchman, incident["id"])
    assert members_of(incident) >= {"Kustomization/shop", "Kustomization/checkout"}
    await story.told.root(story.name)


async def test_a_hundred_dependents_behind_one_root_are_one_message(story: Story):
    names = [f"app-{number:03}" for number in range(100)]
    files = {"base/all.yaml": manifests.deployment(story.name, "base")}
    files |= {"app/all.yaml": manifests.config_map(story.name, "app")}
    await story.source(files)
    await story.apply(manifests.kustomization(story.name, "base", SOURCE, "./base"))
    await story.apply(
        *(manifests.kustomization(story.name, each, SOURCE, "./app", ["base"], prune=False) for each in names)
    )
    await asyncio.gather(*(story.ready("Kustomization", each, within=240) for each in names))
    watchman = await story.watchman()
    await story.push({"base/all.yaml": manifests.deployment(story.name, "base", "crash")})
    incident = await story.incident(watchman, "Kustomization/base")

    async def members() -> int:
        found = await watchman.incidents(story.name)
        assert len(found) == 1, [root_of(each) for each in found]
        return len(members_of(found[0]) & {f"Kustomization/{each}" for each in names})

    await eventually("all hundred to be members", members, lambda count: count == len(names), within=120)
    await story.told.root(story.name)
    assert len(story.told.opened(incident["id"])) == 1


async def test_two_unrelated_causes_are_two_incidents(story: Story):
    await story.fleet({"ads": (), "bidder": ("ads",), "risk": (), "scoring": ("risk",)})
    watchman = await story.watchman()
    broken = {f"{name}/all.yaml": manifests.deployment(story.name, name, "crash") for name in ("ads", "risk")}
    await story.push(broken)

    async def roots() -> dict[str, set[str]]:
        return {root_of(each): members_of(each) for each in await watchman.incidents(story.name)}

    found = await eventually(
        "two incidents with their own members",
        roots,
        lambda seen: (
            "Kustomization/bidder" in seen.get("Kustomization/ads", ())
            and "Kustomization/scoring" in seen.get("Kustomization/risk", ())
        ),
        within=120,
    )
    assert set(found) == {"Kustomization/ads", "Kustomization/risk"}


async def test_a_suspended_object_in_a_healthy_chain_is_no_incident(story: Story):
    await story.fleet({"old": (), "new": ()})
    await story.api.patch("Kustomization", story.name, "old", {"spec": {"suspend": True}})
    watchman = await story.watchman()
    await story.push({"new/all.yaml": manifests.deployment(story.name, "new", replicas=2)})
    await story.ready("Kustomization", "new")
    await story.quiet(watchman, 45)


async def test_a_git_server_that_refuses_is_the_root_and_its_kustomizations_stay_out(story: Story):
    await story.fleet({"maps": ()})
    watchman = await story.watchman()
    story.repositories.faults[SOURCE] = "401"
    await story.ask("GitRepository", SOURCE)
    incident = await story.incident(watchman, f"GitRepository/{SOURCE}")
    await story.blamed(watchman, incident["id"], "authentication")
    assert "Kustomization/maps" not in members_of(incident)
    story.repositories.faults.clear()
    await story.ask("GitRepository", SOURCE)
    await story.resolved(watchman, incident["id"])


async def test_releases_whose_charts_cannot_be_fetched_are_one_incident_about_the_repository(story: Story):
    chart = {"config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-chart}\n"}
    for version in ("1.0.0", "1.1.0"):
        story.repositories.chart("app", version, chart)
    await story.apply(manifests.helm_repository(story.name, "charts", story.repositories.charts_url))
    names = ["radio", "video", "live"]
    await story.apply(*(manifests.helm_release(story.name, each, "app", "1.0.0", "charts") for each in names))
    await asyncio.gather(*(story.ready("HelmRelease", each) for each in names))
    watchman = await story.watchman()
    story.repositories.faults["charts"] = "500"
    await story.apply(*(manifests.helm_release(story.name, each, "app", "1.1.0", "charts") for each in names))
    incident = await story.incident(watchman, "HelmRepository/charts")

    async def members() -> set[str]:
        found = await watchman.incidents(story.name)
        assert [root_of(each) for each in found] == ["HelmRepository/charts"]
        return members_of(found[0])

    await eventually("all releases to be members", members, {f"HelmRelease/{n}" for n in names}.issubset, within=60)
    story.repositories.faults.clear()
    await story.ask("HelmRepository", "charts")
    await story.resolved(watchman, incident["id"], within=300)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: nowhere-at-all}\n", "nowhere-at-all"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: UPPER}\n", "UPPER"),
    ],
    ids=["namespace-missing", "name-invalid"],
)
async def test_a_manifest_that_is_refused_is_the_cause_in_words(story: Story, broken: str, words: str):
    await story.fleet({"api": ()})
    watchman = await story.watchman()
    await story.push({"api/all.yaml": broken})
    incident = await story.incident(watchman, "Kustomization/api")
    await story.blamed(watchman, incident["id"], words)
