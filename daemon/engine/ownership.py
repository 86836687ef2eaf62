"""Detectors about who applies what: two owners of one thing, checks of what nobody owns, what is there for nobody.

Limit: they see what stands in inventories and specs. Who writes from outside shows only in Helm's storage.
"""

from datetime import timedelta

from daemon.engine.draft import Draft
from daemon.engine.graph import owners_of
from daemon.engine.release import managed_by, managers_of
from daemon.engine.rolling import moving_until, patience
from daemon.engine.surroundings import DEFINITION, bringers_of, missing_need
from daemon.engine.world import Known, World
from daemon.flux.culprit import GROUP, changed_lines, culprit_of
from daemon.flux.kinds import HELM, KUSTOMIZE, OPERATOR
from daemon.model.findings import Severity
from daemon.model.objects import Health, ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.signals import ReleaseSeen

MOVING_FOR = 180.0
"""Seconds for which two inventories may hold one object: a move from one Kustomization to another takes an interval."""
SETTLES_FOR = 60.0
FIGHTS = 2
"""Times that each of two appliers must have changed one object: once each is a hand-over, twice is a fight."""
OVER_AFTER = 300.0
"""Seconds beyond its interval after which a release that nobody wrote to again is at peace (to the next look-out)."""
HELM_CONTROLLER = "helm-controller"
APPLIERS = (KUSTOMIZE, HELM, OPERATOR)
"""API groups of what has an inventory: Kustomizations, HelmReleases (from Flux 2.8 on), ResourceSets."""


def two_owners(world: World, known: Known) -> Draft | None:
    """Find a Helm release that somebody else installed before Flux took it over: two writers, one release (S24)."""
    helm = known.state.helm
    if helm is None or known.state.deleted_at is not None:
        return None
    foreign = _foreign_revision(world, known.state)
    if foreign is None:
        return None
    owner = "".join(f"; Kustomization {ref.place} applies it" for ref in owners_of(world, known.state.ref)[:1])
    return Draft(
        "two-owners",
        Severity.INFO,
        f"Helm release {helm.namespace}/{helm.release} has two owners: revision {foreign.revision} was written by "
        f"{foreign.writer or 'somebody else'}, and this HelmRelease manages it too{owner}",
        0.0,
        next_step="Let one owner go: remove the HelmRelease from Git after suspending it, or stop the other installer.",
        related=owners_of(world, known.state.ref),
    )


def release_contended(world: World, known: Known) -> Draft | None:
    """Find a release whose revisions Flux and somebody else write by turns, each over the other (flux.md 0.3, 28).

    Flux takes the release back at its next interval, in silence: it stays Ready, and the other's change is gone.
    """
    state = known.state
    turns = _turns(world, state)
    if not turns or state.helm is None:
        return None
    foreign, own = turns[-1]
    patience = (state.interval or OVER_AFTER) + OVER_AFTER
    over = (own.created_at or own.at) + timedelta(seconds=patience)
    if over <= world.now:
        return None
    times = "once" if len(turns) == 1 else f"{len(turns)} times"
    return Draft(
        "release-contended",
        Severity.WARNING,
        f"Helm release {state.helm.namespace}/{state.helm.release} has two writers that take turns: {foreign.writer} "
        f"wrote revision {foreign.revision}, Flux overwrote it with revision {own.revision} ({times} so far)",
        0.0,
        next_step=f"What {foreign.writer} changed is gone again. Make the change in Git, or suspend {state.ref} first.",
        related=owners_of(world, state.ref),
    )


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
    """Find an object that two of Flux's appliers have in their inventories, before they begin to fight for it."""
    shared = _shared(world, known)
    if not shared:
        return None
    thing, others = shared[0]
    more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
    return Draft(
        "applied-twice",
        Severity.INFO,
        f"{thing}{more} is applied by {' and '.join(f'{ref.kind} {ref.place}' for ref in others)} too",
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


def need_missing(world: World, known: Known) -> Draft | None:
    """Find an object that fails for want of a ConfigMap, Secret or account that its spec names; none is ever read."""
    failed, ref = known.failed, known.state.ref
    need = missing_need(known.state, failed.message) if failed is not None else None
    if need is None or failed is None or known.health is not Health.FAILED:
        return None
    return Draft(
        "need-missing",
        Severity.CRITICAL,
        f"needs {need.kind} {need.place}, which does not exist: {culprit_of(failed.message)}",
        0.0,
        next_step=f"Create {need}, or correct what the spec of {ref} names in Git: "
        f"kubectl -n {need.namespace} get {need.kind.lower()} {need.name}",
        related=(need,),
        patience=patience(world, known, "need-missing", moving_until(world, known)),
    )


def kind_missing(world: World, known: Known) -> Draft | None:
    """Find an applier that fails for want of a CustomResourceDefinition, and say who would bring it."""
    if known.failed is None or known.health is not Health.FAILED or not known.shared.startswith(GROUP):
        return None
    until = moving_until(world, known)
    if until is not None and until > world.now:
        return None  # who brings it is on its way
    group = known.shared.removeprefix(GROUP)
    bringers = bringers_of(world, known)
    return Draft(
        "kind-missing",
        Severity.CRITICAL,
        f"a CRD of {group} is not installed: {culprit_of(known.failed.message)}; " + _whence(world, known, bringers),
        SETTLES_FOR,
        next_step=f"Install the CRDs of {group} first, and let {known.state.ref} depend on who does (spec.dependsOn).",
        related=bringers,
    )


def _foreign_revision(world: World, state: ObjectState) -> ReleaseSeen | None:
    """Return the newest revision in storage that helm-controller did not write, or None."""
    foreign = [seen for seen in _revisions(world, state) if seen.writer and seen.writer != HELM_CONTROLLER]
    return foreign[-1] if foreign else None


def _turns(world: World, state: ObjectState) -> list[tuple[ReleaseSeen, ReleaseSeen]]:
    """Return each revision of somebody else that stands between two of Flux's, with the one that overwrote it."""
    turns = []
    taken, foreign = False, None
    for seen in _revisions(world, state):
        if seen.writer and seen.writer != HELM_CONTROLLER:
            foreign = seen if taken else None
            continue
        if foreign is not None:
            turns.append((foreign, seen))
        taken, foreign = True, None
    return turns


def _revisions(world: World, state: ObjectState) -> list[ReleaseSeen]:
    helm = state.helm
    kept = world.releases.get((helm.storage_namespace, helm.release), {}) if helm is not None else {}
    return [kept[number] for number in sorted(kept)]


def _whence(world: World, known: Known, bringers: tuple[ObjectRef, ...]) -> str:
    """Return who brings a missing kind, or who took it away, in words."""
    names = " and ".join(str(ref) for ref in bringers)
    if world.bringers.get(known.shared):
        return f"it is brought by {names}"
    pruned = _pruned_by(world, known.shared.removeprefix(GROUP))
    if pruned:
        return f"{pruned} has removed it"
    return f"it may be brought by {names}" if names else "nothing in Flux is known to bring it"


def _pruned_by(world: World, group: str) -> str:
    """Return the applier whose events say that it removed a definition of an API group; empty for none."""
    for ref, events in world.events.items():
        for kind, _, name, done in (line for event in events for line in changed_lines(event.message)):
            if kind == DEFINITION and done == "deleted" and name.partition(".")[2] == group:
                return str(ref)
    return ""


def _shared(world: World, known: Known) -> list[tuple[ObjectRef, tuple[ObjectRef, ...]]]:
    """Return what others apply too, with those others; only for the least of them, so that it is told once."""
    ref = known.state.ref
    found = []
    for thing in known.state.contains if ref.group in APPLIERS else ():
        parents = world.parents.get(thing, ())
        if len(parents) > 1:
            others = tuple(sorted(each for each in parents if each != ref and _applies(world, each, thing)))
            if others and ref < others[0]:
                found.append((thing, others))
    return found


def _applies(world: World, parent: ObjectRef, thing: ObjectRef) -> bool:
    return parent.group in APPLIERS and thing in world.objects[parent].state.contains


def _changes(world: World, applier: ObjectRef, thing: ObjectRef) -> int:
    """Return how often an applier's events say that it changed an object."""
    wanted = (thing.kind, thing.namespace, thing.name, "configured")
    return sum(event.count for event in world.events.get(applier, ()) if wanted in changed_lines(event.message))


def _is_owned(world: World, ref: ObjectRef) -> bool:
    """Say whether something in Flux applies an object: an inventory that holds it, or a release that it claims."""
    held = any(ref in world.objects[parent].state.contains for parent in world.parents.get(ref, ()))
    return held or bool(managers_of(world, ref))
