"""How often somebody may do something, and the fields that say so (draft-ietf-httpapi-ratelimit-headers-10)."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from limits import RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

COUNTED_MAX = 65_536
"""Keys and addresses counted at a time. Beyond that the longest known is forgotten: memory is bounded, not justice."""


class BoundedMemory(Storage):
    """Counters in one dict, oldest window first. For one thread.

    `limits` has one in memory too: it starts a thread up to a hundred times a second to look at all counters, and
    has no bound.
    """

    STORAGE_SCHEME = None

    def __init__(self, counted_max: int = COUNTED_MAX, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._counted_max = counted_max
        self._clock = clock
        self._counters: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._counters)

    @property
    def base_exceptions(self) -> type[Exception]:
        """Name what can go wrong: nothing."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, in a window that begins now if there is none; -> how many in the window."""
        now_s = self._clock()
        found = self._counters.get(key)
        if found is not None and found[1] > now_s:
            self._counters[key] = (found[0] + amount, found[1])
            return found[0] + amount
        # Taken out, so that the dict stays ordered by the windows' ends.
        self._counters.pop(key, None)
        while self._counters:
            oldest = next(iter(self._counters))
            if len(self._counters) < self._counted_max and self._counters[oldest][1] > now_s:
                break
            del self._counters[oldest]
        self._counters[key] = (amount, now_s + expiry)
        return amount

    def get(self, key: str) -> int:
        """Tell how many there are in the window."""
        found = self._counters.get(key)
        return found[0] if found is not None and found[1] > self._clock() else 0

    def get_expiry(self, key: str) -> float:
        """Tell when the window ends, by the clock."""
        found = self._counters.get(key)
        return found[1] if found is not None else self._clock()

    def check(self) -> bool:
        """Tell that it works."""
        return True

    def reset(self) -> int:
        """Forget everything; -> how much that was."""
        count = len(self._counters)
        self._counters.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget one counter."""
        self._counters.pop(key, None)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one use of a quota."""

    is_allowed: bool
    remaining: int
    """Uses in this window."""
    retry_after_s: int
    """Until the window ends."""
    fields: tuple[tuple[bytes, bytes], ...]
    """RateLimit-Policy and RateLimit, as raw headers."""


class Quota:
    """So many uses per window and user of it."""

    def __init__(self, name: str, amount: int, window_s: int) -> None:
        self._name = name
        self.amount = amount
        self._item = RateLimitItemPerSecond(amount, window_s, namespace=name)
        self._limiter = FixedWindowRateLimiter(BoundedMemory())
        self._policy = (b"ratelimit-policy", f'"{name}";q={amount};w={window_s}'.encode())

    def take(self, user: str) -> Taken:
        """Use it once, where that is allowed."""
        is_allowed = self._limiter.hit(self._item, user)
        reset_s, remaining = self._limiter.get_window_stats(self._item, user)
        left_s = max(1, math.ceil(reset_s - time.monotonic()))
        rate = f'"{self._name}";r={remaining};t={left_s}'.encode()
        return Taken(is_allowed, remaining, left_s, (self._policy, (b"ratelimit", rate)))
