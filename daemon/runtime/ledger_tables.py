"""The tables of the ledger, and their rows read back; the migrations in migrations/ bring a database to them.

Times are integers of epoch microseconds: SQLite forgets time zones. A row that cannot be read any more (a flipped bit,
a program long gone) is left out and counted: it must not keep the daemon down. Nothing is written here.
"""

import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import orjson
from sqlalchemy import BigInteger, Column, ColumnElement, Index, Integer, LargeBinary, MetaData, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from daemon.model.codec import decode
from daemon.model.incidents import Entry, Incident, State
from daemon.model.notices import Notification, Silence
from daemon.model.remedies import ActionRequest
from daemon.model.signals import Restored

RESOLVED_RESTORED = timedelta(hours=24)
"""Resolved incidents this young are restored too, so that their causes can reopen them and pages show them."""
LEVEL = 3
"""Of zlib: 1,700 bytes of an incident become 511 in 20 µs; level 6 saves 20 bytes more."""
OPEN_INTENTS = ("planned", "executing")
OPEN_OUTBOX = ("pending", "sending")
T = TypeVar("T")

metadata = MetaData()

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("incidents_by_state", "state", "opened_at"),
)
entries = Table(
    "entries",
    metadata,
    Column("incident", String(32), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
outbox = Table(
    "outbox",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("incident", String(32), nullable=False),
    Column("target", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("detail", String(500), nullable=False, default=""),
    Column("body", LargeBinary, nullable=False),
    Index("outbox_by_state", "state", "at"),
)
intents = Table(
    "intents",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("incident", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("detail", String(2000), nullable=False, default=""),
    Column("body", LargeBinary, nullable=False),
    Index("intents_by_state", "state"),
)
silences = Table(
    "silences",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("ends_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
flags = Table(
    "flags",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(200), nullable=False),
)


class Rows:
    """Reads through one connection; `damage` holds the tables of rows that cannot be read."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Read through this connection, inside its transaction."""
        self._connection = connection
        self.damage: dict[str, int] = {}

    async def restored(self, now: datetime) -> Restored:
        """Return everything that must be remembered. Raises SQLAlchemyError."""
        unsent = await self._values(outbox, Notification, outbox.c.state.in_(OPEN_OUTBOX))
        paused = await self._connection.scalar(select(flags.c.value).where(flags.c.name == "paused"))
        return Restored(
            at=now,
            incidents=await self._incidents(now),
            silences=await self._values(silences, Silence, silences.c.ends_at > micro(now)),
            outbox=tuple(sorted(unsent, key=lambda each: (each.at, each.incident.version))),
            intents=await self._intents(),
            paused=paused == "yes",
        )

    async def _values(self, table: Table, kind: type[T], wanted: ColumnElement[bool]) -> tuple[T, ...]:
        found = await self._connection.execute(select(table.c.body).where(wanted))
        values = [self._value(table, kind, body) for (body,) in found]
        return tuple(value for value in values if value is not None)

    async def _incidents(self, now: datetime) -> tuple[Incident, ...]:
        recent = incidents.c.updated_at > micro(now - RESOLVED_RESTORED)
        found = await self._values(incidents, Incident, (incidents.c.state != State.RESOLVED.value) | recent)
        return tuple([replace(each, timeline=await self._timeline(each)) for each in found])

    async def _timeline(self, incident: Incident) -> tuple[Entry, ...]:
        """Return the entries in order; a damaged one keeps its place, for the next one is numbered by their count."""
        wanted = select(entries.c.body).where(entries.c.incident == incident.id).order_by(entries.c.seq)
        at = incident.opened_at
        lost = Entry(at, at, "notice", "fluxmedic", "this entry was damaged in the ledger and cannot be read any more")
        found = await self._connection.execute(wanted)
        return tuple(self._value(entries, Entry, body) or lost for (body,) in found)

    async def _intents(self) -> tuple[tuple[ActionRequest, str], ...]:
        wanted = select(intents.c.body, intents.c.state).where(intents.c.state.in_(OPEN_INTENTS))
        found = [
            (self._value(intents, ActionRequest, body), state) for body, state in await self._connection.execute(wanted)
        ]
        return tuple((request, state) for request, state in found if request is not None)

    def _value(self, table: Table, kind: type[T], body: bytes) -> T | None:
        try:
            return decode(kind, orjson.loads(unpacked(body)))
        except (ValueError, TypeError, zlib.error):
            self.damage[table.name] = self.damage.get(table.name, 0) + 1
            return None


def packed(body: bytes) -> bytes:
    """Return a body as it is kept: the same words come again and again, a third of the size is left."""
    return zlib.compress(body, LEVEL)


def unpacked(body: bytes) -> bytes:
    """Return a body as it was written; one from before bodies were packed is plain JSON. Raises zlib.error."""
    return body if body[:1] in (b"{", b"[") else zlib.decompress(body)


def micro(at: datetime) -> int:
    """Return microseconds since 1970, as times are kept."""
    return int(at.timestamp() * 1_000_000)
