"""Detectors about who applies what: two owners of one thing, checks of what nobody owns, kinds that nobody brings.

Limit: they see what stands in inventories and specs. Who writes from outside shows only in Helm's storage (two_owners).
"""

from daemon.engine.draft import Draft
from daemon.engine.release import managed_by, managers_of
from daemon.engine.world import Known, World
from daemon.flux.culprit import GROUP, changed_lines
from daemon.model.findings import Severity
from daemon.model.objects import Health
from daemon.model.refs import ObjectRef

MOVING_FOR = 180.0
"""Seconds for which two inventories may hold one object: a move from one Kustomization to another takes an interval."""
SETTLES_FOR = 60.0
FIGHTS = 2
"""Times that each of two appliers must have changed one object: once each is a hand-over, twice is a fight."""


def released_twice(world: World, known: Known) -> Draft | None:
    """Find a Helm release that several HelmReleases manage: each upgrade of one undoes the other's."""
    release = managed_by(known.state)
    managers = sorted(world.managers.get(release, ())) if release else []
    if len(managers) < 2 or managers[0] != known.state.ref or release is None:  # noqa: PLR2004 - two writers
        return None
    names = " and ".join(ref.place for ref in managers)
    return Draft(
        "released-twice",
        Severity.WARNING,
        f"Helm release {release[0]}/{release[1]} is managed by HelmReleases {names}: they take turns with it",
        SETTLES_FOR,
        next_step="Keep one: suspend the other, then remove it from Git (deleting it at once uninstalls the release).",
        related=tuple(managers[1:]),
    )


def applied_twice(world: World, known: Known) -> Draft | None:
    """Find an object that two Kustomizations have in their inventories, before they begin to fight for it."""
    shared = _shared(world, known)
    if not shared:
        return None
    thing, others = shared[0]
    more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
    return Draft(
        "applied-twice",
        Severity.INFO,
        f"{thing}{more} is applied by Kustomization {' and '.join(ref.place for ref in others)} too",
        MOVING_FOR,
        next_step="Keep it in one of their paths in Git: what one drops may be pruned under the other.",
        related=others,
    )


def drift_fight(world: World, known: Known) -> Draft | None:
    """Find two Kustomizations that change one object back and forth: both stay Ready (flux.md 0.3, 21).

    Not for a Namespace: only the owner's labels go to and fro, and that alone breaks nothing (applied-twice tells it).
    """
    for thing, others in _shared(world, known):
        if thing.kind == "Namespace":
            continue
        rivals = tuple(ref for ref in others if _changes(world, ref, thing) >= FIGHTS)
        if rivals and _changes(world, known.state.ref, thing) >= FIGHTS:
            names = " and ".join(ref.place for ref in (known.state.ref, *rivals))
            return Draft(
                "drift-fight",
                Severity.WARNING,
                f"{thing} is overwritten back and forth by Kustomizations {names}; both stay Ready",
                0.0,
                next_step=f"Remove {thing} from one of their paths in Git.",
                related=rivals,
            )
    return None


def check_without_owner(world: World, known: Known) -> Draft | None:
    """Find a health check of something that nothing in Flux applies: nobody here can make it pass (the seed's S24)."""
    state = known.state
    stray = [ref for ref in state.health_checks if not _is_owned(world, ref)]
    if not stray or state.suspended or known.health is not Health.CURRENT:
        return None
    names = ", ".join(str(ref) for ref in stray)
    return Draft(
        "check-without-owner",
        Severity.INFO,
        f"its health check waits for {names}, which nothing in Flux applies",
        MOVING_FOR,
        next_step=f"Let Flux own {names}, or remove the check from spec.healthChecks of {state.ref} in Git.",
        related=tuple(stray),
    )


def kind_missing(world: World, known: Known) -> Draft | None:
    """Find an applier that fails for want of a CustomResourceDefinition, and say who would bring it."""
    if known.health is not Health.FAILED or not known.shared.startswith(GROUP):
        return None
    group = known.shared.removeprefix(GROUP)
    bringers = sorted(ref for ref in world.definers.get(group, ()) if ref != known.state.ref)
    names = " and ".join(str(ref) for ref in bringers)
    return Draft(
        "kind-missing",
        Severity.CRITICAL,
        f"a CRD of {group} is not installed (no matches for kind); "
        + (f"it is brought by {names}" if bringers else "nothing in Flux is known to bring it"),
        SETTLES_FOR,
        next_step=f"Install the CRDs of {group} first, and let {known.state.ref} depend on who does (spec.dependsOn).",
        related=tuple(bringers),
    )


def _shared(world: World, known: Known) -> list[tuple[ObjectRef, tuple[ObjectRef, ...]]]:
    """Return what others apply too, with those others; only for the least of them, so that it is told once."""
    ref = known.state.ref
    found = []
    for thing in known.state.contains if ref.kind == "Kustomization" else ():
        parents = world.parents.get(thing, ())
        if len(parents) > 1:
            others = tuple(sorted(each for each in parents if each != ref and _applies(world, each, thing)))
            if others and ref < others[0]:
                found.append((thing, others))
    return found


def _applies(world: World, parent: ObjectRef, thing: ObjectRef) -> bool:
    return parent.kind == "Kustomization" and thing in world.objects[parent].state.contains


def _changes(world: World, applier: ObjectRef, thing: ObjectRef) -> int:
    """Return how often an applier's events say that it changed an object."""
    wanted = (thing.kind, thing.namespace, thing.name, "configured")
    return sum(event.count for event in world.events.get(applier, ()) if wanted in changed_lines(event.message))


def _is_owned(world: World, ref: ObjectRef) -> bool:
    """Say whether something in Flux applies an object: an inventory that holds it, or a release that it claims."""
    held = any(ref in world.objects[parent].state.contains for parent in world.parents.get(ref, ()))
    return held or bool(managers_of(world, ref))
