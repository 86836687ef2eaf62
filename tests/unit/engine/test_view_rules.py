"""The rules in force, as the page and `get rules` show them."""

from daemon.engine.view import WorldView
from tests.builders import Story


def test_rules_are_shown_with_how_often_they_could_not_be_evaluated():
    story = Story()
    story.world.faults["failed"] = 2
    (found,) = WorldView(story.world).rules()
    assert (found["name"], found["severity"], found["mode"], found["faults"]) == ("failed", "critical", "observe", 2)


def test_a_rule_that_may_mend_says_how_far():
    rules = (
        "apiVersion: fluxmedic.dev/v1\nkind: Rule\nmetadata: {name: r}\nspec:\n"
        "  match: {kind: HelmRelease, health: Failed}\n"
        "  severity: warning\n  summary: x\n  remediation: {mode: propose, steps: [{action: reconcile}]}\n"
        "  examples:\n    - {name: a, given: [{ready: 'False', reason: X}], after: 1s, expect: {state: firing}}\n"
        "    - {name: b, given: [{ready: 'True'}], after: 1s, expect: {state: none}}\n"
    )
    assert WorldView(Story(rules).world).rules()[0]["mode"] == "propose"
