"""When the records of a session are due: arithmetic on a monotonic clock that one session has, or all share."""

import time
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple, Protocol

from l3book.sources.pacing import NS_PER_S, RatePacer, ReplayPacer

TICK_NS = 1_000_000
"""Shorter than that of a source: clients measure how late a record comes. At a high rate it still is many records."""
UNDEF_TS = 2**64 - 1
RECORDS_MAX = 2**31
"""Due at once when there is no pace."""


class Tape(Protocol):
    """What pacing has to know of a stream."""

    @property
    def position(self) -> int:
        """Records read or passed over."""

    @property
    def next_ts(self) -> int | None:
        """Time of the next record, None at the end."""

    @property
    def passes(self) -> int:
        """Times the recording was begun again."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Recorded time `speed` times as fast, or `rate` records per second; neither: as fast as the client reads."""

    speed: float | None = 1.0
    rate: int | None = None


class Due(NamedTuple):
    """So many records, of those not later than `until`, the time that is reached."""

    records: int
    until: int | None = None


class Clock:
    """The moment that counts as the beginning, and which record belongs to it."""

    def __init__(self, pace: Pace, *, as_if_now: bool) -> None:
        self._lock = Lock()
        self.pace = pace
        self.as_if_now = as_if_now
        self.started_ns = 0
        """Monotonic; 0 before `begin`."""
        self.origin_ns = 0
        """The same moment in UNIX time."""
        self._first_ts: int | None = None

    def begin(self) -> bool:
        """Start it, unless it runs; -> whether it was started now."""
        with self._lock:
            if self.started_ns:
                return False
            self.started_ns = time.monotonic_ns()
            self.origin_ns = time.time_ns()
            return True

    def anchor(self, first_ts: int | None, now_ns: int) -> None:
        """Say which recorded time belongs to the beginning, unless that is settled or there is none."""
        with self._lock:
            if self._first_ts is None and first_ts is not None and first_ts != UNDEF_TS:
                self._first_ts = first_ts
                # Records without a time went before it, and took none.
                self.started_ns = now_ns if not self.as_if_now else self.started_ns

    def replay_pacer(self, next_ts: int, now_ns: int) -> ReplayPacer:
        """Make a pacer of recorded time. The first record that has a time belongs to the beginning."""
        # Times made as if it were now pass as the clock does, whatever the speed is.
        speed = 1.0 if self.as_if_now else self.pace.speed or 1.0
        self.anchor(next_ts, now_ns)
        with self._lock:
            first_ts = self.origin_ns if self.as_if_now else self._first_ts or next_ts
        return ReplayPacer(speed, first_ts, self.started_ns, tick_ns=TICK_NS)


class Pacing(Protocol):
    """When the records of one session are due."""

    def due(self, tape: Tape, now_ns: int) -> Due:
        """Tell what to send now; no records until a tick's worth is due."""

    def wait_ns(self, tape: Tape, now_ns: int) -> int:
        """Time until more is due."""

    def late_ns(self, tape: Tape, now_ns: int) -> int:
        """How long ago the next record was due."""


class Unpaced:
    """Everything is due."""

    def due(self, _tape: Tape, _now_ns: int) -> Due:
        """All there is."""
        return Due(RECORDS_MAX)

    def wait_ns(self, _tape: Tape, _now_ns: int) -> int:
        """Nothing is waited for."""
        return 0

    def late_ns(self, _tape: Tape, _now_ns: int) -> int:
        """Nothing is late."""
        return 0


class AtRate:
    """A constant rate of tape records, whether or not the session asked for them."""

    def __init__(self, rate: int, started_ns: int, position: int) -> None:
        self._pacer = RatePacer(rate, started_ns, tick_ns=TICK_NS)
        self._position = position

    def _follow(self, tape: Tape) -> RatePacer:
        position = tape.position
        self._pacer.take(position - self._position)
        self._position = position
        return self._pacer

    def due(self, tape: Tape, now_ns: int) -> Due:
        """Tell what the rate has made due."""
        return Due(max(0, self._follow(tape).due(now_ns)))

    def wait_ns(self, tape: Tape, now_ns: int) -> int:
        """Time until the next tick's worth."""
        return self._follow(tape).wait_ns(now_ns)

    def late_ns(self, tape: Tape, now_ns: int) -> int:
        """How long ago the next record was due."""
        return self._follow(tape).late_ns(now_ns)


class AsRecorded:
    """Recorded time, at a speed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pacer: ReplayPacer | None = None
        self._pass = 0

    def _pacer_at(self, tape: Tape, next_ts: int, now_ns: int) -> ReplayPacer:
        passes = tape.passes
        if self._pacer is None:
            self._pacer = self._clock.replay_pacer(next_ts, now_ns)
        elif passes != self._pass and not self._clock.as_if_now:
            # The recorded times come again, so their first one is now.
            self._pacer = ReplayPacer(self._clock.pace.speed or 1.0, next_ts, now_ns, tick_ns=TICK_NS)
        self._pass = passes
        return self._pacer

    def due(self, tape: Tape, now_ns: int) -> Due:
        """Tell all up to the recorded time that is reached, and what has no time."""
        next_ts = tape.next_ts
        if next_ts is None or next_ts == UNDEF_TS:
            return Due(1)
        reached_ts = min(self._pacer_at(tape, next_ts, now_ns).reached_ts_ns(now_ns), UNDEF_TS - 1)
        return Due(RECORDS_MAX if next_ts <= reached_ts else 0, reached_ts)

    def wait_ns(self, tape: Tape, now_ns: int) -> int:
        """Time until the next record is due, a tick at least."""
        next_ts = tape.next_ts
        if next_ts is None or next_ts == UNDEF_TS:
            return 0
        return self._pacer_at(tape, next_ts, now_ns).wait_ns(now_ns, next_ts)

    def late_ns(self, tape: Tape, now_ns: int) -> int:
        """How long ago the next record was due."""
        next_ts = tape.next_ts
        if next_ts is None or next_ts == UNDEF_TS:
            return 0
        return self._pacer_at(tape, next_ts, now_ns).late_ns(now_ns, next_ts)


def pacing_of(clock: Clock, position: int) -> Pacing:
    """Make the pacing of a session whose first record is due at the clock's beginning at tape position `position`."""
    if clock.pace.rate is not None:
        return AtRate(clock.pace.rate, clock.started_ns, position)
    if clock.pace.speed is not None:
        return AsRecorded(clock)
    return Unpaced()


def rate_position(rate: int, started_ns: int, now_ns: int) -> int:
    """Tell the tape position a clock with a rate is at."""
    return (now_ns - started_ns) * rate // NS_PER_S
