"""One answer from rows that lie in several places, each with a time of its own: compacted days, and those since."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

from l3book.history.intervals import check_interval, filled, interval_range
from l3book.history.store import BboRow, LevelRow, TradeRow, VolumeRow

Span = tuple[int, int]


class Rows(Protocol):
    """Rows of one book in one place. Times are ns, ranges half open, orders those of Store."""

    def trades(self, start: int, end: int, limit: int, after: tuple[int, int] | None) -> list[TradeRow]:
        """As Store.trades."""

    def bbo(self, start: int, end: int, interval_ns: int | None) -> Iterator[BboRow]:
        """Give best prices in order, with their own ts; with an interval, at least the last of each that has any."""

    def bbo_before(self, ts: int) -> BboRow | None:
        """Return the last best prices of a second that begins before this time."""

    def level(self, side: str, price: int, start: int, end: int) -> Iterator[LevelRow]:
        """Give all rows of one level, in order."""

    def level_before(self, side: str, price: int, ts: int) -> LevelRow | None:
        """Return the last row of one level from a second that begins before this time."""

    def levels(
        self,
        span: Span,
        interval_ns: int | None,
        limit: int,
        after: tuple[int, str, int] | None,
        side: str | None,
        price: int | None,
    ) -> list[LevelRow]:
        """As Store.levels, without any filling."""

    def volume(self, start: int, end: int, interval_ns: int, limit: int) -> list[VolumeRow]:
        """Sum whole intervals, or of what the range has of them."""


@dataclass(frozen=True)
class Place:
    """Rows, and the time [begin, end) of which nothing lies elsewhere."""

    rows: Rows
    begin: int
    end: int


class Answers:
    """Queries of one book over places that follow each other in time."""

    def __init__(self, places: Sequence[Place], newest_ts: int, sessions: Sequence[tuple[int, int]]) -> None:
        """`newest_ts` and `sessions` are as in `intervals.filled`."""
        self._places = places
        self._newest_ts = newest_ts
        self._sessions = sessions

    def trades(self, span: Span, limit: int, after: tuple[int, int] | None) -> list[TradeRow]:
        """As Store.trades."""
        found: list[TradeRow] = []
        for rows, start, end in self._parts(span):
            found += rows.trades(start, end, limit - len(found), after)
            if len(found) >= limit:
                break
        return found

    def bbo(self, span: Span, interval_ns: int | None, limit: int, after: int | None) -> list[BboRow]:
        """As Store.bbo."""
        if interval_ns is None:
            start = span[0] if after is None else max(span[0], after + 1)
            each = (rows.bbo(start, end, None) for rows, start, end in self._parts((start, span[1])))
            return list(islice(chain.from_iterable(each), limit))
        begin, behind = interval_range(*span, interval_ns, after)
        before = next(filter(None, (rows.bbo_before(ts) for rows, ts in self._backwards(begin))), None)
        each = (rows.bbo(start, end, interval_ns) for rows, start, end in self._parts((begin, behind)))
        intervals = (begin, behind, interval_ns)
        return list(
            islice(filled(chain.from_iterable(each), before, intervals, self._newest_ts, self._sessions), limit)
        )

    def levels(
        self,
        span: Span,
        interval_ns: int | None,
        limit: int,
        after: tuple[int, str, int] | None,
        side: str | None,
        price: int | None,
    ) -> list[LevelRow]:
        """As Store.levels."""
        if interval_ns is not None:
            check_interval(interval_ns)
            if side is not None and price is not None:
                seen = None if after is None else after[0] - ((side, price) > after[1:])
                return self._level(side, price, span, (interval_ns, seen), limit)
            span = interval_range(*span, interval_ns)
        found: dict[tuple[int, str, int], LevelRow] = {}
        for rows, start, end in self._parts(span):
            # An interval that lies in two places ends as the later one says.
            for row in rows.levels((start, end), interval_ns, limit, after, side, price):
                found[row[:3]] = row
        return sorted(found.values())[:limit]

    def volume(self, span: Span, interval_ns: int, limit: int, after: int | None) -> list[VolumeRow]:
        """As Store.volume."""
        begin, behind = interval_range(*span, interval_ns, after)
        found: dict[int, VolumeRow] = {}
        for rows, start, end in self._parts((begin, behind)):
            for row in rows.volume(start, end, interval_ns, limit):
                if (earlier := found.get(row.ts)) is None:
                    found[row.ts] = row
                else:
                    found[row.ts] = VolumeRow(row.ts, *(a + b for a, b in zip(earlier[1:], row[1:], strict=True)))
        return sorted(found.values())[:limit]

    def _level(self, side: str, price: int, span: Span, paging: tuple[int, int | None], limit: int) -> list[LevelRow]:
        interval_ns, after = paging
        begin, behind = interval_range(*span, interval_ns, after)
        before = next(filter(None, (rows.level_before(side, price, ts) for rows, ts in self._backwards(begin))), None)
        each = (rows.level(side, price, start, end) for rows, start, end in self._parts((begin, behind)))
        intervals = (begin, behind, interval_ns)
        return list(
            islice(filled(chain.from_iterable(each), before, intervals, self._newest_ts, self._sessions), limit)
        )

    def _parts(self, span: Span) -> Iterator[tuple[Rows, int, int]]:
        for place in self._places:
            start, end = max(span[0], place.begin), min(span[1], place.end)
            if start < end:
                yield place.rows, start, end

    def _backwards(self, ts: int) -> Iterator[tuple[Rows, int]]:
        for place in reversed(self._places):
            if place.begin < ts:
                yield place.rows, min(ts, place.end)
