"""Pages of filled intervals from a store that is asked by range: no more is read than a page shows."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from l3book.history.intervals import filled, interval_range
from l3book.history.store import BboRow, LevelRow

Row = TypeVar("Row", BboRow, LevelRow)


class Series(Protocol, Generic[Row]):
    """The rows of one book's best prices, or of one level: one row per second at most, by ts."""

    def before(self, ts: int) -> Row | None:
        """Find the last row from before this time."""

    def first(self, start: int, end: int) -> Row | None:
        """Find the first row of [start, end)."""

    def last_of_each(self, start: int, end: int, interval_ns: int) -> list[Row]:
        """Find the last row of each interval in [start, end) that has any, in order; both are multiples of it."""


def after_level(after: tuple[int, str, int] | None, side: str, price: int) -> int | None:
    """Say behind which time the rows of one level go on that go on behind a (ts, side, price) of all levels."""
    if after is None:
        return None
    return after[0] if (side, price) <= after[1:] else after[0] - 1


def filled_page(
    series: Series[Row],
    span: tuple[int, int],
    interval_ns: int,
    limit: int,
    after: int | None,
    newest_ts: int,
    sessions: Sequence[tuple[int, int]],
) -> list[Row]:
    """Give the first `limit` intervals of the span of which something is known; the rest is as in `filled`."""
    begin, end = interval_range(*span, interval_ns, after)
    page: list[Row] = []
    last = series.before(begin)
    while len(page) < limit and begin < min(end, newest_ts + 1):
        behind = min(end, begin + (limit - len(page)) * interval_ns)
        rows = series.last_of_each(begin, behind, interval_ns)
        told = list(filled(rows, last, (begin, behind, interval_ns), newest_ts, sessions))
        page += told
        last = rows[-1] if rows else last
        begin = behind
        if not told:
            # Nothing is known here, and will not be before the next row.
            following = series.first(begin, end)
            if following is None:
                break
            begin = following.ts - following.ts % interval_ns
    return page
