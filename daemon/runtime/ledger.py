"""What survives a crash: incidents, entries, outbox, intents, silences, the kill switch. The one database opener.

SQLAlchemy Core over SQLite (write-ahead log, full synchronous, every transaction BEGIN IMMEDIATE: without it two
read-then-write transactions lose updates) or PostgreSQL. One writer, one transaction a commit. Not kept: objects,
findings and timers, which the cluster shows again. Errors of the library become LedgerError here.
"""

import asyncio
import fcntl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, TypeVar, assert_never

import orjson
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import ColumnElement, Connection, Table, delete, event, inspect, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from daemon.model.codec import decode, encode
from daemon.model.effects import (
    ForgetIncident,
    Row,
    SaveDelivery,
    SaveIncident,
    SaveIntent,
    SaveOutbox,
    SavePause,
    SaveResult,
    SaveSilence,
)
from daemon.model.errors import LedgerError
from daemon.model.incidents import Entry, Incident, State
from daemon.model.notices import Notification, Sent, Silence
from daemon.model.refs import EffectId
from daemon.model.remedies import ActionRequest
from daemon.model.signals import Restored
from daemon.runtime.ledger_tables import entries, flags, incidents, intents, outbox, silences

BUSY = 10_000
"""Milliseconds to wait for another writer's transaction."""
RESOLVED_RESTORED = timedelta(hours=24)
"""Resolved incidents this young are restored too, so that their causes can reopen them and pages show them."""
T = TypeVar("T")
OPEN_INTENTS = ("planned", "executing")
OPEN_OUTBOX = ("pending", "sending")


class SqlLedger:
    """The Ledger port; made by `open_ledger`."""

    def __init__(self, engine: AsyncEngine, lock: IO[str] | None, notices: tuple[str, ...]) -> None:
        """Write through this engine; hold the lock until closed."""
        self._engine = engine
        self._lock = lock
        self._turn = asyncio.Lock()
        """One transaction at a time: pump and lanes share the one connection that SQLite has."""
        self.notices = notices
        """What a person must know of how it was opened (moved aside, in memory), for readiness."""
        self.volatile = ""
        """Why it will not survive a restart; empty when it does."""

    async def commit(self, rows: Sequence[Row]) -> None:
        """Make the rows durable, all or none. Raises LedgerError."""
        try:
            async with self._turn, self._engine.begin() as connection:
                for row in rows:
                    await self._write(connection, row)
        except (SQLAlchemyError, OSError) as error:
            raise LedgerError(f"the ledger cannot be written: {_told(error)}") from error

    async def restore(self, now: datetime) -> Restored:
        """Return open and recent incidents, silences in force, and everything unfinished. Raises LedgerError."""
        try:
            async with self._turn, self._engine.connect() as connection:
                return Restored(
                    at=now,
                    incidents=await self._incidents(connection, now),
                    silences=await _read(connection, silences, Silence, silences.c.ends_at > _micro(now)),
                    outbox=await _read(connection, outbox, Notification, outbox.c.state.in_(OPEN_OUTBOX)),
                    intents=await _intents(connection),
                    paused=(await connection.scalar(select(flags.c.value).where(flags.c.name == "paused"))) == "yes",
                )
        except (SQLAlchemyError, ValueError, TypeError) as error:
            raise LedgerError(f"the ledger cannot be read: {_told(error)}") from error

    async def mark_sending(self, key: EffectId) -> bool:
        """Note that an attempt at a notification begins; say whether one had begun before. Raises LedgerError."""
        try:
            async with self._turn, self._engine.begin() as connection:
                state = await connection.scalar(select(outbox.c.state).where(outbox.c.key == key))
                await connection.execute(update(outbox).where(outbox.c.key == key).values(state="sending"))
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger cannot be written: {_told(error)}") from error
        return state == "sending"

    async def mark_executing(self, request: EffectId) -> None:
        """Note that an action begins. Raises LedgerError when that cannot be made durable."""
        try:
            async with self._turn, self._engine.begin() as connection:
                done = await connection.execute(
                    update(intents)
                    .where(intents.c.id == request, intents.c.state == "planned")
                    .values(state="executing")
                )
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger cannot be written: {_told(error)}") from error
        if done.rowcount != 1:
            raise LedgerError(f"intent {request} is not planned: it ran already, or was never recorded")

    async def close(self) -> None:
        """Close the database and let go of its lock."""
        await self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    async def _write(self, connection: AsyncConnection, row: Row) -> None:
        match row:
            case SaveIncident():
                await self._save_incident(connection, row)
            case SaveOutbox(notification=sent):
                values: dict[str, object] = {"key": sent.key, "incident": sent.incident.id, "target": sent.target}
                await self._upsert(connection, outbox, {**values, **_pending(sent.at, sent)}, {"state"})
            case SaveDelivery(delivery=delivery):
                state = "sent" if delivery.outcome is Sent.SENT else "failed"
                changed: dict[str, object] = {"state": state, "detail": delivery.detail[:500], "body": b""}
                await connection.execute(update(outbox).where(outbox.c.key == delivery.key).values(changed))
            case SaveIntent(request=request):
                at = _micro(request.requested_at) if request.requested_at else 0
                values = {"id": request.id, "incident": request.incident, "state": "planned", "at": at}
                await self._upsert(connection, intents, {**values, "detail": "", "body": _dump(request)}, {"state"})
            case SaveResult(id=intent, result=result):
                changed = {"state": result.outcome.value, "detail": result.detail[:2000]}
                await connection.execute(update(intents).where(intents.c.id == intent).values(changed))
            case SaveSilence(silence=silence):
                values = {"id": silence.id, "ends_at": _micro(silence.ends_at), "body": _dump(silence)}
                await self._upsert(connection, silences, values, set())
            case SavePause(paused=paused):
                await self._upsert(connection, flags, {"name": "paused", "value": "yes" if paused else "no"}, set())
            case ForgetIncident(id=incident):
                for table in (entries, outbox, intents):
                    await connection.execute(delete(table).where(table.c.incident == incident))
                await connection.execute(delete(incidents).where(incidents.c.id == incident))
            case _:
                assert_never(row)

    async def _save_incident(self, connection: AsyncConnection, row: SaveIncident) -> None:
        incident = row.incident
        values = {
            "id": incident.id,
            "state": incident.state.value,
            "opened_at": _micro(incident.opened_at),
            "updated_at": _micro(incident.updated_at),
            "body": _dump(replace(incident, timeline=())),
        }
        await self._upsert(connection, incidents, values, set())
        first = len(incident.timeline) - len(row.news)
        for offset, entry in enumerate(row.news):
            entry_row = {"incident": incident.id, "seq": first + offset, "body": _dump(entry)}
            await self._upsert(connection, entries, entry_row, set())

    async def _upsert(
        self, connection: AsyncConnection, table: Table, values: Mapping[str, object], keep: set[str]
    ) -> None:
        """Insert, or replace everything but the key and the columns to keep."""
        statement = _upsert_into(table, self._engine.dialect.name, frozenset(keep))
        await connection.execute(statement, dict(values))

    async def _incidents(self, connection: AsyncConnection, now: datetime) -> tuple[Incident, ...]:
        recent = incidents.c.updated_at > _micro(now - RESOLVED_RESTORED)
        wanted = (incidents.c.state != State.RESOLVED.value) | recent
        found = await _read(connection, incidents, Incident, wanted)
        return tuple([replace(each, timeline=await _timeline(connection, each)) for each in found])


async def open_ledger(url: str, *, retries_without_volume: bool = True) -> SqlLedger:
    """Open, check and migrate the database. Raises LedgerError when it is newer, locked, or cannot be used at all.

    A corrupt SQLite file is moved aside and a fresh one begun; a folder that cannot be written gives a ledger in memory
    (when `retries_without_volume`). Both are said in `notices`.
    """
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise LedgerError(f"the ledger's address cannot be read: {_told(error)}") from error
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        return await _opened(address, None, ())
    path = Path(address.database or "")
    try:
        lock = _locked(path)
    except OSError as error:
        return await _in_memory(f"{path.parent}: {error.strerror}", allowed=retries_without_volume)
    notices: tuple[str, ...] = ()
    if not await _is_sound(address):
        notices = (_moved_aside(path),)
    return await _opened(address, lock, notices)


@cache
def _upsert_into(table: Table, dialect: str, keep: frozenset[str]) -> postgresql.Insert | sqlite.Insert:
    """Return the statement that takes a whole row; making it costs more than running it."""
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    keys = [column.name for column in table.primary_key]
    changed = {
        column.name: insert.excluded[column.name] for column in table.columns if column.name not in {*keys, *keep}
    }
    statement: postgresql.Insert | sqlite.Insert = insert.on_conflict_do_update(index_elements=keys, set_=changed)
    return statement


def _moved_aside(path: Path) -> str:
    """Put a corrupt file away and say so."""
    aside = path.with_name(f"{path.name}.corrupt")
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.replace(aside)
    return f"the ledger was corrupt: it was moved to {aside.name} and a fresh one begun"


async def _opened(address: URL, lock: IO[str] | None, notices: tuple[str, ...]) -> SqlLedger:
    try:
        engine = _engine(address)
    except (ArgumentError, ImportError) as error:
        raise LedgerError(f"the ledger at {_place(address)} cannot be opened: {_told(error)}") from error
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_migrate)
    except LedgerError:
        await _abandon(engine, lock)
        raise
    except (SQLAlchemyError, CommandError, OSError) as error:
        await _abandon(engine, lock)
        raise LedgerError(f"the ledger at {_place(address)} cannot be opened: {_told(error)}") from error
    return SqlLedger(engine, lock, notices)


async def _abandon(engine: AsyncEngine, lock: IO[str] | None) -> None:
    await engine.dispose()
    if lock is not None:
        lock.close()


async def _in_memory(why: str, *, allowed: bool) -> SqlLedger:
    if not allowed:
        raise LedgerError(f"the ledger has no place to be: {why}")
    notice = f"the ledger is in memory and will not survive a restart: {why}"
    ledger = await _opened(make_url("sqlite+aiosqlite:///:memory:"), None, (notice,))
    ledger.volatile = notice
    return ledger


def _engine(address: URL) -> AsyncEngine:
    if address.get_backend_name() != "sqlite":
        return create_async_engine(address, pool_pre_ping=True)
    engine = create_async_engine(
        address.set(drivername="sqlite+aiosqlite"), connect_args={"isolation_level": None}, poolclass=StaticPool
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined] # the driver's own connection
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _locked(path: Path) -> IO[str]:
    """Take the lock beside the database: two daemons on one ledger would do everything twice (fault 61)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise LedgerError(f"the ledger {path} is in use by another fluxmedic; stop that one first") from error
    return lock


async def _is_sound(address: URL) -> bool:
    """Ask SQLite whether the file is what it should be."""
    engine = create_async_engine(address.set(drivername="sqlite+aiosqlite"))
    try:
        async with engine.connect() as connection:
            return bool((await connection.scalar(text("PRAGMA quick_check"))) == "ok")
    except SQLAlchemyError:
        return False
    finally:
        await engine.dispose()


def _migrate(connection: Connection) -> None:
    """Bring the schema to the newest version; refuse one that is newer than this program knows."""
    config = Config()
    config.set_main_option("script_location", str(files("daemon.runtime").joinpath("migrations")))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if inspect(connection).has_table("alembic_version"):
        present = connection.scalar(text("SELECT version_num FROM alembic_version"))
        if present is not None and present not in known:
            raise LedgerError(f"the ledger has schema {present}, newer than this fluxmedic knows: run the newer one")
    command.upgrade(config, "head")


async def _read(connection: AsyncConnection, table: Table, kind: type[T], wanted: ColumnElement[bool]) -> tuple[T, ...]:
    found = await connection.execute(select(table.c.body).where(wanted))
    return tuple(decode(kind, orjson.loads(body)) for (body,) in found)


async def _timeline(connection: AsyncConnection, incident: Incident) -> tuple[Entry, ...]:
    wanted = select(entries.c.body).where(entries.c.incident == incident.id).order_by(entries.c.seq)
    return tuple(decode(Entry, orjson.loads(body)) for (body,) in await connection.execute(wanted))


async def _intents(connection: AsyncConnection) -> tuple[tuple[ActionRequest, str], ...]:
    wanted = select(intents.c.body, intents.c.state).where(intents.c.state.in_(OPEN_INTENTS))
    return tuple((decode(ActionRequest, orjson.loads(body)), state) for body, state in await connection.execute(wanted))


def _pending(at: datetime, body: object) -> dict[str, object]:
    return {"state": "pending", "at": _micro(at), "detail": "", "body": _dump(body)}


def _dump(value: object) -> bytes:
    return orjson.dumps(encode(value))


def _micro(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


def _place(address: URL) -> str:
    return address.render_as_string(hide_password=True)


def _told(error: Exception) -> str:
    """Return the driver's words without the statement and its values."""
    with suppress(AttributeError):
        return str(error.orig)  # type: ignore[attr-defined]
    return str(error).splitlines()[0]
