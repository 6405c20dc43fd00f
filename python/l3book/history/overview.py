"""What is recorded, in short: from when to when, by which sessions, with which holes; from the log's index.

Records are read only of the beginning of a session that may put earlier ones out of force, and once.

Every open page asks for this every few seconds. So it is read in a thread of its own, which waits for nobody who asks
for a long way back, and what was read a moment ago is told to whoever asks next.
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from l3book._core import Log
from l3book.history.holes import Hole, hole_of, known_time
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
class Overview:
    """All of it; sessions and holes newest last, at most ENTRIES_MAX of each.

    `start` and `end` are of what is in force: what a session told of the time of a later one, and of all that comes
    after its beginning, is asked for no more.
    """

    start: int | None
    end: int | None
    records: int
    sessions: list[Session]
    sessions_in_all: int
    holes: list[Hole]
    holes_in_all: int


class Begins:
    """When sessions began (ts_recv, ns), as books and tables have it: what has been read is known the next time."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bool], tuple[int, int | None]] = {}

    def of(self, log: Log, session: dict[str, Any], *, is_newest: bool) -> int | None:
        """Find it; None: the newest session has told nothing yet but of the books that it begins with."""
        key, end = (session["first_ordinal"], is_newest), session["end_ordinal"]
        looked_to, begin = self._known.get(key, (None, None))
        if begin is None and looked_to != end:
            begin = log.session_start(session["ordinal"])
            self._known[key] = end, begin
        return begin


def overview_of(log: Log, begins: Begins | None = None) -> Overview:
    """Tell what a log held when it was last refreshed; `begins`: of the same log, from earlier times."""
    listed, missing = log.sessions(), log.holes()
    lost_before = _lost_before(missing)
    # What is asked for costs as much as there are files, and is of no use without a hole.
    segments = log.segments() if missing else []
    sessions = [
        Session(
            session["ordinal"],
            session["uri"],
            known_time(session["ts_recv_min"]),
            known_time(session["ts_recv_max"]),
            # A session goes on behind a hole.
            session["end_ordinal"]
            - lost_before(session["end_ordinal"])
            - (session["first_ordinal"] - lost_before(session["first_ordinal"])),
        )
        for session in listed
    ]
    spans = _in_force(log, listed, begins or Begins())
    return Overview(
        min((start for start, _ in spans), default=None),
        max((end for _, end in spans), default=None),
        sum(session.records for session in sessions),
        sessions[-ENTRIES_MAX:],
        len(sessions),
        [hole_of(hole, segments) for hole in missing[-ENTRIES_MAX:]],
        len(missing),
    )


class Overviews:
    """For the event loop's thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pool = Pool("l3book-overview", 1, 1)
        self._log: Log | None = None
        self._begins = Begins()
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
        return overview_of(self._log, self._begins)

    def close(self) -> None:
        """Wait for the thread."""
        self._pool.close()


def _in_force(log: Log, sessions: list[dict[str, Any]], begins: Begins) -> list[tuple[int, int]]:
    """Cut what each session told where a later one begins."""
    times = [(known_time(session["ts_recv_min"]), known_time(session["ts_recv_max"])) for session in sessions]
    latest_before = [-1, *accumulate((-1 if end is None else end for _, end in times), max)]
    spans: list[tuple[int, int]] = []
    begun: int | None = None
    for at in reversed(range(len(sessions))):
        start, end = times[at]
        if start is None or end is None or (begun is not None and start >= begun):
            continue
        spans.append((start, end if begun is None else min(end, begun)))
        # The books that a live session begins with are as old as when they last changed: they put nothing out of force.
        begin: int | None = start
        if start <= latest_before[at]:
            begin = begins.of(log, sessions[at], is_newest=at == len(sessions) - 1)
        if begin is not None:
            begun = begin if begun is None else min(begun, begin)
    return spans


def _lost_before(holes: list[dict[str, Any]]) -> Callable[[int], int]:
    """Say of an ordinal how many records before it are missing: the holes are added up once for all who ask."""
    ends: list[int] = [hole["end"] for hole in holes]
    lost: list[int] = [0, *accumulate(hole["end"] - hole["first"] for hole in holes)]

    def before(ordinal: int) -> int:
        whole = bisect_right(ends, ordinal)
        within: int = max(0, ordinal - holes[whole]["first"]) if whole < len(holes) else 0
        return lost[whole] + within

    return before
