"""The hub: what the API may see of the market."""

import time
from collections import Counter
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Literal

from l3book._core import Market, UnknownInstrumentError, __version__
from l3book.buckets import Buckets
from l3book.engine import Engine
from l3book.etags import etag_of_json, etag_of_msgpack
from l3book.feed.status import PUBLISHER_LOST
from l3book.history.recording import OFF, AnyRecording
from l3book.logs import Logger
from l3book.loop_lag import LoopLag
from l3book.streams.fanout import Fanout

if TYPE_CHECKING:
    from l3book._core import Instrument
    from l3book.history.past import History

log = Logger(__name__)

NS_PER_MS = 1_000_000
SAMPLE_INTERVAL_S = 1.0
"""Rates and latencies are those of the last window of this length."""
SAMPLER_JOIN_TIMEOUT_S = 2.0

# What stats() tells beside counters, and what has a place of its own among the metrics.
_NO_COUNTERS = frozenset({"records", "events", "bytes", "books", "orders", "bid_levels", "ask_levels"})

_NO_LATENCY = {"count": 0, "p50_ns": 0, "p90_ns": 0, "p99_ns": 0, "max_ns": 0}


@dataclass(frozen=True, slots=True)
class Totals:
    """What had been fed and applied at a moment of the monotonic clock."""

    at_s: float
    messages: int
    events: int
    bytes: int


class Hub:
    """Answers about the books, already encoded, and how the server is doing."""

    def __init__(
        self,
        market: Market,
        engine: Engine,
        ready_lag_ms_max: int = 0,
        recording: AnyRecording = OFF,
        history: "History | None" = None,
    ) -> None:
        """`history`: what was recorded, to be asked; whoever made it closes it."""
        self.history = history
        self._market = market
        self._engine = engine
        self._started_s = time.monotonic()
        self._last = self._totals(market.stats())
        self._throughput = {"messages_per_s": 0.0, "events_per_s": 0.0, "bytes_per_s": 0.0, "window_s": 0.0}
        self._latency = dict.fromkeys(("apply", "snapshot", "feed"), _NO_LATENCY)
        self.loop_lag = LoopLag()
        """Of the event loop that answers; whoever runs one starts it."""
        self.ready_lag_ms_max = ready_lag_ms_max
        """A live source further behind makes the server not ready; 0: never."""
        self.recording = recording
        """What becomes of the records once they are applied."""
        self.streams = Fanout(market, is_live=True)
        """Books as they change; for the event loop."""
        self._has_caught_up = False
        self._is_shutting_down = False
        self._stopping = Event()
        self._sampler = Thread(target=self._sample_until_stopped, name="l3book-sampler", daemon=True)

    def start(self) -> None:
        """Start the sampler."""
        self._sampler.start()

    def begin_shutdown(self) -> None:
        """From now on the server is not ready. Callable from a signal handler.

        Not by the event of the sampler: that takes a lock, which the code below the handler may be holding.
        """
        self._is_shutting_down = True

    def stop(self) -> None:
        """Stop the sampler."""
        self._stopping.set()
        self._sampler.join(SAMPLER_JOIN_TIMEOUT_S)

    @property
    def books(self) -> int:
        """How many there are."""
        return len(self._market)

    def instruments(self) -> "list[Instrument]":
        """Every book, in order of publisher_id and instrument_id."""
        return sorted(self._market.instruments(), key=lambda entry: (entry.publisher_id, entry.instrument_id))

    def keys(self) -> list[tuple[int, int]]:
        """(publisher_id, instrument_id) of every book."""
        return [(entry.publisher_id, entry.instrument_id) for entry in self._market.instruments()]

    def book_json(
        self, instrument: str | tuple[int, int], level: Literal[1, 2, 3], depth: int | None
    ) -> tuple[bytes, str]:
        """One book on the wire, and its ETag. Raises UnknownInstrumentError or AmbiguousInstrumentError."""
        body = self._market.book_json(instrument, level=level, depth=depth)
        return body, etag_of_json(body, level, depth)

    def book_msgpack(
        self, instrument: str | tuple[int, int], level: Literal[1, 2, 3], depth: int | None
    ) -> tuple[bytes, str]:
        """One book as MessagePack, and its ETag, as `book_json`."""
        body = self._market.book_msgpack(instrument, level=level, depth=depth)
        return body, etag_of_msgpack(body, level, depth)

    def symbol(self, key: tuple[int, int]) -> str | None:
        """Tell the symbol of a book, if there is such a book and it has one."""
        try:
            return self._market.book(key).symbol
        except UnknownInstrumentError:
            return None

    def order_json(self, instrument: str | tuple[int, int], order_id: int) -> bytes:
        """One resting order on the wire.

        Raises UnknownOrderError where it does not rest, UnknownInstrumentError or AmbiguousInstrumentError.
        """
        return self._market.order_json(instrument, order_id)

    def not_ready(self, *, any_feed: bool = False) -> str | None:
        """Why the server should not be sent requests; None when it should.

        With `any_feed` books that are there and have once caught up are reason enough, whatever becomes of the feed,
        and so is a feed that has begun and has none.
        """
        if self._is_shutting_down:
            return "the server is shutting down"
        if self._engine.state == "failed":
            return f"the source failed: {self._engine.error}"
        if any_feed and self._has_begun():
            behind = self._behind()
            # Whoever is only on its way there has books of long ago; whoever was there falls behind with its feed.
            if behind is None and self._engine.state == "running" and self._lag_ns() is not None:
                self._has_caught_up = True
            return None if self._has_caught_up else behind
        if len(self._market) == 0:
            if self._engine.state == "ended":
                return "the source ended without any book"
            if self._engine.state in {"connecting", "reconnecting"}:
                return f"the source is {self._engine.state}"
            return "the source has not delivered a book yet"
        return self._feed_not_ready()

    def _has_begun(self) -> bool:
        """There are books, or the feed has told its head and no book behind it: a shard may have none."""
        if len(self._market) > 0:
            return True
        return self._engine.state in {"running", "reconnecting"} and self._market.stats()["metadata_headers"] > 0

    def _feed_not_ready(self) -> str | None:
        """Why books that are there should not be relied on: the line is lost, or what it brings is old."""
        if self._engine.state == "reconnecting":
            status = self._engine.feed.status if self._engine.feed else None
            if status is not None and status.publisher in PUBLISHER_LOST:
                return f"the source is reconnecting: {PUBLISHER_LOST[status.publisher]}"
            lost = status.last_disconnect if status is not None else None
            return "the source is reconnecting" + (f": {lost['reason']}: {lost['text']}" if lost else "")
        return self._behind()

    def _behind(self) -> str | None:
        lag_ns = self._lag_ns() if self._engine.state == "running" else None
        if self.ready_lag_ms_max and lag_ns is not None and lag_ns > self.ready_lag_ms_max * NS_PER_MS:
            return f"the source is {lag_ns // NS_PER_MS} ms behind: expected at most {self.ready_lag_ms_max} ms"
        return None

    def metrics(self) -> dict[str, Any]:
        """Throughput and latency of the last window, totals and counters since the start."""
        stats = self._market.stats()
        totals = self._totals(stats)
        return {
            "version": __version__,
            "source": self._source(),
            "feed": self._engine.feed.watch_stats() if self._engine.feed else None,
            "event_loop": self.loop_lag.as_dict(),
            "websocket": self.streams.metrics(),
            "history": self.recording.metrics(),
            "uptime_s": round(totals.at_s - self._started_s, 3),
            "throughput": self._throughput,
            "totals": {"messages": totals.messages, "events": totals.events, "bytes": totals.bytes},
            "latency": self._latency,
            "counters": {name: count for name, count in stats.items() if name not in _NO_COUNTERS},
            "books": stats["books"],
            "orders": stats["orders"],
        }

    def books_by_state(self) -> dict[str, int]:
        """Count the books in each state that any is in."""
        return Counter(entry.state for entry in self._market.instruments())

    def durations(self) -> dict[str, Buckets]:
        """How long things took since the start, by what they were."""
        told = self._market.latency_totals()
        durations = {}
        for name in ("apply", "snapshot"):
            durations[name] = Buckets(told["bounds_ns"])
            durations[name].counts, durations[name].sum_ns = told[name]["counts"], told[name]["sum_ns"]
        return {
            **durations,
            "feed": self._engine.applied.buckets,
            "publish": self.streams.counters.poll_durations,
            "loop_lag": self.loop_lag.buckets,
        }

    def transitions(self) -> list[dict[str, Any]]:
        """List what happened last to the source and its books, oldest first."""
        return list(self._engine.transitions.recent())

    def _source(self) -> dict[str, Any]:
        source = {"uri": self._engine.uri, "state": self._engine.state, "error": self._engine.error}
        if self._engine.feed is None:
            return source
        return {**source, **self._engine.feed.status.as_dict(), "lag_ns": self._lag_ns()}

    def _lag_ns(self) -> int | None:
        """How old the last record of a live source is; None before the first, and for other sources."""
        last_ts_recv = self._engine.feed.watch_stats()["last_ts_recv"] if self._engine.feed else 0
        return time.time_ns() - last_ts_recv if last_ts_recv else None

    def _totals(self, stats: dict[str, Any]) -> Totals:
        return Totals(time.monotonic(), stats["records"], stats["events"], self._engine.bytes)

    def _sample_until_stopped(self) -> None:
        due_s = time.monotonic()
        while True:
            due_s += SAMPLE_INTERVAL_S
            if self._stopping.wait(max(0.0, due_s - time.monotonic())):
                return
            try:
                self._sample()
                self.recording.look()
            except Exception:
                log.exception("no sample of throughput and latency this time")

    def _sample(self) -> None:
        now, last = self._totals(self._market.stats()), self._last
        window_s = now.at_s - last.at_s
        self._last = now
        self._throughput = {
            "messages_per_s": round((now.messages - last.messages) / window_s, 1),
            "events_per_s": round((now.events - last.events) / window_s, 1),
            "bytes_per_s": round((now.bytes - last.bytes) / window_s, 1),
            "window_s": round(window_s, 3),
        }
        # A window in which nothing was applied or encoded says nothing: the last one that did stays on view.
        window = {**self._market.latency(reset=True), "feed": self._engine.applied.take()}
        self._latency = {kind: window[kind] if window[kind]["count"] else self._latency[kind] for kind in self._latency}
