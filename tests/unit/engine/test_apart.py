"""Several causes at once: every object is in one incident, that of what still explains it."""

from typing import Any

from daemon.model.incidents import Role
from daemon.model.objects import Condition, ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.signals import Restored, Synced
from tests.builders import RULES, T0, Cluster, Story, failing, helm, needs, progressing, ready, ref, unhealthy, waiting

A, B, X = (ref("Kustomization", name) for name in "abx")
REPOSITORY = ref("HelmRepository", "r")
NOT_FETCHED = failing("ChartPullError", "failed to fetch: 500")
NO_CHART = failing("SourceNotReady", "HelmChart 'apps/x' is not ready: no")
GIT = ref("GitRepository", "g")
POLICY = "dry-run failed (Invalid): ValidatingAdmissionPolicy 'only-ours' with binding 'all' denied it"
DENIED = failing("ReconciliationFailed", f"Deployment/server {POLICY}")


def chart(cluster: Cluster, name: str, condition: Condition) -> ObjectState:
    return cluster.state("HelmChart", f"apps-{name}", condition, source=REPOSITORY)


def release(cluster: Cluster, name: str, condition: Condition, *needed: ObjectRef) -> ObjectState:
    made = ref("HelmChart", f"apps-{name}")
    return cluster.state("HelmRelease", name, condition, source=made, depends_on=needs(*needed), helm=helm(name))


def roots(story: Story) -> list[str]:
    return sorted(f"{case.incident.root.kind}/{case.incident.root.name}" for case in story.cases if case.open)


def held(story: Story) -> dict[str, list[str]]:
    """Return of every open incident, by its root's name, who is in it: the root first, then its victims."""
    open_ones = [case.incident for case in story.cases if case.open]
    return {each.root.name: [each.root.name, *(m.ref.name for m in each.dependents)] for each in open_ones}


def test_an_incident_that_opens_again_leaves_to_another_what_is_in_that_by_now():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Kustomization", "x", failing()),
        cluster.state("Kustomization", "b", ready()),
        cluster.state("Kustomization", "a", waiting("apps/x"), depends_on=needs(X, B)),
    )
    story.wait(30).see(cluster.state("Kustomization", "x", ready()), cluster.state("Kustomization", "a", ready()))
    story.wait(60).see(
        cluster.state("Kustomization", "b", failing()),
        cluster.state("Kustomization", "a", waiting("apps/b"), depends_on=needs(X, B)),
    )
    story.wait(30).see(cluster.state("Kustomization", "x", failing())).wait(30)
    assert held(story) == {"b": ["b", "a"], "x": ["x"]}


def test_a_member_whose_own_content_is_broken_by_now_gets_an_incident_of_its_own():
    cluster = Cluster()
    held_up: dict[str, Any] = {"contains": (X,), "wait": True, "source": GIT}
    story = Story().see(
        cluster.state("Kustomization", "x", failing(), source=GIT),
        cluster.state("Kustomization", "a", unhealthy("Kustomization/apps/x"), **held_up),
    )
    assert held(story.wait(30)) == {"x": ["x", "a"]}
    story.see(cluster.state("Kustomization", "a", failing("BuildFailed"), **held_up)).wait(60)
    assert held(story) == {"x": ["x"], "a": ["a"]}


def test_a_member_that_lacks_what_another_lacked_before_it_goes_to_that_ones_incident():
    cluster, gone, story = Cluster(), ref("Kustomization", "gone"), Story()
    lost = waiting("apps/gone", "not found")
    story.give(Synced(story.at, "kustomizations.kustomize.toolkit.fluxcd.io")).see(
        cluster.state("Kustomization", "x", failing()),
        cluster.state("Kustomization", "a", waiting("apps/x"), depends_on=needs(X)),
        cluster.state("Kustomization", "b", lost, depends_on=needs(gone)),
    )
    assert held(story.wait(60)) == {"x": ["x", "a"], "b": ["b"]}
    story.see(cluster.state("Kustomization", "a", lost, depends_on=needs(gone))).wait(60)
    assert held(story) == {"x": ["x"], "b": ["b", "a"]}
    assert len(story.cases) == 2


def test_an_incident_is_over_when_its_root_is_mended_though_who_parted_still_fails():
    cluster = Cluster()
    held_up: dict[str, Any] = {"contains": (X,), "wait": True, "source": GIT}
    story = Story().see(
        cluster.state("Kustomization", "x", failing(), source=GIT),
        cluster.state("Kustomization", "a", unhealthy("Kustomization/apps/x"), **held_up),
    )
    story.wait(30).see(cluster.state("Kustomization", "a", failing("BuildFailed"), **held_up)).wait(30)
    story.see(cluster.state("Kustomization", "x", ready(), source=GIT)).wait(90)
    assert [case.incident.state.value for case in story.cases] == ["resolved", "open"]


def test_what_is_only_on_its_way_takes_no_incident_over():
    cluster, c = Cluster(), ref("Kustomization", "c")
    held_up: dict[str, Any] = {"contains": (B,), "wait": True, "source": GIT}
    story = Story().see(cluster.state("Kustomization", "a", unhealthy("Deployment/apps/server"), **held_up)).wait(10)
    story.see(
        cluster.state("Kustomization", "c", progressing(), source=GIT),
        cluster.state("Kustomization", "b", waiting("apps/c"), source=GIT, depends_on=needs(c)),
        cluster.state("Kustomization", "a", unhealthy("Kustomization/apps/b"), **held_up),
    )
    assert roots(story.wait(20)) == ["Kustomization/a"]


def test_who_waits_for_a_member_that_parted_goes_with_it():
    cluster, gone = Cluster(), ref("Kustomization", "gone")
    story = Story()
    story.give(Synced(story.at, "kustomizations.kustomize.toolkit.fluxcd.io")).see(
        cluster.state("Kustomization", "x", failing()),
        cluster.state("Kustomization", "a", waiting("apps/x"), depends_on=needs(X, gone)),
        cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A)),
    )
    story.wait(300)
    assert held(story) == {"x": ["x"], "a": ["a", "b"]}


def test_two_charts_that_cannot_be_fetched_are_the_repositorys_though_it_still_says_it_is_well():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("HelmRepository", "r", ready()), chart(cluster, "a", NOT_FETCHED)).wait(30)
    story.see(chart(cluster, "b", NOT_FETCHED), release(cluster, "b", NO_CHART)).wait(300)
    assert roots(story) == ["HelmRepository/r"]
    assert "b" in held(story)["r"]


def test_a_wrong_spec_is_told_beside_a_repository_that_still_says_it_is_well():
    cluster, story = Cluster(), Story()
    gone = ref("HelmRelease", "gone")
    story.give(Synced(story.at, "helmreleases.helm.toolkit.fluxcd.io")).see(
        cluster.state("HelmRepository", "r", ready()),
        chart(cluster, "a", NOT_FETCHED),
        chart(cluster, "b", NOT_FETCHED),
        release(cluster, "a", NO_CHART),
        release(cluster, "b", waiting("apps/gone", 'not found: "gone"'), gone),
    )
    assert roots(story.wait(300)) == ["HelmRelease/b", "HelmRepository/r"]


def test_a_cause_far_below_takes_over_a_failed_check_that_was_told_before_it():
    cluster, f, h = Cluster(), ref("Kustomization", "f"), ref("HelmRelease", "h")
    b, i = ref("HelmRelease", "b"), ref("HelmRelease", "i")

    def parent(name: str, condition: Condition, child: ObjectRef) -> ObjectState:
        return cluster.state("Kustomization", name, condition, contains=(child,), wait=True, source=GIT)

    story = Story().see(
        release(cluster, "b", ready()),
        release(cluster, "i", ready(), b),
        release(cluster, "h", ready(), b, i),
        parent("f", ready(), h),
        parent("e", ready(), f),
    )
    story.wait(78).see(parent("e", unhealthy("Kustomization/apps/f"), f))
    story.wait(2).see(release(cluster, "b", progressing()))
    story.wait(13).see(chart(cluster, "b", failing("ChartPackageError", "packaging failed")))
    story.wait(8).see(release(cluster, "h", waiting("apps/b"), b, i))
    story.wait(1).see(release(cluster, "i", waiting("apps/b"), b))
    story.wait(1).see(parent("f", unhealthy("HelmRelease/apps/h"), h))
    story.wait(8).see(release(cluster, "b", NO_CHART)).wait(3000)
    assert roots(story) == ["HelmChart/apps-b"]
    assert "e" in held(story)["apps-b"]


def denied(cluster: Cluster) -> Story:
    """Two are denied alike; the first of them then waits for something else that fails."""
    story = Story().see(cluster.state("Kustomization", "a", DENIED)).wait(1)
    story.see(cluster.state("Kustomization", "b", DENIED)).wait(30)
    assert held(story) == {"a": ["a", "b"]}
    return story.see(cluster.state("Kustomization", "x", failing()))


def test_what_fails_many_goes_on_when_the_first_of_them_waits_for_something_else():
    cluster = Cluster()
    story = denied(cluster).see(cluster.state("Kustomization", "a", waiting("apps/x"), depends_on=needs(X))).wait(60)
    assert held(story) == {"b": ["b"], "x": ["x", "a"]}
    first = story.cases[0].incident
    assert [(m.ref, m.role) for m in first.members] == [(B, Role.ROOT), (A, Role.RELATED)]
    moved = [entry.text for entry in first.timeline if entry.kind in ("rerooted", "left")]
    waits = "Kustomization apps/a waits for Kustomization/apps/x by now"
    assert moved == [
        f"root Kustomization apps/a → Kustomization apps/b: {waits}, this still fails",
        f"{waits}: it goes on there",
    ]
    assert next(entry.object for entry in first.timeline if entry.kind == "left") == A


def test_what_changed_is_told_of_the_new_root_alone():
    cluster = Cluster()
    bad = {"attempted_revision": "main@sha1:bbb"}
    story = Story().see(cluster.state("Kustomization", "a", unhealthy("Kustomization/apps/x"), source=GIT, **bad))
    assert story.wait(10).case.incident.change.failing == "main@sha1:bbb"
    story.see(cluster.state("Kustomization", "x", failing(), source=GIT, attempted_revision="main@sha1:ccc")).wait(30)
    assert (story.case.incident.root, story.case.incident.change.failing) == (X, "main@sha1:ccc")


def test_what_fails_many_goes_on_in_one_incident_when_the_first_of_them_waits_for_another_of_them():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", DENIED)).wait(1)
    story.see(cluster.state("Kustomization", "b", DENIED)).wait(30)
    story.see(cluster.state("Kustomization", "a", waiting("apps/b"), depends_on=needs(B))).wait(60)
    assert held(story) == {"b": ["b", "a"]}


UNANSWERED = failing(
    "ReconciliationFailed",
    'Deployment/web dry-run failed (InternalError): failed calling webhook "check.policies.io": failed to call: '
    'Post "https://guard.policies.svc:443/check?timeout=10s": no endpoints available for service "guard"',
)


def test_who_fails_of_a_webhook_is_in_the_incident_of_the_release_that_holds_its_service():
    cluster = Cluster()
    service = ref("Service", "guard", "policies")
    story = Story().see(
        cluster.state("HelmRelease", "guard", failing("UpgradeFailed", "no"), contains=(service,), helm=helm("guard")),
        cluster.state("HelmRelease", "other", failing("UpgradeFailed", "no"), helm=helm("other", "policies")),
        cluster.state("Kustomization", "a", UNANSWERED, source=GIT),
        cluster.state("Kustomization", "b", UNANSWERED, source=GIT),
    )
    assert held(story.wait(60)) == {"guard": ["guard", "a", "b"], "other": ["other"]}


def test_who_fails_of_a_webhook_is_in_the_incident_of_the_broken_release_in_its_namespace():
    cluster = Cluster()
    story = Story().see(
        cluster.state("HelmRelease", "guard", failing("UpgradeFailed", "no"), helm=helm("guard", "policies")),
        cluster.state("Kustomization", "a", UNANSWERED, source=GIT),
    )
    assert held(story.wait(60)) == {"guard": ["guard", "a"]}


def test_a_webhook_of_a_release_that_is_well_leaves_the_first_who_fails_as_the_root():
    cluster = Cluster()
    story = Story().see(
        cluster.state("HelmRelease", "guard", ready(), helm=helm("guard", "policies")),
        cluster.state("Kustomization", "a", UNANSWERED, source=GIT),
        cluster.state("Kustomization", "b", UNANSWERED, source=GIT),
    )
    assert held(story.wait(60)) == {"a": ["a", "b"]}


def test_a_webhook_whose_address_nobody_tells_has_no_release():
    cluster = Cluster()
    words = failing("ReconciliationFailed", 'failed calling webhook "check.policies.io": EOF')
    story = Story().see(
        cluster.state("HelmRelease", "guard", failing("UpgradeFailed", "no"), helm=helm("guard", "policies")),
        cluster.state("Kustomization", "a", words, source=GIT),
    )
    assert roots(story.wait(60)) == ["HelmRelease/guard", "Kustomization/a"]


def test_a_namespace_that_a_deletion_in_it_holds_up_is_in_the_incident_of_that():
    cluster = Cluster()
    story = Story().see(
        cluster.state("HelmRelease", "web", ready(), namespace="old", deleted_at=T0, helm=helm("web", "old")),
        cluster.state("Namespace", "old", namespace="", deleted_at=T0),
        cluster.state("Namespace", "new", namespace=""),
    )
    assert held(story.wait(600)) == {"web": ["web", "old"]}


def test_a_loud_failure_brings_its_incident_back_though_it_is_told_as_flapping_in_the_same_moment():
    flapping = """
---
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: a-flapping}
spec: {match: {kind: Kustomization, health: Failed}, count: {at_least: 3, within: 30m}, severity: info, summary: x}
"""
    cluster, story = Cluster(), Story(RULES.replace("for: 5s", "for: 0s") + flapping)
    for _ in range(4):
        story.see(cluster.state("Kustomization", "a", failing())).wait(40)
        story.see(cluster.state("Kustomization", "a", ready())).wait(150)
    assert len(story.cases) == 1


def test_what_failed_and_is_suspended_by_now_is_not_over_when_the_daemon_comes_back():
    cluster, story = Cluster(), Story()
    story.see(cluster.state("Kustomization", "a", failing())).wait(30)
    again = Story()
    again.at = story.at
    again.give(Restored(story.at, incidents=(story.case.incident,)))
    again.see(cluster.state("Kustomization", "a", failing(), suspended=True)).wait(600)
    assert [case.incident.state.value for case in again.cases] == ["open"]
