"""A store that keeps every row in a list and reads all of them for every answer: what real ones are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from l3book.history import rows
from l3book.history.store import BboRow, InstrumentRow, LevelRow, TradeRow, VolumeRow
from store_batches import SECOND

if TYPE_CHECKING:
    from l3book.history.store import Batch, Book


def _floor(ts: int, interval_ns: int) -> int:
    return ts - ts % interval_ns


class NaiveStore:
    def __init__(self) -> None:
        self._position = 0
        self._symbols: dict[Book, str | None] = {}
        self._sessions: dict[int, int] = {}
        self._trades: dict[int, tuple[Book, TradeRow]] = {}
        self._bbo: dict[tuple[Book, int], BboRow] = {}
        self._levels: dict[tuple[Book, int, str, int], LevelRow] = {}

    def position(self) -> int:
        return self._position

    def write(self, batch: Batch) -> None:
        for publisher_id, instrument_id, symbol in batch.instruments:
            self._symbols[publisher_id, instrument_id] = symbol
        for row in np.frombuffer(batch.trades, rows.TRADE).tolist():
            *fields, instrument_id, publisher_id, side, flags = row
            self._trades[row[0]] = (publisher_id, instrument_id), TradeRow(*fields, side.decode(), flags)
        for row in np.frombuffer(batch.bbo, rows.BBO).tolist():
            *fields, instrument_id, publisher_id, state, _ = row
            made = BboRow(*fields, rows.STATES[state])
            self._keep_newer(self._bbo, ((publisher_id, instrument_id), made.ts), made)
        for ts, ordinal, price, size, count, instrument_id, publisher_id, side, _ in np.frombuffer(
            batch.levels, rows.LEVEL
        ).tolist():
            made = LevelRow(ts, side.decode(), price, size, count, ordinal)
            self._keep_newer(self._levels, ((publisher_id, instrument_id), ts, made.side, price), made)
        for ordinal, _, ts_recv in batch.sessions:
            self._sessions[ordinal] = ts_recv
        for ordinal, ts_recv in self._sessions.items():
            second = _floor(ts_recv, SECOND)
            self._trades = {
                o: (book, row) for o, (book, row) in self._trades.items() if o >= ordinal or row.ts_recv < ts_recv
            }
            for table in (self._bbo, self._levels):
                for key in [key for key, row in table.items() if row.ordinal < ordinal and row.ts >= second]:
                    del table[key]
        self._position = batch.resume_ordinal

    @staticmethod
    def _keep_newer(table: dict, key: tuple, row: BboRow | LevelRow) -> None:
        if key not in table or row.ordinal >= table[key].ordinal:
            table[key] = row

    def instruments(self) -> list[InstrumentRow]:
        return [InstrumentRow(*book, symbol) for book, symbol in sorted(self._symbols.items())]

    def trades(self, book: Book, start: int, end: int, limit: int, after: tuple | None = None) -> list[TradeRow]:
        found = [row for of_book, row in self._trades.values() if of_book == book and start <= row.ts_recv < end]
        ordered = sorted(found, key=lambda row: (row.ts_recv, row.ordinal))
        return [row for row in ordered if after is None or (row.ts_recv, row.ordinal) > after][:limit]

    def bbo(
        self, book: Book, start: int, end: int, interval_ns: int | None, limit: int, after: int | None = None
    ) -> list:
        of_book = sorted(row for (key, _), row in self._bbo.items() if key == book)
        found = (
            self._in_range(of_book, start, end) if not interval_ns else self._filled(of_book, start, end, interval_ns)
        )
        return [row for row in found if after is None or row.ts > after][:limit]

    def levels(
        self,
        book: Book,
        start: int,
        end: int,
        interval_ns: int | None,
        limit: int,
        after: tuple | None = None,
        *,
        side: str | None = None,
        price: int | None = None,
    ) -> list[LevelRow]:
        of_book = sorted(
            row
            for (key, _, of_side, of_price), row in self._levels.items()
            if key == book and side in (None, of_side) and price in (None, of_price)
        )
        if not interval_ns:
            found = self._in_range(of_book, start, end)
        elif side is not None and price is not None:
            found = self._filled(of_book, start, end, interval_ns)
        else:
            last = {(_floor(row.ts, interval_ns), row.side, row.price): row for row in of_book}
            found = [row._replace(ts=ts) for (ts, _, _), row in sorted(last.items()) if start <= ts < end]
        return [row for row in found if after is None or row[:3] > after][:limit]

    def volume(self, book: Book, start: int, end: int, interval_ns: int, limit: int, after: int | None = None) -> list:
        sums: dict[int, list[int]] = {}
        for of_book, row in self._trades.values():
            ts = _floor(row.ts_recv, interval_ns)
            if of_book == book and start <= ts < end and (after is None or ts > after):
                sizes = sums.setdefault(ts, [0, 0, 0, 0])
                added = (row.size, row.size * (row.side == "B"), row.size * (row.side == "A"), 1)
                sums[ts] = [one + other for one, other in zip(sizes, added, strict=True)]
        return [VolumeRow(ts, *sizes) for ts, sizes in sorted(sums.items())][:limit]

    def prune(self, before_ts: int) -> None:
        second = _floor(before_ts, SECOND)
        self._trades = {o: (book, row) for o, (book, row) in self._trades.items() if row.ts_recv >= second}
        self._bbo = {key: row for key, row in self._bbo.items() if row.ts >= second}
        self._levels = {key: row for key, row in self._levels.items() if row.ts >= second}

    @staticmethod
    def _in_range(found: list, start: int, end: int) -> list:
        return [row for row in found if start <= row.ts < end]

    def _filled(self, of_book: list, start: int, end: int, interval_ns: int) -> list:
        known = [row.ts for table in (self._bbo, self._levels) for row in table.values()]
        known += [_floor(row.ts_recv, SECOND) for _, row in self._trades.values()]
        # A session that a later one put out of force has no rows left from its start on, nor does it end anything.
        sessions = [
            (_floor(ts, SECOND), ordinal)
            for ordinal, ts in self._sessions.items()
            if not any(o > ordinal and _floor(t, SECOND) <= _floor(ts, SECOND) for o, t in self._sessions.items())
        ]
        filled = []
        for ts in range(
            _floor(start + interval_ns - 1, interval_ns), min(end, max(known, default=-1) + 1), interval_ns
        ):
            _, session = max((place for place in sessions if place[0] < ts + interval_ns), default=(0, 0))
            rows_before = [row for row in of_book if row.ts < ts + interval_ns]
            if rows_before and rows_before[-1].ordinal >= session:
                filled.append(rows_before[-1]._replace(ts=ts))
        return filled
