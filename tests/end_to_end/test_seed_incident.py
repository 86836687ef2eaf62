"""The seed incident, whole: one cause, one message, the orphan-safe fix, the proof; and in observe not one write."""

from daemon.model.incidents import State
from daemon.model.remedies import CheckState, Mode, Outcome, Phase
from tests.end_to_end.conftest import played


async def test_in_auto_the_cause_is_fixed_proven_and_told_once(folder):
    story = await played(folder, "seed-cilium", Mode.AUTO)
    incident = story.incident
    assert story.show.fault == ""
    assert story.show.over
    assert str(incident.root) == "HelmRelease/kube-system/cilium"
    assert incident.state is State.RESOLVED
    assert "CrashLoopBackOff" in incident.cause
    assert len(incident.dependents) == 13

    plan = incident.remediation
    assert plan is not None
    assert plan.phase is Phase.SUCCEEDED
    assert [step.outcome for step in plan.steps] == [Outcome.CHANGED, Outcome.CHANGED]
    required = [each for each in plan.milestones if not each.check.optional]
    assert all(each.state is CheckState.MET for each in required)
    assert {each.check.id: each.seen for each in plan.milestones}["S10"] == "13 of 13 dependents well"

    cluster = story.stage.cluster
    assert cluster.get("HelmRelease", "kube-system", "cilium") is None
    network = cluster.get("DaemonSet", "kube-system", "cilium")
    assert network is not None
    assert network["status"]["numberReady"] == 3

    assert story.show.slack is not None
    assert len(story.show.slack.roots()) == 1
    assert story.spectator.pushes == [
        "feat(cilium): manage cilium with flux",
        "fix: separate cilium bootstrap from flux management",
    ]
    assert {kind["reason"] for kind in story.show.told.notifications} >= {"opened", "verified", "resolved"}
    assert [action["action"] for action in story.show.told.actions] == ["delete-release", "reconcile"]
    report = story.show.report()
    assert report["kind"] == "DemoReport"
    assert len(report["milestones"]) == len(plan.milestones)  # type: ignore[arg-type]


async def test_in_observe_nothing_is_written_and_the_exact_commands_are_given(folder):
    story = await played(folder, "seed-cilium", Mode.OBSERVE)
    incident = story.incident
    assert incident.state is State.RESOLVED
    assert story.show.told.actions == []
    text = "\n".join(incident.instructions)
    assert text.index("flux suspend helmrelease cilium -n kube-system") < text.index("kubectl delete helmrelease")
    writers = {
        field.get("manager")
        for resource in story.stage.cluster.resources.all()
        for item in story.stage.cluster.store.all(resource)
        for field in item["metadata"].get("managedFields", ())
    }
    assert "helm-controller" in writers
    assert "fluxmedic" not in writers


async def test_in_propose_nothing_happens_before_a_person_agrees(folder):
    story = await played(folder, "seed-cilium", Mode.PROPOSE)
    assert story.incident.state is State.RESOLVED
    assert {action["mode"] for action in story.show.told.actions} == {"proposed"}
    assert story.incident.remediation is not None
    assert story.incident.remediation.phase is not Phase.SUCCEEDED


async def test_a_healthy_push_is_told_to_nobody(folder):
    story = await played(folder, "healthy-push", Mode.AUTO, 40.0)
    assert story.show.incidents == ()
    assert story.show.slack is not None
    assert story.show.slack.roots() == []


async def test_an_image_that_does_not_exist_is_named_as_the_cause(folder):
    story = await played(folder, "image-pull", Mode.OBSERVE)
    assert str(story.incident.root) == "Kustomization/flux-system/catalogue"
    assert "ImagePullBackOff" in story.incident.cause
    assert {member.ref.name for member in story.incident.dependents} == {"checkout", "shop-front"}
