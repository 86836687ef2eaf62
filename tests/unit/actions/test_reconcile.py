"""reconcile against a live cluster: our token is written once, with its preconditions, and seen handled."""

import pytest

from daemon.actions.plugin import OWNER_ANNOTATION, REQUESTED
from daemon.actions.reconcile import PLUGIN
from daemon.model.remedies import Outcome
from daemon.simulator.scenarios import parts

pytestmark = pytest.mark.looptime

PATCH = "patch kustomizations.kustomize.toolkit.fluxcd.io"
SOURCE = "patch gitrepositories.source.toolkit.fluxcd.io"
TOKEN = "fluxmedic-0123456789ab"
WITH_SOURCE = {"source": "true"}


def of_net(it, **more):
    return it.request(it.ref("Kustomization"), **more)


async def test_f099_it_is_done_when_the_controller_says_that_it_handled_our_token(stage) -> None:
    async with stage() as it:
        result = await it.run(PLUGIN, of_net(it))
        assert result.outcome is Outcome.CHANGED
        assert it.live("Kustomization")["status"]["lastHandledReconcileAt"] == TOKEN
        assert set(it.marks("Kustomization")) == {REQUESTED, OWNER_ANNOTATION}
        assert it.writes() == [PATCH]


async def test_f099_a_request_that_no_controller_handles_has_no_effect(stage) -> None:
    async with stage() as it:
        result = await it.run(PLUGIN, of_net(it), flux=False)
        assert result.outcome is Outcome.FAILED
        assert "no effect: its controller has not handled the request yet" in result.detail


async def test_f099_without_a_deadline_the_wait_ends_after_the_objects_own_time(stage) -> None:
    async with stage() as it:
        begun = it.clock.now()
        result = await it.run(PLUGIN, of_net(it, seconds=None), flux=False)
        assert result.outcome is Outcome.FAILED
        assert 150 <= (it.clock.now() - begun).total_seconds() < 152  # 120 s and spec.timeout of 30 s, virtual


async def test_f095_only_annotations_are_written(stage) -> None:
    async with stage() as it:
        before = it.live("Kustomization")
        await it.run(PLUGIN, of_net(it))
        after = it.live("Kustomization")
        assert after["spec"] == before["spec"]
        assert after["metadata"]["generation"] == before["metadata"]["generation"]


async def test_the_source_is_reconciled_before_the_object(stage) -> None:
    async with stage() as it:
        result = await it.run(PLUGIN, of_net(it, params=WITH_SOURCE))
        assert result.outcome is Outcome.CHANGED
        assert it.writes() == [SOURCE, PATCH]
        assert it.live("GitRepository", "flux-system")["status"]["lastHandledReconcileAt"] == TOKEN
        assert result.evidence == ("GitRepository/flux-system/flux-system handled the request",)


async def test_the_source_is_left_alone_unless_it_is_asked_for(stage) -> None:
    async with stage() as it:
        await it.run(PLUGIN, of_net(it, params={"source": "false"}))
        assert it.writes() == [PATCH]


async def test_the_whole_chain_of_a_helm_release_is_reconciled_from_its_far_end(stage) -> None:
    async with stage() as it:
        result = await it.run(PLUGIN, it.request(params=WITH_SOURCE, seconds=60.0))
        assert result.outcome is Outcome.CHANGED
        assert [one.split()[1].partition(".")[0] for one in it.writes()] == [
            "helmrepositories",
            "helmcharts",
            "helmreleases",
        ]


async def test_f095_a_suspended_source_is_passed_over(stage) -> None:
    async with stage() as it:
        it.change(lambda item: item["spec"].update(suspend=True), "GitRepository", "flux-system")
        result = await it.run(PLUGIN, of_net(it, params=WITH_SOURCE))
        assert (result.outcome, it.writes()) == (Outcome.CHANGED, [PATCH])
        assert result.evidence == ("GitRepository/flux-system/flux-system: passed over (suspended)",)


async def test_a_static_helm_repository_is_passed_over(stage) -> None:
    async with stage() as it:
        it.cluster.controllers.queue.stopped.add("HelmRepository")
        it.cluster.put(parts.helm_repository("oci", "oci://registry.example.com/charts"))
        it.change(lambda item: item["spec"]["sourceRef"].update(name="oci"), "HelmChart", "kube-system-net")
        result = await it.run(PLUGIN, it.request(params=WITH_SOURCE, seconds=60.0))
        assert result.evidence[0] == "HelmRepository/flux-system/oci: passed over (not reconciled by Flux)"
        assert "patch helmrepositories.source.toolkit.fluxcd.io" not in it.writes()


async def test_a_source_that_is_not_handled_does_not_keep_the_object_from_being_asked(stage) -> None:
    async with stage() as it:
        it.cluster.controllers.queue.stopped.add("GitRepository")
        result = await it.run(PLUGIN, of_net(it, params=WITH_SOURCE, seconds=10.0))
        assert result.outcome is Outcome.CHANGED
        assert "no effect" in result.evidence[0]


async def test_f095_a_suspended_object_is_refused(stage) -> None:
    async with stage() as it:
        it.change(lambda item: item["spec"].update(suspend=True), "Kustomization")
        result = await it.run(PLUGIN, of_net(it))
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])
        assert "is suspended" in result.detail


async def test_f092_an_object_made_anew_is_refused(stage) -> None:
    async with stage() as it:
        request = it.request()
        it.recreate()
        result = await it.run(PLUGIN, request)
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])


async def test_f092_a_spec_that_changed_since_the_plan_is_refused(stage) -> None:
    async with stage() as it:
        request = of_net(it)
        it.change(lambda item: item["spec"].update(interval="1h"), "Kustomization")
        result = await it.run(PLUGIN, request)
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])


async def test_f092_a_spec_that_changes_at_the_very_write_is_a_conflict_and_nothing_is_touched(stage) -> None:
    async with stage() as it:
        it.before_write("patch", lambda: it.change(lambda item: item["spec"].update(suspend=True), "Kustomization"))
        result = await it.run(PLUGIN, of_net(it))
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [PATCH])
        assert it.marks("Kustomization") == {}


async def test_f101_a_status_that_moves_at_the_very_write_is_read_again(stage) -> None:
    async with stage() as it:
        it.before_write("patch", lambda: it.inventory("Kustomization", "net", []))
        result = await it.run(PLUGIN, of_net(it))
        assert (result.outcome, it.writes()) == (Outcome.CHANGED, [PATCH, PATCH])


async def test_an_object_that_is_not_there_is_refused(stage) -> None:
    async with stage() as it:
        result = await it.run(PLUGIN, it.request(it.ref("Kustomization", "nowhere")))
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])


async def test_an_object_that_goes_while_it_is_waited_for_is_refused(stage) -> None:
    async with stage() as it:

        def asked(item):
            return TOKEN in item["metadata"].get("annotations", {}).values()

        it.once(asked, it.vanish)
        result = await it.run(PLUGIN, it.request(), flux=False)
        assert result.outcome is Outcome.REFUSED
        assert "not found" in result.detail


async def test_f100_a_missing_right_is_told_with_its_reason(stage) -> None:
    async with stage() as it:
        it.faults.deny("patch", "kustomizations.kustomize.toolkit.fluxcd.io")
        result = await it.run(PLUGIN, of_net(it))
        assert (result.outcome, it.writes()) == (Outcome.FAILED, [PATCH])
        assert "403" in result.detail


async def test_f102_a_dry_run_asks_the_server_and_changes_nothing(stage) -> None:
    async with stage() as it:
        result = await it.run(PLUGIN, of_net(it, params=WITH_SOURCE, dry_run=True), flux=False)
        assert result.outcome is Outcome.UNCHANGED
        assert (it.marks("Kustomization"), it.marks("GitRepository", "flux-system")) == ({}, {})
        asked = [one.query for one in it.faults.asked if one.method == "PATCH"]
        assert asked == ["fieldManager=fluxmedic&dryRun=All"] * 2


async def test_the_same_request_again_writes_nothing(stage) -> None:
    async with stage() as it:
        request = of_net(it)
        await it.run(PLUGIN, request)
        it.faults.asked.clear()
        assert (await it.run(PLUGIN, request)).outcome is Outcome.CHANGED
        assert it.writes() == []


async def test_a_request_whose_answer_is_lost_is_found_by_looking(stage) -> None:
    async with stage() as it:
        it.faults.fail_next(1, 0, verb="patch", after_write=True)
        request = of_net(it)
        assert (await it.run(PLUGIN, request, flux=False)).outcome is Outcome.UNKNOWN
        assert (await it.look(PLUGIN, request)).outcome is Outcome.CHANGED


async def test_a_request_that_never_arrived_is_known_by_looking(stage) -> None:
    async with stage() as it:
        it.faults.fail_next(1, 0, verb="patch")
        request = of_net(it)
        assert (await it.run(PLUGIN, request)).outcome is Outcome.UNKNOWN
        assert (await it.look(PLUGIN, request)).outcome is Outcome.NOT_DONE


async def test_a_look_at_what_is_gone_says_that_it_is_moot(stage) -> None:
    async with stage() as it:
        found = await it.look(PLUGIN, it.request(it.ref("Kustomization", "nowhere")))
        assert found.outcome is Outcome.NOT_DONE


async def test_a_look_that_gets_no_answer_says_so(stage) -> None:
    async with stage() as it:
        it.faults.fail_next(1, 500)
        assert (await it.look(PLUGIN, of_net(it))).outcome is Outcome.UNKNOWN
