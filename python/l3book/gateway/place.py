"""What a session knows of the gateway it is in."""

import time
from typing import TYPE_CHECKING, Literal

from l3book._core import DecodeError
from l3book.gateway.clock import UNDEF_TS, Clock, rate_position
from l3book.gateway.pump import SessionEnd

if TYPE_CHECKING:
    from l3book._core import LiveStream
    from l3book.gateway.server import Gateway


class Place:
    """A session's number, clock and tape."""

    def __init__(self, gateway: "Gateway", number: int, peer: str) -> None:
        self._gateway = gateway
        self.options = gateway.options
        self.number = number
        self.peer = peer
        self.once = gateway.once
        self.clock = gateway.shared_clock or Clock(self.options.pace, as_if_now=self.options.as_if_now)
        self.session_id = gateway.session_id_base + number
        self.connected_ns = time.monotonic_ns()
        self.is_admitted = False
        self._began_clock = False

    def is_stopping(self) -> bool:
        """Whether the gateway ends."""
        return self._gateway.stop_signal.is_set

    def admit(self) -> bool:
        """Take one of the gateway's sessions, if there is one left."""
        self.is_admitted = self._gateway.admit()
        return self.is_admitted

    def next_fault_number(self) -> int:
        """Take the number that a session's faults are drawn by."""
        return self._gateway.next_fault_number()

    def count(self, name: str, amount: int) -> None:
        """Add to a total of the gateway."""
        self._gateway.count(name, amount)

    def open_tape(
        self, *, ts_out: bool, compression: Literal["none", "zstd"], begins_clock: bool = True
    ) -> "LiveStream":
        """Open the recording from its beginning, and begin the clock if this session is the first."""
        if begins_clock:
            # Before the tape is open: times made as if it were now count from there.
            self._began_clock = self.clock.begin()
        try:
            tape = self._gateway.open_tape(self.clock, ts_out=ts_out, compression=compression)
        except (DecodeError, ValueError, OSError) as error:
            raise SessionEnd(f"the recording cannot be opened any more: {error}", reset=True) from None
        if begins_clock and self._gateway.shared_clock is not None:
            # What all share begins with the recording, wherever the first session wants to start.
            self.clock.anchor(tape.next_ts, time.monotonic_ns())
        return tape

    def restart_clock(self) -> None:
        """Have a clock of this session's own begin anew: what it was begun for comes only now."""
        if self._gateway.shared_clock is None:
            self.clock = Clock(self.options.pace, as_if_now=self.options.as_if_now)

    def join(self, tape: "LiveStream", *, at_start: bool) -> int:
        """Go to where the clock is; -> the tape position that was due at the clock's beginning."""
        if self._gateway.shared_clock is None:
            return tape.position
        if self._began_clock and at_start:
            # Some time has passed since, but nobody was there to see it.
            return 0
        now_ns = time.monotonic_ns()
        pace = self.options.pace
        if pace.rate is not None:
            tape.seek_position(rate_position(pace.rate, self.clock.started_ns, now_ns))
        elif (next_ts := tape.next_ts) is not None and next_ts != UNDEF_TS:
            tape.seek_due(self.clock.replay_pacer(next_ts, now_ns).reached_ts_ns(now_ns))
        return 0
