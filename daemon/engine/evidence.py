"""What a person would look at first, gathered once for a new incident: as a rule's `evidence` names it.

Everything comes from what is watched anyway; a kind of evidence that shows nothing adds nothing.
"""

from collections.abc import Callable, Iterator

from daemon.engine.cause import pod_trouble, workload_line
from daemon.engine.timeline import tell_once
from daemon.engine.world import Case, World
from daemon.flux.culprit import TEMPORARY, fingerprint

LINE = 500
"""Characters of one line of evidence: enough for Helm's longest sentence, short enough for a phone."""
EVENTS_SHOWN = 3


def gather(world: World, case: Case) -> None:
    """Add the evidence that the rules firing on the root ask for, once the grouping wait is over."""
    if not case.open or case.announce_at is None or world.now < case.announce_at:
        return
    for finding in world.firing(case.incident.root):
        rule = world.rules.rule(finding.test)
        for name in rule.evidence if rule is not None else ():
            for line in EVIDENCE[name](world, case) if name in EVIDENCE else ():
                text = TEMPORARY.sub("…", line).strip()[:LINE]
                tell_once(world, case, "evidence", text, f"{name}:{fingerprint(text)}", ref=case.incident.root)


def _conditions(world: World, case: Case) -> Iterator[str]:
    """The condition that says it failed, in full: the cause is only its line that matters."""
    known = world.known(case.incident.root)
    if known is not None and known.failed is not None:
        failed = known.failed
        yield f"{failed.type}={failed.status} {failed.reason}: {failed.message}"


def _events(world: World, case: Case) -> Iterator[str]:
    """The last distinct warnings about the root."""
    warnings = [event for event in world.events.get(case.incident.root, ()) if event.warning]
    for event in warnings[-EVENTS_SHOWN:]:
        yield f"event {event.reason}: {event.message}"


def _storage(world: World, case: Case) -> Iterator[str]:
    """Helm's own record: which revisions there are, in what state, written by whom."""
    known = world.known(case.incident.root)
    helm = known.state.helm if known is not None else None
    kept = world.releases.get((helm.storage_namespace, helm.release), {}) if helm is not None else {}
    if helm is not None and kept:
        told = (f"v{number} {seen.status} by {seen.writer or '?'}" for number, seen in sorted(kept.items()))
        yield f"Helm storage of {helm.storage_namespace}/{helm.release}: {', '.join(told)}"


def _workloads(world: World, case: Case) -> Iterator[str]:
    """The workloads that are down with it, and the trouble of their pods."""
    for ref in sorted(case.workloads):
        known = world.known(ref)
        if known is not None:
            trouble = pod_trouble(world, ref)
            yield workload_line(known.state) + (f": {trouble}" if trouble else "")


EVIDENCE: dict[str, Callable[[World, Case], Iterator[str]]] = {
    "culprit": _conditions,
    "events": _events,
    "helm-release": _storage,
    "workload": _workloads,
}
