"""A check with a time to hold is met only once it held that long without a break."""

from daemon.model.effects import RunAction
from daemon.model.remedies import ActionResult, CheckState, Mode, Outcome
from daemon.model.signals import ActionFinished
from tests.builders import Cluster, Story, failing, helm, ready

RULES = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: mend}
spec:
  match: {kind: HelmRelease, health: Failed}
  severity: critical
  summary: it fails
  remediation: {mode: auto, steps: [{action: reconcile}], recovery: proof}
  examples:
    - {name: fires, given: [{ready: "False", reason: X}], after: 1s, expect: {state: firing}}
    - {name: quiet, given: [{ready: "True"}], after: 1s, expect: {state: none}}
---
apiVersion: fluxmedic.dev/v1
kind: Procedure
metadata: {name: proof}
spec: {checks: [{id: A, probe: condition, by: 120s, for: 20s}]}
"""


def mended() -> tuple[Cluster, Story]:
    cluster = Cluster()
    story = Story(RULES, mode=Mode.AUTO).see(cluster.state("HelmRelease", "db", failing(), helm=helm("db"))).wait(11)
    request = next(effect.request for effect in story.effects if isinstance(effect, RunAction))
    story.give(ActionFinished(story.at, request, ActionResult(Outcome.CHANGED, "done")))
    return cluster, story.see(cluster.state("HelmRelease", "db", ready(), helm=helm("db")))


def state(story: Story) -> CheckState:
    return story.case.incident.remediation.milestones[0].state


def test_a_check_that_holds_too_short_is_still_pending():
    _, story = mended()
    assert state(story.wait(19)) is CheckState.PENDING


def test_a_check_is_met_when_its_time_is_over():
    _, story = mended()
    begun = story.at
    assert state(story.wait(20)) is CheckState.MET
    assert story.case.incident.remediation.milestones[0].met_at == begun


def test_a_break_begins_the_time_anew():
    cluster, story = mended()
    story.wait(10).see(cluster.state("HelmRelease", "db", failing(), helm=helm("db"))).wait(1)
    story.see(cluster.state("HelmRelease", "db", ready(), helm=helm("db")))
    assert state(story.wait(15)) is CheckState.PENDING
    assert state(story.wait(5)) is CheckState.MET
