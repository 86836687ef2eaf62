"""Read-only questions to the World, for pages, API and metrics: the View port over one World.

The pump and the web server live in one loop, so an answer is always of one step.
"""

from collections.abc import Mapping

from daemon.engine.graph import causes_of, root_of
from daemon.engine.match import FAULTS_TO_DISABLE, trace
from daemon.engine.world import World
from daemon.flux.kinds import kind_of
from daemon.model.documents import object_document, ref_document, stamp
from daemon.model.findings import Finding, Trace
from daemon.model.incidents import Incident
from daemon.model.notices import Silence
from daemon.model.objects import Health, ObjectState
from daemon.model.ports import Json, Readiness
from daemon.model.refs import IncidentId, ObjectRef


class WorldView:
    """The View of one World."""

    def __init__(self, world: World) -> None:
        """Look at this World."""
        self._world = world

    def incidents(self) -> tuple[Incident, ...]:
        """Return every incident remembered, newest first."""
        found = (case.incident for case in self._world.cases.values())
        return tuple(sorted(found, key=lambda incident: (incident.opened_at, incident.id), reverse=True))

    def incident(self, wanted: IncidentId) -> Incident | None:
        """Return one incident by id or unique beginning of one."""
        exact = self._world.cases.get(wanted)
        if exact is not None:
            return exact.incident
        found = [case.incident for name, case in self._world.cases.items() if wanted and name.startswith(wanted)]
        return found[0] if len(found) == 1 else None

    def findings(self) -> tuple[Finding, ...]:
        """Return every finding that is pending or firing, by object and test."""
        return tuple(sorted(self._world.findings.values(), key=lambda finding: (finding.ref, finding.test)))

    def objects(self) -> tuple[tuple[ObjectState, Health], ...]:
        """Return every Flux object with its health, sorted by ref."""
        world = self._world
        refs = sorted(ref for ref in world.objects if _is_flux(ref))
        return tuple((world.objects[ref].state, world.objects[ref].health) for ref in refs)

    def rules(self) -> tuple[Json, ...]:
        """Return every rule in force, by name."""
        world = self._world
        return tuple(
            {
                "name": rule.name,
                "severity": rule.severity.word,
                "kinds": sorted(rule.match.kinds),
                "mode": rule.remediation.mode.value if rule.remediation else "observe",
                "enabled": rule.enabled,
                "faults": world.faults.get(rule.name, 0),
                "file": f"{rule.file}:{rule.line}",
            }
            for rule in sorted(world.rules.rules, key=lambda each: each.name)
        )

    def silences(self) -> tuple[Silence, ...]:
        """Return every silence in force, the one that ends first before the others."""
        world = self._world
        known = (*world.silences.values(), *world.rules.silences)
        return tuple(
            sorted((each for each in known if each.ends_at > world.now), key=lambda each: (each.ends_at, each.id))
        )

    def why(self, ref: ObjectRef) -> Json:
        """Say why an object is or is not in an incident: health, causes, every rule clause by clause."""
        world = self._world
        known = world.known(ref)
        if known is None:
            return {"object": ref_document(ref), "known": False, "answer": f"{ref} does not exist, or is not watched"}
        case = world.case_of(ref)
        root = root_of(world, ref)
        rules = [trace(world, known, rule) for rule in world.rules.for_kind(ref.kind)]
        return {
            "object": object_document(known.state, known.health.value),
            "known": True,
            "answer": _answer(world, ref, root),
            "incident": case.incident.id if case else None,
            "root": ref_document(root),
            "causes": [ref_document(cause) for cause in causes_of(world, ref)],
            "failing_since": stamp(known.failing_since),
            "findings": [
                {"test": finding.test, "state": finding.state.value, "summary": finding.summary}
                for finding in self.findings()
                if finding.ref == ref
            ],
            "rules": [_trace_document(each) for each in rules],
        }

    def readiness(self) -> Readiness:
        """Say whether every expected kind is in sync, and what is not."""
        world = self._world
        kinds = dict.fromkeys(sorted(world.limits.expected), "syncing")
        kinds.update(dict.fromkeys(sorted(world.synced), "synced"))
        kinds.update(dict.fromkeys(sorted(world.absent), "absent"))
        kinds.update({name: f"stale: {reason}" for name, reason in sorted(world.stale.items())})
        reasons = tuple(f"{name}: {state}" for name, state in kinds.items() if state not in ("synced", "absent"))
        broken = tuple(
            f"rule {name} is out of force until the next load: its condition failed {count} times"
            for name, count in sorted(world.faults.items())
            if count >= FAULTS_TO_DISABLE
        )
        return Readiness(ready=world.awake and not reasons, reasons=(*reasons, *broken), kinds=kinds)

    def counters(self) -> Mapping[str, float]:
        """Return the World's own counters by name."""
        world = self._world
        counts = {name: float(count) for name, count in sorted(world.counts.items())}
        return counts | {
            "objects": float(len(world.objects)),
            "findings": float(len(world.findings)),
            "incidents_now_open": float(len(world.open_cases())),
            "deadlines": float(len(world.heap)),
            "rule_faults": float(sum(world.faults.values())),
        }


def _is_flux(ref: ObjectRef) -> bool:
    kind = kind_of(ref.group, ref.kind)
    return kind is not None and kind.flux


def _answer(world: World, ref: ObjectRef, root: ObjectRef) -> str:
    case = world.case_of(ref)
    health = world.health(ref).value
    if case is not None and case.incident.root == ref:
        return f"{ref} is the root of incident {case.incident.id}: {case.incident.cause}"
    if case is not None:
        return f"{ref} ({health}) is in incident {case.incident.id}; its root is {case.incident.root}"
    if root != ref:
        return f"{ref} ({health}) waits for {root}, which is in no incident (yet)"
    return f"{ref} ({health}) is in no incident"


def _trace_document(told: Trace) -> dict[str, object]:
    return {
        "rule": told.rule,
        "held": told.held,
        "error": told.error,
        "clauses": [
            {"name": clause.name, "wanted": clause.wanted, "seen": clause.seen, "held": clause.held}
            for clause in told.clauses
        ],
    }
