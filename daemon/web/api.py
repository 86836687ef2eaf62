"""The JSON API: everything the pages show, in the shapes of the contracts. Pure but for the View it asks."""

from collections.abc import Mapping

import orjson

from daemon.model.documents import (
    API_VERSION,
    Document,
    entry_document,
    incident_document,
    listing,
    object_document,
    ref_document,
    stamp,
)
from daemon.model.ports import HttpAnswer, View
from daemon.model.refs import IncidentId, ObjectRef

LIMIT = 500
"""Items of one answer at most; `offset` turns the page."""
DIGITS = 9
JSON = "application/json"


def as_json(document: object, status: int = 200) -> HttpAnswer:
    """Return a JSON answer."""
    return HttpAnswer(status, orjson.dumps(document), JSON)


def problem(status: int, text: str) -> HttpAnswer:
    """Return an error in words."""
    return as_json({"apiVersion": API_VERSION, "kind": "Error", "status": status, "message": text}, status)


def incidents(view: View, query: Mapping[str, str]) -> HttpAnswer:
    """Answer /incidents: ?state= ?severity= ?limit= ?offset=."""
    found = [
        incident
        for incident in view.incidents()
        if query.get("state") in (None, "", incident.state.value)
        and query.get("severity") in (None, "", incident.severity.word)
    ]
    start, count = _window(query)
    items = [incident_document(each) for each in found[start : start + count]]
    return as_json(listing("IncidentList", items, total=len(found)))


def incident(view: View, wanted: str) -> HttpAnswer:
    """Answer /incidents/ID: the id or a unique beginning of one."""
    found = view.incident(IncidentId(wanted))
    if found is None:
        return _unknown(wanted)
    return as_json({"apiVersion": API_VERSION, "kind": "Incident", **incident_document(found)})


def timeline(view: View, wanted: str) -> HttpAnswer:
    """Answer /incidents/ID/timeline."""
    found = view.incident(IncidentId(wanted))
    if found is None:
        return _unknown(wanted)
    return as_json(listing("Timeline", [entry_document(entry) for entry in found.timeline], incident=found.id))


def _unknown(wanted: str) -> HttpAnswer:
    return problem(404, f"no incident is called {wanted!r}, or several begin so")


def objects(view: View, query: Mapping[str, str]) -> HttpAnswer:
    """Answer /objects: ?kind= ?namespace= ?health= ?limit= ?offset=."""
    found = [
        (state, health)
        for state, health in view.objects()
        if query.get("kind") in (None, "", state.ref.kind)
        and query.get("namespace") in (None, "", state.ref.namespace)
        and query.get("health") in (None, "", health.value)
    ]
    start, count = _window(query)
    items = [object_document(state, health.value) for state, health in found[start : start + count]]
    return as_json(listing("ObjectList", items, total=len(found)))


def findings(view: View) -> HttpAnswer:
    """Answer /findings."""
    items: list[Document] = [
        ref_document(each.ref)
        | {
            "test": each.test,
            "state": each.state.value,
            "severity": each.severity.word,
            "since": stamp(each.since),
            "summary": each.summary,
        }
        for each in view.findings()
    ]
    return as_json(listing("FindingList", items))


def rules(view: View) -> HttpAnswer:
    """Answer /rules: those in force, with how often each could not be evaluated."""
    return as_json(listing("RuleList", [dict(rule) for rule in view.rules()]))


def silences(view: View) -> HttpAnswer:
    """Answer /silences: those in force, with their ends, who asked for them and why."""
    items: list[Document] = [
        {
            "id": each.id,
            "matcher": ",".join(f"{key}={pattern}" for key, pattern in each.matcher),
            "starts_at": stamp(each.starts_at),
            "ends_at": stamp(each.ends_at),
            "by": each.by,
            "comment": each.comment,
        }
        for each in view.silences()
    ]
    return as_json(listing("SilenceList", items))


def why(view: View, query: Mapping[str, str]) -> HttpAnswer:
    """Answer /why?kind=&namespace=&name=&incident=: why an object is, or is not, in an incident, or in that one."""
    kind, name = query.get("kind", ""), query.get("name", "")
    if not kind or not name:
        return problem(400, "kind and name are needed")
    wanted = query.get("incident", "")
    if wanted and view.incident(IncidentId(wanted)) is None:
        return _unknown(wanted)
    ref = ObjectRef("", "", kind, query.get("namespace", ""), name)
    return as_json({"apiVersion": API_VERSION, "kind": "Explanation", **view.why(ref, wanted)})


def readiness(view: View) -> HttpAnswer:
    """Answer /readiness."""
    state = view.readiness()
    return as_json(
        {
            "apiVersion": API_VERSION,
            "kind": "Readiness",
            "ready": state.ready,
            "reasons": list(state.reasons),
            "kinds": dict(state.kinds),
        },
        200 if state.ready else 503,
    )


def number(text: str, otherwise: int) -> int:
    """Return the number that a query gives; something else for what is none, or is longer than any list."""
    return int(text) if text.isdecimal() and len(text) <= DIGITS else otherwise


def _window(query: Mapping[str, str]) -> tuple[int, int]:
    return number(query.get("offset", ""), 0), min(number(query.get("limit", ""), LIMIT), LIMIT)
