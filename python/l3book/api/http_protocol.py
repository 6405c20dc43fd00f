"""HTTP/1.1 below the application, with an end to waiting, and problems where bytes are no request.

uvicorn waits for ever for the rest of a request, takes a head of any length, and says what it refuses in plain text.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from l3book.access.connections import Connections
from l3book.api.problems import MEDIA_TYPE, Problem, body, new_id

FIELD_BYTES_MAX = 65_536
"""Of a request: its first line and header fields, or its trailers. What came with the last read is let pass."""
INSTANCE_CHARACTERS_MAX = 256
_URI_CHARACTERS = "/%:@!$&'()*+,;=~-._"


class ServerConfig(uvicorn.Config):
    """uvicorn's, and the time-outs that it does not have, which may change at any time; and all open connections."""

    header_timeout_s: float
    body_timeout_s: float
    read_timeout_s: float
    connections: Connections


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes a connection whose client does not go on. Its own answers are problems.

    One timer for whatever is waited for: a head, from the connection or the first byte on, then a body. It is let be
    while the server itself is what holds things up.
    """

    config: ServerConfig

    def __init__(self, config: ServerConfig, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._field_bytes = 0
        self._is_in_head = False
        self._has_got_on = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a head from now on, not for ever, if there is a place."""
        super().connection_made(transport)
        problem = self.config.connections.enter(transport, self.client[0] if self.client else "")
        if problem is None:
            self._wait_for_head()
        else:
            transport.write(self._refusal(problem))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        self._stop_stalling()
        self.config.connections.leave(self.transport)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the client to read, not for ever."""
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        """Go on."""
        self._stop_stalling()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Line breaks before a request are no request, but end uvicorn's wait for one."""
        if self._timer is None and self._is_idle():
            self._wait_for_head()
        self._has_got_on = False
        super().data_received(data)
        # What brings neither the end of a head, nor a piece of body, nor the end of a message is fields.
        self._field_bytes = 0 if self._has_got_on else self._field_bytes + len(data)
        if self._field_bytes > FIELD_BYTES_MAX and not self.transport.is_closing():
            detail = f"address and headers, or trailers, are longer than {FIELD_BYTES_MAX} bytes"
            self._refuse(Problem(431, "headers_too_large", detail))

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could make nothing of. `msg` says no more than that, and is left out."""
        del msg
        detail = "expected HTTP/1.1: a method, an address of printable ASCII, and headers, as RFC 9112 has them"
        self.config.connections.counts.bad_requests += 1
        self.transport.write(self._refusal(Problem(400, "bad_request", detail)))
        self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to another protocol."""
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Head."""
        self._is_in_head = True
        if self._timer is None:
            self._wait_for_head()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head. Trailers are let go: uvicorn would add any number to a head long acted on."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Body, if there is one: else the message is complete before the next byte is read."""
        self._is_in_head = False
        self._has_got_on = True
        self.config.connections.set_busy(self.transport)
        self._wait(self.config.body_timeout_s, self._on_body_timeout)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """More of the body."""
        self._has_got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Nothing more is waited for."""
        self._has_got_on = True
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, if there is one."""
        if not self.pipeline:
            self.config.connections.set_idle(self.transport)
        super().on_response_complete()

    def _should_upgrade(self) -> bool:
        """As uvicorn does, but not for HTTP/1.0, which knows no upgrades (RFC 9110, 7.8)."""
        return super()._should_upgrade() and self.parser.get_http_version() == "1.1"

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a client may offer any protocol, and a server need not take it."""

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._wait(self.config.header_timeout_s, self._on_head_timeout)

    def _wait(self, timeout_s: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(timeout_s, then)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_head_timeout(self) -> None:
        if not self._is_idle():
            # Of a request before this one: its answer must not be cut.
            self._wait_for_head()
        elif self._is_in_head:
            detail = f"the request's head was not whole after {self.config.header_timeout_s:g} s"
            self._refuse(Problem(408, "request_timeout", detail))
        else:
            self._stop_waiting()
            self.transport.close()

    def _on_body_timeout(self) -> None:
        if self.flow.read_paused or self.cycle is None or not self.cycle.response_started:
            # The body waits for us, not we for it; or whoever reads it has a time-out too, and says so (access/bodies).
            self._wait(self.config.body_timeout_s, self._on_body_timeout)
        else:
            self._end()

    def _watch_stall(self) -> None:
        self._stop_stalling()
        unsent = self.transport.get_write_buffer_size()
        self._stall_timer = self.loop.call_later(self.config.read_timeout_s, self._on_stall, unsent)

    def _stop_stalling(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _on_stall(self, unsent: int) -> None:
        if self.transport.get_write_buffer_size() < unsent:
            self._watch_stall()
        else:
            self.config.connections.counts.stalled += 1
            self.transport.abort()

    def _refuse(self, problem: Problem) -> None:
        """Answer, unless an answer has begun, and close."""
        self.config.connections.counts.bad_requests += 1
        if self.cycle is None or not self.cycle.response_started or (self._is_in_head and self._is_idle()):
            self.transport.write(self._refusal(problem))
        self._end()

    def _end(self) -> None:
        """Close; whoever works on the request sees a disconnection."""
        self._stop_waiting()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _refusal(self, problem: Problem) -> bytes:
        """Write an answer after which the connection is closed; to be sent only where none has begun."""
        path = getattr(self, "url", b"").partition(b"?")[0][:INSTANCE_CHARACTERS_MAX]
        # Not known before its headers are read, so that it goes by an id of its own.
        made = new_id()
        content = body(problem, quote(path, _URI_CHARACTERS) or "/", made)
        lines = [
            *(b"%s: %s" % field for field in self.server_state.default_headers),
            b"content-type: " + MEDIA_TYPE.encode(),
            b"content-length: %d" % len(content),
            b"cache-control: no-store",
            *(b"%s: %s" % (name.lower().encode(), value.encode()) for name, value in (problem.headers or {}).items()),
            b"x-request-id: " + made.encode(),
            b"connection: close",
        ]
        return STATUS_LINE[problem.status] + b"\r\n".join(lines) + b"\r\n\r\n" + content
