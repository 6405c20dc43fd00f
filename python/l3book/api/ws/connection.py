"""The connection below a WebSocket: uvicorn's, with bounds on everything that a peer can make grow or wait.

uvicorn lets a peer that does not read keep a connection for ever (`transport.close` waits until all is written), has
pongs pile up for it, gathers fragments without counting them, and parses whatever one read brought in one go. And
its `send` waits inside, so that nobody sees whether a client keeps up.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from asyncio.transports import BaseTransport
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from l3book.api.problems import MEDIA_TYPE, Problem, body
from l3book.api.ws.outlet import SCOPE_KEY

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
    from uvicorn.server import ServerState
    from websockets.frames import Frame
    from websockets.typing import StatusLike

    from l3book.api.http_protocol import ServerConfig

CLOSE_TIMEOUT_S = 3.0
"""A peer that was told good-bye gets so long to say it too; less than what a server that ends waits for connections."""
WRITE_BUFFER_BYTES_MAX = 32_768
UNSENT_BYTES_MAX = 32_768
"""In the kernel. Both are small, so that a client that does not keep up is noticed while what it misses is recent."""
PARSE_BYTES_MAX = 4096
"""Parsed between two turns of the event loop: it may be hundreds of frames."""
FRAGMENTS_MAX = 1024
"""Of one message; they may be empty, and so are not bounded by its size."""

_CODES = {
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "headers_too_large",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "shutting_down",
}
"""Of refusals by websockets and of our own; all others are bad_handshake."""


class Handshake(ServerProtocol):
    """Says why there will be no WebSocket as all of the API says it: by a problem."""

    _path = ""

    def accept(self, request: Request) -> Response:
        """As websockets does."""
        self._path = request.path.partition("?")[0]
        return super().accept(request)

    def reject(self, status: "StatusLike", text: str) -> Response:
        """Refuse with a problem."""
        status = HTTPStatus(status)
        detail = text.strip() or f"expected a WebSocket handshake (RFC 6455): {status.phrase}"
        # The URI is a part of the head like any other.
        if status == HTTPStatus.REQUEST_URI_TOO_LONG:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        code = _CODES.get(status, "bad_handshake")
        response = super().reject(status, body(Problem(status, code, detail), self._path).decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = MEDIA_TYPE
        response.headers["Cache-Control"] = "no-store"
        return response


class Connection(WebSocketsSansIOProtocol):
    """One connection, and the `Outlet` of its socket."""

    config: "ServerConfig"

    def __init__(
        self,
        config: "ServerConfig",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = Handshake(max_size=config.ws_max_size, logger=logging.getLogger("uvicorn.error"))
        self._unparsed = bytearray()
        self._parser: asyncio.Handle | None = None
        self._owed_pong = b""
        self._cut_off: asyncio.TimerHandle | None = None

    # The outlet.

    @property
    def is_over(self) -> bool:
        """Whether nothing can be written any more."""
        return self.close_sent or self.disconnected or self.transport.is_closing()

    @property
    def is_writable(self) -> bool:
        """Whether there is room for a frame now."""
        return self.writable.is_set() and not self.is_over

    def write(self, frame: bytes) -> None:
        """Write a whole frame."""
        self.transport.write(frame)

    async def wait_until_writable(self) -> None:
        """Wait for room, or for the end."""
        await self.writable.wait()

    def end(self, code: int, reason: str) -> None:
        """Close with a code, whether the peer reads or not."""
        if self.is_over:
            return
        self.conn.send_close(code, reason)
        self._say_goodbye(code, reason)

    # Between asyncio and uvicorn.

    def connection_made(self, transport: BaseTransport) -> None:
        """Take over from HTTP."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        # Not on every platform, and of no use for others than TCP.
        with contextlib.suppress(OSError, AttributeError):
            if sys.platform != "win32":
                raw = transport.get_extra_info("socket")
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the peer."""
        super().connection_lost(exc)
        self.config.connections.leave(self.transport)
        self._unparsed.clear()
        for handle in (self._parser, self._cut_off):
            if handle is not None:
                handle.cancel()

    def resume_writing(self) -> None:
        """Go on, first with what a ping is owed."""
        if self._owed_pong:
            self.transport.write(self._owed_pong)
            self._owed_pong = b""
        super().resume_writing()

    def eof_received(self) -> None:
        """Let asyncio close: the peer has said all it will."""
        self._cut_off_later()

    def data_received(self, data: bytes) -> None:
        """Parse a little now, the rest in later turns of the event loop."""
        self._unparsed += data
        if self._parser is None:
            self._parse()

    def _parse(self) -> None:
        self._parser = None
        if self.disconnected:
            return
        # Can change meanwhile.
        self.conn.max_message_size = self.config.ws_max_size
        part = bytes(self._unparsed[:PARSE_BYTES_MAX])
        del self._unparsed[:PARSE_BYTES_MAX]
        super().data_received(part)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            expected = "expected GET, at most 128 header fields, and lines of at most 8192 bytes"
            refusal = (
                b"".join(self.conn.data_to_send()) or self.conn.reject(HTTPStatus.BAD_REQUEST, expected).serialize()
            )
            self.transport.write(refusal)
            self.transport.close()
        if self.transport.is_closing():
            self._cut_off_later()
        elif self.queue.empty() or self.close_sent:
            self._go_on_reading()

    def _pause(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _go_on_reading(self) -> None:
        if self._unparsed:
            self._pause()
            if self._parser is None:
                self._parser = self.loop.call_soon(self._parse)
        elif self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    # What came in.

    def handle_connect(self, event: Request) -> None:
        """Start the application, and give it the outlet."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            cast("dict[str, Any]", self.scope)[SCOPE_KEY] = self

    def handle_cont(self, event: "Frame") -> None:
        """Add a fragment, unless there are too many."""
        if self.close_sent:
            self.frames.clear()
        elif len(self.frames) >= FRAGMENTS_MAX:
            self.end(CloseCode.MESSAGE_TOO_BIG, f"more than {FRAGMENTS_MAX} fragments")
        else:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer now, or, where the peer does not read, once it does: the last ping only (RFC 6455, 5.5.3)."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)
        else:
            self._owed_pong = pong

    def send_receive_event_to_app(self) -> None:
        """Hand over a message. Reading waits until it has been taken."""
        data = b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        else:
            try:
                self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
            except UnicodeDecodeError:
                self.end(CloseCode.INVALID_DATA, "a text message that is not UTF-8")
                return
        self._pause()

    def handle_parser_exception(self) -> None:
        """Say what was wrong, and go on reading, or the peer would get a reset instead of the close frame."""
        output = b"".join(self.conn.data_to_send())
        if self._cut_off is not None and self.close_sent:
            return
        close = self.conn.close_sent
        self.transport.write(output)
        self._say_goodbye(*((close.code, close.reason) if close else (CloseCode.PROTOCOL_ERROR, "")))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    # The application's side.

    async def receive(self) -> "ASGIReceiveEvent":
        """Take the next message; the one after it is read when all have been taken."""
        message = await self.queue.get()
        if self.queue.empty():
            self._go_on_reading()
        return message

    async def send(self, message: "ASGISendEvent") -> None:
        """As uvicorn does, but close without waiting for the peer."""
        if message["type"] == "websocket.close" and self.handshake_complete:
            self.end(message.get("code", 1000), message.get("reason") or "")
            return
        if message["type"] == "websocket.http.response.start":
            message["headers"] = [*self.default_headers, *message["headers"]]
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # Otherwise uvicorn would log that there was no answer.
            self.handshake_complete = True
        if self.transport.is_closing():
            self._cut_off_later()

    async def run_asgi(self) -> None:
        """As uvicorn does, and see to it that the connection ends with the application."""
        await super().run_asgi()
        self._cut_off_later()

    def keepalive_timeout(self) -> None:
        """As uvicorn does."""
        super().keepalive_timeout()
        self._cut_off_later()

    def shutdown(self) -> None:
        """End the socket because the server ends."""
        self.stop_keepalive()
        if self.handshake_complete:
            self.end(CloseCode.SERVICE_RESTART, "the server is shutting down")
        elif not self.initial_response:
            self.conn.send_response(self.conn.reject(HTTPStatus.SERVICE_UNAVAILABLE, "the server is shutting down"))
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
        self._cut_off_later()

    def _say_goodbye(self, code: int, reason: str) -> None:
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        # Nobody waits for room any more, and the peer's answer has to be read.
        self.writable.set()
        self._unparsed.clear()
        self._go_on_reading()
        self._cut_off_later()
        # Where there is a timer, uvicorn does not close before the peer has answered.
        self.close_timer = self._cut_off

    def _cut_off_later(self) -> None:
        if (self._cut_off is None or self._cut_off.cancelled()) and not self.disconnected:
            self._cut_off = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)
