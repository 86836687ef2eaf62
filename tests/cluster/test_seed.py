"""The incident this product comes from, on real Flux: seen before it breaks, told once, fixed only where allowed."""

import json

from tests.cluster.eventually import eventually
from tests.cluster.seed import FLUX, PLACE, SILENT, WAITING, Seed
from tests.cluster.story import Story, condition, members_of, root_of

DEPENDENTS = {f"Kustomization/{name}" for name in WAITING}


def contract(incident: dict[str, object]) -> dict[str, str]:
    remediation = incident["remediation"]
    assert isinstance(remediation, dict)
    return {row["id"]: row["state"] for row in remediation["milestones"]}


async def opened(story: Story, watchman, *, within: float = 60):
    return await story.incident(watchman, "HelmRelease/cilium", within=within, namespace=PLACE)


async def joined(story: Story, watchman, *, within: float = 60):
    """Wait until every dependent is a member of the one incident, and that nothing else is open."""

    async def look():
        return await watchman.incidents()

    def holds(found):
        return len(found) == 1 and members_of(found[0]) >= DEPENDENTS

    return (await eventually("one incident with all dependents", look, holds, within=within))[0]


async def test_observe_tells_once_with_every_dependent_and_the_exact_instructions(own_plane: Story):
    seed = Seed(own_plane)
    await seed.healthy()
    watchman = await own_plane.watchman()
    await seed.breaks()
    await opened(own_plane, watchman)
    await seed.spreads(with_release=False)
    incident = await joined(own_plane, watchman)
    assert root_of(incident) == "HelmRelease/cilium"
    assert incident["state"] == "open"
    typed = "\n".join(incident["instructions"])
    assert "flux suspend helmrelease cilium -n kube-system" in typed
    assert "flux reconcile kustomization cilium -n flux-system --with-source" in typed
    assert len(own_plane.told.slack.roots()) == 1
    assert len(own_plane.told.opened(incident["id"])) == 1
    live = await seed.release()
    assert live is not None
    assert "suspend" not in live["spec"]


async def test_the_two_owners_are_named_before_the_first_upgrade_fails(own_plane: Story):
    seed = Seed(own_plane)
    await seed.healthy()
    watchman = await own_plane.watchman()
    seed.push("feat(cilium): manage cilium with flux", with_release=True)
    await own_plane.ask("GitRepository", "fleet", FLUX)

    async def findings():
        _, text = await watchman.fetch("/api/v1/findings")
        release = await seed.release()
        return json.loads(text)["items"], release

    def named(seen):
        found, release = seen
        assert condition(release).get("reason") != "UpgradeFailed", "the upgrade failed and nobody had named them"
        return any("owner" in each["test"] for each in found)

    await eventually("the two owners to be named", findings, named, within=60, every=0.1)


async def test_propose_writes_nothing_until_a_person_approves(own_plane: Story):
    seed = Seed(own_plane)
    await seed.healthy()
    watchman = await own_plane.watchman(MODE="propose")
    await seed.breaks()
    await seed.spreads(with_release=False)
    before = await seed.release()
    incident = await joined(own_plane, watchman)
    plan = incident["remediation"]
    assert plan["phase"] == "proposed"
    after = await seed.release()
    assert before is not None
    assert after is not None
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    done = await watchman.run("approve", plan["plan"], "--yes")
    assert done.returncode == 0, done.stderr
    await seed.gone()
    await seed.bootstrap()
    assert root_of(await own_plane.resolved(watchman, incident["id"], within=240)) == "HelmRelease/cilium"


async def test_auto_removes_the_release_and_orphans_nothing_and_proves_the_recovery(own_plane: Story):
    seed = Seed(own_plane)
    await seed.healthy()
    storage, daemon_set = await seed.storage(), await seed.daemon_set()
    watchman = await own_plane.watchman(MODE="auto")
    await seed.breaks()
    await seed.spreads(with_release=False)
    await seed.gone(within=180)
    kept = await seed.storage()
    assert storage.items() <= kept.items()
    assert (await seed.daemon_set())["metadata"]["uid"] == daemon_set["metadata"]["uid"]
    await seed.bootstrap()
    found = await watchman.incidents()
    assert len(found) == 1
    incident = await own_plane.resolved(watchman, found[0]["id"], within=300)
    assert root_of(incident) == "HelmRelease/cilium"
    assert members_of(incident) >= DEPENDENTS
    states = contract(incident)
    assert {states[each] for each in ("S4", "S6", "S18", "S5", "S10")} == {"met"}
    assert len(own_plane.told.slack.roots()) == 1
    await seed.all_ready()


async def test_a_half_fix_that_turns_everything_green_and_leaves_the_network_down_is_not_resolved(own_plane: Story):
    seed = Seed(own_plane, SILENT)
    await seed.healthy()
    watchman = await own_plane.watchman()
    await seed.breaks()
    await seed.spreads(with_release=False)
    incident = await joined(own_plane, watchman)
    await own_plane.api.patch("HelmRelease", PLACE, "cilium", {"spec": {"suspend": True}})
    await own_plane.api.delete("HelmRelease", PLACE, "cilium")
    await seed.gone()
    seed.push("fix: flux does not check cilium any more", with_release=False, checks=False)
    await seed.bootstrap()
    await own_plane.ask("GitRepository", "fleet", FLUX)
    await seed.all_ready()
    assert (await seed.daemon_set())["status"].get("numberReady", 0) == 0

    async def look():
        return [each for each in await watchman.incidents() if each["id"] == incident["id"]]

    def says_so(found):
        return (
            found
            and found[0]["state"] != "resolved"
            and "cilium" in found[0]["cause"]
            and "0/3" in json.dumps(found[0])
        )

    await eventually("an open incident that names the DaemonSet", look, says_so, within=90)
