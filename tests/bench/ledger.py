"""The ledger on a real file: commits a second, bytes an incident, and what a restart reads."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

from daemon.model.effects import Row as Saved
from daemon.model.effects import SaveDelivery, SaveIncident, SaveOutbox
from daemon.model.findings import Severity
from daemon.model.incidents import Entry, Incident, Member, Role, State
from daemon.model.notices import Delivery, Notification, Reason, Sent
from daemon.model.refs import EffectId, IncidentId, ObjectRef, Target
from daemon.runtime.ledger import SqlLedger, open_ledger
from tests.bench.matter import later
from tests.bench.table import MEGABYTE, Row, Watch, quantile

COMMITS = 300
BATCH = 100
KEPT = 1000
"""Incidents for the size: enough that pages and indexes count."""
WANTED = 100_000


async def rows(folder: Path) -> AsyncIterator[Row]:
    """Measure."""
    ledger = await open_ledger(f"sqlite+aiosqlite:///{folder / 'commits.db'}")
    try:
        yield await _single(ledger)
        yield await _batched(ledger)
    finally:
        await ledger.close()
    async for row in _size(folder / "size.db"):
        yield row


def incident(number: int, *, entries: int = 3) -> Incident:
    """Return a resolved incident with four members, and so many lines of history."""
    refs = [
        ObjectRef("bench", "kustomize.toolkit.fluxcd.io", "Kustomization", "apps", f"app-{number}-{each}")
        for each in range(4)
    ]
    opened = later(number)
    history = tuple(
        Entry(opened, opened, "state", "fluxmedic", f"line {each} of what happened to this incident, in words", refs[0])
        for each in range(entries)
    )
    return Incident(
        id=IncidentId(f"{number:012x}"),
        root=refs[0],
        cause="kustomize build failed: no such file or directory",
        severity=Severity.CRITICAL,
        state=State.RESOLVED,
        opened_at=opened,
        updated_at=opened,
        resolved_at=opened,
        rules=("build-failed",),
        summary="Kustomization apps/app can't be built from Git: accumulating resources: no such file or directory",
        next_step="Reproduce it in a checkout: flux build kustomization app",
        members=tuple(Member(ref, Role.DEPENDENT if index else Role.ROOT, opened) for index, ref in enumerate(refs)),
        timeline=history,
    )


async def _single(ledger: SqlLedger) -> Row:
    times = []
    made = incident(1)
    whole = Watch()
    for number in range(COMMITS):
        changed = replace(made, version=number)
        watch = Watch()
        await ledger.commit((SaveIncident(changed, made.timeline[-1:]),))
        times.append(watch.seconds)
    rate = COMMITS / whole.seconds
    note = f"p50 {quantile(times, 0.5) * 1000:.2f} ms, p99 {quantile(times, 0.99) * 1000:.2f} ms"
    return Row("ledger commits, one incident each", rate, "1/s", note=note)


async def _batched(ledger: SqlLedger) -> Row:
    whole, turns = Watch(), 10
    for turn in range(turns):
        made = [incident(1000 + turn * BATCH + each) for each in range(BATCH)]
        await ledger.commit(tuple(SaveIncident(each, each.timeline[-1:]) for each in made))
    return Row("ledger incidents, a hundred a commit", turns * BATCH / whole.seconds, "1/s")


async def _size(path: Path) -> AsyncIterator[Row]:
    ledger = await open_ledger(f"sqlite+aiosqlite:///{path}")
    try:
        for number in range(KEPT):
            for rows in _told(number):
                await ledger.commit(rows)
        watch = Watch()
        restored = await ledger.restore(later(KEPT))
        took = watch.seconds
    finally:
        await ledger.close()
    each = await asyncio.to_thread(lambda: path.stat().st_size) / KEPT
    size = each * WANTED / MEGABYTE
    yield Row("database at 100,000 incidents", size, "MiB", 200, note=f"{each:,.0f} B an incident, from {KEPT:,}")
    yield Row(
        "restore from the ledger", len(restored.incidents) / took, "1/s", note=f"{len(restored.incidents):,} incidents"
    )


def _told(number: int) -> Iterator[tuple[Saved, ...]]:
    """An incident as it goes: opened and resolved, each told to one target and then noted as delivered."""
    made = incident(number)
    for reason in (Reason.OPENED, Reason.RESOLVED):
        told = Notification(EffectId(f"{made.id}-{reason}"), Target("slack"), reason, made, made.opened_at)
        yield SaveIncident(made, made.timeline), SaveOutbox(told)
        yield (SaveDelivery(Delivery(told.key, told.target, made.id, Sent.SENT)),)
