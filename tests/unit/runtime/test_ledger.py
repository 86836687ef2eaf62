"""What survives a crash, in a real SQLite file: all rows or none, restored as they were, and every bad file told."""

import hashlib
import importlib
import os
import pkgutil
import sqlite3
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.model.effects import (
    ForgetBefore,
    SaveDelivery,
    SaveIncident,
    SaveIntent,
    SaveOutbox,
    SavePause,
    SaveResult,
    SaveSilence,
)
from daemon.model.errors import LedgerError, LedgerInUse
from daemon.model.incidents import Incident, State
from daemon.model.notices import Delivery, Notification, Reason, Sent, Silence
from daemon.model.refs import EffectId, IncidentId, Target
from daemon.model.remedies import ActionRequest, ActionResult, Outcome
from daemon.runtime.ledger import SqlLedger, open_ledger
from daemon.runtime.ledger_tables import metadata
from daemon.runtime.migrations import versions
from tests.builders import T0, Cluster, Story, failing

SLACK = Target("slack")


def unpackable(length: int) -> str:
    """Return a text that stays large when it is packed."""
    digests = (hashlib.sha512(str(number).encode()).hexdigest() for number in range(length // 64))
    return "".join(digests)


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'ledger.db'}"


def incident() -> Incident:
    return Story().see(Cluster().state("Kustomization", "a", failing())).wait(16).case.incident


def notice(told: Incident, key: str = "k1") -> Notification:
    return Notification(EffectId(key), SLACK, Reason.OPENED, told, T0)


def request(told: Incident) -> ActionRequest:
    return ActionRequest(EffectId("r1"), told.id, "p", 0, 1, "reconcile", told.root, requested_at=T0)


async def reopened(ledger: SqlLedger, folder: Path) -> SqlLedger:
    await ledger.close()
    return await open_ledger(url(folder))


async def test_everything_that_is_open_is_restored_as_it_was(tmp_path):
    told = incident()
    silence = Silence("s", (("kind", "*"),), T0 + timedelta(hours=1), "why", "ada", T0)
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit(
        (
            SaveIncident(told, told.timeline),
            SaveOutbox(notice(told)),
            SaveIntent(request(told)),
            SaveSilence(silence),
            SavePause(paused=True),
        )
    )
    ledger = await reopened(ledger, tmp_path)
    found = await ledger.restore(T0)
    assert found.incidents == (told,)
    assert found.outbox == (notice(told),)
    assert found.intents == ((request(told), "planned"),)
    assert found.silences == (silence,)
    assert found.paused
    await ledger.close()


async def test_what_was_settled_is_not_restored(tmp_path):
    told = incident()
    ledger = await open_ledger(url(tmp_path))
    ended = replace(told, state=State.RESOLVED, updated_at=T0 - timedelta(days=60))
    await ledger.commit((SaveIncident(ended), SaveOutbox(notice(told)), SaveIntent(request(told))))
    delivery = Delivery(EffectId("k1"), SLACK, told.id, Sent.SENT)
    result = ActionResult(Outcome.CHANGED, "done")
    await ledger.commit((SaveDelivery(delivery), SaveResult(EffectId("r1"), result), SavePause(paused=False)))
    found = await ledger.restore(T0)
    assert (found.incidents, found.outbox, found.intents, found.paused) == ((), (), (), False)
    await ledger.close()


async def test_a_silence_that_is_over_is_not_restored(tmp_path):
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit((SaveSilence(Silence("s", (("kind", "*"),), T0, "why", "ada")),))
    assert (await ledger.restore(T0 + timedelta(seconds=1))).silences == ()
    await ledger.close()


async def test_new_entries_are_added_and_the_state_replaced(tmp_path):
    told = incident()
    ledger = await open_ledger(url(tmp_path))
    first = replace(told, timeline=told.timeline[:1])
    await ledger.commit((SaveIncident(first, first.timeline),))
    await ledger.commit((SaveIncident(told, told.timeline[1:]),))
    assert (await ledger.restore(T0)).incidents == (told,)
    await ledger.close()


async def test_a_resolved_incident_past_its_retention_leaves_nothing_behind(tmp_path):
    told = replace(incident(), state=State.RESOLVED)
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit((SaveIncident(told, told.timeline), SaveOutbox(notice(told)), SaveIntent(request(told))))
    await ledger.commit((ForgetBefore(told.updated_at + timedelta(seconds=1)),))
    found = await ledger.restore(T0)
    assert (found.incidents, found.outbox, found.intents) == ((), (), ())
    await ledger.close()


@pytest.mark.parametrize(
    ("state", "seconds"), [(State.OPEN, 1), (State.RESOLVED, 0)], ids=["still open", "not past it yet"]
)
async def test_retention_keeps_what_is_open_or_young(tmp_path, state, seconds):
    told = replace(incident(), state=state)
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit((SaveIncident(told, told.timeline),))
    await ledger.commit((ForgetBefore(told.updated_at + timedelta(seconds=seconds)),))
    assert (await ledger.restore(T0)).incidents == (told,)
    await ledger.close()


async def test_bodies_are_kept_packed_and_those_from_before_are_read_too(tmp_path):
    told = incident()
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit((SaveIncident(told, told.timeline),))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as other, other:
        (body,) = other.execute("SELECT body FROM incidents").fetchone()
        plain = zlib.decompress(body)
        assert len(body) < len(plain)
        other.execute("UPDATE incidents SET body = ?", (plain,))
    assert (await ledger.restore(T0)).incidents == (told,)
    await ledger.close()


async def test_f055_an_attempt_that_began_before_a_crash_is_known_afterwards(tmp_path):
    told = incident()
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit((SaveOutbox(notice(told)),))
    assert not await ledger.mark_sending(EffectId("k1"))
    ledger = await reopened(ledger, tmp_path)
    assert (await ledger.restore(T0)).outbox == (notice(told),)
    await ledger.commit((SaveOutbox(notice(told)),))
    assert await ledger.mark_sending(EffectId("k1"))
    await ledger.close()


async def test_f056_an_action_begins_only_once_and_only_after_its_intent(tmp_path):
    told = incident()
    ledger = await open_ledger(url(tmp_path))
    with pytest.raises(LedgerError, match="is not planned"):
        await ledger.mark_executing(EffectId("r1"))
    await ledger.commit((SaveIntent(request(told)),))
    await ledger.mark_executing(EffectId("r1"))
    await ledger.commit((SaveIntent(request(told)),))
    with pytest.raises(LedgerError, match="it ran already"):
        await ledger.mark_executing(EffectId("r1"))
    ledger = await reopened(ledger, tmp_path)
    assert (await ledger.restore(T0)).intents == ((request(told), "executing"),)
    await ledger.close()


async def test_rows_are_durable_all_or_none(tmp_path):
    told = incident()
    ledger = await open_ledger(url(tmp_path))
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("DROP TABLE intents")
    other.close()
    with pytest.raises(LedgerError, match="no such table: intents"):
        await ledger.commit((SaveIncident(told, told.timeline), SaveIntent(request(told))))
    with pytest.raises(LedgerError):
        await ledger.mark_executing(EffectId("r1"))
    with pytest.raises(LedgerError, match="cannot be read"):
        await ledger.restore(T0)
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        assert other.execute("SELECT count(*) FROM incidents").fetchone() == (0,)
    other.close()
    await ledger.close()


async def test_f059_a_disk_that_is_full_is_told_and_is_well_again_when_it_has_room(tmp_path):
    told = incident()
    ledger = await open_ledger(url(tmp_path))
    async with ledger._engine.connect() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar()
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    big = replace(told, cause=unpackable(200_000))
    with pytest.raises(LedgerError, match="full"):
        await ledger.commit((SaveIncident(big),))
    async with ledger._engine.connect() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    await ledger.commit((SaveIncident(big),))
    assert len((await ledger.restore(T0)).incidents) == 1
    await ledger.close()


async def test_f060_a_corrupt_file_is_put_aside_and_a_fresh_one_begun(tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"this is no database" * 100)
    ledger = await open_ledger(url(tmp_path))
    assert "it was moved to ledger.db.corrupt" in ledger.notices[0]
    assert ledger.volatile == ""
    assert (tmp_path / "ledger.db.corrupt").read_bytes().startswith(b"this is no database")
    assert (await ledger.restore(T0)).incidents == ()
    await ledger.close()


async def test_f064_a_newer_schema_is_refused_and_left_as_it_is(tmp_path):
    await (await open_ledger(url(tmp_path))).close()
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    other.close()
    with pytest.raises(LedgerError, match="schema 9999, newer than this fluxmedic knows"):
        await open_ledger(url(tmp_path))
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        assert other.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    other.close()


async def test_f061_a_second_daemon_on_the_same_ledger_is_refused(tmp_path):
    first = await open_ledger(url(tmp_path))
    with pytest.raises(LedgerInUse, match="is in use by another fluxmedic"):
        await open_ledger(url(tmp_path))
    await first.close()
    await (await open_ledger(url(tmp_path))).close()


async def test_a_database_that_somebody_holds_is_told(tmp_path):
    ledger = await open_ledger(url(tmp_path))
    async with ledger._engine.connect() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        await ledger.commit((SavePause(paused=True),))
    with pytest.raises(LedgerError, match="locked"):
        await ledger.mark_sending(EffectId("k1"))
    other.execute("ROLLBACK")
    other.close()
    await ledger.commit((SavePause(paused=True),))
    await ledger.close()


async def test_f072_a_folder_that_cannot_be_made_gives_a_ledger_in_memory_that_says_so(tmp_path):
    (tmp_path / "file").touch()
    place = f"sqlite+aiosqlite:///{tmp_path / 'file' / 'ledger.db'}"
    ledger = await open_ledger(place)
    assert "is in memory and will not survive a restart" in ledger.volatile
    assert ledger.notices == (ledger.volatile,)
    await ledger.commit((SavePause(paused=True),))
    assert (await ledger.restore(T0)).paused
    await ledger.close()
    with pytest.raises(LedgerError, match="has no place to be"):
        await open_ledger(place, retries_without_volume=False)


async def test_a_ledger_in_memory_may_be_asked_for():
    ledger = await open_ledger("sqlite+aiosqlite:///:memory:")
    assert (await ledger.restore(T0)).incidents == ()
    await ledger.close()


@pytest.mark.parametrize("address", ["nonsense", "mongodb://x/y", "postgresql+nothing://me:hunter22@db/x"])
async def test_an_address_that_is_none_is_a_clear_error_without_its_password(address):
    with pytest.raises(LedgerError) as caught:
        await open_ledger(address)
    assert "hunter22" not in str(caught.value)


async def test_f060_rows_that_are_damaged_are_left_out_and_said_so(tmp_path):
    told = incident()
    sound = replace(told, id=IncidentId("sound"), timeline=())
    ledger = await open_ledger(url(tmp_path))
    rows = (SaveIncident(told, told.timeline), SaveIncident(sound), SaveIntent(request(told)), SaveOutbox(notice(told)))
    await ledger.commit(rows)
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("UPDATE incidents SET body = '[]' WHERE id = ?", (told.id,))
        other.execute("UPDATE intents SET body = '{'")
    other.close()
    found = await ledger.restore(T0)
    assert found.incidents == (sound,)
    assert found.intents == ()
    assert found.outbox == (notice(told),)
    assert ledger.notices == ("damaged rows of the ledger were left out: 1 of incidents, 1 of intents",)
    await ledger.close()


async def test_f060_a_damaged_entry_keeps_its_place_so_that_the_next_one_overwrites_none(tmp_path):
    told = incident()
    assert len(told.timeline) > 1
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit((SaveIncident(told, told.timeline),))
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("UPDATE entries SET body = 'x' WHERE seq = 0")
    other.close()
    (found,) = (await ledger.restore(T0)).incidents
    assert "damaged" in found.timeline[0].text
    assert found.timeline[1:] == told.timeline[1:]
    await ledger.close()


async def test_f060_a_bit_that_flips_in_any_page_never_keeps_the_daemon_down(tmp_path):
    told = incident()
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit((SaveIncident(told, told.timeline), SaveOutbox(notice(told)), SaveIntent(request(told))))
    await ledger.close()
    whole = (tmp_path / "ledger.db").read_bytes()
    fates = set()
    for number, place in enumerate(range(19, len(whole), len(whole) // 24)):
        folder = tmp_path / str(number)
        folder.mkdir()
        flipped = bytearray(whole)
        flipped[place : place + 64] = bytes(each ^ 0x10 for each in whole[place : place + 64])
        (folder / "ledger.db").write_bytes(flipped)
        again = await open_ledger(url(folder))
        found = await again.restore(T0)
        moved = "corrupt" in "".join(again.notices)
        assert moved == (folder / "ledger.db.corrupt").exists()
        assert not (moved and found.incidents)
        await again.commit((SavePause(paused=True),))
        await again.close()
        fates.add(moved)
    assert fates == {True, False}


async def test_f060_a_good_file_that_cannot_be_checked_now_is_refused_and_stays(tmp_path):
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit((SavePause(paused=True),))
    await ledger.close()
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("UPDATE flags SET value = value")
    with pytest.raises(LedgerError, match="cannot be checked: database is locked"):
        await open_ledger(url(tmp_path))
    other.close()
    ledger = await open_ledger(url(tmp_path))
    assert ledger.notices == ()
    assert (await ledger.restore(T0)).paused
    await ledger.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 512 KiB of which nothing is left."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=False).returncode:
        pytest.skip("no right to mount a small disk")
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(b"x" * 4096):
            pass
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


async def test_f059_a_disk_that_is_full_at_the_start_is_a_clear_error_and_nothing_is_moved(small_disk):
    with pytest.raises(LedgerError, match=r"full|disk I/O error"):
        await open_ledger(url(small_disk))
    (small_disk / "filler").unlink()
    ledger = await open_ledger(url(small_disk))
    assert ledger.notices == ()
    await ledger.close()


async def test_f059_a_disk_that_fills_up_loses_nothing_that_was_durable(small_disk):
    told = incident()
    (small_disk / "filler").unlink()
    ledger = await open_ledger(url(small_disk))
    await ledger.commit((SaveIncident(told, told.timeline),))
    with pytest.raises(LedgerError, match=r"full|disk I/O error"):
        await ledger.commit((SaveIncident(replace(told, cause=unpackable(500_000))),))
    ledger = await reopened(ledger, small_disk)
    assert (await ledger.restore(T0)).incidents == (told,)
    await ledger.close()


async def test_f072_a_folder_without_the_right_to_write_gives_a_ledger_in_memory(tmp_path, nobody):
    ledger = await open_ledger(url(tmp_path / "mine"))
    assert "Permission denied" in ledger.volatile
    await ledger.commit((SavePause(paused=True),))
    assert (await ledger.restore(T0)).paused
    await ledger.close()


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[None]:
    """Take the right to write away: from root by being somebody else for a while."""
    (tmp_path / "mine").mkdir(mode=0o500)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


async def test_f064_an_empty_database_is_brought_to_the_newest_tables_and_again_is_harmless(tmp_path):
    told = incident()
    sqlite3.connect(tmp_path / "ledger.db").close()
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit((SaveIncident(told, told.timeline),))
    for _ in range(2):
        ledger = await reopened(ledger, tmp_path)
    assert (await ledger.restore(T0)).incidents == (told,)
    assert ledger.notices == ()
    await ledger.close()


async def test_f064_the_migrations_lead_to_the_very_tables_that_the_code_uses(tmp_path):
    await (await open_ledger(url(tmp_path))).close()
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        for table in metadata.sorted_tables:
            found = {(name, bool(key)) for _, name, _, _, _, key in other.execute(f"PRAGMA table_info({table.name})")}
            assert found == {(column.name, column.primary_key) for column in table.columns}
            indexed = {name for _, name, *_ in other.execute(f"PRAGMA index_list({table.name})")}
            assert {index.name for index in table.indexes} <= indexed
    other.close()


async def test_f064_a_migration_that_breaks_off_leaves_nothing_and_can_be_done_again(tmp_path):
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("CREATE TABLE silences (id TEXT)")  # in the way of the fourth of the first tables
    other.close()
    with pytest.raises(LedgerError, match="table silences already exists"):
        await open_ledger(url(tmp_path))
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        assert other.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("silences",)]
        other.execute("DROP TABLE silences")
    other.close()
    ledger = await open_ledger(url(tmp_path))
    assert (await ledger.restore(T0)).incidents == ()
    await ledger.close()


def test_f064_nobody_takes_the_ledger_back_to_an_older_schema():
    for module in pkgutil.iter_modules(versions.__path__):
        with pytest.raises(NotImplementedError, match="never taken back"):
            importlib.import_module(f"{versions.__name__}.{module.name}").downgrade()


async def test_f055_what_waits_for_a_target_is_restored_in_the_order_it_was_decided(tmp_path):
    told = incident()
    late = replace(notice(told, "a"), at=T0 + timedelta(seconds=9), reason=Reason.RESOLVED)
    early = notice(told, "b")
    ledger = await open_ledger(url(tmp_path))
    await ledger.commit((SaveOutbox(late), SaveOutbox(early)))
    assert (await ledger.restore(T0)).outbox == (early, late)
    await ledger.close()


async def test_f063_every_writing_goes_through_one_connection_that_waits_for_the_disk(tmp_path):
    ledger = await open_ledger(url(tmp_path))
    async with ledger._engine.connect() as one, ledger._engine.connect() as other:
        assert (await one.get_raw_connection()).driver_connection is (
            await other.get_raw_connection()
        ).driver_connection
        pragmas = [(await one.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]
    await ledger.close()
