"""Detectors: each finds what no condition of Flux says, and nothing else."""

from typing import Any

import pytest

from daemon.engine.detect import DETECTORS, purpose_of
from daemon.model.findings import Severity
from daemon.model.signals import EventSeen, ReleaseSeen, Synced
from tests.builders import RULES, T0, Cluster, Story, failing, helm, needs, progressing, ready, ref, unhealthy, waiting

KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
SOURCES = "gitrepositories.source.toolkit.fluxcd.io"


def heard(rules: str = RULES) -> Story:
    return Story(rules).give(Synced(T0, KUSTOMIZATIONS), Synced(T0, SOURCES))


def rules_of(story: Story) -> list[str]:
    return sorted({test for case in story.cases for test in case.incident.rules})


def finding(story: Story, test: str):
    return next(each for each in story.world.findings.values() if each.test == test)


def test_f027_a_ring_of_dependencies_is_one_incident_that_names_the_ring():
    cluster = Cluster()
    names = ("a", "b", "c")
    states = [
        cluster.state(
            "Kustomization",
            name,
            waiting(f"apps/{names[index - 1]}"),
            depends_on=needs(ref("Kustomization", names[index - 1])),
        )
        for index, name in enumerate(names)
    ]
    story = heard().see(*states).wait(30)
    assert rules_of(story) == ["dependency-cycle"]
    assert "apps/a → apps/c → apps/b → apps/a" in story.case.incident.cause


def test_a_chain_is_no_ring():
    cluster = Cluster()
    story = heard().see(
        cluster.state("Kustomization", "a", ready()),
        cluster.state("Kustomization", "b", ready(), depends_on=needs(ref("Kustomization", "a"))),
    )
    assert story.wait(300).cases == []


def test_a_dependency_that_does_not_exist_is_named():
    state = Cluster().state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a")))
    story = heard().see(state).wait(30)
    assert story.case.incident.cause == "Kustomization apps/b: depends on Kustomization apps/a, which does not exist"


def test_a_dependency_of_a_kind_that_is_not_heard_gets_the_benefit_of_the_doubt():
    state = Cluster().state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a")))
    assert Story().see(state).wait(300).cases == []


def test_a_suspended_object_misses_nothing():
    lost = needs(ref("Kustomization", "a"))
    state = Cluster().state("Kustomization", "b", waiting("apps/a"), depends_on=lost, suspended=True)
    assert heard().see(state).wait(300).cases == []


def test_a_source_that_does_not_exist_is_named():
    source = ref("GitRepository", "repo")
    blocked = failing("SourceNotReady", "Source artifact not found, retrying in 30s")
    story = heard().see(Cluster().state("Kustomization", "a", blocked, source=source)).wait(30)
    assert "its source GitRepository apps/repo does not exist" in story.case.incident.cause


def test_a_chart_that_is_not_made_yet_is_no_missing_source():
    story = Story().give(Synced(T0, "helmcharts.source.toolkit.fluxcd.io"))
    blocked = failing("SourceNotReady", "HelmChart 'apps/apps-db' is not ready")
    story.see(Cluster().state("HelmRelease", "db", blocked, source=ref("HelmChart", "apps-db"))).wait(300)
    assert story.cases == []


def test_a_parent_that_waits_for_what_depends_on_it_waits_on_itself():
    cluster = Cluster()
    child = cluster.state("Kustomization", "child", waiting("apps/top"), depends_on=needs(ref("Kustomization", "top")))
    middle = cluster.state("Kustomization", "leaf", waiting("apps/child"), depends_on=needs(child.ref))
    top = cluster.state("Kustomization", "top", progressing(), contains=(child.ref, middle.ref), wait=True)
    story = heard().see(top, child, middle).wait(60)
    assert "waits-on-itself" in rules_of(story)
    assert "which waits for it in turn: neither can become Ready first" in story.case.incident.cause


def test_a_parent_that_waits_for_its_children_is_well():
    cluster = Cluster()
    child = cluster.state("Kustomization", "child", ready())
    other = cluster.state("Kustomization", "two", ready(), depends_on=needs(child.ref, child.ref))
    top = cluster.state("Kustomization", "top", ready(), contains=(child.ref, other.ref), wait=True)
    assert heard().see(top, child, other).wait(300).cases == []


@pytest.mark.parametrize(
    ("finalizers", "event", "expected"),
    [
        (("finalizers.fluxcd.io",), "", "its deletion does not end (finalizer finalizers.fluxcd.io)"),
        ((), "denied by policy", "its deletion does not end: denied by policy"),
    ],
)
def test_a_deletion_that_does_not_end_is_told_with_its_last_warning(finalizers, event, expected):
    state = Cluster().state("Kustomization", "a", ready(), deleted_at=T0, finalizers=finalizers)
    story = heard().see(state)
    if event:
        story.give(EventSeen(story.at, state.ref, "ReconciliationFailed", event, warning=True))
    story.wait(100)
    assert story.case.incident.cause == f"Kustomization apps/a: {expected}"


@pytest.mark.parametrize(
    ("said", "told_after"),
    [
        ((), 331.0),
        ((failing("UninstallFailed", "denied"),), 91.0),
    ],
)
def test_a_deletion_has_the_time_that_its_spec_gives_it_unless_it_was_refused(said, told_after):
    state = Cluster().state("HelmRelease", "a", *(said or (ready(),)), deleted_at=T0, leaving=300.0)
    story = heard().see(state)
    assert story.wait(told_after - 2).cases == []
    assert rules_of(story.wait(2)) == ["stuck-deletion"]


def test_a_warning_from_before_a_deletion_says_nothing_about_it():
    cluster = Cluster()
    story = heard().see(cluster.state("HelmRelease", "a", ready()))
    story.give(EventSeen(story.at, ref("HelmRelease", "a"), "UpgradeFailed", "it broke", warning=True)).wait(10)
    story.see(cluster.state("HelmRelease", "a", ready(), deleted_at=story.at, leaving=300.0)).wait(400)
    assert story.case.incident.cause == "HelmRelease apps/a: its deletion does not end"


def test_a_suspended_child_that_a_check_waits_for_blocks_it_with_its_old_failure():
    cluster, child = Cluster(), ref("HelmRelease", "cms")
    old = failing("UpgradeFailed", "Helm upgrade failed for release apps/cms.v2 with chart cms@1: it broke")
    story = heard().see(cluster.state("HelmRelease", "cms", old, suspended=True))
    story.see(cluster.state("Kustomization", "apps", unhealthy("HelmRelease/apps/cms"), contains=(child,))).wait(70)
    assert story.case.incident.root == child
    assert finding(story, "suspended-blocks").summary == (
        "is suspended and blocks apps/apps: they wait for what it will not apply; "
        "it failed before: Helm upgrade failed: it broke"
    )


def test_a_workload_that_is_being_deleted_is_not_fluxs_business():
    assert heard().see(Cluster().state("Deployment", "web", deleted_at=T0)).wait(300).cases == []


def test_f028_a_generation_that_nobody_looks_at_is_a_dead_controller():
    state = Cluster().state("Kustomization", "a", ready(), generation=3, observed_generation=2)
    story = heard().see(state).wait(120)
    assert rules_of(story) == ["not-observed"]


def test_two_silent_objects_of_one_controller_are_one_incident():
    cluster = Cluster()
    states = [cluster.state("Kustomization", name, ready(), generation=2, observed_generation=1) for name in "ab"]
    story = heard().see(*states).wait(120)
    assert len(story.case.incident.members) == 2


def test_silent_objects_of_two_controllers_are_two_incidents():
    cluster = Cluster()
    lagging: dict[str, Any] = {"generation": 2, "observed_generation": 1}
    story = heard().see(cluster.state("Kustomization", "a", ready(), **lagging)).wait(100)
    story.see(cluster.state("HelmRelease", "b", ready(), **lagging)).wait(100)
    assert len(story.cases) == 2


def test_a_suspended_object_that_others_wait_for_is_named():
    cluster = Cluster()
    story = heard().see(
        cluster.state("Kustomization", "a", ready(), suspended=True),
        cluster.state(
            "Kustomization",
            "b",
            waiting("apps/a", "revision is not up to date"),
            depends_on=needs(ref("Kustomization", "a")),
        ),
    )
    story.wait(120)
    assert rules_of(story) == ["suspended-blocks"]
    assert "is suspended and blocks apps/b" in story.case.incident.cause


def test_a_suspended_object_that_nobody_waits_for_is_quiet():
    cluster = Cluster()
    story = heard().see(
        cluster.state("Kustomization", "a", ready(), suspended=True),
        cluster.state("Kustomization", "b", ready(), depends_on=needs(ref("Kustomization", "a"))),
    )
    assert story.wait(300).cases == []


def test_a_release_with_a_second_writer_has_two_owners():
    cluster = Cluster()
    release = cluster.state("HelmRelease", "db", ready(), helm=helm("db"))
    owner = cluster.state("Kustomization", "app", ready(), contains=(release.ref,))
    story = heard().give(
        ReleaseSeen(T0, "default", "apps", "db", 1, "superseded", "Helm"),
        ReleaseSeen(T0, "default", "apps", "db", 2, "deployed", "helm-controller"),
    )
    story.see(owner, release)
    found = finding(story, "two-owners")
    assert found.severity is Severity.INFO
    assert "revision 1 was written by Helm" in found.summary
    assert found.summary.endswith("Kustomization apps/app applies it")


def test_a_release_that_flux_alone_writes_has_one_owner():
    story = heard().give(ReleaseSeen(T0, "default", "apps", "db", 1, "deployed", "helm-controller"))
    story.see(Cluster().state("HelmRelease", "db", ready(), helm=helm("db")))
    assert story.world.findings == {}


def test_a_rule_file_may_switch_a_detector_off_or_make_it_louder():
    spec = "\n---\napiVersion: fluxmedic.dev/v1\nkind: Detector\nmetadata: {name: NAME}\nspec: SPEC\n"
    off = RULES + spec.replace("NAME", "two-owners").replace("SPEC", "{enabled: false}")
    loud = RULES + spec.replace("NAME", "two-owners").replace("SPEC", "{severity: critical}")
    for rules, expected in ((off, []), (loud, [Severity.CRITICAL])):
        story = Story(rules).give(ReleaseSeen(T0, "default", "apps", "db", 1, "deployed", "Helm"))
        story.see(Cluster().state("HelmRelease", "db", ready(), helm=helm("db")))
        assert [found.severity for found in story.world.findings.values()] == expected


def test_a_rule_file_may_say_how_long_what_a_detector_found_must_last():
    later = "\n---\napiVersion: fluxmedic.dev/v1\nkind: Detector\nmetadata: {name: two-owners}\nspec: {for: 5m}\n"
    story = Story(RULES + later).give(ReleaseSeen(T0, "default", "apps", "db", 1, "deployed", "Helm"))
    story.see(Cluster().state("HelmRelease", "db", ready(), helm=helm("db"))).wait(299)
    assert story.cases == []
    assert len(story.wait(1).cases) == 1


def test_what_a_detector_is_for_is_one_sentence_without_its_sources():
    assert (
        purpose_of("drift-fight") == "Find two Kustomizations that change one object back and forth: both stay Ready."
    )
    assert purpose_of("crash-loop").endswith("again and again.")


def test_every_detector_says_what_it_is_for():
    assert all(detector.__doc__ for detector in DETECTORS.values())


def test_an_object_that_says_itself_that_it_fails_is_looked_at():
    state = Cluster().state("Kustomization", "a", failing(), generation=3, observed_generation=2)
    assert "not-observed" not in rules_of(heard().see(state).wait(200))


@pytest.mark.parametrize(("name", "told"), [("web-chart", True), ("apps-web", False)])
def test_a_chart_that_is_named_and_not_there_is_missing_and_a_generated_one_is_on_its_way(name, told):
    words = f'could not get Source object: HelmChart.source.toolkit.fluxcd.io "{name}" not found'
    lost = failing("ArtifactFailed", words)
    story = Story()
    story.give(Synced(story.at, "helmcharts.source.toolkit.fluxcd.io"))
    story.see(Cluster().state("HelmRelease", "web", lost, source=ref("HelmChart", name), helm=helm("web"))).wait(60)
    assert bool(story.cases) == told
