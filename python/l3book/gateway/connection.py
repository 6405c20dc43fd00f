"""One client's socket: non-blocking, woken by the client, by time, or by the end of the gateway."""

import contextlib
import select
import socket
import struct
import sys
import time
from typing import NamedTuple

from l3book.gateway.polling import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, Poll
from l3book.sources.pacing import NS_PER_S

RECEIVE_BYTES_MAX = 64 * 1024
WAIT_NS_MAX = 60 * NS_PER_S
NS_PER_MS = 1_000_000
RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Ready(NamedTuple):
    """What a wait was ended by."""

    readable: bool
    gone: bool
    """The client reset the connection, or closed it altogether."""


class StopSignal:
    """Wakes everybody who polls its file descriptor, for good."""

    def __init__(self) -> None:
        # Not a pipe: Windows waits for sockets only.
        self._reading, self._writing = socket.socketpair()
        self.is_set = False

    def set(self) -> None:
        """Wake all; also from a signal handler, and twice."""
        if not self.is_set:
            self.is_set = True
            self._writing.send(b"\0")

    def wait(self, timeout_s: float) -> None:
        """Wait until it is set, or for the time."""
        select.select([self._reading], [], [], timeout_s)

    def fileno(self) -> int:
        """Readable once it is set."""
        return self._reading.fileno()

    def close(self) -> None:
        """Give the descriptors back; nobody may poll any more."""
        self._reading.close()
        self._writing.close()


class Connection:
    """A connected socket of ours to wait on, receive from and end."""

    def __init__(self, connection: socket.socket, stop: StopSignal) -> None:
        self.socket = connection
        self._stop = stop
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._poll = Poll()
        self._poll.register(stop.fileno(), POLLIN)
        self._mask = -1
        self.outlasts_stop = False

    def wait(self, *, read: bool, write: bool, timeout_ns: int | None, peer_end: bool = False) -> Ready:
        """Wait for the client, the end of the gateway or the time; `peer_end`: also for the client to be gone."""
        mask = POLLIN * read | POLLOUT * write | POLLRDHUP * peer_end
        if mask != self._mask:
            self._poll.register(self.socket, mask)
            self._mask = mask
        timeout_ns = min(WAIT_NS_MAX if timeout_ns is None else timeout_ns, WAIT_NS_MAX)
        # Rounded up: a wait that ends too early would be repeated until the millisecond is over.
        events = dict(self._poll.poll(-(-timeout_ns // NS_PER_MS)))
        seen = events.get(self.socket.fileno(), 0)
        gone = bool(seen & (POLLHUP | POLLERR | POLLRDHUP))
        # Whoever reads then meets the error itself.
        return Ready(bool(seen & POLLIN) or gone, gone)

    @property
    def is_stopping(self) -> bool:
        """Whether the gateway ends."""
        return self._stop.is_set

    def outlast_stop(self) -> None:
        """Be woken by the end of the gateway no more: it has come, and every wait would be over at once."""
        self.outlasts_stop = True
        self._poll.unregister(self._stop.fileno())

    def receive(self, bytes_max: int = RECEIVE_BYTES_MAX) -> bytes | None:
        """Return what has come; b"" when the client ended its side, None when nothing is there."""
        try:
            return self.socket.recv(bytes_max)
        except BlockingIOError:
            return None

    def send_all(self, data: bytes, timeout_s: float) -> None:
        """Send a short answer. Raises OSError, TimeoutError among them, when that cannot be done."""
        deadline_ns = time.monotonic_ns() + int(timeout_s * NS_PER_S)
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.socket.send(rest) :]
            except BlockingIOError:
                left_ns = deadline_ns - time.monotonic_ns()
                if left_ns <= 0 or self._stop.is_set:
                    raise TimeoutError("the client does not read") from None
                self.wait(read=False, write=True, timeout_ns=left_ns)

    def finish(self, drain_s: float) -> None:
        """End our side and wait for the client to end its own, so that it gets all that was sent.

        Closing a socket with unread input resets the connection, and what is on its way is lost.
        """
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            self._drain(drain_s)
        self.socket.close()

    def reset(self) -> None:
        """Close without any order: the client gets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.socket.close()

    def _drain(self, drain_s: float) -> None:
        deadline_ns = time.monotonic_ns() + int(drain_s * NS_PER_S)
        poll = Poll()
        poll.register(self.socket, POLLIN)
        while (left_ns := deadline_ns - time.monotonic_ns()) > 0:
            # In short turns: the gateway may come to its end meanwhile, and that waits for nobody for long.
            if poll.poll(min(left_ns // NS_PER_MS + 1, 200)) and not self.socket.recv(RECEIVE_BYTES_MAX):
                return
            if self._stop.is_set:
                deadline_ns = min(deadline_ns, time.monotonic_ns() + NS_PER_S)
