"""The gateway: a listening socket, and a thread for every client."""

import logging
import socket
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Literal

from l3book._core import LiveStream
from l3book.gateway.clock import UNDEF_TS, Clock
from l3book.gateway.connection import Connection, StopSignal
from l3book.gateway.faults import OnceFaults
from l3book.gateway.keys import KeyRing
from l3book.gateway.lines import refusal
from l3book.gateway.lsg import LsgSession
from l3book.gateway.options import Options
from l3book.gateway.place import Place
from l3book.gateway.polling import POLLIN, Poll
from l3book.gateway.raw import RawSession
from l3book.gateway.session import Session
from l3book.listening import bracketed
from l3book.logs import Logger
from l3book.sources.pacing import NS_PER_S

log = Logger(__name__)

HANDSHAKES_MAX = 64
"""Connections beyond the sessions: they may authenticate, or be told that there are too many."""
JOIN_TIMEOUT_S = 10.0
NS_PER_MS = 1_000_000


class Gateway:
    """Serves recorded files to every client that connects to a listening socket.

    Raises DecodeError, OSError or ValueError at once when a file cannot be served.
    """

    def __init__(
        self, listener: socket.socket, paths: Sequence[Path], options: Options, keys: KeyRing | None = None
    ) -> None:
        self._listener = listener
        self._paths = list(paths)
        self._keys = keys or KeyRing(())
        self.options = options
        self.stop_signal = StopSignal()
        self.shared_clock = Clock(options.pace, as_if_now=options.as_if_now) if options.shared_clock else None
        self.once = OnceFaults()
        # Milliseconds since 1970 and the number: no two sessions of any run have the same.
        self.session_id_base = time.time_ns() // NS_PER_MS * 100_000
        self._lock = Lock()
        self._connections: dict[int, Thread] = {}
        self._connected = 0
        self._open_sessions = 0
        self._fault_numbers = 0
        self.totals: Counter[str] = Counter()
        """sessions, records, bytes, refused, and each kind of fault as `fault KIND`."""
        probe = self.open_tape(Clock(options.pace, as_if_now=False), ts_out=False, compression="none")
        if not probe.dataset:
            raise ValueError(f"{paths[0]}: no DBN metadata that names a dataset: expected a .dbn or .dbn.zst file")
        self.dataset = probe.dataset
        self.schema = probe.schema
        self._warn_of_disorder()

    def open_tape(self, clock: Clock, *, ts_out: bool, compression: Literal["none", "zstd"]) -> LiveStream:
        """Open the recording from its beginning."""
        return LiveStream(
            self._paths,
            raw=self.options.protocol == "raw",
            ts_out=ts_out,
            compression=compression,
            loop=self.options.loop,
            as_if_now=clock.origin_ns if clock.as_if_now and clock.origin_ns else None,
            speed=self.options.pace.speed,
            rate=self.options.pace.rate,
        )

    def _warn_of_disorder(self) -> None:
        before: tuple[Path, int] | None = None
        for path in self._paths if len(self._paths) > 1 else ():
            first_ts = LiveStream([path]).next_ts
            if first_ts is None or first_ts == UNDEF_TS:
                continue
            if before is not None and first_ts < before[1]:
                log.warning(
                    "{path} begins {early_s:.3f} s before {other}, which is served first: "
                    "expected the files in the order of time",
                    path=path,
                    early_s=(before[1] - first_ts) / NS_PER_S,
                    other=before[0],
                )
            before = path, first_ts

    def serve(self) -> None:
        """Accept clients until `stop`; returns when all sessions are over."""
        poll = Poll()
        poll.register(self._listener, POLLIN)
        poll.register(self.stop_signal.fileno(), POLLIN)
        self._listener.setblocking(False)
        while not self.stop_signal.is_set:
            poll.poll()
            try:
                accepted, address = self._listener.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                # A client that left again, or too many open files: those who are served go on.
                log.warning("cannot accept a connection: {error}", error=error.strerror or error)
                self.stop_signal.wait(0.1)
                continue
            self._accept(accepted, f"{bracketed(address[0])}:{address[1]}")
        self._end()

    def stop(self) -> None:
        """End all sessions in order; also from a signal handler or another thread."""
        self.stop_signal.set()

    def admit(self) -> bool:
        """Take one of the sessions there may be."""
        with self._lock:
            if self._open_sessions >= self.options.sessions_max:
                return False
            self._open_sessions += 1
            return True

    def next_fault_number(self) -> int:
        """Take the next number of those that faults are drawn by, from 1."""
        with self._lock:
            self._fault_numbers += 1
            return self._fault_numbers

    def count(self, name: str, amount: int = 1) -> None:
        """Add to the totals."""
        with self._lock:
            self.totals[name] += amount

    def _accept(self, accepted: socket.socket, peer: str) -> None:
        with self._lock:
            self._connected += 1
            number = self._connected
            crowded = len(self._connections) >= self.options.sessions_max + HANDSHAKES_MAX
        if crowded:
            self.count("refused")
            log.warning("connection from {peer} refused: too many connections", peer=peer)
            self._turn_away(accepted)
            return
        thread = Thread(target=self._run, args=(accepted, number, peer), name=f"l3book-session-{number}", daemon=True)
        with self._lock:
            self._connections[number] = thread
        try:
            thread.start()
        except RuntimeError as error:
            # The text is the whole story.
            log.error("connection from {peer} refused: {error}", peer=peer, error=error)  # noqa: TRY400
            with self._lock:
                del self._connections[number]
                self.totals["refused"] += 1
            self._turn_away(accepted)

    def _turn_away(self, accepted: socket.socket) -> None:
        with accepted:
            accepted.setblocking(False)
            if self.options.protocol == "lsg":
                try:
                    accepted.send(refusal("Too many connections"))
                except OSError as error:
                    log.debug("a refused client did not take the reason: {error}", error=error)

    def _run(self, accepted: socket.socket, number: int, peer: str) -> None:
        place = Place(self, number, peer)
        session: Session | None = None
        try:
            connection = Connection(accepted, self.stop_signal)
            if self.options.protocol == "raw":
                session = RawSession(connection, place)
            else:
                session = LsgSession(connection, place, self._keys, self.dataset)
            session.run()
        # One session's trouble must not end the others; a panic in Rust is a BaseException.
        except BaseException:
            log.exception("session {session} ({peer}) failed", session=number, peer=peer)
        finally:
            accepted.close()
            self._ended(place, session)

    def _ended(self, place: Place, session: Session | None) -> None:
        elapsed_s = (time.monotonic_ns() - place.connected_ns) / NS_PER_S
        if session is not None:
            session.log(
                logging.INFO,
                "ended: {reason}; {records} records, {bytes} bytes, {elapsed_s:.1f} s",
                reason=session.end_reason or "failed",
                records=session.records,
                bytes=session.outlet.sent_bytes,
                elapsed_s=elapsed_s,
            )
        with self._lock:
            del self._connections[place.number]
            if place.is_admitted:
                self._open_sessions -= 1
            self.totals["sessions" if place.is_admitted else "refused"] += 1
            if session is not None:
                self.totals["records"] += session.records
                self.totals["bytes"] += session.outlet.sent_bytes
                for kind, times in (session.faults or {}).items():
                    self.totals[f"fault {kind}"] += times

    def _end(self) -> None:
        deadline_s = time.monotonic() + JOIN_TIMEOUT_S
        with self._lock:
            threads = list(self._connections.values())
        for thread in threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        late = sum(thread.is_alive() for thread in threads)
        if late:
            log.error("{late} sessions did not end within {timeout_s:g} s", late=late, timeout_s=JOIN_TIMEOUT_S)
        else:
            self.stop_signal.close()
