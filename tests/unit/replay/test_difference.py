"""What other rules would have made of the same recording, and test results for a CI."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from daemon.replay.difference import difference as compared
from daemon.replay.examples import ExampleResult
from daemon.replay.junit import junit


def difference(before: dict[str, object], after: dict[str, object]) -> dict[str, Any]:
    return dict(compared(before, after))


def incident(name: str, **more: object) -> dict[str, object]:
    root = {"kind": "Kustomization", "namespace": "apps", "name": name}
    return {"root": root, "cause": "x", "members": [root], **more}


def report(*incidents: dict[str, object]) -> dict[str, object]:
    return {"incidents": list(incidents), "notifications": [{"at": 1}], "actions": []}


def test_the_same_report_has_no_difference():
    found = difference(report(incident("a")), report(incident("a")))
    assert (found["gone"], found["new"], found["changed"]) == ([], [], [])
    assert found["notifications"] == [1, 1]


def test_incidents_that_come_and_go_are_told_by_their_root():
    found = difference(report(incident("a"), incident("b")), report(incident("b"), incident("c")))
    assert [each["root"]["name"] for each in found["gone"]] == ["a"]
    assert [each["root"]["name"] for each in found["new"]] == ["c"]


def test_a_second_incident_of_one_root_is_one_more():
    found = difference(report(incident("a")), report(incident("a"), incident("a", cause="y")))
    assert [each["cause"] for each in found["new"]] == ["y"]


def test_what_is_told_differently_names_the_fields():
    more = {"kind": "Kustomization", "namespace": "apps", "name": "b"}
    other = incident("a", severity="info", members=[more])
    (changed,) = difference(report(incident("a", severity="critical")), report(other))["changed"]
    assert changed["changes"] == {
        "severity": ["critical", "info"],
        "members": [["Kustomization/apps/a"], ["Kustomization/apps/b"]],
    }


def sent(at: int, target: str, incident: str, reason: str = "opened") -> dict[str, object]:
    return {"at": at, "target": target, "incident": incident, "reason": reason}


def test_who_is_told_and_when_is_compared_whatever_the_incident_is_called():
    before = {**report(incident("a", id="1")), "notifications": [sent(1, "slack", "1"), sent(1, "webhook", "1")]}
    after = {**report(incident("a", id="2")), "notifications": [sent(3, "slack", "2"), sent(1, "slack", "other")]}
    (changed,) = difference(before, after)["changed"]
    slack, webhook = ({"at": 1, "target": target, "reason": "opened"} for target in ("slack", "webhook"))
    assert changed["changes"] == {"told": [[slack, webhook], [{**slack, "at": 3}]]}


def test_an_incident_that_ends_later_is_told_differently():
    (changed,) = difference(report(incident("a", resolved_at=1)), report(incident("a", resolved_at=2)))["changed"]
    assert changed["changes"] == {"resolved_at": [1, 2]}


def test_what_would_be_done_about_an_incident_is_compared():
    acted = {"at": 1, "incident": "1", "action": "reconcile", "mode": "auto"}
    before, after = report(incident("a", id="1")), {**report(incident("a", id="1")), "actions": [acted]}
    (changed,) = difference(before, after)["changed"]
    assert changed["changes"]["actions"] == [
        [],
        [{"at": 1, "action": "reconcile", "object": None, "mode": "auto", "verdict": None}],
    ]


def test_a_report_without_a_shape_differs_in_nothing():
    found = difference({"incidents": "none"}, {"incidents": [3, {"root": None}]})
    assert found["gone"] == []
    assert len(found["new"]) == 1


def test_a_failed_example_says_where_and_why():
    results = [ExampleResult("r<1>", 'a "b"', False, "expected firing, was <none>", "x.yaml", 7)]
    suite = ET.fromstring(junit(results))  # noqa: S314 - our own words
    assert suite.get("failures") == "1"
    (case,) = suite
    assert (case.get("classname"), case.get("name")) == ("r<1>", 'a "b"')
    assert case[0].text == "x.yaml:7: expected firing, was <none>"


@pytest.mark.parametrize("odd", ["\x00", "\x07", "\x1b", "\x0b", "\ud800", "\ufffe", "\uffff"])
def test_a_name_that_xml_cannot_hold_is_spelt_out(odd):
    results = [ExampleResult("r", f"a{odd}b", False, f"was {odd}", f"{odd}.yaml", 7)]
    (case,) = ET.fromstring(junit(results).encode())  # noqa: S314 - our own words
    assert case.get("name") == f"a\\x{ord(odd):02x}b"
    assert case[0].text == f"\\x{ord(odd):02x}.yaml:7: was \\x{ord(odd):02x}"


def test_every_character_that_xml_can_hold_is_kept():
    name = "a\t\n\r é \ud7ff\ue000\ufffd\U00010000\U0010ffff"
    (case,) = ET.fromstring(junit([ExampleResult("r", name, True)]).encode())  # noqa: S314 - our own words
    assert case.get("name") == name
