"""The runbook taken literally removes the network; what the product does instead, and when it does nothing."""

import subprocess
import sys

from tests.cluster.eventually import eventually, never
from tests.cluster.seed import FLUX, PLACE, Seed
from tests.cluster.story import Story
from tests.cluster.watchman import ROOT

LITERAL = """apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: literal}
spec:
  match: {kind: HelmRelease, name: cilium, health: Failed}
  severity: critical
  summary: the runbook, taken literally
  remediation:
    mode: auto
    steps:
      - action: delete
"""


async def test_f096_an_unsuspended_delete_uninstalls_the_network_which_is_why_it_is_never_done(own_plane: Story):
    seed = Seed(own_plane)
    await seed.healthy()
    await seed.breaks()
    assert await seed.storage()
    await own_plane.api.delete("HelmRelease", PLACE, "cilium")
    await seed.gone()
    assert await seed.storage() == {}
    assert await own_plane.api.get("DaemonSet", PLACE, "cilium") is None


def test_f096_a_rule_with_the_literal_step_is_refused_with_its_place(tmp_path):
    path = tmp_path / "literal.yaml"
    path.write_text(LITERAL)
    command = [sys.executable, "-m", "daemon", "rules", "check", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{path}:11:" in done.stderr
    assert "delete-release" in done.stderr


async def test_f096_while_git_still_holds_the_release_it_is_suspended_and_not_deleted_and_a_person_is_told(
    own_plane: Story,
):
    seed = Seed(own_plane, prune_disabled=False)
    await seed.healthy()
    watchman = await own_plane.watchman(MODE="auto")
    await seed.breaks()

    async def suspended():
        return ((await seed.release()) or {}).get("spec", {}).get("suspend")

    await eventually("the release to be suspended", suspended, bool, within=90)
    await never("the release is gone", seed.release, lambda found: found is None, for_seconds=30)
    found = (await watchman.incidents())[0]
    typed = "\n".join(found["instructions"])
    assert (
        "In Git: remove HelmRelease/kube-system/cilium from Kustomization/flux-system/cilium (path ./cilium)" in typed
    )
    told = [each["text"] for each in await watchman.timeline(found["id"])]
    assert any("waits for a commit that removes HelmRelease/kube-system/cilium" in each for each in told)
    storage = await seed.storage()
    seed.push("fix: separate cilium bootstrap from flux", with_release=False)
    await own_plane.ask("GitRepository", "fleet", FLUX)
    await seed.gone()
    await seed.bootstrap()
    assert storage.items() <= (await seed.storage()).items()
    done = await own_plane.resolved(watchman, found["id"], within=300)
    assert done["remediation"]["phase"] == "succeeded"


async def test_f095_a_live_delete_while_git_holds_the_release_is_undone_by_its_parent_unsuspended(own_plane: Story):
    seed = Seed(own_plane, prune_disabled=False)
    await seed.healthy()
    await seed.breaks()
    before = await seed.release()
    assert before is not None
    await own_plane.api.patch("HelmRelease", PLACE, "cilium", {"spec": {"suspend": True}})
    await own_plane.api.delete("HelmRelease", PLACE, "cilium")
    await own_plane.ask("Kustomization", "cilium", FLUX)

    def back(found):
        return found is not None and found["metadata"]["uid"] != before["metadata"]["uid"]

    again = await eventually("the parent to put it back", seed.release, back, within=60)
    assert again is not None
    assert "suspend" not in again["spec"]
