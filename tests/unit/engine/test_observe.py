"""Taking facts in: in any order, twice, late, for an older incarnation."""

from typing import Any

from daemon.engine.observe import OBJECTS_WITH_EVENTS, forget_pods, is_heard
from daemon.engine.world import EVENTS_KEPT
from daemon.model.refs import ObjectRef
from daemon.model.signals import EventSeen, ObjectChanged, ObjectGone, ReleaseSeen, Stale, Synced
from tests.builders import T0, Cluster, Story, failing, helm, needs, pods, ready, ref

A = ref("Kustomization", "a")


def event(story: Story, message: str, where: ObjectRef = A) -> EventSeen:
    return EventSeen(story.at, where, "Reason", message)


def test_f009_an_older_state_that_comes_late_changes_nothing():
    cluster = Cluster()
    old, new = cluster.state("Kustomization", "a", failing()), cluster.state("Kustomization", "a", ready())
    story = Story().see(new, old)
    assert story.world.objects[A].state == new
    assert story.world.counts["states_older"] == 1


def test_a_state_of_an_older_generation_changes_nothing():
    cluster = Cluster()
    old = cluster.state("Kustomization", "a", failing(), generation=1)
    new = cluster.state("Kustomization", "a", ready(), generation=2, observed_generation=2)
    late = cluster.state("Kustomization", "a", failing(), generation=1)
    assert old.uid == late.uid
    assert Story().see(new, late).world.objects[A].state == new


def test_versions_that_are_no_numbers_are_taken_as_they_come():
    cluster = Cluster()
    one, two = (cluster.state("Kustomization", "a", condition) for condition in (failing(), ready()))
    story = Story()
    for state, version in ((one, "abc"), (two, "abb")):
        story.give(ObjectChanged(story.at, type(state)(**{**_fields(state), "resource_version": version})))
    assert story.world.objects[A].state.ready == ready()


def _fields(state):
    return {name: getattr(state, name) for name in state.__slots__}


def test_the_end_of_an_incarnation_that_was_replaced_is_ignored():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", ready()))
    cluster.recreate(A)
    story.see(cluster.state("Kustomization", "a", ready()))
    story.give(ObjectGone(story.at, A, "uid-1"))
    assert A in story.world.objects
    story.give(ObjectGone(story.at, A, "uid-2"))
    assert A not in story.world.objects


def test_the_end_of_what_was_never_seen_is_ignored():
    assert Story().lose(A).world.objects == {}


def test_a_repeated_event_is_remembered_once_and_a_storm_keeps_the_newest():
    story = Story()
    for number in range(EVENTS_KEPT + 3):
        story.give(event(story, f"m{number}"), event(story, "same"))
    kept = [each.message for each in story.world.events[A]]
    assert len(kept) == EVENTS_KEPT
    assert kept.count("same") == 1
    assert kept[-1] == "same"


def test_f023_old_warnings_of_an_object_that_is_well_by_now_open_nothing():
    story = Story().see(Cluster().state("Kustomization", "a", ready()))
    story.give(event(story, "health check failed"), event(story, "build failed")).wait(600)
    assert story.cases == []


def test_events_of_too_many_objects_push_the_oldest_out():
    story = Story()
    for number in range(OBJECTS_WITH_EVENTS + 1):
        story.give(event(story, "m", ref("Kustomization", f"k{number}")))
    assert len(story.world.events) == OBJECTS_WITH_EVENTS
    assert story.world.counts["events_dropped"] == 1


def test_an_event_lets_its_object_be_looked_at_again():
    story = Story().see(Cluster().state("Kustomization", "a", ready()))
    story.give(event(story, "m"))
    assert len(story.world.events[A]) == 1


def test_a_revision_that_was_removed_from_storage_is_forgotten():
    story = Story().see(Cluster().state("HelmRelease", "db", ready(), helm=helm("db")))
    for gone in (False, True):
        story.give(ReleaseSeen(T0, "default", "apps", "db", 1, "deployed", gone=gone))
    story.give(ReleaseSeen(T0, "default", "apps", "other", 1, "deployed", gone=True))
    assert story.world.releases == {}


def test_one_of_two_revisions_stays():
    story = Story()
    for number, gone in ((1, False), (2, False), (1, True)):
        story.give(ReleaseSeen(T0, "default", "apps", "db", number, "deployed", gone=gone))
    assert list(story.world.releases[("apps", "db")]) == [2]


def test_a_kind_that_is_not_heard_any_more_is_not_in_sync():
    story = Story().give(Synced(T0, "a"), Stale(T0, "a", "timeout"))
    assert not is_heard(story.world, "a")
    story.give(Stale(T0, "a", "no such kind", absent=True))
    assert story.world.absent == {"a"}
    story.give(Synced(T0, "a"))
    assert is_heard(story.world, "a")
    assert story.world.stale == {}


def test_nothing_fires_before_every_expected_kind_has_answered():
    story = Story(expected=frozenset({"a", "b"}))
    story.see(Cluster().state("Kustomization", "a", failing())).wait(60)
    assert story.cases == []
    story.give(Synced(story.at, "a")).wait(60)
    assert story.cases == []
    story.give(Stale(story.at, "b", "forbidden")).wait(6)
    assert story.case.incident.root == A


def test_what_an_object_no_longer_names_no_longer_points_to_it():
    cluster = Cluster()
    other, source = ref("Kustomization", "b"), ref("GitRepository", "repo")
    facts: dict[str, Any] = {
        "depends_on": needs(other, ref("Kustomization", "c")),
        "source": source,
        "contains": (ref("Deployment", "web"),),
        "health_checks": (ref("Deployment", "web"),),
        "owners": (ref("Deployment", "up"),),
        "helm": helm("db"),
    }
    story = Story().see(cluster.state("HelmRelease", "x", ready(), **facts))
    story.see(cluster.state("HelmRelease", "y", ready(), **facts))
    world = story.world
    assert world.parents == {ref("Deployment", "web"): {ref("HelmRelease", "x"), ref("HelmRelease", "y")}}
    story.see(cluster.state("HelmRelease", "x", ready()))
    assert world.parents == {ref("Deployment", "web"): {ref("HelmRelease", "y")}}
    story.see(cluster.state("HelmRelease", "y", ready()))
    assert (world.dependents, world.consumers, world.parents, world.owned, world.managers) == ({}, {}, {}, {}, {})


def test_a_workload_that_is_not_helms_any_more_is_in_no_release():
    cluster = Cluster()
    claim = {"meta.helm.sh/release-name": "db"}
    story = Story().see(cluster.state("Deployment", "web", annotations=claim, replicas=pods(1, 1)))
    assert story.world.released == {("apps", "db"): {ref("Deployment", "web")}}
    story.see(cluster.state("Deployment", "web", replicas=pods(1, 1)))
    assert story.world.released == {}


def test_an_object_whose_condition_alone_changed_lets_its_neighbours_look_again():
    cluster = Cluster()
    needed = needs(ref("Kustomization", "base"))
    story = Story().see(cluster.state("Kustomization", "base", ready(), source=ref("GitRepository", "repo")))
    story.see(cluster.state("Kustomization", "a", failing(), depends_on=needed))
    story.see(cluster.state("Kustomization", "a", failing("Other"), depends_on=needed))
    assert story.world.objects[A].failed.reason == "Other"


def test_what_was_read_on_demand_is_forgotten_only_where_it_was_read():
    cluster = Cluster()
    workload = cluster.state("Deployment", "web", replicas=pods(0, 1))
    story = Story().see(workload, cluster.state("Pod", "web-1", owners=(workload.ref,)))
    forget_pods(story.world, workload.ref)
    assert ref("Pod", "web-1") in story.world.objects


def test_f008_the_same_state_twice_is_one():
    state = Cluster().state("Kustomization", "a", ready())
    assert Story().see(state, state).world.counts["states_older"] == 1
