"""The tables of the ledger; the migrations in migrations/ bring a database to them.

Times are integers of epoch microseconds: SQLite forgets time zones.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table

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
