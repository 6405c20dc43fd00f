"""Closed days leave history.sqlite for Parquet files, and come back if a new session tells of them anew.

Files first, then one transaction that declares the day compacted, then the rows leave SQLite, book by book. From that
transaction on rows of the day that are still in SQLite are not looked at, so that a crash anywhere costs nothing but
work done twice.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from l3book.disk import sync_folder
from l3book.history import sqlite_write
from l3book.history.archive import DAY_NS, DAY_S, INSTALL, TABLES, Archive, compacted_days, compacted_until
from l3book.history.rows import BBO, LEVEL, STATES, TRADE
from l3book.history.store import StoreError
from l3book.times import NS_PER_S

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from l3book.history.sqlite import SqliteStore
    from l3book.history.store import Batch

CLOSED_AFTER_S = 3_600
"""A day is closed once rows are this much younger than its end: clocks of feeds are not that far apart."""
_READ_ROWS = 65_536
_ROW_GROUP_ROWS = 131_072
_TYPES = {"trades": TRADE, "bbo": BBO, "levels": LEVEL}
_TEXTS = ("side", "state")
_TIMES = {"trades": "ts_recv", "bbo": "second", "levels": "second"}
# Levels by price: of one price over time, and of one book, little has to be read then.
_ORDERS = {"trades": "ts_recv, ordinal", "bbo": "second", "levels": "side, price, second"}


class CompactedDay(NamedTuple):
    """A day (since 1970) that was compacted, how many rows of each table it has, and the size of its files."""

    day: int
    trades: int
    bbo: int
    levels: int
    bytes: int


def compact(store: "SqliteStore", progress: Callable[[int, int], object] | None = None) -> Iterator[CompactedDay]:
    """Compact all closed days, oldest first, as they are asked for. `progress` gets (rows done, rows in all) of a day.

    Raises StoreError, also where pyarrow is missing; the days given before are compacted then.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise StoreError(f"days cannot be compacted: pyarrow is missing: {INSTALL}") from None
    _delete_compacted_rows(store)
    for day in _closed_days(store):
        made = _compact_day(store, day, progress or _tell_nobody)
        _delete_compacted_rows(store)
        if made is not None:
            yield made


def take_back(connection: sqlite3.Connection, archive: Archive, batch: "Batch") -> list[int]:
    """Bring back the days that a batch changes; -> those, whose files are to be removed after the transaction.

    Rows that a new session of the batch puts out of force stay away.
    """
    earliest_ts = sqlite_write.earliest_ts(batch)
    if earliest_ts is None or earliest_ts >= compacted_until(connection):
        return []
    days = [day for day in compacted_days(connection) if (day + 1) * DAY_NS > earliest_ts]
    kept_before_ts = min((ts_recv for _, _, ts_recv in batch.sessions), default=None)
    for day in days:
        if kept_before_ts is None or day * DAY_NS < kept_before_ts:
            _restore(connection, archive, day, kept_before_ts)
    connection.executemany("DELETE FROM compacted_days WHERE day = ?", [(day,) for day in days])
    return days


def forget_days(connection: sqlite3.Connection, second: int) -> list[int]:
    """Strike the days that end at or before this second off the list; -> those, whose files are to be removed then."""
    days = [day for day in compacted_days(connection) if (day + 1) * DAY_S <= second]
    connection.executemany("DELETE FROM compacted_days WHERE day = ?", [(day,) for day in days])
    return days


def _closed_days(store: "SqliteStore") -> list[int]:
    with store.reading() as connection:
        (newest,) = connection.execute("SELECT newest_second FROM position").fetchone()
        first = [
            connection.execute(
                f"SELECT min((SELECT min({_TIMES[table]}) FROM {table} WHERE {table}.book = books.book)) FROM books"
            ).fetchone()[0]
            for table in TABLES
        ]
    seconds = [
        ts if table != "trades" else ts // NS_PER_S for table, ts in zip(TABLES, first, strict=True) if ts is not None
    ]
    return list(range(min(seconds) // DAY_S, (newest - CLOSED_AFTER_S) // DAY_S)) if seconds else []


def _compact_day(store: "SqliteStore", day: int, progress: Callable[[int, int], object]) -> CompactedDay | None:
    with store.reading() as connection:
        seen = _content(connection, day)
        if not any(seen.rows):
            return None
        done = 0
        for table in TABLES:
            for count in _write_file(connection, table, day, _part(store.archive.path(table, day))):
                done += count
                progress(done, sum(seen.rows))
    with store.writing() as connection:
        if _content(connection, day) != seen:
            raise StoreError(f"{store.path}: rows of a closed day have changed: expected to be compacted again")
        size = 0
        for table, rows in zip(TABLES, seen.rows, strict=True):
            path = store.archive.path(table, day)
            _check_rows(_part(path), rows)
            _part(path).replace(path)
            sync_folder(path.parent)
            size += path.stat().st_size
        connection.execute("INSERT INTO compacted_days VALUES (?, ?, ?, ?)", (day, *seen.rows))
    return CompactedDay._make((day, *seen.rows, size))


def _tell_nobody(done: int, total: int) -> None:
    """Take the place of a progress that nobody asked for."""


class _Content(NamedTuple):
    rows: tuple[int, ...]
    session: int | None


def _content(connection: sqlite3.Connection, day: int) -> _Content:
    """Return what would differ if anything of a closed day did: only a session that begins changes it."""
    counts = [
        connection.execute(
            f"SELECT sum((SELECT count(*) FROM {table} WHERE {table}.book = books.book"
            f" AND {_TIMES[table]} >= ? AND {_TIMES[table]} < ?)) FROM books",
            _span(table, day),
        ).fetchone()[0]
        for table in TABLES
    ]
    (session,) = connection.execute("SELECT max(ordinal) FROM session_starts").fetchone()
    return _Content(tuple(count or 0 for count in counts), session)


def _span(table: str, day: int) -> tuple[int, int]:
    unit = DAY_NS if table == "trades" else DAY_S
    return day * unit, (day + 1) * unit


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _columns(table: str) -> list[str]:
    return [name for name in _TYPES[table].names or () if not name.startswith("_")]


def _schema(table: str) -> "pa.Schema":
    import pyarrow as pa

    texts = {"side", "state"}
    row = _TYPES[table]
    return pa.schema(
        [(name, pa.string() if name in texts else pa.from_numpy_dtype(row[name])) for name in _columns(table)]
    )


def _write_file(connection: sqlite3.Connection, table: str, day: int, path: Path) -> Iterator[int]:
    """Write a table's rows of a day, book by book; gives how many, piece by piece."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    schema = _schema(table)
    books = connection.execute("SELECT book FROM books ORDER BY publisher_id, instrument_id").fetchall()
    with path.open("wb") as stream:
        with pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True) as writer:
            for (book,) in books:
                found = connection.execute(
                    f"SELECT books.*, {table}.* FROM {table} JOIN books USING (book) WHERE {table}.book = ?"
                    f" AND {_TIMES[table]} >= ? AND {_TIMES[table]} < ? ORDER BY {_ORDERS[table]}",
                    (book, *_span(table, day)),
                )
                names = [column[0] for column in found.description]
                while rows := found.fetchmany(_READ_ROWS):
                    writer.write_table(_arrow(table, schema, names, rows), row_group_size=_ROW_GROUP_ROWS)
                    yield len(rows)
        stream.flush()
        os.fsync(stream.fileno())


def _arrow(table: str, schema: "pa.Schema", names: list[str], rows: list[tuple[Any, ...]]) -> "pa.Table":
    import pyarrow as pa

    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    if table != "trades":
        columns["ts"] = tuple(second * NS_PER_S for second in columns["second"])
    if table == "bbo":
        columns["state"] = tuple(STATES[state] for state in columns["state"])
    arrays = []
    for field in schema:
        values: Any = columns[field.name]
        if pa.types.is_uint64(field.type):
            values = np.array(values, "<i8").view("<u8")
        arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _check_rows(path: Path, rows: int) -> None:
    import pyarrow.parquet as pq

    found = pq.ParquetFile(path).metadata.num_rows
    if found != rows:
        raise StoreError(f"{path}: {found} rows: expected {rows}, as in history.sqlite")


def _delete_compacted_rows(store: "SqliteStore") -> None:
    with store.reading() as connection:
        second = compacted_until(connection) // NS_PER_S
    if second:
        store.prune_tables(second)


def _restore(connection: sqlite3.Connection, archive: Archive, day: int, before_ts: int | None) -> None:
    """Write a day's rows from before a time back to SQLite's tables. Raises StoreError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    progress = sqlite_write.Progress()
    for table in TABLES:
        path = archive.path(table, day)
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                for batch in file.iter_batches(_READ_ROWS):
                    rows = _numpy(table, batch)
                    time = "ts_recv" if table == "trades" else "ts"
                    kept = rows if before_ts is None else rows[rows[time] < before_ts]
                    sqlite_write.write_rows(connection, {table: kept}, progress)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path}: {error}: expected the rows of a compacted day") from error


def _numpy(table: str, batch: "pa.RecordBatch") -> "NDArray[np.void]":
    rows = np.zeros(batch.num_rows, _TYPES[table])
    for name in _columns(table):
        values = batch.column(name)
        if name == "state":
            rows[name] = [STATES.index(state) for state in values.to_pylist()]
        else:
            rows[name] = values.to_pylist() if name == "side" else values.to_numpy()
    return rows
