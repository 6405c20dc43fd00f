"""A book so plain that it can be checked by reading it: the opponent of the Rust core.

It keeps one dict of orders in the order in which they took their place, and re-sums whatever it is asked for.
Moving to the back of a queue is leaving the dict and coming back. Nothing is fast, and nothing is cached but since when
records are held: an MBO snapshot holds thousands, and looking at all of them for each took most of the tests' time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from dbn_bytes import LAST, MAYBE_BAD_BOOK, SNAPSHOT, TOB, UNDEF_PRICE, Mbo

if TYPE_CHECKING:
    from collections.abc import Iterable

ACTION_COUNTERS = {
    "A": "adds",
    "C": "cancels",
    "M": "modifies",
    "R": "clears",
    "T": "trades",
    "F": "fills",
    "N": "nones",
}
CHANGES_THE_BOOK = "ACMR"
HELD_NS_MAX = 1_000_000_000
FOR_EVER = 2**64 - 1
COUNTERS = (
    "records",
    *ACTION_COUNTERS.values(),
    "events",
    "forced_events",
    "unknown_cancels",
    "unknown_modifies",
    "duplicate_adds",
    "over_cancels",
    "zero_sizes",
    "rejected_action",
    "rejected_side",
    "rejected_price",
    "bad_book_marks",
    "held",
    "orders",
    "bid_levels",
    "ask_levels",
)


class RestingOrder(NamedTuple):
    order_id: int
    side: str
    price: int
    size: int
    ts_event: int  # of the record that gave it its place in the queue


class PriceLevel(NamedTuple):
    price: int
    size: int
    count: int


@dataclass
class OracleBook:
    """All rules of one book; `apply` says whether the record completed an event."""

    same_size_to_back: bool = False
    until: int = FOR_EVER
    epoch: int = 0
    resting: dict[int, RestingOrder] = field(default_factory=dict)
    quotes: dict[str, tuple[int, int]] = field(default_factory=dict)  # top of book, by side
    waiting: list[Mbo] = field(default_factory=list)
    held_since: int | None = None  # ts_recv of the first that waits and tells the age
    counted: Counter[str] = field(default_factory=Counter)
    settled: Counter[str] = field(default_factory=Counter)  # what was counted when the newest event was complete
    suspect: bool = False
    loading: bool = False  # an MBO snapshot has begun, and no F_LAST has come since
    past_end: bool = False
    newest: Mbo | None = None  # the record that completed the newest event

    def apply(self, record: Mbo) -> bool:
        events = self.counted["events"]
        self.take(record)
        return self.counted["events"] != events

    def take(self, record: Mbo) -> None:
        if not record.flags & LAST and self.is_overdue(record):
            self.force()
        if record.flags & LAST and max(record.ts_event, self.event_time()) > self.until:
            self.stop()
        if self.past_end:
            return
        self.counted["records"] += 1
        # A mark tells of the feed and not of the book, so it counts when it is seen.
        self.counted["bad_book_marks"] += bool(record.flags & MAYBE_BAD_BOOK)
        fault = self.fault_of(record)
        if fault:
            self.counted[fault] += 1
            # A rejected record can still tell of lost packets.
            self.waiting.append(record._replace(action="N", flags=record.flags & MAYBE_BAD_BOOK))
        else:
            self.counted[ACTION_COUNTERS[record.action]] += 1
            self.waiting.append(record)
            # A Clear and the records of a snapshot carry other times.
            if self.held_since is None and record.action in "ACM" and not record.flags & SNAPSHOT:
                self.held_since = record.ts_recv
            self.loading |= bool(record.flags & SNAPSHOT)
        if record.flags & LAST:
            self.complete(record)
            self.loading = False

    def complete(self, record: Mbo) -> None:
        for waiting in self.waiting:
            self.execute(waiting)
        self.waiting.clear()
        self.held_since = None
        self.counted["events"] += 1
        self.settled = self.counted.copy()
        self.newest = record

    def held(self) -> list[Mbo]:
        return [r for r in self.waiting if r.action in CHANGES_THE_BOOK]

    def event_time(self) -> int:
        return max((r.ts_event for r in self.held()), default=0)

    def is_overdue(self, record: Mbo) -> bool:
        return self.held_since is not None and record.ts_recv - self.held_since > HELD_NS_MAX

    def force(self) -> None:
        if self.event_time() > self.until:
            self.stop()
        else:
            self.complete(self.held()[-1])
            self.counted["forced_events"] += 1

    def stop(self) -> None:
        self.past_end = True
        self.counted = self.settled  # of an event that lies after the end, nothing has happened
        self.loading = False
        self.waiting.clear()
        self.held_since = None

    @staticmethod
    def fault_of(record: Mbo) -> str | None:
        if record.action not in ACTION_COUNTERS:
            return "rejected_action"
        if record.action in "AM":
            if record.side not in "BA":
                return "rejected_side"
            if record.price == UNDEF_PRICE and not record.flags & TOB:
                return "rejected_price"
        return None

    def execute(self, record: Mbo) -> None:
        if record.action == "R" or record.flags & SNAPSHOT:
            self.suspect = False
        if record.flags & MAYBE_BAD_BOOK:
            self.suspect = True
        if record.action == "A":
            self.add(record)
        elif record.action == "C":
            self.cancel(record)
        elif record.action == "M":
            self.modify(record)
        elif record.action == "R":
            self.epoch += 1
            self.resting.clear()
            self.quotes.clear()

    def add(self, record: Mbo) -> None:
        if record.flags & TOB:
            self.replace_side(record)
        elif record.size == 0:
            self.counted["zero_sizes"] += 1
        else:
            if self.resting.pop(record.order_id, None):
                self.counted["duplicate_adds"] += 1
            self.join_back(record)

    def replace_side(self, record: Mbo) -> None:
        self.resting = {i: order for i, order in self.resting.items() if order.side != record.side}
        self.quotes.pop(record.side, None)
        if record.price != UNDEF_PRICE:
            self.quotes[record.side] = (record.price, record.size)

    def join_back(self, record: Mbo) -> None:
        place = (record.order_id, record.side, record.price, record.size, record.ts_event)
        self.resting[record.order_id] = RestingOrder(*place)

    def cancel(self, record: Mbo) -> None:
        order = self.resting.get(record.order_id)
        if order is None:
            self.counted["unknown_cancels"] += 1
        elif record.size < order.size:
            self.resting[record.order_id] = order._replace(size=order.size - record.size)
        else:
            self.counted["over_cancels"] += record.size > order.size
            del self.resting[record.order_id]

    def modify(self, record: Mbo) -> None:
        order = self.resting.get(record.order_id)
        self.counted["unknown_modifies"] += order is None
        self.counted["zero_sizes"] += record.size == 0
        if record.size == 0:
            self.resting.pop(record.order_id, None)
        elif order is None:
            self.join_back(record)
        elif (
            (order.side, order.price) != (record.side, record.price)
            or record.size > order.size
            or (record.size == order.size and self.same_size_to_back)
        ):
            del self.resting[record.order_id]
            self.join_back(record)
        else:
            self.resting[record.order_id] = order._replace(size=record.size)

    # What can be seen of it.

    def queue(self, side: str, price: int) -> list[RestingOrder]:
        return [order for order in self.resting.values() if (order.side, order.price) == (side, price)]

    def levels(self, side: str) -> list[PriceLevel]:
        """All price levels of a side, best first; a top-of-book quote has size but counts no order."""
        sums: dict[int, list[int]] = {}
        if side in self.quotes:
            price, size = self.quotes[side]
            sums[price] = [size, 0]
        for order in self.resting.values():
            if order.side == side:
                level = sums.setdefault(order.price, [0, 0])
                level[0] += order.size
                level[1] += 1
        return [PriceLevel(price, *sums[price]) for price in sorted(sums, reverse=side == "B")]

    def queue_position(self, order_id: int) -> tuple[int, int, int, int] | None:
        """(orders ahead, size ahead, orders behind, size behind)."""
        order = self.resting.get(order_id)
        if order is None:
            return None
        queue = self.queue(order.side, order.price)
        at = queue.index(order)
        ahead, behind = queue[:at], queue[at + 1 :]
        return len(ahead), sum(o.size for o in ahead), len(behind), sum(o.size for o in behind)

    @property
    def crossed(self) -> bool:
        bids, asks = self.levels("B"), self.levels("A")
        return bool(bids and asks) and bids[0].price > asks[0].price

    @property
    def locked(self) -> bool:
        bids, asks = self.levels("B"), self.levels("A")
        return bool(bids and asks) and bids[0].price == asks[0].price

    def stats(self) -> dict[str, int]:
        now = {
            "held": len(self.held()),
            "orders": len(self.resting),
            "bid_levels": len(self.levels("B")),
            "ask_levels": len(self.levels("A")),
        }
        return {name: self.counted[name] for name in COUNTERS} | now


@dataclass
class OracleMarket:
    """Books by (publisher_id, instrument_id)."""

    same_size_to_back: bool = False
    until: int = FOR_EVER
    books: dict[tuple[int, int], OracleBook] = field(default_factory=dict)

    def apply(self, record: Mbo) -> bool:
        return self.books.setdefault(record.key, OracleBook(self.same_size_to_back, self.until)).apply(record)

    def feed(self, records: Iterable[Mbo]) -> OracleMarket:
        for record in records:
            self.apply(record)
        return self

    def stats(self) -> dict[str, int]:
        totals: Counter[str] = Counter()
        for book in self.books.values():
            totals.update(book.stats())
        return {name: totals[name] for name in COUNTERS}
