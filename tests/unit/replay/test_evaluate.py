"""Objects from a file through the real core: what holds for them, and what is said of what is no object."""

import pytest

from daemon.model.errors import ConfigError
from daemon.replay.evaluate import evaluate
from daemon.rules.compile import compile_rules
from tests.builders import RULES

FAILED = {
    "type": "Ready",
    "status": "False",
    "reason": "BuildFailed",
    "message": "no such file",
    "observedGeneration": 1,
}


def kustomization(name: str, *conditions: dict[str, object], **spec: object) -> dict[str, object]:
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "apps", "generation": 1},
        "spec": spec,
        "status": {"observedGeneration": 1, "conditions": list(conditions)},
    }


def told(*documents: object, after: float = 60.0, rules: str = RULES) -> list[dict[str, object]]:
    found = evaluate(documents, compile_rules([("test.yaml", rules)]), after=after)
    return found["items"]  # type: ignore[return-value]


def test_every_object_is_told_with_its_rules_and_its_incident():
    (found,) = told(kustomization("a", FAILED))
    assert found["incident"]
    assert [each["rule"] for each in found["rules"] if each["held"]] == ["failed"]  # type: ignore[attr-defined]


def test_a_rule_that_waits_has_not_fired_yet():
    (found,) = told(kustomization("a", FAILED), after=1.0)
    assert found["incident"] is None


def test_objects_of_one_file_are_each_others_causes():
    waiting = {**FAILED, "reason": "DependencyNotReady", "message": "dependency 'apps/a' is not ready"}
    found = told(
        {"kind": "List", "items": [kustomization("a", FAILED), kustomization("b", waiting, dependsOn=[{"name": "a"}])]}
    )
    assert [each["root"]["name"] for each in found] == ["a", "a"]  # type: ignore[index]


BLOCKED = {**FAILED, "reason": "DependencyNotReady", "message": "dependency 'apps/db' not found"}


@pytest.mark.parametrize(
    ("detector", "spec"),
    [
        ("dependency-missing", {"dependsOn": [{"name": "db"}]}),
        ("source-missing", {"sourceRef": {"kind": "GitRepository", "name": "nope"}}),
    ],
)
def test_what_the_file_does_not_hold_counts_as_missing(detector, spec):
    (found,) = told(kustomization("a", BLOCKED, **spec), after=180.0)
    assert detector in [each["test"] for each in found["findings"]]  # type: ignore[attr-defined]
    assert found["incident"]


LONG = RULES.replace("  for: 5s\n", "  when: failing_for >= duration('1h')\n")


@pytest.mark.parametrize(("after", "firing"), [(3590.0, []), (3700.0, ["failed"])])
def test_what_a_rule_asks_of_the_time_that_passes_is_asked_as_it_passes(after, firing):
    (found,) = told(kustomization("a", FAILED), after=after, rules=LONG)
    assert [each["test"] for each in found["findings"]] == firing  # type: ignore[attr-defined]


TOLD = RULES.replace("  for: 5s\n", "  when: event.reason == 'BuildFailed'\n")


def test_an_event_of_the_file_happens_after_its_object_is_known():
    about = {"kind": "Kustomization", "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "name": "a", "namespace": "apps"}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "x", "namespace": "apps", "uid": "1"},
        "involvedObject": about,
        "reason": "BuildFailed",
        "type": "Warning",
    }
    (found,) = told(event, kustomization("a", FAILED), rules=TOLD)
    assert [each["test"] for each in found["findings"]] == ["failed"]  # type: ignore[attr-defined]


def test_what_rules_are_never_about_is_passed_over():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "apps"}}
    assert len(told(secret, None, kustomization("a", FAILED))) == 1


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ((), "there is no object that rules could be about"),
        (({"kind": "Kustomization"},), "object 1: an object needs kind and metadata.name"),
        (("text",), "object 1: an object needs kind and metadata.name"),
    ],
)
def test_what_is_no_object_is_refused_with_its_place(documents, words):
    with pytest.raises(ConfigError, match=words):
        told(*documents)
