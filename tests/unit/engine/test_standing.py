"""A procedure with a schedule is asked when its time comes; what does not hold is a finding until it does."""

from daemon.model.signals import CronFired, Synced
from tests.builders import RULES, T0, Cluster, Story, failing, ready

PROCEDURE = (
    RULES
    + """
---
apiVersion: fluxmedic.dev/v1
kind: Procedure
metadata: {name: basics}
spec:
  schedule: "17 * * * *"
  checks:
    - {id: A, probe: condition, with: {kind: Kustomization, namespace: apps, name: a}, text: a is Ready}
    - {id: B, probe: condition, with: {kind: Kustomization, namespace: apps, name: b}, optional: true}
    - {id: C, probe: exists, with: {kind: Kustomization, at-least: "9"}}
"""
)


def asked(state) -> Story:
    story = Story(PROCEDURE).give(Synced(T0, "kustomizations.kustomize.toolkit.fluxcd.io")).see(state)
    return story.give(CronFired(story.at, "basics"))


def test_what_holds_is_no_finding():
    assert asked(Cluster().state("Kustomization", "a", ready())).world.findings == {}


def test_what_does_not_hold_opens_an_incident_and_its_repair_ends_it():
    cluster = Cluster()
    suspended = cluster.state("Kustomization", "a", failing(), suspended=True)
    story = asked(suspended)
    assert story.case.incident.rules == ("verify:basics/A",)
    assert story.case.incident.summary.startswith("a is Ready (procedure basics): ")
    story.see(cluster.state("Kustomization", "a", ready())).wait(60)
    assert story.world.findings == {}
    assert story.world.standing == {}


def test_of_two_failing_checks_one_may_be_mended_before_the_other():
    rules = PROCEDURE.replace("name: b}, optional: true", "name: a, status: 'True', type: Healthy}")
    cluster = Cluster()
    story = Story(rules).give(Synced(T0, "kustomizations.kustomize.toolkit.fluxcd.io"))
    story.see(cluster.state("Kustomization", "a", failing(), suspended=True)).give(CronFired(story.at, "basics"))
    story.see(cluster.state("Kustomization", "a", ready()))
    assert [finding.test for finding in story.world.findings.values()] == ["verify:basics/B"]


def test_a_schedule_of_a_procedure_that_is_gone_does_nothing():
    story = Story().give(CronFired(T0, "basics"))
    assert story.world.standing == {}
