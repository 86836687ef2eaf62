"""Where an incident may go from where it stands: a table, and the one function that walks it.

A pair that is not in the table is refused with an entry, never with an exception.
"""

from enum import StrEnum

from daemon.engine.timeline import amend, tell
from daemon.engine.world import Case, World
from daemon.model.incidents import State


class Trigger(StrEnum):
    """What can move an incident."""

    ACKNOWLEDGE = "acknowledge"
    LAPSE = "acknowledgement lapsed"
    REMEDIATE = "remediation starts"
    WELL = "everything is well"
    UNWELL = "something fails again"
    VERIFIED = "remediation verified"
    GIVE_UP = "remediation failed"
    HELD = "stayed well long enough"
    FAILS_AGAIN = "the cause is back"
    RESOLVE = "resolved by a person"
    MERGE = "taken in by another incident"


TABLE: dict[tuple[State, Trigger], State] = {
    (State.OPEN, Trigger.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.OPEN, Trigger.REMEDIATE): State.REMEDIATING,
    (State.OPEN, Trigger.WELL): State.RECOVERING,
    (State.OPEN, Trigger.RESOLVE): State.RESOLVED,
    (State.OPEN, Trigger.MERGE): State.RESOLVED,
    (State.ACKNOWLEDGED, Trigger.LAPSE): State.OPEN,
    (State.ACKNOWLEDGED, Trigger.REMEDIATE): State.REMEDIATING,
    (State.ACKNOWLEDGED, Trigger.WELL): State.RECOVERING,
    (State.ACKNOWLEDGED, Trigger.RESOLVE): State.RESOLVED,
    (State.ACKNOWLEDGED, Trigger.MERGE): State.RESOLVED,
    (State.REMEDIATING, Trigger.VERIFIED): State.RECOVERING,
    (State.REMEDIATING, Trigger.GIVE_UP): State.OPEN,
    (State.REMEDIATING, Trigger.RESOLVE): State.RESOLVED,
    (State.REMEDIATING, Trigger.MERGE): State.RESOLVED,
    (State.RECOVERING, Trigger.HELD): State.RESOLVED,
    (State.RECOVERING, Trigger.UNWELL): State.OPEN,
    (State.RECOVERING, Trigger.RESOLVE): State.RESOLVED,
    (State.RECOVERING, Trigger.MERGE): State.RESOLVED,
    (State.RESOLVED, Trigger.FAILS_AGAIN): State.OPEN,
}


def move(world: World, case: Case, trigger: Trigger, *, actor: str = "fluxmedic") -> bool:
    """Move an incident if the table allows it, with an entry either way; say whether it moved."""
    before = case.incident.state
    after = TABLE.get((before, trigger))
    if after is None:
        tell(world, case, "state", f"{trigger.value}: refused while {before.value}", actor=actor)
        return False
    amend(case, state=after, resolved_at=world.now if after is State.RESOLVED else None)
    tell(world, case, "state", f"{before.value} → {after.value}: {trigger.value}", actor=actor)
    case.ended_at = world.now if after is State.RESOLVED else None
    world.counts[f"incidents_{after.value}"] += 1
    return True
