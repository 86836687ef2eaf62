"""What an incident's book says: who joined, who recovered, who became the root, word for word and once."""

from daemon.engine.correlate import end
from daemon.engine.lifecycle import Trigger
from daemon.engine.world import Case
from daemon.model.signals import Synced
from tests.builders import Cluster, Story, failing, needs, ready, ref, waiting

A, B, Z = (ref("Kustomization", name) for name in "abz")
SOURCES = "gitrepositories.source.toolkit.fluxcd.io"
TIMED_OUT = failing("ReconciliationFailed", "timed out")


def book(case: Case, *kinds: str) -> list[str]:
    """Return the entries of these kinds: who says what of which object."""
    entries = [entry for entry in case.incident.timeline if entry.kind in kinds]
    return [f"{entry.actor}: {entry.text} ({entry.object.name if entry.object else ''})" for entry in entries]


def fails(cluster: Cluster, name: str, *others: str, **more):
    """Show an object that fails, with what it depends on."""
    needed = needs(*(ref("Kustomization", other) for other in others))
    return cluster.state("Kustomization", name, TIMED_OUT, depends_on=needed, **more)


def waits(cluster: Cluster, name: str, other: str, **more):
    """Show an object that waits for another."""
    return cluster.state(
        "Kustomization", name, waiting(f"apps/{other}"), depends_on=needs(ref("Kustomization", other)), **more
    )


def test_an_incident_opens_with_its_root_and_the_rule_that_found_it():
    story = Story().see(fails(Cluster(), "a")).wait(6)
    assert book(story.case, "opened") == ["rule:failed: Kustomization apps/a is the root (a)"]


def test_what_the_rule_found_is_evidence():
    story = Story().see(fails(Cluster(), "a")).wait(6)
    expected = ["fluxmedic: Kustomization/apps/a: Kustomization apps/a fails: ReconciliationFailed ()"]
    assert book(story.case, "evidence") == expected


def test_who_joins_is_told_with_why_it_is_not_well():
    cluster = Cluster()
    story = Story().see(fails(cluster, "a"), waits(cluster, "b", "a")).wait(6)
    expected = ["flux: Kustomization apps/b: DependencyNotReady: dependency 'apps/a' is not ready (b)"]
    assert book(story.case, "joined") == expected


def test_who_recovers_is_told_once():
    cluster = Cluster()
    story = Story().see(fails(cluster, "a"), waits(cluster, "b", "a")).wait(6)
    story.see(cluster.state("Kustomization", "a", ready()), cluster.state("Kustomization", "b", ready())).wait(20)
    expected = ["flux: Kustomization apps/a is well again (a)", "flux: Kustomization apps/b is well again (b)"]
    assert book(story.case, "recovered") == expected


def test_who_is_deleted_is_told_to_be_gone():
    story = Story().see(fails(Cluster(), "a")).wait(6).lose(A).wait(1)
    assert book(story.case, "recovered") == ["flux: Kustomization apps/a is gone (a)"]


def test_an_incident_that_ends_by_itself_was_ended_by_fluxmedic():
    cluster = Cluster()
    story = Story().see(fails(cluster, "a")).wait(6).see(cluster.state("Kustomization", "a", ready())).wait(31)
    assert book(story.case, "state") == [
        "fluxmedic: open → recovering: everything is well ()",
        "fluxmedic: recovering → resolved: stayed well long enough ()",
    ]


def test_an_incident_that_a_person_ends_was_ended_by_that_person():
    story = Story().see(fails(Cluster(), "a")).wait(6)
    end(story.world, story.case, Trigger.RESOLVE, actor="person ada")
    assert book(story.case, "state") == ["person ada: open → resolved: resolved by a person ()"]


def test_what_failed_again_is_told_with_what_is_not_well():
    cluster = Cluster()
    story = Story().see(fails(cluster, "a")).wait(6).see(cluster.state("Kustomization", "a", ready())).wait(5)
    story.see(fails(cluster, "a")).wait(1)
    assert book(story.case, "state")[-1] == "fluxmedic: recovering → open: something fails again ()"
    assert book(story.case, "evidence")[-1] == "fluxmedic: Kustomization/apps/a is Failed ()"


def test_a_cause_that_appears_above_is_told_with_both_names():
    cluster = Cluster()
    story = Story().see(fails(cluster, "a", "z")).wait(15)
    story.see(cluster.state("Kustomization", "z", failing()), waits(cluster, "a", "z")).wait(6)
    expected = ["fluxmedic: root Kustomization apps/a → Kustomization apps/z: a cause above it appeared (z)"]
    assert book(story.case, "rerooted") == expected


def test_an_incident_that_goes_on_with_what_still_fails_says_so():
    cluster = Cluster()
    story = Story().see(fails(cluster, "a"), waits(cluster, "b", "a")).wait(6)
    story.see(cluster.state("Kustomization", "a", ready())).wait(5).see(fails(cluster, "b", "a")).wait(120)
    from_to = "root Kustomization apps/a → Kustomization apps/b"
    expected = [f"fluxmedic: {from_to}: Kustomization apps/a is well, this still fails (b)"]
    assert book(story.case, "rerooted") == expected


def test_an_incident_that_is_taken_in_says_where_it_goes_on_and_the_other_from_where_it_came():
    cluster = Cluster()
    story = Story().see(fails(cluster, "a", "z")).wait(15)
    story.see(cluster.state("Kustomization", "z", failing())).wait(15).see(waits(cluster, "a", "z")).wait(1)
    older, younger = story.cases
    assert book(younger, "state") == [
        f"fluxmedic: the same cause as incident {older.incident.id}: goes on there ()",
        "fluxmedic: open → resolved: taken in by another incident ()",
    ]
    from_to = "root Kustomization apps/a → Kustomization apps/z"
    assert book(older, "rerooted") == [f"fluxmedic: {from_to}: incident {younger.incident.id} has the same cause (z)"]


def test_a_member_that_leaves_is_told_of_in_the_incident_that_it_leaves():
    cluster, story = Cluster(), Story()
    story.give(Synced(story.at, SOURCES)).see(fails(cluster, "z"), waits(cluster, "a", "z")).wait(6)
    story.see(cluster.state("Kustomization", "a", failing("BuildFailed"), depends_on=needs(Z))).wait(6)
    left = next(case for case in story.cases if case.incident.root == Z)
    expected = ["fluxmedic: Kustomization apps/a has a fault of its own: it goes on in another incident (a)"]
    assert book(left, "left") == expected


def test_a_cause_is_told_once_though_only_its_times_differ():
    cluster, story = Cluster(), Story()
    for seconds in (3, 4, 5):
        message = f"health check failed after {seconds}.2s"
        story.see(cluster.state("Kustomization", "a", failing("HealthCheckFailed", message))).wait(6)
    assert book(story.case, "cause") == ["fluxmedic: Kustomization apps/a: health check failed after 3.2s (a)"]
    assert story.case.incident.cause == "Kustomization apps/a: health check failed after 3.2s"


def test_another_cause_is_told_anew():
    cluster, story = Cluster(), Story()
    for message in ("no such file", "no such host"):
        story.see(cluster.state("Kustomization", "a", failing(message=message))).wait(6)
    assert book(story.case, "cause") == [
        "fluxmedic: Kustomization apps/a: no such file (a)",
        "fluxmedic: Kustomization apps/a: no such host (a)",
    ]
