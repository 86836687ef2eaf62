"""What alembic runs: the connection is handed over by ledger.py, so there is one opener of the database."""

from alembic import context

from daemon.runtime.ledger_tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
