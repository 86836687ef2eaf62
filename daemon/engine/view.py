"""Read-only questions to the World, for pages, API and metrics: the View port over one World.

The pump and the web server live in one loop, so an answer is always of one step.
"""

from collections.abc import Mapping

from daemon.engine.explain import why
from daemon.engine.match import out_of_force
from daemon.engine.world import World
from daemon.flux.kinds import kind_of
from daemon.model.findings import Finding
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
        """Return every rule, by name, with how often it could not be evaluated, and whether it is in force."""
        world = self._world
        stopped = out_of_force(world)
        return tuple(
            {
                "name": rule.name,
                "severity": rule.severity.word,
                "kinds": sorted(rule.match.kinds),
                "mode": rule.remediation.mode.value if rule.remediation else "observe",
                "enabled": rule.enabled,
                "faults": world.faults.get(rule.name, 0),
                "last_fault": world.faulted.get(rule.name, ""),
                "in_force": rule.enabled and rule.name not in stopped,
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

    def why(self, ref: ObjectRef, incident: str = "") -> Json:
        """Say why an object is or is not in an incident: health, the way to its root, every rule and detector."""
        return why(self._world, ref, incident)

    def readiness(self) -> Readiness:
        """Say whether every expected kind is in sync, and what is not."""
        world = self._world
        kinds = dict.fromkeys(sorted(world.limits.expected), "syncing")
        kinds.update(dict.fromkeys(sorted(world.synced), "synced"))
        kinds.update(dict.fromkeys(sorted(world.absent), "absent"))
        kinds.update({name: f"stale: {reason}" for name, reason in sorted(world.stale.items())})
        reasons = tuple(f"{name}: {state}" for name, state in kinds.items() if state not in ("synced", "absent"))
        stopped = out_of_force(world)
        faulty = tuple(
            f"rule {name} is out of force until the next load: its condition takes too many steps"
            if name in stopped
            else f"rule {name} could not be evaluated {count} times, the last time: {world.faulted[name]}"
            for name, count in sorted(world.faults.items())
        )
        return Readiness(ready=world.awake and not reasons, reasons=(*reasons, *faulty), kinds=kinds)

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
