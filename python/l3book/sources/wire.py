"""The receiving end of a TCP connection: a large buffer, the clock of the last bytes, and how it ended."""

import asyncio
import os
import socket
import sys
from contextlib import suppress

from l3book.sources.connection import ConnectionLost, Receive

READ_BYTES = 512 * 1024
"""Read at once, at most. The next read waits until these are applied: more than this is never held here, and what
has not been read yet fills the kernel's buffer, then the sender's, until the sender waits."""
CONNECT_TIMEOUT_S = 10.0
KEEPALIVE_IDLE_S = 30
KEEPALIVE_INTERVAL_S = 10
KEEPALIVE_PROBES = 3
"""A peer whose machine is gone is noticed after a minute, even where nothing else would tell."""


class Wire:
    """One connection's bytes on their way to a receiver."""

    def __init__(self, receive: Receive) -> None:
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._transport: asyncio.Transport | None = None
        self.buffer = memoryview(bytearray(READ_BYTES))
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.received_at_s = self._loop.time()

    def connected(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # TCP has no other
        self._transport = transport
        keep_alive(transport.get_extra_info("socket"))

    def take(self, read_bytes: int) -> None:
        """Hand on what lies in the buffer; an error of the receiver ends the connection."""
        self.received_at_s = self._loop.time()
        try:
            self._receive(self.buffer[:read_bytes])
        # Whatever it was, also a panic in Rust: whoever waits for the end has to hear of it.
        except BaseException as error:  # noqa: BLE001
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the connection by an error, unless it has ended already."""
        if not self.ended.done():
            self.ended.set_exception(error)
            # It is awaited only by those who came as far as that.
            self.ended.exception()
        self.abort()

    def lost(self, error: Exception | None) -> None:
        """Say that the transport has closed: in order, or by an error."""
        if error is not None:
            self.fail(lost_by(error))
        elif not self.ended.done():
            self.ended.set_result(None)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def bytes_waiting(self) -> int:
        """Bytes that the kernel holds for us."""
        if self._transport is None or self._transport.is_closing() or sys.platform == "win32":
            return 0
        import fcntl
        import termios

        held = bytearray(4)
        with suppress(OSError):
            fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.FIONREAD, held)
        return int.from_bytes(held, sys.byteorder)


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel ask now and then whether the peer is still there."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def lost_by(error: BaseException, where: str = "") -> ConnectionLost:
    """Put an error of the operating system into our words."""
    known: dict[type[BaseException], str] = {
        ConnectionResetError: "reset",
        BrokenPipeError: "reset",
        ConnectionAbortedError: "reset",
        ConnectionRefusedError: "refused",
        TimeoutError: "timeout",
        socket.gaierror: "name",
    }
    kind = next((kind for type_, kind in known.items() if isinstance(error, type_)), "network")
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        text = os.strerror(error.errno)
    return ConnectionLost(kind, f"{where}: {text}" if where else text)
