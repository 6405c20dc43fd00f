"""The messages of docs/websocket.md as types. Fields that they do not name are ignored, so that the wire may grow."""

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field

Encoding: TypeAlias = Literal["msgpack", "json"]
Channel: TypeAlias = Literal["bbo", "depth", "orders", "trades", "dbn"]
Side: TypeAlias = Literal["B", "A"]


class WireOrder(Struct, array_like=True, frozen=True):
    """One entry of a queue."""

    order_id: str
    size: int
    ts_event: str


class WireLevel(Struct, array_like=True, frozen=True):
    """One price level; in a delta, size 0: no longer among the levels subscribed to."""

    price: str
    size: int
    count: int
    queue: list[WireOrder] | None = None


class Add(Struct, array_like=True, tag="A", frozen=True):
    """A new order at the back of its queue."""

    order_id: str
    side: Side
    price: str
    size: int


class Modify(Struct, array_like=True, tag="M", frozen=True):
    """The order now rests at this price with this size."""

    order_id: str
    price: str
    size: int
    place: Literal["back", "keep"]


class Cancel(Struct, array_like=True, tag="C", frozen=True):
    """The order is reduced by so much, and gone at 0."""

    order_id: str
    size: int


class Quote(Struct, array_like=True, tag="Q", frozen=True):
    """A top-of-book quote replaces its whole side; without a price the side is empty."""

    side: Side
    price: str | None
    size: int


class WireTrade(Struct, frozen=True):
    """A trade; `side` is the aggressor's."""

    ts_event: str
    ts_recv: str
    price: str | None
    size: int
    side: Literal["B", "A", "N"]
    order_id: str
    sequence: int


class Snapshot(Struct, tag_field="type", tag="snapshot", frozen=True):
    """The whole state."""

    channel: Channel
    instrument: str
    epoch: str
    seq: int
    publisher_id: int = 0
    instrument_id: int = 0
    sequence: int = 0
    ts_event: str = "0"
    ts_recv: str = "0"
    state: str = "live"
    crossed: bool = False
    locked: bool = False
    bids: list[WireLevel] = field(default_factory=list)
    asks: list[WireLevel] = field(default_factory=list)
    trades: list[WireTrade] = field(default_factory=list)
    crc: int | None = None


class Delta(Struct, tag_field="type", tag="delta", frozen=True):
    """What changed since `prev`; fields of other channels stay empty."""

    channel: Channel
    instrument: str
    epoch: str
    prev: int
    seq: int
    sequence: int = 0
    ts_event: str = "0"
    ts_recv: str = "0"
    state: str = "live"
    crossed: bool = False
    locked: bool = False
    bids: list[WireLevel] = field(default_factory=list)
    asks: list[WireLevel] = field(default_factory=list)
    ops: list[Add | Modify | Cancel | Quote] = field(default_factory=list)
    trades: list[WireTrade] = field(default_factory=list)
    crc: int | None = None


class Moment(Struct, tag_field="type", tag="moment", frozen=True):
    """A replay stands still, and this is where its book does; of the levels all has been told."""

    channel: Channel
    instrument: str
    epoch: str
    seq: int
    sequence: int = 0
    ts_event: str = "0"
    ts_recv: str = "0"
    orders: int = 0
    """Resting in the whole book."""


class Gap(Struct, tag_field="type", tag="gap", frozen=True):
    """Messages are lost; a snapshot follows."""

    channel: Channel
    instrument: str
    reason: str
    start: int | None = field(default=None, name="from")
    to: int | None = None


class Ack(Struct, tag_field="type", tag="ack", frozen=True):
    """A request is accepted. Without an id: a book has another name from here on, or a replay was ended."""

    id: int | None = None
    channel: str = ""
    instrument: str | None = None
    publisher_id: int = 0
    instrument_id: int = 0
    replay: str | UnsetType | None = UNSET
    """The replay that the connection is in, null for none; of requests about replays only."""
    state: str = "live"
    ts: str = "0"
    speed: float = 1.0
    events: int | None = None
    """Of a step: how many events it went; negative: back."""
    stopped_at: str | None = None


class Error(Struct, tag_field="type", tag="error", frozen=True):
    """A request is refused."""

    code: str
    detail: str = ""
    id: int | None = None


class Heartbeat(Struct, tag_field="type", tag="heartbeat", frozen=True):
    """Once a second, so that silence means a lost connection."""

    seq: int
    """Complete events of all books subscribed to, summed."""
    sent: int
    """Messages that the server has sent on this connection."""
    conflated: int
    """Updates that were merged away, or lost to gaps, because this client was slow."""
    lag_ms: float
    """How long the oldest waiting message has waited at the server."""
    replay: str | None = None
    """The replay that the connection is in; its `state`, `ts` and `speed` follow."""
    state: str = "live"
    ts: str = "0"
    speed: float = 1.0


class Pong(Struct, tag_field="type", tag="pong", frozen=True):
    """The answer to a ping."""

    id: int | None = None


BookMessage: TypeAlias = Snapshot | Delta | Moment | Gap
Message: TypeAlias = Snapshot | Delta | Moment | Gap | Ack | Error | Heartbeat | Pong
