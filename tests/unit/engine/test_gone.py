"""What does not exist, and what is gone: one cause for all who lack it, and no incident over while it is wanted."""

import pytest

from daemon.engine.view import WorldView
from daemon.model.signals import Synced
from tests.builders import Cluster, Story, failing, needs, pods, progressing, ready, ref, unhealthy, waiting

DB, FLEET, WEB = ref("Kustomization", "db"), ref("GitRepository", "fleet"), ref("Deployment", "web")
RESOURCES = ("kustomizations.kustomize.toolkit.fluxcd.io", "gitrepositories.source.toolkit.fluxcd.io")


def heard(rules: str | None = None) -> Story:
    story = Story(rules) if rules is not None else Story()
    return story.give(*(Synced(story.at, resource) for resource in RESOURCES))


def lacking(cluster: Cluster, name: str):
    return cluster.state("Kustomization", name, waiting("apps/db", "not found"), depends_on=needs(DB))


def test_forty_who_depend_on_what_does_not_exist_are_one_incident():
    cluster = Cluster()
    story = heard().see(*(lacking(cluster, f"app{number:02}") for number in range(40))).wait(60)
    assert story.case.incident.root == ref("Kustomization", "app00")
    assert len(story.case.incident.members) == 40
    assert "depends on Kustomization apps/db, which does not exist" in story.case.incident.cause
    assert story.reasons.count("opened") == 1


def test_forty_whose_source_does_not_exist_are_one_incident():
    cluster, story = Cluster(), heard()
    for number in range(40):
        missing = failing("ArtifactFailed", 'GitRepository.source.toolkit.fluxcd.io "fleet" not found')
        story.see(cluster.state("Kustomization", f"app{number:02}", missing, source=FLEET)).wait(1)
    assert len(story.wait(60).case.incident.members) == 40


def test_who_lack_two_different_things_are_two_incidents():
    cluster = Cluster()
    other = waiting("apps/cache", "not found")
    story = heard().see(
        lacking(cluster, "a"),
        cluster.state("Kustomization", "b", other, depends_on=needs(ref("Kustomization", "cache"))),
    )
    assert [case.incident.root.name for case in story.wait(60).cases] == ["a", "b"]


def test_when_the_first_needs_it_no_more_the_incident_goes_on_with_the_next():
    cluster = Cluster()
    story = heard().see(lacking(cluster, "a"), lacking(cluster, "b")).wait(60)
    story.see(cluster.state("Kustomization", "a", ready())).wait(30)
    assert story.case.incident.state.value == "open"
    story.see(cluster.state("Kustomization", "db", ready()), cluster.state("Kustomization", "b", ready())).wait(60)
    assert story.case.incident.state.value == "resolved"


def web_is_down(cluster: Cluster) -> Story:
    story = Story().see(cluster.state("Deployment", "web", replicas=pods(0, 1)))
    story.see(cluster.state("Kustomization", "app", unhealthy("Deployment/apps/web"), contains=(WEB,)))
    return story.wait(20)


@pytest.mark.parametrize(("contains", "state"), [((WEB,), "open"), ((), "resolved")])
def test_a_workload_that_is_gone_holds_its_incident_while_an_inventory_has_it(contains, state):
    cluster = Cluster()
    story = web_is_down(cluster)
    story.lose(WEB).see(cluster.state("Kustomization", "app", ready(), contains=contains)).wait(120)
    assert story.case.incident.state.value == state


def at_revision(cluster: Cluster, condition, applied: str, attempted: str):
    return cluster.state("Kustomization", "a", condition, applied_revision=applied, attempted_revision=attempted)


def test_later_pushes_and_the_fix_are_not_what_broke_it():
    cluster = Cluster()
    story = Story().see(at_revision(cluster, ready(), "main@1", "main@1"))
    for number in (2, 3):
        story.see(at_revision(cluster, failing(), "main@1", f"main@{number}")).wait(20)
    story.see(at_revision(cluster, ready(), "main@4", "main@4")).wait(60)
    change = story.case.incident.change
    assert (change.last_good, change.failing) == ("main@1", "main@2")


def test_a_workload_beside_the_cause_is_explained_as_such():
    cluster = Cluster()
    story = web_is_down(cluster)
    told = WorldView(story.world).why(WEB)["answer"]
    assert f"is beside the cause in incident {story.case.incident.id}" in str(told)


def test_a_rule_that_asks_how_long_it_fails_fires_by_time_alone():
    rule = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: long}
spec:
  match: {kind: Kustomization, health: Failed}
  when: failing_for > duration('10m')
  severity: warning
  summary: x
"""
    story = heard(rule).see(Cluster().state("Kustomization", "a", failing()))
    assert story.wait(599).cases == []
    assert story.wait(90).case.incident.rules == ("long",)


def test_a_cause_below_an_incident_that_was_told_waits_for_its_victim_to_say_so():
    cluster = Cluster()
    story = (
        Story()
        .see(
            cluster.state("Kustomization", "app", unhealthy("Deployment/apps/web"), depends_on=needs(DB)),
            cluster.state("Kustomization", "db", progressing()),
        )
        .wait(30)
    )
    assert story.reasons == ["opened"]
    story.see(cluster.state("Kustomization", "db", failing("ReconciliationFailed", "timed out"))).wait(25)
    story.see(cluster.state("Kustomization", "app", waiting("apps/db"), depends_on=needs(DB))).wait(60)
    assert story.reasons.count("opened") == 1
    assert [case.incident.root for case in story.cases if case.open] == [DB]


def test_charts_whose_repository_does_not_exist_are_one_incident():
    cluster, story = Cluster(), heard()
    told = 'failed to get source: HelmRepository.source.toolkit.fluxcd.io "charts" not found'
    for name in ("one", "two", "three"):
        chart = cluster.state(
            "HelmChart", name, failing("ChartPullError", told), source=ref("HelmRepository", "charts")
        )
        story.see(chart).wait(1)
    assert len(story.wait(60).case.incident.members) == 3
    assert "needs HelmRepository apps/charts, which does not exist" in story.case.incident.cause


def test_when_the_failing_root_is_deleted_who_still_needs_it_is_the_root_and_says_so():
    cluster, story, root = Cluster(), heard(), ref("Kustomization", "root")
    gone = waiting("apps/root", 'not found: kustomizations "root" not found')
    story.see(
        cluster.state("Kustomization", "root", failing()),
        cluster.state("Kustomization", "b", waiting("apps/root"), depends_on=needs(root)),
    )
    story.wait(30).lose(root).wait(10).see(cluster.state("Kustomization", "b", gone, depends_on=needs(root))).wait(60)
    assert story.case.incident.root == ref("Kustomization", "b")
    assert story.case.incident.cause == "Kustomization apps/b: depends on Kustomization apps/root, which does not exist"
    assert "Kustomization apps/root is gone, and this still needs it" in story.case.incident.timeline[-2].text


def test_a_root_that_was_deleted_and_fails_again_is_the_root_again():
    cluster, story, root = Cluster(), heard(), ref("Kustomization", "root")
    waits = cluster.state("Kustomization", "b", waiting("apps/root"), depends_on=needs(root))
    story.see(cluster.state("Kustomization", "root", failing()), waits).wait(30).lose(root).wait(60)
    cluster.recreate(root)
    story.see(cluster.state("Kustomization", "root", failing())).wait(60)
    assert story.case.incident.root == root
    assert story.case.incident.state.value == "open"


def test_a_member_that_fails_again_while_its_incident_is_open_is_told():
    cluster, story = Cluster(), heard()
    b = ref("Kustomization", "b")
    story.see(cluster.state("Kustomization", "a", failing()))
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a"))))
    story.wait(10).see(cluster.state("Kustomization", "b", ready())).wait(10)
    story.see(cluster.state("Kustomization", "b", failing("HealthCheckFailed", "timed out"))).wait(10)
    told = [(entry.kind, entry.text) for entry in story.case.incident.timeline if entry.object == b]
    assert told[-1] == ("evidence", "Kustomization apps/b is not well again: HealthCheckFailed: timed out")


def test_when_the_first_lacks_it_no_more_the_next_is_the_root_of_the_same_incident_at_once():
    cluster = Cluster()
    story = heard().see(lacking(cluster, "a"), lacking(cluster, "b")).wait(60)
    assert story.case.incident.root == ref("Kustomization", "a")
    story.see(cluster.state("Kustomization", "a", waiting("apps/x"))).wait(1)
    assert story.case.incident.root == ref("Kustomization", "b")
    assert story.case.incident.timeline[-2].text.endswith("Kustomization apps/a lacks nothing any more, this does")
