"""Causes that no Flux field names: a dead node, a webhook or host that does not answer, a kind that nobody brings."""

import pytest

from daemon.engine.graph import causes_of, downstream, root_of
from daemon.model.objects import Condition, Dependency, ObjectState
from daemon.model.refs import ObjectRef
from tests.builders import Cluster, Story, failing, helm, needs, pods, progressing, ready, ref, unhealthy, waiting

NODE = ObjectRef("default", "", "Node", "", "infra-02")
WEB, SET = ref("Deployment", "web"), ref("ReplicaSet", "web-1")
WEBHOOK = 'dry-run failed (InternalError): failed calling webhook "validate.kyverno.svc-fail": service not found'
REFUSED = "dial tcp 10.0.0.1:3000: connect: connection refused"
NO_KIND = 'Thing/apps/x dry-run failed: no matches for kind "Thing" in version "things.example.com/v1"'


def node(cluster: Cluster, status: str) -> ObjectState:
    state = cluster.state(
        "Node", "infra-02", Condition("Ready", status, "NodeStatusUnknown", "Kubelet stopped posting")
    )
    return cluster.state("Node", "infra-02", *state.conditions, namespace="")


def standing(cluster: Cluster, *, have: int = 2, where: ObjectRef | None = NODE) -> tuple[ObjectState, ...]:
    return (
        cluster.state("Deployment", "web", replicas=pods(have, 3)),
        cluster.state("ReplicaSet", "web-1", replicas=pods(have, 3), owners=(WEB,)),
        cluster.state("Pod", "web-1-a", owners=(SET,), node=where),
    )


def checking(cluster: Cluster, name: str = "a") -> ObjectState:
    return cluster.state("Kustomization", name, unhealthy("Deployment/apps/web"), contains=(WEB,))


def test_a_dead_node_is_the_root_of_the_checks_that_wait_for_its_pods():
    cluster, story = Cluster(), Story()
    story.see(*standing(cluster), node(cluster, "Unknown")).wait(60).see(checking(cluster)).wait(10)
    assert story.case.incident.root == NODE
    assert story.members() == {"Node/infra-02", "Kustomization/apps/a", "Deployment/apps/web"}
    assert "Kubelet stopped posting" in story.case.incident.cause


def test_two_checks_that_one_dead_node_fails_are_one_incident():
    cluster, story = Cluster(), Story()
    story.see(*standing(cluster), node(cluster, "Unknown")).wait(60)
    story.see(checking(cluster), checking(cluster, "b")).wait(30)
    assert story.case.incident.root == NODE
    assert [str(victim) for victim, _ in downstream(story.world, NODE)] == [
        "Kustomization/apps/a",
        "Kustomization/apps/b",
    ]


def test_a_node_explains_a_release_whose_pods_stand_on_it():
    cluster, story = Cluster(), Story()
    claims = {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "apps"}
    _, replica_set, pod = standing(cluster)
    story.see(cluster.state("Deployment", "web", replicas=pods(2, 3), annotations=claims), replica_set, pod)
    words = "Helm upgrade failed for release apps/r with chart r@1: "
    words += "timeout waiting for: [Deployment/apps/web status: 'InProgress']"
    story.see(node(cluster, "False")).wait(5)
    story.see(cluster.state("HelmRelease", "r", failing("UpgradeFailed", words), helm=helm("r"))).wait(10)
    assert story.case.incident.root == NODE
    assert [victim for victim, _ in downstream(story.world, NODE)] == [ref("HelmRelease", "r")]


@pytest.mark.parametrize("words", ["context deadline exceeded", "client rate limiter Wait returned an error"])
def test_a_node_explains_a_release_that_names_nothing_of_what_it_waited_for(words):
    cluster, story = Cluster(), Story()
    claims = {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "apps"}
    _, replica_set, pod = standing(cluster)
    story.see(cluster.state("Deployment", "web", replicas=pods(2, 3), annotations=claims), replica_set, pod)
    said = failing("UpgradeFailed", f"Helm upgrade failed for release apps/r with chart r@1: {words}")
    story.see(node(cluster, "False")).wait(5).see(cluster.state("HelmRelease", "r", said, helm=helm("r"))).wait(10)
    assert story.case.incident.root == NODE


@pytest.mark.parametrize("status", ["True"])
def test_a_node_that_is_well_explains_nothing(status):
    cluster, story = Cluster(), Story()
    story.see(*standing(cluster), node(cluster, status), checking(cluster)).wait(10)
    assert story.case.incident.root == ref("Kustomization", "a")


@pytest.mark.parametrize("where", [None, ObjectRef("default", "", "Node", "", "other")])
def test_a_dead_node_without_a_pod_of_the_workload_explains_nothing(where):
    cluster, story = Cluster(), Story()
    story.see(*standing(cluster, where=where), node(cluster, "Unknown")).wait(60).see(checking(cluster)).wait(10)
    assert story.case.incident.root == ref("Kustomization", "a")


def test_a_dead_node_does_not_explain_a_workload_that_is_complete():
    cluster, story = Cluster(), Story()
    story.see(*standing(cluster, have=3), node(cluster, "Unknown")).wait(60).see(checking(cluster)).wait(10)
    assert story.case.incident.root == ref("Kustomization", "a")


def test_a_node_that_died_long_after_the_check_failed_does_not_explain_it():
    cluster, story = Cluster(), Story()
    story.see(*standing(cluster), checking(cluster)).wait(60).see(node(cluster, "Unknown")).wait(60)
    assert story.case.incident.root == ref("Kustomization", "a")


def test_a_node_whose_replica_set_is_not_known_explains_nothing_but_does_no_harm():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Pod", "web-1-a", owners=(SET,), node=NODE), node(cluster, "Unknown")).wait(60)
    assert list(downstream(story.world, NODE)) == []


@pytest.mark.parametrize("message", [WEBHOOK, REFUSED, f"lookup: {REFUSED}", NO_KIND])
def test_what_one_fault_fails_everywhere_is_one_incident(message):
    cluster, story = Cluster(), Story()
    for name in ("b", "a", "c"):
        story.see(cluster.state("Kustomization", name, failing("ReconciliationFailed", message))).wait(3)
    story.wait(10)
    assert story.case.incident.root == ref("Kustomization", "b")
    assert len(story.members()) == 3


def test_another_webhook_is_another_incident():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing("ReconciliationFailed", WEBHOOK)))
    story.see(
        cluster.state("Kustomization", "b", failing("ReconciliationFailed", WEBHOOK.replace("svc-fail", "other")))
    )
    assert len(story.wait(10).cases) == 2


def test_what_has_a_cause_of_its_own_is_not_given_to_its_peers():
    cluster, story = Cluster(), Story()
    repository = cluster.state("HelmRepository", "charts", failing("Failed", "index: " + REFUSED))
    story.see(cluster.state("GitRepository", "z", failing("GitOperationFailed", REFUSED))).wait(1).see(repository)
    chart = cluster.state("HelmChart", "c", failing("ChartPullError", REFUSED), source=repository.ref)
    story.see(chart).wait(10)
    assert causes_of(story.world, chart.ref) == (repository.ref,)
    assert root_of(story.world, chart.ref) == ref("GitRepository", "z")


def test_an_object_that_is_well_again_is_nobodys_peer():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing("ReconciliationFailed", WEBHOOK))).wait(1)
    story.see(cluster.state("Kustomization", "b", failing("ReconciliationFailed", WEBHOOK))).wait(1)
    story.see(cluster.state("Kustomization", "a", ready()))
    assert root_of(story.world, ref("Kustomization", "b")) == ref("Kustomization", "b")
    story.lose(ref("Kustomization", "b"))
    assert story.world.sharing == {}


def test_a_peer_that_waits_now_stands_for_nobody():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing("ReconciliationFailed", WEBHOOK))).wait(1)
    story.see(cluster.state("Kustomization", "b", failing("ReconciliationFailed", WEBHOOK))).wait(1)
    story.see(cluster.state("Kustomization", "a", waiting("apps/gone")))
    assert causes_of(story.world, ref("Kustomization", "b")) == ()


DEFINITION = ObjectRef("default", "apiextensions.k8s.io", "CustomResourceDefinition", "", "things.things.example.com")


def test_a_missing_kind_leads_to_the_broken_one_that_brings_it():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "crds", failing(), contains=(DEFINITION,))).wait(1)
    story.see(cluster.state("Kustomization", "user", failing("ReconciliationFailed", NO_KIND))).wait(10)
    assert story.case.incident.root == ref("Kustomization", "crds")
    assert [victim for victim, _ in downstream(story.world, ref("Kustomization", "crds"))] == [
        ref("Kustomization", "user")
    ]


def test_one_that_brings_the_kind_and_is_well_is_not_blamed():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "crds", ready(), contains=(DEFINITION,))).wait(1)
    story.see(cluster.state("Kustomization", "user", failing("ReconciliationFailed", NO_KIND))).wait(10)
    assert story.case.incident.root == ref("Kustomization", "user")


def test_a_dependency_whose_expression_was_met_is_not_blamed():
    cluster, story = Cluster(), Story()
    first, second = ref("Kustomization", "first"), ref("Kustomization", "second")
    depends = (Dependency(first, "dep.status.ok == true"), Dependency(second))
    story.see(cluster.state("Kustomization", "first", failing()), cluster.state("Kustomization", "second", failing()))
    story.see(cluster.state("Kustomization", "a", waiting("apps/second"), depends_on=depends)).wait(10)
    assert causes_of(story.world, ref("Kustomization", "a")) == (second,)
    story.see(cluster.state("Kustomization", "a", waiting("apps/first"), depends_on=depends))
    assert causes_of(story.world, ref("Kustomization", "a")) == (first, second)


def test_without_a_named_dependency_every_one_that_fails_is_blamed():
    cluster, story = Cluster(), Story()
    first = ref("Kustomization", "first")
    story.see(cluster.state("Kustomization", "first", failing()))
    silent = Condition("Ready", "False", "DependencyNotReady", "waiting")
    story.see(cluster.state("Kustomization", "a", silent, depends_on=(Dependency(first, "x"),)))
    assert causes_of(story.world, ref("Kustomization", "a")) == (first,)
    story.see(cluster.state("Kustomization", "b", progressing(), depends_on=needs(first)))
    assert causes_of(story.world, ref("Kustomization", "b")) == ()
