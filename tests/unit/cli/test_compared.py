"""What differs between two runs of one recording, in words."""

from daemon.cli.compared import rows_of, summary

ROOT = {"kind": "HelmRelease", "namespace": "crm", "name": "b"}
EARLY, LATE = "2026-01-05T22:11:10.000Z", "2026-01-05T23:00:00.000Z"


def told(at: str, target: str, reason: str = "opened") -> dict[str, object]:
    return {"at": at, "target": target, "reason": reason}


def shown(**changes: object) -> list[str]:
    rows = rows_of({"gone": [], "new": [], "changed": [{"root": ROOT, "changes": changes}]})
    assert {(mark, root) for mark, root, _ in rows} == {("~", "HelmRelease/crm/b")}
    return [text for _, _, text in rows]


def test_a_message_that_comes_at_another_time_is_one_row():
    assert shown(told=[[told(EARLY, "slack")], [told(LATE, "slack")]]) == [
        "told: slack opened: 2026-01-05 22:11:10Z → 2026-01-05 23:00:00Z"
    ]


def test_a_message_that_only_one_of_them_sends_says_so():
    assert shown(told=[[told(EARLY, "slack"), told(EARLY, "webhook")], [told(EARLY, "slack"), told(LATE, "log")]]) == [
        "told: webhook opened at 2026-01-05 22:11:10Z: no more",
        "told: log opened at 2026-01-05 23:00:00Z: now",
    ]


def test_of_many_messages_the_first_are_shown_and_the_rest_is_counted():
    many = [told(EARLY, target) for target in "abcdefg"]
    assert len(shown(told=[many, []])) == 5
    assert shown(told=[many, []])[-1] == "told: and 3 more"


def test_an_action_is_named_with_its_object():
    done = {"at": EARLY, "action": "reconcile", "object": ROOT, "mode": "auto", "verdict": "allowed"}
    assert shown(actions=[[], [done]]) == [
        "actions: reconcile HelmRelease/crm/b auto allowed at 2026-01-05 22:11:10Z: now"
    ]


def test_moments_lists_and_words_are_told_as_people_write_them():
    found = shown(resolved_at=[EARLY, None], rules=[["a", "b"], ["a"]], severity=["critical", "warning"])
    assert found == ["resolved: 2026-01-05 22:11:10Z → never", "rules: a, b → a", "severity: critical → warning"]


def test_how_many_messages_and_actions_there_are_is_told_where_it_differs():
    found = {"gone": [{}], "new": [], "changed": [], "notifications": [12, 6], "actions": [1, 1]}
    assert summary(found) == "1 incident(s) gone, 0 new, 0 told differently; 12 → 6 notifications"
