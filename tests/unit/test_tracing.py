"""How spans leave, and which chunks of the feed have one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("opentelemetry.sdk.trace", reason="the extra otel is not installed")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from l3book import tracing
from l3book.streams.counters import Counters
from l3book.tracing.exporting import Exporting
from l3book.tracing.feed import FeedSpans

if TYPE_CHECKING:
    from collections.abc import Sequence

WAIT_S = 30


class Slow(SpanExporter):
    """Takes what it is given when it is let."""

    def __init__(self, result: SpanExportResult) -> None:
        self.result = result
        self.is_let = threading.Event()
        self.took = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        assert self.is_let.wait(WAIT_S)
        self.took += len(spans)
        return self.result

    def shutdown(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("result", list(SpanExportResult))
def test_every_span_is_exported_or_failed_or_dropped_and_counted_as_what_it_was(result: SpanExportResult) -> None:
    exporter = Slow(result)
    exporting = Exporting(exporter, queue_spans_max=600)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(exporting)
    tracer = provider.get_tracer("test")
    for number in range(1000):
        tracer.start_span(f"span {number}").end()
    assert exporting.counts() == {"exported": 0, "failed": 0, "dropped": 400}
    exporter.is_let.set()
    assert exporting.force_flush()
    exporting.shutdown()
    good = result is SpanExportResult.SUCCESS
    assert exporting.counts() == {"exported": 600 * good, "failed": 600 * (not good), "dropped": 400}
    assert exporter.took == 600


def feed_spans(interval_s: float) -> tuple[FeedSpans, InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return FeedSpans(provider.get_tracer("test"), interval_s), kept


def test_one_chunk_in_an_interval_is_traced_however_many_come() -> None:
    feed, kept = feed_spans(interval_s=3600)
    for _ in range(10_000):
        if feed.is_due():
            feed.apply("made:", 56, lambda: None, lambda: 0)
    assert len(kept.get_finished_spans()) == 1


def test_a_chunk_is_published_once_by_each_ticker_and_not_before_all_its_slots_have_had_their_turn() -> None:
    feed, kept = feed_spans(interval_s=0)
    assert feed.publication(0, 50, 2) is None, "nothing has been traced"
    taken = iter((10, 12))
    feed.apply("made:", 112, lambda: None, lambda: next(taken))
    publication, other = feed.publication(0, 50, 2), feed.publication(0, 1000, 1)
    assert publication is not None
    assert other is not None
    counters = Counters()

    class Group:
        subscribers = (1, 2, 3)

    def poll(_group: object) -> None:
        counters.sent += 3
        counters.bytes += 300

    assert not publication.end_round()
    publication.poll(Group(), poll, counters)  # type: ignore[arg-type]
    publication.poll_in_thread()
    assert publication.end_round()
    assert other.end_round()
    assert feed.publication(publication.number, 50, 2) is None, "once"
    chunk, *published = kept.get_finished_spans()
    assert chunk.attributes["l3book.chunk.records"] == 2
    assert {span.parent.span_id for span in published} == {chunk.context.span_id}
    told = published[0].attributes
    assert [told[f"l3book.publish.{name}"] for name in ("groups", "groups_in_threads", "clients")] == [2, 1, 3]
    assert [told[f"l3book.publish.{name}"] for name in ("messages", "bytes", "interval_ms")] == [3, 300, 50]


def test_a_chunk_that_fails_is_told_and_raises_all_the_same() -> None:
    feed, kept = feed_spans(interval_s=0)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        feed.apply("made:", 56, fail, lambda: 0)
    assert len(kept.get_finished_spans()) == 1


def test_what_is_not_sampled_is_neither_published_nor_linked_to() -> None:
    feed = FeedSpans(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("test"))
    feed.apply("made:", 56, lambda: None, lambda: 0)
    assert feed.newest() is None
    assert feed.publication(0, 50, 1) is None


def test_while_nobody_wants_traces_there_are_none() -> None:
    assert tracing.active is None
    assert tracing.counts() is None
    with tracing.span("nothing", number=1) as span:
        assert span is None


@pytest.mark.parametrize(
    ("endpoint", "environ", "wanted"),
    [
        ("", {}, None),
        ("http://here:4318", {}, "otlp_endpoint"),
        ("http://here:4318", {"OTEL_SDK_DISABLED": "TRUE"}, None),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        (
            "",
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://here", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://there"},
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
    ],
)
def test_what_asks_for_traces(endpoint: str, environ: dict[str, str], wanted: str | None) -> None:
    assert tracing.wanted_by(endpoint, environ) == wanted
