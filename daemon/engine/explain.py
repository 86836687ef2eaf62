"""Why, and why not: where an object stands, the way to its root, and every rule and detector clause by clause.

The same code decides and explains: clauses come from `match.trace`, detectors are asked as the step asks them, the way
is the cause graph's own. Nothing here changes the World.
"""

from collections.abc import Mapping

from daemon.engine.controllers import controller_of
from daemon.engine.detect import DETECTORS, purpose_of
from daemon.engine.graph import causes_of, root_of
from daemon.engine.lineage import blamed_refs
from daemon.engine.match import trace
from daemon.engine.suppress import suppressed
from daemon.engine.temporal import waited
from daemon.engine.world import Case, Known, World
from daemon.flux.kinds import kind_named
from daemon.model.documents import object_document, ref_document, stamp
from daemon.model.findings import Clause, Trace
from daemon.model.objects import Health
from daemon.model.ports import Json
from daemon.model.refs import Fingerprint, ObjectRef


def why(world: World, asked: ObjectRef, incident: str = "") -> Json:
    """Return why an object is or is not in an incident, or in the one asked about (an id or the beginning of one)."""
    ref = _meant(world, asked)
    known = world.known(ref)
    if known is None:
        return {"object": ref_document(ref), "known": False, "answer": f"{ref} does not exist, or is not watched"}
    case = world.case_of(ref)
    root = root_of(world, ref)
    quiet = suppressed(world, case) if case is not None else None
    rules = [trace(world, known, rule) for rule in world.rules.rules if ref.kind in rule.match.kinds]
    findings = sorted((found for found in world.findings.values() if found.ref == ref), key=lambda each: each.test)
    return {
        "object": object_document(known.state, known.health.value),
        "known": True,
        "answer": _asked_for(world, ref, root, incident) if incident else _answer(world, ref, root),
        "incident": case.incident.id if case else None,
        "root": ref_document(root),
        "path": [{"object": ref_document(cause), "because": because} for cause, because in way_to(world, ref, root)],
        "causes": [ref_document(cause) for cause in causes_of(world, ref)],
        "failing_since": stamp(known.failing_since),
        "suppressed": quiet.text if quiet is not None else None,
        "findings": [
            {"test": finding.test, "state": finding.state.value, "summary": finding.summary} for finding in findings
        ],
        "rules": [_document(each) for each in rules],
        "detectors": [_document(each) for each in detector_traces(world, known)],
    }


def way_to(world: World, ref: ObjectRef, root: ObjectRef) -> list[tuple[ObjectRef, str]]:
    """Return the shortest way from an object to its root: each cause with why it explains the one before it."""
    before: dict[ObjectRef, ObjectRef] = {}
    level = [ref]
    while level and root not in before and ref != root:
        following = []
        for current in level:
            for cause in causes_of(world, current):
                if cause not in before and cause != ref:
                    before[cause] = current
                    following.append(cause)
        level = following
    way: list[tuple[ObjectRef, str]] = []
    current = root
    while current in before:
        way.append((current, _because(world, before[current], current)))
        current = before[current]
    return way[::-1]


def detector_traces(world: World, known: Known) -> list[Trace]:
    """Return of every detector whether it speaks of an object now: what it looks for, what it found."""
    traces = []
    for name, detector in DETECTORS.items():
        if name in world.rules.detectors_off:
            clauses: tuple[Clause, ...] = (Clause("enabled", "true", "false", held=False),)
        else:
            draft = detector(world, known)
            seen = draft.summary if draft is not None else "nothing of it"
            clauses = (Clause("detects", purpose_of(name), seen, held=draft is not None),)
            clauses += waited(world, Fingerprint(name, known.state.ref)) if draft is not None else ()
        traces.append(Trace(name, known.state.ref, clauses))
    return traces


def _meant(world: World, asked: ObjectRef) -> ObjectRef:
    """Return the object that a person means: kinds in any case, plural or short, the group left out."""
    if asked in world.objects:
        return asked
    kind = kind_named(asked.kind).lower()
    for namespace in (asked.namespace, ""):  # what belongs to no namespace is asked for with the default one
        wanted = (kind, namespace, asked.name)
        found = sorted(ref for ref in world.objects if (ref.kind.lower(), ref.namespace, ref.name) == wanted)
        if found:
            return found[0]
    return asked


def _because(world: World, effect: ObjectRef, cause: ObjectRef) -> str:
    """Return in a few words why the one explains the other, by the first kind of edge that connects them."""
    known, other = world.objects[effect], world.known(cause)
    state, alike = known.state, world.sharing.get(known.shared, ())
    edges = (
        (cause in (dependency.ref for dependency in state.depends_on), f"{effect} depends on it"),
        (cause == state.source, f"{effect} is made from it"),
        (cause in blamed_refs(world, known), f"the health check of {effect} waits for it"),
        (cause.kind == "Node", f"pods that {effect} waits for run on it"),
        (other is not None and bool(controller_of(other.state)), f"it moves {effect}"),
        (effect in alike and cause in alike, f"both fail of the same: {known.shared}"),
        (cause in world.bringers.get(known.shared, ()), f"it brings what {effect} lacks: {known.shared}"),
    )
    return next((text for holds, text in edges if holds), f"what {effect} waits for belongs to it")


def _answer(world: World, ref: ObjectRef, root: ObjectRef) -> str:
    case = world.case_of(ref)
    health = world.health(ref).value
    if case is not None and case.incident.root == ref:
        return f"{ref} is the root of incident {case.incident.id}: {case.incident.cause}"
    if case is not None:
        return f"{ref} ({health}) is in incident {case.incident.id}; its root is {case.incident.root}"
    related = [each.incident.id for each in world.open_cases() if ref in (m.ref for m in each.incident.members)]
    if related:
        return f"{ref} ({health}) is beside the cause in incident {', '.join(related)}: it failed with it"
    if root != ref:
        return f"{ref} ({health}) waits for {root}, which is in no incident (yet)"
    return f"{ref} ({health}) is in no incident"


def _asked_for(world: World, ref: ObjectRef, root: ObjectRef, incident: str) -> str:
    """Return why an object is not in one incident, or that it is."""
    found = [case for name, case in world.cases.items() if name.startswith(incident)]
    if len(found) != 1:
        return f"no incident is called {incident!r}, or several begin so"
    case, name = found[0], found[0].incident.id
    member = next((each for each in case.incident.members if each.ref == ref), None)
    if member is not None:
        gone = f", and has recovered at {stamp(member.recovered_at)}" if member.recovered_at else ""
        return f"{ref} is in incident {name} as {member.role.value}{gone}"
    return f"{ref} is not in incident {name} (root {case.incident.root}): {_elsewhere(world, ref, root, case)}"


def _elsewhere(world: World, ref: ObjectRef, root: ObjectRef, case: Case) -> str:
    health, mine = world.health(ref), world.case_of(ref)
    if mine is not None:
        return f"it is in incident {mine.incident.id}, whose root is {mine.incident.root}"
    if health in (Health.CURRENT, Health.IN_PROGRESS, Health.SUSPENDED):
        return f"it is {health.value}, so there is nothing to explain"
    if root != ref:
        return f"what explains it is {root}, and not {case.incident.root}"
    return f"nothing that it depends on, is made from or waits for leads to {case.incident.root}"


def _document(told: Trace) -> Mapping[str, object]:
    return {
        "rule": told.rule,
        "held": told.held,
        "error": told.error,
        "clauses": [
            {"name": clause.name, "wanted": clause.wanted, "seen": clause.seen, "held": clause.held}
            for clause in told.clauses
        ],
    }
