"""How long something took, over and over: percentiles of what was measured since the last look."""

from collections import deque

from l3book.buckets import Buckets

KEPT_MAX = 65_536
"""Of one look; beyond it the latest count, so that nobody has to look."""


class Durations:
    """Nanoseconds, added by one thread and looked at by another."""

    def __init__(self) -> None:
        self._kept: deque[int] = deque(maxlen=KEPT_MAX)
        self.buckets = Buckets()
        """Of all that were ever added."""

    def add(self, duration_ns: int) -> None:
        """Add one."""
        self._kept.append(duration_ns)
        self.buckets.add(duration_ns)

    def take(self) -> dict[str, int]:
        """Return count, p50_ns, p90_ns, p99_ns and max_ns (0 of none), and begin anew."""
        kept, self._kept = self._kept, deque(maxlen=KEPT_MAX)
        # A copy, in one step: the other thread may still be adding to the old ones.
        ordered = sorted(kept.copy())
        if not ordered:
            return {"count": 0, "p50_ns": 0, "p90_ns": 0, "p99_ns": 0, "max_ns": 0}
        last = len(ordered) - 1
        percentiles = {f"p{percent}_ns": ordered[last * percent // 100] for percent in (50, 90, 99)}
        return {"count": len(ordered), **percentiles, "max_ns": ordered[-1]}
