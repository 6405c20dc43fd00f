"""What is recorded, in short: from when to when, by which sessions, with which holes; from the log's index alone.

Every open page asks for this every few seconds. So it is read in a thread of its own, which waits for nobody who asks
for a long way back, and what was read a moment ago is told to whoever asks next.
"""

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from l3book._core import Log
from l3book.history.sqlite_rows import SIGNED_MAX
from l3book.workers import Pool

FRESH_S = 0.25
"""Answers are at most so old; what became durable since comes with the next."""
ENTRIES_MAX = 200
"""So many sessions and holes are told, the newest."""


@dataclass(frozen=True, slots=True)
class Session:
    """One uninterrupted history of a market, what of it is in the log. Times are ts_recv in ns; None: none is known."""

    ordinal: int
    source: str
    start: int | None
    end: int | None
    records: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Records that are missing, between two times of ts_recv."""

    ordinal: int
    records: int
    start: int | None
    end: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it; sessions and holes newest last, at most ENTRIES_MAX of each."""

    start: int | None
    end: int | None
    records: int
    sessions: list[Session]
    sessions_in_all: int
    holes: list[Hole]
    holes_in_all: int


def overview_of(log: Log) -> Overview:
    """Tell what a log held when it was last refreshed."""
    listed, missing = log.sessions(), log.holes()
    lost_before = _lost_before(missing)
    # What is asked for costs as much as there are files, and is of no use without a hole.
    segments = log.segments() if missing else []
    sessions = [
        Session(
            session["ordinal"],
            session["uri"],
            _known(session["ts_recv_min"]),
            _known(session["ts_recv_max"]),
            # A session goes on behind a hole.
            session["end_ordinal"]
            - lost_before(session["end_ordinal"])
            - (session["first_ordinal"] - lost_before(session["first_ordinal"])),
        )
        for session in listed
    ]
    return Overview(
        min((session.start for session in sessions if session.start is not None), default=None),
        max((session.end for session in sessions if session.end is not None), default=None),
        sum(session.records for session in sessions),
        sessions[-ENTRIES_MAX:],
        len(sessions),
        [_hole(hole, segments) for hole in missing[-ENTRIES_MAX:]],
        len(missing),
    )


class Overviews:
    """For the event loop's thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pool = Pool("l3book-overview", 1, 1)
        self._log: Log | None = None
        self._newest: Overview | None = None
        self._read_s = float("-inf")
        self._reading: asyncio.Task[Overview] | None = None

    async def newest(self) -> Overview:
        """Tell what is recorded. Raises HistoryError."""
        if self._newest is not None and time.monotonic() - self._read_s < FRESH_S:
            return self._newest
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="l3book-overview")
        # Others wait for the same: who gives up waiting does not take it from them.
        return await asyncio.shield(self._reading)

    async def _read(self) -> Overview:
        started_s = time.monotonic()
        self._newest = await self._pool.run(self._look)
        self._read_s = started_s
        return self._newest

    def _look(self) -> Overview:
        if self._log is None:
            self._log = Log(self._directory)
        else:
            self._log.refresh()
        return overview_of(self._log)

    def close(self) -> None:
        """Wait for the thread."""
        self._pool.close()


def _lost_before(holes: list[dict[str, Any]]) -> Callable[[int], int]:
    """Say of an ordinal how many records before it are missing: the holes are added up once for all who ask."""
    ends: list[int] = [hole["end"] for hole in holes]
    lost: list[int] = [0, *accumulate(hole["end"] - hole["first"] for hole in holes)]

    def before(ordinal: int) -> int:
        whole = bisect_right(ends, ordinal)
        within: int = max(0, ordinal - holes[whole]["first"]) if whole < len(holes) else 0
        return lost[whole] + within

    return before


def _hole(hole: dict[str, Any], segments: list[dict[str, Any]]) -> Hole:
    before = bisect_right(segments, hole["first"], key=lambda segment: segment["end_ordinal"]) - 1
    after = bisect_left(segments, hole["end"], key=lambda segment: segment["first_ordinal"])
    return Hole(
        hole["first"],
        hole["end"] - hole["first"],
        _known(segments[before]["ts_recv_max"]) if before >= 0 else None,
        _known(segments[after]["ts_recv_min"]) if after < len(segments) else None,
        hole["reason"],
    )


def _known(ts: int | None) -> int | None:
    """Leave out the mark of records that have no time."""
    return None if ts is None or ts > SIGNED_MAX else ts
