"""Rows in PostgreSQL, in TimescaleDB's hypertables where it is there."""

from l3book.history.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
