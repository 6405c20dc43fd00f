"""What waits to be sent to one client, later and slower if faults ask for it."""

import socket
from collections import deque
from random import Random

from l3book.sources.pacing import NS_PER_S

DELAYED_BYTES_MAX = 16 * 1024 * 1024
"""With added latency bytes wait here; beyond this the tape waits."""
THROTTLE_SLICES_PER_S = 100


class Outlet:
    """Bytes in order, each piece from its time on. Without added latency it holds one piece, and asks for no more."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._pieces: deque[tuple[int, memoryview]] = deque()
        self._latency_ns = 0
        self._jitter_ns = 0
        self._rng: Random | None = None
        self._bytes_per_s = 0
        self._free_ns = 0
        self._last_release_ns = 0
        self.waiting_bytes = 0
        self.sent_bytes = 0
        self.sent_ns = 0
        """When something was sent last."""
        self.is_blocked = False
        """The client does not read: wait until the socket is writable."""

    def delay(self, latency_ns: int, jitter_ns: int, rng: Random) -> None:
        """Send everything later."""
        self._latency_ns, self._jitter_ns, self._rng = latency_ns, jitter_ns, rng

    def throttle(self, bytes_per_s: int) -> None:
        """Send no more than this."""
        self._bytes_per_s = bytes_per_s

    @property
    def is_full(self) -> bool:
        """Whether to wait with the next piece."""
        return self.waiting_bytes >= (DELAYED_BYTES_MAX if self._latency_ns else 1)

    def put(self, data: bytes, now_ns: int) -> None:
        """Add a piece."""
        if not data:
            return
        release_ns = 0
        if self._latency_ns:
            release_ns = now_ns + self._latency_ns + (self._rng.randint(0, self._jitter_ns) if self._rng else 0)
            # A stream keeps its order, so a piece waits for the one before it.
            release_ns = self._last_release_ns = max(release_ns, self._last_release_ns)
        self._pieces.append((release_ns, memoryview(data)))
        self.waiting_bytes += len(data)

    def flush(self, now_ns: int) -> None:
        """Send what may be sent now. Raises OSError when the connection is gone."""
        self.is_blocked = False
        while self._pieces:
            release_ns, piece = self._pieces[0]
            if release_ns > now_ns or self._free_ns > now_ns:
                return
            part = piece[: max(1, self._bytes_per_s // THROTTLE_SLICES_PER_S)] if self._bytes_per_s else piece
            try:
                sent = self._connection.send(part)
            except BlockingIOError:
                self.is_blocked = True
                return
            self.sent_bytes += sent
            self.sent_ns = now_ns
            self.waiting_bytes -= sent
            if sent == len(piece):
                self._pieces.popleft()
            else:
                self._pieces[0] = (release_ns, piece[sent:])
            if self._bytes_per_s:
                # Waking late by a slice is made up for; a pause is not.
                earliest_ns = now_ns - NS_PER_S // THROTTLE_SLICES_PER_S
                self._free_ns = max(self._free_ns, earliest_ns) + sent * NS_PER_S // self._bytes_per_s

    def wait_ns(self, now_ns: int) -> int | None:
        """Time until something may be sent; None: nothing waits, or only for the client."""
        if not self._pieces or self.is_blocked:
            return None
        return max(0, self._pieces[0][0] - now_ns, self._free_ns - now_ns)
