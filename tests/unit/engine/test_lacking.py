"""What an object needs and what is not there: named as the cause, and one incident for all who need it."""

import pytest

from daemon.engine.surroundings import missing_need
from daemon.model.objects import ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.signals import Synced
from tests.builders import RULES, T0, Cluster, Story, failing, needs, ready, ref, waiting

A, B = ref("Kustomization", "a"), ref("Kustomization", "b")
VARS = ObjectRef("default", "", "ConfigMap", "apps", "vars")
TOKEN = ObjectRef("default", "", "Secret", "apps", "token")
NAMESPACE = ObjectRef("default", "", "Namespace", "", "edge")
NO_VARS = (
    "post build failed for 'Deployment.v1.apps/x': substitute from 'ConfigMap/vars' error: "
    'configmaps "vars" not found'
)
NO_TOKEN = "failed to get secret 'apps/token': secrets \"token\" not found"
NO_NAMESPACE = 'ConfigMap/edge/x not found: namespaces "edge" not found'
ENDING = 'configmaps "x" is forbidden: unable to create new content in namespace edge because it is being terminated'
POLICY = (
    "dry-run failed (Invalid): deployments.apps \"{}\" is forbidden: ValidatingAdmissionPolicy 'only-ours' with binding"
)
GATEKEEPER = 'admission webhook "validation.gatekeeper.sh" denied the request: [{}] no'
KYVERNO = (
    'admission webhook "validate.kyverno.svc-fail" denied the request: \n\nresource Deployment/apps/x was blocked '
    "due to the following policies \n\n{}:\n  check: 'validation error'"
)
RIGHTS = 'configmaps "{}" is forbidden: User "system:serviceaccount:apps:deployer" cannot patch resource "configmaps"'


@pytest.mark.parametrize(("need", "message"), [(VARS, NO_VARS), (TOKEN, NO_TOKEN)])
def test_the_missing_thing_is_named_in_the_cause_with_how_to_look_for_it(need, message):
    story = Story().see(Cluster().state("Kustomization", "a", failing("BuildFailed", message), needs=(VARS, TOKEN)))
    incident = story.wait(30).case.incident
    assert f"needs {need.kind} {need.place}, which does not exist" in incident.cause
    assert f"kubectl -n apps get {need.kind.lower()} {need.name}" in incident.next_step
    assert "need-missing" in incident.rules


@pytest.mark.parametrize(
    "message",
    [
        "kustomize build failed: no such file",
        "Deployment/apps/vars not found",  # another kind
        'configmaps "other" not found',  # another name
        'could not read key "x" of configmap "vars"',  # it is there
    ],
)
def test_what_a_message_does_not_say_is_missing_is_not(message):
    state = ObjectState(A, needs=(VARS,))
    assert missing_need(state, message) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (NO_VARS, NO_VARS.replace("Deployment.v1.apps/x", "Service.v1.[noGrp]/y")),
        (NO_NAMESPACE, NO_NAMESPACE.replace("ConfigMap/edge/x", "Secret/edge/y")),
        (POLICY.format("x"), POLICY.format("y")),
        (GATEKEEPER.format("must-have-owner"), GATEKEEPER.format("must-have-owner")),
        (KYVERNO.format("require-labels"), KYVERNO.format("require-labels")),
        (RIGHTS.format("x"), RIGHTS.format("y")),
    ],
)
def test_what_many_fail_of_alike_is_one_incident(first, second):
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing("ReconciliationFailed", first), needs=(VARS,)))
    story.wait(7).see(cluster.state("Kustomization", "b", failing("ReconciliationFailed", second), needs=(VARS,)))
    assert story.wait(60).case.incident.root == A
    assert story.members() == {"Kustomization/apps/a", "Kustomization/apps/b"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (POLICY.format("x"), POLICY.format("x").replace("only-ours", "no-root")),
        (GATEKEEPER.format("must-have-owner"), GATEKEEPER.format("no-latest-tag")),
        (KYVERNO.format("require-labels"), KYVERNO.format("no-host-path")),
        (GATEKEEPER.replace("[{}]", ""), GATEKEEPER.replace("[{}]", "")),  # a webhook's own words about each
        (RIGHTS.format("x"), RIGHTS.format("x").replace("deployer", "other")),
        (NO_NAMESPACE, NO_NAMESPACE.replace('"edge"', '"core"')),
    ],
)
def test_what_two_fail_of_differently_are_two_incidents(first, second):
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing("ReconciliationFailed", first)))
    story.wait(7).see(cluster.state("Kustomization", "b", failing("ReconciliationFailed", second)))
    assert [case.incident.root for case in story.wait(60).cases] == [A, B]


def test_who_brings_a_missing_namespace_and_fails_is_the_cause():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Kustomization", "b", failing("BuildFailed"), contains=(NAMESPACE,)),
        cluster.state("Kustomization", "a", failing("ReconciliationFailed", NO_NAMESPACE)),
    )
    assert story.wait(60).case.incident.root == B
    assert A in {member.ref for member in story.case.incident.members}


def test_a_namespace_that_does_not_end_is_the_cause_of_what_cannot_be_applied_into_it():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Namespace", "edge", namespace="", deleted_at=T0),
        cluster.state("Kustomization", "a", failing("ReconciliationFailed", ENDING)),
    )
    assert story.wait(400).case.incident.root == NAMESPACE
    assert A in {member.ref for member in story.case.incident.members}


def test_a_namespace_whose_deletion_hangs_is_told_by_itself_with_what_holds_it():
    content = failing("ContentRemaining", "Some resources are remaining: pvcs. has 1 resource instances")
    holding = type(content)("NamespaceContentRemaining", "True", content.reason, content.message)
    story = Story().see(Cluster().state("Namespace", "edge", holding, namespace="", deleted_at=T0))
    assert story.wait(299).cases == []
    assert "Some resources are remaining" in story.wait(30).case.incident.cause


def test_a_need_that_is_there_again_ends_the_incident():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing("BuildFailed", NO_VARS), needs=(VARS,))).wait(30)
    story.see(cluster.state("Kustomization", "a", ready(), needs=(VARS,))).wait(60)
    assert story.case.incident.state.value == "resolved"


def test_a_root_that_lacks_nothing_any_more_and_still_fails_keeps_its_place():
    cluster, gone = Cluster(), ref("Kustomization", "c")
    nobody = RULES.replace("health: Failed", "health: Failed, reason: Never")
    story = Story(nobody).give(Synced(T0, "kustomizations.kustomize.toolkit.fluxcd.io"))
    for name in "ab":
        lacks = waiting("apps/c", "not found")
        story.see(cluster.state("Kustomization", name, lacks, depends_on=needs(gone))).wait(1)
    assert story.wait(30).case.incident.root == A
    story.see(cluster.state("Kustomization", "a", failing("BuildFailed"))).wait(60)
    assert [case.incident.root for case in story.cases] == [A, B]  # and who lacks it still has an incident of its own
