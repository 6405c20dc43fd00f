"""A small OpenTelemetry collector: takes OTLP over HTTP on a free port, and keeps what it is sent."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

TIMEOUT_S = 60


@dataclass(frozen=True)
class Received:
    """One span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    links: list[str]
    """trace_id:span_id of each."""
    attributes: dict[str, Any]
    is_error: bool
    took_ns: int
    resource: dict[str, Any]


class Collector:
    """Answers every export with `status`."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.spans: list[Received] = []
        self.headers: list[dict[str, str]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.headers.append({"path": self.path, **dict(self.headers.items())})
                if collector.status == 200:
                    collector.spans.extend(_spans_in(body))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(TIMEOUT_S)

    def wait_for(self, is_wanted: Callable[[Received], bool]) -> Received:
        """Wait until such a span has come."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline_s:
            if found := next(filter(is_wanted, tuple(self.spans)), None):
                return found
            time.sleep(0.05)
        raise AssertionError(f"it never came; there are {sorted({span.name for span in self.spans})}")


def _spans_in(body: bytes) -> list[Received]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Received(
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.kind,
            [f"{link.trace_id.hex()}:{link.span_id.hex()}" for link in span.links],
            _plain(span.attributes),
            span.status.code == span.status.STATUS_CODE_ERROR,
            span.end_time_unix_nano - span.start_time_unix_nano,
            _plain(resource.resource.attributes),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _plain(attributes: Any) -> dict[str, Any]:
    return {entry.key: getattr(entry.value, entry.value.WhichOneof("value")) for entry in attributes}
