"""delete-release against a live cluster: the HelmRelease goes, the Helm release and its workloads stay."""

import pytest

from daemon.actions.delete_release import PLUGIN
from daemon.actions.plugin import OWNER_ANNOTATION, REQUESTED
from daemon.flux.kinds import OPERATOR
from daemon.model.remedies import Expectation, Outcome
from daemon.simulator.api.resources import Resource
from daemon.simulator.scenarios import parts

pytestmark = pytest.mark.looptime

ENTRY = "kube-system_net_helm.toolkit.fluxcd.io_HelmRelease"
STORAGE = "sh.helm.release.v1.net.v2"


def suspended(item):
    return item["spec"].get("suspend") is True


def resume(item):
    item["spec"]["suspend"] = False


def handled(item):
    return item.get("status", {}).get("lastHandledReconcileAt", "").startswith("fluxmedic-")


# The whole way


async def test_f096_the_release_and_its_workloads_outlive_the_helm_release(stage) -> None:
    async with stage() as it:
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.CHANGED
        assert it.gone
        assert it.uids() == it.before
        assert set(result.evidence) >= {f"kept: {name} (uid {uid})" for name, uid in it.before.items()}
        assert it.writes() == [
            "patch helmreleases.helm.toolkit.fluxcd.io",
            "delete helmreleases.helm.toolkit.fluxcd.io",
        ]


async def test_f096_a_plain_delete_would_have_uninstalled_it(stage) -> None:
    # The control: the same cluster, the same object, without our procedure.
    async with stage() as it:
        it.cluster.remove("HelmRelease", "kube-system", "net")
        await it.live_on(5.0)
        assert it.uids() == {}


async def test_f096_the_owners_prune_deletes_what_an_inventory_holds(stage) -> None:
    async with stage(from_git=True) as it:
        settings = [parts.config_map("kube-system", "net-settings")]
        it.once(suspended, lambda: it.cluster.push("fix: hand it back", {"app": settings}))
        result = await it.run(PLUGIN, it.request(seconds=60.0))
        assert result.outcome is Outcome.CHANGED
        assert it.gone
        assert it.uids() == it.before
        assert it.writes() == ["patch helmreleases.helm.toolkit.fluxcd.io"]


async def test_f096_what_git_still_applies_is_suspended_and_not_deleted(stage) -> None:
    async with stage(from_git=True) as it:
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert "remove it from Git: Kustomization flux-system/net (path ./app)" in result.detail
        assert suspended(it.live())
        assert "deletionTimestamp" not in it.live()["metadata"]
        assert it.writes() == ["patch helmreleases.helm.toolkit.fluxcd.io"]


async def test_f096_an_inventory_of_flux_operator_holds_it_too(stage) -> None:
    async with stage() as it:
        it.cluster.resources.install(Resource(OPERATOR, "ResourceSet", "resourcesets", custom=True))
        meta = {"name": "tenants", "namespace": "flux-system"}
        it.cluster.put({"apiVersion": f"{OPERATOR}/v1", "kind": "ResourceSet", "metadata": meta, "spec": {}})
        it.inventory("ResourceSet", "tenants", [ENTRY])
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert "ResourceSet flux-system/tenants still applies it" in result.detail
        assert not it.gone


async def test_f096_the_inventory_of_another_helm_release_holds_it_too(stage) -> None:
    async with stage() as it:
        spec = it.live()["spec"] | {"suspend": True}
        meta = {"name": "umbrella", "namespace": "flux-system"}
        api = "helm.toolkit.fluxcd.io/v2"
        it.cluster.put({"apiVersion": api, "kind": "HelmRelease", "metadata": meta, "spec": spec})
        rows = [{"id": ENTRY, "v": "v2"}]
        it.person.status(
            "HelmRelease", "flux-system", "umbrella", lambda status: status.update(inventory={"entries": rows})
        )
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert "HelmRelease flux-system/umbrella still applies it" in result.detail
        assert not it.gone


async def test_what_is_gone_already_needs_nothing(stage) -> None:
    async with stage() as it:
        it.vanish()
        result = await it.run(PLUGIN, it.request())
        assert (result.outcome, it.writes()) == (Outcome.UNCHANGED, [])


async def test_f097_the_suspension_of_a_person_is_not_claimed_as_ours(stage) -> None:
    async with stage(from_git=True) as it:
        it.change(lambda item: item["spec"].update(suspend=True))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert list(it.marks()) == [REQUESTED]


async def test_f097_our_own_suspension_carries_our_request(stage) -> None:
    async with stage(from_git=True) as it:
        await it.run(PLUGIN, it.request())
        assert set(it.marks()) == {REQUESTED, OWNER_ANNOTATION}


async def test_the_same_request_again_goes_on_where_it_stopped(stage) -> None:
    async with stage(from_git=True) as it:
        request = it.request(seconds=5.0)
        first = await it.run(PLUGIN, request)
        assert first.outcome is Outcome.REFUSED
        it.inventory("Kustomization", "net", [])
        it.faults.asked.clear()
        second = await it.run(PLUGIN, request, flux=False)
        assert it.writes() == ["delete helmreleases.helm.toolkit.fluxcd.io"]
        assert second.outcome is Outcome.FAILED  # its finalizer waits for a controller that is away
        assert "is still there" in second.detail


# Refused before anything is written


async def test_f096_a_kustomization_is_never_deleted(stage) -> None:
    async with stage() as it:
        result = await it.run(PLUGIN, it.request(it.ref("Kustomization")))
        assert (result.outcome, list(it.faults.asked)) == (Outcome.REFUSED, [])


async def test_f092_an_object_made_anew_is_refused(stage) -> None:
    async with stage() as it:
        request = it.request()
        it.recreate()
        result = await it.run(PLUGIN, request)
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])
        assert "another object" in result.detail


async def test_f092_a_spec_that_changed_since_the_plan_is_refused(stage) -> None:
    async with stage() as it:
        request = it.request()
        it.change(lambda item: item["spec"].update(interval="1h"))
        result = await it.run(PLUGIN, request)
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])
        assert "generation 1 is now 2" in result.detail


async def test_f092_a_version_that_must_hold_is_refused_when_it_moved(stage) -> None:
    async with stage() as it:
        meta = it.live()["metadata"]
        request = it.request(expects=Expectation(meta["uid"], None, meta["resourceVersion"]))
        it.touch_status(failures=1)
        result = await it.run(PLUGIN, request)
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])
        assert "resource version" in result.detail


async def test_f096_a_delete_under_way_without_suspension_is_refused(stage) -> None:
    async with stage() as it:
        it.cluster.controllers.queue.stopped.add("HelmRelease")
        it.cluster.remove("HelmRelease", "kube-system", "net")
        result = await it.run(PLUGIN, it.request())
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])
        assert "uninstalling already" in result.detail


async def test_f096_a_release_in_another_cluster_is_refused(stage) -> None:
    async with stage() as it:
        it.change(lambda item: item["spec"].update(kubeConfig={"secretRef": {"name": "far"}}))
        result = await it.run(PLUGIN, it.request())
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])
        assert "another cluster" in result.detail


async def test_f096_without_helm_storage_nothing_could_be_proven(stage) -> None:
    async with stage() as it:
        for name in (STORAGE, "sh.helm.release.v1.net.v1"):
            it.person.delete("Secret", "kube-system", name)
        result = await it.run(PLUGIN, it.request())
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])
        assert "no Helm storage" in result.detail


@pytest.mark.parametrize("resource", ["secrets", "daemonsets.apps", "kustomizations.kustomize.toolkit.fluxcd.io"])
async def test_f100_a_right_to_read_that_is_missing_stops_it_before_the_first_write(stage, resource) -> None:
    async with stage() as it:
        it.faults.deny("list", resource)
        result = await it.run(PLUGIN, it.request())
        assert (result.outcome, it.writes()) == (Outcome.FAILED, [])
        assert "nothing was done" in result.detail


async def test_f100_a_denial_of_admission_is_told_in_its_own_words(stage) -> None:
    async with stage() as it:
        it.faults.admission.append(lambda verb, _: "change window closed" if verb == "UPDATE" else None)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.FAILED
        assert "change window closed" in result.detail
        assert it.writes() == ["patch helmreleases.helm.toolkit.fluxcd.io"]
        assert not suspended(it.live())


async def test_f102_a_dry_run_asks_the_server_and_changes_nothing(stage) -> None:
    async with stage() as it:
        version = it.live()["metadata"]["resourceVersion"]
        result = await it.run(PLUGIN, it.request(dry_run=True), flux=False)
        assert result.outcome is Outcome.UNCHANGED
        assert it.live()["metadata"]["resourceVersion"] == version
        assert [one.query for one in it.faults.asked if one.method == "PATCH"] == ["fieldManager=fluxmedic&dryRun=All"]


# A Helm action in flight is waited for


async def test_f096_a_pending_revision_is_never_interrupted(stage) -> None:
    async with stage() as it:
        it.person.change("Secret", "kube-system", STORAGE, pending)
        result = await it.run(PLUGIN, it.request())
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])
        assert "revision 2 is pending-upgrade" in result.detail
        assert not suspended(it.live())


async def test_f096_a_run_of_helm_controller_is_never_interrupted(stage) -> None:
    async with stage() as it:
        row = {"type": "Reconciling", "status": "True", "reason": "Progressing", "message": "Running 'upgrade' action"}
        it.touch_status(conditions=[row])
        result = await it.run(PLUGIN, it.request(), flux=False)
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])
        assert "Running 'upgrade' action" in result.detail


async def test_it_goes_on_once_the_pending_revision_is_over(stage) -> None:
    async with stage() as it:
        it.person.change("Secret", "kube-system", STORAGE, pending)
        looks = []

        async def after_a_while() -> None:
            await it.clock.sleep(4.0)
            looks.append(it.writes())
            it.person.change("Secret", "kube-system", STORAGE, deployed)

        result = await it.beside(PLUGIN, it.request(seconds=30.0), after_a_while)
        assert looks == [[]]
        assert result.outcome is Outcome.CHANGED
        assert it.uids() == it.before


async def test_f096_an_upgrade_from_outside_that_begins_after_the_suspension_is_waited_for(stage) -> None:
    async with stage() as it:
        it.once(suspended, lambda: it.person.change("Secret", "kube-system", STORAGE, pending))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert "revision 2 is pending-upgrade" in result.detail
        assert not it.gone


def pending(secret):
    secret["metadata"]["labels"]["status"] = "pending-upgrade"


def deployed(secret):
    secret["metadata"]["labels"]["status"] = "deployed"


async def test_f092_a_spec_that_changes_while_a_helm_action_is_waited_for_is_refused(stage) -> None:
    async with stage() as it:
        it.person.change("Secret", "kube-system", STORAGE, pending)

        async def meanwhile() -> None:
            await it.clock.sleep(3.0)
            it.change(lambda item: item["spec"].update(timeout="1m"))
            it.person.change("Secret", "kube-system", STORAGE, deployed)

        result = await it.beside(PLUGIN, it.request(), meanwhile)
        assert (result.outcome, it.writes()) == (Outcome.REFUSED, [])


async def test_what_a_person_removes_safely_while_we_wait_is_proven_too(stage) -> None:
    async with stage() as it:
        it.person.change("Secret", "kube-system", STORAGE, pending)

        async def meanwhile() -> None:
            await it.clock.sleep(3.0)
            it.vanish()

        result = await it.beside(PLUGIN, it.request(), meanwhile)
        assert (result.outcome, it.writes()) == (Outcome.CHANGED, [])


# The suspension must be observed and must stay


async def test_f099_a_suspension_that_no_controller_observes_is_not_enough(stage) -> None:
    async with stage() as it:
        it.cluster.controllers.queue.stopped.add("HelmRelease")
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert "has not observed the suspension" in result.detail
        assert suspended(it.live())
        assert it.writes() == ["patch helmreleases.helm.toolkit.fluxcd.io"]


async def test_f095_a_suspension_taken_back_ends_it(stage) -> None:
    async with stage() as it:
        it.once(handled, lambda: it.change(resume))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert "taken back" in result.detail or "took the suspension back" in result.detail
        assert not it.gone
        assert it.uids() == it.before


async def test_f095_a_suspension_taken_back_before_it_is_observed_ends_it(stage) -> None:
    async with stage() as it:
        it.cluster.controllers.queue.stopped.add("HelmRelease")
        it.once(suspended, lambda: it.change(resume))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert "suspend: false in Git" in result.detail
        assert it.writes() == ["patch helmreleases.helm.toolkit.fluxcd.io"]


async def test_f092_a_suspension_taken_back_at_the_very_delete_ends_it(stage) -> None:
    async with stage() as it:
        it.before_write("delete", lambda: it.change(resume))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert "taken back" in result.detail
        assert "deletionTimestamp" not in it.live()["metadata"]
        assert it.uids() == it.before


async def test_f092_what_was_put_back_at_the_very_delete_is_not_deleted(stage) -> None:
    async with stage() as it:
        it.before_write("delete", it.recreate)
        result = await it.run(PLUGIN, it.request(), flux=True)
        assert result.outcome is Outcome.REFUSED
        assert "put back" in result.detail
        assert "deletionTimestamp" not in it.live()["metadata"]


async def test_f092_what_was_put_back_before_the_suspension_was_observed_is_not_deleted(stage) -> None:
    async with stage() as it:
        it.cluster.controllers.queue.stopped.add("HelmRelease")
        it.once(suspended, it.recreate)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert "created anew" in result.detail
        assert it.writes() == ["patch helmreleases.helm.toolkit.fluxcd.io"]


async def test_f092_what_is_put_back_while_an_inventory_holds_it_is_not_deleted(stage) -> None:
    async with stage(from_git=True) as it:

        async def meanwhile() -> None:
            await it.clock.sleep(5.0)
            it.recreate(suspend=True)

        result = await it.beside(PLUGIN, it.request(), meanwhile)
        assert result.outcome is Outcome.REFUSED
        assert "somebody else writes it" in result.detail


async def test_f096_an_annotation_that_pauses_other_kinds_is_no_suspension(stage) -> None:
    async with stage() as it:
        paused = {"fluxcd.controlplane.io/reconcile": "disabled"}
        it.change(lambda item: item["metadata"].setdefault("annotations", {}).update(paused))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.CHANGED
        assert it.writes()[0] == "patch helmreleases.helm.toolkit.fluxcd.io"
        assert it.uids() == it.before


async def test_f096_such_an_annotation_does_not_let_a_suspension_that_was_taken_back_pass(stage) -> None:
    async with stage() as it:
        paused = {"fluxcd.controlplane.io/reconcile": "disabled"}
        it.change(lambda item: item["metadata"].setdefault("annotations", {}).update(paused))
        it.before_write("delete", lambda: it.change(resume))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert it.uids() == it.before


@pytest.mark.parametrize("at", ["patch", "delete"])
async def test_what_somebody_else_removes_under_our_hands_is_proven_all_the_same(stage, at) -> None:
    async with stage() as it:
        if at == "patch":
            it.once(suspended, it.vanish)
        else:
            it.before_write("delete", it.vanish)
        result = await it.run(PLUGIN, it.request())
        assert (result.outcome, it.gone) == (Outcome.CHANGED, True)
        assert it.uids() == it.before


async def test_what_somebody_removes_between_the_last_looks_is_proven_all_the_same(stage) -> None:
    async with stage() as it:
        it.once(handled, it.vanish)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.CHANGED
        assert it.writes() == ["patch helmreleases.helm.toolkit.fluxcd.io"]


# Conflicts


async def test_f101_a_status_that_moves_under_the_suspension_is_read_again(stage) -> None:
    async with stage() as it:
        counter = iter(range(1, 9))
        it.before_write("patch", lambda: it.touch_status(failures=next(counter)), times=2)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.CHANGED
        assert it.writes().count("patch helmreleases.helm.toolkit.fluxcd.io") == 3


async def test_f101_three_conflicts_are_enough(stage) -> None:
    async with stage() as it:
        counter = iter(range(1, 9))
        it.before_write("patch", lambda: it.touch_status(failures=next(counter)), times=9)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert it.writes() == ["patch helmreleases.helm.toolkit.fluxcd.io"] * 3
        assert not suspended(it.live())


async def test_f092_a_spec_that_changes_at_the_very_suspension_is_a_conflict(stage) -> None:
    async with stage() as it:
        it.before_write("patch", lambda: it.change(lambda item: item["spec"].update(interval="2h")))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert it.writes() == ["patch helmreleases.helm.toolkit.fluxcd.io"]
        assert not suspended(it.live())


async def test_f092_an_object_put_in_place_at_the_very_suspension_is_not_touched(stage) -> None:
    async with stage() as it:
        it.before_write("patch", it.recreate)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert it.marks() == {}
        assert not suspended(it.live())


async def test_f101_a_status_that_moves_under_the_delete_is_read_again_three_times(stage) -> None:
    async with stage() as it:
        counter = iter(range(1, 9))
        it.before_write("delete", lambda: it.touch_status(failures=next(counter)), times=9)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.REFUSED
        assert it.writes()[1:] == ["delete helmreleases.helm.toolkit.fluxcd.io"] * 3
        assert not it.gone


# The proof


async def test_f096_a_workload_that_went_with_it_is_a_failure_by_name(stage) -> None:
    async with stage() as it:
        it.before_write("delete", lambda: it.person.delete("Deployment", "kube-system", "net-operator"))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.FAILED
        assert result.detail.endswith("is gone, but so are: Deployment/net-operator")


async def test_f096_a_workload_of_the_same_name_made_anew_is_a_failure(stage) -> None:
    async with stage() as it:

        def remake() -> None:
            old = it.cluster.get("DaemonSet", "kube-system", "net")
            it.person.delete("DaemonSet", "kube-system", "net")
            keep = {key: old["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
            it.cluster.put({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": keep, "spec": old["spec"]})

        it.before_write("delete", remake)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.FAILED
        assert "DaemonSet/net" in result.detail


async def test_f096_a_workload_that_is_being_deleted_has_not_survived(stage) -> None:
    async with stage() as it:

        def doom() -> None:
            it.person.change(
                "Deployment", "kube-system", "net-operator", lambda item: item["metadata"].update(finalizers=["x/y"])
            )
            it.person.delete("Deployment", "kube-system", "net-operator")

        it.before_write("delete", doom)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.FAILED
        assert "Deployment/net-operator" in result.detail


async def test_f096_storage_that_went_with_it_is_a_failure(stage) -> None:
    async with stage() as it:
        it.before_write("delete", lambda: it.person.delete("Secret", "kube-system", STORAGE))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.FAILED
        assert f"Secret/{STORAGE}" in result.detail


async def test_a_workload_of_another_release_is_not_counted(stage) -> None:
    async with stage() as it:
        it.cluster.put(parts.deployment("kube-system", "stranger", "quay.io/example/other:v1"))
        it.before_write("delete", lambda: it.person.delete("Deployment", "kube-system", "stranger"))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.CHANGED


async def test_what_is_put_back_at_once_is_told(stage) -> None:
    async with stage() as it:

        def back(resource, change) -> None:
            if resource.kind == "HelmRelease" and change.type == "DELETED":
                it.cluster.store.listeners.remove(back)
                it.cluster.put(it.manifest(suspend=True))

        it.cluster.store.listeners.append(back)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.FAILED
        assert "put back at once" in result.detail


# Silence


async def test_an_api_server_that_is_silent_for_a_while_is_asked_again(stage) -> None:
    async with stage() as it:
        it.once(suspended, lambda: it.faults.fail_next(3, 503, verb="get"))
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.CHANGED
        assert it.uids() == it.before


async def test_a_delete_whose_answer_is_lost_is_looked_up_and_not_repeated(stage) -> None:
    async with stage() as it:
        it.faults.fail_next(1, 504, verb="delete", after_write=True)
        request = it.request()
        result = await it.run(PLUGIN, request)
        assert result.outcome is Outcome.UNKNOWN
        assert it.writes().count("delete helmreleases.helm.toolkit.fluxcd.io") == 1
        it.vanish_if_held()
        assert (await it.look(PLUGIN, request)).outcome is Outcome.CHANGED


async def test_a_delete_that_the_connection_sends_twice_is_still_one_delete_of_this_object(stage) -> None:
    # The HTTP client repeats an idempotent request over a fresh connection; the preconditions make that harmless.
    async with stage() as it:
        it.faults.fail_next(1, 0, verb="delete", after_write=True)
        result = await it.run(PLUGIN, it.request())
        assert result.outcome is Outcome.CHANGED
        assert it.uids() == it.before


async def test_a_suspension_whose_answer_is_lost_is_seen_by_looking(stage) -> None:
    async with stage() as it:
        it.faults.fail_next(1, 0, verb="patch", after_write=True)
        request = it.request()
        assert (await it.run(PLUGIN, request)).outcome is Outcome.UNKNOWN
        found = await it.look(PLUGIN, request)
        assert found.outcome is Outcome.NOT_DONE
        assert "suspended by us and is still there" in found.detail


async def test_a_suspension_that_never_arrived_is_seen_by_looking(stage) -> None:
    async with stage() as it:
        it.faults.fail_next(1, 0, verb="patch")
        request = it.request()
        assert (await it.run(PLUGIN, request)).outcome is Outcome.UNKNOWN
        found = await it.look(PLUGIN, request)
        assert found.outcome is Outcome.NOT_DONE
        assert "was not touched" in found.detail


async def test_a_look_that_gets_no_answer_says_so(stage) -> None:
    async with stage() as it:
        it.faults.fail_next(1, 500)
        assert (await it.look(PLUGIN, it.request())).outcome is Outcome.UNKNOWN


async def test_f092_a_look_knows_an_object_of_the_same_name_for_another(stage) -> None:
    async with stage() as it:
        request = it.request()
        it.recreate()
        found = await it.look(PLUGIN, request)
        assert found.outcome is Outcome.FAILED
        assert "another object" in found.detail
