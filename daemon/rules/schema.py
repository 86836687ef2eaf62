"""The shape of each document kind: what a rule author may write. Unknown keys are refused; durations carry a unit.

Limit: shapes only. What refers to something else (procedures, actions, expressions) is checked by compile.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from daemon.model.cron import MONTHS, WEEKDAYS, parse
from daemon.model.documents import API_VERSION
from daemon.rules import editor
from daemon.rules.catalogue import ACTIONS, DETECTORS, EVIDENCE, PROBES, SILENCE_KEYS

_PARTS = re.compile(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+(?:\.[0-9]+)?)s)?")
_UNITS = (86_400.0, 3_600.0, 60.0, 1.0)
LONGEST = 31 * 86_400.0
"""Longest duration in seconds; a longer one is a slip of the pen."""
MOST_COUNTED = 100
"""Most times that `count` can wait for: so many moments are remembered of one object."""


def seconds_of(value: object) -> float:
    """Return the seconds of a duration such as 30s, 5m or 1h30m. Raises ValueError."""
    found = _PARTS.fullmatch(value) if isinstance(value, str) and value else None
    if found is None:
        raise ValueError("a duration needs a unit, such as 30s, 5m or 1h30m")
    seconds = sum(float(part) * unit for part, unit in zip(found.groups(), _UNITS, strict=True) if part)
    if seconds > LONGEST:
        raise ValueError("longer than 31 days")
    return seconds


def _cron(value: object) -> object:
    if isinstance(value, str):
        parse(value)
    return value


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class _OrOne:
    """Let the JSON schema know, too, that one stands for a list of one."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(core)
        return {"anyOf": [found["items"], found]}


_T = TypeVar("_T")
Listed = Annotated[list[_T], BeforeValidator(_listed), _OrOne()]


def _text(value: object) -> object:
    """Let numbers and booleans stand where a string parameter is wanted, as YAML writes them."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _moment(value: object) -> datetime:
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            found = None
        if found is not None and found.tzinfo is not None:
            return found.astimezone(UTC)
    raise ValueError("a moment is written as 2026-01-31T22:00:00Z, with its zone")


def _lasting(value: object) -> float:
    seconds = seconds_of(value)
    if not seconds:
        raise ValueError("no time at all is too short: nothing fits into it")
    return seconds


_DURATION = editor.duration(LONGEST)
_LASTING = editor.duration(LONGEST, lasting=True)
Duration = Annotated[float, BeforeValidator(seconds_of), WithJsonSchema(_DURATION)]
Lasting = Annotated[float, BeforeValidator(_lasting), WithJsonSchema(_LASTING)]
MaybeDuration = Annotated[Duration | None, WithJsonSchema(editor.or_null(_DURATION))]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Cron = Annotated[str, Field(json_schema_extra=editor.cron(MONTHS, WEEKDAYS)), BeforeValidator(_cron)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")]
Text = Annotated[str, Field(min_length=1)]
Told = Annotated[Text, Field(json_schema_extra={"pattern": r"\S"})]
Param = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Params = dict[str, Param]
SeverityWord = Literal["info", "warning", "critical"]
HealthWord = Literal["Current", "InProgress", "Failed", "Blocked", "Suspended", "Terminating", "NotFound", "Unknown"]
Status = Literal["True", "False", "Unknown", ""]
Words = Annotated[Listed[Text], Field(min_length=1)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Offset = Annotated[str, Field(pattern=r"^[+-](0\d|1[0-4]):[0-5]\d$")]


class Shape(BaseModel):
    """What all shapes share: nothing unknown, nothing changed, nothing guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MatchShape(Shape):
    """Which objects; namespace, name and label values are globs."""

    kind: Words
    namespace: str = ""
    name: str = ""
    labels: Params = {}
    health: Listed[HealthWord] = []
    reason: Listed[Text] = []


class StepShape(Shape):
    """One action; kind, namespace and name in `with` name another object than the target."""

    model_config = ConfigDict(json_schema_extra=editor.STEP)

    action: Annotated[Text, Field(json_schema_extra=editor.one_of(ACTIONS))]
    target: Literal["self", "owner"] = "self"
    params: Params = Field(default={}, alias="with")


class LimitsShape(Shape):
    """How often a remediation may be tried on one object."""

    attempts: int = Field(default=1, ge=1, le=10)
    cooldown: Duration = 1800.0


class RemediationShape(Shape):
    """What may be done about it, and what proves it."""

    mode: Literal["observe", "propose", "auto"]
    steps: list[StepShape] = Field(min_length=1, max_length=10)
    recovery: str = ""
    limits: LimitsShape = LimitsShape()
    approval: Duration = 1800.0
    resolve_after: Duration = 60.0


class SaysShape(Shape):
    """What an object of an example says of itself: the usual conditions by word, the rest as Kubernetes writes it."""

    reason: str = ""
    message: str = ""
    stalled: str = ""
    suspended: bool = False
    deleting: bool = False
    lag: int = Field(default=0, ge=0)
    annotations: Params = {}
    spec: dict[str, object] = {}
    status: dict[str, object] = {}


class OtherShape(SaysShape):
    """Another object beside the example's own, from this moment on; `raw` is a whole one, such as an Event."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    labels: Params = {}
    ready: Status | None = None
    gone: bool = False
    raw: dict[str, object] = {}


class GivenShape(SaysShape):
    """One state of an example's object. `for`: how long it says so; without it, to the end."""

    ready: Status = "False"
    waiting: int = Field(default=0, ge=0, le=100)
    unchanged: bool = False
    seconds: Duration = Field(default=0.0, alias="for")
    others: list[OtherShape] = Field(default=[], max_length=50)


ROOT = r"^(self|none|[A-Za-z]+/([a-z0-9.-]+/)?[a-z0-9.:-]+)$"
"""The object itself, nobody, or KIND/NAMESPACE/NAME (KIND/NAME of what belongs to no namespace)."""


class ExpectShape(Shape):
    """How an example must end."""

    state: Literal["firing", "pending", "none"]
    severity: SeverityWord | None = None
    root: str = Field(default="", pattern=ROOT)
    says: str = ""


class ObjectShape(Shape):
    """Which object an example is about, where the rule leaves it open."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    labels: Params = {}


class ExampleShape(Shape):
    """A rule's own unit test."""

    name: Text
    object: ObjectShape = ObjectShape()
    given: Annotated[Listed[GivenShape], Field(min_length=1)]
    after: Duration
    expect: ExpectShape


class CountShape(Shape):
    """The test must have become true so often within so long."""

    at_least: int = Field(ge=2, le=MOST_COUNTED)
    within: Lasting


class StageShape(Shape):
    """One step of a sequence; every step but the first says how long after the one before it."""

    when: Text
    within: Lasting = 0.0


class InhibitorShape(Shape):
    """Another rule or detector that says the same better: while it fires, this one is not sent."""

    rule: Name
    same: Literal["object", "namespace", "cluster"] = "object"


class RuleSpec(Shape):
    """A test and all that follows from it."""

    model_config = ConfigDict(json_schema_extra=editor.RULE)

    match: MatchShape
    when: Text | None = None
    count: CountShape | None = None
    absent_for: Annotated[Lasting | None, WithJsonSchema(editor.or_null(_LASTING))] = None
    sequence: list[StageShape] = Field(default=[], max_length=5, json_schema_extra=editor.SEQUENCE)
    hold: Duration = Field(default=0.0, alias="for")
    keep_firing_for: Duration = 0.0
    grace: Duration = 0.0
    inhibited_by: list[InhibitorShape] = []
    route: Listed[Text] = []
    severity: SeverityWord
    summary: Text
    next_step: str = ""
    runbook: str = ""
    labels: Params = {}
    evidence: list[Annotated[Text, Field(json_schema_extra=editor.one_of(EVIDENCE))]] = []
    remediation: RemediationShape | None = None
    enabled: bool = True
    overlay: Literal[False] = False
    examples: list[ExampleShape] = []


class OverlaySpec(Shape):
    """What may be changed in a rule of an earlier file without writing it anew."""

    overlay: Literal[True]
    severity: SeverityWord | None = None
    hold: MaybeDuration = Field(default=None, alias="for")
    keep_firing_for: MaybeDuration = None
    route: Annotated[list[Text] | None, BeforeValidator(_listed, json_schema_input_type=Text | list[Text])] = None
    enabled: bool | None = None
    labels: Params = {}
    examples: list[ExampleShape] = []


class CheckShape(Shape):
    """One row of a procedure."""

    model_config = ConfigDict(json_schema_extra=editor.CHECK)

    id: Text
    probe: Annotated[Text, Field(json_schema_extra=editor.one_of(PROBES))]
    params: Params = Field(default={}, alias="with")
    by: Duration = 0.0
    hold: Duration = Field(default=0.0, alias="for")
    optional: bool = False
    text: str = ""


class ParametersShape(Shape):
    """What a procedure may be told, with the values that stand when it is not."""

    parameters: Params = {}


class ProcedureSpec(ParametersShape):
    """Who must be in what state by when."""

    text: str = ""
    schedule: Cron | None = None
    checks: list[CheckShape] = Field(min_length=1, max_length=100)


class RouteSpec(Shape):
    """Which incidents go where."""

    min_severity: SeverityWord = "info"
    namespaces: str = ""
    kinds: Listed[Text] = []
    rules: Listed[Text] = []
    labels: Params = {}
    targets: Words
    proceed: bool = Field(default=False, alias="continue")


class SilenceSpec(Shape):
    """Quiet asked for by a person: for what, until when, why and who."""

    match: Params = Field(min_length=1, json_schema_extra={"propertyNames": editor.one_of(SILENCE_KEYS)})
    starts: Moment
    ends: Moment
    comment: Told
    by: Told


class WindowSpec(Shape):
    """A stretch of the week."""

    model_config = ConfigDict(json_schema_extra=editor.WINDOW)

    days: Annotated[Listed[Day], Field(min_length=1)]
    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    utc_offset: Offset = "+00:00"
    quiet: bool = False
    freeze: bool = False
    namespaces: str = ""


class DetectorSpec(Shape):
    """A detector written in code: its examples, whether it is off, how loud it is, how long its finding must last."""

    enabled: bool | None = None
    severity: SeverityWord | None = None
    hold: MaybeDuration = Field(default=None, alias="for")
    examples: list[ExampleShape] = []


class Metadata(Shape):
    """The name by which a later file overrides it."""

    name: Name


class _Document(Shape):
    api_version: Literal["fluxmedic.dev/v1"] = Field(alias="apiVersion")
    metadata: Metadata


class RuleDocument(_Document):
    """A rule, or a few changes to one."""

    kind: Literal["Rule"]
    spec: RuleSpec


class OverlayDocument(_Document):
    """A few changes to a rule of an earlier file."""

    kind: Literal["Rule"]
    spec: OverlaySpec


class ProcedureDocument(_Document):
    """A recovery contract."""

    kind: Literal["Procedure"]
    spec: ProcedureSpec


class RouteDocument(_Document):
    """A way from incidents to targets."""

    kind: Literal["Route"]
    spec: RouteSpec


class SilenceDocument(_Document):
    """A silence kept in a file."""

    kind: Literal["Silence"]
    spec: SilenceSpec


class WindowDocument(_Document):
    """A window in the calendar."""

    kind: Literal["Window"]
    spec: WindowSpec


class DetectorMetadata(Metadata):
    """The name of a detector."""

    name: Annotated[Name, Field(json_schema_extra=editor.one_of(DETECTORS))]


class DetectorDocument(_Document):
    """A setting of one detector."""

    kind: Literal["Detector"]
    metadata: DetectorMetadata
    spec: DetectorSpec


AnyDocument = (
    RuleDocument
    | OverlayDocument
    | ProcedureDocument
    | RouteDocument
    | SilenceDocument
    | WindowDocument
    | DetectorDocument
)
BY_KIND: dict[str, type[AnyDocument]] = {
    "Rule": RuleDocument,
    "Procedure": ProcedureDocument,
    "Route": RouteDocument,
    "Silence": SilenceDocument,
    "Window": WindowDocument,
    "Detector": DetectorDocument,
}


def json_schema() -> dict[str, object]:
    """Return the JSON schema of one document, for editors and `rules schema`.

    `kind` and `overlay` choose the shape, so that an editor judges a document by the one its author meant.
    """
    definitions = TypeAdapter(AnyDocument).json_schema(by_alias=True)["$defs"]
    _drop_defaults(definitions)
    marked = {"type": "object", "properties": {"overlay": {"const": True}}, "required": ["overlay"]}
    overlay = {"properties": {"spec": marked}, "required": ["spec"]}
    chosen: dict[str, JsonSchemaValue] = {
        kind: {"$ref": f"#/$defs/{shape.__name__}"} for kind, shape in BY_KIND.items()
    }
    chosen["Rule"] = {"if": overlay, "then": {"$ref": "#/$defs/OverlayDocument"}, "else": chosen["Rule"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": API_VERSION,
        "type": "object",
        "properties": {"kind": {"enum": list(BY_KIND)}, "apiVersion": {"const": API_VERSION}},
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "allOf": [
            {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": shape}
            for kind, shape in chosen.items()
        ],
        "$defs": definitions,
    }


def _drop_defaults(definitions: dict[str, JsonSchemaValue]) -> None:
    """Drop what an editor would insert as it stands: 0.0 is no duration, null no word."""
    for definition in definitions.values():
        for each in definition.get("properties", {}).values():
            if not isinstance(each.get("default"), bool | str):
                each.pop("default", None)


def keys() -> frozenset[str]:
    """Return every key that any shape knows, for "did you mean"."""
    found: set[str] = set()
    for definition in json_schema()["$defs"].values():  # type: ignore[attr-defined] # pydantic's own output
        found |= set(definition.get("properties", {}))
    return frozenset(found)
