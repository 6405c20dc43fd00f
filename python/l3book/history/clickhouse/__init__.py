"""Rows on a ClickHouse server, or in its engine inside this process (chdb)."""

from l3book.history.clickhouse.connection import Target
from l3book.history.clickhouse.store import ClickHouseStore

__all__ = ["ClickHouseStore", "Target"]
