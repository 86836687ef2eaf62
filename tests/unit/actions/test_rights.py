"""The actions stay inside what they declare and inside the admission policy that is shipped, on a live cluster."""

import pytest

from daemon.actions import delete_release, reconcile
from daemon.flux.kinds import OPERATOR
from daemon.model.errors import Forbidden
from daemon.model.remedies import Outcome
from daemon.simulator.api.resources import Resource
from tests.deploy.policy import Policy

pytestmark = pytest.mark.looptime


def asked(it):
    found = set()
    for one in it.faults.asked:
        plural, _, group = one.resource.partition(".")
        found |= {(group, plural, one.verb)} if plural else set()
    return found


def declared(plugin):
    return {(row.group, row.resource, verb) for row in plugin.permissions for verb in row.verbs}


def fence(it) -> list[str]:
    """Judge every write by the policy, as the API server would; return what was judged."""
    policy, judged = Policy(), []

    def admit(verb, new):
        meta = new["metadata"]
        old = it.cluster.get(new["kind"], meta["namespace"], meta["name"])
        resource = it.cluster.resources.of_manifest(new["apiVersion"], new["kind"]).plural
        judged.append(f"{verb} {resource}")
        return policy.refuses(verb, resource, old, None if verb == "DELETE" else new) or None

    it.faults.admission.append(admit)
    return judged


async def test_the_removal_asks_for_exactly_the_rights_it_declares(stage) -> None:
    async with stage() as it:
        for kind in ("ResourceSet", "FluxInstance"):
            it.cluster.resources.install(Resource(OPERATOR, kind, f"{kind.lower()}s", custom=True))
        assert (await it.run(delete_release.PLUGIN, it.request())).outcome is Outcome.CHANGED
        assert asked(it) == declared(delete_release.PLUGIN)


async def test_reconcile_asks_for_no_right_that_it_does_not_declare(stage) -> None:
    async with stage() as it:
        for kind in ("Kustomization", "HelmRelease"):
            request = it.request(it.ref(kind), params={"source": "true"}, seconds=60.0)
            assert (await it.run(reconcile.PLUGIN, request)).outcome is Outcome.CHANGED
        assert asked(it) <= declared(reconcile.PLUGIN)
        assert len(it.writes()) == 5


async def test_f095_both_actions_pass_the_shipped_admission_policy(stage) -> None:
    async with stage() as it:
        judged = fence(it)
        request = it.request(it.ref("Kustomization"), params={"source": "true"}, seconds=60.0)
        assert (await it.run(reconcile.PLUGIN, request)).outcome is Outcome.CHANGED
        assert (await it.run(delete_release.PLUGIN, it.request())).outcome is Outcome.CHANGED
        assert judged == [
            "UPDATE gitrepositories",
            "UPDATE kustomizations",
            "UPDATE helmreleases",
            "DELETE helmreleases",
        ]


async def test_f096_the_policy_stops_a_delete_of_what_somebody_resumed(stage) -> None:
    async with stage() as it:
        fence(it)
        ref, meta = it.ref(), it.live()["metadata"]
        with pytest.raises(Forbidden, match="only one that is suspended"):
            await it.kube.delete(ref, uid=meta["uid"])
        assert it.uids() == it.before
