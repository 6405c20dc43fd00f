"""How late an event loop runs what is due: whatever holds it up shows here, and in every answer."""

import asyncio
from collections import deque

from l3book.buckets import Buckets

INTERVAL_S = 0.05
KEPT = 1200
"""The last minute."""
_MS_PER_S = 1000
_NS_PER_S = 1_000_000_000


class LoopLag:
    """Sleeps a little, again and again, and notes by how much each sleep was too long."""

    def __init__(self) -> None:
        self._lags_s: deque[float] = deque(maxlen=KEPT)
        self.buckets = Buckets()
        """Of all that were ever noted."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Measure the running loop from now on, until it is closed."""
        self._task = asyncio.get_running_loop().create_task(self._measure(), name="l3book-loop-lag")

    def as_dict(self) -> dict[str, float | int]:
        """Percentiles of the last minute. For the loop's own thread."""
        lags_s = sorted(self._lags_s)
        if not lags_s:
            return {"count": 0, "lag_p50_ms": 0.0, "lag_p99_ms": 0.0, "lag_max_ms": 0.0}

        def at(share: float) -> float:
            return round(lags_s[min(int(share * len(lags_s)), len(lags_s) - 1)] * _MS_PER_S, 3)

        return {"count": len(lags_s), "lag_p50_ms": at(0.5), "lag_p99_ms": at(0.99), "lag_max_ms": at(1.0)}

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            lag_s = max(0.0, loop.time() - due_s)
            self._lags_s.append(lag_s)
            self.buckets.add(int(lag_s * _NS_PER_S))
