"""From the tape to the outlet: what is due, with the faults that are due."""

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from l3book.gateway.clock import Due, Pacing
from l3book.gateway.faults import Fault, FaultPlan
from l3book.gateway.outlet import Outlet

if TYPE_CHECKING:
    from l3book._core import LiveStream

CHUNK_BYTES_MAX = 256 * 1024
TS_OUT_BYTES = 8
INTERVAL_LOOK_NS = 50_000_000
"""How late an interval may be closed for want of records."""
MBO_BYTES = 56
_ROW_BYTES = {"mbp-10": 368, "mbp-1": 80, "tbbo": 80, "bbo-1s": 80, "bbo-1m": 80, "trades": 48}
ROW_BYTES = 56


class SessionEnd(Exception):  # noqa: N818  # the end of a session is no error
    """The session is over; `reset`: without the usual order; `hasty`: the client is not waited for that long."""

    def __init__(self, reason: str, *, reset: bool = False, hasty: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reset = reset
        self.hasty = hasty


class Pump:
    """Moves at most one chunk at a time, and never more than the outlet has room for."""

    def __init__(self, tape: "LiveStream", outlet: Outlet, pacing: Pacing, plan: FaultPlan) -> None:
        self._tape = tape
        self._outlet = outlet
        self._pacing = pacing
        self._plan = plan
        self._chunk_records = CHUNK_BYTES_MAX // (MBO_BYTES + TS_OUT_BYTES)
        self._has_intervals = False
        self._maims: list[Fault] = []
        self._stalled_until_ns = 0
        self.is_half_open = False
        self.records_cut = 0
        """Data records that the tape has sent and the client did not get whole."""
        self.fired: Counter[str] = Counter()
        self.last_fired: list[str] = []
        """Descriptions of faults since the last look, for the log."""

    def expect_rows(self, schemas: set[str], *, ts_out: bool) -> None:
        """Size the chunks by what the session gets for one record of the tape."""
        row_bytes = sum(_ROW_BYTES.get(schema, ROW_BYTES) + TS_OUT_BYTES * ts_out for schema in schemas)
        self._has_intervals = any(schema.startswith(("bbo-", "ohlcv-")) for schema in schemas)
        self._chunk_records = max(1, CHUNK_BYTES_MAX // max(row_bytes, MBO_BYTES))

    def is_stalled(self, now_ns: int) -> bool:
        """Whether nothing at all is to be sent now."""
        return self.is_half_open or now_ns < self._stalled_until_ns

    def step(self, now_ns: int) -> None:
        """Put what is due into the outlet, one chunk at most. Raises SessionEnd when a fault says so."""
        for fault in self._plan.due(self._tape.records_sent, now_ns):
            self._fire(fault, now_ns)
        if self.is_stalled(now_ns):
            return
        due: Due = self._pacing.due(self._tape, now_ns)
        if due.records == 0 and not (self._has_intervals and due.until is not None):
            return
        # Without a record that is due, a read still closes the intervals that have ended by now.
        records = min(max(1, due.records), self._chunk_records)
        left = self._plan.records_left(self._tape.records_sent)
        if self._maims:
            # Exactly one record is hit, so that the same seed hits the same bits however the records are cut.
            self._outlet.put(self._tape.take(), now_ns)
            records = 1
        elif left is not None:
            records = min(records, left)
        sent_before = self._tape.records_sent
        data = self._tape.read(records, due.until)
        if data and self._maims:
            data = self._maimed(data, self._tape.records_sent - sent_before, now_ns)
        self._outlet.put(data, now_ns)

    def wait_ns(self, now_ns: int) -> int | None:
        """Time until there is something to do."""
        if self.is_half_open:
            return None
        if now_ns < self._stalled_until_ns:
            return self._stalled_until_ns - now_ns
        waits = [self._pacing.wait_ns(self._tape, now_ns), self._plan.wait_ns(now_ns)]
        if self._has_intervals:
            waits.append(INTERVAL_LOOK_NS)
        return min(wait for wait in waits if wait is not None)

    def has_caught_up(self, now_ns: int) -> bool:
        """Whether nothing is due."""
        return self._pacing.due(self._tape, now_ns).records == 0

    def late_ns(self, now_ns: int) -> int:
        """How long ago the next record was due."""
        return self._pacing.late_ns(self._tape, now_ns)

    def skip_to_clock(self, now_ns: int) -> int:
        """Pass over what is due, and have its loss marked; -> data records that the client does not get."""
        due = self._pacing.due(self._tape, now_ns)
        return self._tape.skip(due.records, due.until) if due.records else 0

    def _fire(self, fault: Fault, now_ns: int) -> None:
        rule = fault.rule
        self.fired[rule.kind] += 1
        self.last_fired.append(f"{rule.text} after {self._tape.records_sent:,} records")
        match rule.kind:
            case "drop-connection":
                raise SessionEnd(f"fault {rule.text}", reset=True)
            case "close":
                raise SessionEnd(f"fault {rule.text}")
            case "gap":
                self._tape.inject("gap", rule.amount, marked=not rule.silent)
            case "duplicate":
                self._tape.inject("duplicate", rule.amount)
            case "reorder":
                self._tape.inject("reorder", rule.amount)
            case "flip" | "truncate":
                self._maims.append(fault)
            case "stall":
                self._stalled_until_ns = now_ns + rule.amount
            case "half-open":
                self.is_half_open = True

    def _maimed(self, data: bytes, records: int, now_ns: int) -> bytes:
        maims, self._maims = self._maims, []
        for fault in maims:
            if fault.rule.kind == "flip":
                data = flipped(data, fault.rule.amount, fault.rng)
        for fault in maims:
            if fault.rule.kind == "truncate":
                kept_bytes = fault.rng.randint(1, len(data) - 1)
                self.records_cut = records - records * kept_bytes // len(data)
                self._outlet.put(data[:kept_bytes], now_ns)
                raise SessionEnd(f"fault {fault.rule.text}")
        return data


def flipped(data: bytes, bits: int, rng: Random) -> bytes:
    """Flip so many different bits, or all there are."""
    changed = bytearray(data)
    for bit in rng.sample(range(8 * len(data)), min(bits, 8 * len(data))):
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
