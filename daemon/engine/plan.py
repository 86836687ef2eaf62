"""From a rule's remediation to a plan for one incident, and to the exact instructions for a person.

The digest binds an approval to what was read: the object's uid, generation and revision, and every step.
"""

from datetime import timedelta

from daemon.engine.checks import bind
from daemon.engine.graph import owners_of
from daemon.engine.release import workloads_of
from daemon.engine.world import Case, World
from daemon.model.objects import ObjectState
from daemon.model.refs import ObjectRef, derived_id
from daemon.model.remedies import Milestone, Mode, Phase, Remediation, Step
from daemon.rules.ruleset import RemediationSpec, Rule, StepSpec

FETCHING = frozenset({"Kustomization", "HelmRelease", "HelmChart"})
"""Kinds that are built from a source, for which `flux reconcile` knows --with-source."""


def rule_for(world: World, case: Case) -> Rule | None:
    """Return the rule whose remediation applies: of those firing on the root the most severe, then by name."""
    for finding in world.firing(case.incident.root):
        rule = world.rules.rule(finding.test)
        if rule is not None and rule.remediation is not None:
            return rule
    return None


def plan_for(world: World, case: Case, rule: Rule, mode: Mode) -> Remediation | None:
    """Return the plan of a rule for this incident, or None when a step has no object to act on."""
    spec, root = rule.remediation, world.objects[case.incident.root]
    assert spec is not None  # noqa: S101 - rule_for gives no other
    steps = [_step(world, case.incident.root, each) for each in spec.steps]
    if any(step is None for step in steps):
        return None
    kept = tuple(step for step in steps if step is not None)
    digest = digest_of(root.state, kept)
    return Remediation(
        id=derived_id(case.incident.id, rule.name, digest, case.attempts + 1),
        incident=case.incident.id,
        rule=rule.name,
        mode=mode,
        phase=Phase.PROPOSED,
        steps=kept,
        digest=digest,
        created_at=world.now,
        expires_at=world.now + timedelta(seconds=spec.approval),
        attempt=case.attempts + 1,
        milestones=_milestones(world, case.incident.root, spec),
        resolve_after=spec.resolve_after,
    )


def waits_for(world: World, step: Step) -> tuple[str, ...]:
    """Return what a person must do before a step can end: nobody else takes an object out of Git."""
    if step.action != "delete-release":
        return ()
    return tuple(
        f"waits for a commit that removes {step.ref} from {_where(world, owner)}; until then it is suspended and stays"
        for owner in owners_of(world, step.ref)
    )


def digest_of(state: ObjectState, steps: tuple[Step, ...]) -> str:
    """Return what an approval is bound to: a change of any of these makes it lapse."""
    facts = [state.uid, str(state.generation), state.attempted_revision]
    for step in steps:
        facts += [step.action, str(step.ref), *(f"{key}={value}" for key, value in sorted(step.params.items()))]
    return derived_id(*facts)


def instructions_for(world: World, case: Case) -> tuple[str, ...]:
    """Return exactly what a person would type and change, in order; from the plan if a rule has one."""
    rule = rule_for(world, case)
    if rule is None or rule.remediation is None:
        return (case.incident.next_step,) if case.incident.next_step else ()
    lines: list[str] = []
    for spec in rule.remediation.steps:
        ref = _target(world, case.incident.root, spec)
        if ref is None:
            continue
        state = world.objects[ref].state if ref in world.objects else None
        lines += _delete_release(world, ref, state) if spec.action == "delete-release" else _command(spec, ref)
    return tuple(lines)


def _delete_release(world: World, ref: ObjectRef, state: ObjectState | None) -> list[str]:
    """flux.md 6.5 as commands: never delete an unsuspended HelmRelease, it uninstalls what it finds in storage."""
    lines = [
        f"flux suspend helmrelease {ref.name} -n {ref.namespace}",
        f"kubectl get helmrelease {ref.name} -n {ref.namespace} -o jsonpath='{{.spec.suspend}}'   # must print true",
    ]
    owners = owners_of(world, ref)
    lines += [
        f"In Git: remove {ref} from {_where(world, owner)}. While it is there, {owner.kind} puts it back "
        f"unsuspended after any live deletion; once suspended, its prune leaves the Helm release alone."
        for owner in owners
    ]
    if not owners:
        lines.append(f"kubectl delete helmrelease {ref.name} -n {ref.namespace}   # only after suspend printed true")
    helm = state.helm if state is not None else None
    if helm is not None:
        lines.append(
            f"kubectl get secret -n {helm.storage_namespace} -l owner=helm,name={helm.release}   # must still be there"
        )
    return lines


def _where(world: World, owner: ObjectRef) -> str:
    """Return an owner with the path and the revision at which it holds what it holds."""
    known = world.known(owner)
    path = f" (path {known.state.path})" if known is not None and known.state.path else ""
    revision = f" at {known.state.applied_revision}" if known is not None and known.state.applied_revision else ""
    return f"{owner}{path}{revision}"


def _command(spec: StepSpec, ref: ObjectRef) -> list[str]:
    source = " --with-source" if _with_source(spec, ref) else ""
    kind = ref.kind.lower() if ref.kind in ("Kustomization", "HelmRelease") else f"source {_source_word(ref.kind)}"
    return [f"flux reconcile {kind} {ref.name} -n {ref.namespace}{source}"]


def _with_source(spec: StepSpec, ref: ObjectRef) -> bool:
    """Say whether something is fetched anew first; what fetches from outside has no source of its own."""
    return ref.kind in FETCHING and spec.params.get("source", "").lower() == "true"


def _source_word(kind: str) -> str:
    words = {"GitRepository": "git", "OCIRepository": "oci", "HelmRepository": "helm", "HelmChart": "chart"}
    return words.get(kind, kind.lower())


def _step(world: World, root: ObjectRef, spec: StepSpec) -> Step | None:
    ref = _target(world, root, spec)
    if ref is None:
        return None
    return Step(spec.action, ref, dict(spec.params), _text(spec, ref))


def _text(spec: StepSpec, ref: ObjectRef) -> str:
    """Say what is written where, for the person who approves."""
    if spec.action == "delete-release":
        return (
            f"set spec.suspend=true on {ref}, see it observed, wait until nothing in Git re-adds it, then delete it "
            f"with a uid precondition; the Helm release and its workloads stay, which is proven afterwards"
        )
    source = ", its source first" if _with_source(spec, ref) else ""
    return f"annotate {ref} with reconcile.fluxcd.io/requestedAt{source}"


def _target(world: World, root: ObjectRef, spec: StepSpec) -> ObjectRef | None:
    """Return the object of a step: the root, the Kustomization that owns it, or one named by the rule."""
    if spec.name:
        found = [ref for ref in world.objects if _named(ref, spec)]
        return min(found) if found else None
    return _owner(world, root) if spec.target == "owner" else root


def _owner(world: World, root: ObjectRef) -> ObjectRef | None:
    """Return the Kustomization that applies an object; for one that Git let go, the one that checks its workloads."""
    known = world.known(root)
    checked = sorted(workloads_of(world, known.state)) if known is not None else []
    near = [*owners_of(world, root), *(ref for workload in checked for ref in owners_of(world, workload))]
    return next((ref for ref in near if ref.kind == "Kustomization"), None)


def _named(ref: ObjectRef, spec: StepSpec) -> bool:
    return (ref.kind, ref.name) == (spec.kind, spec.name) and spec.namespace in ("", ref.namespace)


def _milestones(world: World, root: ObjectRef, spec: RemediationSpec) -> tuple[Milestone, ...]:
    procedure = world.rules.procedures.get(spec.recovery)
    return tuple(Milestone(bind(world, root, each)) for each in procedure.checks) if procedure else ()
