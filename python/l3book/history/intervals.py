"""Intervals of a range, and how those without a change of their own are filled: the same for every store."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from l3book.history.store import BboRow, LevelRow
from l3book.times import NS_PER_S

Row = TypeVar("Row", BboRow, LevelRow)


def check_interval(interval_ns: int) -> None:
    """Raise ValueError for what is no whole number of seconds."""
    if interval_ns <= 0 or interval_ns % NS_PER_S:
        raise ValueError(f"interval of {interval_ns} ns: expected a whole number of seconds, one or more")


def interval_range(start: int, end: int, interval_ns: int, after: int | None = None) -> tuple[int, int]:
    """Return where the first interval of [start, end) begins, and where the one behind the last does.

    With `after`, those behind the interval that begins there. The rows of these intervals are exactly those with a ts
    in the half-open range returned; nothing is left where its end is not above its start.
    """
    check_interval(interval_ns)
    if after is not None:
        start = max(start, after + 1)
    return -(-start // interval_ns) * interval_ns, -(-end // interval_ns) * interval_ns


def thinned(rows: Iterable[LevelRow], interval_ns: int) -> Iterator[LevelRow]:
    """Give the last row of each level in each interval, with the interval's begin as its ts, by (ts, side, price)."""
    for ts, of_interval in groupby(rows, key=lambda row: row.ts - row.ts % interval_ns):
        last = {row[1:3]: row._replace(ts=ts) for row in of_interval}
        yield from sorted(last.values())


def in_force(sessions: Iterable[tuple[int, int]], unit_ns: int = NS_PER_S) -> list[tuple[int, int]]:
    """Return the (second, ordinal) at which sessions begin that no later one has put out of force, in order.

    `sessions` are (ordinal, ts_recv) of their starts; `unit_ns`: what the rows are of, if not of seconds.
    """
    begun: list[tuple[int, int]] = []
    for ordinal, ts_recv in sorted(sessions, reverse=True):
        ts = ts_recv - ts_recv % unit_ns
        if not begun or ts < begun[-1][0]:
            begun.append((ts, ordinal))
    return begun[::-1]


def filled(
    rows: Iterable[Row],
    before: Row | None,
    intervals: tuple[int, int, int],
    newest_ts: int,
    sessions: Sequence[tuple[int, int]],
) -> Iterator[Row]:
    """Give one row per interval, with the interval's begin as its ts.

    `intervals` are the begin and end that `interval_range` returned, and the length. `rows` are those of the range, in
    order, any number per interval, of which the last counts; `before` is the last one from before it. `newest_ts` is
    the newest second of any book in the store, `sessions` what `in_force` returned: a row is carried to the next one.
    """
    begin, end, interval_ns = intervals
    last = before
    waiting = iter(rows)
    row = next(waiting, None)
    ts, end = begin, min(end, newest_ts + 1)
    while ts < end:
        while row is not None and row.ts < ts + interval_ns:
            last = row
            row = next(waiting, None)
        # By ordinal: rows of a snapshot with which a session begins may be from before its first second.
        begun = bisect_left(sessions, (ts + interval_ns, 0))
        if last is not None and (not begun or last.ordinal >= sessions[begun - 1][1]):
            yield last._replace(ts=ts)
            ts += interval_ns
        elif row is None:
            return
        else:
            # Not step by step: there may be years between.
            ts = row.ts - row.ts % interval_ns
