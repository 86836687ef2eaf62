"""Writing in an incident's book: entries, each once, with the time it happened and the time we saw it."""

from dataclasses import replace
from datetime import datetime

from daemon.engine.world import Case, World
from daemon.model.incidents import Entry
from daemon.model.notices import Reason
from daemon.model.refs import ObjectRef

ENTRIES_KEPT = 1000
"""Entries of one incident: a flapping object must not fill the ledger (promise P4)."""


def tell(
    world: World,
    case: Case,
    kind: str,
    text: str,
    *,
    actor: str = "fluxmedic",
    ref: ObjectRef | None = None,
    at: datetime | None = None,
    inferred: bool = False,
) -> None:
    """Add an entry to the incident's timeline; past the cap it is counted and left out."""
    case.dirty = True
    if len(case.incident.timeline) >= ENTRIES_KEPT:
        world.counts["entries_dropped"] += 1
        return
    entry = Entry(at or world.now, world.now, kind, actor, text, ref, inferred)
    case.incident = replace(case.incident, timeline=(*case.incident.timeline, entry))


def tell_once(world: World, case: Case, kind: str, text: str, key: str = "", *, ref: ObjectRef | None = None) -> None:
    """Add an entry unless one of the same kind and key (the text, if no key is given) was already told."""
    mark = (kind, key or text)
    if mark not in case.seen_texts:
        case.seen_texts.add(mark)
        tell(world, case, kind, text, ref=ref)


def amend(case: Case, **changes: object) -> None:
    """Replace fields of the incident and remember that it must be saved, unless nothing differs."""
    changed = replace(case.incident, **changes)  # type: ignore[arg-type] # the names are checked by replace itself
    if changed != case.incident:
        case.incident = changed
        case.dirty = True


def remind(case: Case, reason: Reason) -> None:
    """Ask for a notification with this reason at the end of the step."""
    case.pending[reason] = None
