"""What is said on the wire by name: the words common to REST and WebSocket, and every message of `/v1/ws`.

Prices are exact decimals and times (ns) and order ids digits, all as text: they exceed what a JSON number holds
exactly. MessagePack carries the same maps. The books and their changes are encoded in Rust, in these shapes.
"""

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

U32_MAX = 2**32 - 1
U16_MAX = 2**16 - 1
DEPTH_LIMIT = 10_000

Price: TypeAlias = Annotated[
    str, Meta(pattern=r"^-?[0-9]+\.[0-9]{2,9}$", description="exact decimal", examples=["64.21"])
]
Nanoseconds: TypeAlias = Annotated[
    str, Meta(pattern="^[0-9]{1,20}$", description="UNIX time in ns (UTC)", examples=["1758751200123456789"])
]
OrderId: TypeAlias = Annotated[
    str, Meta(pattern="^[0-9]{1,20}$", description="as the venue gave it", examples=["6415"])
]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Size: TypeAlias = Annotated[int, Meta(ge=0, description="whole units")]
PublisherId: TypeAlias = Annotated[int, Meta(ge=0, le=U16_MAX, description="Databento's id of dataset and venue")]
InstrumentId: TypeAlias = Annotated[int, Meta(ge=0, le=U32_MAX, description="the venue's id, unique for one publisher")]
Symbol: TypeAlias = Annotated[str | None, Meta(description="null while no symbol is mapped to the instrument")]
Epoch: TypeAlias = Annotated[
    str, Meta(pattern="^[0-9a-f]+$", description="hexadecimal; another after every clear, snapshot and restart")
]
Seq: TypeAlias = Annotated[int, Meta(ge=0, description="complete events of this book in this epoch")]
Sequence: TypeAlias = Annotated[int, Meta(ge=0, le=U32_MAX, description="the venue's number of the last record")]
BookState: TypeAlias = Annotated[
    Literal["empty", "snapshot", "live", "suspect"],
    Meta(description="snapshot: being loaded; suspect: it may be wrong, /v1/feed/transitions has the reason"),
]
Side: TypeAlias = Annotated[Literal["B", "A"], Meta(description="B bid, A ask")]
QueueEntry: TypeAlias = Annotated[
    tuple[OrderId, Size, Nanoseconds], Meta(description="[order_id, size, ts_event], in priority order")
]
PriceLevel: TypeAlias = Annotated[tuple[Price, Size, Count], Meta(description="[price, size, order count]")]
QueuedLevel: TypeAlias = Annotated[
    tuple[Price, Size, Count, list[QueueEntry]], Meta(description="[price, size, order count, queue]")
]
AnyLevel: TypeAlias = Annotated[
    list[Any],
    Meta(
        min_length=3,
        max_length=4,
        description="[price, size, order count], and at level 3 its whole queue; size 0: no longer among the best",
    ),
]
Crc: TypeAlias = Annotated[
    int,
    Meta(
        ge=0,
        le=U32_MAX,
        description="CRC-32 (IEEE) over price:size of the ten best levels, asks before bids, joined by commas",
    ),
]

Channel: TypeAlias = Literal["bbo", "depth", "orders", "trades", "dbn"]
IntervalMs: TypeAlias = Literal[10, 50, 100, 250, 1000]
Interval: TypeAlias = Annotated[IntervalMs, Meta(description="at most one message in so many ms")]
Depth: TypeAlias = Annotated[
    int,
    # Told, not checked here: what is out of range may be so by a setting, and both are the same error.
    Meta(
        description="levels a side, of `depth` only; null: the default",
        extra_json_schema={"minimum": 1, "maximum": DEPTH_LIMIT},
    ),
]
CommandId: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1, description="comes back in the answer")]
AnsweredId: TypeAlias = Annotated[int | None, Meta(description="that of the command, where it had one")]
InstrumentName: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=100, description="symbol, instrument_id or publisher_id:instrument_id")
]


class Command(Struct, tag_field="op", forbid_unknown_fields=True, kw_only=True):
    """What a client may ask; anything else is an error."""

    id: CommandId | None = None


class Subscribe(Command, tag="subscribe", kw_only=True):
    """Begin a channel: an ack, then a snapshot, then deltas that continue it."""

    channel: Channel
    instrument: InstrumentName
    depth: Depth | None = None
    level: Annotated[Literal[2, 3], Meta(description="3: levels carry their queues, of `depth` only")] = 2
    interval_ms: Interval = 100


class Unsubscribe(Command, tag="unsubscribe", kw_only=True):
    """End a channel."""

    channel: Channel
    instrument: InstrumentName


class Ping(Command, tag="ping", kw_only=True):
    """Ask for a pong, after everything that waits to be sent."""


class HistoryCommand(Struct, tag_field="op", kw_only=True):
    """Needs a history, which this version has not: it is known, with whatever fields, and refused."""

    id: CommandId | None = None


class Replay(HistoryCommand, tag="replay", kw_only=True):
    """Begin in the past."""


class Pause(HistoryCommand, tag="pause", kw_only=True):
    """Hold a replay."""


class Step(HistoryCommand, tag="step", kw_only=True):
    """Go on by so much."""


class Seek(HistoryCommand, tag="seek", kw_only=True):
    """Go on elsewhere."""


ErrorCode: TypeAlias = Annotated[
    Literal[
        "already_subscribed",
        "ambiguous_instrument",
        "bad_op",
        "bad_parameter",
        "history_unavailable",
        "not_subscribed",
        "too_many_requests",
        "too_many_subscriptions",
        "unknown_instrument",
    ],
    Meta(description="a word for programs"),
]


class Message(Struct, tag_field="type", kw_only=True, omit_defaults=True):
    """What the server says."""


class Ack(Message, tag="ack", kw_only=True):
    """A subscription begins or has ended."""

    id: AnsweredId = None
    channel: Channel
    instrument: Annotated[str, Meta(description="the name that messages of this subscription carry")]
    publisher_id: PublisherId
    instrument_id: InstrumentId


class Error(Message, tag="error", kw_only=True):
    """A command was refused, and nothing has changed; the connection goes on."""

    id: AnsweredId = None
    code: ErrorCode
    detail: Annotated[str, Meta(description="a sentence for people")]


class Pong(Message, tag="pong", kw_only=True):
    """The answer to a ping."""

    id: AnsweredId = None


class Heartbeat(Message, tag="heartbeat", kw_only=True):
    """Every second: whether this client keeps up."""

    seq: Annotated[int, Meta(ge=0, description="complete events of all books subscribed, summed")]
    sent: Annotated[int, Meta(ge=0, description="messages sent on this socket")]
    conflated: Annotated[int, Meta(ge=0, description="updates merged away or lost to gaps for this client")]
    lag_ms: Annotated[int, Meta(ge=0, description="how long the oldest waiting message has waited")]


class Gap(Message, tag="gap", kw_only=True):
    """Changes were left out; a fresh snapshot follows."""

    channel: Channel
    instrument: str
    from_: Annotated[int, Meta(ge=0, description="the first seq left out")] = msgspec.field(name="from")
    to: Annotated[int, Meta(ge=0, description="the seq of the snapshot that follows")]
    reason: Literal["slow_consumer", "overflow"]


class _BookHead(Message, kw_only=True):
    """What every picture of a book begins with."""

    instrument: str
    epoch: Epoch
    seq: Seq
    sequence: Sequence
    ts_event: Nanoseconds
    ts_recv: Nanoseconds
    state: BookState
    crossed: bool
    locked: bool


class BookSnapshotMessage(_BookHead, tag="snapshot", kw_only=True):
    """The levels of a book as they are; of `orders`, all of them with their queues."""

    channel: Literal["bbo", "depth", "orders"]
    publisher_id: PublisherId
    instrument_id: InstrumentId
    bids: list[AnyLevel]
    asks: list[AnyLevel]
    crc: Crc


class LevelsDelta(_BookHead, tag="delta", kw_only=True):
    """Levels that have changed since `prev`, absolute."""

    channel: Literal["bbo", "depth"]
    prev: Annotated[int, Meta(ge=0, description="the seq this continues: that of the last message received")]
    bids: list[AnyLevel]
    asks: list[AnyLevel]
    crc: Crc


class OrdersDelta(_BookHead, tag="delta", kw_only=True):
    """What happened to orders since `prev`, one after the other."""

    channel: Literal["orders"]
    prev: Annotated[int, Meta(ge=0, description="the seq this continues: that of the last message received")]
    ops: Annotated[
        list[list[Any]],
        Meta(
            description='["A", order_id, side, price, size] at the back of its queue; ["M", order_id, price, '
            'size, "back" or "keep"]; ["C", order_id, by how much]; ["Q", side, price or null, size] replaces a side'
        ),
    ]
    crc: Crc


class Trade(Struct, kw_only=True):
    """One trade of a complete event."""

    ts_event: Nanoseconds
    ts_recv: Nanoseconds
    price: Annotated[Price | None, Meta(description="null where the record has none")]
    size: Size
    side: Annotated[Literal["B", "A", "N"], Meta(description="of the aggressor; N unknown")]
    order_id: OrderId
    sequence: Sequence


class TradesSnapshot(_BookHead, tag="snapshot", kw_only=True):
    """The last 50 trades known, oldest first; at the beginning of an epoch all since the last message, be they more."""

    channel: Literal["trades"]
    publisher_id: PublisherId
    instrument_id: InstrumentId
    trades: list[Trade]


class TradesDelta(_BookHead, tag="delta", kw_only=True):
    """Trades since `prev`, oldest first."""

    channel: Literal["trades"]
    prev: Annotated[int, Meta(ge=0, description="the seq this continues: that of the last message received")]
    trades: list[Trade]


AnyCommand: TypeAlias = Subscribe | Unsubscribe | Ping | Replay | Pause | Step | Seek
"""What the server tells apart by `op`."""
Answer: TypeAlias = Ack | Error | Pong | Heartbeat | Gap
"""What it says beside the messages of the channels, which the core encodes."""

COMMANDS: tuple[type[Command], ...] = (Subscribe, Unsubscribe, Ping)
"""Those that are carried out."""
MESSAGES: tuple[type[Message], ...] = (
    Ack,
    Error,
    Pong,
    Heartbeat,
    Gap,
    BookSnapshotMessage,
    LevelsDelta,
    OrdersDelta,
    TradesSnapshot,
    TradesDelta,
)

CLOSE_CODES = {
    1002: "not a WebSocket's frames, as RFC 6455 has them",
    1007: "not JSON or MessagePack, as the subprotocol says",
    1008: "too slow for too long, or too many errors, those of `too_many_requests` among them",
    1009: "a message larger than message_bytes_max",
    1011: "an error of the server's, or no answer to its pings",
    1012: "the server ends or restarts",
    4401: "the key was revoked or has expired, or there was none and one is needed now",
}
"""Why the server closes a socket."""
