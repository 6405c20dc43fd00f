"""Compacted days: rows in Parquet files, one per table and day, read with DuckDB.

Which days are in them is said by the table compacted_days of history.sqlite, not by the files: a file of another day is
of a compaction that did not come to its end, or of one that has been taken back.
"""

import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from l3book.history.store import BboRow, Book, LevelRow, StoreError, TradeRow, VolumeRow
from l3book.times import NS_PER_S

if TYPE_CHECKING:
    import duckdb

Span: TypeAlias = tuple[int, int]

FOLDER_NAME = "parquet"
TABLES = ("trades", "bbo", "levels")
DAY_S = 86_400
DAY_NS = DAY_S * NS_PER_S
INSTALL = "expected `pip install l3book[history]`"
_MEMORY_MAX = "512MB"
_THREADS = 2

_SELECT = {
    "trades": "SELECT ordinal, ts_event, ts_recv, order_id, price, size, sequence, side, flags",
    "bbo": "SELECT ts, ordinal, bid_px, ask_px, bid_size, ask_size, bid_count, ask_count, state",
    "levels": "SELECT ts, side, price, size, count, ordinal",
}
_OF_SPAN = "AND ts >= $start AND ts < $end"
_OF_LEVEL = f"{_OF_SPAN} AND side = $side AND price = $price"
_INTERVAL = "ts - ts % $interval"
_OF_BOOK = "FROM read_parquet($files) WHERE publisher_id = $publisher_id AND instrument_id = $instrument_id"


def day_name(day: int) -> str:
    """Return the date of a day since 1970."""
    return str(date(1970, 1, 1) + timedelta(days=day))


def compacted_days(connection: sqlite3.Connection) -> list[int]:
    """All compacted days, as days since 1970, in order."""
    return [day for (day,) in connection.execute("SELECT day FROM compacted_days ORDER BY day")]


def compacted_until(connection: sqlite3.Connection) -> int:
    """Return the time (ns) from which on rows are in SQLite's tables; 0 if all are."""
    (last,) = connection.execute("SELECT max(day) FROM compacted_days").fetchone()
    return 0 if last is None else (last + 1) * DAY_NS


class Archive:
    """The folder of Parquet files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER_NAME
        self._lock = threading.Lock()
        self._duckdb: duckdb.DuckDBPyConnection | None = None

    def path(self, table: str, day: int) -> Path:
        """Where a table's rows of a day are, in folders as Hive names them."""
        return self.folder / table / f"day={day_name(day)}" / "rows.parquet"

    def rows(self, book: Book, days: list[int]) -> "ParquetRows":
        """Return the rows of a book on these days. Raises StoreError without DuckDB."""
        with self._lock:
            if self._duckdb is None:
                self._duckdb = _connect()
            return ParquetRows(self, self._duckdb.cursor(), book, days)

    def remove(self, days: Iterable[int]) -> None:
        """Delete the files of days that are no longer in compacted_days."""
        for day in days:
            for table in TABLES:
                shutil.rmtree(self.path(table, day).parent, ignore_errors=True)

    def bytes_used(self) -> int:
        """Return the size of all files."""
        return sum(path.stat().st_size for path in self.folder.glob("*/day=*/rows.parquet"))

    def close(self) -> None:
        """Let go of DuckDB."""
        with self._lock:
            if self._duckdb is not None:
                self._duckdb.close()
                self._duckdb = None


class ParquetRows:
    """The rows of one book: `answers.Rows` of the compacted days."""

    def __init__(self, archive: Archive, cursor: "duckdb.DuckDBPyConnection", book: Book, days: list[int]) -> None:
        self._archive = archive
        self._cursor = cursor
        self._book = {"publisher_id": book[0], "instrument_id": book[1]}
        self._days = days

    def trades(self, start: int, end: int, limit: int, after: tuple[int, int] | None) -> list[TradeRow]:
        """As Store.trades."""
        condition = "AND ts_recv >= $start AND ts_recv < $end"
        seen: dict[str, Any] = {}
        if after is not None:
            start = max(start, after[0])
            condition += " AND (ts_recv, ordinal) > ($after_ts, $after_ordinal)"
            seen = {"after_ts": after[0], "after_ordinal": after[1]}
        rows: list[TradeRow] = []
        for span in self._spans_by_day(start, end):
            order = "ORDER BY ts_recv, ordinal LIMIT $limit"
            rows += map(TradeRow._make, self._ask("trades", span, condition, order, limit=limit - len(rows), **seen))
            if len(rows) >= limit:
                break
        return rows

    def bbo(self, start: int, end: int, interval_ns: int | None) -> Iterator[BboRow]:
        """As answers.Rows.bbo."""
        thin: dict[str, Any] = {}
        order = "ORDER BY ts"
        if interval_ns:
            order = "QUALIFY row_number() OVER (PARTITION BY ts // $interval ORDER BY ts DESC) = 1 ORDER BY ts"
            thin = {"interval": interval_ns}
        for span in self._spans_by_day(start, end):
            yield from map(BboRow._make, self._ask("bbo", span, _OF_SPAN, order, **thin))

    def bbo_before(self, ts: int) -> BboRow | None:
        """As answers.Rows.bbo_before."""
        found = self._last_before("bbo", ts, _OF_SPAN)
        return None if found is None else BboRow._make(found)

    def level(self, side: str, price: int, start: int, end: int) -> Iterator[LevelRow]:
        """As answers.Rows.level."""
        for span in self._spans_by_day(start, end):
            found = self._ask("levels", span, _OF_LEVEL, "ORDER BY ts", side=side, price=price)
            yield from map(LevelRow._make, found)

    def level_before(self, side: str, price: int, ts: int) -> LevelRow | None:
        """As answers.Rows.level_before."""
        found = self._last_before("levels", ts, _OF_LEVEL, side=side, price=price)
        return None if found is None else LevelRow._make(found)

    def levels(
        self,
        span: Span,
        interval_ns: int | None,
        limit: int,
        after: tuple[int, str, int] | None,
        side: str | None,
        price: int | None,
    ) -> list[LevelRow]:
        """As answers.Rows.levels."""
        options: dict[str, Any] = {"interval": interval_ns or 1, "limit": limit}
        condition = _OF_SPAN
        for name, value in (("side", side), ("price", price)):
            if value is not None:
                condition += f" AND {name} = ${name}"
                options[name] = value
        if after is not None:
            span = (max(span[0], after[0]), span[1])
            condition += f" AND ({_INTERVAL}, side, price) > ($after_ts, $after_side, $after_price)"
            options |= zip(("after_ts", "after_side", "after_price"), after, strict=True)
        select = f"SELECT {_INTERVAL} AS begin, side, price, size, count, ordinal"
        order = (
            f"QUALIFY row_number() OVER (PARTITION BY {_INTERVAL}, side, price ORDER BY ts DESC) = 1"
            " ORDER BY begin, side, price LIMIT $limit"
        )
        return [LevelRow._make(row) for row in self._ask("levels", span, condition, order, select=select, **options)]

    def volume(self, start: int, end: int, interval_ns: int, limit: int) -> list[VolumeRow]:
        """As answers.Rows.volume."""
        select = (
            "SELECT ts_recv - ts_recv % $interval AS begin, sum(size)::UBIGINT,"
            " coalesce(sum(size) FILTER (side = 'B'), 0)::UBIGINT,"
            " coalesce(sum(size) FILTER (side = 'A'), 0)::UBIGINT, count(*)"
        )
        condition = "AND ts_recv >= $start AND ts_recv < $end"
        order = "GROUP BY begin ORDER BY begin LIMIT $limit"
        options = {"interval": interval_ns, "limit": limit}
        found = self._ask("trades", (start, end), condition, order, select=select, **options)
        return [VolumeRow._make(row) for row in found]

    def _last_before(self, table: str, ts: int, condition: str, **options: Any) -> tuple[Any, ...] | None:
        # Day by day, as it mostly is of the last one.
        for day in reversed(self._days):
            span = (day * DAY_NS, min(ts, (day + 1) * DAY_NS))
            if rows := self._ask(table, span, condition, "ORDER BY ts DESC LIMIT 1", **options):
                return rows[0]
        return None

    def _spans_by_day(self, start: int, end: int) -> Iterator[Span]:
        for day in self._days:
            span = (max(start, day * DAY_NS), min(end, (day + 1) * DAY_NS))
            if span[0] < span[1]:
                yield span

    def _ask(
        self, table: str, span: Span, condition: str, order: str, *, select: str = "", **options: Any
    ) -> list[tuple[Any, ...]]:
        import duckdb

        start, end = span
        days = [day for day in self._days if day * DAY_NS < end and start < (day + 1) * DAY_NS]
        if start >= end or not days:
            return []
        files = [str(self._archive.path(table, day)) for day in days]
        parameters = self._book | {"files": files, "start": start, "end": end} | options
        query = f"{select or _SELECT[table]} {_OF_BOOK} {condition} {order}"
        try:
            found: list[tuple[Any, ...]] = self._cursor.execute(query, parameters).fetchall()
        except duckdb.Error as error:
            raise StoreError(f"{self._archive.folder}: {error}") from error
        return found


def _connect() -> "duckdb.DuckDBPyConnection":
    try:
        import duckdb
    except ImportError:
        raise StoreError(f"compacted days cannot be read: duckdb is missing: {INSTALL}") from None
    return duckdb.connect(config={"memory_limit": _MEMORY_MAX, "threads": _THREADS})
