"""Writing rows to history.sqlite, inside a transaction that the caller has begun."""

import sqlite3
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from l3book.history.rows import BBO, LEVEL, TRADE
from l3book.history.sqlite_rows import MINUTE_S, SIGNED_MAX
from l3book.times import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from l3book.history.store import Batch, Book

MINUTES_KNOWN_MAX = 200_000
"""Entries of level_minutes that are remembered: those of the last minutes, 100 bytes each."""

ROWS_PER_STATEMENT = 50
"""Of many rows; a statement for each would take a third longer."""

_LETTERS = np.array([chr(code) for code in range(256)], object)

_TRADE = ("INSERT OR REPLACE INTO trades", "")
_BBO = (
    "INSERT INTO bbo",
    """ON CONFLICT DO UPDATE SET
    ordinal = excluded.ordinal, bid_px = excluded.bid_px, ask_px = excluded.ask_px, bid_size = excluded.bid_size,
    ask_size = excluded.ask_size, bid_count = excluded.bid_count, ask_count = excluded.ask_count, state = excluded.state
    WHERE excluded.ordinal >= bbo.ordinal""",
)
_LEVEL = (
    "INSERT INTO levels",
    """ON CONFLICT DO UPDATE SET
    size = excluded.size, count = excluded.count, ordinal = excluded.ordinal
    WHERE excluded.ordinal >= levels.ordinal""",
)
_MINUTE = ("INSERT OR IGNORE INTO level_minutes", "")
_INSERT_BOOK = """
INSERT INTO books (publisher_id, instrument_id, symbol) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET symbol = ifnull(excluded.symbol, symbol)
"""
_NEWEST_SECOND = """
SELECT max(max(
    ifnull((SELECT max(second) FROM bbo WHERE bbo.book = books.book), -1),
    ifnull((SELECT max(second) FROM levels WHERE levels.book = books.book), -1),
    ifnull((SELECT max(ts_recv) FROM trades WHERE trades.book = books.book) / 1000000000, -1)
)) FROM books
"""


class Progress:
    """What a writer remembers of the tables, so that it need not ask or write it again."""

    def __init__(self) -> None:
        self.books: dict[Book, int] = {}
        self.minutes: set[tuple[int, str, int, int]] = set()


class Columns:
    """Rows of one table, with the number of each one's book."""

    def __init__(self, rows: "NDArray[np.void]") -> None:
        self.rows = rows
        keys = rows["publisher_id"].astype(np.int64) << 32 | rows["instrument_id"]
        found, self._places = np.unique(keys, return_inverse=True)
        self.books: list[Book] = [(key >> 32, key & 0xFFFF_FFFF) for key in found.tolist()]
        """All books of which there are rows."""
        # Before 1970 for a trade without a time.
        name = "ts" if "ts" in (rows.dtype.names or ()) else "ts_recv"
        self.seconds: NDArray[np.int64] = rows[name].view("<i8") // NS_PER_S
        """The time of each row."""

    def numbers(self, books: "dict[Book, int]") -> list[int]:
        """Return the number of each row's book."""
        numbers = np.array([books[book] for book in self.books])
        return numbers[self._places].tolist()  # type: ignore[no-any-return]

    def signed(self, name: str) -> "list[Any]":
        """Return a column of u64 as SQLite can hold it, by its bits."""
        return self.rows[name].view("<i8").tolist()  # type: ignore[no-any-return]

    def listed(self, name: str) -> "list[Any]":
        """Return a column of anything smaller; letters as text."""
        column = self.rows[name]
        return (_LETTERS[column.view("u1")] if column.dtype.kind == "S" else column).tolist()  # type: ignore[no-any-return]


def earliest_ts(batch: "Batch") -> int | None:
    """Return the earliest time (ns) at which it changes anything; None of one without rows."""
    times = [ts_recv for _, _, ts_recv in batch.sessions]
    for packed, dtype, name in ((batch.trades, TRADE, "ts_recv"), (batch.bbo, BBO, "ts"), (batch.levels, LEVEL, "ts")):
        if packed:
            times.append(int(np.frombuffer(packed, dtype)[name].min()))
    return min(times, default=None)


def write(connection: sqlite3.Connection, batch: "Batch", progress: Progress) -> None:
    """Write all rows of a batch, what it puts out of force, and the position."""
    tables = {"trades": (batch.trades, TRADE), "bbo": (batch.bbo, BBO), "levels": (batch.levels, LEVEL)}
    if batch.instruments:
        progress.books = _books(connection, batch.instruments)
    write_rows(connection, {name: np.frombuffer(packed, dtype) for name, (packed, dtype) in tables.items()}, progress)
    connection.execute(
        "UPDATE position SET ordinal = ?, end_ordinal = max(end_ordinal, ?)",
        (batch.resume_ordinal, batch.end_ordinal),
    )
    for session in batch.sessions:
        _begin_session(connection, session, progress)


def write_rows(connection: sqlite3.Connection, rows: "dict[str, NDArray[np.void]]", progress: Progress) -> None:
    """Write rows by the names of their tables."""
    tables = {name: Columns(of_table) for name, of_table in rows.items() if len(of_table)}
    if not progress.books:
        progress.books = _books(connection, [])
    if unknown := {book for columns in tables.values() for book in columns.books} - progress.books.keys():
        progress.books = _books(connection, [(*book, None) for book in sorted(unknown)])
    newest = -1
    for name, columns in tables.items():
        _WRITERS[name](connection, columns, progress)
        newest = max(newest, int(columns.seconds.max()))
    connection.execute("UPDATE position SET newest_second = max(newest_second, ?)", (newest,))


def delete_all(connection: sqlite3.Connection) -> None:
    """Delete all rows; books keep their numbers."""
    for table in ("trades", "bbo", "levels", "level_minutes", "session_starts", "compacted_days"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute("UPDATE position SET ordinal = 0, end_ordinal = 0, newest_second = -1")


def prune_book(connection: sqlite3.Connection, book: int, second: int) -> None:
    """Delete a book's rows from before this second."""
    connection.execute("DELETE FROM trades WHERE book = ? AND ts_recv < ?", (book, second * NS_PER_S))
    connection.execute("DELETE FROM bbo WHERE book = ? AND second < ?", (book, second))
    connection.execute("DELETE FROM levels WHERE book = ? AND second < ?", (book, second))


def prune_rest(connection: sqlite3.Connection, second: int) -> None:
    """Delete what is not of one book."""
    connection.execute("DELETE FROM level_minutes WHERE minute < ?", (second // MINUTE_S,))
    connection.execute(f"UPDATE position SET newest_second = ifnull(({_NEWEST_SECOND}), -1)")


def _books(connection: sqlite3.Connection, told: "Sequence[tuple[int, int, str | None]]") -> "dict[Book, int]":
    connection.executemany(_INSERT_BOOK, told)
    found = connection.execute("SELECT publisher_id, instrument_id, book FROM books")
    return {(publisher_id, instrument_id): book for publisher_id, instrument_id, book in found}


def _write_trades(connection: sqlite3.Connection, trades: Columns, progress: Progress) -> None:
    columns = (
        trades.numbers(progress.books),
        *map(trades.signed, ("ts_recv", "ordinal", "ts_event", "order_id")),
        *map(trades.listed, ("price", "size", "sequence", "side", "flags")),
    )
    _insert(connection, _TRADE, list(zip(*columns, strict=True)))


def _write_bbo(connection: sqlite3.Connection, bbo: Columns, progress: Progress) -> None:
    columns = (
        bbo.numbers(progress.books),
        bbo.seconds.tolist(),
        *map(bbo.signed, ("ordinal", "bid_px", "ask_px", "bid_size", "ask_size")),
        *map(bbo.listed, ("bid_count", "ask_count", "state")),
    )
    _insert(connection, _BBO, list(zip(*columns, strict=True)))


def _write_levels(connection: sqlite3.Connection, levels: Columns, progress: Progress) -> None:
    books, seconds = levels.numbers(progress.books), levels.seconds
    sides, prices = levels.listed("side"), levels.listed("price")
    others = (levels.signed("size"), levels.listed("count"), levels.signed("ordinal"))
    _insert(connection, _LEVEL, list(zip(books, seconds.tolist(), sides, prices, *others, strict=True)))
    minutes = set(zip(books, sides, prices, (seconds // MINUTE_S).tolist(), strict=True))
    _insert(connection, _MINUTE, list(minutes - progress.minutes))
    if len(progress.minutes) > MINUTES_KNOWN_MAX:
        progress.minutes = set()
    progress.minutes |= minutes


def _insert(connection: sqlite3.Connection, around: tuple[str, str], rows: "list[tuple[Any, ...]]") -> None:
    """Insert rows between what stands before and behind the values."""
    if not rows:
        return
    before, behind = around
    place = f"({', '.join('?' * len(rows[0]))})"
    whole = len(rows) - len(rows) % ROWS_PER_STATEMENT
    values = ", ".join([place] * ROWS_PER_STATEMENT)
    stretches = (
        tuple(chain.from_iterable(rows[at : at + ROWS_PER_STATEMENT])) for at in range(0, whole, ROWS_PER_STATEMENT)
    )
    connection.executemany(f"{before} VALUES {values} {behind}", stretches)
    connection.executemany(f"{before} VALUES {place} {behind}", rows[whole:])


_WRITERS = {"trades": _write_trades, "bbo": _write_bbo, "levels": _write_levels}


def _begin_session(connection: sqlite3.Connection, session: tuple[int, str, int], progress: Progress) -> None:
    ordinal, uri, ts_recv = session
    # A recording whose records have no time says so by the largest u64.
    ts_recv = min(ts_recv, SIGNED_MAX)
    connection.execute("INSERT OR REPLACE INTO session_starts VALUES (?, ?, ?)", (ordinal, uri, ts_recv))
    second = ts_recv // NS_PER_S
    for book in progress.books.values():
        connection.execute(
            "DELETE FROM trades WHERE book = ? AND ts_recv >= ? AND ordinal < ?", (book, ts_recv, ordinal)
        )
        connection.execute("DELETE FROM bbo WHERE book = ? AND second >= ? AND ordinal < ?", (book, second, ordinal))
        connection.execute("DELETE FROM levels WHERE book = ? AND second >= ? AND ordinal < ?", (book, second, ordinal))
    # All that is left of earlier sessions is older.
    connection.execute(f"UPDATE position SET newest_second = max(ifnull(({_NEWEST_SECOND}), -1), ?)", (second,))
