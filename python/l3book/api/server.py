"""The HTTP server: on a socket that is given to it, until it is told to end."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from l3book.access.connections import Connections
from l3book.api.http_protocol import HttpProtocol, ServerConfig
from l3book.api.ws.connection import Connection
from l3book.config import Settings
from l3book.listening import LISTEN_BACKLOG
from l3book.logs import Logger
from l3book.tls import TlsError, load_certificate

KEEP_ALIVE_TIMEOUT_S = 75
"""Longer than the pause between two polls of the page, so that a page stays on one connection."""
PING_INTERVAL_S = 20.0
PING_TIMEOUT_S = 20.0
"""A WebSocket whose peer answers no ping for so long is closed with 1011."""

# On every answer. The page needs nothing that does not come from this server.
_SECURITY_HEADERS = [
    (
        "Content-Security-Policy",
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]
_TLS_HEADERS = [("Strict-Transport-Security", "max-age=31536000")]
"""A browser that has been here once never comes without TLS again. Of this name only: others are not ours to bind."""

log = Logger(__name__)


class Server(uvicorn.Server):
    """uvicorn on a socket of ours; it tells when it accepts connections, and leaves signals to `Shutdown`."""

    config: ServerConfig

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        settings: Settings,
        connections: Connections,
        *,
        on_accepting: Callable[[], None],
        on_tick: Callable[[], Awaitable[None]],
    ) -> None:
        """`on_tick` is awaited on the event loop ten times a second."""
        config = ServerConfig(
            app,
            http=HttpProtocol,
            ws=Connection,
            ws_max_size=settings.message_bytes_max,
            ws_per_message_deflate=False,
            ws_ping_interval=PING_INTERVAL_S,
            ws_ping_timeout=PING_TIMEOUT_S,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            headers=[*_SECURITY_HEADERS, *(_TLS_HEADERS if settings.tls_cert else [])],
            backlog=LISTEN_BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_TIMEOUT_S,
            timeout_graceful_shutdown=settings.shutdown_timeout_s,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
        config.connections = connections
        super().__init__(config)
        self._settings = settings
        self._listener = listener
        self._on_accepting = on_accepting
        self._on_tick = on_tick
        self._exit_at_s: float | None = None
        self.take_over(settings)

    def take_over(self, settings: Settings) -> None:
        """Use what can change while it runs: time-outs, and what the certificate's files hold now."""
        self.config.header_timeout_s = settings.request_header_timeout_s
        self.config.body_timeout_s = settings.request_body_timeout_s
        self.config.read_timeout_s = settings.slow_consumer_timeout_s
        self.config.ws_max_size = settings.message_bytes_max
        if self.config.loaded and self.config.ssl and settings.tls_cert and settings.tls_key:
            try:
                load_certificate(self.config.ssl, settings.tls_cert, settings.tls_key)
            except TlsError as error:
                log.error("the old certificate stays: {error}", error=error)  # noqa: TRY400  # the text is the whole story

    def serve_until_shutdown(self) -> None:
        """Run an event loop until `begin_shutdown`, and until what is under way then has ended."""
        factory = self.config.get_loop_factory()
        with asyncio.Runner(loop_factory=factory, debug=self._settings.debug or None) as runner:
            runner.run(self.serve(sockets=[self._listener]))

    def begin_shutdown(self) -> None:
        """End, once load balancers have had the time to see that it is not ready. Callable from a signal handler."""
        if self.started and self._settings.drain_delay_s:
            self._exit_at_s = time.monotonic() + self._settings.drain_delay_s
        else:
            self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, but wait for a TLS handshake no longer than for a head; then tell."""
        del sockets
        # Of the lifespan of the application, which is off, nothing is needed.
        handshake_timeout_s = self._settings.request_header_timeout_s if self.config.ssl else None
        server = await asyncio.get_running_loop().create_server(
            self._protocol,
            sock=self._listener,
            ssl=self.config.ssl,
            backlog=self.config.backlog,
            ssl_handshake_timeout=handshake_timeout_s,
        )
        self.servers = [server]
        self.started = True
        if not self.should_exit:
            self._on_accepting()

    def _protocol(self) -> HttpProtocol:
        return HttpProtocol(self.config, self.server_state, self.lifespan.state)

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn does, ten times a second; -> whether to end."""
        await self._on_tick()
        if self._exit_at_s is not None and time.monotonic() >= self._exit_at_s:
            self.should_exit = True
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: uvicorn would end the process by the signal, not with exit code 0."""
        yield
