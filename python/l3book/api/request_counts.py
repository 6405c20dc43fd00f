"""How many requests there were and how long they took, by route; outside of all other layers, so that it sees all."""

import time
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from l3book.buckets import Buckets

OTHER = "other"
"""Of what no route answers, and of methods that nothing takes: whoever asks must not be able to make new series."""
_FAILED = "500"
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})


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
    """Counts each HTTP request when its answer has been handed on; sockets are counted elsewhere."""

    def __init__(self, app: ASGIApp, counts: RequestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
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
            # The router leaves in the scope what answered.
            route = getattr(scope.get("route"), "path", OTHER)
            self._counts.add(scope["method"], route, status, time.perf_counter_ns() - started_ns)
