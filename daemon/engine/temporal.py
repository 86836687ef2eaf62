"""The life of findings: pending until `for` has passed, firing, and gone after `keep_firing_for`.

A draft that disappears while pending leaves nothing behind; one that fires and comes back within its keep time never
stopped. Limit: it does not know what a finding means or which incident it goes to.
"""

from dataclasses import replace
from datetime import timedelta

from daemon.engine.draft import Draft
from daemon.engine.world import World
from daemon.model.findings import Clause, Finding, FindingState
from daemon.model.refs import Fingerprint, ObjectRef


def update(world: World, ref: ObjectRef, drafts: list[Draft]) -> list[Finding]:
    """Bring the findings of one object in line with what holds now; return those that began to fire."""
    wanted = {draft.test: draft for draft in drafts}
    fired = []
    for test in sorted(wanted):
        finding = _hold(world, ref, wanted[test])
        if finding is not None:
            fired.append(finding)
    for test in sorted(world.tests.get(ref, set()) - set(wanted)):
        _release(world, Fingerprint(test, ref))
    return fired


def wake(world: World, fingerprint: Fingerprint) -> None:
    """Look at a finding whose time has come: ask again about one that waited, drop one that was kept long enough."""
    finding = world.findings.get(fingerprint)
    if finding is None:
        return
    _, keep = world.holds[fingerprint]
    if finding.state is FindingState.PENDING:
        world.mark(fingerprint.ref)  # what it waits for may have moved on meanwhile: asked anew, and then it fires
    if finding.state is FindingState.RESOLVED and world.now >= finding.since + timedelta(seconds=keep):
        drop(world, fingerprint)


def waited(world: World, fingerprint: Fingerprint) -> tuple[Clause, ...]:
    """Return how long a finding has held and must hold, for "why" and "why not"; nothing where there is no wait."""
    finding, hold = world.findings.get(fingerprint), world.holds.get(fingerprint, (0.0, 0.0))[0]
    if finding is None or not hold or finding.state is FindingState.RESOLVED:
        return ()
    age = (world.now - finding.since).total_seconds()
    return (Clause("for", f"{hold:g} s", f"{age:g} s", held=finding.state is FindingState.FIRING),)


def kept(world: World, fingerprint: Fingerprint) -> tuple[Clause, ...]:
    """Return since when a finding is only kept, for "why" and "why not"; nothing for one that is not."""
    finding = world.findings.get(fingerprint)
    if finding is None or finding.state is not FindingState.RESOLVED:
        return ()
    _, keep = world.holds[fingerprint]
    age = (world.now - finding.since).total_seconds()
    return (Clause("keep_firing_for", f"{keep:g} s", f"{age:g} s since it last held: it is told on", held=True),)


def drop(world: World, fingerprint: Fingerprint) -> None:
    """Forget a finding at once, and let its incident look again."""
    del world.findings[fingerprint], world.holds[fingerprint]
    world.forget()
    tests = world.tests[fingerprint.ref]
    tests.discard(fingerprint.test)
    if not tests:
        del world.tests[fingerprint.ref]
    incident = world.membership.get(fingerprint.ref)
    if incident is not None:
        world.touch(incident)


def _hold(world: World, ref: ObjectRef, draft: Draft) -> Finding | None:
    """Keep or begin a finding; return it when it begins to fire."""
    fingerprint = Fingerprint(draft.test, ref)
    known = world.findings.get(fingerprint)
    hold_before = world.holds.get(fingerprint, (draft.hold, 0.0))[0]
    world.holds[fingerprint] = (draft.hold, draft.keep)
    if known is None:
        known = Finding(draft.test, ref, draft.severity, world.now, FindingState.PENDING)
    told = replace(
        known,
        severity=draft.severity,
        summary=draft.summary,
        next_step=draft.next_step,
        runbook=draft.runbook,
        labels=draft.labels,
        related=draft.related,
    )
    if told.state is FindingState.RESOLVED:
        told = replace(told, state=FindingState.FIRING, since=told.fired_at or world.now)
        world.forget()
    if fingerprint in world.findings and told != world.findings[fingerprint] and told.state is FindingState.FIRING:
        incident = world.membership.get(ref)
        if incident is not None:
            world.touch(incident)
    if fingerprint in world.findings and told.related != world.findings[fingerprint].related:
        world.forget()
    moved = fingerprint not in world.findings or hold_before != draft.hold
    world.findings[fingerprint] = told
    world.tests[ref].add(draft.test)
    if told.state is FindingState.PENDING and world.now >= told.since + timedelta(seconds=draft.hold):
        return _fire(world, told)
    if moved and told.state is FindingState.PENDING:
        world.at(told.since + timedelta(seconds=draft.hold), fingerprint)
    return None


def _release(world: World, fingerprint: Fingerprint) -> None:
    finding = world.findings[fingerprint]
    _, keep = world.holds[fingerprint]
    if finding.state is FindingState.FIRING and keep > 0:
        world.findings[fingerprint] = replace(finding, state=FindingState.RESOLVED, since=world.now)
        world.forget()
        world.at(world.now + timedelta(seconds=keep), fingerprint)
    elif finding.state is not FindingState.RESOLVED:
        drop(world, fingerprint)


def _fire(world: World, finding: Finding) -> Finding:
    fired = replace(finding, state=FindingState.FIRING, fired_at=world.now)
    world.findings[finding.fingerprint] = fired
    world.forget()
    world.counts["findings_fired"] += 1
    return fired
