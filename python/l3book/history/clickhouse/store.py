"""The store: what is asked of ClickHouse, and how a batch gets there."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np

from l3book.history import rows as packed
from l3book.history.clickhouse.connection import Connection, Target
from l3book.history.clickhouse.schema import BBO, DAY_OF, LEVELS, RECORDS, TABLES, TRADES, VERSION, Names, Table, text
from l3book.history.force import rows_in_force
from l3book.history.intervals import check_interval, in_force, interval_range
from l3book.history.pages import after_level, filled_page
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

Row = TypeVar("Row", BboRow, LevelRow)

U64_MAX: Final = 2**64 - 1
NS_PER_DAY: Final = 86_400 * NS_PER_S
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_DELETE_SETTINGS: Final = {"lightweight_deletes_sync": 2}
"""Wait until it is done everywhere: what is written next counts on it."""

_BBO_COLUMNS = "ts, ordinal, bid_px, ask_px, bid_size, ask_size, bid_count, ask_count, toUInt8(state)"
_LEVEL_COLUMNS = "ts, side, price, size, count, ordinal"

_NUMBER: Final = np.dtype("<u8")
_DATE: Final = np.dtype("<u2")
_NUMBERED: Final = np.dtype([("ordinal", "<u8"), ("record", "V56")])


class _Kind(NamedTuple):
    """Rows of an answer: from which table, its columns as ClickHouse calls them, how they lie in memory."""

    table: Table
    columns: str
    row: np.dtype[Any]


# In the order of the rows in l3book.history.store. Letters and states come as numbers.
_TRADE: Final = _Kind(TRADES, ", ".join(TradeRow._fields), np.dtype("<u8,<u8,<u8,<u8,<i8,<u4,<u4,u1,u1"))
_BBO: Final = _Kind(BBO, ", ".join(BboRow._fields), np.dtype("<u8,<u8,<i8,<i8,<u8,<u8,<u4,<u4,u1"))
_LEVEL: Final = _Kind(LEVELS, ", ".join(LevelRow._fields), np.dtype("<u8,u1,<i8,<u8,<u4,<u8"))
_LIFE: Final = _Kind(RECORDS, ", ".join(LifeRow._fields), np.dtype("<u8,<u8,<u8,u1,u1,<i8,<u4,u1,u1,<u4"))
_VOLUME_ROW: Final = np.dtype("<u8,<u8,<u8,<u8,<u8")


@dataclass(frozen=True)
class _Series(Generic[Row]):
    """Best prices of a book, or one level of it, for `filled_page`."""

    ask: Callable[[int, int, str], list[Row]]

    def before(self, ts: int) -> Row | None:
        return next(iter(self.ask(0, ts, "ORDER BY ts DESC LIMIT 1")), None)

    def first(self, start: int, end: int) -> Row | None:
        return next(iter(self.ask(start, end, "ORDER BY ts LIMIT 1")), None)

    def last_of_each(self, start: int, end: int, interval_ns: int) -> list[Row]:
        return self.ask(start, end, f"ORDER BY ts DESC LIMIT 1 BY intDiv(ts, {interval_ns:d})")[::-1]


class ClickHouseStore:
    """A store as `l3book.history.store.Store` describes it; it keeps every record beside the derived rows.

    Rows are written first, the position last. A crash in between leaves rows that are written again.
    """

    name = "clickhouse"

    @property
    def is_of_one_process(self) -> bool:
        """The engine of chdb lives in the process, and locks its folder against all others."""
        return bool(self._target.path)

    def __init__(self, target: Target, retries_s_max: float = RETRIES_S_MAX) -> None:
        """`retries_s_max`: how long a write is tried again where the server cannot be reached or cannot just now."""
        self._target = target
        self._retries_s_max = retries_s_max
        self._names = Names(target.database, target.cluster)
        self._opened: Connection | None = None
        self._is_closed = False
        self._sessions: list[tuple[int, int]] | None = None

    def open(self) -> None:
        """Connect, and make the tables."""
        if self._opened is not None:
            return
        connection = Connection(self._target, self._retries_s_max)
        try:
            self._make_tables(connection)
        except BaseException:
            connection.close()
            raise
        self._opened, self._is_closed = connection, False

    def _make_tables(self, connection: Connection) -> None:
        known = connection.read(
            "SELECT count() FROM system.databases WHERE name = {name:String}",
            _NUMBER,
            {"name": self._target.database},
        )
        if not known[0]:
            connection.execute(self._names.make_database())
        for statement in self._names.statements():
            connection.execute(statement)
        version = self._names.all_of("version")
        found = int(connection.read(f"SELECT toUInt64(max(version)) FROM {version}", _NUMBER)[0])
        if not found:
            connection.write(version, ["version"], VERSION.to_bytes(2, "little"))
        elif found != VERSION:
            raise StoreError(f"{self._target}: its tables are of version {found}: expected {VERSION}")

    def close(self) -> None:
        """Let go of the connection. A write on another thread that waits for another try gives up."""
        self._is_closed = True
        connection, self._opened = self._opened, None
        if connection is not None:
            connection.close()

    def position(self) -> int:
        """Where in the log to go on."""
        query = f"SELECT max(resume_ordinal) FROM {self._names.all_of('position')}"
        return int(self._connection.read(query, _NUMBER)[0])

    def end_ordinal(self) -> int:
        """After the last record that was written."""
        query = f"SELECT max(end_ordinal) FROM {self._names.all_of('position')}"
        return int(self._connection.read(query, _NUMBER)[0])

    def sessions(self) -> list[SessionStart]:
        """All of them, by ordinal."""
        found = self._connection.read_lists(
            f"SELECT ordinal, uri, ts_recv FROM {self._names.all_of('sessions')} FINAL ORDER BY ordinal"
        )
        return [SessionStart(int(ordinal), uri, int(ts_recv)) for ordinal, uri, ts_recv in found]

    def write(self, batch: Batch) -> None:
        """Write new sessions and all rows in force, delete what the sessions put out of it, then write the position."""
        if batch.sessions:
            self._write_lines("sessions", [SessionStart(*session)._asdict() for session in batch.sessions])
            self._sessions = None
        if self._sessions is None:
            self._sessions = self._read_sessions()
        sessions = self._sessions
        for table, kind, rows in (
            (TRADES, packed.TRADE, batch.trades),
            (BBO, packed.BBO, batch.bbo),
            (LEVELS, packed.LEVEL, batch.levels),
        ):
            self._write_rows(table, rows_in_force(rows, kind, sessions).tobytes())
        self._write_rows(RECORDS, _numbered(batch.ordinals, batch.records))
        self._write_lines(
            "instruments",
            [
                {
                    "publisher_id": publisher_id,
                    "instrument_id": instrument_id,
                    "symbol": symbol,
                    # One without a name takes the place of none that has one.
                    "ordinal": batch.end_ordinal if symbol is not None else 0,
                }
                for publisher_id, instrument_id, symbol in batch.instruments
            ],
        )
        for ordinal, _, ts_recv in batch.sessions:
            self._put_out_of_force(ordinal, ts_recv)
        self._connection.write(
            self._names.all_of("position"),
            ["id", "resume_ordinal", "end_ordinal"],
            b"\0" + batch.resume_ordinal.to_bytes(8, "little") + batch.end_ordinal.to_bytes(8, "little"),
        )

    def _write_rows(self, table: Table, rows: bytes) -> None:
        if rows:
            self._connection.write(self._names.all_of(table.name), table.column_names, rows)

    def _write_lines(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        if rows:
            lines = "\n".join(map(json.dumps, rows))
            self._connection.write(self._names.all_of(table), list(rows[0]), lines.encode(), "JSONEachRow")

    def _put_out_of_force(self, ordinal: int, ts_recv: int) -> None:
        self._delete(TRADES, f"ordinal < {ordinal:d} AND ts_recv >= {ts_recv:d}")
        for table in (BBO, LEVELS):
            self._delete(table, f"ordinal < {ordinal:d} AND ts >= {ts_recv - ts_recv % NS_PER_S:d}")

    def _read_sessions(self) -> list[tuple[int, int]]:
        """All sessions as (ordinal, ts_recv). Only who writes may keep them: who asks is in another process."""
        found = self._connection.read(
            f"SELECT ordinal, ts_recv FROM {self._names.all_of('sessions')} FINAL ORDER BY ordinal",
            np.dtype("<u8,<u8"),
        )
        return found.tolist()  # type: ignore[no-any-return]

    def instruments(self) -> list[InstrumentRow]:
        """All books, by publisher_id and instrument_id."""
        found = self._connection.read_lists(
            f"SELECT publisher_id, instrument_id, symbol FROM {self._names.all_of('instruments')} FINAL "
            "ORDER BY publisher_id, instrument_id"
        )
        return [InstrumentRow(*row) for row in found]

    def trades(
        self, book: Book, start: int, end: int, limit: int, after: tuple[int, int] | None = None
    ) -> list[TradeRow]:
        """By (ts_recv, ordinal)."""
        where = ""
        if after is not None:
            start = max(start, after[0])
            where = f" AND (ts_recv, ordinal) > ({after[0]:d}, {after[1]:d})"
        rows = self._rows(_TRADE, book, start, end, f"ORDER BY ts_recv, ordinal LIMIT {limit:d}", where)
        return [TradeRow._make((*row[:7], chr(row[7]), row[8])) for row in rows]

    def bbo(
        self, book: Book, start: int, end: int, interval_ns: int | None, limit: int, after: int | None = None
    ) -> list[BboRow]:
        """By ts."""

        def ask(start: int, end: int, tail: str) -> list[BboRow]:
            return [BboRow._make((*row[:8], packed.STATES[row[8]])) for row in self._rows(_BBO, book, start, end, tail)]

        if interval_ns is None:
            return ask(start if after is None else max(start, after + 1), end, f"ORDER BY ts LIMIT {limit:d}")
        return self._filled(ask, (start, end), interval_ns, limit, after)

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
        where = f" AND side = {text(side)}" if side is not None else ""
        where += f" AND price = {price:d}" if price is not None else ""

        def ask(start: int, end: int, tail: str, kind: _Kind = _LEVEL) -> list[LevelRow]:
            rows = self._rows(kind, book, start, end, tail, where)
            return [LevelRow(row[0], chr(row[1]), *row[2:]) for row in rows]

        if interval_ns is not None and side is not None and price is not None:
            return self._filled(ask, (start, end), interval_ns, limit, after_level(after, side, price))
        behind = f"> ({after[0]:d}, {text(after[1])}, {after[2]:d})" if after else ""
        if after is not None:
            start = max(start, after[0])
        if interval_ns is None:
            where += f" AND (ts, side, price) {behind}" if behind else ""
            return ask(start, end, f"ORDER BY ts, side, price LIMIT {limit:d}")
        check_interval(interval_ns)
        last = ", ".join(f"argMax({column}, ts)" for column in ("size", "count", "ordinal"))
        kind = _LEVEL._replace(columns=f"{_begin('ts', interval_ns)}, side, price, {last}")
        having = f"HAVING (begin, side, price) {behind} " if behind else ""
        tail = f"GROUP BY begin, side, price {having}ORDER BY begin, side, price LIMIT {limit:d}"
        return ask(*interval_range(start, end, interval_ns), tail, kind)

    def volume(
        self, book: Book, start: int, end: int, interval_ns: int, limit: int, after: int | None = None
    ) -> list[VolumeRow]:
        """By ts."""
        begin, end = interval_range(start, end, interval_ns, after)
        sums = "sum(size), sumIf(size, side = 'B'), sumIf(size, side = 'A'), count()"
        kind = _Kind(TRADES, f"{_begin('ts_recv', interval_ns)}, {sums}", _VOLUME_ROW)
        rows = self._rows(kind, book, begin, end, f"GROUP BY begin ORDER BY begin LIMIT {limit:d}")
        return [VolumeRow(*row) for row in rows]

    def order_life(self, book: Book, order_id: int, limit: int = 10_000) -> list[LifeRow]:
        """By ordinal, from the records kept here."""
        tail = f"ORDER BY ordinal DESC LIMIT {limit:d}"
        rows = self._rows(_LIFE, book, 0, None, tail, f" AND order_id = {order_id:d}")
        return [LifeRow._make((*row[:3], chr(row[3]), chr(row[4]), *row[5:])) for row in reversed(rows)]

    def prune(self, before_ts: int) -> None:
        """Forget all rows from before this second: whole days at once, then the rest of a day."""
        before_ts -= before_ts % NS_PER_S
        for table in TABLES:
            day = DAY_OF.format(table.time)
            found = self._connection.read(
                f"SELECT DISTINCT {day} FROM {self._names.all_of(table.name)} "
                f"WHERE {table.time} < {before_ts - before_ts % NS_PER_DAY:d} ORDER BY 1",
                _DATE,
            )
            for days in found.tolist():
                whole = date.fromordinal(_EPOCH_DAY + days)
                self._connection.execute(f"ALTER TABLE {self._names.stored(table.name)} DROP PARTITION '{whole}'")
            self._delete(table, f"{table.time} < {before_ts:d}")

    @property
    def _connection(self) -> Connection:
        if (opened := self._opened) is not None:
            return opened
        if self._is_closed:
            raise StoreError(f"{self._target}: closed: who asks is about to end")
        raise NotOpenYetError(f"{self._target}: not open yet: who asks has just started")

    def _delete(self, table: Table, condition: str) -> None:
        name = self._names.all_of(table.name)
        # A mutation costs much and leaves a trace, also when there is nothing to do, as there nearly always is.
        if self._connection.read(f"SELECT count() FROM {name} WHERE {condition}", _NUMBER)[0]:
            self._connection.execute(
                f"DELETE FROM {self._names.stored(table.name)} WHERE {condition}", _DELETE_SETTINGS
            )

    def _rows(
        self, kind: _Kind, book: Book, start: int, end: int | None, tail: str, where: str = ""
    ) -> list[tuple[Any, ...]]:
        """Ask for rows of a book in [start, end), None: without end; of those with one identity, for that in force."""
        if end is not None and end <= start:
            return []
        time = kind.table.time
        until = "" if end is None else f" AND {time} < {min(end, U64_MAX):d}"
        answer = self._connection.read(
            f"SELECT {kind.columns} FROM {self._names.all_of(kind.table.name)} FINAL "
            f"WHERE publisher_id = {book[0]:d} AND instrument_id = {book[1]:d} "
            f"AND {time} >= {max(start, 0):d}{until}{where} {tail}",
            kind.row,
        )
        rows: list[tuple[Any, ...]] = answer.tolist()
        return rows

    def _filled(
        self,
        ask: Callable[[int, int, str], list[Row]],
        span: tuple[int, int],
        interval_ns: int,
        limit: int,
        after: int | None,
    ) -> list[Row]:
        check_interval(interval_ns)
        sessions = in_force(self._read_sessions())
        return filled_page(_Series(ask), span, interval_ns, limit, after, self._newest_ts(), sessions)

    def _newest_ts(self) -> int:
        """Find the newest second of any book; 0 where there is none."""
        each = " UNION ALL ".join(
            f"SELECT max({table.time}) AS ts FROM {self._names.all_of(table.name)}" for table in (TRADES, BBO, LEVELS)
        )
        ts = int(self._connection.read(f"SELECT max(ts) FROM ({each})", _NUMBER)[0])
        return ts - ts % NS_PER_S


def _begin(time: str, interval_ns: int) -> str:
    return f"intDiv({time}, {interval_ns:d}) * {interval_ns:d} AS begin"


def _numbered(ordinals: bytes, records: bytes) -> bytes:
    """Put each record's ordinal before it."""
    rows = np.empty(len(ordinals) // 8, _NUMBERED)
    rows["ordinal"] = np.frombuffer(ordinals, "<u8")
    rows["record"] = np.frombuffer(records, _NUMBERED["record"])
    return rows.tobytes()
