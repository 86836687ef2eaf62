"""Standing verification: a procedure with a schedule is asked when its time comes, and what fails is a finding.

A failing check stands on its object until the check holds again, whatever the schedule; so a fix shows at once.
"""

from daemon.engine.checks import bind, probe
from daemon.engine.draft import Draft
from daemon.engine.world import World
from daemon.model.findings import Severity
from daemon.model.refs import ObjectRef
from daemon.model.signals import CronFired


def verify(world: World, signal: CronFired) -> None:
    """Ask every check of a procedure; remember those that do not hold, by their object."""
    procedure = world.rules.procedures.get(signal.name)
    for spec in procedure.checks if procedure is not None else ():
        check = bind(world, None, spec)
        held, _ = probe(world, None, check)
        if held is False and check.ref is not None and not check.optional:
            world.standing.setdefault(check.ref, {})[f"{signal.name}/{check.id}"] = check
            world.mark(check.ref)


def standing(world: World, ref: ObjectRef) -> list[Draft]:
    """Return a draft for every check about an object that still does not hold."""
    failing = world.standing.get(ref)
    if not failing:
        return []
    drafts = []
    for name, check in sorted(failing.items()):
        held, seen = probe(world, None, check)
        if held is False:
            procedure = name.partition("/")[0]
            summary = f"{check.text} (procedure {procedure}): {seen}"
            next_step = f"Look at what changed since procedure {procedure} last held."
            drafts.append(Draft(f"verify:{name}", Severity.WARNING, summary, 0.0, next_step=next_step))
        else:
            del failing[name]
    if not failing:
        del world.standing[ref]
    return drafts
