"""What happened over time, for rules that ask more than how things stand: count, absent_for, sequence.

Three small state machines over one question, "does the rule's test hold now", asked whenever the object is looked at.
A test that reads `event` is a moment: it counts once for each event that arrives, never again for the same one. What
was there before the daemon woke is a fact and not a moment, so nothing is counted out of a first list.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from daemon.engine.world import Progress, World
from daemon.model.findings import Clause
from daemon.model.refs import ObjectRef
from daemon.rules.expression import Expression
from daemon.rules.ruleset import Rule

Ask = Callable[[Expression], bool]
"""Does this expression hold for the object as it stands?"""


def advance(world: World, rule: Rule, ref: ObjectRef, *, matches: bool, ask: Ask) -> bool:
    """Take one look at an object in; say whether the rule's pattern is complete now.

    `matches`: the cheap part of the rule holds; `ask` answers its expressions.
    """
    progress = _progress(world, rule, ref)
    arrived = world.arrived.get(ref, 0) if rule.momentary else 1
    if rule.sequence:
        return _sequence(world, rule, ref, progress, ask if matches and arrived else None)
    held = matches and bool(arrived) and (rule.when is None or ask(rule.when))
    if rule.count is not None:
        return _count(world, rule, ref, progress, arrived if held else 0)
    return _absent(world, rule, ref, progress, held=held)


def told(world: World, rule: Rule, ref: ObjectRef) -> tuple[Clause, ...]:
    """Return what a pattern wanted and what was seen of it so far, for "why" and "why not"."""
    progress = world.progress.get(ref, {}).get(rule.name) or Progress(world.now)  # nothing of it was seen yet
    if rule.count is not None:
        recent = [moment for moment in progress.moments if _age(world, moment) < rule.count.within]
        wanted = f"at least {rule.count.at_least} times within {rule.count.within:g} s"
        return (Clause("count", wanted, f"{len(recent)} times", held=len(recent) >= rule.count.at_least),)
    if rule.sequence:
        wanted = f"all {len(rule.sequence)} steps in order"
        held = progress.stage == len(rule.sequence)
        return (Clause("sequence", wanted, f"{progress.stage} of them", held=held),)
    age, least = _age(world, progress.since), rule.absent_for or 0.0
    return (Clause("absent_for", f"{least:g} s", f"{age:g} s", held=age >= least),)


def purge(world: World) -> None:
    """Forget the patterns of rules that are not in force any more."""
    for ref, tests in list(world.progress.items()):
        for name in [name for name in tests if not _is_asked(world, name)]:
            del tests[name]
        if not tests:
            del world.progress[ref]


def _is_asked(world: World, name: str) -> bool:
    rule = world.rules.rule(name)
    return rule is not None and rule.enabled and rule.temporal


def _progress(world: World, rule: Rule, ref: ObjectRef) -> Progress:
    tests = world.progress.setdefault(ref, {})
    found = tests.get(rule.name)
    if found is None:
        found = tests[rule.name] = Progress(world.now)
    return found


def _count(world: World, rule: Rule, ref: ObjectRef, progress: Progress, times: int) -> bool:
    """Count the moments at which the test became true; each leaves the window by itself."""
    assert rule.count is not None  # noqa: S101 - asked by the caller
    within, least = rule.count.within, rule.count.at_least
    began = times if rule.momentary else int(bool(times) and not progress.held)
    progress.held = bool(times)
    moments = [moment for moment in progress.moments if _age(world, moment) < within]
    progress.moments = (*moments, *[world.now] * min(began, least))[-least:]
    if began:
        world.after(within, ref)
    return len(progress.moments) >= least


def _absent(world: World, rule: Rule, ref: ObjectRef, progress: Progress, *, held: bool) -> bool:
    """Wait for the test to hold; every time that it does, or ceases to, the wait begins anew.

    A moment is over at once; a state lasts until a look finds it gone.
    """
    assert rule.absent_for is not None  # noqa: S101 - asked by the caller
    if held or (progress.held and not rule.momentary):
        progress.since = world.now
    progress.held = held
    overdue = _age(world, progress.since) >= rule.absent_for
    if not overdue and (progress.wake is None or progress.wake <= world.now):
        progress.wake = progress.since + timedelta(seconds=rule.absent_for)
        world.at(progress.wake, ref)
    return overdue


def _sequence(world: World, rule: Rule, ref: ObjectRef, progress: Progress, ask: Ask | None) -> bool:
    """Wait for one step after the other; where the next one comes too late, the first must become true again."""
    steps, step = rule.sequence, world.counts["steps"]
    if progress.stage and _age(world, progress.since) >= steps[min(progress.stage, len(steps) - 1)].within:
        progress.stage = 0
    first = ask is not None and ask(steps[0].when)
    if not progress.stage:
        reached = first and (rule.momentary or not progress.held)
    else:
        late = progress.step == step or progress.stage == len(steps)
        reached = not late and ask is not None and ask(steps[progress.stage].when)
    progress.held = first
    if reached:
        progress.stage += 1
        progress.since, progress.step = world.now, step
        world.after(steps[min(progress.stage, len(steps) - 1)].within, ref)
    return progress.stage == len(steps)


def _age(world: World, moment: datetime) -> float:
    return (world.now - moment).total_seconds()
