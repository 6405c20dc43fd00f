"""Reading rows of history.sqlite: those of days that were not compacted."""

import heapq
import sqlite3
from collections.abc import Iterator
from itertools import dropwhile, islice

from l3book.history.intervals import thinned
from l3book.history.rows import STATES
from l3book.history.store import BboRow, Book, LevelRow, TradeRow, VolumeRow
from l3book.times import NS_PER_S

SIGNED_MAX = 2**63 - 1
UNSIGNED_MAX = 2**64 - 1
MINUTE_S = 60

_TRADES = "SELECT ordinal, ts_event, ts_recv, order_id, price, size, sequence, side, flags FROM trades"
_BBO = "SELECT second, ordinal, bid_px, ask_px, bid_size, ask_size, bid_count, ask_count, state FROM bbo"
_LEVELS = "SELECT second, side, price, size, count, ordinal FROM levels"
# As a list, so that each second is looked up by the whole key, and nothing of other prices is read.
_SECONDS_OF_MINUTE = ", ".join("?" * MINUTE_S)
_LEVELS_OF_MINUTE = f"{_LEVELS} WHERE book = ? AND second IN ({_SECONDS_OF_MINUTE}) AND side = ? AND price = ?"
_MINUTES = "SELECT minute FROM level_minutes WHERE book = ? AND side = ? AND price = ?"


def first_second(ns: int) -> int:
    """Return the first second that begins at this time or later: rows of seconds from there on have ts >= ns."""
    return min(-(-ns // NS_PER_S), SIGNED_MAX)


class SqliteRows:
    """The rows of one book, as seen by one transaction of a connection."""

    def __init__(self, connection: sqlite3.Connection, book: Book) -> None:
        self._connection = connection
        found = connection.execute(
            "SELECT book FROM books WHERE publisher_id = ? AND instrument_id = ?", book
        ).fetchone()
        # No book has the number 0, so that one which is not known has no rows.
        self._book: int = found[0] if found else 0

    def trades(self, start: int, end: int, limit: int, after: tuple[int, int] | None) -> list[TradeRow]:
        """As Store.trades."""
        place = after or (min(start, SIGNED_MAX), -1)
        parameters = (self._book, min(start, SIGNED_MAX), min(end, SIGNED_MAX), *place, limit)
        found = self._connection.execute(
            f"{_TRADES} WHERE book = ? AND ts_recv >= ? AND ts_recv < ? AND (ts_recv, ordinal) > (?, ?)"
            " ORDER BY ts_recv, ordinal LIMIT ?",
            parameters,
        )
        return [_trade(row) for row in found]

    def bbo(self, start: int, end: int, interval_ns: int | None) -> Iterator[BboRow]:
        """Give best prices in order; with an interval, at least the last of each that has any."""
        span = (first_second(start), first_second(end))
        if interval_ns in (None, NS_PER_S):
            found = self._connection.execute(
                f"{_BBO} WHERE book = ? AND second >= ? AND second < ? ORDER BY second", (self._book, *span)
            )
            yield from map(_best, found)
            return
        interval_s = (interval_ns or NS_PER_S) // NS_PER_S
        second, end_second = span
        while (found_second := self._next_second("bbo", second, end_second)) is not None:
            second = min(found_second - found_second % interval_s + interval_s, end_second)
            last = self._connection.execute(
                f"{_BBO} WHERE book = ? AND second < ? ORDER BY second DESC LIMIT 1", (self._book, second)
            ).fetchone()
            yield _best(last)

    def bbo_before(self, ts: int) -> BboRow | None:
        """Return the last best prices of a second that begins before this time."""
        found = self._connection.execute(
            f"{_BBO} WHERE book = ? AND second < ? ORDER BY second DESC LIMIT 1", (self._book, first_second(ts))
        ).fetchone()
        return found and _best(found)

    def level(self, side: str, price: int, start: int, end: int) -> Iterator[LevelRow]:
        """Give all rows of one level, in order."""
        begin, behind = first_second(start), first_second(end)
        minutes = self._connection.execute(
            f"{_MINUTES} AND minute >= ? AND minute * {MINUTE_S} < ? ORDER BY minute",
            (self._book, side, price, begin // MINUTE_S, behind),
        )
        for (minute,) in minutes:
            for row in self._level_in_minute(side, price, minute):
                if begin <= row[0] < behind:
                    yield _level(row)

    def level_before(self, side: str, price: int, ts: int) -> LevelRow | None:
        """Return the last row of one level from a second that begins before this time."""
        behind = first_second(ts)
        minutes = self._connection.execute(
            f"{_MINUTES} AND minute * {MINUTE_S} < ? AND minute <= ? ORDER BY minute DESC",
            (self._book, side, price, behind, behind // MINUTE_S),
        )
        for (minute,) in minutes:
            rows = [row for row in self._level_in_minute(side, price, minute) if row[0] < behind]
            if rows:
                return _level(rows[-1])
        return None

    def levels(
        self,
        span: tuple[int, int],
        interval_ns: int | None,
        limit: int,
        after: tuple[int, str, int] | None,
        side: str | None,
        price: int | None,
    ) -> list[LevelRow]:
        """As Store.levels, without any filling."""
        start, end = span
        if after is not None:
            start = max(start, after[0])
        found: Iterator[LevelRow]
        if price is not None:
            sides = (side,) if side else ("A", "B")
            found = heapq.merge(*(self.level(one, price, start, end) for one in sides))
            if interval_ns:
                found = thinned(found, interval_ns)
        elif interval_ns:
            found = self._levels_by_interval(start, end, interval_ns, side)
        else:
            found = self._levels_as_written(start, end, side)
        return list(islice(found if after is None else dropwhile(lambda row: row[:3] <= after, found), limit))

    def volume(self, start: int, end: int, interval_ns: int, limit: int) -> list[VolumeRow]:
        """Sum whole intervals, or of what the range has of them."""
        rows: list[VolumeRow] = []
        end = min(end, SIGNED_MAX)
        while len(rows) < limit:
            (first,) = self._connection.execute(
                "SELECT min(ts_recv) FROM trades WHERE book = ? AND ts_recv >= ? AND ts_recv < ?",
                (self._book, start, end),
            ).fetchone()
            if first is None:
                break
            # No more intervals than are still wanted: a page does not cost what is behind it.
            behind = min(end, first - first % interval_ns + (limit - len(rows)) * interval_ns)
            found = self._connection.execute(
                "SELECT ts_recv - ts_recv % ? AS ts, sum(size), sum(size) FILTER (WHERE side = 'B'),"
                " sum(size) FILTER (WHERE side = 'A'), count(*)"
                " FROM trades WHERE book = ? AND ts_recv >= ? AND ts_recv < ? GROUP BY ts ORDER BY ts",
                (interval_ns, self._book, first, behind),
            )
            rows += [VolumeRow(ts, size, buys or 0, sells or 0, trades) for ts, size, buys, sells, trades in found]
            start = behind
        return rows

    def _next_second(self, table: str, second: int, behind: int) -> int | None:
        (found,) = self._connection.execute(
            f"SELECT min(second) FROM {table} WHERE book = ? AND second >= ? AND second < ?",
            (self._book, second, behind),
        ).fetchone()
        return found  # type: ignore[no-any-return]

    def _level_in_minute(self, side: str, price: int, minute: int) -> list[tuple[int, str, int, int, int, int]]:
        seconds = range(minute * MINUTE_S, (minute + 1) * MINUTE_S)
        return sorted(self._connection.execute(_LEVELS_OF_MINUTE, (self._book, *seconds, side, price)))

    def _levels_by_interval(self, start: int, end: int, interval_ns: int, side: str | None) -> Iterator[LevelRow]:
        interval_s = interval_ns // NS_PER_S
        second, behind = first_second(start), first_second(end)
        while (found_second := self._next_second("levels", second, behind)) is not None:
            interval = found_second - found_second % interval_s
            second = min(interval + interval_s, behind)
            # Of the columns beside a max(), SQLite takes those of the row that has it.
            found = self._connection.execute(
                "SELECT max(second), side, price, size, count, ordinal FROM levels"
                " WHERE book = ? AND second >= ? AND second < ? AND (? IS NULL OR side = ?)"
                " GROUP BY side, price ORDER BY side, price",
                (self._book, found_second, second, side, side),
            )
            for row in found:
                yield _level((interval, *row[1:]))

    def _levels_as_written(self, start: int, end: int, side: str | None) -> Iterator[LevelRow]:
        found = self._connection.execute(
            f"{_LEVELS} WHERE book = ? AND second >= ? AND second < ? AND (? IS NULL OR side = ?)"
            " ORDER BY second, side, price",
            (self._book, first_second(start), first_second(end), side, side),
        )
        return map(_level, found)


def _trade(row: tuple[int, int, int, int, int, int, int, str, int]) -> TradeRow:
    ordinal, ts_event, ts_recv, order_id, *others = row
    unsigned = (value & UNSIGNED_MAX for value in (ordinal, ts_event, ts_recv, order_id))
    return TradeRow._make((*unsigned, *others))


def _best(row: tuple[int, ...]) -> BboRow:
    second, *others, state = row
    return BboRow._make((second * NS_PER_S, *others, STATES[state]))


def _level(row: tuple[int, str, int, int, int, int]) -> LevelRow:
    second, *others = row
    return LevelRow._make((second * NS_PER_S, *others))
