"""Spans of requests, of what is done for them, and of what the feed brings."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    format_span_id,
    get_current_span,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from l3book._core import __version__
from l3book.masking import masked_line
from l3book.tracing.exporting import BATCH_SPANS_MAX, QUEUE_SPANS_MAX, Exporting
from l3book.tracing.feed import FeedSpans

SERVICE = "l3book"
TRACES_PATH = "v1/traces"

_propagator = TraceContextTextMapPropagator()


class Tracing:
    """Records spans and has them exported. Any thread may use it."""

    def __init__(self, endpoint: str, environ: Mapping[str, str] = os.environ) -> None:
        """Without an endpoint, that and all else is as OpenTelemetry's own variables say."""
        url = f"{endpoint.rstrip('/')}/{TRACES_PATH}" if endpoint else None
        queue_spans_max = int(environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or QUEUE_SPANS_MAX)
        batch_spans_max = int(environ.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") or BATCH_SPANS_MAX)
        self.exporting = Exporting(OTLPSpanExporter(endpoint=url), queue_spans_max, batch_spans_max)
        is_named = environ.get("OTEL_SERVICE_NAME") or f"{SERVICE_NAME}=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        about = {SERVICE_VERSION: __version__} if is_named else {SERVICE_NAME: SERVICE, SERVICE_VERSION: __version__}
        # Which share is sampled stands in the environment: OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG.
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._provider.add_span_processor(self.exporting)
        self._tracer = self._provider.get_tracer(SERVICE, __version__)
        self.feed = FeedSpans(self._tracer)
        """Of chunks of the feed."""

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Any], links: Sequence[Link] = ()) -> Iterator[Span]:
        """Have the block be a span below the current one; what it raises is told."""
        kept = {key: value for key, value in attributes.items() if value is not None}
        span = self._tracer.start_span(name, attributes=kept, links=links)
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False):
                yield span
        except Exception as error:
            fail(span, error)
            raise
        finally:
            span.end()

    def book_span(self, name: str, attributes: Mapping[str, Any]) -> AbstractContextManager[Span]:
        """Do the same for what shows a book of now, linked to the last chunk of the feed that was traced."""
        newest = self.feed.newest()
        return self.span(name, attributes, () if newest is None else (Link(newest),))

    def request_span(self, name: str, headers: Mapping[str, str], attributes: Mapping[str, Any]) -> Span:
        """Begin the span of a request or handshake, below its caller's own where it has told that."""
        parent: Context = _propagator.extract(headers, Context())
        return self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)

    @staticmethod
    def current_span_id() -> str | None:
        """Tell which span the caller's thread or task is in; None: in none."""
        context = get_current_span().get_span_context()
        return format_span_id(context.span_id) if context.is_valid else None

    def close(self) -> None:
        """Record no more, and export what is left."""
        self._provider.shutdown()


def fail(span: Span, error: BaseException) -> None:
    """Note what was raised. A refusal of ours has a code, which says it all; anything else is told with its place."""
    code = getattr(error, "code", None)
    is_refusal = isinstance(code, str)
    span.set_attribute("error.type", code if is_refusal else type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR, None if is_refusal else masked_line(str(error))))
    if not is_refusal:
        span.record_exception(error)
