"""The messages of the WebSocket and the books kept from them, written from docs/websocket.md and nothing else."""

from __future__ import annotations

import functools
import heapq
import zlib
from decimal import Decimal
from typing import Literal

import msgspec

Side = Literal["B", "A"]
QueueEntry = tuple[str, int, str]  # order_id, size, ts_event


class Level(msgspec.Struct, array_like=True, frozen=True):
    price: str
    size: int
    count: int
    queue: list[QueueEntry] | None = None


class Add(msgspec.Struct, array_like=True, tag="A"):
    order_id: str
    side: Side
    price: str
    size: int


class Modify(msgspec.Struct, array_like=True, tag="M"):
    order_id: str
    price: str
    size: int
    place: Literal["keep", "back"]


class Cancel(msgspec.Struct, array_like=True, tag="C"):
    order_id: str
    size: int


class Quote(msgspec.Struct, array_like=True, tag="Q"):
    side: Side
    price: str | None
    size: int


class Trade(msgspec.Struct, frozen=True):
    ts_event: str
    ts_recv: str
    price: str | None
    size: int
    side: Literal["B", "A", "N"]
    order_id: str
    sequence: int


class Ack(msgspec.Struct, tag_field="type", tag="ack"):
    channel: str
    instrument: str
    publisher_id: int
    instrument_id: int
    id: int | None = None


class Error(msgspec.Struct, tag_field="type", tag="error"):
    code: str
    detail: str
    id: int | None = None


class Pong(msgspec.Struct, tag_field="type", tag="pong"):
    id: int | None = None


class Heartbeat(msgspec.Struct, tag_field="type", tag="heartbeat"):
    seq: int
    sent: int
    conflated: int
    lag_ms: int


class Gap(msgspec.Struct, tag_field="type", tag="gap", rename={"first": "from", "last": "to"}):
    channel: str
    instrument: str
    first: int
    last: int
    reason: Literal["slow_consumer", "overflow"]


class Update(msgspec.Struct, kw_only=True):
    channel: str
    instrument: str
    epoch: str
    seq: int
    sequence: int
    ts_event: str
    ts_recv: str
    state: Literal["empty", "snapshot", "live", "suspect"] | None = None
    crossed: bool | None = None
    locked: bool | None = None
    bids: list[Level] | None = None
    asks: list[Level] | None = None
    trades: list[Trade] | None = None
    crc: int | None = None


class Snapshot(Update, tag_field="type", tag="snapshot", kw_only=True):
    publisher_id: int
    instrument_id: int


class Delta(Update, tag_field="type", tag="delta", kw_only=True):
    prev: int
    ops: list[Add | Modify | Cancel | Quote] | None = None


class Typed(msgspec.Struct):
    type: str


Message = Ack | Error | Pong | Heartbeat | Gap | Snapshot | Delta
KNOWN_TYPES = {"ack", "error", "pong", "heartbeat", "gap", "snapshot", "delta"}


class ViolationError(Exception):
    """A message is not as the page says."""


def require(condition: bool, *facts: object) -> None:
    if not condition:
        raise ViolationError(" ".join(map(str, facts)))


@functools.lru_cache(maxsize=1 << 16)
def price_1e9(price: str) -> int:
    """The price as an integer in 1e-9 units: exact, and ordered as decimals are."""
    scaled = Decimal(price).scaleb(9)
    require(scaled == int(scaled), "more than nine decimals:", price)
    return int(scaled)


class DepthBook:
    """The best levels of each side, as `bbo` and `depth` send them: whole levels, put in place of one another."""

    def __init__(self, depth: int, queues: int) -> None:
        self.depth = depth
        self.queues = queues
        self.sides: dict[Side, dict[int, Level]] = {"B": {}, "A": {}}
        self.superfluous = 0
        """Levels of deltas that changed nothing: as they were, or gone and not held. Merged deltas may have them."""

    def replace(self, snapshot: Snapshot) -> None:
        self.sides = {"B": {}, "A": {}}
        for side, levels in (("B", snapshot.bids), ("A", snapshot.asks)):
            assert levels is not None
            self._put(side, levels)
            prices = [price_1e9(level.price) for level in levels]
            require(prices == sorted(prices, reverse=side == "B"), "not best first:", prices)
            require(len(self.sides[side]) == len(levels), "a removal or a price twice in a snapshot:", prices)

    def apply(self, delta: Delta) -> None:
        for side, levels in (("B", delta.bids), ("A", delta.asks)):
            assert levels is not None
            self._put(side, levels)

    def _put(self, side: Side, levels: list[Level]) -> None:
        held = self.sides[side]
        for level in levels:
            key = price_1e9(level.price)
            before = held.get(key)
            if level.size == 0:
                self.superfluous += before is None
                held.pop(key, None)
                continue
            self.superfluous += before == level
            require(before is None or before.price == level.price, "equal prices, other strings:", before, level)
            if level.queue is not None:
                require(len(level.queue) == level.count, "count is not the queue's length:", level)
                require(sum(size for _, size, _ in level.queue) <= level.size, "a queue larger than:", level)
            held[key] = level
        require(len(held) <= self.depth, len(held), "levels of a side, subscribed to", self.depth)
        for rank, level in enumerate(self.best(side)):
            require((level.queue is not None) == (rank < self.queues), "a queue or none at rank", rank, ":", level)

    def totals(self, side: Side, count: int) -> list[tuple[str, int]]:
        """Price and size of the best levels, best first."""
        return [(level.price, level.size) for level in self.best(side, count)]

    def best(self, side: Side, count: int | None = None) -> list[Level]:
        """The best levels, best first; all of them unless told how many."""
        held = self.sides[side]
        return [held[key] for key in _best_first(held, side, count)]


class OrdersBook:
    """Every order in its queue, kept by the operations of channel `orders`."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.queues: dict[Side, dict[int, dict[str, int]]] = {"B": {}, "A": {}}  # price -> order_id -> size, in order
        self.quotes: dict[Side, dict[int, int]] = {"B": {}, "A": {}}
        self.prices: dict[int, str] = {}
        self.places: dict[str, tuple[Side, int]] = {}

    def replace(self, snapshot: Snapshot) -> None:
        self._forget()
        for side, levels in (("B", snapshot.bids), ("A", snapshot.asks)):
            for level in levels or ():
                require(level.queue is not None, "a snapshot of orders without a queue:", level)
                require(len(level.queue or []) == level.count, "count is not the queue's length:", level)
                rest = level.size
                for order_id, size, _ts_event in level.queue or ():
                    self._join(order_id, side, level.price, size)
                    rest -= size
                require(rest >= 0, "a queue larger than its level:", level)
                if rest:
                    self.prices[price_1e9(level.price)] = level.price
                    self.quotes[side][price_1e9(level.price)] = rest

    def apply(self, delta: Delta) -> None:
        for operation in delta.ops or ():
            match operation:
                case Add(order_id, side, price, size):
                    self._join(order_id, side, price, size)
                case Modify(order_id, price, size, place):
                    side, key = self._place(order_id)
                    if place == "keep":
                        require(key == price_1e9(price), "keeps its place at another price:", operation)
                        self.queues[side][key][order_id] = size
                    else:
                        self._leave(order_id)
                        self._join(order_id, side, price, size)
                case Cancel(order_id, size):
                    side, key = self._place(order_id)
                    left = self.queues[side][key][order_id] - size
                    require(left >= 0, "cancels more than rests:", operation)
                    if left:
                        self.queues[side][key][order_id] = left
                    else:
                        self._leave(order_id)
                case Quote(side, price, size):
                    self._quote(side, price, size)

    def _place(self, order_id: str) -> tuple[Side, int]:
        require(order_id in self.places, "an operation on an order that does not rest:", order_id)
        return self.places[order_id]

    def _join(self, order_id: str, side: Side, price: str, size: int) -> None:
        require(order_id not in self.places, "an order that rests already:", order_id)
        require(size > 0, "an order of size 0:", order_id)
        key = price_1e9(price)
        require(self.prices.setdefault(key, price) == price, "equal prices, other strings:", price)
        self.queues[side].setdefault(key, {})[order_id] = size
        self.places[order_id] = (side, key)

    def _leave(self, order_id: str) -> None:
        side, key = self.places.pop(order_id)
        queue = self.queues[side][key]
        del queue[order_id]
        if not queue:
            del self.queues[side][key]

    def _quote(self, side: Side, price: str | None, size: int) -> None:
        for queue in self.queues[side].values():
            for order_id in queue:
                del self.places[order_id]
        self.queues[side] = {}
        self.quotes[side] = {}
        if price is not None:
            self.prices[price_1e9(price)] = price
            self.quotes[side] = {price_1e9(price): size}

    def totals(self, side: Side, count: int) -> list[tuple[str, int]]:
        """Price and size of the best levels, best first."""
        queues, quotes = self.queues[side], self.quotes[side]
        return [
            (self.prices[key], sum(queues.get(key, {}).values()) + quotes.get(key, 0))
            for key in _best_first(queues.keys() | quotes.keys(), side, count)
        ]

    def best(self, side: Side, count: int | None = None) -> list[Level]:
        """The best levels with their queues, best first; all of them unless told how many. Operations tell no times,
        so those of the queues are empty."""
        queues, quotes = self.queues[side], self.quotes[side]
        levels = []
        for key in _best_first(queues.keys() | quotes.keys(), side, count):
            queue = queues.get(key, {})
            size = sum(queue.values()) + quotes.get(key, 0)
            entries = [(order_id, order_size, "") for order_id, order_size in queue.items()]
            levels.append(Level(self.prices[key], size, len(queue), entries))
        return levels


def _best_first(keys: object, side: Side, count: int | None) -> list[int]:
    if count is None:
        return sorted(keys, reverse=side == "B")  # type: ignore[call-overload]
    return (heapq.nlargest if side == "B" else heapq.nsmallest)(count, keys)  # type: ignore[call-overload]


def checksum(book: DepthBook | OrdersBook, levels: int) -> int:
    """The CRC-32 that a message of this book carries; of a side, so many levels count."""
    totals = [*book.totals("A", levels), *book.totals("B", levels)]
    return zlib.crc32(",".join(f"{price}:{size}" for price, size in totals).encode("ascii"))
