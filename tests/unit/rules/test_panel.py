"""Tests that are combined: the same answers as one by one, in fewer calls."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.rules.expression import COMBINED, Activation, Expression, activation, compile_expression
from daemon.rules.panel import Group, groups_of

SOURCES = (
    "health == 'Failed'",
    "ready.reason == 'BuildFailed' || ready.message.contains('quota')",
    "suspended // a comment to the end",
    "ready.reason in ['BuildFailed',\n 'UpgradeFailed']",
    "failing_for > duration('10m') && !suspended",
    "dependents.filter(each, each.health == 'Blocked').size() >= 2",
    "true ? false : true",
    "workload.ready < workload.desired",
)
FAULTY = "{'a': 1}[ready.reason] == 1"


def compiled(*sources: str) -> list[Expression]:
    return [compile_expression(source) for source in sources]


def group_of(*sources: str) -> Group[str]:
    (group,) = groups_of(("", source, test) for source, test in zip(sources, compiled(*sources), strict=True))
    return group


def held(group: Group[str], given: Activation) -> list[str]:
    return [owner for owner, answer in group.answers(given) if answer.value is True]


def counting(found: dict[str, Any]) -> tuple[Callable[[], dict[str, Any]], list[int]]:
    calls: list[int] = []

    def load() -> dict[str, Any]:
        calls.append(1)
        return found

    return load, calls


@given(
    st.fixed_dictionaries(
        {
            "health": st.sampled_from(["Failed", "Current"]),
            "ready": st.fixed_dictionaries(
                {
                    "status": st.just("False"),
                    "reason": st.sampled_from(["BuildFailed", "UpgradeFailed", "a", ""]),
                    "message": st.sampled_from(["quota exceeded", "else"]),
                }
            ),
            "suspended": st.booleans(),
            "failing_for": st.integers(0, 1200).map(lambda number: timedelta(seconds=number)),
            "dependents": st.lists(
                st.sampled_from(["Blocked", "Current"]).map(lambda word: {"health": word}), max_size=3
            ),
            "workload": st.fixed_dictionaries({"ready": st.integers(0, 3), "desired": st.integers(0, 3)}),
        }
    ),
    st.booleans(),
)
def test_combined_tests_say_what_each_says_alone(values: dict[str, Any], faulty: bool):
    sources = (*SOURCES, *((FAULTY,) if faulty else ()))
    group = group_of(*sources)
    shared = activation(values)
    alone = {source: compile_expression(source).evaluate(activation(values)).value for source in sources}
    assert {owner: answer.value for owner, answer in group.answers(shared)} == {
        source: value for source, value in alone.items() if value is not False
    }
    assert {test.source: group.answer(test, shared).value for test in group.tests} == alone


def test_a_test_too_deep_to_be_combined_is_asked_alone():
    deep = "(" * 31 + "suspended" + ")" * 31
    group = group_of(deep, "health == 'Failed'")
    assert held(group, activation({"health": "Failed"})) == ["health == 'Failed'"]
    assert held(group, activation({"suspended": True})) == [deep]


def test_f043_a_bomb_among_them_spoils_its_own_answer_alone():
    bomb = "object.big.exists(a, object.big.exists(b, object.big.exists(c, a + b + c < 0)))"
    group = group_of(bomb, "object.big.size() == 200")
    found = group.answers(activation({"object": {"big": list(range(200))}}))
    assert [(owner == bomb, answer.value) for owner, answer in found] == [(True, None), (False, True)]


def test_more_tests_than_fit_together_are_combined_in_parts():
    sources = [f"ready.reason == 'Reason{number}'" for number in range(2 * COMBINED + 1)]
    groups = list(groups_of(("", test.source, test) for test in compiled(*sources)))
    given = activation({"ready": {"reason": f"Reason{COMBINED}"}})
    assert [len(group.tests) for group in groups] == [COMBINED, COMBINED, 1]
    assert [held(group, given) for group in groups] == [[], [sources[COMBINED]], []]


def test_compiled_another_scope_are_not_asked_together():
    groups = groups_of((about, about, test) for about, test in zip("aba", compiled(*SOURCES[:3]), strict=True))
    assert [[test.source for test in group.tests] for group in groups] == [[SOURCES[0], SOURCES[2]], [SOURCES[1]]]


def test_a_test_of_the_raw_object_is_not_combined_with_those_that_do_without():
    load, calls = counting({"spec": {"path": "./a"}})
    given = activation({"object": load, "health": "Failed"})
    plain, raw = groups_of(
        ("", test.source, test)
        for test in compiled("health == 'Failed'", "object.spec.path == './a'", "suspended", "has(object.spec)")
    )
    assert (held(plain, given), len(calls)) == (["health == 'Failed'"], 0)
    assert (held(raw, given), len(calls)) == (["object.spec.path == './a'", "has(object.spec)"], 1)


def test_combined_tests_are_evaluated_once_for_an_object():
    group, given = group_of(*SOURCES), activation({"health": "Failed"})
    group.answers(given)
    assert len(given.answers) == 1
    assert group.answer(group.tests[0], given).value is True
    assert len(given.answers) == 1


def test_what_is_not_needed_is_not_asked_for():
    given = activation({"health": "Failed"}, frozenset({"health"}))
    assert held(group_of("health == 'Failed'", "health == 'Current'"), given) == ["health == 'Failed'"]
    assert compile_expression("suspended").evaluate(given).value is None


@pytest.mark.parametrize("raw", ["object", "old"])
def test_an_activation_may_need_one_raw_object_alone(raw: str):
    given = activation({raw: lambda: {"spec": {}}}, frozenset({raw}))
    assert compile_expression(f"has({raw}.spec)").evaluate(given).value is True
