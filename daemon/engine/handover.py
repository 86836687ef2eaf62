"""How a member goes from one incident to another: with a fault of its own, or because it waits for another root by now.

Membership is sticky, so these are the only ways out of an incident that goes on. Who went on with another cause stays
listed as related: the list is who was ever in it.
"""

from dataclasses import replace

from daemon.engine.graph import BROKEN, root_of, roots_of
from daemon.engine.timeline import amend, tell
from daemon.engine.world import Case, World
from daemon.model.incidents import Role
from daemon.model.objects import Health
from daemon.model.refs import ObjectRef


def part(world: World, case: Case, ref: ObjectRef) -> Case | None:
    """Let a member that has a fault of its own go, with its root; return the open incident of that root, if any."""
    root = root_of(world, ref)
    for each in dict.fromkeys((ref, root)):
        if world.case_of(each) is case:
            del world.membership[each]
            case.findings = {found for found in case.findings if found.ref != each}
            amend(case, members=tuple(member for member in case.incident.members if member.ref != each))
            text = f"{each.kind} {each.place} has a fault of its own: it goes on in another incident"
            tell(world, case, "left", text, ref=each)
    return world.case_of(root)


def relate(world: World, case: Case, other: Case) -> None:
    """Note in both incidents that they share an object; it stays where it was."""
    for one, two in ((case, other), (other, case)):
        if two.incident.id not in one.incident.related:
            amend(one, related=(*one.incident.related, two.incident.id))
            world.touch(one.incident.id)  # what they share may have to go on with the other one


def heir_of(world: World, case: Case) -> ObjectRef | None:
    """Return who still fails of what the incident is about, when its root only waits for another cause by now.

    What fails many objects alike is not over because the first of them has come to wait for something else.
    """
    if world.health(case.incident.root) is not Health.BLOCKED:
        return None
    failing = (m.ref for m in case.incident.dependents if world.health(m.ref) is Health.FAILED)
    heirs = {root_of(world, ref) for ref in failing}
    return min((ref for ref in heirs if world.case_of(ref) is case), default=None)


def hand_over(world: World, case: Case) -> list[tuple[ObjectRef, Case]]:
    """Let go who waits for the root of another open incident, and not, or no longer, for the root of this one.

    A parent whose health check failed waits for what the check blames now.

    What has two causes stays with the first until that is mended; then it would keep a mended cause open. Returns who
    left, with the incident to join.
    """
    left = []
    waiting = (m.ref for m in case.incident.dependents if world.health(m.ref) in BROKEN)
    for ref in waiting:
        other = world.case_of(root_of(world, ref))
        if case.incident.root not in roots_of(world, ref) and other is not None and other is not case:
            left.append((ref, other))
            text = f"{ref.kind} {ref.place} waits for {other.incident.root} by now: it goes on there"
            tell(world, case, "left", text, ref=ref)
    gone = {ref for ref, _ in left}
    if gone:
        members = case.incident.members
        amend(case, members=tuple(replace(m, role=Role.RELATED) if m.ref in gone else m for m in members))
    for ref, other in left:
        del world.membership[ref]
        other.findings |= {found for found in case.findings if found.ref == ref}
        relate(world, case, other)
    case.findings = {found for found in case.findings if found.ref not in gone}
    return left
