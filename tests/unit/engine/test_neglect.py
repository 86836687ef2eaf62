"""Detectors of what nobody moves, and of who applies what: each finds its own trouble, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.flux.commands import resuming
from daemon.model.findings import Finding, FindingState, Severity
from daemon.model.objects import Dependency, ObjectState, Writer
from daemon.model.refs import Fingerprint, ObjectRef
from daemon.model.signals import EventSeen
from tests.builders import T0, Cluster, Story, failing, helm, pods, progressing, ready, ref, unhealthy, waiting

A, B = ref("Kustomization", "a"), ref("Kustomization", "b")
DAY = 86_400
EXPR = "dep.metadata.labels['v'] == self.metadata.labels['v']"
UNMET = waiting("apps/b", "is not ready according to readyExpr eval")
THING = ObjectRef("default", "", "ConfigMap", "apps", "routes")
DEFINITION = ObjectRef("default", "apiextensions.k8s.io", "CustomResourceDefinition", "", "things.example.com")
NO_KIND = 'Thing/apps/x dry-run failed: no matches for kind "Thing" in version "example.com/v1"'


def found(story: Story, test: str, where: ObjectRef = A) -> Finding | None:
    finding = story.world.findings.get(Fingerprint(test, where))
    return finding if finding is not None and finding.state is FindingState.FIRING else None


def summary(story: Story, test: str, where: ObjectRef = A) -> str:
    finding = found(story, test, where)
    return finding.summary if finding is not None else ""


def test_a_ready_expression_that_stays_false_is_told_with_its_text():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "b", ready()))
    story.see(cluster.state("Kustomization", "a", UNMET, depends_on=(Dependency(B, EXPR),)))
    assert story.wait(119).cases == []
    assert story.wait(11).case.incident.root == A
    assert story.case.incident.cause.endswith(f"which is Ready, but its readyExpr stays false: {EXPR}")


@pytest.mark.parametrize(
    "condition", [waiting("apps/b"), UNMET, waiting("apps/c", "is not ready according to readyExpr")]
)
def test_a_dependency_that_fails_is_the_cause_and_not_its_expression(condition):
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "b", failing()))
    story.see(cluster.state("Kustomization", "a", condition, depends_on=(Dependency(B, EXPR),))).wait(300)
    assert found(story, "ready-expr-unmet") is None
    assert story.case.incident.root == B


def requested(cluster: Cluster, **more: Any) -> ObjectState:
    return cluster.state("Kustomization", "a", ready(), requested_at="2026-03-01T03:00:00Z", **more)


def test_a_request_that_nobody_takes_is_told():
    story = Story().see(requested(Cluster(), handled_at="yesterday"))
    assert found(story.wait(119), "request-unhandled") is None
    assert "2026-03-01T03:00:00Z was never handled (last handled: yesterday)" in summary(
        story.wait(1), "request-unhandled"
    )


def test_a_first_request_that_nobody_takes_says_that_none_was_handled():
    assert "last handled: none" in summary(Story().see(requested(Cluster())).wait(120), "request-unhandled")


@pytest.mark.parametrize("more", [{"handled_at": "2026-03-01T03:00:00Z"}, {"suspended": True}])
def test_a_request_that_was_taken_or_cannot_be_is_not_told(more):
    assert found(Story().see(requested(Cluster(), **more)).wait(900), "request-unhandled") is None


def test_a_request_to_an_object_at_work_waits_for_its_run():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", progressing(), requested_at="now")).wait(900)
    assert found(story, "request-unhandled") is None


def test_a_forgotten_suspension_is_told_on_the_page_with_whose_it_was():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Kustomization", "a", ready(), suspended=True, writers=(Writer("flux", "Update", "", T0),))
    )
    assert found(story.wait(DAY - 1), "suspended-long") is None
    finding = found(story.wait(1), "suspended-long")
    assert finding is not None
    assert finding.severity is Severity.INFO
    assert finding.summary == f"is suspended by flux since {T0:%Y-%m-%d %H:%M} UTC: it takes no change from Git"
    assert story.reasons == []


def test_a_suspension_of_unknown_origin_names_nobody():
    story = Story().see(Cluster().state("Kustomization", "a", ready(), suspended=True)).wait(DAY)
    assert summary(story, "suspended-long").startswith("is suspended since 20")
    assert story.case.incident.cause.startswith("Kustomization apps/a: is suspended since 20")


def test_a_suspension_that_only_begins_is_not_said_to_last_for_a_day():
    story = Story().see(Cluster().state("Kustomization", "a", ready(), suspended=True)).wait(100)
    (finding,) = story.world.findings.values()
    assert (finding.test, finding.state) == ("suspended-long", FindingState.PENDING)
    assert finding.summary == f"is suspended since {T0:%Y-%m-%d %H:%M} UTC: it takes no change from Git"


LABELS = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/component": "helm-controller"}
CONTROLLER = ref("Deployment", "helm-controller")


def controller(cluster: Cluster, have: int, want: int = 1, labels: dict[str, str] | None = None) -> ObjectState:
    facts: dict[str, Any] = {"replicas": pods(have, want), "labels": LABELS if labels is None else labels}
    return cluster.state("Deployment", "helm-controller", **facts)


@pytest.mark.parametrize(("have", "want", "words"), [(0, 1, "has none of 1 pods ready"), (0, 0, "is scaled to zero")])
def test_a_controller_without_a_pod_is_told(have, want, words):
    story = Story().see(controller(Cluster(), have, want))
    assert story.wait(59).cases == []
    story.wait(11)
    assert story.case.incident.cause == (
        f"Deployment apps/helm-controller: helm-controller {words}: "
        "nothing of its kinds is reconciled, whatever they say"
    )


def test_a_controller_with_a_pod_is_quiet():
    assert Story().see(controller(Cluster(), 1)).wait(900).cases == []


def test_another_deployment_without_a_pod_is_no_controller():
    assert Story().see(controller(Cluster(), 0, 1, {"app.kubernetes.io/part-of": "other"})).wait(900).cases == []


def test_a_dead_controller_is_the_root_of_what_it_does_not_look_at():
    cluster, story = Cluster(), Story()
    chart = ref("HelmChart", "r")
    story.see(cluster.state("HelmRelease", "r", ready(), generation=2, observed_generation=1, source=chart))
    story.see(controller(cluster, 0))
    story.see(cluster.state("Kustomization", "a", unhealthy("HelmRelease/apps/r"), contains=(ref("HelmRelease", "r"),)))
    story.wait(120)
    assert story.case.incident.root == CONTROLLER
    assert {"HelmRelease/apps/r", "Kustomization/apps/a"} <= story.members()


def test_a_controller_that_came_back_ends_its_incident():
    cluster, story = Cluster(), Story()
    story.see(controller(cluster, 0)).wait(70).see(controller(cluster, 1)).wait(60)
    assert not story.case.open


def test_a_controller_of_other_kinds_is_not_blamed():
    cluster, story = Cluster(), Story()
    other = {**LABELS, "app.kubernetes.io/component": "image-reflector-controller"}
    story.see(cluster.state("HelmRelease", "r", ready(), generation=2, observed_generation=1))
    story.see(controller(cluster, 0, 1, other)).wait(120)
    assert {case.incident.root for case in story.cases} == {ref("HelmRelease", "r"), CONTROLLER}


def test_two_releases_of_one_name_are_told_before_they_fight():
    cluster, story = Cluster(), Story()
    story.see(*(cluster.state("HelmRelease", name, ready(), helm=helm("r")) for name in ("one", "two"))).wait(60)
    assert "is managed by HelmReleases apps/one and apps/two" in summary(
        story, "released-twice", ref("HelmRelease", "one")
    )
    assert found(story, "released-twice", ref("HelmRelease", "two")) is None


def applying(cluster: Cluster, name: str, *things: ObjectRef, **more: Any) -> ObjectState:
    return cluster.state("Kustomization", name, ready(), contains=things, **more)


def test_an_object_in_two_inventories_is_told_quietly():
    cluster, story = Cluster(), Story()
    other = ObjectRef("default", "", "ConfigMap", "apps", "more")
    story.see(applying(cluster, "a", THING, other), applying(cluster, "b", THING, other))
    assert found(story.wait(179), "applied-twice") is None
    assert (
        summary(story.wait(1), "applied-twice")
        == "ConfigMap/apps/routes and 1 more is applied by Kustomization apps/b too"
    )
    assert found(story, "applied-twice", B) is None
    assert story.reasons == []


def test_one_more_that_only_checks_an_object_does_not_apply_it():
    cluster, story = Cluster(), Story()
    story.see(applying(cluster, "a", THING), cluster.state("Kustomization", "b", ready(), health_checks=(THING,)))
    parent = cluster.state("HelmRelease", "c", ready(), contains=(THING,))
    assert found(story.see(parent).wait(900), "applied-twice") is None


def configured(story: Story, where: ObjectRef, count: int) -> EventSeen:
    return EventSeen(story.at, where, "Progressing", "ConfigMap/apps/routes configured", count=count, uid=f"{where}")


def test_two_that_overwrite_each_other_are_a_fight():
    cluster, story = Cluster(), Story()
    story.see(applying(cluster, "a", THING), applying(cluster, "b", THING))
    story.give(configured(story, B, 2), configured(story, A, 1))
    assert found(story.wait(10), "drift-fight") is None
    story.give(configured(story, A, 2)).wait(10)
    assert story.case.incident.cause == (
        "Kustomization apps/a: ConfigMap/apps/routes is overwritten back and forth by Kustomizations "
        "apps/a and apps/b; both stay Ready"
    )


def test_the_labels_of_a_namespace_are_worth_no_fight():
    cluster, story = Cluster(), Story()
    shop = ObjectRef("default", "", "Namespace", "", "shop")
    story.see(applying(cluster, "a", shop), applying(cluster, "b", shop))
    for where in (A, B):
        story.give(EventSeen(story.at, where, "Progressing", "Namespace/shop configured", count=9, uid=f"{where}"))
    assert found(story.wait(180), "drift-fight") is None
    assert summary(story, "applied-twice") == "Namespace/shop is applied by Kustomization apps/b too"


def test_a_fight_does_not_hide_why_one_of_the_two_fails():
    cluster, story = Cluster(), Story()
    story.see(applying(cluster, "a", THING), applying(cluster, "b", THING))
    story.give(configured(story, B, 2), configured(story, A, 2))
    story.see(cluster.state("Kustomization", "a", failing(), contains=(THING,))).wait(10)
    assert found(story, "drift-fight") is not None
    assert story.case.incident.cause == "Kustomization apps/a: kustomize build failed: no such file"


def test_one_that_hands_an_object_over_does_not_fight():
    cluster, story = Cluster(), Story()
    story.see(applying(cluster, "a", THING), applying(cluster, "b", THING))
    story.give(configured(story, A, 5), configured(story, B, 1)).wait(60)
    assert found(story, "drift-fight") is None


def checking(cluster: Cluster, **more: Any) -> ObjectState:
    return cluster.state("Kustomization", "a", ready(), health_checks=(ref("Deployment", "web"),), **more)


def test_a_check_of_what_nothing_in_flux_applies_is_told_quietly():
    story = Story().see(checking(Cluster())).wait(180)
    assert summary(story, "check-without-owner").endswith(
        "waits for Deployment/apps/web, which nothing in Flux applies"
    )


def test_a_check_of_what_another_one_applies_is_well():
    cluster, story = Cluster(), Story()
    story.see(checking(cluster), applying(cluster, "b", ref("Deployment", "web"))).wait(900)
    assert found(story, "check-without-owner") is None


def test_a_check_of_what_a_release_brought_is_well():
    cluster, story = Cluster(), Story()
    claims = {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "apps"}
    story.see(cluster.state("Deployment", "web", replicas=pods(1, 1), annotations=claims))
    story.see(cluster.state("HelmRelease", "r", ready(), helm=helm("r")), checking(cluster)).wait(900)
    assert found(story, "check-without-owner") is None


def test_a_suspended_one_checks_nothing():
    assert found(Story().see(checking(Cluster(), suspended=True)).wait(900), "check-without-owner") is None


@pytest.mark.parametrize(
    ("bringer", "words"), [(DEFINITION, "it is brought by Kustomization/apps/b"), (THING, "nothing in Flux is known")]
)
def test_a_missing_kind_is_told_with_who_would_bring_it(bringer, words):
    cluster, story = Cluster(), Story()
    story.see(applying(cluster, "b", bringer)).wait(10)
    story.see(cluster.state("Kustomization", "a", failing("ReconciliationFailed", NO_KIND))).wait(60)
    assert (
        "a CRD of example.com is not installed: Thing/apps/x dry-run failed: no matches for kind"
        in story.case.incident.cause
    )
    assert words in story.case.incident.cause


def test_another_failure_is_no_missing_kind():
    story = Story().see(Cluster().state("Kustomization", "a", failing())).wait(120)
    assert found(story, "kind-missing") is None


def test_a_controller_that_runs_is_not_the_root_of_what_it_does_not_look_at():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("HelmRelease", "r", ready(), generation=2, observed_generation=1), controller(cluster, 1))
    assert story.wait(120).case.incident.root == ref("HelmRelease", "r")


@pytest.mark.parametrize(
    ("where", "command"),
    [
        (ref("GitRepository", "a"), "flux resume source git a -n apps"),
        (ref("HelmRelease", "a"), "flux resume helmrelease a -n apps"),
        (
            ObjectRef("default", "fluxcd.controlplane.io", "ResourceSet", "apps", "a"),
            "kubectl -n apps annotate resourceset.fluxcd.controlplane.io a fluxcd.controlplane.io/reconcile-",
        ),
        (
            ObjectRef("default", "source.extensions.fluxcd.io", "ArtifactGenerator", "", "a"),
            "kubectl annotate artifactgenerator.source.extensions.fluxcd.io a source.extensions.fluxcd.io/reconcile-",
        ),
    ],
)
def test_the_command_that_ends_a_suspension_is_one_that_exists(where, command):
    assert resuming(where) == command


def test_a_suspension_that_began_before_the_daemon_is_as_old_as_its_last_writer():
    written = (Writer("flux", "Update", "", T0 - timedelta(seconds=DAY - 60)),)
    story = Story().see(Cluster().state("Kustomization", "a", ready(), suspended=True, writers=written))
    assert found(story.wait(59), "suspended-long") is None
    assert found(story.wait(1), "suspended-long") is not None


def test_a_suspended_source_that_fetched_nothing_yet_holds_up_who_is_made_from_it():
    cluster = Cluster()
    nothing = failing("ArtifactFailed", "Source artifact not found, retrying in 30s")
    story = Story().see(
        cluster.state("GitRepository", "g", ready(), suspended=True),
        cluster.state("Kustomization", "k", nothing, source=ref("GitRepository", "g")),
    )
    words = "is suspended and blocks apps/k: they wait for what it will not apply"
    assert story.wait(61).case.incident.cause.endswith(words)
