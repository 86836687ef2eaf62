"""What the model's values say of themselves."""

from datetime import UTC, datetime

import pytest

from daemon.model.errors import (
    ClusterError,
    Conflict,
    DaemonError,
    DeliveryError,
    Forbidden,
    Gone,
    Invalid,
    LedgerError,
    NotFound,
    Unauthorized,
    Unreachable,
)
from daemon.model.findings import Clause, Finding, FindingState, Severity, Trace
from daemon.model.incidents import Incident, Member, Role, State
from daemon.model.objects import Condition, ObjectState, Replicas
from daemon.model.ports import HttpAnswer, HttpRoute, Readiness
from daemon.model.refs import Fingerprint, IncidentId, ObjectRef

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
REF = ObjectRef("c", "apps", "Deployment", "apps", "web")
HELD = Clause("kind", "Deployment", "Deployment", held=True)


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (Trace("r", REF, (HELD,)), True),
        (Trace("r", REF, (HELD, Clause("when", "x", "y", held=False))), False),
        (Trace("r", REF, (HELD, Clause("when", "x", "", held=None))), False),
        (Trace("r", REF, (HELD,), error="no such key"), False),
    ],
)
def test_a_rule_holds_when_every_clause_did_and_none_failed(trace, expected):
    assert trace.held is expected


def test_a_finding_is_known_by_its_test_and_its_object():
    finding = Finding("rule", REF, Severity.INFO, AT, FindingState.PENDING)
    assert finding.fingerprint == Fingerprint("rule", REF)


def test_the_dependents_of_an_incident_are_its_victims_alone():
    node = ObjectRef("c", "", "Node", "", "n")
    members = (Member(REF, Role.ROOT, AT), Member(node, Role.DEPENDENT, AT), Member(node, Role.RELATED, AT))
    incident = Incident(IncidentId("i"), REF, "why", Severity.WARNING, State.OPEN, AT, AT, members=members)
    assert incident.dependents == (members[1],)


@pytest.mark.parametrize(
    ("replicas", "complete"),
    [
        (Replicas(2, 2, 2, 2), True),
        (Replicas(0, 0, 0, 0), True),
        (Replicas(2, 1, 2, 2), False),
        (Replicas(2, 2, 1, 2), False),
        (Replicas(2, 2, 2, 1), False),
        (Replicas(2, 2, 2, 2, observed=False), False),
        (Replicas(2, 2, 2, 2, old=1), False),
    ],
)
def test_a_workload_is_complete_when_every_pod_is_new_ready_available_and_observed(replicas, complete):
    assert replicas.complete is complete


def test_a_condition_is_found_by_its_type():
    stalled, ready = Condition("Stalled", "True"), Condition("Ready", "False")
    state = ObjectState(REF, conditions=(stalled, ready))
    assert (state.ready, state.condition("Stalled"), state.condition("Healthy")) == (ready, stalled, None)


@pytest.mark.parametrize(
    ("kind", "retry"),
    [
        (Unreachable, True), (Unauthorized, True), (Gone, True), (DeliveryError, True),
        (Forbidden, False), (NotFound, False), (Conflict, False), (Invalid, False), (LedgerError, False),
    ],
)  # fmt: skip
def test_an_error_says_whether_the_same_call_may_succeed_later(kind, retry):
    error = kind("said no")
    assert isinstance(error, DaemonError)
    assert (error.retry, error.after, str(error)) == (retry, None, "said no")


def test_an_error_without_an_answer_has_the_status_nought():
    assert ClusterError("nothing").status == 0


def test_what_a_port_carries_has_safe_defaults():
    async def handler(request):
        return HttpAnswer(200)

    assert HttpRoute("POST", "/x", handler).limit == 3 * 1024 * 1024
    assert Readiness(ready=False).kinds == {}
