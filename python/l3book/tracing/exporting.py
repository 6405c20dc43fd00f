"""How spans leave: a bounded queue, a thread that empties it, and counts of what did not arrive."""

from collections.abc import Sequence
from threading import Lock, Thread

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from l3book.logs import Logger

log = Logger(__name__)

QUEUE_SPANS_MAX = 2048
BATCH_SPANS_MAX = 512
"""OpenTelemetry's own defaults."""
CLOSE_TIMEOUT_S = 2.0
"""At the end, a collector gets this long to take what is left."""


class Exporting(SpanProcessor):
    """OpenTelemetry's own queue and thread, of which this counts what goes in and what comes out.

    By that it knows how much waits, and leaves out what would be too much before that queue does so uncounted.
    """

    def __init__(
        self, exporter: SpanExporter, queue_spans_max: int = QUEUE_SPANS_MAX, batch_spans_max: int = BATCH_SPANS_MAX
    ) -> None:
        self._lock = Lock()
        self._queue_spans_max = queue_spans_max
        self._waiting = 0
        self._exported = self._failed = self._dropped = 0
        batch_spans_max = min(batch_spans_max, queue_spans_max)
        self._queue = BatchSpanProcessor(
            _Counted(exporter, self), max_queue_size=queue_spans_max, max_export_batch_size=batch_spans_max
        )

    def counts(self) -> dict[str, int]:
        """By what became of them: exported, failed (the collector did not take them), dropped (the queue was full)."""
        with self._lock:
            return {"exported": self._exported, "failed": self._failed, "dropped": self._dropped}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is to be done yet."""

    def on_end(self, span: ReadableSpan) -> None:
        """Put it into the queue, if it is to be sampled and there is room."""
        if not span.context.trace_flags.sampled:
            return
        with self._lock:
            if self._waiting >= self._queue_spans_max:
                self._dropped += 1
                return
            self._waiting += 1
        self._queue.on_end(span)

    def took(self, spans: int, *, is_good: bool) -> None:
        """Count what has left the queue."""
        with self._lock:
            self._waiting -= spans
            if is_good:
                self._exported += spans
            else:
                self._failed += spans

    def shutdown(self) -> None:
        """Export what is left. A collector that does not answer is waited for no longer than a moment."""
        thread = Thread(target=self._queue.shutdown, name="l3book-last-spans", daemon=True)
        thread.start()
        thread.join(CLOSE_TIMEOUT_S)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what is there now."""
        return self._queue.force_flush(timeout_millis)


class _Counted(SpanExporter):
    def __init__(self, exporter: SpanExporter, exporting: Exporting) -> None:
        self._exporter = exporter
        self._exporting = exporting

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        # It knows what may pass, and says so itself; whatever else it raises costs these spans and no more.
        except Exception as error:  # noqa: BLE001
            log.warning("spans cannot be exported: {error}", error=error)
        self._exporting.took(len(spans), is_good=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
