"""Durations counted by how long they took, from the start on: what a histogram of Prometheus is made from."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

BOUNDS_NS: Final = (
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
)
"""From what an event loop hardly notices to what everybody does."""


class Buckets:
    """Nanoseconds, added by one thread and looked at by any other."""

    def __init__(self, bounds_ns: Sequence[int] = BOUNDS_NS) -> None:
        self.bounds_ns = bounds_ns
        """Upper bounds, inclusive."""
        self.counts = [0] * (len(bounds_ns) + 1)
        """Of each bucket alone; the last: longer than every bound."""
        self.sum_ns = 0

    def add(self, duration_ns: int) -> None:
        """Add one."""
        self.counts[bisect_left(self.bounds_ns, duration_ns)] += 1
        self.sum_ns += duration_ns
