"""A span for each request and handshake; outside of all other layers, and only there where traces are wanted."""

from typing import TYPE_CHECKING

from opentelemetry.context import attach, detach
from opentelemetry.trace import (
    Span,
    SpanContext,
    Status,
    StatusCode,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from l3book.api.problems import instance
from l3book.api.request_counts import OTHER, route_of
from l3book.logs import REQUEST_ID, SPAN_ID
from l3book.tracing.spans import fail

if TYPE_CHECKING:
    from l3book.tracing.spans import Tracing

# What ends the span of a handshake: a socket that lasts for hours would be told of only then.
_ANSWERS = {"http.response.start": "status", "websocket.http.response.start": "status", "websocket.accept": None}
SWITCHING_PROTOCOLS = 101


class TraceRequests:
    """Begins the span below the caller's, and hands on a `traceparent` that names it: ids are taken from that.

    What a socket does later has spans of its own below that of its handshake.
    """

    def __init__(self, app: ASGIApp, tracing: "Tracing") -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        is_socket = scope["type"] == "websocket"
        method = "GET" if is_socket else scope["method"]
        span = self._tracing.request_span(method, _callers(scope), _attributes(scope, method))
        _hand_on(scope, span.get_span_context())

        async def send_and_look(message: Message) -> None:
            if message["type"] in _ANSWERS:
                name = _ANSWERS[message["type"]]
                _answered(span, scope, SWITCHING_PROTOCOLS if name is None else message[name])
                if is_socket:
                    span.end()
            await send(message)

        token = attach(set_span_in_context(span))
        try:
            await self._app(scope, receive, send_and_look)
        except Exception as error:
            fail(span, error)
            raise
        finally:
            detach(token)
            span.end()


def _callers(scope: Scope) -> dict[str, str]:
    """Take what the caller tells of its trace; of each the first, as everywhere here."""
    told: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name in {b"traceparent", b"tracestate"}:
            told.setdefault(name.decode(), value.decode("latin-1"))
    return told


def _attributes(scope: Scope, method: str) -> dict[str, str]:
    """Say what is known before anything is decided, by OpenTelemetry's names. No query: it may hold anything."""
    client = scope.get("client")
    return {
        "http.request.method": method,
        "url.path": instance(scope),
        "url.scheme": scope["scheme"],
        **({"client.address": client[0]} if client else {}),
    }


def _hand_on(scope: Scope, context: SpanContext) -> None:
    trace_id, span_id = format_trace_id(context.trace_id), format_span_id(context.span_id)
    own = f"00-{trace_id}-{span_id}-{int(context.trace_flags):02x}".encode()
    others = (field for field in scope["headers"] if field[0] != b"traceparent")
    scope["headers"] = [(b"traceparent", own), *others]
    scope[SPAN_ID] = span_id


def _answered(span: Span, scope: Scope, status: int) -> None:
    """Say what has become of it, and which of the routes it was."""
    if not span.is_recording():
        return
    route = route_of(scope)
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("l3book.request_id", scope.get(REQUEST_ID, ""))
    if route != OTHER:
        span.update_name(f"{scope.get('method', 'WEBSOCKET')} {route}")
        span.set_attribute("http.route", route)
    if instrument := scope.get("path_params", {}).get("instrument"):
        span.set_attribute("l3book.instrument", str(instrument))
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))
