"""What is missing in the log, and between which times that lies."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any

from l3book._core import Log

TS_MAX = 2**63 - 1
"""Later ones are marks of records that have no time."""
TOLD_MAX = 200
"""So many are told of a stretch, the newest."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Records that are missing, between two times of ts_recv."""

    ordinal: int
    records: int
    start: int | None
    end: int | None
    reason: str


def holes_in(log: Log, first: int, end: int) -> list[Hole]:
    """Find what is missing of first <= ordinal < end, or directly before; of many the newest TOLD_MAX.

    A time in a hole leads to the first ordinal behind it: whoever began there begins in the hole.
    """
    segments = log.segments()
    within = [hole for hole in log.holes() if hole["first"] < end and hole["end"] >= first]
    return [hole_of(hole, segments) for hole in within[-TOLD_MAX:]]


def hole_of(hole: dict[str, Any], segments: list[dict[str, Any]]) -> Hole:
    """Find when a hole of the log lies, by the segments of before and after."""
    before = bisect_right(segments, hole["first"], key=lambda segment: segment["end_ordinal"]) - 1
    after = bisect_left(segments, hole["end"], key=lambda segment: segment["first_ordinal"])
    return Hole(
        hole["first"],
        hole["end"] - hole["first"],
        known_time(segments[before]["ts_recv_max"]) if before >= 0 else None,
        known_time(segments[after]["ts_recv_min"]) if after < len(segments) else None,
        hole["reason"],
    )


def known_time(ts: int | None) -> int | None:
    """Leave out the mark of records that have no time."""
    return None if ts is None or ts > TS_MAX else ts
