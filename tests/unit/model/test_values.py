"""Values to JSON and back, the shapes of the contracts, and how names print."""

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model.codec import decode, encode
from daemon.model.documents import (
    incident_document,
    listing,
    member_document,
    object_document,
    remediation_document,
    stamp,
)
from daemon.model.errors import ClusterError, ConfigError, DaemonError, Problem, Unreachable
from daemon.model.findings import Severity
from daemon.model.incidents import Entry, Incident, Member, Role, State
from daemon.model.notices import Notification, Reason, Silence
from daemon.model.objects import Condition, ObjectState
from daemon.model.refs import EffectId, Fingerprint, IncidentId, ObjectRef, Target, derived_id
from daemon.model.remedies import (
    ActionRequest,
    Check,
    CheckState,
    Expectation,
    Milestone,
    Mode,
    Outcome,
    Phase,
    Remediation,
    Step,
)

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
REF = ObjectRef("c", "g", "Kustomization", "apps", "a")
PLAN = Remediation(
    id="p",
    incident=IncidentId("i"),
    rule="r",
    mode=Mode.AUTO,
    phase=Phase.VERIFYING,
    steps=(
        Step("reconcile", REF, {"source": "true"}, "text", Outcome.CHANGED, "done", started_at=AT, finished_at=AT),
        Step("x", REF),
    ),
    digest="d",
    created_at=AT,
    milestones=(Milestone(Check("S1", "absent", REF, "gone", 15.0, params={"k": "v"}), CheckState.MET, "yes", AT),),
)
INCIDENT = Incident(
    id=IncidentId("i"),
    root=REF,
    cause="why",
    severity=Severity.CRITICAL,
    state=State.OPEN,
    opened_at=AT,
    updated_at=AT,
    members=(
        Member(REF, Role.ROOT, AT),
        Member(ObjectRef("c", "", "Node", "", "n"), Role.DEPENDENT, AT, "x", REF, AT),
    ),
    timeline=(Entry(AT, AT, "opened", "flux", "text", REF), Entry(AT, AT, "notice", "us", "text")),
    remediation=PLAN,
    threads={Target("slack"): "C:1"},
)


@pytest.mark.parametrize(
    "value",
    [
        INCIDENT,
        Notification(EffectId("k"), Target("slack"), Reason.OPENED, INCIDENT, AT, INCIDENT.timeline),
        ActionRequest(EffectId("r"), IncidentId("i"), "p", 0, 1, "a", REF, {"a": "b"}, Expectation("u", 3), AT, AT),
        Silence("s", (("kind", "*"),), AT, "why", "ada", AT),
        ObjectState(REF, conditions=(Condition("Ready", "True", "r", "m", 1, AT),), finalizers=("f",)),
    ],
)
def test_what_the_ledger_keeps_comes_back_as_it_was(value):
    assert decode(type(value), encode(value)) == value


def test_an_older_row_without_a_field_takes_its_default_and_unknown_keys_are_ignored():
    row = {"at": AT.isoformat(), "seen_at": AT.isoformat(), "kind": "k", "actor": "a", "text": "t", "new": 1}
    assert decode(Entry, row) == Entry(AT, AT, "k", "a", "t")


@dataclasses.dataclass(frozen=True)
class Odd:
    """Shapes that the model has and the values above do not."""

    pair: tuple[str, int] = ("a", 1)
    share: float = 0.0
    maybe: int | None = None


def test_pairs_whole_numbers_for_floats_and_absent_values_are_read():
    assert decode(Odd, {"pair": ["b", 2], "share": 3, "maybe": None}) == Odd(("b", 2), 3.0)
    assert encode(Odd()) == {"pair": ["a", 1], "share": 0.0, "maybe": None}


class Colour(Enum):
    """An enum of its own."""

    RED = "red"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (int, "one"),
        (tuple[str, ...], "no list"),
        (Odd, ["no", "object"]),
        (Colour, "blue"),
        (datetime, "yesterday"),
        (list[int], [1]),
    ],
)
def test_a_row_of_another_shape_is_refused(kind, data):
    with pytest.raises((TypeError, ValueError)):
        decode(kind, data)


def test_what_has_no_type_to_read_it_by_is_refused():
    with pytest.raises(TypeError, match="cannot read"):
        decode("nothing", 1)  # type: ignore[arg-type]


def test_what_the_model_does_not_use_is_not_kept():
    with pytest.raises(TypeError, match="cannot keep a object"):
        encode(object())
    with pytest.raises(TypeError, match="cannot keep a type"):
        encode(Odd)


def test_sets_are_kept_as_lists_and_enums_by_their_value():
    assert encode(frozenset({1})) == [1]
    assert encode({Colour.RED: Colour.RED}) == {"Colour.RED": "red"}


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1)))  # noqa: DTZ001 - made aware below
def test_a_stamp_is_utc_with_milliseconds(moment):
    shifted = moment.replace(tzinfo=timezone(timedelta(hours=2)))
    text = stamp(shifted)
    assert text is not None
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text) - shifted) < timedelta(milliseconds=1)


def test_no_moment_is_no_stamp():
    assert stamp(None) is None


def test_an_incident_has_the_shape_of_the_contract():
    found = incident_document(INCIDENT)
    assert {
        "id", "root", "cause", "rules", "severity", "state", "opened_at", "resolved_at", "members", "timeline",
    } <= set(found)  # fmt: skip
    assert found["root"] == {"kind": "Kustomization", "namespace": "apps", "name": "a"}
    assert found["severity"] == "critical"
    assert found["timeline"][1]["object"] is None  # type: ignore[index]


def test_a_member_knows_where_it_hangs():
    assert member_document(INCIDENT.members[1])["parent"] == {"kind": "Kustomization", "namespace": "apps", "name": "a"}
    assert member_document(INCIDENT.members[0])["parent"] is None


def test_a_plan_is_shown_with_its_steps_and_milestones():
    found = remediation_document(PLAN)
    assert found is not None
    assert [step["outcome"] for step in found["steps"]] == ["changed", None]  # type: ignore[attr-defined]
    assert found["milestones"][0]["state"] == "met"  # type: ignore[index]
    assert remediation_document(None) is None


def test_an_object_is_shown_with_what_it_says():
    state = ObjectState(REF, conditions=(Condition("Ready", "False", "BuildFailed", "no"),), artifact_revision="m@1")
    found = object_document(state, "Failed")
    assert (found["reason"], found["message"], found["revision"]) == ("BuildFailed", "no", "m@1")
    assert object_document(ObjectState(REF), "Unknown")["reason"] == ""


def test_a_list_says_what_it_is():
    assert listing("XList", [], total=0) == {"apiVersion": "fluxmedic.dev/v1", "kind": "XList", "total": 0, "items": []}


def test_names_print_as_people_write_them():
    assert str(REF) == "Kustomization/apps/a"
    assert str(ObjectRef("c", "", "Node", "", "n")) == "Node/n"
    assert ObjectRef("c", "", "Node", "", "n").place == "n"
    assert str(Fingerprint("t", REF)) == "t@Kustomization/apps/a"
    assert INCIDENT.title == "OPEN · critical · Kustomization/apps/a"
    assert Severity.WARNING.word == "warning"


def test_a_derived_id_depends_on_every_part_and_on_nothing_else():
    assert derived_id("a", 1) == derived_id("a", 1)
    assert derived_id("a", "b") != derived_id("ab")


def test_a_request_leaves_a_token_by_which_it_is_found_again():
    request = ActionRequest(EffectId("r1"), IncidentId("i"), "p", 0, 1, "a", REF)
    assert request.token == "fluxmedic-r1"


def test_the_current_step_is_the_first_without_an_outcome():
    assert PLAN.current == 1
    assert dataclasses.replace(PLAN, steps=PLAN.steps[:1]).current == 1


def test_every_problem_is_told_with_its_place():
    error = ConfigError(Problem("wrong", "a.yaml", 3, 7, "spec.when"), Problem("also wrong"))
    assert str(error) == "a.yaml:3:7: spec.when: wrong\nalso wrong"
    assert DaemonError("x", after=3.0).after == 3.0


def test_an_answer_of_the_cluster_keeps_its_code_and_its_wish_to_wait():
    error = Unreachable("busy", status=429, after=7.0)
    assert isinstance(error, ClusterError)
    assert (error.status, error.after, error.retry) == (429, 7.0, True)
