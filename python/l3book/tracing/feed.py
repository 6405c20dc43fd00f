"""Spans of the feed: now and then a chunk, from its receipt to the bytes that its news became for clients."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Tracer, set_span_in_context

if TYPE_CHECKING:
    from l3book.streams.counters import Counters
    from l3book.streams.group import Group

NS_PER_S = 1_000_000_000
CHUNK_INTERVAL_S = 1.0
"""One chunk in so long is traced, however many come."""


class _Chunk(NamedTuple):
    number: int
    context: Context
    span_context: SpanContext
    applied_ns: int
    """Of the monotonic clock."""


class FeedSpans:
    """One thread applies chunks; the event loop publishes what they changed, and asks for the newest one."""

    def __init__(self, tracer: Tracer, interval_s: float = CHUNK_INTERVAL_S) -> None:
        self._tracer = tracer
        self._interval_s = interval_s
        self._due_s = 0.0
        self._newest: _Chunk | None = None
        self._count = 0

    def is_due(self) -> bool:
        """Tell whether the next chunk is to be traced."""
        return time.monotonic() >= self._due_s

    def apply(self, source: str, chunk_bytes: int, feed: Callable[[], object], records: Callable[[], int]) -> None:
        """Trace how one chunk is applied. `records`: those that the market has taken in all."""
        self._due_s = time.monotonic() + self._interval_s
        # In no other's trace, and in no context that this thread might have.
        span = self._tracer.start_span("feed chunk", Context(), SpanKind.CONSUMER)
        before = records()
        try:
            feed()
        finally:
            applied = records() - before
            span.set_attributes(
                {
                    "l3book.source": source,
                    "l3book.chunk.bytes": chunk_bytes,
                    "l3book.chunk.records": applied,
                }
            )
            span.end()
        span_context = span.get_span_context()
        # Of one without records, such as a stream's metadata, there is nothing to be told.
        if applied and span_context.trace_flags.sampled:
            self._count += 1
            context = set_span_in_context(NonRecordingSpan(span_context), Context())
            self._newest = _Chunk(self._count, context, span_context, time.monotonic_ns())

    def newest(self) -> SpanContext | None:
        """Tell which chunk was the last that was traced; None: there was none."""
        newest = self._newest
        return None if newest is None else newest.span_context

    def publication(self, after: int, interval_ms: int, rounds: int) -> "Publication | None":
        """Begin the span of what is told of a traced chunk, if there is a later one than `after`.

        `rounds`: so many polls of `interval_ms` in all look at every group once.
        """
        newest = self._newest
        if newest is None or newest.number <= after:
            return None
        span = self._tracer.start_span("publish", newest.context, SpanKind.PRODUCER)
        waited_s = (time.monotonic_ns() - newest.applied_ns) / NS_PER_S
        span.set_attributes({"l3book.publish.interval_ms": interval_ms, "l3book.publish.waited_s": waited_s})
        return Publication(newest.number, span, rounds)


class Publication:
    """What one ticker sends of a traced chunk: it looks at each of its groups once."""

    def __init__(self, number: int, span: Span, rounds: int) -> None:
        self.number = number
        """Of the chunk."""
        self._span = span
        self._rounds = rounds
        self._groups = self._in_threads = self._clients = self._messages = self._bytes = 0

    def poll(self, group: "Group", poll: Callable[["Group"], None], counters: "Counters") -> None:
        """Poll a group, and count what that writes: all of it is written before the poll ends."""
        messages, sent_bytes = counters.sent, counters.bytes
        poll(group)
        self._groups += 1
        self._clients += len(group.subscribers)
        self._messages += counters.sent - messages
        self._bytes += counters.bytes - sent_bytes

    def poll_in_thread(self) -> None:
        """Count a group whose messages are made in a thread, and written when they are done."""
        self._groups += 1
        self._in_threads += 1

    def end_round(self) -> bool:
        """Count a round; -> whether it was the last one, with which the span ends."""
        self._rounds -= 1
        if self._rounds:
            return False
        self._span.set_attributes(
            {
                "l3book.publish.groups": self._groups,
                "l3book.publish.groups_in_threads": self._in_threads,
                "l3book.publish.clients": self._clients,
                "l3book.publish.messages": self._messages,
                "l3book.publish.bytes": self._bytes,
            }
        )
        self._span.end()
        return True
