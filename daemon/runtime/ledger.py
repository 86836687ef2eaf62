"""What survives a crash: incidents, entries, outbox, intents, silences, the kill switch. The one database opener.

SQLAlchemy Core over SQLite (write-ahead log, full synchronous, every transaction BEGIN IMMEDIATE: without it two
read-then-write transactions lose updates) or PostgreSQL. One writer, one transaction a commit. Not kept: objects,
findings and timers, which the cluster shows again. Errors of the library become LedgerError here.
"""

import asyncio
import fcntl
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, assert_never

import orjson
import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Table, delete, event, inspect, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from daemon.model.codec import encode
from daemon.model.effects import (
    ForgetBefore,
    Row,
    SaveDelivery,
    SaveIncident,
    SaveIntent,
    SaveOutbox,
    SavePause,
    SaveResult,
    SaveSilence,
)
from daemon.model.errors import LedgerError, LedgerInUse
from daemon.model.incidents import State
from daemon.model.notices import Sent
from daemon.model.refs import EffectId
from daemon.model.signals import Restored
from daemon.runtime.ledger_tables import Rows, entries, flags, incidents, intents, micro, outbox, packed, silences

BUSY = 10_000
"""Milliseconds to wait for another writer's transaction."""
CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
CHECK_WAIT = 1.0
"""Seconds to wait for somebody else's lock before the file is checked; the daemon's own lock is taken by then."""

log = structlog.get_logger(__name__)


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
        """Return open and recent incidents, silences in force, and everything unfinished. Raises LedgerError.

        A row that cannot be read any more is left out and said so: one flipped bit must not keep the daemon down.
        """
        try:
            async with self._turn, self._engine.connect() as connection:
                rows = Rows(connection)
                restored = await rows.restored(now)
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger cannot be read: {_told(error)}") from error
        if rows.damage:
            counted = ", ".join(f"{count} of {table}" for table, count in sorted(rows.damage.items()))
            notice = f"damaged rows of the ledger were left out: {counted}"
            self.notices = (*self.notices, notice)
            log.error("ledger", notice=notice)
        return restored

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
                at = micro(request.requested_at) if request.requested_at else 0
                values = {"id": request.id, "incident": request.incident, "state": "planned", "at": at}
                await self._upsert(connection, intents, {**values, "detail": "", "body": _dump(request)}, {"state"})
            case SaveResult(id=intent, result=result):
                changed = {"state": result.outcome.value, "detail": result.detail[:2000]}
                await connection.execute(update(intents).where(intents.c.id == intent).values(changed))
            case SaveSilence(silence=silence):
                values = {"id": silence.id, "ends_at": micro(silence.ends_at), "body": _dump(silence)}
                await self._upsert(connection, silences, values, set())
            case SavePause(paused=paused):
                await self._upsert(connection, flags, {"name": "paused", "value": "yes" if paused else "no"}, set())
            case ForgetBefore(at=before):
                await self._forget(connection, micro(before))
            case _:
                assert_never(row)

    async def _forget(self, connection: AsyncConnection, before: int) -> None:
        """Drop resolved incidents that last changed before this time, and all that hangs on them."""
        past = select(incidents.c.id).where(incidents.c.state == State.RESOLVED.value, incidents.c.updated_at < before)
        for table in (entries, outbox, intents):
            await connection.execute(delete(table).where(table.c.incident.in_(past)))
        await connection.execute(delete(incidents).where(incidents.c.id.in_(past)))

    async def _save_incident(self, connection: AsyncConnection, row: SaveIncident) -> None:
        incident = row.incident
        values = {
            "id": incident.id,
            "state": incident.state.value,
            "opened_at": micro(incident.opened_at),
            "updated_at": micro(incident.updated_at),
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
    try:
        notices = () if await _is_sound(address) else (_moved_aside(path),)
    except LedgerError:
        lock.close()
        raise
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
        raise LedgerInUse(f"the ledger {path} is in use by another fluxmedic; stop that one first") from error
    return lock


async def _is_sound(address: URL) -> bool:
    """Ask SQLite whether the file is what it should be. Raises LedgerError when it cannot say."""
    engine = create_async_engine(address.set(drivername="sqlite+aiosqlite"), connect_args={"timeout": CHECK_WAIT})
    try:
        async with engine.connect() as connection:
            return bool((await connection.scalar(text("PRAGMA quick_check"))) == "ok")
    except SQLAlchemyError as error:
        if _code(error) in CORRUPT:
            return False
        raise LedgerError(f"the ledger at {_place(address)} cannot be checked: {_told(error)}") from error
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


def _pending(at: datetime, body: object) -> dict[str, object]:
    return {"state": "pending", "at": micro(at), "detail": "", "body": _dump(body)}


def _dump(value: object) -> bytes:
    return packed(orjson.dumps(encode(value)))


def _place(address: URL) -> str:
    return address.render_as_string(hide_password=True)


def _code(error: SQLAlchemyError) -> int:
    """Return SQLite's primary result code; 0 when the fault is not SQLite's."""
    return int(getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)) & 0xFF


def _told(error: Exception) -> str:
    """Return the driver's words without the statement and its values."""
    with suppress(AttributeError):
        return str(error.orig)  # type: ignore[attr-defined]
    return str(error).splitlines()[0]
