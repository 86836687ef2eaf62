"""One cause, one incident: who is in it, who becomes its root, and when it is over."""

from daemon.engine.correlate import trouble_of
from daemon.model.incidents import Role, State
from daemon.model.objects import Condition
from daemon.model.remedies import Mode
from daemon.model.signals import ReleaseSeen
from tests.builders import (
    RULES,
    T0,
    Cluster,
    Story,
    failing,
    helm,
    needs,
    pods,
    progressing,
    ready,
    ref,
    unhealthy,
    waiting,
)

CLAIM = {"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": "apps"}


def chain(cluster):
    """A fails; B waits for A, C waits for B."""
    return (
        cluster.state("Kustomization", "a", failing()),
        cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a"))),
        cluster.state("Kustomization", "c", waiting("apps/b"), depends_on=needs(ref("Kustomization", "b"))),
    )


def recovered(cluster, *names):
    return [cluster.state("Kustomization", name, ready()) for name in names]


def test_a_chain_is_one_incident_with_the_broken_one_as_root():
    story = Story().see(*chain(Cluster())).wait(6)
    assert story.case.incident.root == ref("Kustomization", "a")
    assert story.members() == {"Kustomization/apps/a", "Kustomization/apps/b", "Kustomization/apps/c"}


def test_a_blocked_object_alone_never_opens_an_incident():
    cluster = Cluster()
    blocked = cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a")))
    story = Story().see(cluster.state("Kustomization", "a", progressing()), blocked).wait(3600)
    assert story.cases == []


def test_two_causes_are_two_incidents():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing()), cluster.state("Kustomization", "z", failing()))
    story.wait(6)
    assert {case.incident.root.name for case in story.cases} == {"a", "z"}


def test_an_object_with_two_failing_dependencies_is_in_one_incident_and_both_say_so():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "z", failing())).wait(6)
    both = needs(ref("Kustomization", "a"), ref("Kustomization", "z"))
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=both))
    homes = [case.incident.root.name for case in story.cases if "b" in [m.ref.name for m in case.incident.members]]
    assert len(homes) == 1
    first, second = story.cases
    assert first.incident.related == (second.incident.id,)
    assert second.incident.related == (first.incident.id,)


def test_a_member_that_outlives_its_root_stays_in_the_incident():
    cluster = Cluster()
    story = Story().see(*chain(cluster)).wait(6)
    story.see(*recovered(cluster, "a")).wait(20)
    assert [case.incident.state for case in story.cases] == [State.OPEN]
    assert story.case.incident.root.name == "a"


def test_an_incident_is_over_when_all_members_stayed_well():
    cluster = Cluster()
    story = Story().see(*chain(cluster)).wait(20).see(*recovered(cluster, "a", "b", "c"))
    assert story.case.incident.state is State.RECOVERING
    story.wait(31)
    assert story.case.incident.state is State.RESOLVED
    assert story.reasons[0] == "opened"
    assert story.reasons[-1] == "resolved"


def test_a_member_that_fails_again_while_recovering_opens_it_again_without_a_new_incident():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(*recovered(cluster, "a")).wait(5).see(cluster.state("Kustomization", "a", failing())).wait(6)
    assert story.case.incident.state is State.OPEN
    assert story.case.incident.flaps == 1


def test_a_cause_that_is_back_soon_reopens_the_same_incident():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(20)
    story.see(*recovered(cluster, "a")).wait(60).see(cluster.state("Kustomization", "a", failing())).wait(6)
    assert story.case.incident.state is State.OPEN
    assert "reopened" in story.reasons


def test_a_cause_that_is_back_after_a_long_time_is_a_new_incident():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(20)
    story.see(*recovered(cluster, "a")).wait(3600).see(cluster.state("Kustomization", "a", failing())).wait(6)
    assert len(story.cases) == 2


def test_a_cause_that_appears_above_an_open_incident_takes_it_over():
    cluster = Cluster()
    above = needs(ref("Kustomization", "z"))
    story = (
        Story()
        .see(cluster.state("Kustomization", "a", failing("ReconciliationFailed", "timed out"), depends_on=above))
        .wait(15)
    )
    story.see(cluster.state("Kustomization", "z", failing()))
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=above)).wait(6)
    assert story.case.incident.root.name == "z"
    assert story.reasons.count("opened") == 1
    assert "cause-changed" in story.reasons


def test_two_incidents_that_turn_out_to_have_one_cause_become_the_older_one():
    cluster = Cluster()
    above = needs(ref("Kustomization", "z"))
    story = (
        Story()
        .see(cluster.state("Kustomization", "a", failing("ReconciliationFailed", "timed out"), depends_on=above))
        .wait(15)
    )
    story.see(cluster.state("Kustomization", "z", failing())).wait(15)
    story.see(cluster.state("Kustomization", "a", waiting("apps/z"), depends_on=above))
    older, younger = story.cases
    assert younger.incident.state is State.RESOLVED
    assert older.incident.state is State.OPEN
    assert older.incident.root.name == "z"


def test_a_member_that_keeps_failing_after_its_root_is_well_becomes_the_root():
    cluster = Cluster()
    story = Story().see(*chain(cluster)).wait(6).see(*recovered(cluster, "a"))
    story.wait(5).see(cluster.state("Kustomization", "b", failing())).wait(200)
    story.see(cluster.state("Kustomization", "b", failing(message="another try failed")))
    assert story.case.incident.root.name == "b"
    assert story.case.incident.state is State.OPEN


def test_a_source_that_tried_last_before_its_repair_is_no_new_root():
    cluster = Cluster()
    long_ago = Condition("Ready", "False", "ReconciliationFailed", "old", 1, changed_at=Story().at)
    story = Story().see(*chain(cluster)).wait(6)
    story.see(cluster.state("Kustomization", "b", long_ago)).wait(6).see(*recovered(cluster, "a")).wait(600)
    assert story.case.incident.root.name == "a"


def test_a_parent_whose_health_check_blames_a_release_is_its_victim():
    cluster = Cluster()
    story = Story().see(
        cluster.state(
            "HelmRelease", "db", failing("UpgradeFailed"), source=ref("HelmChart", "apps-db"), helm=helm("db")
        ),
        cluster.state("Kustomization", "apps", unhealthy("HelmRelease/apps/db"), contains=(ref("HelmRelease", "db"),)),
    )
    story.wait(6)
    assert story.case.incident.root == ref("HelmRelease", "db")
    assert "Kustomization/apps/apps" in story.members()


def test_a_health_check_that_blames_a_releases_workload_blames_the_release():
    cluster = Cluster()
    story = Story().see(
        cluster.state("DaemonSet", "db", replicas=pods(0, 3), annotations=CLAIM),
        cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db")),
        cluster.state("Kustomization", "apps", unhealthy("DaemonSet/apps/db"), contains=(ref("HelmRelease", "db"),)),
    )
    story.wait(6)
    assert story.case.incident.root == ref("HelmRelease", "db")


def test_an_incident_is_not_over_while_a_workload_that_failed_with_it_is_down():
    cluster = Cluster()
    story = Story().see(
        cluster.state("DaemonSet", "db", replicas=pods(0, 3), annotations=CLAIM),
        cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db")),
    )
    story.wait(6).see(cluster.state("HelmRelease", "db", ready(), helm=helm("db"))).wait(3600)
    assert story.case.incident.state is State.OPEN
    assert {m.ref.name: m.role for m in story.case.incident.members}["db"] in (Role.ROOT, Role.RELATED)
    assert any("all of Flux is well, but DaemonSet apps/db 0/3 ready" in e.text for e in story.case.incident.timeline)
    story.see(cluster.state("DaemonSet", "db", replicas=pods(3, 3), annotations=CLAIM)).wait(31)
    assert story.case.incident.state is State.RESOLVED


def test_a_workload_that_was_removed_on_purpose_does_not_hold_its_incident():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Deployment", "web", replicas=pods(0, 1)),
        cluster.state("Kustomization", "web", unhealthy("Deployment/apps/web")),
    )
    story.wait(6).lose(ref("Deployment", "web")).see(*recovered(cluster, "web")).wait(31)
    assert story.case.incident.state is State.RESOLVED


def test_an_incident_whose_root_is_deleted_is_over():
    story = (
        Story().see(Cluster().state("Kustomization", "a", failing())).wait(20).lose(ref("Kustomization", "a")).wait(31)
    )
    assert story.case.incident.state is State.RESOLVED


def test_f011_an_object_created_anew_under_its_name_starts_without_the_old_failure():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(20)
    cluster.recreate(ref("Kustomization", "a"))
    story.see(cluster.state("Kustomization", "a", progressing())).wait(1)
    assert story.world.findings == {}


def test_f030_a_hundred_dependents_of_one_root_are_one_message():
    cluster = Cluster()
    above = needs(ref("Kustomization", "a"))
    story = Story().see(cluster.state("Kustomization", "a", failing()))
    story.see(*[cluster.state("Kustomization", f"d{n}", waiting("apps/a"), depends_on=above) for n in range(100)])
    story.wait(16)
    assert len(story.case.incident.members) == 101
    assert story.reasons == ["opened"]


def test_f031_a_dependent_of_two_roots_ends_when_it_is_well_itself():
    cluster = Cluster()
    both = needs(ref("Kustomization", "a"), ref("Kustomization", "z"))
    story = Story(mode=Mode.OBSERVE).see(
        cluster.state("Kustomization", "a", failing()),
        cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=both),
    )
    story.wait(6).see(cluster.state("Kustomization", "z", failing())).wait(6)
    story.see(*recovered(cluster, "a", "z"))
    assert any(case.incident.state is State.OPEN for case in story.cases)
    story.see(cluster.state("Kustomization", "b", ready(), depends_on=both)).wait(31)
    assert all(case.incident.state is State.RESOLVED for case in story.cases)


def test_an_incident_that_gets_worse_says_so():
    loud = RULES.replace("name: failed", "name: loud").replace("health: Failed", "health: Failed, reason: Terrible")
    mild = RULES.replace("severity: critical", "severity: warning")
    cluster = Cluster()
    story = Story(mild + "\n---\n" + loud).see(cluster.state("Kustomization", "a", failing())).wait(16)
    story.see(cluster.state("Kustomization", "a", failing("Terrible"))).wait(6)
    assert story.reasons == ["opened", "escalated"]


def test_an_incident_that_was_never_told_reopens_in_silence():
    cluster = Cluster()
    story = Story(resolve_after=0.0).see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "a", ready())).wait(1)
    story.see(cluster.state("Kustomization", "a", failing())).wait(6)
    assert story.case.incident.state is State.OPEN
    assert story.reasons == []


def test_a_member_that_fails_again_under_an_open_root_is_not_recovered_any_more():
    cluster = Cluster()
    needed = needs(ref("Kustomization", "a"))
    story = Story().see(*chain(cluster)).wait(6)
    story.see(cluster.state("Kustomization", "b", ready(), depends_on=needed)).wait(1)
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needed)).wait(1)
    member = next(each for each in story.case.incident.members if each.ref.name == "b")
    assert member.recovered_at is None


def test_members_of_a_swallowed_incident_that_are_gone_are_still_listed():
    cluster = Cluster()
    needed = needs(ref("Kustomization", "a"))
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "b", failing(), depends_on=needed))
    child = needs(ref("Kustomization", "b"))
    story.see(cluster.state("Kustomization", "c", waiting("apps/b"), depends_on=child)).wait(6)
    assert len(story.cases) == 2
    story.lose(ref("Kustomization", "c"))
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needed)).wait(6)
    kept = story.cases[0].incident
    assert next(member.reason for member in kept.members if member.ref.name == "c") == "NotFound"


def test_two_incidents_that_share_an_object_say_so_once():
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "z", failing())).wait(6)
    both = needs(ref("Kustomization", "a"), ref("Kustomization", "z"))
    for number in range(3):
        story.see(cluster.state("Kustomization", "m", waiting("apps/a", f"is not ready {number}"), depends_on=both))
        story.see(cluster.state("Kustomization", "a", failing(message=f"try {number}")))
        story.see(cluster.state("Kustomization", "z", failing(message=f"try {number}"))).wait(6)
    assert [len(case.incident.related) for case in story.cases] == [1, 1]


def test_what_still_waits_for_something_at_work_gets_no_new_root():
    cluster = Cluster()
    needed = needs(ref("Kustomization", "a"))
    child = cluster.state("Kustomization", "child", progressing(), source=ref("GitRepository", "repo"))
    story = Story().see(cluster.state("Kustomization", "a", failing()), child).wait(6)
    story.see(cluster.state("Kustomization", "top", waiting("apps/a"), depends_on=needed)).wait(1)
    story.see(cluster.state("Kustomization", "a", ready()))
    blamed = unhealthy("Kustomization/apps/child")
    story.see(cluster.state("Kustomization", "top", blamed, depends_on=needed)).wait(600)
    assert story.case.incident.root == ref("Kustomization", "a")


def test_a_workload_that_vanished_holds_nothing_while_another_is_down():
    cluster = Cluster()
    story = Story().see(
        cluster.state("Deployment", "a", replicas=pods(0, 1)), cluster.state("Deployment", "b", replicas=pods(0, 1))
    )
    story.see(cluster.state("Kustomization", "k", unhealthy("Deployment/apps/a", "Deployment/apps/b"))).wait(6)
    story.lose(ref("Deployment", "a")).see(cluster.state("Kustomization", "k", ready())).wait(60)
    assert story.case.incident.state is State.OPEN
    story.see(cluster.state("Deployment", "b", replicas=pods(1, 1))).wait(60)
    assert story.case.incident.state is State.RESOLVED


def test_a_workload_that_two_owners_fought_over_and_lost_keeps_its_incident_open():
    cluster = Cluster()
    story = Story().give(ReleaseSeen(T0, "default", "apps", "db", 1, "deployed", "Helm"))
    workload = cluster.state("DaemonSet", "cni", annotations=CLAIM, replicas=pods(0, 3))
    story.see(workload, cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"))).wait(6)
    story.lose(workload.ref, ref("HelmRelease", "db")).wait(600)
    assert story.case.incident.state is State.OPEN
    assert trouble_of(story.world, story.case) == "DaemonSet apps/cni failed with this incident and is gone"


def handed_over(cluster, *, down: int):
    """A release failed with its DaemonSet and is gone; then a check of the DaemonSet fails, and something waits."""
    workload = cluster.state("DaemonSet", "cni", replicas=pods(0, 3), annotations=CLAIM)
    story = Story().see(workload, cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"))).wait(6)
    story.lose(ref("HelmRelease", "db")).wait(1)
    story.see(cluster.state("DaemonSet", "cni", replicas=pods(3 - down, 3), annotations=CLAIM))
    return story.see(
        cluster.state("Kustomization", "net", unhealthy("DaemonSet/apps/cni")),
        cluster.state("Kustomization", "b", waiting("apps/net"), depends_on=needs(ref("Kustomization", "net"))),
    ).wait(6)


def test_a_check_that_blames_the_workload_of_a_removed_release_is_the_same_incident_with_all_it_holds_up():
    story = handed_over(Cluster(), down=3)
    assert story.case.incident.root == ref("HelmRelease", "db")
    assert story.members() >= {"Kustomization/apps/net", "Kustomization/apps/b"}


def test_an_older_incident_about_something_else_takes_no_check_in_that_is_not_its_own():
    cluster = Cluster()
    cluster.version = 50
    story = handed_over(Cluster(), down=3)
    story.see(cluster.state("Deployment", "web", replicas=pods(0, 1))).wait(1)
    story.see(cluster.state("Kustomization", "shop", unhealthy("Deployment/apps/web"))).wait(6)
    assert {case.incident.root.name for case in story.cases} == {"db", "shop"}


def test_a_check_that_still_blames_a_workload_which_is_well_by_now_is_an_incident_of_its_own():
    story = handed_over(Cluster(), down=0)
    assert {case.incident.root.name for case in story.cases} == {"db", "net"}
