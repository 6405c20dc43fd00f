"""How many requests there were and how long they took, by route; outside of all other layers, so that it sees all."""

import time
from collections import Counter

from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from l3book.access.middleware import IDENTITY
from l3book.api.problems import instance
from l3book.buckets import Buckets
from l3book.config import InForce
from l3book.logs import REQUEST_ID, SPAN_ID, TRACE_ID, Logger

OTHER = "other"
"""Of what no route answers, and of methods that nothing takes: whoever asks must not be able to make new series."""
NS_PER_S = 1_000_000_000
_FAILED = "500"
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})

log = Logger("l3book.access")


class RequestCounts:
    """Plain numbers: only the event loop's thread writes them."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        """By method, route and status."""
        self.durations: dict[str, Buckets] = {}
        """By route."""

    def add(self, method: str, route: str, status: str, took_ns: int) -> None:
        """Count one request."""
        self.requests[method if method in _METHODS else OTHER, route, status] += 1
        self.durations.setdefault(route, Buckets()).add(took_ns)


class CountRequests:
    """Counts each HTTP request when its answer has been handed on, and logs it where that is wanted.

    Sockets are counted elsewhere, and logged here when they end.
    """

    def __init__(self, app: ASGIApp, counts: RequestCounts, in_force: InForce) -> None:
        self._app = app
        self._counts = counts
        self._in_force = in_force

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._pass_socket(scope, receive, send)
            return
        started_ns, status = time.perf_counter_ns(), _FAILED

        async def send_and_look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_and_look)
        finally:
            took_ns = time.perf_counter_ns() - started_ns
            # The router leaves in the scope what answered.
            self._counts.add(scope["method"], route_of(scope), status, took_ns)
            if self._in_force.settings.access_log:
                _tell(scope, scope["method"], int(status), took_ns)

    async def _pass_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_ns = time.perf_counter_ns()
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "websocket" and self._in_force.settings.access_log:
                _tell(scope, "WEBSOCKET", None, time.perf_counter_ns() - started_ns)


def route_of(scope: Scope) -> str:
    """Tell the template of the path that was asked for, also where it was answered before any route was."""
    route = scope.get("route")
    if route is None and "app" in scope:
        route = next((each for each in scope["app"].routes if each.matches(scope)[0] is not Match.NONE), None)
    return getattr(route, "path", OTHER)


def _tell(scope: Scope, method: str, status: int | None, took_ns: int) -> None:
    """Write the line of an access log: no query, no header and no body, which may hold what is nobody's business."""
    identity = scope.get(IDENTITY)
    log.info(
        "{method} {path} {status} {took_s:.6f} s" if status else "{method} {path} ended after {took_s:.3f} s",
        method=method,
        path=instance(scope),
        status=status,
        took_s=took_ns / NS_PER_S,
        route=route_of(scope),
        client=scope["client"][0] if scope.get("client") else None,
        key_id=identity.key_id if identity else None,
        request_id=scope.get(REQUEST_ID),
        trace_id=scope.get(TRACE_ID),
        span_id=scope.get(SPAN_ID),
    )
