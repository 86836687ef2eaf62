"""Reasons not to act: functions asked in order; the first that does not allow answers, and its answer is an entry.

If in doubt, refuse and say why. The write itself re-checks what can change between here and there.
"""

from collections.abc import Callable
from datetime import timedelta

from daemon.engine.graph import root_of
from daemon.engine.plan import digest_of
from daemon.engine.world import Case, World
from daemon.flux.kinds import kind_of, resource_of
from daemon.model.objects import Health
from daemon.model.remedies import MODE_ORDER, Allow, Deny, Mode, Phase, Remediation, Verdict, Wait
from daemon.rules.ruleset import Rule

HOLD = "fluxmedic.dev/hold"
"""An object that carries this annotation with any value but "false" is left alone."""
BRAKE_SHARE = 0.5
BRAKE_LEAST = 20
"""The brake holds when more than half of at least so many Flux objects fail by themselves: then it is not one cause."""


def allowed_mode(world: World, rule: Rule) -> Mode:
    """Return how far a rule may go: the lower of its own mode and the process's."""
    own = rule.remediation.mode if rule.remediation is not None else Mode.OBSERVE
    return min(own, world.limits.mode, key=MODE_ORDER.index)


def judge(world: World, case: Case, plan: Remediation) -> Verdict:
    """Ask every guard about a plan; return the first answer that is not Allow."""
    for guard in GUARDS:
        verdict = guard(world, case, plan)
        if not isinstance(verdict, Allow):
            return verdict
    return Allow()


def switched_off(world: World, _case: Case, _plan: Remediation) -> Verdict:
    """Refuse while a person has paused all actions."""
    return Wait("actions are paused (fluxmedic actions resume)") if world.paused else Allow()


def frozen(world: World, case: Case, _plan: Remediation) -> Verdict:
    """Refuse inside a change freeze of the rule files."""
    for window in world.rules.windows:
        if window.freeze and window.contains(world.now, case.incident.root.namespace):
            return Wait(f"window {window.name} allows no changes now")
    return Allow()


def unheard(world: World, _case: Case, plan: Remediation) -> Verdict:
    """Refuse while a kind that the plan touches is not in sync: we would act on old news."""
    for step in plan.steps:
        kind = kind_of(step.ref.group, step.ref.kind)
        if kind is not None and resource_of(kind) in world.stale:
            return Wait(f"{kind.kind} is not in sync: {world.stale[resource_of(kind)]}")
    return Allow()


def not_the_root(world: World, case: Case, _plan: Remediation) -> Verdict:
    """Refuse to mend an object that something else broke."""
    root = root_of(world, case.incident.root)
    return Allow() if root == case.incident.root else Deny(f"{root} is the cause: it must be mended first")


def held(world: World, _case: Case, plan: Remediation) -> Verdict:
    """Refuse to touch what a person holds, or what another one suspended."""
    for step in plan.steps:
        known = world.known(step.ref)
        if known is None:
            continue
        if known.state.annotations.get(HOLD, "false") != "false":
            return Deny(f"{step.ref} carries the annotation {HOLD}")
        if known.state.suspended and step.action == "reconcile":
            return Deny(f"{step.ref} is suspended: a person wants it to stand still")
        if known.state.deleted_at is not None:
            return Deny(f"{step.ref} is being deleted")
    return Allow()


def brake(world: World, _case: Case, _plan: Remediation) -> Verdict:
    """Refuse while most of the fleet fails: that is not a moment for automatic hands."""
    flux = [known for ref, known in world.objects.items() if _is_flux(ref.group)]
    failed = sum(known.health is Health.FAILED for known in flux)
    if len(flux) >= BRAKE_LEAST and failed > len(flux) * BRAKE_SHARE:
        return Wait(f"{failed} of {len(flux)} Flux objects fail: a person must look first")
    return Allow()


def remembered(_world: World, case: Case, plan: Remediation) -> Verdict:
    """Refuse a fix that ran for this very state and did not help."""
    return Deny("the same fix failed for this revision before") if plan.digest in case.tried else Allow()


def too_often(world: World, case: Case, plan: Remediation) -> Verdict:
    """Refuse past the rule's number of attempts, and before its cool-down is over."""
    rule = world.rules.rule(plan.rule)
    if rule is None or rule.remediation is None:
        return Deny(f"rule {plan.rule} is not in force any more")
    if case.attempts >= rule.remediation.attempts:
        return Deny(f"{case.attempts} attempts were made, the rule allows no more")
    if case.not_before is not None and world.now < case.not_before:
        return Wait("cooling down after the last attempt", case.not_before)
    return Allow()


def one_at_a_time(world: World, case: Case, _plan: Remediation) -> Verdict:
    """Refuse while another incident is being mended."""
    for other in world.open_cases():
        plan = other.incident.remediation
        if other is not case and plan is not None and plan.phase is Phase.RUNNING:
            return Wait(f"incident {other.incident.id} is being mended")
    return Allow()


def changed_meanwhile(world: World, case: Case, plan: Remediation) -> Verdict:
    """Refuse when the object is no longer what the plan was made for."""
    known = world.known(case.incident.root)
    if known is None:
        return Deny(f"{case.incident.root} does not exist any more")
    if digest_of(known.state, plan.steps) != plan.digest:
        return Deny("the object changed since the plan was made (uid, generation or revision)")
    return Allow()


def cooled_until(world: World, case: Case, seconds: float) -> None:
    """Start the cool-down after an attempt."""
    case.not_before = world.now + timedelta(seconds=seconds)


def _is_flux(group: str) -> bool:
    return group.endswith("toolkit.fluxcd.io")


GUARDS: tuple[Callable[[World, Case, Remediation], Verdict], ...] = (
    switched_off,
    frozen,
    unheard,
    not_the_root,
    held,
    brake,
    remembered,
    too_often,
    one_at_a_time,
    changed_meanwhile,
)
