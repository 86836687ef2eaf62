"""Alembic's chain of schema versions, run at opening; each is a transaction of its own."""
