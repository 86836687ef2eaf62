"""Who is in an incident, below whom, why, and since when it is well again: the cascade that people read."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.engine.world import Case
from daemon.model.incidents import Role
from daemon.model.objects import Condition
from tests.builders import T0, Cluster, Story, failing, helm, needs, pods, progressing, ready, ref, unhealthy, waiting

SOURCE = ref("GitRepository", "repo")
A, B, Z = (ref("Kustomization", name) for name in "abz")
CLAIM = {"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": "apps"}
WAITS = "DependencyNotReady: dependency 'apps/a' is not ready"
TIMED_OUT = failing("ReconciliationFailed", "timed out")


def tree(case: Case) -> dict[str, str]:
    """Return every member as Kind/name: its role and what it hangs below."""
    return {
        f"{member.ref.kind}/{member.ref.name}": member.role.value
        + (f" below {member.parent.name}" if member.parent else "")
        for member in case.incident.members
    }


def member(case: Case, name: str):
    return next(each for each in case.incident.members if each.ref.name == name)


def chain(cluster: Cluster):
    """Object a fails; b waits for a, c waits for b."""
    return (
        cluster.state("Kustomization", "a", failing()),
        cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A)),
        cluster.state("Kustomization", "c", waiting("apps/b"), depends_on=needs(B)),
    )


def test_a_cascade_hangs_every_member_below_its_nearest_cause():
    story = Story().see(*chain(Cluster())).wait(6)
    expected = {
        "Kustomization/a": "root",
        "Kustomization/b": "dependent below a",
        "Kustomization/c": "dependent below b",
    }
    assert tree(story.case) == expected


def test_a_member_whose_own_finding_came_first_still_hangs_below_its_cause():
    cluster = Cluster()
    workload = cluster.state("Deployment", "db", annotations=CLAIM, replicas=pods(0, 1))
    release = cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"))
    checking = cluster.state("Kustomization", "apps", unhealthy("Deployment/apps/db"), contains=(release.ref,))
    story = Story().see(workload, release, checking).wait(6)
    assert tree(story.case) == {
        "HelmRelease/db": "root",
        "Kustomization/apps": "dependent below db",
        "Deployment/db": "related below db",
    }


def test_a_new_root_stands_above_the_old_one():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", TIMED_OUT, depends_on=needs(Z))).wait(15)
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A)))
    story.see(cluster.state("Kustomization", "z", failing()))
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(6)
    assert [each.ref.name for each in story.case.incident.members] == ["z", "a", "b"]
    expected = {
        "Kustomization/z": "root",
        "Kustomization/a": "dependent below z",
        "Kustomization/b": "dependent below a",
    }
    assert tree(story.case) == expected


def test_a_new_root_is_a_member_since_it_is_the_root_and_says_why_it_fails():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", TIMED_OUT, depends_on=needs(Z))).wait(15)
    story.see(cluster.state("Kustomization", "z", failing()))
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(6)
    root = member(story.case, "z")
    assert (root.reason, root.joined_at) == (
        "BuildFailed: kustomize build failed: no such file",
        T0 + timedelta(seconds=15),
    )


def test_what_a_new_root_says_replaces_what_the_old_one_said():
    cluster = Cluster()
    story = Story().see(*chain(cluster)).wait(6)
    assert story.case.incident.summary == "Kustomization apps/a fails: BuildFailed"
    story.see(cluster.state("Kustomization", "a", ready())).wait(5)
    story.see(cluster.state("Kustomization", "b", TIMED_OUT, depends_on=needs(A))).wait(120)
    assert story.case.incident.root == B
    assert story.case.incident.summary == "Kustomization apps/b fails: ReconciliationFailed"


def taken_in() -> Story:
    """Two incidents that become one: the younger has a workload and a member of its own."""
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", TIMED_OUT, depends_on=needs(Z))).wait(15)
    story.see(cluster.state("Deployment", "web", replicas=pods(0, 1)))
    story.see(cluster.state("Kustomization", "z", unhealthy("Deployment/apps/web"))).wait(15)
    story.see(cluster.state("Kustomization", "w", waiting("apps/z"), depends_on=needs(Z))).wait(1)
    return story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(1)


def test_an_incident_that_takes_another_in_has_all_its_members_where_they_hung():
    older, _ = taken_in().cases
    assert tree(older) == {
        "Kustomization/z": "root",
        "Kustomization/a": "dependent below z",
        "Kustomization/w": "dependent below z",
        "Deployment/web": "related below z",
    }


def test_an_incident_that_took_another_in_is_not_over_while_the_workload_of_that_is_down():
    story = taken_in()
    cluster = Cluster()
    cluster.version = 50
    story.see(*(cluster.state("Kustomization", name, ready()) for name in "azw")).wait(600)
    assert story.cases[0].open
    story.see(cluster.state("Deployment", "web", replicas=pods(1, 1))).wait(60)
    assert not story.cases[0].open


@pytest.mark.parametrize("last", ["one", "two"])
def test_an_incident_that_took_another_in_waits_for_workloads_of_both_that_nobody_blames_any_more(last):
    cluster = Cluster()
    story = Story().see(*(cluster.state("Deployment", name, replicas=pods(0, 1)) for name in ("one", "two")))
    story.see(cluster.state("Kustomization", "a", unhealthy("Deployment/apps/one"), depends_on=needs(Z))).wait(6)
    story.see(cluster.state("Kustomization", "a", TIMED_OUT, depends_on=needs(Z))).wait(6)
    story.see(cluster.state("Kustomization", "z", unhealthy("Deployment/apps/two"))).wait(6)
    story.see(cluster.state("Kustomization", "z", failing())).wait(6)
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(1)
    assert [case.open for case in story.cases] == [True, False]
    story.see(*(cluster.state("Kustomization", name, ready()) for name in "az"))
    for name in sorted(("one", "two"), key=lambda each: each == last):
        assert story.wait(60).cases[0].open
        story.see(cluster.state("Deployment", name, replicas=pods(1, 1)))
    assert not story.wait(60).cases[0].open


def test_a_member_that_waits_again_says_why_it_waits_now():
    cluster = Cluster()
    story = Story().see(*chain(cluster)).wait(6)
    story.see(cluster.state("Kustomization", "b", ready(), depends_on=needs(A))).wait(1)
    assert member(story.case, "b").recovered_at is not None
    again = waiting("apps/a", "revision is not up to date")
    story.see(cluster.state("Kustomization", "b", again, depends_on=needs(A))).wait(1)
    found = member(story.case, "b")
    assert found.reason == "DependencyNotReady: dependency 'apps/a' revision is not up to date"
    assert (found.recovered_at, found.parent) == (None, A)


def test_a_member_recovered_when_it_was_well():
    cluster = Cluster()
    story = Story().see(*chain(cluster)).wait(6)
    story.see(cluster.state("Kustomization", "b", ready(), depends_on=needs(A))).wait(9)
    assert member(story.case, "b").recovered_at == T0 + timedelta(seconds=6)


def test_a_workload_below_an_incident_is_listed_with_its_pods():
    cluster = Cluster()
    story = Story().see(cluster.state("Deployment", "web", replicas=pods(1, 3)))
    story.see(cluster.state("Kustomization", "a", unhealthy("Deployment/apps/web"))).wait(6)
    found = member(story.case, "web")
    assert (found.role, found.reason) == (Role.RELATED, "Deployment apps/web 1/3 ready")


def test_a_member_that_waits_without_having_failed_says_what_its_ready_condition_says():
    story = Story().see(*chain(Cluster())).wait(6)
    assert member(story.case, "b").reason == WAITS


def test_a_member_that_is_still_failing_though_it_runs_again_says_what_had_failed():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "z", failing(), source=SOURCE))
    story.see(cluster.state("Kustomization", "top", unhealthy("Kustomization/apps/z"), contains=(Z,))).wait(3)
    story.see(cluster.state("Kustomization", "top", progressing(), contains=(Z,))).wait(6)
    assert member(story.case, "top").reason.startswith("HealthCheckFailed: health check failed: Kustomization/apps/z")


def test_what_is_not_well_though_ready_is_true_says_where_it_stands():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", ready(), generation=2)).wait(1)
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A))).wait(100)
    assert story.cases
    assert [member(case, "b").reason for case in story.cases if "b" in str(case.incident.members)] == [WAITS]


def test_a_member_that_fails_again_below_another_cause_hangs_below_that_one():
    cluster = Cluster()
    story = Story().see(*chain(cluster)).wait(6)
    story.see(cluster.state("Kustomization", "c", ready())).wait(1)
    story.see(cluster.state("Kustomization", "c", waiting("apps/a"), depends_on=needs(A))).wait(1)
    assert tree(story.case)["Kustomization/c"] == "dependent below a"


def test_a_member_that_fails_again_by_itself_stays_where_it_hung():
    cluster = Cluster()
    story = Story().see(*chain(cluster)).wait(6)
    story.see(cluster.state("Kustomization", "c", ready())).wait(1)
    story.see(cluster.state("Kustomization", "c", TIMED_OUT)).wait(6)
    assert tree(story.case)["Kustomization/c"] == "dependent below b"


def test_a_member_that_waits_on_keeps_its_place_and_the_reason_for_which_it_joined():
    cluster = Cluster()
    story = Story().see(*chain(cluster)).wait(6)
    again = waiting("apps/a", "revision is not up to date")
    story.see(cluster.state("Kustomization", "c", again, depends_on=needs(A))).wait(1)
    assert tree(story.case)["Kustomization/c"] == "dependent below b"
    assert member(story.case, "c").reason == "DependencyNotReady: dependency 'apps/b' is not ready"


def test_an_incident_that_takes_another_in_has_the_findings_of_both():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", TIMED_OUT, depends_on=needs(Z), source=SOURCE)).wait(15)
    story.see(cluster.state("Kustomization", "top", unhealthy("Kustomization/apps/a"), source=SOURCE)).wait(6)
    story.see(cluster.state("Kustomization", "z", failing())).wait(15)
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z), source=SOURCE))
    assert {found.ref.name for found in story.cases[0].findings} >= {"top", "z"}


def test_a_member_that_nobody_looked_at_says_where_it_stands():
    cluster = Cluster()
    unseen = (cluster.state("Kustomization", name, ready(), generation=2) for name in "ab")
    story = Story().see(*(replace(state, observed_generation=1) for state in unseen)).wait(100)
    assert member(story.case, "b").reason == "InProgress"


def test_a_member_without_a_condition_says_where_it_stands():
    cluster = Cluster()
    labels = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/component": "kustomize-controller"}
    controller = cluster.state("Deployment", "kustomize-controller", labels=labels, replicas=pods(0, 1))
    story = Story().see(controller, cluster.state("Kustomization", "b", observed_generation=-1)).wait(600)
    assert member(story.case, "b").reason == "InProgress"


def test_a_long_reason_is_cut():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing()))
    long = Condition("Ready", "False", "DependencyNotReady", f"dependency 'apps/a' is not ready {'x' * 500}", 1)
    story.see(cluster.state("Kustomization", "b", long, depends_on=needs(A))).wait(6)
    assert len(member(story.case, "b").reason) == 200
