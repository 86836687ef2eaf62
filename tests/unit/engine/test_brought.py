"""Who brings what is missing: by inventory, or by what came with it and never began; and how long it is waited for."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.model.objects import Condition
from daemon.model.refs import ObjectRef
from daemon.model.signals import EventSeen
from tests.builders import RULES, T0, Cluster, Story, failing, helm, progressing, ready, ref

FAST = RULES.replace("  for: 5s\n", "")
GIT = ref("GitRepository", "git")
CRD = ObjectRef("default", "apiextensions.k8s.io", "CustomResourceDefinition", "", "anvils.forge.example.org")
NO_KIND = 'Anvil/forge/south dry-run failed: no matches for kind "Anvil" in version "forge.example.org/v1"'
NOT_SERVED = (
    "Anvil/forge/south not found: the server could not find the requested resource "
    "(patch anvils.forge.example.org south)"
)
OPERATOR, ANVILS, PARENT = (ref("Kustomization", name) for name in ("operator", "anvils", "all"))
SPACE = ObjectRef("default", "", "Namespace", "", "edge")


def anvils(cluster: Cluster, message: str = NO_KIND, **more):
    facts = {"source": GIT, "retry_interval": 30.0, **more}
    return cluster.state("Kustomization", "anvils", failing("ReconciliationFailed", message), **facts)


@pytest.mark.parametrize("first", ["operator", "anvils"])
def test_an_operator_that_was_never_applied_is_the_cause_of_what_came_with_it_whoever_failed_first(first):
    cluster = Cluster()
    states = [cluster.state("Kustomization", "operator", failing(), source=GIT), anvils(cluster)]
    story = Story()
    for state in states if first == "operator" else reversed(states):
        story.see(state).wait(1)
    incident = story.wait(60).case.incident
    assert incident.root == OPERATOR
    assert story.members() == {"Kustomization/apps/operator", "Kustomization/apps/anvils"}


def test_what_the_same_parent_applied_came_with_it_though_its_source_is_another():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Kustomization", "all", ready(), contains=(ANVILS, ref("HelmRelease", "operator"))),
        cluster.state("HelmRelease", "operator", failing("InstallFailed"), helm=helm("operator")),
        anvils(cluster),
    )
    assert story.wait(60).case.incident.root == ref("HelmRelease", "operator")


@pytest.mark.parametrize(
    "operator",
    [
        {"applied_revision": "main@1"},  # it was applied once, and had no such kind
        {"contains": (ref("Deployment", "web"),)},
        {"source": ref("GitRepository", "elsewhere")},
    ],
)
def test_what_fails_beside_it_and_has_nothing_to_do_with_it_is_another_incident(operator):
    cluster = Cluster()
    story = Story().see(
        cluster.state("Kustomization", "operator", failing(), **{"source": GIT, **operator}), anvils(cluster)
    )
    assert [case.incident.root for case in story.wait(60).cases] == [OPERATOR, ANVILS]


def test_two_that_lack_the_same_kind_do_not_bring_it_to_each_other():
    cluster = Cluster()
    other = cluster.state("Kustomization", "hammers", failing("ReconciliationFailed", NO_KIND), source=GIT)
    incident = Story().see(anvils(cluster), other).wait(90).case.incident
    assert "nothing in Flux is known to bring it" in incident.cause


def test_a_kind_that_an_old_client_still_knows_is_missing_all_the_same():
    incident = Story().see(anvils(Cluster(), NOT_SERVED)).wait(90).case.incident
    assert "a CRD of forge.example.org is not installed" in incident.cause
    assert "anvils.forge.example.org south" in incident.cause


def test_objects_that_come_before_their_kind_are_quiet_while_the_operator_is_on_its_way():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "operator", progressing(), source=GIT, timeout=60.0))
    story.see(anvils(cluster)).wait(50)
    story.see(
        cluster.state("Kustomization", "operator", ready(), source=GIT, contains=(CRD,), applied_revision="main@1")
    )
    assert story.cases == []
    story.see(cluster.state("Kustomization", "anvils", ready(), source=GIT)).wait(300)
    assert story.cases == []


def test_objects_that_still_lack_their_kind_after_the_next_try_are_told():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "operator", progressing(), source=GIT, timeout=60.0))
    story.see(anvils(cluster)).wait(20)
    story.see(
        cluster.state("Kustomization", "operator", ready(), source=GIT, contains=(CRD,), applied_revision="main@1")
    )
    assert story.wait(41).cases == []
    assert story.wait(2).case.incident.root == ANVILS


def test_an_operator_that_was_well_all_the_time_is_not_waited_for():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "operator", ready(), source=GIT, contains=(CRD,))).wait(10)
    assert story.see(anvils(cluster)).wait(6).case.incident.root == ANVILS


def test_a_namespace_on_its_way_out_explains_the_check_that_waits_for_it_and_is_not_waited_for():
    cluster = Cluster()
    waiting_for = "timeout waiting for: [Namespace/edge status: 'Terminating']"
    story = (
        Story()
        .see(
            cluster.state("Kustomization", "spaces", ready(), contains=(SPACE,)),
            cluster.state("Namespace", "edge", namespace="", deleted_at=T0),
        )
        .wait(10)
    )
    story.see(
        anvils(cluster, "unable to create new content in namespace edge because it is being terminated"),
        cluster.state("Kustomization", "spaces", failing("ReconciliationFailed", waiting_for), contains=(SPACE,)),
    )
    assert story.wait(6).case.incident.root == SPACE
    assert story.members() == {"Namespace/edge", "Kustomization/apps/anvils", "Kustomization/apps/spaces"}


def test_a_temporary_folder_in_a_message_is_no_news():
    cluster, told = Cluster(), "kustomize build failed: open /tmp/kustomization-{}/x.yaml: no such file"
    rules = "evidence: [culprit]\n  examples:"
    story = Story(RULES.replace("examples:", rules)).see(
        cluster.state("Kustomization", "a", failing(message=told.format(1)))
    )
    for number in range(2, 5):
        story.wait(30).see(cluster.state("Kustomization", "a", failing(message=told.format(number))))
    lines = [entry.text for entry in story.case.incident.timeline if "BuildFailed: kustomize" in entry.text]
    assert lines == ["Ready=False BuildFailed: kustomize build failed: open …/x.yaml: no such file"]


def test_who_removed_a_kind_is_named():
    cluster = Cluster()
    told = f"CustomResourceDefinition/{CRD.name} deleted"
    story = Story().see(cluster.state("Kustomization", "crds", ready()), cluster.state("Kustomization", "web", ready()))
    story.give(
        EventSeen(story.at, ref("Kustomization", "web"), "Progressing", "Deployment/apps/web configured", uid="1")
    )
    story.give(EventSeen(story.at, ref("Kustomization", "crds"), "Progressing", told, uid="2")).wait(10)
    story.see(anvils(cluster, NOT_SERVED, source=ref("GitRepository", "other")))
    assert "Kustomization/apps/crds has removed it" in story.wait(90).case.incident.cause


def test_a_namespace_that_hangs_says_in_the_cause_what_holds_it():
    cluster = Cluster()
    content = Condition(
        "NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", "example.com/hold in 1 instances"
    )
    story = Story().see(
        cluster.state("Namespace", "edge", content, namespace="", deleted_at=T0),
        anvils(cluster, "unable to create new content in namespace edge because it is being terminated"),
    )
    expected = "Namespace edge: is Terminating and does not end: example.com/hold in 1 instances"
    assert story.wait(10).case.incident.cause == expected


def test_a_kind_that_comes_with_the_same_push_from_who_was_well_before_is_waited_for_once():
    cluster = Cluster()
    others = cluster.state("Kustomization", "crds", ready(), source=GIT, applied_revision="main@1")
    story = Story().see(cluster.state("GitRepository", "git", ready(), artifact_revision="main@1"), others).wait(10)
    story.see(cluster.state("GitRepository", "git", ready(), artifact_revision="main@2"))
    story.wait(2).see(anvils(cluster)).wait(31)
    assert story.cases == []
    story.see(cluster.state("Kustomization", "anvils", ready(), source=GIT)).wait(300)
    assert story.cases == []


def test_a_kind_that_did_not_come_with_the_push_is_told_after_the_next_try():
    cluster = Cluster()
    others = cluster.state("Kustomization", "crds", ready(), source=GIT, applied_revision="main@1")
    story = Story().see(cluster.state("GitRepository", "git", ready(), artifact_revision="main@1"), others).wait(10)
    story.see(cluster.state("GitRepository", "git", ready(), artifact_revision="main@2"))
    story.wait(2).see(anvils(cluster)).wait(41)
    assert story.cases == []
    assert story.wait(2).case.incident.root == ANVILS


def test_a_kind_that_is_missing_without_any_push_is_told_at_once():
    cluster = Cluster()
    story = (
        Story()
        .see(
            cluster.state("GitRepository", "git", ready(), artifact_revision="main@1"),
            cluster.state("Kustomization", "crds", ready(), source=GIT, applied_revision="main@1"),
        )
        .wait(10)
    )
    assert story.see(anvils(cluster)).wait(6).case.incident.root == ANVILS


UNREADY = (
    'Issuer/edge/ca dry-run failed (InternalError): failed calling webhook "hook.certs.io": failed to call webhook: '
    'Post "https://hook.certs.svc:443/validate?timeout=30s": no endpoints available for service "hook"'
)


@pytest.mark.parametrize(
    ("server", "age", "told"), [(progressing(), 30, False), (progressing(), 3600, True), (ready(), 3600, True)]
)
def test_a_webhook_whose_server_comes_with_the_push_is_waited_for_and_one_that_was_there_is_not(server, age, told):
    cluster, service = Cluster(), ref("Service", "hook", "certs")
    created = T0 - timedelta(seconds=age)
    facts: dict[str, Any] = {"source": GIT, "timeout": 60.0, "contains": (service,), "created_at": created}
    story = Story().see(cluster.state("Kustomization", "certs", server, **facts)).wait(30)
    called = cluster.state("Kustomization", "issuers", failing("X", UNREADY), source=GIT, retry_interval=60.0)
    assert bool(story.see(called).wait(20).cases) is told
    story.see(cluster.state("Kustomization", "certs", failing("HealthCheckFailed", "no"), **facts)).wait(10)
    assert story.case.incident.root in (ref("Kustomization", "certs"), ref("Kustomization", "issuers"))


def new(cluster: Cluster, age: float, condition: Condition):
    need = ref("Secret", "admin")
    return cluster.state("HelmRelease", "g", condition, needs=(need,), created_at=T0 - timedelta(seconds=age))


NO_SECRET = failing("ValuesError", 'could not resolve Secret chart values reference: secrets "admin" not found')


def test_a_secret_that_a_new_object_names_may_arrive_within_a_quarter_of_a_minute():
    cluster = Cluster()
    story = Story(FAST).see(new(cluster, 2, NO_SECRET)).wait(14)
    assert story.cases == []
    story.see(new(cluster, 2, ready())).wait(60)
    assert story.cases == []
    assert Story(FAST).see(new(Cluster(), 2, NO_SECRET)).wait(16).case.incident.root == ref("HelmRelease", "g")


def test_a_run_that_has_found_its_secret_is_waited_for():
    cluster = Cluster()
    story = Story(FAST).see(new(cluster, 2, NO_SECRET)).wait(10)
    story.see(new(cluster, 2, progressing("Running 'install' action with timeout of 5m0s"))).wait(120)
    assert story.cases == []
    assert story.wait(200).case.incident.root == ref("HelmRelease", "g")


def test_an_object_that_had_its_secret_for_long_is_told_of_at_once():
    story = Story(FAST).see(new(Cluster(), 3600, NO_SECRET))
    assert sorted(story.case.incident.rules) == ["failed", "need-missing"]
