"""A session of Databento's live protocol (LSG), as the server of it."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from l3book._core import DecodeError
from l3book.gateway.clock import UNDEF_TS
from l3book.gateway.connection import Connection
from l3book.gateway.handshake import ANSWER_TIMEOUT_S, Admission, admit, refuse
from l3book.gateway.keys import KeyRing
from l3book.gateway.lines import LineBuffer, LineError, clean, counted, fields, shown
from l3book.gateway.place import Place
from l3book.gateway.pump import SessionEnd
from l3book.gateway.requests import RequestAssembler, RequestError, Subscription
from l3book.gateway.session import Session
from l3book.sources.pacing import NS_PER_S

if TYPE_CHECKING:
    from l3book._core import LiveStream

ERROR_RESOLUTION = 4
ERROR_SUBSCRIPTION = 5
ERROR_INTERNAL = 6
ERROR_SKIPPED = 7
SYSTEM_HEARTBEAT = 0
SYSTEM_ACK = 1
SYSTEM_SLOW_READER = 2
SYSTEM_REPLAY_COMPLETED = 3

LATE_NS = NS_PER_S
"""A session this far behind a shared clock reads too slowly."""
SLOW_READER_INTERVAL_NS = 10 * NS_PER_S
SUBSCRIPTIONS_MAX = 10_000
SYMBOLS_MAX = 1_000_000
"""Of one session: subscriptions are kept as long as it lasts, but the same one is kept once however often it is asked
for."""
UNRESOLVED_TOLD_MAX = 1_000
"""Symbols of one request that get an error of their own; the rest are told as a number."""
LINES_AT_ONCE = 16
"""Handled between two chunks, so that a client that asks all the time does not hold its own records up."""


class LsgSession(Session):
    """One client of the live protocol."""

    def __init__(self, connection: Connection, place: Place, keys: KeyRing, dataset: str) -> None:
        super().__init__(connection, place)
        self._keys = keys
        self._dataset = dataset
        self._lines = LineBuffer()
        self._assembler = RequestAssembler()
        self._waiting: list[Subscription] = []
        """Requests from before the start, and those that begin only when a replay has caught up."""
        self._schemas: set[str] = set()
        self._replays: list[str] = []
        """Schemas whose replay is not completed."""
        self._distinct: set[Subscription] = set()
        self._granted = 0
        self._symbols = 0
        self._admission: Admission | None = None
        self._client_ended = False
        self._has_lines = False
        self._has_sent_metadata = False
        self._warned_ns = 0

    @property
    def admission(self) -> Admission:
        """How the client was let in."""
        if self._admission is None:
            raise RuntimeError("the client is not authenticated")
        return self._admission

    # Before the stream.

    def open(self) -> None:
        """Let the client in, and take its requests until it starts the session."""
        self.log(logging.INFO, "connected")
        self._admission = admission = admit(
            self.connection, self._lines, self._keys, self._dataset, self.place.options.auth_timeout_s
        )
        if not self.place.admit():
            refuse(
                self.connection, f"Too many connections: {self.place.options.sessions_max} sessions are open already"
            )
        self.connection.send_all(f"success=1|session_id={self.place.session_id}\n".encode(), ANSWER_TIMEOUT_S)
        request = admission.request
        self.log(
            logging.INFO,
            "authenticated: key …{key_id}, compression {compression}, ts_out {ts_out:d}, client {client}",
            key_id=admission.key_id,
            compression=request.compression,
            ts_out=request.ts_out,
            client=shown(request.client),
        )
        while self.opened_tape is None:
            self._take_lines()
            if self.opened_tape is None:
                self._await_line()

    def _await_line(self) -> None:
        if self._has_lines:
            return
        if self._client_ended:
            raise SessionEnd("the client left before it started the session")
        if self.place.is_stopping():
            raise SessionEnd("the gateway ends")
        self.connection.wait(read=True, write=False, timeout_ns=None)
        data = self.connection.receive(self._lines.room_bytes)
        if data is not None:
            self.received(data)

    def _start(self) -> None:
        self._open_tape()
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._begin_tape(waiting, at_start=True)
        self._put_metadata(self.tape)
        # Replays first: what is about now may have to wait for them.
        for request in sorted(waiting, key=lambda request: request.start is None):
            self._grant(request)
        self.log(logging.INFO, "started with {what}", what=counted(len(waiting), "subscription"))
        self._put_queued()

    def _open_tape(self, *, begins_clock: bool = True) -> None:
        request = self.admission.request
        self.opened_tape = self.place.open_tape(
            ts_out=request.ts_out, compression=request.compression, begins_clock=begins_clock
        )

    def _put_metadata(self, tape: "LiveStream") -> None:
        next_ts = tape.next_ts
        self.put(tape.metadata(0 if next_ts is None or next_ts == UNDEF_TS else next_ts))
        self._has_sent_metadata = True

    def _begin_tape(self, requests: list[Subscription], *, at_start: bool) -> None:
        """Go to where the session begins, and let the clock run for it."""
        starts = [request.start for request in requests if request.start is not None]
        if not starts:
            position = self.place.join(self.tape, at_start=at_start)
        elif self.place.options.shared_clock or len(starts) == len(requests):
            self.tape.seek(min(starts))
            position = 0 if self.place.options.shared_clock else self.tape.position
        else:
            position = 0
        self.start_pump(position, spared=self.admission.spared)

    # Requests.

    def received(self, data: bytes) -> None:
        """Take control lines."""
        if data:
            self._lines.feed(data)
        else:
            self._client_ended = True
            self.reads_client = False

    def receive_room_bytes(self) -> int:
        """Room for a line; none while the client sends more than is answered, for it does not read the answers."""
        return self._lines.room_bytes

    def _take_lines(self) -> None:
        try:
            for _ in range(LINES_AT_ONCE):
                line = self._lines.take()
                if line is None:
                    self._has_lines = False
                    return
                if line:
                    self._handle(line)
            self._has_lines = True
        except (LineError, RequestError) as error:
            self._fail(ERROR_SUBSCRIPTION, str(error))

    def _handle(self, line: str) -> None:
        found = fields(line)
        if "start_session" in found:
            if self.opened_tape is not None:
                raise RequestError("start_session came twice: expected it once")
            if self._assembler.is_waiting:
                raise RequestError("start_session inside a request: expected its line with is_last=1 before")
            self._start()
        elif "schema" in found or "symbols" in found:
            request = self._assembler.add(Subscription.parse(found))
            if request is not None:
                self._ask(request)
        else:
            raise RequestError(f"unknown request {shown(line)}: expected schema=…|symbols=… or start_session")

    def _ask(self, request: Subscription) -> None:
        self._note(request)
        if self.opened_tape is None:
            self._waiting.append(request)
            return
        if request.start is not None:
            raise RequestError(
                "start in a subscription after the session has started: expected it before start_session"
            )
        if self.started_pump is None:
            if not self.place.options.shared_clock:
                # Nothing was due while nothing was asked for.
                self.place.restart_clock()
                self._open_tape()
            self._begin_tape([request], at_start=False)
        self._grant(request)
        self._put_queued()

    def _note(self, request: Subscription) -> None:
        """Count what has to be kept. Raises RequestError."""
        without_id = replace(request, id=None)
        if without_id not in self._distinct:
            self._distinct.add(without_id)
            self._symbols += len(request.symbols or ())
        subscriptions = max(len(self._distinct), len(self._waiting) + 1)
        if subscriptions > SUBSCRIPTIONS_MAX or self._symbols > SYMBOLS_MAX:
            raise RequestError(
                f"{subscriptions} subscriptions to {self._symbols} symbols in a session: "
                f"expected at most {SUBSCRIPTIONS_MAX} to {SYMBOLS_MAX}"
            )

    def _grant(self, request: Subscription) -> None:
        """Subscribe, and say so. Raises RequestError."""
        tape = self.tape
        if request.start is None and self._replays and self.place.options.shared_clock:
            # It is about what is now, and the session is not there yet.
            self._waiting.append(request)
            return
        try:
            unresolved = tape.subscribe(
                request.schema, request.stype_in, request.symbols, start=request.start, snapshot=request.snapshot
            )
        except ValueError as error:
            raise RequestError(str(error)) from None
        number = self._granted if request.id is None else request.id
        self._granted += 1
        self._put_unresolved(request.stype_in, unresolved)
        tape.system(SYSTEM_ACK, f"Subscription request {number} for {request.schema} data succeeded")
        if request.start is not None:
            self._replays.append(request.schema)
        self._schemas.add(request.schema)
        self.pump.expect_rows(self._schemas, ts_out=self.admission.request.ts_out)
        self.log(
            logging.INFO,
            "subscribed to {schema}, {symbols}{how}",
            schema=request.schema,
            symbols="all symbols"
            if request.symbols is None
            else f"{counted(len(request.symbols), 'symbol')} by {request.stype_in}",
            how="".join(
                (
                    f", {len(unresolved)} not resolved" if unresolved else "",
                    f", from {request.start}" if request.start is not None else "",
                    ", with a snapshot" if request.snapshot else "",
                )
            ),
        )

    def _put_unresolved(self, stype_in: str, symbols: list[str]) -> None:
        for symbol in symbols[:UNRESOLVED_TOLD_MAX]:
            self.tape.error(ERROR_RESOLUTION, clean(f"Symbol {shown(symbol)} of stype {stype_in} was not resolved"))
        if (more := len(symbols) - UNRESOLVED_TOLD_MAX) > 0:
            self.tape.error(ERROR_RESOLUTION, f"{more} more symbols of stype {stype_in} were not resolved")

    def _fail(self, code: int, text: str) -> NoReturn:
        """Send a fatal error, and end the session."""
        if self.opened_tape is None:
            self._open_tape(begins_clock=False)
        if not self._has_sent_metadata:
            # Whatever comes after the authentication is taken for DBN, and that begins with metadata.
            self._put_metadata(self.tape)
        self.tape.error(code, clean(text))
        self._put_queued()
        raise SessionEnd(f"error {code}: {text}", hasty=True)

    # While streaming.

    def work(self, now_ns: int) -> None:
        """See to requests, slow readers, heartbeats."""
        self._take_lines()
        if self._client_ended:
            raise SessionEnd("the client left", hasty=True)
        tape = self.tape
        if self.started_pump is not None and self.place.options.shared_clock and not self._replays and not tape.ended:
            self._watch_lateness(tape, now_ns)
        if not self.outlet.waiting_bytes and now_ns - self.outlet.sent_ns >= self._heartbeat_interval_ns:
            tape.system(SYSTEM_HEARTBEAT, "Heartbeat")
            self._put_queued()

    def moved(self, now_ns: int) -> None:
        """Complete the replays once the clock, or the end of the recording, is reached."""
        if self._replays and self._has_caught_up(self.tape, now_ns):
            self._complete_replays(self.tape)

    def work_wait_ns(self, now_ns: int) -> int | None:
        """Time until the next heartbeat, or none if a line waits."""
        if self._has_lines:
            return 0
        return max(0, self.outlet.sent_ns + self._heartbeat_interval_ns - now_ns)

    @property
    def _heartbeat_interval_ns(self) -> int:
        return self.admission.request.heartbeat_interval_s * NS_PER_S

    def _has_caught_up(self, tape: "LiveStream", now_ns: int) -> bool:
        if self.place.options.shared_clock:
            return self.pump.has_caught_up(now_ns)
        return tape.passes > 0

    def _complete_replays(self, tape: "LiveStream") -> None:
        for schema in dict.fromkeys(self._replays):
            tape.system(SYSTEM_REPLAY_COMPLETED, f"Finished {schema} replay")
        self._replays.clear()
        waiting, self._waiting = self._waiting, []
        try:
            for request in waiting:
                self._grant(request)
        except RequestError as error:
            self._fail(ERROR_SUBSCRIPTION, str(error))
        self._put_queued()

    def _watch_lateness(self, tape: "LiveStream", now_ns: int) -> None:
        late_ns = self.pump.late_ns(now_ns)
        if late_ns < LATE_NS:
            return
        behind = f"{late_ns / NS_PER_S:.1f} s behind"
        if self.admission.request.slow_reader_behavior == "skip":
            skipped = self.pump.skip_to_clock(now_ns)
            self.place.count("skipped records", skipped)
            tape.error(ERROR_SKIPPED, f"Slow reader: {behind}, skipped {skipped} records")
            self.log(
                logging.WARNING, "slow reader: {behind}, skipped {skipped} records", behind=behind, skipped=skipped
            )
        elif now_ns - self._warned_ns >= SLOW_READER_INTERVAL_NS:
            self._warned_ns = now_ns
            tape.system(SYSTEM_SLOW_READER, f"Slow reader: the session is {behind}")
            self.log(logging.WARNING, "slow reader: {behind}", behind=behind)
        else:
            return
        self._put_queued()

    def finish_tape(self) -> None:
        """Complete replays, and end."""
        if self._replays:
            self._complete_replays(self.tape)
        raise SessionEnd("end of the recording")

    def failed_tape(self, error: DecodeError | OSError) -> NoReturn:
        """Tell the client that the recording is damaged."""
        self._fail(ERROR_INTERNAL, f"The recording cannot be read on: {error}")

    def _put_queued(self) -> None:
        self.put(self.tape.take())
