"""The HTTP server: on a socket that is given to it, until it is told to end."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from l3book.api.http_protocol import HttpProtocol
from l3book.api.ws.connection import Connection
from l3book.listening import LISTEN_BACKLOG

KEEP_ALIVE_TIMEOUT_S = 75
"""Longer than the pause between two polls of the page, so that a page stays on one connection."""
PING_INTERVAL_S = 20.0
PING_TIMEOUT_S = 20.0
"""A WebSocket whose peer answers no ping for so long is closed with 1011."""
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


class Server(uvicorn.Server):
    """uvicorn on a socket of ours; it tells when it accepts connections, and leaves signals to `Shutdown`."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, on_accepting: Callable[[], None], message_bytes_max: int
    ) -> None:
        config = uvicorn.Config(
            app,
            http=HttpProtocol,
            ws=Connection,
            ws_max_size=message_bytes_max,
            ws_per_message_deflate=False,
            ws_ping_interval=PING_INTERVAL_S,
            ws_ping_timeout=PING_TIMEOUT_S,
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
