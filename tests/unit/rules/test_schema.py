"""Shapes: durations, moments, schedules, and the schema that editors read."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from daemon.rules import schema


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("0s", 0.0),
        ("1.5s", 1.5),
        ("2d", 172_800.0),
        ("1d1h1m1s", 90_061.0),
    ],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert schema.seconds_of(text) == seconds


@pytest.mark.parametrize("value", ["30", 30, "", "s", "-5s", "5 m", "1m2h", "5ms", None, True, "1s1s"])
def test_a_duration_without_a_unit_or_out_of_order_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="needs a unit"):
        schema.seconds_of(value)


def test_a_duration_of_more_than_a_month_is_a_slip() -> None:
    assert schema.seconds_of("31d") == schema.LONGEST
    with pytest.raises(ValueError, match="31 days"):
        schema.seconds_of("32d")


@pytest.mark.parametrize("text", ["17 * * * *", "*/5 0-6 1,15 * 1-5", "0 0 * * 7", "0 3 * jan-mar sat-sun"])
def test_a_schedule_has_five_fields(text: str) -> None:
    assert TypeAdapter(schema.Cron).validate_python(text) == text


@pytest.mark.parametrize("value", ["* * * *", "60 * * * *", "@hourly", "*/0 * * * *", "30-10 * * * *", 17, True, ["*"]])
def test_a_schedule_that_no_clock_reaches_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(schema.Cron).validate_python(value)


def test_a_moment_carries_its_zone() -> None:
    moment = TypeAdapter(schema.Moment)
    assert moment.validate_python("2026-01-31T22:00:00+02:00") == datetime(2026, 1, 31, 20, tzinfo=UTC)
    for value in ("2026-01-31T22:00:00", "tomorrow", 5):
        with pytest.raises(ValidationError, match="with its zone"):
            moment.validate_python(value)


def test_parameters_are_written_as_yaml_writes_them_and_read_as_text() -> None:
    step = schema.StepShape.model_validate(
        {"action": "reconcile", "with": {"source": True, "n": 3, "f": 0.5, "s": "x"}}
    )
    assert step.params == {"source": "true", "n": "3", "f": "0.5", "s": "x"}
    with pytest.raises(ValidationError):
        schema.StepShape.model_validate({"action": "reconcile", "with": {"source": ["x"]}})


def test_one_word_stands_for_a_list_of_one() -> None:
    match = schema.MatchShape.model_validate({"kind": "HelmRelease", "health": "Failed", "reason": ["A", "B"]})
    assert (match.kind, match.health, match.reason) == (["HelmRelease"], ["Failed"], ["A", "B"])


def test_the_json_schema_forbids_unknown_keys_and_names_every_kind() -> None:
    text = json.dumps(schema.json_schema())
    definitions = json.loads(text)["$defs"]
    assert all(each["additionalProperties"] is False for each in definitions.values() if each["type"] == "object")
    kinds = {each["properties"]["kind"]["const"] for name, each in definitions.items() if name.endswith("Document")}
    assert kinds == set(schema.BY_KIND)


def test_the_json_schema_uses_the_words_of_the_files() -> None:
    assert {"for", "with", "from", "continue", "keep_firing_for"} <= schema.keys()
    assert not {"hold", "params", "seconds", "proceed"} & schema.keys()


SHIPPED = Path(__file__).resolve().parents[3] / "rules"
VALIDATOR = Draft202012Validator(schema.json_schema())
RULE = {
    "apiVersion": "fluxmedic.dev/v1",
    "kind": "Rule",
    "metadata": {"name": "r"},
    "spec": {"match": {"kind": "Bucket", "health": "Failed"}, "severity": "info", "summary": "x"},
}


def spec(**fields: object) -> dict[str, object]:
    return {**RULE, "spec": {**RULE["spec"], **fields}}  # type: ignore[dict-item]


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_editor_that_reads_the_schema_accepts_every_shipped_document(file: Path) -> None:
    for number, document in enumerate(yaml.safe_load_all(file.read_text())):
        assert [f"document {number}: {error.json_path}" for error in VALIDATOR.iter_errors(document)] == []


@pytest.mark.parametrize(
    "document",
    [
        {**RULE, "kind": "Rul"},
        {key: value for key, value in RULE.items() if key != "kind"},
        {**RULE, "spec": {"match": {"kind": "Bucket"}, "severity": "info"}},  # no summary
        spec(sevrity="info"),
        spec(severity="critcal"),
        spec(**{"for": 30}),
        spec(**{"for": "30"}),
        spec(match={"kind": "Bucket", "health": "failed"}),
        {**RULE, "spec": {"overlay": True, "summary": "an overlay has none"}},
        {**RULE, "kind": "Detector", "spec": {"severity": "loud"}},
        {**RULE, "kind": "Route", "spec": {}},
        {**RULE, "kind": "Silence", "spec": {"match": {}}},
        {**RULE, "kind": "Window", "spec": {"days": "monday", "from": "08:00", "to": "09:00"}},
        {**RULE, "kind": "Procedure", "spec": {"checks": []}},
    ],
)
def test_an_editor_that_reads_the_schema_sees_what_the_loader_refuses(document: dict[str, object]) -> None:
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    "document", [RULE, spec(**{"for": "30s"}), {**RULE, "spec": {"overlay": True, "for": "5m", "route": "slack"}}]
)
def test_an_editor_that_reads_the_schema_accepts_what_the_loader_accepts(document: dict[str, object]) -> None:
    assert VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    ("kind", "name", "spec", "good"),
    [
        ("Detector", "two-owners", {"enabled": False}, True),
        ("Detector", "two-owner", {"enabled": False}, False),
        ("Silence", "s", {"kind": "HelmRelease", "rule": "x"}, True),
        ("Silence", "s", {"pod": "x"}, False),
    ],
)
def test_an_editor_knows_the_detectors_and_what_a_silence_may_match(kind, name, spec, good) -> None:
    more = {"starts": "2026-01-01T00:00:00Z", "ends": "2026-01-02T00:00:00Z", "comment": "x", "by": "y"}
    whole = spec if kind == "Detector" else {"match": spec, **more}
    document = {"apiVersion": "fluxmedic.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": whole}
    assert Draft202012Validator(schema.json_schema()).is_valid(document) == good
