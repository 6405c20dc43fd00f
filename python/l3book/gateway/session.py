"""What every session does, whatever its protocol: it sends what is due until it is over, and ends in order."""

import logging
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NoReturn

from l3book._core import DecodeError
from l3book.gateway.clock import pacing_of
from l3book.gateway.connection import RECEIVE_BYTES_MAX, Connection
from l3book.gateway.faults import FaultPlan
from l3book.gateway.outlet import Outlet
from l3book.gateway.place import Place
from l3book.gateway.pump import Pump, SessionEnd
from l3book.logs import Logger
from l3book.sources.pacing import NS_PER_S

if TYPE_CHECKING:
    from collections import Counter

    from l3book._core import LiveStream

log = Logger(__name__)

DRAIN_TIMEOUT_S = 30.0
"""After an orderly end the client gets this long to read the rest and to close."""
HASTY_TIMEOUT_S = 5.0
FLUSH_TIMEOUT_S = 1.0
"""At the end of the gateway what waits for a client gets this long."""


class Session(ABC):
    """A stream to one client, on a thread of its own."""

    def __init__(self, connection: Connection, place: Place) -> None:
        self.connection = connection
        self.place = place
        self.outlet = Outlet(connection.socket)
        self.opened_tape: LiveStream | None = None
        self.started_pump: Pump | None = None
        self.reads_client = True
        self.end_reason = ""

    @property
    def tape(self) -> "LiveStream":
        """The recording, once it is open."""
        if self.opened_tape is None:
            raise RuntimeError("the session has not started")
        return self.opened_tape

    @property
    def pump(self) -> Pump:
        """What moves the recording, once something is subscribed to."""
        if self.started_pump is None:
            raise RuntimeError("nothing is subscribed to")
        return self.started_pump

    @property
    def records(self) -> int:
        """Data records sent, and none of which a part was."""
        if self.opened_tape is None:
            return 0
        return self.opened_tape.records_sent - (self.started_pump.records_cut if self.started_pump is not None else 0)

    @property
    def faults(self) -> "Counter[str] | None":
        """Faults that happened."""
        return self.started_pump.fired if self.started_pump is not None else None

    def log(self, level: int, text: str, /, **facts: object) -> None:
        """Write a line that names the session."""
        log.log(
            level, f"session {{session}} ({{peer}}): {text}", session=self.place.number, peer=self.place.peer, **facts
        )

    # Where protocols differ.

    @abstractmethod
    def open(self) -> None:
        """Everything before the stream. Raises SessionEnd or OSError."""

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Take what the client sent while the stream runs; b"" when it ended its side."""

    def work(self, now_ns: int) -> None:  # noqa: B027  # most protocols have nothing of the kind
        """Do what is due besides records, whenever there is room to send."""

    def moved(self, now_ns: int) -> None:  # noqa: B027  # as above
        """Look at where the tape is, each time it has moved."""

    def work_wait_ns(self, now_ns: int) -> int | None:  # noqa: ARG002
        """Time until `work` has something to do."""
        return None

    @abstractmethod
    def failed_tape(self, error: DecodeError | OSError) -> NoReturn:
        """Tell the client, as the protocol can, that the recording is damaged. Raises SessionEnd."""

    def finish_tape(self) -> None:
        """Say what is to be said at the end of the recording. Raises SessionEnd."""
        raise SessionEnd("end of the recording")

    # The stream.

    def run(self) -> None:
        """From the first byte to the last."""
        reset, drain_s = False, DRAIN_TIMEOUT_S
        try:
            self.open()
            self._stream()
        except SessionEnd as end:
            self.end_reason, reset = end.reason, end.reset
            drain_s = HASTY_TIMEOUT_S if end.hasty else DRAIN_TIMEOUT_S
            if not reset:
                self._flush_rest(HASTY_TIMEOUT_S if end.hasty else None)
        except TimeoutError as error:
            self.end_reason, drain_s = f"time-out: {error}", HASTY_TIMEOUT_S
        except OSError as error:
            self.end_reason, reset = f"the client is gone: {error.strerror or error}", True
        except BaseException:
            self.connection.reset()
            raise
        self._log_faults()
        if reset:
            self.connection.reset()
        else:
            self.connection.finish(drain_s)

    def start_pump(self, position: int, *, spared: bool = False) -> None:
        """Have the tape run; the record at `position` belongs to the clock's beginning. Faults count from here."""
        rules = () if spared else self.place.options.faults
        number = 0 if spared else self.place.next_fault_number()
        plan = FaultPlan(rules, self.place.options.seed, number, self.place.once)
        plan.begin(time.monotonic_ns())
        if latency := plan.lasting("latency"):
            self.outlet.delay(latency[0].amount, latency[0].jitter_ns, latency[1])
        if throttle := plan.lasting("throttle"):
            self.outlet.throttle(throttle[0].amount)
        self.started_pump = Pump(self.tape, self.outlet, pacing_of(self.place.clock, position), plan)

    def put(self, data: bytes) -> None:
        """Have bytes sent."""
        self.outlet.put(data, time.monotonic_ns())

    def _stream(self) -> None:
        while not self.place.is_stopping():
            now_ns = time.monotonic_ns()
            stalled = self.started_pump is not None and self.started_pump.is_stalled(now_ns)
            if not stalled:
                self.outlet.flush(now_ns)
                if not self.outlet.is_full:
                    self._fill(now_ns)
                    self.outlet.flush(now_ns)
            self._wait(now_ns, stalled=stalled)
        raise SessionEnd("the gateway ends")

    def _fill(self, now_ns: int) -> None:
        self.work(now_ns)
        if self.started_pump is None or self.outlet.is_full:
            return
        if self.tape.ended:
            self.finish_tape()
        else:
            self._step(self.started_pump, now_ns)
            self.moved(now_ns)
        if self.started_pump.last_fired:
            self._log_faults()

    def _step(self, pump: Pump, now_ns: int) -> None:
        try:
            pump.step(now_ns)
        except (DecodeError, OSError) as error:
            self.log(logging.ERROR, "{error}", error=error)
            self.failed_tape(error)

    def _wait(self, now_ns: int, *, stalled: bool) -> None:
        half_open = self.started_pump is not None and self.started_pump.is_half_open
        blocked = self.outlet.is_blocked and not stalled
        pump_wait_ns = self.started_pump.wait_ns(now_ns) if self.started_pump is not None else None
        if stalled:
            waits = [pump_wait_ns]
        elif self.outlet.is_full:
            waits = [self.outlet.wait_ns(now_ns)]
        else:
            waits = [self.outlet.wait_ns(now_ns), pump_wait_ns, self.work_wait_ns(now_ns)]
        timeout_ns = min((wait for wait in waits if wait is not None), default=None)
        reads = self.reads_client and not half_open and self.receive_room_bytes() > 0
        ready = self.connection.wait(read=reads, write=blocked, timeout_ns=timeout_ns, peer_end=half_open)
        if half_open and (ready.gone or self.place.is_stopping()):
            raise SessionEnd("half-open until the end", reset=True)
        if ready.gone and not reads:
            raise SessionEnd("the client is gone", reset=True)
        if ready.readable and reads:
            data = self.connection.receive(self.receive_room_bytes())
            if data is not None:
                self.received(data)

    def receive_room_bytes(self) -> int:
        """How much may be received now."""
        return RECEIVE_BYTES_MAX

    def _flush_rest(self, timeout_s: float | None) -> None:
        """Send what was made already, as long as the client takes it; None: however long it takes."""
        deadline_ns = None if timeout_s is None else time.monotonic_ns() + int(timeout_s * NS_PER_S)
        try:
            while self.outlet.waiting_bytes:
                now_ns = time.monotonic_ns()
                if self.place.is_stopping() and not self.connection.outlasts_stop:
                    self.connection.outlast_stop()
                    deadline_ns = now_ns + int(FLUSH_TIMEOUT_S * NS_PER_S)
                if deadline_ns is not None and now_ns >= deadline_ns:
                    self.end_reason += f", {self.outlet.waiting_bytes:,} bytes not taken by the client"
                    return
                self.outlet.flush(now_ns)
                if self.outlet.waiting_bytes:
                    wait_ns = self.outlet.wait_ns(now_ns)
                    left_ns = deadline_ns - now_ns if deadline_ns is not None else None
                    timeout_ns = min((ns for ns in (wait_ns, left_ns) if ns is not None), default=None)
                    self.connection.wait(read=False, write=self.outlet.is_blocked, timeout_ns=timeout_ns)
        except OSError as error:
            self.end_reason += f", the client was gone before the last bytes: {error.strerror or error}"

    def _log_faults(self) -> None:
        if self.started_pump is None:
            return
        for text in self.started_pump.last_fired:
            self.log(logging.WARNING, "fault {fault}", fault=text)
        self.started_pump.last_fired.clear()
