"""Every metric: its name, what it means, and where its value comes from. docs/metrics.md is held against this table.

Names and units are those of Prometheus: seconds and bytes, `_total` for what only grows, states as one series each
of which one is 1.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from l3book.logs import LOG_LEVELS

if TYPE_CHECKING:
    from l3book.buckets import Buckets

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Value: TypeAlias = "float | Buckets"
Sample: TypeAlias = tuple[tuple[str, ...], Value]

NS_PER_S = 1_000_000_000
MS_PER_S = 1_000

SOURCE_STATES = ("starting", "connecting", "running", "reconnecting", "ended", "failed")
PUBLISHER_STATES = ("there", "away", "silent", "ended")
BOOK_STATES = ("empty", "snapshot", "live", "suspect")
RECORDING_STATES = ("off", "taken", "unavailable", "recording", "failing", "closed")
INDEXING_STATES = ("indexing", "failing", "stopped")
ACTIONS = {"A": "adds", "C": "cancels", "M": "modifies", "R": "clears", "T": "trades", "F": "fills", "N": "nones"}
REJECTIONS = {
    "action": "rejected_action",
    "price": "rejected_price",
    "side": "rejected_side",
}
ODDITIES = (
    "bad_book_marks",
    "duplicate_adds",
    "forced_events",
    "over_cancels",
    "unknown_cancels",
    "unknown_modifies",
    "zero_sizes",
)


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to be told at one moment."""

    metrics: Mapping[str, Any]
    """As /v1/metrics has them."""
    books: Mapping[str, int]
    """By state."""
    durations: "Mapping[str, Buckets]"
    """apply, snapshot, feed, publish, loop_lag."""
    requests: "Mapping[tuple[str, str, str], int]"
    """By method, route and status."""
    request_durations: "Mapping[str, Buckets]"
    """By route."""
    log_lines: Mapping[str, int]
    """By level."""
    log_lines_held_back: int
    spans: Mapping[str, int] | None
    """By what became of them; None: nothing is traced."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its series."""

    name: str
    kind: Kind
    text: str
    read: Callable[[Told], Iterable[Sample]]
    labels: tuple[str, ...] = ()


def _found(told: Told, path: tuple[str, ...]) -> Any:
    """Find what stands there in /v1/metrics; None where it is not told."""
    found: Any = told.metrics
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _at(*path: str, per: float = 1) -> Callable[[Told], Iterable[Sample]]:
    """Take one number of /v1/metrics, in other units; no series where it is not told."""

    def read(told: Told) -> Iterable[Sample]:
        found = _found(told, path)
        return [] if found is None else [((), found / per)]

    return read


def _each(*path: str) -> Callable[[Told], Iterable[Sample]]:
    """Make a series for each key of a map of numbers."""

    def read(told: Told) -> Iterable[Sample]:
        found = _found(told, path)
        return [((key,), count) for key, count in (found or {}).items()]

    return read


def _state(states: tuple[str, ...], *path: str) -> Callable[[Told], Iterable[Sample]]:
    def read(told: Told) -> Iterable[Sample]:
        found = _found(told, path)
        return [] if found is None else [((state,), float(state == found)) for state in states]

    return read


def _picked(names: Mapping[str, str], *path: str) -> Callable[[Told], Iterable[Sample]]:
    """Make one metric of several counters: a series for each, by the name it has here."""

    def read(told: Told) -> Iterable[Sample]:
        found = _found(told, path)
        return [] if found is None else [((label,), found[name]) for label, name in names.items()]

    return read


def _durations(name: str) -> Callable[[Told], Iterable[Sample]]:
    return lambda told: [((), told.durations[name])]


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_MARKET = (
    Family(
        "l3book_records_total", "counter", "MBO records applied, by action", _picked(ACTIONS, "counters"), ("action",)
    ),
    Family(
        "l3book_rejected_records_total",
        "counter",
        "records that no book can take, by what is wrong with them",
        _picked(REJECTIONS, "counters"),
        ("reason",),
    ),
    Family(
        "l3book_odd_records_total",
        "counter",
        "records applied although they contradict the book, by kind (README.md explains each)",
        _picked(_same(*ODDITIES), "counters"),
        ("kind",),
    ),
    Family(
        "l3book_other_records_total",
        "counter",
        "records of other types that were passed over",
        _at("counters", "other_records"),
    ),
    Family("l3book_held_records", "gauge", "records of events that are not complete", _at("counters", "held")),
    Family("l3book_events_total", "counter", "complete events", _at("totals", "events")),
    Family("l3book_received_bytes_total", "counter", "bytes fed, before decompression", _at("totals", "bytes")),
    Family(
        "l3book_books",
        "gauge",
        "books, by state",
        lambda told: [((state,), told.books.get(state, 0)) for state in BOOK_STATES],
        ("state",),
    ),
    Family("l3book_resting_orders", "gauge", "orders that rest in all books", _at("orders")),
    Family(
        "l3book_apply_duration_seconds",
        "histogram",
        "applying one record (every 64th is timed)",
        _durations("apply"),
    ),
    Family(
        "l3book_snapshot_duration_seconds",
        "histogram",
        "encoding one book for REST",
        _durations("snapshot"),
    ),
    Family(
        "l3book_feed_duration_seconds",
        "histogram",
        "from the receipt of a chunk of a live feed until all of it is applied",
        _durations("feed"),
    ),
)

_SOURCE = (
    Family(
        "l3book_source_state", "gauge", "1 of the state it is in", _state(SOURCE_STATES, "source", "state"), ("state",)
    ),
    Family(
        "l3book_source_lag_seconds",
        "gauge",
        "now less the last ts_recv; live sources only",
        _at("source", "lag_ns", per=NS_PER_S),
    ),
    Family(
        "l3book_source_waiting_bytes",
        "gauge",
        "received by the system and not yet read; live sources only",
        _at("source", "bytes_waiting"),
    ),
    Family("l3book_source_connects_total", "counter", "connections made", _at("source", "connects")),
    Family("l3book_source_reconnects_total", "counter", "of them, after a loss", _at("source", "reconnects")),
    Family(
        "l3book_source_losses_total", "counter", "connections lost, by reason", _each("source", "losses"), ("reason",)
    ),
    Family(
        "l3book_source_overloads_total",
        "counter",
        "times that the line had to wait for the market",
        _at("source", "overloads"),
    ),
    Family(
        "l3book_source_snapshots_asked_total",
        "counter",
        "snapshots asked for to recover books",
        _at("source", "snapshots_asked"),
    ),
    Family(
        "l3book_source_refused_messages_total",
        "counter",
        "messages in a stream that were not of l3book, and passed over",
        _at("source", "refused_messages"),
    ),
    Family(
        "l3book_source_publisher",
        "gauge",
        "1 of how the publisher of a stream is doing; nats sources only",
        _state(PUBLISHER_STATES, "source", "publisher"),
        ("state",),
    ),
    Family("l3book_feed_gaps_total", "counter", "proven losses of messages", _at("feed", "gaps")),
    Family("l3book_feed_missing_messages_total", "counter", "messages lost in gaps", _at("feed", "missing_messages")),
    Family("l3book_feed_recoveries_total", "counter", "books that were trusted again", _at("feed", "recoveries")),
    Family(
        "l3book_feed_suspicions_total",
        "counter",
        "books that became suspect, by reason",
        _each("feed", "suspicions"),
        ("reason",),
    ),
    Family(
        "l3book_feed_errors_total", "counter", "errors told by the gateway, by code", _each("feed", "errors"), ("code",)
    ),
    Family(
        "l3book_feed_dropped_records_total",
        "counter",
        "records not applied, by reason: had already been, or their event never completed",
        _picked({"already_applied": "already_applied", "unfinished": "unfinished_dropped"}, "feed"),
        ("reason",),
    ),
    Family(
        "l3book_feed_odd_messages_total",
        "counter",
        "messages out of order, repeated, with impossible times, or that contradict the book",
        _picked(_same("out_of_order", "duplicates", "bad_timestamps", "contradictions"), "feed"),
        ("kind",),
    ),
)

_SERVING = (
    Family(
        "l3book_http_requests_total",
        "counter",
        "answers, by method, route and status",
        lambda told: told.requests.items(),
        ("method", "route", "status"),
    ),
    Family(
        "l3book_http_request_duration_seconds",
        "histogram",
        "from a request's head until its answer's last byte is handed on, by route",
        lambda told: [((route,), buckets) for route, buckets in told.request_durations.items()],
        ("route",),
    ),
    Family(
        "l3book_event_loop_lag_seconds",
        "histogram",
        "how late the event loop ran what was due (20 times a second)",
        _durations("loop_lag"),
    ),
    Family(
        "l3book_publish_duration_seconds",
        "histogram",
        "looking at one group of equal subscriptions and writing to its clients",
        _durations("publish"),
    ),
    Family("l3book_websocket_sockets", "gauge", "open now", _at("websocket", "sockets")),
    Family("l3book_websocket_opened_total", "counter", "sockets opened", _at("websocket", "sockets_total")),
    Family("l3book_websocket_subscriptions", "gauge", "of all sockets, now", _at("websocket", "subscriptions")),
    Family("l3book_websocket_groups", "gauge", "different subscriptions, now", _at("websocket", "groups")),
    Family("l3book_websocket_messages_total", "counter", "messages sent", _at("websocket", "sent")),
    Family("l3book_websocket_sent_bytes_total", "counter", "their bytes", _at("websocket", "bytes")),
    Family(
        "l3book_websocket_conflated_total",
        "counter",
        "updates merged away or lost to gaps, of slow clients",
        _at("websocket", "conflated"),
    ),
    Family("l3book_websocket_gaps_total", "counter", "gaps told to slow clients", _at("websocket", "gaps")),
    Family("l3book_websocket_snapshots_total", "counter", "snapshots sent", _at("websocket", "snapshots")),
    Family(
        "l3book_websocket_slow_closed_total",
        "counter",
        "sockets closed for being too slow",
        _at("websocket", "slow_closed"),
    ),
    Family("l3book_websocket_errors_total", "counter", "error messages sent", _at("websocket", "errors")),
    Family("l3book_websocket_late_ticks_total", "counter", "polls left out", _at("websocket", "late_ticks")),
    Family(
        "l3book_refusals_total",
        "counter",
        "requests and handshakes refused at the door, by reason",
        _each("access"),
        ("reason",),
    ),
    Family("l3book_connections", "gauge", "TCP connections, now", _at("connections", "open")),
    Family(
        "l3book_connection_outcomes_total",
        "counter",
        "TCP connections, by what became of them at the door",
        _picked(_same("accepted", "refused", "displaced", "stalled", "bad_requests"), "connections"),
        ("outcome",),
    ),
)

_RECORDER = ("history", "recorder")
_INDEXING = ("history", "indexing")
_HISTORY = (
    Family(
        "l3book_history_state",
        "gauge",
        "1 of the state it is in",
        _state(RECORDING_STATES, "history", "state"),
        ("state",),
    ),
    Family("l3book_history_records_total", "counter", "records written to the log", _at(*_RECORDER, "records")),
    Family(
        "l3book_history_lost_records_total",
        "counter",
        "records that lie in holes of the log",
        _at(*_RECORDER, "records_lost"),
    ),
    Family("l3book_history_holes_total", "counter", "holes in the log", _at(*_RECORDER, "holes")),
    Family("l3book_history_queue_bytes", "gauge", "that wait to be written", _at(*_RECORDER, "queue_bytes")),
    Family("l3book_history_queue_limit_bytes", "gauge", "that may wait", _at(*_RECORDER, "queue_bytes_max")),
    Family("l3book_history_written_bytes_total", "counter", "compressed", _at(*_RECORDER, "bytes_written")),
    Family("l3book_history_fsyncs_total", "counter", "times that the log was made durable", _at(*_RECORDER, "fsyncs")),
    Family(
        "l3book_history_fsync_p99_seconds",
        "gauge",
        "99 of 100 took at most this long",
        _at(*_RECORDER, "fsync_p99_ns", per=NS_PER_S),
    ),
    Family("l3book_history_write_errors_total", "counter", "writes that failed", _at(*_RECORDER, "write_errors")),
    Family(
        "l3book_history_indexing_state",
        "gauge",
        "1 of the state it is in",
        _state(INDEXING_STATES, *_INDEXING, "state"),
        ("state",),
    ),
    Family(
        "l3book_history_indexing_lag_seconds",
        "gauge",
        "how old the oldest durable record is that is not in the tables",
        _at(*_INDEXING, "lag_s"),
    ),
    Family("l3book_history_rows_total", "counter", "rows written to the tables", _at(*_INDEXING, "rows")),
    Family("l3book_history_indexing_errors_total", "counter", "of indexing", _at(*_INDEXING, "errors")),
    Family(
        "l3book_history_pruned_bytes_total",
        "counter",
        "of segments removed for their age or size",
        _at(*_INDEXING, "pruned_bytes"),
    ),
)

_PROCESS = (
    Family(
        "l3book_log_lines_total",
        "counter",
        "log lines written, by level",
        lambda told: [((level,), told.log_lines.get(level, 0)) for level in LOG_LEVELS],
        ("level",),
    ),
    Family(
        "l3book_log_held_back_lines_total",
        "counter",
        "log lines like others of the same minute, of which only the number was written",
        lambda told: [((), told.log_lines_held_back)],
    ),
    Family(
        "l3book_trace_spans_total",
        "counter",
        "spans by what became of them: exported, failed (no collector took them), dropped (the queue was full); "
        "only where traces are on",
        lambda told: [((outcome,), count) for outcome, count in (told.spans or {}).items()],
        ("outcome",),
    ),
    Family(
        "l3book_build_info",
        "gauge",
        "always 1",
        lambda told: [((told.metrics["version"],), 1.0)],
        ("version",),
    ),
    Family("l3book_uptime_seconds", "gauge", "since the start", _at("uptime_s")),
)

FAMILIES: tuple[Family, ...] = (*_MARKET, *_SOURCE, *_SERVING, *_HISTORY, *_PROCESS)
