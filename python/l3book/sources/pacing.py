"""When messages are due: arithmetic on a monotonic clock, so that sleeping late never adds up to a drift."""

NS_PER_S = 1_000_000_000
RATE_MAX = 1_000_000_000
"""Messages per second; beyond it, ask for `max`."""

TICK_NS = 5_000_000
"""A source sleeps at least this long, and sends together what has become due: one wake-up per message would
cost more than applying the message."""

SLEEP_MAX_NS = 3600 * NS_PER_S
"""A longer wait is slept in pieces: the platform's timers do not take every number."""

CHUNK_RECORDS_MAX = 4096
"""224 KiB of MBO records: large enough that the call into Rust costs nothing per message, small enough that
readers of the books do not wait for it."""


class RatePacer:
    """A constant rate, in whole messages per second, from `start_ns` on; `tick_ns` worth of it is sent together."""

    def __init__(self, rate: int, start_ns: int, *, tick_ns: int = TICK_NS) -> None:
        self._rate = rate
        self._start_ns = start_ns
        self._taken = 0
        self._tick_messages = max(1, rate * tick_ns // NS_PER_S)

    def due(self, now_ns: int) -> int:
        """Messages to send now: 0 until a tick's worth is due."""
        due = (now_ns - self._start_ns) * self._rate // NS_PER_S - self._taken
        return due if due >= self._tick_messages else 0

    def take(self, messages: int) -> None:
        """Say that so many were sent."""
        self._taken += messages

    def late_ns(self, now_ns: int) -> int:
        """How long ago the next message was due; 0 if it is not yet."""
        return max(0, now_ns - self._start_ns - (self._taken + 1) * NS_PER_S // self._rate)

    def wait_ns(self, now_ns: int) -> int:
        """Time until the next tick's worth is due."""
        at_ns = self._start_ns - (-(self._taken + self._tick_messages) * NS_PER_S // self._rate)
        return min(max(0, at_ns - now_ns), SLEEP_MAX_NS)


class ReplayPacer:
    """Recorded time passing `speed` times as fast as the clock, from the first record on."""

    def __init__(self, speed: float, first_ts_ns: int, start_ns: int, *, tick_ns: int = TICK_NS) -> None:
        self._tick_ns = tick_ns
        self._speed = speed
        self._first_ts_ns = first_ts_ns
        self._start_ns = start_ns

    def reached_ts_ns(self, now_ns: int) -> int:
        """Tell the recorded time that has been reached: every record up to it is due."""
        return self._first_ts_ns + int((now_ns - self._start_ns) * self._speed)

    def late_ns(self, now_ns: int, ts_ns: int) -> int:
        """How long ago the record of `ts_ns` was due; 0 if it is not yet."""
        return max(0, int((self.reached_ts_ns(now_ns) - ts_ns) / self._speed))

    def wait_ns(self, now_ns: int, ts_ns: int) -> int:
        """Time until the record of `ts_ns` is due, a tick at least."""
        wait_ns = (ts_ns - self.reached_ts_ns(now_ns)) / self._speed
        return int(min(max(wait_ns, self._tick_ns), SLEEP_MAX_NS))
