"""The shapes that other programs rely on: an incident as JSON, the same in replay, API, webhook and demo.

Limit: one way only. What must be read back goes through codec.py.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from daemon.model.incidents import Entry, Incident, Member
from daemon.model.objects import ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.remedies import Milestone, Remediation

API_VERSION = "fluxmedic.dev/v1"

Document = dict[str, object]


def stamp(at: datetime | None) -> str | None:
    """Return RFC 3339 in UTC with milliseconds, or None."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ref_document(ref: ObjectRef) -> Document:
    """Return kind, namespace and name."""
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name}


def entry_document(entry: Entry) -> Document:
    """Return one line of the timeline."""
    return {
        "at": stamp(entry.at),
        "seen_at": stamp(entry.seen_at),
        "kind": entry.kind,
        "actor": entry.actor,
        "object": ref_document(entry.object) if entry.object else None,
        "text": entry.text,
        "inferred": entry.inferred,
    }


def member_document(member: Member) -> Document:
    """Return one member with its role and where it hangs in the tree."""
    return ref_document(member.ref) | {
        "role": member.role.value,
        "joined_at": stamp(member.joined_at),
        "recovered_at": stamp(member.recovered_at),
        "reason": member.reason,
        "parent": ref_document(member.parent) if member.parent else None,
    }


def milestone_document(milestone: Milestone) -> Document:
    """Return one row of the recovery contract: expected against actual."""
    return {
        "id": milestone.check.id,
        "text": milestone.check.text,
        "within": milestone.check.within,
        "optional": milestone.check.optional,
        "state": milestone.state.value,
        "seen": milestone.seen,
        "met_at": stamp(milestone.met_at),
        "late": milestone.late,
    }


def remediation_document(remediation: Remediation | None) -> Document | None:
    """Return the plan with its steps and milestones, or None."""
    if remediation is None:
        return None
    steps = [
        {
            "action": step.action,
            "object": ref_document(step.ref),
            "text": step.text,
            "outcome": step.outcome.value if step.outcome else None,
            "detail": step.detail,
            "started_at": stamp(step.started_at),
            "finished_at": stamp(step.finished_at),
        }
        for step in remediation.steps
    ]
    return {
        "plan": remediation.id,
        "rule": remediation.rule,
        "mode": remediation.mode.value,
        "phase": remediation.phase.value,
        "digest": remediation.digest,
        "attempt": remediation.attempt,
        "approved_by": remediation.approved_by,
        "verdict": remediation.verdict,
        "created_at": stamp(remediation.created_at),
        "started_at": stamp(remediation.started_at),
        "finished_at": stamp(remediation.finished_at),
        "expires_at": stamp(remediation.expires_at),
        "steps": steps,
        "milestones": [milestone_document(milestone) for milestone in remediation.milestones],
    }


def incident_document(incident: Incident) -> Document:
    """Return the whole incident in the shape of the contracts."""
    change = incident.change
    return {
        "id": incident.id,
        "root": ref_document(incident.root),
        "cluster": incident.root.cluster,
        "cause": incident.cause,
        "rules": list(incident.rules),
        "severity": incident.severity.word,
        "state": incident.state.value,
        "summary": incident.summary,
        "next_step": incident.next_step,
        "runbook": incident.runbook,
        "opened_at": stamp(incident.opened_at),
        "updated_at": stamp(incident.updated_at),
        "resolved_at": stamp(incident.resolved_at),
        "acknowledged_by": incident.acknowledged_by,
        "members": [member_document(member) for member in incident.members],
        "timeline": [entry_document(entry) for entry in incident.timeline],
        "change": {
            "last_good": change.last_good,
            "failing": change.failing,
            "commit": change.commit,
            "source": change.source,
            "owner": change.owner,
            "author": change.author,
            "controller": change.controller,
            "writer": change.writer,
        },
        "instructions": list(incident.instructions),
        "remediation": remediation_document(incident.remediation),
        "related": list(incident.related),
    }


def object_document(state: ObjectState, health: str) -> Document:
    """Return one object as the pages and `get objects` show it."""
    ready = state.ready
    return ref_document(state.ref) | {
        "health": health,
        "reason": ready.reason if ready else "",
        "message": ready.message if ready else "",
        "revision": state.applied_revision or state.artifact_revision,
        "suspended": state.suspended,
        "generation": state.generation,
        "observed_generation": state.observed_generation,
    }


def listing(kind: str, items: list[Document], **more: object) -> Mapping[str, object]:
    """Return a list document with apiVersion and kind."""
    return {"apiVersion": API_VERSION, "kind": kind, **more, "items": items}
