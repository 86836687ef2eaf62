"""Patches and field ownership of the simulated API server, by value."""

from typing import Any

import pytest

from daemon.simulator.api import ownership
from daemon.simulator.api.patch import PatchError, merged, patched

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": ["c", "d"]}, {"a": ["c", "d"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "b"}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ],
)
def test_merge_patches_follow_the_rfcs_examples(target: Json, patch: Json, result: Json) -> None:
    assert merged(target, patch) == result


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "add", "path": "/b", "value": 1}, {"a": [1, 2], "c": {"d/e": 0}, "b": 1}),
        ({"op": "add", "path": "/a/1", "value": 9}, {"a": [1, 9, 2], "c": {"d/e": 0}}),
        ({"op": "add", "path": "/a/-", "value": 9}, {"a": [1, 2, 9], "c": {"d/e": 0}}),
        ({"op": "replace", "path": "/a/0", "value": 9}, {"a": [9, 2], "c": {"d/e": 0}}),
        ({"op": "replace", "path": "", "value": {"x": 1}}, {"x": 1}),
        ({"op": "remove", "path": "/c/d~1e"}, {"a": [1, 2], "c": {}}),
        ({"op": "remove", "path": "/a/0"}, {"a": [2], "c": {"d/e": 0}}),
        ({"op": "move", "from": "/a", "path": "/z"}, {"z": [1, 2], "c": {"d/e": 0}}),
        ({"op": "copy", "from": "/a/0", "path": "/z"}, {"a": [1, 2], "c": {"d/e": 0}, "z": 1}),
        ({"op": "test", "path": "/a", "value": [1, 2]}, {"a": [1, 2], "c": {"d/e": 0}}),
    ],
)
def test_json_patch_operations_do_what_the_rfc_says(operation: Json, result: Json) -> None:
    target = {"a": [1, 2], "c": {"d/e": 0}}
    assert patched(target, [operation]) == result
    assert target == {"a": [1, 2], "c": {"d/e": 0}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "add", "path": "no-slash", "value": 1},
        {"op": "invent", "path": "/a"},
        {"op": "add", "path": "/a/b/c", "value": 1},
        {"op": "replace", "path": "", "value": []},
    ],
)
def test_a_json_patch_that_cannot_be_is_an_error(operation: Json) -> None:
    with pytest.raises(PatchError):
        patched({"a": 1}, [operation])


def test_fields_are_leaves_without_identity_and_status() -> None:
    item = {
        "kind": "X",
        "metadata": {"name": "x", "uid": "1", "labels": {"a": "b"}},
        "spec": {"list": [1], "empty": {}},
        "status": {"ready": True},
    }
    assert set(ownership.leaves(item)) == {("metadata", "labels", "a"), ("spec", "list"), ("spec", "empty")}
    assert set(ownership.leaves(item, status=True)) == {("status", "ready")}


def test_fields_read_back_as_they_were_written() -> None:
    paths = {("spec", "a"), ("spec", "b", "c"), ("metadata", "labels", "x.y/z")}
    assert ownership.from_fields(ownership.to_fields(paths)) == paths


def test_a_write_takes_what_it_changes_from_its_owner() -> None:
    old: Json = {"metadata": {}, "spec": {"a": 1, "b": 1}}
    old["metadata"]["managedFields"] = ownership.record(
        {}, old, manager="git", operation="Update", subresource="", at="t1"
    )
    new: Json = {"metadata": {}, "spec": {"a": 2, "b": 1}}
    entries = ownership.record(old, new, manager="us", operation="Update", subresource="", at="t2")
    assert [(one["manager"], ownership.owned(one)) for one in entries] == [
        ("git", {("spec", "b")}),
        ("us", {("spec", "a")}),
    ]


def test_an_apply_leaves_alone_what_another_also_wants() -> None:
    live: Json = {"metadata": {"managedFields": []}, "spec": {}}
    for manager in ("one", "two"):
        live, _ = ownership.applied(live, {"spec": {"a": 1}}, manager=manager, at="t", force=False)
    live, _ = ownership.applied(live, {"spec": {}}, manager="one", at="t", force=False)
    assert live["spec"] == {"a": 1}
    live, _ = ownership.applied(live, {"spec": {}}, manager="two", at="t", force=False)
    assert live.get("spec", {}) == {}


def test_an_apply_that_changes_nothing_keeps_time_and_order() -> None:
    live: Json = {"metadata": {"managedFields": []}, "spec": {}}
    live, _ = ownership.applied(live, {"spec": {"a": 1}}, manager="one", at="t1", force=False)
    live, _ = ownership.applied(live, {"spec": {"b": 1}}, manager="two", at="t2", force=False)
    again, _ = ownership.applied(live, {"spec": {"a": 1}}, manager="one", at="t3", force=False)
    assert [(one["manager"], one["time"]) for one in again["metadata"]["managedFields"]] == [
        ("one", "t1"),
        ("two", "t2"),
    ]
