"""An incident and an explanation as text."""

from daemon.cli.card import card, explanation, tree

ROOT = {"kind": "HelmRelease", "namespace": "kube-system", "name": "cilium"}
CHILD = {"kind": "Kustomization", "namespace": "flux-system", "name": "cilium"}
INCIDENT: dict[str, object] = {
    "id": "abc",
    "state": "resolved",
    "severity": "critical",
    "root": ROOT,
    "cause": "it broke",
    "cluster": "demo",
    "opened_at": "2026-03-01T03:00:00.000Z",
    "resolved_at": "2026-03-01T03:05:00.000Z",
    "acknowledged_by": "ada",
    "rules": ["a", "b"],
    "runbook": "https://example.com",
    "next_step": "look\nthen act",
    "instructions": ["one", "two"],
    "change": {"last_good": "1", "failing": "2", "commit": "feat: x", "owner": "Kustomization/apps (path ./a)"},
    "members": [
        {**ROOT, "role": "root", "reason": "UpgradeFailed", "recovered_at": "2026-03-01T03:04:00.000Z", "parent": None},
        {**CHILD, "role": "dependent", "reason": "HealthCheckFailed", "recovered_at": None, "parent": ROOT},
    ],
    "remediation": {
        "plan": "p1",
        "rule": "a",
        "phase": "succeeded",
        "verdict": "proven",
        "steps": [{"action": "reconcile", "object": ROOT, "outcome": "changed", "text": "annotate"}],
        "milestones": [
            {"id": "S1", "text": "gone", "within": 15.0, "state": "met", "seen": "gone", "late": True},
            {"id": "S2", "text": "x", "within": None, "state": "odd", "seen": ""},
        ],
    },
    "timeline": [{"at": "2026-03-01T03:00:00.000Z", "kind": "opened", "text": "root"}],
}


def test_a_card_tells_everything_in_reading_order():
    shown = card(INCIDENT)
    places = [
        shown.index(words)
        for words in ("RESOLVED", "it broke", "abc", "1 → 2", "Members", "look", "p1", "✓", "Timeline")
    ]
    assert places == sorted(places)
    assert "within 15 s, late" in shown


def test_a_card_leaves_out_what_is_not_known():
    shown = card({"id": "abc", "state": "open", "severity": "info", "root": ROOT, "members": []})
    assert "Resolved" not in shown
    assert "Plan" not in shown
    assert "Next step" not in shown


def test_members_hang_below_their_cause():
    members = INCIDENT["members"]
    assert isinstance(members, list)
    assert tree(members) == [
        "  HelmRelease/kube-system/cilium  well again",
        "     └─ Kustomization/flux-system/cilium  HealthCheckFailed",
    ]


def test_members_that_name_each_other_or_strangers_are_each_shown_once():
    one = {
        "kind": "K",
        "namespace": "n",
        "name": "a",
        "role": "dependent",
        "parent": {"kind": "K", "namespace": "n", "name": "b"},
    }
    two = {
        "kind": "K",
        "namespace": "n",
        "name": "b",
        "role": "dependent",
        "parent": {"kind": "K", "namespace": "n", "name": "a"},
    }
    lost = {
        "kind": "K",
        "namespace": "n",
        "name": "c",
        "role": "dependent",
        "parent": {"kind": "X", "namespace": "", "name": "y"},
    }
    assert len(tree([one, two, lost])) == 3


def test_an_explanation_tells_the_rules_that_came_near():
    clause = {"name": "kind", "wanted": "X", "seen": "Y", "held": False}
    held = {"name": "kind", "wanted": "X", "seen": "X", "held": True}
    found = {
        "answer": "it is well",
        "causes": [ROOT],
        "findings": [{"state": "firing", "test": "t", "summary": "s"}],
        "rules": [
            {"rule": "far", "held": False, "error": "", "clauses": [clause]},
            {"rule": "near", "held": False, "error": "", "clauses": [held, held, clause]},
            {"rule": "faulty", "held": None, "error": "no such key", "clauses": [held, {**clause, "held": None}]},
        ],
    }
    shown = explanation(found)
    assert "far" not in shown
    assert "near" in shown
    assert "faulty" in shown
    assert "far" in explanation(found, everything=True)
