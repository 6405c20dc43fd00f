"""The types of every answer: they encode it, and the OpenAPI document is made from them.

Books are encoded in Rust; tests read those bytes with the types below, strictly.
"""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from l3book.wire import (
    BookState,
    Count,
    Epoch,
    InstrumentId,
    Nanoseconds,
    Price,
    PriceLevel,
    PublisherId,
    QueuedLevel,
    QueueEntry,
    Seq,
    Sequence,
    Side,
    Size,
    Symbol,
)

Rate: TypeAlias = Annotated[float, Meta(ge=0)]


class Answer(Struct, forbid_unknown_fields=True, kw_only=True):
    """A map with exactly these fields."""


class Instrument(Answer):
    """One book there is."""

    symbol: Symbol
    instrument_id: InstrumentId
    publisher_id: PublisherId
    state: BookState
    seq: Seq
    orders: Annotated[int, Meta(ge=0, description="orders that rest in it")]
    ts_event: Nanoseconds


class Instruments(Answer):
    """Books by publisher_id and instrument_id."""

    instruments: list[Instrument]
    next_cursor: Annotated[str, Meta(description="where the next page begins; absent on the last")] | UnsetType = UNSET


class _BookHead(Answer):
    """What both kinds of book begin with."""

    instrument_id: InstrumentId
    publisher_id: PublisherId
    symbol: Symbol
    epoch: Epoch
    seq: Seq
    sequence: Sequence
    ts_event: Nanoseconds
    ts_recv: Nanoseconds
    state: BookState
    crossed: Annotated[bool, Meta(description="the best bid is above the best ask")]
    locked: Annotated[bool, Meta(description="the best bid is the best ask")]


class Book(_BookHead):
    """One book at level 1 or 2, after a complete event."""

    bids: Annotated[list[PriceLevel], Meta(description="best first")]
    asks: Annotated[list[PriceLevel], Meta(description="best first")]
    orders: Annotated[int, Meta(ge=0, description="orders in the whole book, whatever the depth")]


class QueuedBook(_BookHead):
    """One book at level 3: each level with every order."""

    bids: Annotated[list[QueuedLevel], Meta(description="best first")]
    asks: Annotated[list[QueuedLevel], Meta(description="best first")]
    orders: Annotated[int, Meta(ge=0, description="orders in the whole book, whatever the depth")]


class BookRow(Answer):
    """One price level as a line: the columns that Arrow has. Bids come first, and the best of a side."""

    side: Side
    level: Annotated[int, Meta(ge=1, description="1 is the best")]
    price: Price
    size: Size
    count: Annotated[int, Meta(ge=0, description="orders at this price")]
    orders: Annotated[list[QueueEntry], Meta(description="level 3 only")] | UnsetType = UNSET


class Disconnect(Answer):
    """The last loss of a live feed's connection."""

    reason: str
    text: str
    at: Nanoseconds


class Source(Answer):
    """Where the books come from; beyond `error`, of a live feed only (docs/feed.md)."""

    uri: str
    state: Literal["starting", "connecting", "running", "reconnecting", "ended", "failed"]
    error: str | None
    attempts: Count | UnsetType = UNSET
    connects: Count | UnsetType = UNSET
    reconnects: Count | UnsetType = UNSET
    losses: dict[str, Count] | UnsetType = UNSET
    last_disconnect: Disconnect | UnsetType | None = UNSET
    bytes_waiting: Count | UnsetType = UNSET
    overloads: Count | UnsetType = UNSET
    snapshot_requests: Count | UnsetType = UNSET
    snapshots_asked: Count | UnsetType = UNSET
    refused_messages: Count | UnsetType = UNSET
    publisher: (
        Annotated[
            Literal["there", "away", "silent", "ended"] | None,
            Meta(description="of a source in NATS: how whoever writes the stream is doing (docs/nats.md)"),
        ]
        | UnsetType
    ) = UNSET
    lag_ns: Annotated[int | None, Meta(description="now less the last ts_recv")] | UnsetType = UNSET


class EventLoop(Answer):
    """How late the loop that answers was over the last minute."""

    count: Count
    lag_p50_ms: Rate
    lag_p99_ms: Rate
    lag_max_ms: Rate


class WebSockets(Answer):
    """What the sockets of /v1/ws are sent: counted since the start, where it does not say "now"."""

    sockets: Annotated[int, Meta(ge=0, description="open now")]
    sockets_total: Count
    subscriptions: Annotated[int, Meta(ge=0, description="of all sockets, now")]
    groups: Annotated[int, Meta(ge=0, description="different ones among them: what is looked at once for all")]
    sent: Annotated[int, Meta(ge=0, description="messages")]
    bytes: Count
    conflated: Annotated[int, Meta(ge=0, description="updates merged away or lost to gaps, of slow clients")]
    gaps: Count
    snapshots: Count
    slow_closed: Annotated[int, Meta(ge=0, description="sockets closed with 1008 for being too slow")]
    errors: Annotated[int, Meta(ge=0, description="error messages")]
    limited_ops: Annotated[int, Meta(ge=0, description="of them, for operations beyond a rate")]
    late_ticks: Annotated[int, Meta(ge=0, description="polls left out because those before came too late")]
    polls: Annotated[int, Meta(ge=0, description="of groups, on the event loop")]
    poll_total_ms: Rate
    poll_max_ms: Rate


class Access(Answer):
    """Requests and handshakes that were refused at the door, counted since the start."""

    failed_authentications: Annotated[int, Meta(ge=0, description="wrong keys and tickets")]
    missing_keys: Annotated[int, Meta(ge=0, description="none was sent where one is needed")]
    insufficient_scopes: Count
    wrong_origins: Count
    limited_requests: Annotated[int, Meta(ge=0, description="beyond requests_per_s_max")]


class Recorder(Answer):
    """What was written to the log since the start."""

    records: Count
    next_ordinal: Annotated[
        int, Meta(ge=0, description="of the next record: so many are in the history, holes counted")
    ]
    durable_ordinal: Annotated[
        int, Meta(ge=0, description="of the first record that a crash of the machine could lose")
    ]
    queue_bytes: Annotated[int, Meta(ge=0, description="that wait to be written, now")]
    queue_bytes_max: Count
    bytes_plain: Annotated[int, Meta(ge=0, description="before compression")]
    bytes_written: Count
    frames: Count
    segments: Count
    fsyncs: Count
    fsync_p50_ns: Count
    fsync_p99_ns: Count
    holes: Count
    records_lost: Annotated[int, Meta(ge=0, description="that lie in holes")]
    write_errors: Count
    error: Annotated[str | None, Meta(description="of the last write, while it fails")]


class Indexing(Answer):
    """What is derived from the log: tables, filters and checkpoints."""

    state: Literal["indexing", "failing", "stopped"]
    error: str | None
    store: str
    position: Annotated[int, Meta(ge=0, description="ordinal up to which the tables are final")]
    lag_s: Annotated[float, Meta(ge=0, description="how old the oldest durable record is that is not in them")]
    batches: Count
    rows: Count
    errors: Count
    restarts: Count
    pruned_segments: Count
    pruned_bytes: Count


RecordingState: TypeAlias = Annotated[
    Literal["off", "taken", "unavailable", "recording", "failing", "closed"],
    Meta(description="off: by a setting; taken: another server has the default folder; unavailable: it cannot be used"),
]


class History(Answer):
    """What becomes of the records once they are applied."""

    state: RecordingState
    warning: str | None
    recorder: Recorder | None
    indexing: Indexing | None


class Connections(Answer):
    """TCP connections, of HTTP and WebSockets; all but the first two are counted since the start."""

    open: Count
    idle: Annotated[int, Meta(ge=0, description="of them, those without a request under way")]
    accepted: Count
    refused: Annotated[int, Meta(ge=0, description="beyond connections_max or connections_per_address_max")]
    displaced: Annotated[int, Meta(ge=0, description="idle ones closed so that another could come")]
    stalled: Annotated[int, Meta(ge=0, description="ended because the client did not read its answer")]
    bad_requests: Annotated[int, Meta(ge=0, description="refused as no HTTP, too long or too slow")]


class Throughput(Answer):
    """Of the last window."""

    messages_per_s: Rate
    events_per_s: Rate
    bytes_per_s: Rate
    window_s: Rate


class Totals(Answer):
    """Since the start."""

    messages: Count
    events: Count
    bytes: Count


class Percentiles(Answer):
    """Of the last window in which there was anything to time."""

    count: Count
    p50_ns: Count
    p90_ns: Count
    p99_ns: Count
    max_ns: Count


class Latency(Answer):
    """Times of applying one message, of encoding one book, and of a live chunk from its receipt until it is applied."""

    apply: Percentiles
    snapshot: Percentiles
    feed: Percentiles


class Metrics(Answer):
    """How the server is doing."""

    version: str
    source: Source
    feed: Annotated[dict[str, Any] | None, Meta(description="what the watch of a live feed has counted")]
    event_loop: EventLoop
    websocket: WebSockets
    history: History
    access: Access
    connections: Connections
    uptime_s: Rate
    throughput: Throughput
    totals: Totals
    latency: Latency
    counters: Annotated[dict[str, int], Meta(description="as Market.stats() counts; the README explains each")]
    books: Count
    orders: Count


class Transition(Answer):
    """Something that happened to the source's connection, or to the state of one of its books."""

    n: Annotated[int, Meta(ge=1, description="counts all transitions since the start")]
    at: Nanoseconds
    kind: Literal["connected", "lost", "refused", "error", "live", "suspect"]
    reason: str
    uri: str | UnsetType = UNSET
    start: Annotated[str | None, Meta(description="ts_event that was resumed from")] | UnsetType = UNSET
    text: str | UnsetType = UNSET
    publisher_id: PublisherId | UnsetType = UNSET
    instrument_id: InstrumentId | UnsetType = UNSET
    symbol: Symbol | UnsetType = UNSET
    ts_event: Nanoseconds | UnsetType | None = UNSET


class Transitions(Answer):
    """Oldest first: the last 100 of the line, and the last 100 of books."""

    transitions: list[Transition]


class Live(Answer):
    """The process runs."""

    status: Literal["live"]


class Ready(Answer):
    """There is a book, and the source has not failed. That nothing is recorded keeps no book from being served."""

    status: Literal["ready"]
    recording: RecordingState
    warning: Annotated[str, Meta(description="what somebody should see to")] | UnsetType = UNSET


class Ticket(Answer):
    """Opens one WebSocket, once."""

    ticket: Annotated[str, Meta(description="sent as subprotocol l3book.ticket.TICKET")]
    expires_in_s: Annotated[int, Meta(ge=1)]


class ProblemDetails(Answer):
    """RFC 9457: why the answer is another than the one asked for."""

    type: Annotated[str, Meta(description="urn:l3book:problem: and the code")]
    title: Annotated[str, Meta(description="the same for every problem of the code")]
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: Annotated[str, Meta(description="what was wrong with this request, and what was expected")]
    instance: Annotated[str, Meta(description="the path that was asked for")]
    code: Annotated[str, Meta(description="a word for programs")]
    trace_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="as in traceparent, or made here")]
    request_id: Annotated[str, Meta(description="as in X-Request-Id")]
    choices: Annotated[list[str], Meta(description="publisher_id:instrument_id of every book meant")] | UnsetType = (
        UNSET
    )
    available: Annotated[list[str], Meta(description="content types there are")] | UnsetType = UNSET
    scope: Annotated[str, Meta(description="what the key would need")] | UnsetType = UNSET
