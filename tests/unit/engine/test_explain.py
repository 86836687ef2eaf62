"""Why, and why not: the way to the root, what every rule and detector saw, and why an object is in no incident."""

from typing import Any

import pytest

from daemon.engine.detect import DETECTORS
from daemon.engine.view import WorldView
from daemon.model.objects import PodTrouble, Replicas
from daemon.model.refs import ObjectRef
from daemon.model.signals import Command
from tests.builders import RULES, Cluster, Story, failing, helm, needs, pods, ready, ref, unhealthy, waiting

CRD = ObjectRef("default", "apiextensions.k8s.io", "CustomResourceDefinition", "", "things.example.com")
NODE = ObjectRef("default", "", "Node", "", "one")
NO_KIND = 'Thing/apps/x dry-run failed: no matches for kind "Thing" in version "example.com/v1"'

GIT = ref("GitRepository", "git")
KC = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/component": "kustomize-controller"}
OVERLAY = "---\napiVersion: fluxmedic.dev/v1\nkind: KIND\nmetadata: {name: NAME}\nspec: {WHAT}\n"


def why(story: Story, kind: str, name: str, incident: str = "", namespace: str = "apps") -> Any:
    return WorldView(story.world).why(ref(kind, name, namespace), incident)


def reasons(found: Any) -> list[str]:
    return [step["because"] for step in found["path"]]


def test_the_way_from_a_victim_to_the_root_names_every_edge():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Deployment", "web", replicas=pods(0, 1), annotations={"meta.helm.sh/release-name": "db"}),
        cluster.state("HelmRelease", "db", failing("UpgradeFailed", "timed out"), helm=helm("db")),
        cluster.state("Kustomization", "a", unhealthy("Deployment/apps/web"), contains=(ref("Deployment", "web"),)),
        cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a"))),
    )
    found = why(story.wait(30), "Kustomization", "b")
    assert [step["object"]["name"] for step in found["path"]] == ["a", "db"]
    assert reasons(found) == [
        "Kustomization/apps/b depends on it",
        "what Kustomization/apps/a waits for belongs to it",
    ]


def test_of_two_ways_to_one_root_the_first_is_told():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "d", failing()))
    for name, others in (("b", "d"), ("c", "d"), ("a", "bc")):
        refs = [ref("Kustomization", other) for other in others]
        story.see(cluster.state("Kustomization", name, waiting(f"apps/{others[0]}"), depends_on=needs(*refs)))
    found = why(story, "Kustomization", "a")
    assert [step["object"]["name"] for step in found["path"]] == ["b", "d"]


def test_the_root_has_no_way_to_go():
    assert why(Story().see(Cluster().state("Kustomization", "a", failing())), "Kustomization", "a")["path"] == []


def test_a_way_around_a_ring_ends():
    cluster = Cluster()
    story = Story().see(
        *(
            cluster.state("Kustomization", one, waiting(f"apps/{two}"), depends_on=needs(ref("Kustomization", two)))
            for one, two in (("a", "b"), ("b", "c"), ("c", "a"))
        )
    )
    assert [step["object"]["name"] for step in why(story, "Kustomization", "b")["path"]][-1:] == ["a"]


@pytest.mark.parametrize(
    ("states", "because"),
    [
        (
            lambda c: [
                c.state("GitRepository", "git", failing("GitOperationFailed")),
                c.state("Kustomization", "a", failing("ArtifactFailed", "artifact not found"), source=GIT),
            ],
            "is made from it",
        ),
        (
            lambda c: [
                c.state("HelmRelease", "db", failing("UpgradeFailed"), source=ref("HelmChart", "db"), helm=helm("db")),
                c.state("Kustomization", "a", unhealthy("HelmRelease/apps/db")),
            ],
            "the health check of Kustomization/apps/a waits for it",
        ),
        (
            lambda c: [
                c.state("Kustomization", "crds", failing(), contains=(CRD,)),
                c.state("Kustomization", "a", failing("ReconciliationFailed", NO_KIND)),
            ],
            "it brings what Kustomization/apps/a lacks: group example.com",
        ),
        (
            lambda c: [
                c.state("Kustomization", "0-first", failing("X", 'failed calling webhook "w": no')),
                c.state("Kustomization", "a", failing("X", 'failed calling webhook "w": no')),
            ],
            "both fail of the same: webhook w",
        ),
        (
            lambda c: [
                c.state("Node", "one", failing("KubeletDown", "gone"), namespace=""),
                c.state("Deployment", "web", replicas=Replicas(1, 0, 1, 0)),
                c.state("Pod", "web-1", owners=(ref("Deployment", "web"),), node=NODE, pod=PodTrouble("NotReady")),
                c.state("Kustomization", "a", unhealthy("Deployment/apps/web"), contains=(ref("Deployment", "web"),)),
            ],
            "pods that Kustomization/apps/a waits for run on it",
        ),
        (
            lambda c: [
                c.state("Deployment", "kc", namespace="flux-system", labels=KC, replicas=pods(0, 1)),
                c.state("Kustomization", "a", ready(), generation=2),
            ],
            "it moves Kustomization/apps/a",
        ),
    ],
)
def test_every_kind_of_edge_is_said_in_words(states, because):
    story = Story().see(*states(Cluster())).wait(1)
    (last,) = reasons(why(story, "Kustomization", "a"))
    assert last.endswith(because)


def test_every_detector_says_what_it_looks_for_and_what_it_found():
    cluster = Cluster()
    lonely = cluster.state(
        "Kustomization", "a", waiting("apps/b", "not found"), depends_on=needs(ref("Kustomization", "b"))
    )
    story = Story()
    story.world.synced.add("kustomizations.kustomize.toolkit.fluxcd.io")
    found = {each["rule"]: each for each in why(story.see(lonely), "Kustomization", "a")["detectors"]}
    assert set(found) == set(DETECTORS)
    missing = found["dependency-missing"]
    assert not missing["held"]  # it waits its twenty seconds
    assert [clause["name"] for clause in missing["clauses"]] == ["detects", "for"]
    assert "depends on Kustomization apps/b, which does not exist" in missing["clauses"][0]["seen"]
    assert found["two-owners"]["clauses"][0]["seen"] == "nothing of it"


def test_a_detector_that_is_switched_off_says_so():
    off = OVERLAY.replace("KIND", "Detector").replace("NAME", "two-owners").replace("WHAT", "enabled: false")
    story = Story(RULES + off).see(Cluster().state("Kustomization", "a", ready()))
    (told,) = [each for each in why(story, "Kustomization", "a")["detectors"] if each["rule"] == "two-owners"]
    assert [clause["name"] for clause in told["clauses"]] == ["enabled"]


def test_a_rule_that_is_switched_off_is_explained_too():
    off = OVERLAY.replace("KIND", "Rule").replace("NAME", "failed").replace("WHAT", "overlay: true, enabled: false")
    (told,) = why(Story(RULES + off).see(Cluster().state("Kustomization", "a", failing())), "Kustomization", "a")[
        "rules"
    ]
    assert (told["rule"], told["held"], told["clauses"][0]["name"]) == ("failed", False, "enabled")


def test_asking_changes_nothing():
    story = Story().see(Cluster().state("Kustomization", "a", failing())).wait(30)
    before = (len(story.world.heap), len(story.world.findings), story.case.incident)
    why(story, "Kustomization", "a")
    assert (len(story.world.heap), len(story.world.findings), story.case.incident) == before


def test_why_an_object_is_not_in_an_incident():
    cluster = Cluster()
    story = (
        Story()
        .see(
            cluster.state("Kustomization", "a", failing()),
            cluster.state("Kustomization", "other", failing()),
            cluster.state("Kustomization", "well", ready()),
            cluster.state("Kustomization", "on-its-way", waiting("apps/elsewhere")),
        )
        .wait(30)
    )
    first = next(case.incident for case in story.cases if case.incident.root.name == "a")
    second = next(case.incident for case in story.cases if case.incident.root.name == "other")

    def answer(name: str, incident: str = first.id) -> str:
        return str(why(story, "Kustomization", name, incident)["answer"])

    assert answer("a") == f"Kustomization/apps/a is in incident {first.id} as root"
    assert answer("other").endswith(f"it is in incident {second.id}, whose root is Kustomization/apps/other")
    assert answer("well").endswith("it is Current, so there is nothing to explain")
    assert "leads to Kustomization/apps/a" in answer("on-its-way")
    assert answer("a", "nobody") == "no incident is called 'nobody', or several begin so"
    story.see(cluster.state("Kustomization", "a", ready()))
    assert "and has recovered at" in answer("a")


def test_what_another_root_explains_is_said():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(30)
    story.see(
        cluster.state("Kustomization", "c", ready(), generation=2),
        cluster.state("Kustomization", "b", waiting("apps/c"), depends_on=needs(ref("Kustomization", "c"))),
    )
    told = why(story, "Kustomization", "b", story.case.incident.id)["answer"]
    assert told.endswith("what explains it is Kustomization/apps/c, and not Kustomization/apps/a")


def test_what_keeps_an_incident_quiet_is_said():
    story = Story().see(Cluster().state("Kustomization", "a", failing())).wait(6)
    silence = Command(story.at, "1", "silence", "ada", "name=a", "load test", until=story.at.replace(hour=23))
    assert "silenced by ada" in why(story.give(silence), "Kustomization", "a")["suppressed"]


@pytest.mark.parametrize(
    ("kind", "namespace"), [("kustomization", "apps"), ("KUSTOMIZATION", "apps"), ("node", "apps")]
)
def test_a_kind_may_be_written_in_any_case_and_a_node_with_any_namespace(kind, namespace):
    cluster = Cluster()
    story = Story().see(
        cluster.state("Kustomization", "one", ready()), cluster.state("Node", "one", ready(), namespace="")
    )
    assert WorldView(story.world).why(ObjectRef("", "", kind, namespace, "one"))["known"]
