"""The store: what is asked of PostgreSQL, and how a batch gets there."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from l3book.history import rows as packed
from l3book.history.force import rows_in_force
from l3book.history.intervals import check_interval, in_force, interval_range
from l3book.history.pages import after_level, filled_page
from l3book.history.postgres.connection import Connections
from l3book.history.postgres.copying import RECORD, copied, newest_of_each, numbered
from l3book.history.postgres.schema import (
    BBO,
    LEVELS,
    NS_PER_DAY,
    RECORDS,
    SCHEMA,
    TABLES,
    TRADES,
    VERSION,
    Table,
    drop_hyper,
    partition,
    partition_name,
    staging,
    statements,
)
from l3book.history.retrying import RETRIES_S_MAX
from l3book.history.store import (
    Batch,
    BboRow,
    Book,
    InstrumentRow,
    LevelRow,
    LifeRow,
    NotOpenYetError,
    SessionStart,
    StoreError,
    TradeRow,
    VolumeRow,
)
from l3book.times import NS_PER_S

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    Writer = Connection[TupleRow]

Row = TypeVar("Row", BboRow, LevelRow)

UNSIGNED_MAX: Final = 2**64 - 1
SIGNED_MAX: Final = 2**63 - 1
_SCHEMA_LOCK: Final = 0x6C33_626F_6F6B
"""Of the database, while its tables are made: two that open it at once would both find none."""
_BOOK = f"(SELECT book FROM {SCHEMA}.books WHERE publisher_id = %s AND instrument_id = %s)"


class PostgresStore:
    """A store as `l3book.history.store.Store` describes it; it keeps every record beside the derived rows.

    A batch, what it puts out of force, and the position are one transaction.
    """

    name = "postgresql"
    is_of_one_process = False

    def __init__(self, options: dict[str, Any], place: str, retries_s_max: float = RETRIES_S_MAX) -> None:
        """`options` are libpq's, `place` is how errors call the database.

        `retries_s_max`: how long a write is tried again where the server cannot be reached, or cannot just now.
        """
        self._options = options
        self._place = place
        self._retries_s_max = retries_s_max
        self._opened: Connections | None = None
        self._is_closed = False
        self._is_hyper = False
        self._books: dict[Book, int] = {}
        self._days: set[tuple[str, int]] = set()

    def open(self) -> None:
        """Connect, and make the tables."""
        if self._opened is not None:
            return
        connections = Connections(self._options, self._place, self._retries_s_max)
        try:
            connections.write(self._make_tables)
        except BaseException:
            connections.close()
            raise
        self._opened, self._is_closed = connections, False

    def close(self) -> None:
        """Let go of the connections. A write on another thread that waits for another try gives up."""
        self._is_closed = True
        connections, self._opened = self._opened, None
        if connections is not None:
            connections.close()

    def position(self) -> int:
        """Where in the log to go on."""
        ((ordinal,),) = self._connections.read(f"SELECT resume_ordinal FROM {SCHEMA}.position")
        return int(ordinal)

    def end_ordinal(self) -> int:
        """After the last record that was written."""
        ((ordinal,),) = self._connections.read(f"SELECT end_ordinal FROM {SCHEMA}.position")
        return int(ordinal)

    def sessions(self) -> list[SessionStart]:
        """All of them, by ordinal."""
        found = self._connections.read(f"SELECT ordinal, uri, ts_recv FROM {SCHEMA}.sessions ORDER BY ordinal")
        return [SessionStart(ordinal, uri, _unsigned(ts_recv)) for ordinal, uri, ts_recv in found]

    def write(self, batch: Batch) -> None:
        """Write all of it and the position, or nothing."""
        self._connections.write(lambda writer: self._write(writer, batch))

    def instruments(self) -> list[InstrumentRow]:
        """All books, by publisher_id and instrument_id."""
        found = self._connections.read(
            f"SELECT publisher_id, instrument_id, symbol FROM {SCHEMA}.books ORDER BY publisher_id, instrument_id"
        )
        return [InstrumentRow(*row) for row in found]

    def trades(
        self, book: Book, start: int, end: int, limit: int, after: tuple[int, int] | None = None
    ) -> list[TradeRow]:
        """By (ts_recv, ordinal)."""
        asked = _Asked(book, TRADES, start, end)
        if after is not None:
            asked.also("(ts_recv, ordinal) > (%s, %s)", *map(_signed, after))
        rows = self._rows(_TRADE, asked, "ORDER BY ts_recv, ordinal LIMIT %s", limit)
        return [TradeRow._make((*map(_unsigned, row[:4]), *row[4:])) for row in rows]

    def bbo(
        self, book: Book, start: int, end: int, interval_ns: int | None, limit: int, after: int | None = None
    ) -> list[BboRow]:
        """By ts."""
        if interval_ns is None:
            start = start if after is None else max(start, after + 1)
            asked = _Asked(book, BBO, start, end)
            return [_best(row) for row in self._rows(_BEST, asked, "ORDER BY ts LIMIT %s", limit)]
        return self._filled(_Series(self, book, BBO, _BEST, _best), (start, end), interval_ns, limit, after)

    def levels(
        self,
        book: Book,
        start: int,
        end: int,
        interval_ns: int | None,
        limit: int,
        after: tuple[int, str, int] | None = None,
        *,
        side: str | None = None,
        price: int | None = None,
    ) -> list[LevelRow]:
        """By (ts, side, price)."""
        if interval_ns is not None:
            check_interval(interval_ns)
            if side is not None and price is not None:
                series = _Series(self, book, LEVELS, _LEVEL, _level, (side, price))
                return self._filled(series, (start, end), interval_ns, limit, after_level(after, side, price))
            start, end = interval_range(start, end, interval_ns)
        if after is not None:
            start = max(start, after[0])
        asked = _Asked(book, LEVELS, start, end)
        begin = "ts" if interval_ns is None else _begin("ts", interval_ns)
        if side is not None:
            asked.also('side = %s::"char"', side)
        if price is not None:
            asked.also("price = %s", price)
        if after is not None:
            asked.also(f'({begin}, side, price) > (%s, %s::"char", %s)', *after)
        if interval_ns is None:
            return [_level(row) for row in self._rows(_LEVEL, asked, "ORDER BY ts, side, price LIMIT %s", limit)]
        columns = f"DISTINCT ON ({begin}, side, price) {_LEVEL.replace('ts', begin, 1)}"
        rows = self._rows(columns, asked, f"ORDER BY {begin}, side, price, ts DESC LIMIT %s", limit)
        return [_level(row) for row in rows]

    def volume(
        self, book: Book, start: int, end: int, interval_ns: int, limit: int, after: int | None = None
    ) -> list[VolumeRow]:
        """By ts."""
        asked = _Asked(book, TRADES, *interval_range(start, end, interval_ns, after))
        sums = ", ".join(
            f"coalesce(sum(size){which}, 0)::bigint"
            for which in ("", " FILTER (WHERE side = 'B')", " FILTER (WHERE side = 'A')")
        )
        columns = f"{_begin('ts_recv', interval_ns)} AS begin, {sums}, count(*)"
        rows = self._rows(columns, asked, "GROUP BY begin ORDER BY begin LIMIT %s", limit)
        return [VolumeRow(*row) for row in rows]

    def order_life(self, book: Book, order_id: int, limit: int = 10_000) -> list[LifeRow]:
        """By ordinal, from the records kept here."""
        asked = _Asked(book, RECORDS)
        asked.also("order_id = %s", _signed(order_id))
        rows = self._rows(_LIFE, asked, "ORDER BY ordinal DESC LIMIT %s", limit)
        return [LifeRow._make((*map(_unsigned, row[:3]), *row[3:])) for row in reversed(rows)]

    def prune(self, before_ts: int) -> None:
        """Forget all rows from before this second: whole days at once, then the rest of a day."""
        self._connections.write(lambda writer: self._prune(writer, before_ts - before_ts % NS_PER_S))

    @property
    def _connections(self) -> Connections:
        if (opened := self._opened) is not None:
            return opened
        if self._is_closed:
            raise StoreError(f"{self._place}: closed: who asks is about to end")
        raise NotOpenYetError(f"{self._place}: not open yet: who asks has just started")

    def _make_tables(self, writer: "Writer") -> None:
        writer.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
        ((is_made,),) = writer.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{SCHEMA}.position",)).fetchall()
        if not is_made:
            found = writer.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'").fetchall()
            if found:
                writer.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            for statement in statements(is_hyper=bool(found)):
                writer.execute(statement)
        ((version, self._is_hyper),) = writer.execute(f"SELECT version, is_hyper FROM {SCHEMA}.position").fetchall()
        if version != VERSION:
            raise StoreError(f"{self._place}: its tables are of version {version}: expected {VERSION}")

    def _write(self, writer: "Writer", batch: Batch) -> None:
        try:
            self._write_batch(writer, batch)
        except BaseException:
            # What was made with this batch is undone with it.
            self._books.clear()
            self._days.clear()
            raise

    def _write_batch(self, writer: "Writer", batch: Batch) -> None:
        ((end_ordinal, newest_ts),) = writer.execute(
            f"SELECT end_ordinal, newest_ts FROM {SCHEMA}.position FOR UPDATE"
        ).fetchall()
        self._tell_books(writer, batch.instruments)
        sessions = self._begin_sessions(writer, batch)
        trades = rows_in_force(batch.trades, packed.TRADE, sessions)
        bbo = rows_in_force(batch.bbo, packed.BBO, sessions)
        levels = rows_in_force(batch.levels, packed.LEVEL, sessions)
        records = np.frombuffer(batch.records, RECORD)
        self._append(writer, RECORDS, records, np.frombuffer(batch.ordinals, "<u8"), end_ordinal)
        # A trade may come a batch later than records after it: it waits for its event.
        self._merge(writer, TRADES, trades, ("ts_recv", "ordinal"))
        self._merge(writer, BBO, bbo, ("ts",))
        self._merge(writer, LEVELS, levels, ("ts", "side", "price"))
        if batch.sessions:
            newest_ts = self._newest_ts(writer)
        else:
            times = np.concatenate([trades["ts_recv"], bbo["ts"], levels["ts"]])
            newest_ts = max(newest_ts, int(times[times <= SIGNED_MAX].max(initial=0)))
        writer.execute(
            f"UPDATE {SCHEMA}.position"
            " SET resume_ordinal = %s, end_ordinal = greatest(end_ordinal, %s), newest_ts = %s",
            (batch.resume_ordinal, batch.end_ordinal, newest_ts),
        )

    def _tell_books(self, writer: "Writer", instruments: Iterable[tuple[int, int, str | None]]) -> None:
        for publisher_id, instrument_id, symbol in instruments:
            ((self._books[publisher_id, instrument_id],),) = writer.execute(
                f"INSERT INTO {SCHEMA}.books (publisher_id, instrument_id, symbol) VALUES (%s, %s, %s)"
                " ON CONFLICT (publisher_id, instrument_id) DO UPDATE"
                " SET symbol = coalesce(excluded.symbol, books.symbol) RETURNING book",
                (publisher_id, instrument_id, symbol),
            ).fetchall()

    def _number_of(self, writer: "Writer", book: Book) -> int:
        if (known := self._books.get(book)) is not None:
            return known
        writer.execute(
            f"INSERT INTO {SCHEMA}.books (publisher_id, instrument_id) VALUES (%s, %s) ON CONFLICT DO NOTHING", book
        )
        ((number,),) = writer.execute(f"SELECT {_BOOK}", book).fetchall()
        self._books[book] = number
        return int(number)

    def _append(
        self, writer: "Writer", table: Table, rows: NDArray[np.void], ordinals: NDArray[np.uint64], end_ordinal: int
    ) -> None:
        """Add the rows that no batch before has had."""
        is_new = ordinals >= end_ordinal
        if not is_new.any():
            return
        rows, ordinals = rows[is_new], ordinals[is_new]
        days = self._make_days(writer, table, rows[table.time])
        # Straight into the day that all are of, as nearly always: the server need not look where each belongs.
        into = partition_name(table, days[0]) if len(days) == 1 else f"{SCHEMA}.{table.name}"
        self._copy(writer, table, into, rows, ordinals)

    def _merge(self, writer: "Writer", table: Table, rows: NDArray[np.void], identity: tuple[str, ...]) -> None:
        """Add rows, or put them in place of those with the same identity."""
        if not len(rows):
            return
        rows = newest_of_each(rows, ("publisher_id", "instrument_id", *identity))
        self._make_days(writer, table, rows[table.time])
        writer.execute(staging(table))
        self._copy(writer, table, f"new_{table.name}", rows, rows["ordinal"])
        key = ", ".join(("book", *identity))
        replaced = ", ".join(
            f"{name} = excluded.{name}" for name, _ in table.columns if name not in ("book", *identity)
        )
        writer.execute(
            f"INSERT INTO {SCHEMA}.{table.name} AS known ({table.names}) SELECT {table.names} FROM new_{table.name}"
            f" ON CONFLICT ({key}) DO UPDATE SET {replaced} WHERE excluded.ordinal >= known.ordinal"
        )

    def _copy(
        self, writer: "Writer", table: Table, into: str, rows: NDArray[np.void], ordinals: NDArray[np.uint64]
    ) -> None:
        books = numbered(rows, lambda book: self._number_of(writer, book))
        with writer.cursor() as cursor, cursor.copy(f"COPY {into} ({table.names}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(copied(table, rows, books, ordinals))

    def _make_days(self, writer: "Writer", table: Table, times: NDArray[np.uint64]) -> list[int]:
        """Make parts for the days that have none yet; empty where rows belong elsewhere, too."""
        if self._is_hyper:
            return []
        days = np.unique(times[times <= SIGNED_MAX] // np.uint64(NS_PER_DAY)).tolist()
        for day in days:
            if (table.name, day) not in self._days:
                writer.execute(partition(table, day))
                self._days.add((table.name, day))
        return days if times.max() <= SIGNED_MAX else []

    def _begin_sessions(self, writer: "Writer", batch: Batch) -> list[tuple[int, int]]:
        """Delete what new sessions put out of force; return those that may do so to rows of this batch.

        Sessions of later batches are among them: this one may be written again.
        """
        for ordinal, uri, ts_recv in batch.sessions:
            writer.execute(
                f"INSERT INTO {SCHEMA}.sessions VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (ordinal, uri, _signed(ts_recv)),
            )
            for table in (TRADES, BBO, LEVELS):
                begin = ts_recv if table is TRADES else ts_recv - ts_recv % NS_PER_S
                # Negative is what was too large for a signed number.
                writer.execute(
                    f"DELETE FROM {SCHEMA}.{table.name}"
                    f" WHERE ordinal < %s AND ({table.time} >= %s OR {table.time} < 0)",
                    (ordinal, min(begin, SIGNED_MAX)),
                )
        known = writer.execute(
            f"SELECT ordinal, ts_recv FROM {SCHEMA}.sessions WHERE ordinal >= %s", (batch.first_ordinal,)
        ).fetchall()
        return [(ordinal, _unsigned(ts_recv)) for ordinal, ts_recv in known]

    def _newest_ts(self, writer: "Writer") -> int:
        each = ", ".join(
            f"((SELECT max({table.time}) FROM {SCHEMA}.{table.name} WHERE book = known.book))"
            for table in (TRADES, BBO, LEVELS)
        )
        ((ts,),) = writer.execute(
            f"SELECT coalesce(max(newest), 0) FROM {SCHEMA}.books AS known, LATERAL (VALUES {each}) AS of_book (newest)"
        ).fetchall()
        return int(ts)

    def _prune(self, writer: "Writer", before_ts: int) -> None:
        day = before_ts // NS_PER_DAY
        for table in TABLES:
            if self._is_hyper:
                writer.execute(drop_hyper(table, day * NS_PER_DAY))
            else:
                self._drop_days(writer, table, day)
            writer.execute(
                f"DELETE FROM {SCHEMA}.{table.name} WHERE {table.time} >= 0 AND {table.time} < %s", (before_ts,)
            )
        writer.execute(f"UPDATE {SCHEMA}.position SET newest_ts = %s", (self._newest_ts(writer),))

    def _drop_days(self, writer: "Writer", table: Table, day: int) -> None:
        parts = writer.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            (f"{SCHEMA}.{table.name}",),
        ).fetchall()
        first_kept = partition_name(table, day)
        for (part,) in parts:
            if part < first_kept and not part.endswith("_other"):
                writer.execute(f"DROP TABLE {part}")
        self._days = {made for made in self._days if made[0] != table.name or made[1] >= day}

    def _rows(self, columns: str, asked: "_Asked", tail: str, *parameters: object) -> list[tuple[Any, ...]]:
        if asked.is_empty:
            return []
        where = " AND ".join(asked.conditions)
        query = f"SELECT {columns} FROM {SCHEMA}.{asked.table.name} WHERE {where} {tail}"
        return self._connections.read(query, [*asked.parameters, *parameters])

    def _filled(
        self, series: "_Series[Row]", span: tuple[int, int], interval_ns: int, limit: int, after: int | None
    ) -> list[Row]:
        check_interval(interval_ns)
        sessions = [
            (ordinal, _unsigned(ts_recv))
            for ordinal, ts_recv in self._connections.read(f"SELECT ordinal, ts_recv FROM {SCHEMA}.sessions")
        ]
        ((newest_ts,),) = self._connections.read(f"SELECT newest_ts FROM {SCHEMA}.position")
        newest_ts -= newest_ts % NS_PER_S
        return filled_page(series, span, interval_ns, limit, after, newest_ts, in_force(sessions))


_TRADE: Final = ", ".join(TradeRow._fields)
_BEST: Final = ", ".join(BboRow._fields)
_LEVEL: Final = ", ".join(LevelRow._fields)
_LIFE: Final = ", ".join(LifeRow._fields)


class _Asked:
    """What rows are asked for: conditions, and their parameters."""

    def __init__(self, book: Book, table: Table, start: int | None = None, end: int | None = None) -> None:
        """Rows of a book, in [start, end) where that is given."""
        self.table = table
        self.conditions = [f"book = {_BOOK}"]
        self.parameters: list[object] = [*book]
        self.is_empty = False
        if start is not None and end is not None:
            self.is_empty = end <= start or start > SIGNED_MAX
            self.also(f"{table.time} >= %s AND {table.time} < %s", max(start, 0), min(end, SIGNED_MAX))

    def also(self, condition: str, *parameters: object) -> None:
        """Ask for less."""
        self.conditions.append(condition)
        self.parameters += parameters


@dataclass(frozen=True)
class _Series(Generic[Row]):
    """Best prices of a book, or one level of it, for `filled_page`."""

    store: PostgresStore
    book: Book
    table: Table
    columns: str
    made: Callable[[Sequence[Any]], Row]
    level: tuple[str, int] | None = None

    def before(self, ts: int) -> Row | None:
        return next(iter(self._ask(0, ts, self.columns, "ORDER BY ts DESC LIMIT 1")), None)

    def first(self, start: int, end: int) -> Row | None:
        return next(iter(self._ask(start, end, self.columns, "ORDER BY ts LIMIT 1")), None)

    def last_of_each(self, start: int, end: int, interval_ns: int) -> list[Row]:
        columns, tail = self.columns, "ORDER BY ts"
        if interval_ns > NS_PER_S:
            interval = f"ts / {interval_ns:d}"
            columns, tail = f"DISTINCT ON ({interval}) {columns}", f"ORDER BY {interval}, ts DESC"
        return self._ask(start, end, columns, tail)

    def _ask(self, start: int, end: int, columns: str, tail: str) -> list[Row]:
        asked = _Asked(self.book, self.table, start, end)
        if self.level is not None:
            asked.also('side = %s::"char" AND price = %s', *self.level)
        return [self.made(row) for row in self.store._rows(columns, asked, tail)]  # a part of it


def _best(row: Sequence[Any]) -> BboRow:
    ts, ordinal, bid_px, ask_px, bid_size, ask_size, bid_count, ask_count, state = row
    sizes = (_unsigned(bid_size), _unsigned(ask_size))
    return BboRow(ts, ordinal, bid_px, ask_px, *sizes, bid_count, ask_count, packed.STATES[state])


def _level(row: Sequence[Any]) -> LevelRow:
    ts, side, price, size, count, ordinal = row
    return LevelRow(ts, side, price, _unsigned(size), count, ordinal)


def _begin(time: str, interval_ns: int) -> str:
    return f"{time} - mod({time}, {interval_ns:d})"


def _signed(number: int) -> int:
    return number - 2**64 if number > SIGNED_MAX else number


def _unsigned(number: int) -> int:
    return number & UNSIGNED_MAX
