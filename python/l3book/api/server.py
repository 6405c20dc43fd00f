"""The HTTP server: its socket, its signals, its end."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

log = logging.getLogger(__name__)

LISTEN_BACKLOG = 2048
KEEP_ALIVE_TIMEOUT_S = 75
"""Longer than the pause between two polls of the page, so that a page stays on one connection."""
REQUESTS_DRAIN_TIMEOUT_S = 5
"""Requests under way at shutdown get this long to finish."""

# On every answer. The page needs nothing that does not come from this server.
_SECURITY_HEADERS = [
    (
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]


class ListenError(Exception):
    """The address cannot be served; the text says which and why."""


class PortInUseError(ListenError):
    """Somebody listens there already, perhaps another l3book."""


def listen(host: str, port: int, *, allow_unauthenticated: bool) -> socket.socket:
    """Open a listening socket. Raises ListenError, whose text is ready for the user."""
    where = f"{_bracketed(host)}:{port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
    except (OSError, UnicodeError) as error:
        raise ListenError(f"{where}: cannot resolve the host: {error}: expected a name or an address") from None
    if not allow_unauthenticated and not _is_loopback(str(address[0])):
        raise ListenError(
            f"{where}: not a loopback address, and the server asks nobody who they are: expected 127.0.0.1, "
            "or L3BOOK_ALLOW_UNAUTHENTICATED=1 to serve everybody who can reach it"
        )
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Otherwise a restart would have to wait for the connections of the last run to be forgotten. On
        # Windows the option means something else: it would let two servers share the port.
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(f"{where}: the port is in use: expected a free one (--port, 0 picks one)") from None
        raise ListenError(f"{where}: cannot listen: {error.strerror or error}") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Tell the URL a listening socket is reached by."""
    host, port = listener.getsockname()[:2]
    return f"http://{_bracketed(host)}:{port}"


def is_public(listener: socket.socket) -> bool:
    """Tell whether others than this machine can reach a listening socket."""
    return not _is_loopback(str(listener.getsockname()[0]))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


class Server(uvicorn.Server):
    """uvicorn on a socket of ours; it tells when it accepts connections, and leaves signals to `Shutdown`."""

    def __init__(self, app: ASGIApp, listener: socket.socket, on_accepting: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            headers=_SECURITY_HEADERS,
            backlog=LISTEN_BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_TIMEOUT_S,
            timeout_graceful_shutdown=REQUESTS_DRAIN_TIMEOUT_S,
        )
        super().__init__(config)
        self._listener = listener
        self._on_accepting = on_accepting

    def serve_until_shutdown(self) -> None:
        """Run an event loop until `should_exit`."""
        with asyncio.Runner(loop_factory=self.config.get_loop_factory()) as runner:
            runner.run(self.serve(sockets=[self._listener]))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, then tell."""
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._on_accepting()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: uvicorn would end the process by the signal, not with exit code 0."""
        yield


class Shutdown:
    """SIGINT and SIGTERM: the first ends the server in order, a second one at once."""

    def __init__(self) -> None:
        self.requested = False
        self._callbacks: list[Callable[[], None]] = []

    def install(self) -> None:
        """Take over the signals, for the rest of the process."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def call(self, callback: Callable[[], None]) -> None:
        """Have it called at the first signal, or now if that has come; twice, if that comes this moment."""
        # In this order: a signal between a look at `requested` and the append would call nobody.
        self._callbacks.append(callback)
        if self.requested:
            callback()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.requested:
            os.write(sys.stderr.fileno(), b"l3book: a second signal: ending at once\n")
            os._exit(128 + number)
        self.requested = True
        for callback in self._callbacks:
            callback()
