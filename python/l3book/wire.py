"""What is said on the wire by name: the words common to REST and WebSocket, and every message of `/v1/ws`.

Prices are exact decimals and times (ns) and order ids digits, all as text: they exceed what a JSON number holds
exactly. MessagePack carries the same maps. The books and their changes are encoded in Rust, in these shapes.
"""

from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct

U32_MAX = 2**32 - 1
U16_MAX = 2**16 - 1
DEPTH_LIMIT = 10_000
SPEED_MIN = 0.001
SPEED_MAX = 1_000_000
STEPS_MAX = 1_000_000

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
        description="[price, size, order count], and at level 3 its whole queue, unless it is beyond `queues`; "
        "size 0: no longer among the best",
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
Queues: TypeAlias = Annotated[
    int,
    Meta(
        description="with level 3: the best levels a side that carry their queues; null: all do",
        extra_json_schema={"minimum": 1, "maximum": DEPTH_LIMIT},
    ),
]
CommandId: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1, description="comes back in the answer")]
AnsweredId: TypeAlias = Annotated[int | None, Meta(description="that of the command, where it had one")]
InstrumentName: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=100, description="symbol, instrument_id or publisher_id:instrument_id")
]


_DAY = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
_TIME_OF_DAY = r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?"
TimeText: TypeAlias = Annotated[
    str,
    Meta(
        max_length=40,
        description="UNIX time in ns, or ISO 8601 (UTC unless it says otherwise)",
        examples=["1758751200123456789", "2025-09-24T21:47:00.5Z"],
        # Told, not checked here: l3book.times takes leap days too, and says what is wrong.
        extra_json_schema={
            "pattern": f"^([0-9]{{1,19}}|(197[1-9]|19[89][0-9]|2[0-4][0-9][0-9])-{_DAY}({_TIME_OF_DAY})?)$"
        },
    ),
]
Speed: TypeAlias = Annotated[
    float, Meta(ge=SPEED_MIN, le=SPEED_MAX, description="so many times as fast as it was recorded")
]
Steps: TypeAlias = Annotated[int, Meta(ge=-STEPS_MAX, le=STEPS_MAX, description="events of the book")]


class Command(Struct, tag_field="op", forbid_unknown_fields=True, kw_only=True):
    """What a client may ask; anything else is an error."""

    id: CommandId | None = None


class Subscribe(Command, tag="subscribe", kw_only=True):
    """Begin a channel: an ack, then a snapshot, then deltas that continue it."""

    channel: Channel
    instrument: InstrumentName
    depth: Depth | None = None
    level: Annotated[Literal[2, 3], Meta(description="3: levels carry their queues, of `depth` only")] = 2
    queues: Queues | None = None
    interval_ms: Interval = 100


class Unsubscribe(Command, tag="unsubscribe", kw_only=True):
    """End a channel."""

    channel: Channel
    instrument: InstrumentName


class Ping(Command, tag="ping", kw_only=True):
    """Ask for a pong, after everything that waits to be sent."""


class Replay(Command, tag="replay", kw_only=True):
    """Go into the past: all subscriptions of this socket go over to a replay, each with an ack and a snapshot."""

    from_: Annotated[TimeText | None, Meta(description="where it begins, by ts_event")] = msgspec.field(
        default=None, name="from"
    )
    speed: Speed | None = None
    paused: bool = False
    replay: Annotated[str | None, Meta(description="be in this one of POST /v1/replays, instead of one's own")] = None


class Pause(Command, tag="pause", kw_only=True):
    """Hold the replay."""


class Resume(Command, tag="resume", kw_only=True):
    """Let the replay go on; with a speed, at that speed from now on."""

    speed: Speed | None = None


class Play(Resume, tag="play", kw_only=True):
    """The same as `resume`."""


class Step(Command, tag="step", kw_only=True):
    """Pause, and go on by so many events of one book; a negative number goes back."""

    events: Steps = 1
    instrument: Annotated[
        InstrumentName | None, Meta(description="whose events; not needed where only one book is subscribed to")
    ] = None


class Seek(Command, tag="seek", kw_only=True):
    """Go on elsewhere: a new epoch, and a snapshot of everything subscribed to."""

    at: Annotated[TimeText, Meta(description="all events complete at or before it have happened, by ts_event")]


class Live(Command, tag="live", kw_only=True):
    """Leave the replay: all subscriptions go over to the books as they are now."""


ErrorCode: TypeAlias = Annotated[
    Literal[
        "already_subscribed",
        "ambiguous_instrument",
        "bad_op",
        "bad_parameter",
        "history_busy",
        "history_damaged",
        "history_unavailable",
        "no_replay",
        "not_recorded",
        "not_subscribed",
        "too_many_replays",
        "too_many_requests",
        "too_many_subscriptions",
        "unknown_instrument",
        "unknown_replay",
    ],
    Meta(description="a word for programs"),
]


ReplayState: TypeAlias = Annotated[
    Literal["live", "playing", "paused", "ended", "failed"],
    Meta(description="ended: at the end of what is recorded, and it goes on if more is; failed: it goes no further"),
]
RecordedTime: TypeAlias = Annotated[
    str, Meta(pattern="^[0-9]{1,20}$", description="the recorded time that a replay shows, by ts_recv, in ns")
]


class Message(Struct, tag_field="type", kw_only=True, omit_defaults=True):
    """What the server says."""


class Ack(Message, tag="ack", kw_only=True):
    """A subscription begins or has ended; without an id: from here on its messages carry this name."""

    id: AnsweredId = None
    channel: Channel
    instrument: Annotated[str, Meta(description="the name that messages of this subscription carry")]
    publisher_id: PublisherId
    instrument_id: InstrumentId


class ReplayAck(Message, tag="ack", kw_only=True):
    """What the socket shows from here on; without an id: its replay was ended by somebody else."""

    id: AnsweredId = None
    replay: Annotated[str | None, Meta(description="the replay's id; null: the books as they are now")]
    state: ReplayState = "live"
    ts: RecordedTime | None = None
    speed: float | None = None
    events: Annotated[int | None, Meta(description="of a step: how many events it went; negative: back")] = None
    stopped_at: Annotated[
        Literal["end", "beginning"] | None,
        Meta(description="of a step that went fewer events than asked: of what is recorded, or of its session"),
    ] = None


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
    replay: Annotated[str | None, Meta(description="the replay that the socket is in; absent: none")] = None
    state: ReplayState = "live"
    ts: RecordedTime | None = None
    speed: float | None = None


class Gap(Message, tag="gap", kw_only=True):
    """Changes were left out; a fresh snapshot follows."""

    channel: Channel
    instrument: str
    from_: Annotated[int, Meta(ge=0, description="the first seq left out")] = msgspec.field(name="from")
    to: Annotated[int, Meta(ge=0, description="the seq of the snapshot that follows")]
    reason: Literal["slow_consumer", "overflow"]


class Moment(Message, tag="moment", kw_only=True):
    """A replay stands still, and this is where its book does; of the levels all has been told."""

    channel: Channel
    instrument: str
    epoch: Epoch
    seq: Annotated[int, Meta(ge=0, description="that of the last message, or more: events that changed nothing shown")]
    sequence: Sequence
    ts_event: Nanoseconds
    ts_recv: Nanoseconds
    orders: Annotated[int, Meta(ge=0, description="orders that rest in the whole book")]


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
    prev: Annotated[int, Meta(ge=0, description="the seq this continues: that of the last snapshot or delta")]
    bids: list[AnyLevel]
    asks: list[AnyLevel]
    crc: Crc


class OrdersDelta(_BookHead, tag="delta", kw_only=True):
    """What happened to orders since `prev`, one after the other."""

    channel: Literal["orders"]
    prev: Annotated[int, Meta(ge=0, description="the seq this continues: that of the last snapshot or delta")]
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


AnyCommand: TypeAlias = Subscribe | Unsubscribe | Ping | Replay | Pause | Resume | Play | Step | Seek | Live
"""What the server tells apart by `op`."""
Answer: TypeAlias = Ack | ReplayAck | Error | Pong | Heartbeat | Gap | Moment
"""What it says beside the messages of the channels, which the core encodes."""

COMMANDS: tuple[type[Command], ...] = get_args(AnyCommand)
MESSAGES: tuple[type[Message], ...] = (
    Ack,
    ReplayAck,
    Error,
    Pong,
    Heartbeat,
    Gap,
    Moment,
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
