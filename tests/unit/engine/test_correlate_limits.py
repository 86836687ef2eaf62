"""How long, how often, how loud: what ends an incident, what reopens it, and what it goes on with."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.engine.correlate import trouble_of
from daemon.model.effects import Inspect
from daemon.model.findings import Severity
from daemon.model.incidents import State
from daemon.model.objects import Condition, ObjectState
from daemon.model.signals import ReleaseSeen
from tests.builders import (
    RULES,
    T0,
    Cluster,
    Story,
    failing,
    helm,
    names,
    needs,
    pods,
    progressing,
    ready,
    ref,
    unhealthy,
    waiting,
)

A, B, Z = (ref("Kustomization", name) for name in "abz")
CLAIM = {"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": "apps"}
SOURCE = ref("GitRepository", "repo")
TIMED_OUT = failing("ReconciliationFailed", "timed out")


def fails(cluster: Cluster, name: str = "a", **more) -> ObjectState:
    return cluster.state("Kustomization", name, failing(), **more)


def well(cluster: Cluster, name: str = "a", **more) -> ObjectState:
    return cluster.state("Kustomization", name, ready(), **more)


def flapped(cluster: Cluster, times: int) -> Story:
    """Let an incident recover and fail again so many times, and recover once more."""
    story = Story().see(fails(cluster)).wait(6)
    for _ in range(times):
        story.see(well(cluster)).wait(5).see(fails(cluster)).wait(6)
    return story.see(well(cluster))


@pytest.mark.parametrize(("times", "seconds"), [(0, 30), (1, 60), (2, 120), (4, 480), (6, 480)])
def test_an_incident_must_stay_well_twice_as_long_for_each_time_that_it_did_not(times, seconds):
    story = flapped(Cluster(), times)
    assert story.case.incident.flaps == times
    assert story.wait(seconds - 0.5).case.incident.state is State.RECOVERING
    assert story.wait(0.5).case.incident.state is State.RESOLVED


@pytest.mark.parametrize(("seconds", "incidents"), [(900, 1), (901, 2)])
def test_a_cause_that_is_back_within_a_quarter_of_an_hour_is_the_same_incident(seconds, incidents):
    cluster = Cluster()
    story = Story().see(fails(cluster)).wait(6).see(well(cluster)).wait(30)
    assert story.case.incident.state is State.RESOLVED
    story.wait(seconds - 5).see(fails(cluster)).wait(6)
    assert len(story.cases) == incidents


def test_a_reopened_incident_has_flapped_once_more_and_its_members_are_in_it_again():
    cluster = Cluster()
    waits = cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A))
    story = Story().see(fails(cluster), waits).wait(6)
    story.see(well(cluster), well(cluster, "b", depends_on=needs(A))).wait(60).see(fails(cluster)).wait(6)
    assert story.case.incident.flaps == 1
    assert story.world.case_of(B) is story.case


def test_a_reopened_incident_must_stay_well_anew():
    cluster = Cluster()
    story = Story().see(fails(cluster)).wait(6).see(well(cluster)).wait(60).see(fails(cluster)).wait(6)
    story.see(well(cluster)).wait(59)
    assert story.case.incident.state is State.RECOVERING
    assert story.wait(2).case.incident.state is State.RESOLVED


def test_a_dependent_that_fails_by_itself_soon_after_reopens_the_incident_that_it_was_in():
    cluster = Cluster()
    waits = cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A))
    story = Story().see(fails(cluster), waits).wait(6).see(well(cluster), well(cluster, "b")).wait(60)
    story.see(fails(cluster, "b")).wait(6)
    assert story.case.incident.state is State.OPEN


def test_of_two_incidents_that_had_a_cause_the_one_that_ended_last_is_reopened():
    cluster = Cluster()
    story = Story().see(fails(cluster, "z")).wait(6)
    story.see(cluster.state("Kustomization", "b", waiting("apps/z"), depends_on=needs(Z))).wait(1)
    story.see(well(cluster, "z"), well(cluster, "b")).wait(60)
    story.see(fails(cluster, "a"), cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A))).wait(6)
    story.see(well(cluster, "a"), well(cluster, "b")).wait(60)
    assert [case.open for case in story.cases] == [False, False]
    story.see(fails(cluster, "b")).wait(6)
    assert [case.incident.root.name for case in story.cases if case.open] == ["a"]


def release(cluster: Cluster, condition: Condition, have: int) -> tuple[ObjectState, ObjectState]:
    """Show a release and its workload."""
    workload = cluster.state("Deployment", "db", annotations=CLAIM, replicas=pods(have, 1))
    return workload, cluster.state("HelmRelease", "db", condition, helm=helm("db"))


def test_a_reopened_incident_is_over_when_its_workload_is_well_though_that_is_last():
    cluster = Cluster()
    story = Story().see(*release(cluster, failing("UpgradeFailed"), 0)).wait(6)
    story.see(*release(cluster, ready(), 1)).wait(60)
    story.see(*release(cluster, failing("UpgradeFailed"), 0)).wait(6).see(*release(cluster, ready(), 0)).wait(60)
    assert story.case.incident.state is State.OPEN
    assert story.see(*release(cluster, ready(), 1)).wait(61).case.incident.state is State.RESOLVED


def goes_on_after(*, timeout: float | None, retry: float | None) -> float:
    """Return after how many seconds an incident goes on with a member that fails on when its root is well."""
    cluster = Cluster()
    more: dict[str, Any] = {"timeout": timeout, "retry_interval": retry, "depends_on": needs(A)}
    story = Story().see(fails(cluster), cluster.state("Kustomization", "b", waiting("apps/a"), **more)).wait(6)
    story.see(well(cluster), fails(cluster, "b", **more))
    began = story.at
    while story.case.incident.root == A and story.at < began + timedelta(minutes=10):
        story.wait(0.5)
    return (story.at - began).total_seconds()


@pytest.mark.parametrize(
    ("timeout", "retry", "seconds"), [(None, None, 60), (100.0, None, 160), (None, 50.0, 110), (100.0, 50.0, 210)]
)
def test_a_member_has_a_level_and_a_run_of_its_own_before_the_incident_goes_on_with_it(timeout, retry, seconds):
    assert goes_on_after(timeout=timeout, retry=retry) == seconds


def test_of_failing_members_the_slowest_has_its_time_before_the_incident_goes_on():
    cluster = Cluster()
    waits = (cluster.state("Kustomization", name, waiting("apps/a"), depends_on=needs(A)) for name in "bc")
    story = Story().see(fails(cluster), *waits).wait(6)
    story.see(well(cluster), fails(cluster, "b", timeout=10.0), fails(cluster, "c", timeout=200.0)).wait(250)
    assert story.case.incident.root == A
    assert story.wait(15).case.incident.root == B


def test_a_member_that_recovers_gives_those_below_it_their_time_anew():
    cluster = Cluster()
    waits = cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A))
    below = cluster.state("Kustomization", "c", waiting("apps/b"), depends_on=needs(B))
    story = Story().see(fails(cluster), waits, below).wait(6).see(well(cluster), fails(cluster, "c")).wait(50)
    story.see(well(cluster, "b")).wait(50)
    assert story.case.incident.root == A
    assert story.wait(15).case.incident.root.name == "c"


def test_a_root_that_fails_again_in_between_gives_its_members_their_time_anew():
    cluster = Cluster()
    waits = cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A))
    own = cluster.state("Kustomization", "b", TIMED_OUT)
    story = Story().see(fails(cluster), waits).wait(6).see(well(cluster), own).wait(50)
    story.see(fails(cluster)).wait(20).see(well(cluster)).wait(40)
    assert story.case.incident.root == A
    assert story.wait(25).case.incident.root == B


@pytest.mark.parametrize(("late", "root"), [(-1, "a"), (0, "b"), (1, "b")])
def test_a_last_try_before_the_repair_is_no_failure_after_it(late, root):
    cluster = Cluster()
    waits = cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A))
    story = Story().see(fails(cluster), waits).wait(6)
    tried = replace(failing(), changed_at=story.at + timedelta(seconds=late))
    story.see(well(cluster), cluster.state("Kustomization", "b", tried, depends_on=needs(A))).wait(300)
    assert story.case.incident.root.name == root


def test_an_incident_goes_on_with_nobody_who_only_waits_though_it_failed_before():
    cluster = Cluster()
    child = cluster.state("Kustomization", "child", failing(), source=SOURCE)
    top = cluster.state("Kustomization", "top", unhealthy("Kustomization/apps/child"), source=SOURCE, wait=True)
    story = Story().see(fails(cluster), child, top).wait(1)
    needed = needs(A)
    story.see(cluster.state("Kustomization", "child", waiting("apps/a"), source=SOURCE, depends_on=needed)).wait(6)
    story.see(well(cluster)).wait(1)
    story.see(cluster.state("Kustomization", "child", waiting("apps/gone"), source=SOURCE, depends_on=needed)).wait(300)
    assert story.case.incident.root == A


def test_what_only_informs_keeps_a_quiet_incident_open():
    cluster = Cluster()
    story = Story().give(ReleaseSeen(T0, "default", "apps", "db", 1, "deployed", "Helm"))
    story.see(cluster.state("HelmRelease", "db", ready(), helm=helm("db"))).wait(600)
    assert story.case.incident.severity is Severity.INFO
    assert story.case.incident.state is State.OPEN


def test_what_only_informs_keeps_no_loud_incident_open():
    cluster = Cluster()
    story = Story().give(ReleaseSeen(T0, "default", "apps", "db", 1, "deployed", "Helm"))
    story.see(cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"))).wait(6)
    story.see(cluster.state("HelmRelease", "db", ready(), helm=helm("db"))).wait(60)
    assert story.case.incident.severity is Severity.CRITICAL
    assert story.case.incident.state is State.RESOLVED


def looks(story: Story) -> list[Inspect]:
    return [effect for effect in story.effects if isinstance(effect, Inspect)]


def down(cluster: Cluster, have: int = 0, **more) -> ObjectState:
    return cluster.state("Deployment", "web", replicas=pods(have, 1), **more)


def test_the_pods_of_a_workload_that_is_down_are_looked_at_every_half_minute():
    cluster = Cluster()
    story = Story().see(down(cluster, selector={"app": "web"}), cluster.state("Kustomization", "a", CHECK)).wait(6)
    assert names(look.ref for look in looks(story)) == ["web"]
    assert len(looks(story.wait(28))) == 1
    assert len(looks(story.wait(2))) == 2


def test_the_pods_of_a_workload_that_is_well_again_are_looked_at_no_more():
    cluster = Cluster()
    story = Story().see(down(cluster, selector={"app": "web"}), cluster.state("Kustomization", "a", CHECK)).wait(6)
    story.see(down(cluster, 1, selector={"app": "web"})).wait(100)
    assert story.case.incident.state is State.OPEN
    assert len(looks(story)) == 1


def test_a_workload_that_selects_no_pods_is_not_looked_into():
    cluster = Cluster()
    story = Story().see(down(cluster), cluster.state("Kustomization", "a", CHECK)).wait(100)
    assert looks(story) == []


def test_a_workload_that_shows_no_replicas_any_more_holds_nothing():
    cluster = Cluster()
    story = Story().see(down(cluster, selector={"app": "web"}), cluster.state("Kustomization", "a", CHECK)).wait(6)
    story.see(cluster.state("Deployment", "web"), well(cluster)).wait(60)
    assert story.case.incident.state is State.RESOLVED


CHECK = unhealthy("Deployment/apps/web")


def test_what_keeps_an_incident_open_is_said_by_its_worst_finding():
    story = Story().see(fails(Cluster())).wait(6)
    assert trouble_of(story.world, story.case) == "Kustomization/apps/a: Kustomization apps/a fails: BuildFailed"


def test_a_rule_whose_summary_comes_out_empty_is_told_by_its_name():
    wordless = RULES.replace("{{ ref.kind }} {{ ref.namespace }}/{{ ref.name }} fails: {{ ready.reason }}", "{{ '' }}")
    story = Story(wordless).see(fails(Cluster())).wait(6)
    assert trouble_of(story.world, story.case) == "Kustomization/apps/a: failed"


def test_what_keeps_an_incident_open_without_a_finding_is_said_by_the_member():
    cluster = Cluster()
    story = Story().see(fails(cluster)).wait(6)
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(A))).wait(1)
    story.see(well(cluster)).wait(1)
    assert trouble_of(story.world, story.case) == "Kustomization/apps/b is Blocked"


def test_an_incident_does_not_end_in_the_middle_of_a_run():
    cluster = Cluster()
    story = Story().see(fails(cluster)).wait(6).see(well(cluster)).wait(10)
    story.see(cluster.state("Kustomization", "a", progressing())).wait(100)
    assert story.case.incident.state is State.RECOVERING
    assert story.see(well(cluster)).case.incident.state is State.RESOLVED


def test_what_the_old_root_advised_is_gone_with_it():
    advises = RULES.replace("GitRepository, ", "").replace(
        "  next_step:", "  runbook: https://example.org/book\n  next_step:"
    )
    cluster = Cluster()
    story = Story(advises).see(cluster.state("Kustomization", "a", TIMED_OUT, source=SOURCE)).wait(6)
    incident = story.case.incident
    assert (incident.runbook, incident.next_step) == ("https://example.org/book", "flux get all -n apps")
    blocked = failing("SourceNotReady", "GitRepository 'apps/repo' is not ready")
    story.see(cluster.state("GitRepository", "repo", failing("GitOperationFailed")))
    story.see(cluster.state("Kustomization", "a", blocked, source=SOURCE)).wait(60)
    incident = story.case.incident
    assert (incident.root, incident.summary, incident.next_step, incident.runbook) == (SOURCE, "", "", "")


def test_an_incident_whose_new_root_has_not_fired_yet_takes_in_another_that_it_explains_too():
    cluster = Cluster()
    story = Story()
    for name in ("a", "b"):
        story.see(cluster.state("Kustomization", name, TIMED_OUT, depends_on=needs(Z))).wait(10)
    story.see(fails(cluster, "z"), cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(1)
    story.see(cluster.state("Kustomization", "b", waiting("apps/z"), depends_on=needs(Z))).wait(1)
    assert [case.incident.root for case in story.cases if case.open] == [Z]


def test_an_incident_below_what_is_suspended_goes_on_with_what_then_fails_by_itself():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", TIMED_OUT, depends_on=needs(Z))).wait(10)
    story.see(well(cluster, "z", suspended=True))
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z))).wait(10)
    assert story.case.incident.root == Z
    story.see(fails(cluster, "a", depends_on=needs(Z))).wait(61)
    assert story.case.incident.root == A


MILD = RULES.replace("severity: critical", "severity: warning").replace("health: Failed", "health: Failed, name: a")
LOUD = RULES.replace("name: failed", "name: loud").replace("health: Failed", "health: Failed, name: z")


def test_an_incident_that_takes_a_worse_one_in_is_as_bad_as_that_and_names_the_rules_of_both():
    cluster = Cluster()
    story = Story(MILD + "\n---\n" + LOUD)
    story.see(cluster.state("Kustomization", "a", TIMED_OUT, depends_on=needs(Z))).wait(15)
    story.see(fails(cluster, "z")).wait(15)
    assert [case.incident.severity for case in story.cases] == [Severity.WARNING, Severity.CRITICAL]
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=needs(Z)))
    kept = story.cases[0].incident
    assert (kept.state, kept.severity, kept.rules) == (State.OPEN, Severity.CRITICAL, ("failed", "loud"))
