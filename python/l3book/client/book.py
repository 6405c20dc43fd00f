"""A book kept from snapshots and deltas: what the server's book is as of the last message."""

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from l3book._render import ladder_text
from l3book.client.messages import Add, Cancel, Delta, Modify, Quote, Side, Snapshot, WireLevel
from l3book.prices import parse_price

CRC_LEVELS_MAX = 10
"""The checksum covers so many levels of each side."""

SIDES: tuple[Side, Side] = ("B", "A")


class OutOfStep(Exception):  # noqa: N818  # a fact about two messages, not a fault
    """A message does not continue the book, or leads to another one than the server's."""

    def __init__(self, kind: Literal["prev", "crc", "op"], text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Level(NamedTuple):
    """All orders at one price: price in 1e-9 units."""

    price: int
    size: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a level


class Order(NamedTuple):
    """A resting order; ts_event (ns) is that of the record that gave it its place.

    0 where channel `orders` has put it at the back of a queue: operations tell no time.
    """

    order_id: int
    size: int
    ts_event: int


class _Place:
    """One level: `text` is the price as the wire writes it, `quote` the size that no order accounts for."""

    __slots__ = ("count", "has_queue", "queue", "quote", "size", "text")

    def __init__(self, text: str, size: int, count: int, queue: dict[int, Order] | None) -> None:
        """`queue` None: it was not told."""
        self.text = text
        self.size = size
        self.count = count
        self.has_queue = queue is not None
        self.queue = queue or {}
        self.quote = size - sum(order.size for order in self.queue.values())


class _Half:
    """One side: levels by price, and their prices in order, best first."""

    def __init__(self, side: Side) -> None:
        self.sign = -1 if side == "B" else 1
        self.places: dict[int, _Place] = {}
        self.ranks: list[int] = []

    def put(self, price: int, place: _Place) -> None:
        if price not in self.places:
            insort(self.ranks, price * self.sign)
        self.places[price] = place

    def drop(self, price: int) -> None:
        if self.places.pop(price, None) is not None:
            del self.ranks[bisect_left(self.ranks, price * self.sign)]

    def best(self, levels: int | None = None) -> Iterator[tuple[int, _Place]]:
        for rank in self.ranks[:levels]:
            yield rank * self.sign, self.places[rank * self.sign]


class Book:
    """A mirror of one book: updates that are read move it. Prices in 1e-9 units, times in UNIX nanoseconds."""

    def __init__(self, crc_levels: int = CRC_LEVELS_MAX) -> None:
        self._crc_levels = crc_levels
        self._halves: dict[Side, _Half] = {side: _Half(side) for side in SIDES}
        self._order_places: dict[int, tuple[Side, int]] = {}
        self.instrument = ""
        """The symbol if it names one book, else publisher_id:instrument_id."""
        self.publisher_id = 0
        self.instrument_id = 0
        self.epoch = ""
        """Changes with every restart of the server and clear of the book; empty before the first snapshot."""
        self.seq = 0
        self.sequence = 0
        self.ts_event = 0
        self.ts_recv = 0
        self.state = "empty"
        """empty, snapshot, live or suspect."""
        self.crossed = False
        self.locked = False

    @property
    def bids(self) -> list[Level]:
        """Levels, best first: as many as were subscribed to."""
        return self.levels("B")

    @property
    def asks(self) -> list[Level]:
        """Levels, best first: as many as were subscribed to."""
        return self.levels("A")

    def levels(self, side: Side) -> list[Level]:
        """Levels of one side, best first."""
        return [Level(price, place.size, place.count) for price, place in self._halves[side].best()]

    def bbo(self) -> tuple[Level | None, Level | None]:
        """Best bid and best offer; None where a side is empty."""
        best = (next(self._halves[side].best(1), None) for side in SIDES)
        bid, ask = (found and Level(found[0], found[1].size, found[1].count) for found in best)
        return bid, ask

    def orders(self, side: Side, price: int) -> list[Order]:
        """Return the queue at a price, first to be filled first. Empty where it is not known.

        Known for `orders`, and for `depth` with level=3: of its best `queues` levels a side, of all unless told.
        """
        place = self._halves[side].places.get(price)
        return list(place.queue.values()) if place else []

    def checksum(self) -> int:
        """CRC-32 of `price:size` of the best levels, asks first, joined by commas."""
        best = (place for side in reversed(SIDES) for _, place in self._halves[side].best(self._crc_levels))
        return zlib.crc32(",".join(f"{place.text}:{place.size}" for place in best).encode())

    def to_dict(self) -> dict[str, Any]:
        """Build the book in the server's JSON shape, with the queues that it knows; `orders` counts the levels held."""
        sides = {"B": "bids", "A": "asks"}
        levels = {sides[side]: [_wire(place) for _, place in self._halves[side].best()] for side in SIDES}
        return {
            "instrument_id": self.instrument_id,
            "publisher_id": self.publisher_id,
            "symbol": self.instrument,
            "epoch": self.epoch,
            "seq": self.seq,
            "sequence": self.sequence,
            "ts_event": str(self.ts_event),
            "ts_recv": str(self.ts_recv),
            "state": self.state,
            "crossed": self.crossed,
            "locked": self.locked,
            **levels,
            "orders": sum(level[2] for side in levels.values() for level in side),
        }

    def __repr__(self) -> str:
        return ladder_text("client.Book", self.to_dict())

    def apply_snapshot(self, message: Snapshot) -> None:
        """Begin anew. Raises OutOfStep if the checksum is another."""
        self.instrument = message.instrument
        self.publisher_id, self.instrument_id = message.publisher_id, message.instrument_id
        self._halves = {side: _Half(side) for side in SIDES}
        self._put_levels(message)
        if message.channel == "orders":
            self._order_places = {
                order_id: (side, price)
                for side, half in self._halves.items()
                for price, place in half.places.items()
                for order_id in place.queue
            }
        self._conclude(message)

    def apply_delta(self, message: Delta) -> None:
        """Go on. Raises OutOfStep if the message continues another state, or leads to another checksum."""
        if (message.epoch, message.prev) != (self.epoch, self.seq):
            text = f"a delta from {message.epoch}-{message.prev} cannot continue {self.epoch}-{self.seq}"
            raise OutOfStep("prev", text)
        self._put_levels(message)
        for op in message.ops:
            self._apply(op)
        self._conclude(message)

    def _put_levels(self, message: Snapshot | Delta) -> None:
        for side, levels in zip(SIDES, (message.bids, message.asks), strict=True):
            for level in levels:
                self._put_level(side, level)

    def _put_level(self, side: Side, level: WireLevel) -> None:
        price = parse_price(level.price)
        if level.size == 0:
            self._halves[side].drop(price)
            return
        queue = None
        if level.queue is not None:
            orders = (Order(int(entry.order_id), entry.size, int(entry.ts_event)) for entry in level.queue)
            queue = {order.order_id: order for order in orders}
        self._halves[side].put(price, _Place(level.price, level.size, level.count, queue))

    def _apply(self, op: Add | Modify | Cancel | Quote) -> None:
        match op:
            case Add():
                self._join(op.side, op.price, Order(int(op.order_id), op.size, 0))
            case Modify():
                side, price, order = self._find(op.order_id)
                if op.place == "keep":
                    self._resize(side, price, order._replace(size=op.size))
                else:
                    self._leave(side, price, order)
                    self._join(side, op.price, Order(order.order_id, op.size, 0))
            case Cancel():
                side, price, order = self._find(op.order_id)
                if op.size < order.size:
                    self._resize(side, price, order._replace(size=order.size - op.size))
                else:
                    self._leave(side, price, order)
            case Quote():
                self._replace_side(op)

    def _find(self, order_id: str) -> tuple[Side, int, Order]:
        found = self._order_places.get(int(order_id))
        if found is None:
            raise OutOfStep("op", f"order {order_id} does not rest here")
        side, price = found
        return side, price, self._halves[side].places[price].queue[int(order_id)]

    def _join(self, side: Side, text: str, order: Order) -> None:
        half, price = self._halves[side], parse_price(text)
        if order.order_id in self._order_places:
            raise OutOfStep("op", f"order {order.order_id} rests already")
        place = half.places.get(price)
        if place is None:
            place = _Place(text, 0, 0, {})
            half.put(price, place)
        place.queue[order.order_id] = order
        place.size += order.size
        place.count += 1
        self._order_places[order.order_id] = (side, price)

    def _resize(self, side: Side, price: int, order: Order) -> None:
        place = self._halves[side].places[price]
        place.size += order.size - place.queue[order.order_id].size
        place.queue[order.order_id] = order

    def _leave(self, side: Side, price: int, order: Order) -> None:
        half = self._halves[side]
        place = half.places[price]
        del place.queue[order.order_id], self._order_places[order.order_id]
        place.size -= order.size
        place.count -= 1
        if not place.queue and not place.quote:
            half.drop(price)

    def _replace_side(self, op: Quote) -> None:
        for place in self._halves[op.side].places.values():
            for order_id in place.queue:
                del self._order_places[order_id]
        half = self._halves[op.side] = _Half(op.side)
        if op.price is not None:
            half.put(parse_price(op.price), _Place(op.price, op.size, 0, {}))

    def _conclude(self, message: Snapshot | Delta) -> None:
        self.epoch, self.seq, self.sequence = message.epoch, message.seq, message.sequence
        self.ts_event, self.ts_recv = int(message.ts_event), int(message.ts_recv)
        self.state, self.crossed, self.locked = message.state, message.crossed, message.locked
        if message.crc is not None and message.crc != self.checksum():
            text = f"at {self.epoch}-{self.seq} the checksum is {self.checksum()}, the server says {message.crc}"
            raise OutOfStep("crc", text)


def _wire(place: _Place) -> list[Any]:
    level = [place.text, place.size, place.count]
    if not place.has_queue:
        return level
    return [*level, [[str(order.order_id), order.size, str(order.ts_event)] for order in place.queue.values()]]
