"""The types of what the past is asked with and answers with."""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from l3book.api.schemas import Answer, RecordingState
from l3book.history.exports import ExportFormat, ExportSchema
from l3book.history.playback import PlaybackState
from l3book.wire import (
    BookState,
    Count,
    Epoch,
    InstrumentId,
    InstrumentName,
    Nanoseconds,
    OrderId,
    Price,
    PublisherId,
    RecordedTime,
    Seq,
    Sequence,
    Side,
    Size,
    Speed,
    Steps,
    Symbol,
    TimeText,
)

Ordinal: TypeAlias = Annotated[int, Meta(ge=0, description="place of the record in the log")]
MaybePrice: TypeAlias = Annotated[Price | None, Meta(description="null: none")]
MaybeSide: TypeAlias = Annotated[Literal["B", "A", "N"], Meta(description="N: the record does not say")]
NextCursor: TypeAlias = (
    Annotated[str, Meta(description="where the next page begins; absent where nothing more was there")] | UnsetType
)


class OrderEvent(Answer):
    """One record of an order."""

    ordinal: Ordinal
    ts_event: Nanoseconds
    ts_recv: Nanoseconds
    action: Annotated[Literal["A", "M", "C", "R", "T", "F", "N"], Meta(description="as in DBN")]
    side: MaybeSide
    price: MaybePrice
    size: Size
    sequence: Sequence


Life: TypeAlias = Annotated[list[OrderEvent], Meta(description="what is recorded of it, oldest first")]


class Order(Answer):
    """One resting order and its place in the queue of its price."""

    instrument_id: InstrumentId
    publisher_id: PublisherId
    symbol: Symbol
    epoch: Epoch
    seq: Seq
    order_id: OrderId
    status: Literal["resting"]
    side: Side
    price: Price
    size: Size
    ts_event: Nanoseconds
    orders_ahead: Annotated[int, Meta(ge=0, description="orders to be filled before it")]
    size_ahead: Size
    orders_behind: Count
    size_behind: Size
    life: Life | UnsetType = UNSET


class GoneOrder(Answer):
    """An order that rests no more, as its last records tell."""

    instrument_id: InstrumentId
    publisher_id: PublisherId
    symbol: Symbol
    order_id: OrderId
    status: Annotated[
        Literal["filled", "cancelled", "removed"],
        Meta(description="removed: neither filled nor cancelled, but its book was cleared, or begun anew"),
    ]
    side: MaybeSide
    price: MaybePrice
    size: Annotated[int, Meta(ge=0, description="what was left of it")]
    filled: Annotated[int, Meta(ge=0, description="what it took before it rested, and the sum of its fills")]
    life: Life | UnsetType = UNSET


class _Rows(Answer):
    """What all histories begin with."""

    instrument_id: InstrumentId
    publisher_id: PublisherId


class BboEntry(Answer):
    """Best bid and offer at the end of a second, or of an interval."""

    ts: Nanoseconds
    bid_price: MaybePrice
    bid_size: Size
    bid_count: Count
    ask_price: MaybePrice
    ask_size: Size
    ask_count: Count
    state: BookState
    ordinal: Ordinal


class BboHistory(_Rows):
    """By ts."""

    bbo: list[BboEntry]
    next_cursor: NextCursor = UNSET


class TradeEntry(Answer):
    """One trade."""

    ts_event: Nanoseconds
    ts_recv: Nanoseconds
    price: MaybePrice
    size: Size
    side: Annotated[Literal["B", "A", "N"], Meta(description="of the aggressor; N unknown")]
    order_id: OrderId
    sequence: Sequence
    ordinal: Ordinal


class TradeHistory(_Rows):
    """By ts_recv and ordinal."""

    trades: list[TradeEntry]
    next_cursor: NextCursor = UNSET


class LevelEntry(Answer):
    """One price level at the end of a second, or of an interval, in which it changed."""

    ts: Nanoseconds
    side: Side
    price: Price
    size: Annotated[int, Meta(ge=0, description="0: it was gone")]
    count: Count
    ordinal: Ordinal


class LevelHistory(_Rows):
    """By ts, side and price."""

    levels: list[LevelEntry]
    next_cursor: NextCursor = UNSET


MaybeTime: TypeAlias = Annotated[Nanoseconds | None, Meta(description="by ts_recv; null: none is known")]


class RecordedSession(Answer):
    """One uninterrupted recording of a source, what of it is there."""

    ordinal: Annotated[int, Meta(ge=0, description="place in the log at which it began")]
    source: Annotated[str, Meta(description="its URI")]
    start: MaybeTime
    end: MaybeTime
    records: Count


class RecordedHole(Answer):
    """Records that are missing in between."""

    ordinal: Annotated[int, Meta(ge=0, description="place in the log of the first that is missing")]
    records: Annotated[int, Meta(ge=0, description="so many are missing; 0: only what else is known of the feed")]
    start: MaybeTime
    end: MaybeTime
    reason: str


class Recorded(Answer):
    """What is recorded, all that is durable, and in force from `start` to `end`, by ts_recv; null while nothing is."""

    state: RecordingState
    start: MaybeTime
    end: MaybeTime
    records: Count
    sessions: Annotated[list[RecordedSession], Meta(description="the newest last, and only the newest of many")]
    sessions_in_all: Count
    holes: Annotated[list[RecordedHole], Meta(description="the newest last, and only the newest of many")]
    holes_in_all: Count


class MakeReplay(Struct, forbid_unknown_fields=True, kw_only=True, rename={"start": "from"}):
    """Where a replay begins, and how fast it goes."""

    start: Annotated[TimeText, Meta(description="where it begins, by ts_event")]
    speed: Speed = 1.0
    paused: bool = False


class StepBy(Struct, forbid_unknown_fields=True, kw_only=True):
    """So many events of one book; a negative number goes back."""

    instrument: InstrumentName
    events: Steps = 1


class ChangeReplay(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be changed; what is not given stays."""

    speed: Speed | None = None
    at: Annotated[TimeText | None, Meta(description="go on from here, by ts_event")] = None
    step: StepBy | None = None
    paused: bool | None = None


class Replay(Answer):
    """One replay, and where it is."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    state: Annotated[PlaybackState, Meta(description="ended: at the end of what is recorded; failed: `error` says why")]
    speed: Annotated[float, Meta(ge=0)]
    ts: RecordedTime
    ts_event: Annotated[Nanoseconds, Meta(description="of the last record applied")]
    ordinal: Ordinal
    sockets: Annotated[int, Meta(ge=0, description="that are in it")]
    private: Annotated[bool, Meta(description="made by a socket, with which it ends")]
    error: str | None


class StepTaken(Answer):
    """How far a step has led."""

    events: Annotated[int, Meta(description="of the book; negative: back")]
    stopped_at: Annotated[
        Literal["end", "beginning"] | None,
        Meta(description="where they are fewer than asked for: of what is recorded, or of its session"),
    ]


class ChangedReplay(Replay):
    """The replay after what was asked for."""

    stepped: Annotated[StepTaken | None, Meta(description="null: no step was asked for")]


class Replays(Answer):
    """Oldest first."""

    replays: list[Replay]


class MakeExport(Struct, forbid_unknown_fields=True, kw_only=True):
    """What the file is to hold."""

    start: Annotated[TimeText, Meta(description="by ts_event: from the book as of this time")]
    end: Annotated[TimeText, Meta(description="by ts_event: to the book as of this time, not before start")]
    schema: ExportSchema
    to: ExportFormat
    instrument: Annotated[InstrumentName | None, Meta(description="null: all")] = None
    snapshot: Annotated[bool, Meta(description="of mbo: begin with the book as of start, as an MBO snapshot")] = False


class Exported(Answer):
    """A file that was made, and what it holds."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    bytes: Count
    rows: Count
    url: Annotated[str, Meta(description="where it is found until newer ones take its place")]
    start: Nanoseconds
    end: Nanoseconds
    schema: ExportSchema
    to: ExportFormat
    instrument: Annotated[str | None, Meta(description="publisher_id:instrument_id; null: all")]
    snapshot: bool
    holes: Annotated[list[RecordedHole], Meta(description="of the recording that the file leads over; the newest 200")]


class ExportedFiles(Answer):
    """Oldest first."""

    exports: list[Exported]
