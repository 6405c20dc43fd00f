"""One subscription: messages in, updates out, and a book that follows them. Knows no socket."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from l3book._core import UNDEF_PRICE
from l3book.client.book import CRC_LEVELS_MAX, Book, OutOfStep
from l3book.client.errors import ClientError
from l3book.client.messages import BookMessage, Channel, Delta, Gap, Moment, Side, Snapshot, WireTrade
from l3book.prices import parse_price

PENDING_MESSAGES_MAX = 4096
"""Messages that wait here to be read, while another subscription is read; beyond it they make way for a snapshot."""

Kind: TypeAlias = Literal["snapshot", "delta", "moment", "gap", "records"]
Phase: TypeAlias = Literal["asked", "live", "waiting", "ended"]


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade: price in 1e-9 units or UNDEF_PRICE, times in ns; `side` is the aggressor's, N where it is unknown."""

    ts_event: int
    ts_recv: int
    price: int
    size: int
    side: Side | Literal["N"]
    order_id: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Update:
    """What a message brought.

    `snapshot`: the state anew, at the beginning, and after a gap, a reconnection or a new epoch. `delta`: it went on.
    `gap`: messages are lost, `reason` says where, and a snapshot follows. `records`: DBN bytes. `moment`: a replay
    stands still, and its book at this `seq` and time, which may be later than those of the last delta.
    """

    kind: Kind
    channel: Channel
    instrument: str
    epoch: str
    seq: int
    ts_event: int | None
    """Of the last complete event's last record, in ns; None where the message does not tell: of gaps and records."""
    ts_recv: int | None
    """When that record was received, likewise; in the past, when it was recorded."""
    book: Book | None
    """As of this update: the subscription's book, which moves on with the next one."""
    trades: tuple[Trade, ...] = ()
    reason: str = ""
    orders: int | None = None
    """Of a moment: how many rest in the whole book."""
    records: bytes = b""
    """Channel dbn: whole DBN records; those of a snapshot begin with DBN metadata."""


class State:
    """Where a subscription stands, for the session that owns it."""

    error: ClientError | None = None

    def __init__(
        self,
        channel: Channel,
        instrument: str,
        options: dict[str, Any],
        out_of_step: Callable[["State", OutOfStep], None],
    ) -> None:
        self.channel = channel
        self.instrument = instrument
        self.options = options
        self.phase: Phase = "waiting"
        self.request_id = 0
        self.name = ""
        """What messages carry; from the ack."""
        self.key: tuple[int, int] | None = None
        """publisher_id, instrument_id; from the ack."""
        self.due_s = 0.0
        """When to ask for it next, on the session's clock, while it is waiting."""
        self.resyncs_in_a_row = 0
        self.lost_at_s: float | None = None
        self.dropped = False
        self.epoch = ""
        self.seq = 0
        levels = {"bbo": 1, "depth": options.get("depth") or CRC_LEVELS_MAX}.get(channel, CRC_LEVELS_MAX)
        self.book = Book(min(levels, CRC_LEVELS_MAX)) if channel in {"bbo", "depth", "orders"} else None
        self._pending: deque[BookMessage | bytes] = deque()
        self._out_of_step = out_of_step

    @property
    def has_pending(self) -> bool:
        """Whether something waits to be read."""
        return self.dropped or bool(self._pending)

    def push(self, message: BookMessage | bytes) -> bool:
        """Keep a message to be read; False when there were too many, which are then forgotten."""
        if len(self._pending) >= PENDING_MESSAGES_MAX:
            self.forget()
            return False
        self._pending.append(message)
        return True

    def forget(self) -> None:
        """Drop what waits to be read: it no longer leads anywhere."""
        self._pending.clear()

    def next_update(self) -> Update | None:
        """Apply the next message that is waiting; None when nothing is, or nothing good."""
        if self.dropped:
            self.dropped = False
            return self._update("gap", reason="slow_reader")
        if not self._pending:
            return None
        message = self._pending.popleft()
        if isinstance(message, bytes):
            return self._update("records", records=message)
        if isinstance(message, Gap):
            return self._update("gap", reason=message.reason)
        if isinstance(message, Moment):
            return self._stands_at(message)
        try:
            return self._apply(message)
        except OutOfStep as fault:
            self._out_of_step(self, fault)
            return None

    def _apply(self, message: Snapshot | Delta) -> Update:
        if isinstance(message, Snapshot):
            if self.book is not None:
                self.book.apply_snapshot(message)
        elif self.book is not None:
            self.book.apply_delta(message)
        elif (message.epoch, message.prev) != (self.epoch, self.seq):
            text = f"a delta from {message.epoch}-{message.prev} cannot continue {self.epoch}-{self.seq}"
            raise OutOfStep("prev", text)
        self.epoch, self.seq = message.epoch, message.seq
        kind: Literal["snapshot", "delta"] = "delta" if isinstance(message, Delta) else "snapshot"
        if kind == "delta":
            self.resyncs_in_a_row = 0
        ts_event, ts_recv = int(message.ts_event), int(message.ts_recv)
        return self._update(kind, ts_event, ts_recv, trades=tuple(map(_trade, message.trades)))

    def _stands_at(self, moment: Moment) -> Update | None:
        """Tell where the book stands; it goes on from its last message all the same. None: of an epoch that is over."""
        if moment.epoch != self.epoch:
            return None
        times = int(moment.ts_event), int(moment.ts_recv)
        return Update(
            "moment", self.channel, self.name, moment.epoch, moment.seq, *times, self.book, orders=moment.orders
        )

    def _update(
        self,
        kind: Kind,
        ts_event: int | None = None,
        ts_recv: int | None = None,
        **facts: Any,
    ) -> Update:
        return Update(kind, self.channel, self.name, self.epoch, self.seq, ts_event, ts_recv, self.book, **facts)


def _trade(wire: WireTrade) -> Trade:
    times = int(wire.ts_event), int(wire.ts_recv)
    price = UNDEF_PRICE if wire.price is None else parse_price(wire.price)
    return Trade(*times, price, wire.size, wire.side, int(wire.order_id), wire.sequence)
