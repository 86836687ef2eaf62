"""A remediation from plan to proof: who may start it, what each answer leads to, and what is never done."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.engine.step import step
from daemon.model.effects import Commit, RunAction, SaveIntent
from daemon.model.incidents import State
from daemon.model.objects import Dependency
from daemon.model.remedies import ActionResult, CheckState, Mode, Outcome, Phase
from daemon.model.signals import ActionFinished, Command, ReleaseSeen, Stale
from tests.builders import RULES, T0, Cluster, Story, failing, helm, pods, progressing, ready, ref, waiting

MENDED = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: mend}
spec:
  match: {kind: [HelmRelease, Kustomization], health: Failed}
  severity: critical
  summary: "{{ ref.name }} fails"
  remediation:
    mode: auto
    steps: STEPS
    recovery: proof
    limits: {attempts: 2, cooldown: 60s}
    approval: 10m
  examples:
    - {name: fires, given: [{ready: "False", reason: X}], after: 1s, expect: {state: firing}}
    - {name: quiet, given: [{ready: "True"}], after: 1s, expect: {state: none}}
---
apiVersion: fluxmedic.dev/v1
kind: Procedure
metadata: {name: proof}
spec:
  checks: CHECKS
"""
RECONCILE = "[{action: reconcile, with: {source: true}}]"
DELETE = "[{action: delete-release}, {action: reconcile, target: owner}]"
READY = "[{id: R1, probe: condition, by: 30s, text: it is Ready}]"


def rules(steps: str = RECONCILE, checks: str = READY) -> str:
    return MENDED.replace("STEPS", steps).replace("CHECKS", checks)


def broken(mode: Mode = Mode.AUTO, text: str = "", **limits: object) -> tuple[Cluster, Story]:
    """A release fails and its grouping wait is over."""
    cluster = Cluster()
    story = Story(text or rules(), mode=mode, **limits)
    story.see(cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"))).wait(11)
    return cluster, story


def asked(story: Story) -> list[RunAction]:
    return [effect for effect in story.effects if isinstance(effect, RunAction)]


def answer(story: Story, outcome: Outcome, detail: str = "done", *evidence: str) -> Story:
    """The last action asked for ends so."""
    request = asked(story)[-1].request
    return story.give(ActionFinished(story.at, request, ActionResult(outcome, detail, evidence)))


def say(story: Story, verb: str, subject: str = "", **more: Any) -> Story:
    subject = subject or story.case.incident.id
    plan = story.case.incident.remediation
    if verb == "approve" and plan is not None:
        more.setdefault("digest", plan.digest)
    number = len([None for effect in story.effects]) + len(story.world.commands)
    return story.give(Command(story.at, more.pop("id", f"c{number}"), verb, "ada", subject, **more))


def texts(story: Story) -> str:
    return "\n".join(entry.text for entry in story.case.incident.timeline)


def test_in_observe_nothing_is_asked_for_and_the_exact_commands_are_shown():
    _, story = broken(Mode.OBSERVE)
    assert asked(story) == []
    assert story.case.incident.instructions == ("flux reconcile helmrelease db -n apps --with-source",)


def test_the_instructions_stay_when_the_finding_is_gone():
    cluster, story = broken(Mode.OBSERVE)
    before = story.case.incident.instructions
    story.see(cluster.state("HelmRelease", "db", ready(), helm=helm("db"))).wait(100)
    assert story.case.incident.state is State.RESOLVED
    assert story.case.incident.instructions == before


def test_nothing_starts_before_the_grouping_wait_is_over():
    story = Story(rules(), mode=Mode.AUTO).see(Cluster().state("HelmRelease", "db", failing(), helm=helm("db"))).wait(9)
    assert asked(story) == []


def test_every_action_has_its_intent_in_a_commit_before_it():
    _, story = broken()
    place = next(index for index, effect in enumerate(story.effects) if isinstance(effect, RunAction))
    commits = [effect for effect in story.effects[:place] if isinstance(effect, Commit)]
    intents = [row.request.id for commit in commits for row in commit.rows if isinstance(row, SaveIntent)]
    assert asked(story)[0].request.id in intents


def test_a_fix_that_works_is_proven_before_the_incident_recovers():
    cluster, story = broken()
    answer(story, Outcome.CHANGED, "handled", "a line of evidence")
    assert story.case.incident.state is State.REMEDIATING
    assert "a line of evidence" in texts(story)
    story.wait(5).see(cluster.state("HelmRelease", "db", ready(), helm=helm("db")))
    plan = story.case.incident.remediation
    assert plan.phase is Phase.SUCCEEDED
    assert plan.milestones[0].state is CheckState.MET
    assert story.case.incident.state is State.RECOVERING
    story.wait(60)
    assert story.case.incident.state is State.RESOLVED
    assert story.reasons == ["opened", "verified", "resolved"]


def test_a_fix_whose_contract_is_missed_ends_in_failure_and_is_not_repeated_for_the_same_state():
    _, story = broken()
    answer(story, Outcome.CHANGED)
    story.wait(31)
    assert story.case.incident.remediation.milestones[0].state is CheckState.MISSED
    story.wait(600)
    assert story.case.incident.remediation.phase is Phase.FAILED
    assert story.case.incident.state is State.OPEN
    assert len(asked(story)) == 1
    assert "the same fix failed for this revision before" in texts(story)
    assert "failed" in story.reasons


def test_a_milestone_that_is_met_late_says_so():
    cluster, story = broken()
    answer(story, Outcome.CHANGED)
    story.wait(45).see(cluster.state("HelmRelease", "db", ready(), helm=helm("db")))
    assert story.case.incident.remediation.milestones[0].late


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED, Outcome.UNKNOWN])
def test_an_action_that_did_not_work_ends_the_plan_and_goes_no_further(outcome):
    _, story = broken(text=rules("[{action: reconcile}, {action: reconcile}]"))
    answer(story, outcome, "why not")
    assert story.case.incident.remediation.phase is Phase.FAILED
    assert "why not" in story.case.incident.remediation.verdict
    assert len(asked(story)) == 1


def test_a_check_that_a_failed_plan_never_came_to_is_neither_passed_nor_still_pending():
    _, story = broken()
    answer(story, Outcome.FAILED, "why not")
    left = story.case.incident.remediation.milestones[0]
    assert left.state is CheckState.SKIPPED
    assert left.seen == "not looked at any more: the plan is failed"


def test_steps_run_one_after_the_other():
    _, story = broken(text=rules("[{action: reconcile}, {action: reconcile}]"))
    assert len(asked(story)) == 1
    answer(story, Outcome.UNCHANGED)
    assert [effect.request.step for effect in asked(story)] == [0, 1]


def test_the_answer_of_a_plan_that_is_over_changes_nothing():
    _, story = broken()
    late = asked(story)[0].request
    answer(story, Outcome.FAILED)
    story.give(ActionFinished(story.at, late, ActionResult(Outcome.CHANGED, "late")))
    assert story.case.incident.remediation.phase is Phase.FAILED
    assert story.world.counts["results_unmatched"] == 1


def test_propose_waits_for_a_person_and_tells_what_it_would_do():
    _, story = broken(Mode.PROPOSE)
    assert asked(story) == []
    assert story.case.incident.remediation.phase is Phase.PROPOSED
    assert "would annotate HelmRelease/apps/db" in texts(story)
    assert story.reasons == ["opened"]


def test_an_approval_starts_exactly_what_was_read():
    _, story = broken(Mode.PROPOSE)
    plan = story.case.incident.remediation
    say(story, "approve", plan.id, digest=plan.digest)
    assert len(asked(story)) == 1
    assert story.case.incident.remediation.approved_by == "ada"


def test_an_approval_of_another_plan_is_refused():
    _, story = broken(Mode.PROPOSE)
    say(story, "approve", digest="somethingelse")
    assert asked(story) == []
    assert "the plan changed since it was read" in texts(story)


def test_an_approval_that_does_not_say_which_plan_was_read_is_refused():
    _, story = broken(Mode.PROPOSE)
    say(story, "approve", digest="")
    assert asked(story) == []
    assert "the plan changed since it was read" in texts(story)


def test_an_approval_without_a_plan_is_answered():
    _, story = broken(Mode.OBSERVE)
    say(story, "approve")
    say(story, "deny")
    assert "there is no plan that waits for one" in texts(story)
    assert "nothing to deny" in texts(story)


def test_a_denied_plan_is_not_proposed_again_for_the_same_state():
    _, story = broken(Mode.PROPOSE)
    say(story, "deny")
    story.wait(300)
    assert story.case.incident.remediation.phase is Phase.DENIED
    assert "denied by ada" in texts(story)


def test_a_plan_that_nobody_answers_lapses():
    _, story = broken(Mode.PROPOSE)
    story.wait(601)
    assert story.case.incident.remediation.phase is Phase.EXPIRED
    say(story, "approve")
    assert asked(story) == []


def test_an_approval_after_the_plan_lapsed_starts_nothing():
    _, story = broken(Mode.PROPOSE)
    case = story.case
    assert case.incident.remediation is not None
    plan = replace(case.incident.remediation, expires_at=story.at)
    case.incident = replace(case.incident, remediation=plan)
    story.effects += step(story.world, Command(story.at, "late", "approve", "ada", plan.id, digest=plan.digest))
    assert asked(story) == []
    assert story.case.incident.remediation.phase is Phase.EXPIRED


def test_a_plan_whose_object_changed_is_refused():
    cluster, story = broken(Mode.PROPOSE)
    changed = cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"), attempted_revision="2.0.0")
    story.see(changed)
    assert story.case.incident.remediation.phase in (Phase.REFUSED, Phase.PROPOSED)
    assert "the object changed since the plan was made" in texts(story)


def test_an_approval_is_judged_again_at_its_moment():
    _, story = broken(Mode.PROPOSE)
    story.give(Command(story.at, "p", "pause", "ada"))
    say(story, "approve")
    assert asked(story) == []
    assert "approval refused: actions are paused" in texts(story)
    story.give(Command(story.at, "r", "resume", "ada"))
    say(story, "approve")
    assert len(asked(story)) == 1


def test_f045_the_kill_switch_stops_automatic_work_until_it_is_released():
    cluster = Cluster()
    story = Story(rules(), mode=Mode.AUTO)
    story.give(Command(story.at, "p", "pause", "ada"))
    story.see(cluster.state("HelmRelease", "db", failing(), helm=helm("db"))).wait(60)
    assert asked(story) == []
    assert "actions are paused" in texts(story)
    story.give(Command(story.at, "r", "resume", "ada")).wait(31)
    assert len(asked(story)) == 1


def test_a_kind_that_is_not_in_sync_is_not_touched():
    cluster = Cluster()
    story = Story(rules(), mode=Mode.AUTO)
    story.give(Stale(story.at, "helmreleases.helm.toolkit.fluxcd.io", "connection lost"))
    story.see(cluster.state("HelmRelease", "db", failing(), helm=helm("db"))).wait(11)
    assert asked(story) == []
    assert "HelmRelease is not in sync: connection lost" in texts(story)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"annotations": {"fluxmedic.dev/hold": "true"}}, "carries the annotation fluxmedic.dev/hold"),
        ({"suspended": True}, "is suspended: a person wants it to stand still"),
    ],
)
def test_what_a_person_holds_is_left_alone(more, why):
    cluster = Cluster()
    story = Story(rules(), mode=Mode.AUTO).see(cluster.state("HelmRelease", "db", failing(), helm=helm("db")))
    story.see(cluster.state("HelmRelease", "db", failing(), helm=helm("db"), **more)).wait(11)
    assert asked(story) == []
    assert why in texts(story)


def test_an_object_that_is_being_deleted_is_not_touched():
    cluster = Cluster()
    text = rules("[{action: reconcile, with: {kind: Kustomization, namespace: apps, name: other}}]")
    story = Story(text, mode=Mode.AUTO).see(cluster.state("Kustomization", "other", ready(), deleted_at=T0))
    story.see(cluster.state("HelmRelease", "db", failing(), helm=helm("db"))).wait(11)
    assert asked(story) == []
    assert "is being deleted" in texts(story)


def test_inside_a_freeze_nothing_is_changed():
    freeze = """
---
apiVersion: fluxmedic.dev/v1
kind: Window
metadata: {name: sunday}
spec: {days: [sun], from: "02:00", to: "05:00", freeze: true}
"""
    _, story = broken(text=rules() + freeze)
    assert asked(story) == []
    assert "window sunday allows no changes now" in texts(story)


def test_an_annotation_that_says_false_holds_nothing():
    cluster = Cluster()
    story = Story(rules(), mode=Mode.AUTO)
    story.see(
        cluster.state("HelmRelease", "db", failing(), helm=helm("db"), annotations={"fluxmedic.dev/hold": "false"})
    ).wait(11)
    assert len(asked(story)) == 1


def test_while_most_of_the_fleet_fails_nothing_is_touched():
    cluster = Cluster()
    story = Story(rules(), mode=Mode.AUTO)
    story.see(*(cluster.state("Kustomization", f"k{number}", failing()) for number in range(20))).wait(11)
    assert asked(story) == []
    assert any("a person must look first" in entry.text for entry in story.cases[0].incident.timeline)


def test_one_incident_is_mended_at_a_time():
    cluster = Cluster()
    story = Story(rules(), mode=Mode.AUTO)
    story.see(cluster.state("HelmRelease", "a", failing()), cluster.state("HelmRelease", "b", failing())).wait(11)
    assert len(asked(story)) == 1
    assert any("is being mended" in entry.text for case in story.cases for entry in case.incident.timeline)


def test_a_rule_that_is_gone_allows_nothing():
    _, story = broken(Mode.PROPOSE)
    story.world.rules = type(story.world.rules)()
    say(story, "approve")
    assert asked(story) == []
    assert "rule mend is not in force any more" in texts(story)


def test_after_its_attempts_a_rule_gives_up_and_between_them_it_cools_down():
    cluster, story = broken()
    answer(story, Outcome.FAILED)
    second = cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"), attempted_revision="2")
    story.see(second).wait(1)
    assert len(asked(story)) == 1
    assert "cooling down after the last attempt" in texts(story)
    story.wait(61)
    assert len(asked(story)) == 2
    answer(story, Outcome.FAILED)
    third = cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"), attempted_revision="3")
    story.see(third).wait(200)
    assert len(asked(story)) == 2
    assert "2 attempts were made, the rule allows no more" in texts(story)


def test_an_object_that_something_else_broke_is_not_mended():
    cluster = Cluster()
    story = Story(rules(), mode=Mode.PROPOSE)
    story.see(cluster.state("Kustomization", "b", failing("ReconciliationFailed", "timed out"))).wait(11)
    plan = story.case.incident.remediation
    assert plan.phase is Phase.PROPOSED
    story.see(cluster.state("Kustomization", "a", failing()))
    blocked = cluster.state(
        "Kustomization", "b", waiting("apps/a"), depends_on=(Dependency(ref("Kustomization", "a")),)
    )
    story.see(blocked).wait(11)
    roots = {case.incident.root.name for case in story.cases if case.open}
    assert roots == {"a"}


def test_an_object_that_is_gone_needs_no_plan():
    _, story = broken(Mode.PROPOSE)
    story.lose(ref("HelmRelease", "db"))
    say(story, "approve")
    assert asked(story) == []


def test_a_removal_suspends_first_and_then_asks_the_owner_to_look_again():
    cluster = Cluster()
    story = Story(rules(DELETE), mode=Mode.AUTO)
    release = cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"))
    owner = cluster.state(
        "Kustomization", "app", ready(), contains=(release.ref,), path="./apps", applied_revision="m@1"
    )
    story.see(owner, release).wait(11)
    assert [each.request.action for each in asked(story)] == ["delete-release"]
    assert (
        "waits for a commit that removes HelmRelease/apps/db from Kustomization/apps/app (path ./apps) at m@1; "
        "until then it is suspended and stays"
    ) in texts(story)
    answer(story, Outcome.CHANGED)
    assert asked(story)[-1].request.ref == ref("Kustomization", "app")


def test_the_instructions_for_a_removal_name_git_and_never_a_bare_delete():
    cluster = Cluster()
    story = Story(rules(DELETE))
    release = cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"))
    owner = cluster.state(
        "Kustomization", "app", ready(), contains=(release.ref,), path="./apps", applied_revision="m@1"
    )
    story.see(owner, release).wait(11)
    lines = "\n".join(story.case.incident.instructions)
    assert lines.index("flux suspend helmrelease db -n apps") < lines.index("In Git: remove HelmRelease/apps/db")
    assert "(path ./apps) at m@1" in lines
    assert "kubectl delete" not in lines
    assert "owner=helm,name=db" in lines


def test_a_release_that_git_let_go_is_deleted_by_hand_only_after_it_is_suspended():
    _, story = broken(Mode.OBSERVE, rules(DELETE))
    lines = "\n".join(story.case.incident.instructions)
    assert lines.index("flux suspend") < lines.index("kubectl delete helmrelease db -n apps")


def test_the_owner_of_a_release_that_git_let_go_is_who_checks_its_workloads():
    cluster = Cluster()
    story = Story(rules(DELETE), mode=Mode.AUTO)
    claim = {"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": "apps"}
    workload = cluster.state("Deployment", "db", annotations=claim, replicas=pods(0, 1))
    checks = cluster.state("Kustomization", "app", ready(), health_checks=(workload.ref,))
    story.see(workload, checks, cluster.state("HelmRelease", "db", failing("UpgradeFailed"), helm=helm("db"))).wait(11)
    answer(story, Outcome.CHANGED)
    assert asked(story)[-1].request.ref == checks.ref


def test_a_plan_with_a_step_that_has_no_object_is_not_made():
    _, story = broken(text=rules(DELETE))
    assert asked(story) == []
    assert "a step has no object to act on; nothing is done" in texts(story)


def test_a_step_may_name_its_object():
    cluster = Cluster()
    text = rules("[{action: reconcile, with: {kind: Kustomization, namespace: apps, name: other}}]")
    story = Story(text, mode=Mode.AUTO).see(cluster.state("Kustomization", "other", ready()))
    story.see(cluster.state("HelmRelease", "db", failing(), helm=helm("db"))).wait(11)
    assert asked(story)[0].request.ref == ref("Kustomization", "other")
    assert story.case.incident.instructions == ("flux reconcile kustomization other -n apps",)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("GitRepository", "git s -n apps"),
        ("OCIRepository", "oci s -n apps"),
        ("HelmRepository", "helm s -n apps"),
        ("HelmChart", "chart s -n apps --with-source"),
    ],
)
def test_a_source_is_asked_for_by_flux_own_word_and_only_a_chart_has_a_source_of_its_own(kind, word):
    text = rules().replace("kind: [HelmRelease, Kustomization]", f"kind: {kind}")
    story = Story(text).see(Cluster().state(kind, "s", failing())).wait(11)
    assert story.case.incident.instructions == (f"flux reconcile source {word}",)


def test_without_a_remediation_the_next_step_of_the_rule_is_the_instruction():
    story = Story(RULES).see(Cluster().state("Kustomization", "a", failing())).wait(16)
    assert story.case.incident.instructions == ("flux get all -n apps",)


def test_a_step_that_was_unchanged_counts_time_from_the_start_of_the_proof():
    cluster, story = broken()
    answer(story, Outcome.UNCHANGED)
    assert story.case.incident.remediation.phase is Phase.VERIFYING
    story.see(cluster.state("HelmRelease", "db", ready(), helm=helm("db")))
    assert story.case.incident.remediation.phase is Phase.SUCCEEDED


def test_the_proof_waits_for_the_members_too():
    cluster = Cluster()
    story = Story(
        rules(checks="[{id: A, probe: absent, by: 30s, with: {kind: Kustomization, namespace: apps, name: x}}]"),
        mode=Mode.AUTO,
    )
    story = story.see(cluster.state("HelmRelease", "db", failing(), helm=helm("db"))).wait(11)
    story.give(*[])
    answer(story, Outcome.CHANGED)
    story.wait(10)
    assert story.case.incident.remediation.phase is Phase.VERIFYING


def test_a_fix_in_progress_survives_a_resolution_by_hand():
    _, story = broken()
    say(story, "resolve")
    answer(story, Outcome.CHANGED)
    assert story.case.incident.state is State.RESOLVED


def test_a_plan_ends_while_a_person_looks_at_the_incident():
    _, story = broken(Mode.PROPOSE)
    say(story, "acknowledge")
    plan = story.case.incident.remediation
    say(story, "approve", plan.id)
    assert story.case.incident.state is State.REMEDIATING


def test_a_release_check_reads_helms_own_storage():
    checks = "[{id: S, probe: release, by: 30s}]"
    _, story = broken(text=rules(checks=checks))
    story.give(ReleaseSeen(story.at, "default", "apps", "db", 1, "failed", "Helm"))
    answer(story, Outcome.CHANGED)
    assert story.case.incident.remediation.milestones[0].seen == "db.v1 failed (written by Helm)"
    story.give(ReleaseSeen(story.at + timedelta(seconds=1), "default", "apps", "db", 2, "deployed", "Helm"))
    assert story.case.incident.remediation.milestones[0].state is CheckState.MET


def test_a_retry_that_runs_does_not_end_the_latched_failure():
    cluster, story = broken()
    story.see(cluster.state("HelmRelease", "db", progressing(), helm=helm("db")))
    assert story.case.incident.state is State.REMEDIATING


def test_a_step_whose_object_is_gone_meanwhile_is_the_writes_to_refuse():
    cluster = Cluster()
    text = rules("[{action: reconcile, with: {kind: Kustomization, namespace: apps, name: other}}]")
    story = Story(text, mode=Mode.PROPOSE).see(cluster.state("Kustomization", "other", ready()))
    story.see(cluster.state("HelmRelease", "db", failing(), helm=helm("db"))).wait(11)
    story.lose(ref("Kustomization", "other"))
    say(story, "approve")
    assert len(asked(story)) == 1


def test_a_plan_for_a_root_that_is_gone_is_refused_while_its_victims_still_fail():
    cluster, story = broken(Mode.PROPOSE)
    needed = (Dependency(ref("HelmRelease", "db")),)
    story.see(cluster.state("HelmRelease", "web", waiting("apps/db"), depends_on=needed))
    story.see(cluster.state("HelmRelease", "web", failing("UpgradeFailed"), depends_on=needed))
    story.lose(ref("HelmRelease", "db"))
    assert story.case.incident.remediation.phase is Phase.REFUSED
    assert "does not exist any more" in texts(story)


def test_a_window_for_other_namespaces_freezes_nothing_here():
    freeze = """
---
apiVersion: fluxmedic.dev/v1
kind: Window
metadata: {name: sunday}
spec: {days: [sun], from: "02:00", to: "05:00", freeze: true, namespaces: other}
"""
    assert len(asked(broken(text=rules() + freeze)[1])) == 1


def test_a_removal_of_what_is_no_release_has_no_storage_to_look_at():
    story = Story(rules(DELETE)).see(Cluster().state("Kustomization", "a", failing())).wait(11)
    assert not any("kubectl get secret" in line for line in story.case.incident.instructions)


def test_a_failure_that_comes_after_a_person_closed_the_incident_leaves_it_closed():
    _, story = broken()
    say(story, "resolve")
    answer(story, Outcome.FAILED)
    assert story.case.incident.state is State.RESOLVED


def test_a_plan_is_not_started_while_everything_recovers_by_itself():
    cluster, story = broken(Mode.PROPOSE)
    story.see(cluster.state("HelmRelease", "db", ready(), helm=helm("db")))
    say(story, "approve")
    assert asked(story) == []
    assert "approval refused: the incident is recovering" in texts(story)


def test_a_milestone_that_is_met_stays_met_while_others_are_awaited():
    cluster = Cluster()
    checks = "[{id: A, probe: condition, by: 30s}, {id: B, probe: dependents, by: 90s}]"
    story = Story(rules(checks=checks), mode=Mode.AUTO)
    needed = (Dependency(ref("HelmRelease", "db")),)
    story.see(cluster.state("HelmRelease", "db", failing(), helm=helm("db")))
    story.see(cluster.state("HelmRelease", "web", waiting("apps/db"), depends_on=needed)).wait(11)
    answer(story, Outcome.CHANGED)
    story.wait(5).see(cluster.state("HelmRelease", "db", ready(), helm=helm("db"))).wait(20)
    first, second = story.case.incident.remediation.milestones
    assert (first.state, second.state) == (CheckState.MET, CheckState.PENDING)
    story.see(cluster.state("HelmRelease", "web", ready(), depends_on=needed))
    assert story.case.incident.remediation.phase is Phase.SUCCEEDED


def test_a_step_that_was_lost_and_never_took_effect_is_asked_for_anew_under_another_id():
    _, story = broken()
    answer(story, Outcome.NOT_DONE, "it was not made")
    first, second = asked(story)
    assert first.request.id != second.request.id
    assert first.request.step == second.request.step
    answer(story, Outcome.CHANGED)
    assert story.case.incident.remediation.phase is Phase.VERIFYING


def test_a_step_that_is_lost_again_and_again_ends_the_plan():
    _, story = broken()
    for _ in range(3):
        answer(story, Outcome.NOT_DONE, "it was not made")
    assert len(asked(story)) == 3
    assert story.case.incident.remediation.phase is Phase.FAILED
