"""The server's side of the WebSocket, as plainly as it can be written: the opponent of the clients' books.

A venue is a list of orders in the order in which they took their place. What a stream tells is found by comparing
whole pictures of it. Nothing is cached, and no code is shared with the clients or the core.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors" / "streams.json"
PRICES = ("99.50", "99.75", "100.00", "100.000000001", "100.25", "-0.25", "101.00", "0.00", "100.50", "99.00", "98.125")
IDS = ("1", "2", "3", "6412345678901234567", "18446744073709551615", "6")
T0 = 1_758_751_200_000_000_000
CRC_LEVELS = 10

Picture = dict[str, list[list[Any]]]


@dataclass
class Resting:
    order_id: str
    side: str
    price: str
    size: int
    ts_event: str


@dataclass
class Venue:
    orders: list[Resting] = field(default_factory=list)
    quotes: dict[str, tuple[str, int]] = field(default_factory=dict)
    seq: int = 0
    epoch: int = 0x9F2
    trades: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ts_event(self) -> str:
        return str(T0 + self.seq)

    def find(self, order_id: str) -> Resting | None:
        return next((order for order in self.orders if order.order_id == order_id), None)

    def event(self, kind: int, side_byte: int, price_byte: int, size: int, id_byte: int) -> list[list[Any]]:
        """One event drawn from numbers; -> its effects on the book, as the wire writes them."""
        self.seq += 1
        side, price, order_id = "BA"[side_byte % 2], PRICES[price_byte % len(PRICES)], IDS[id_byte % len(IDS)]
        resting = self.find(order_id)
        if kind % 16 == 15:
            return self.quote(side, None if size % 4 == 0 else price, size + 1)
        if resting is None:
            return self.add(order_id, side, price, size + 1)
        if kind % 3 == 0:
            return self.cancel(resting, size + 1)
        if kind % 3 == 1:
            return self.modify(resting, price, size + 1)
        return self.cancel(resting, resting.size) + self.add(order_id, side, price, size + 1)

    def add(self, order_id: str, side: str, price: str, size: int) -> list[list[Any]]:
        self.orders.append(Resting(order_id, side, price, size, self.ts_event))
        return [["A", order_id, side, price, size]]

    def cancel(self, order: Resting, size: int) -> list[list[Any]]:
        size = min(size, order.size)
        order.size -= size
        if order.size == 0:
            self.orders.remove(order)
        return [["C", order.order_id, size]]

    def modify(self, order: Resting, price: str, size: int) -> list[list[Any]]:
        if price == order.price and size <= order.size:
            order.size = size
            return [["M", order.order_id, price, size, "keep"]]
        self.orders.remove(order)
        self.orders.append(Resting(order.order_id, order.side, price, size, self.ts_event))
        return [["M", order.order_id, price, size, "back"]]

    def quote(self, side: str, price: str | None, size: int) -> list[list[Any]]:
        self.orders = [order for order in self.orders if order.side != side]
        self.quotes.pop(side, None)
        if price is not None:
            self.quotes[side] = (price, size)
        return [["Q", side, price, size if price is not None else 0]]

    def clear(self) -> None:
        self.orders.clear()
        self.quotes.clear()
        self.epoch += 1
        self.seq = 1

    def trade(self, size: int) -> dict[str, Any]:
        self.seq += 1
        told = {"ts_event": self.ts_event, "ts_recv": self.ts_event, "price": "100.25", "size": size + 1, "side": "N"}
        self.trades.append({**told, "order_id": "0", "sequence": self.seq})
        return self.trades[-1]

    def levels(self, side: str, depth: int | None, queues: bool) -> list[list[Any]]:
        """Levels of one side, best first, as the wire writes them."""
        mine = [order for order in self.orders if order.side == side]
        prices = {order.price for order in mine} | {quote[0] for s, quote in self.quotes.items() if s == side}
        best_first = sorted(prices, key=Decimal, reverse=side == "B")
        return [self.level(side, price, queues) for price in best_first[:depth]]

    def level(self, side: str, price: str, queues: bool) -> list[Any]:
        queue = [order for order in self.orders if (order.side, order.price) == (side, price)]
        quoted = self.quotes.get(side, ("", 0))
        size = sum(order.size for order in queue) + (quoted[1] if quoted[0] == price else 0)
        entries = [[order.order_id, order.size, order.ts_event] for order in queue]
        return [price, size, len(queue), *([entries] if queues else [])]

    def picture(self, depth: int | None, queues: bool) -> Picture:
        return {"bids": self.levels("B", depth, queues), "asks": self.levels("A", depth, queues)}


def checksum(picture: Picture, levels: int = CRC_LEVELS) -> int:
    best = picture["asks"][:levels] + picture["bids"][:levels]
    return zlib.crc32(",".join(f"{price}:{size}" for price, size, *_ in best).encode())


@dataclass
class Stream:
    """One group of the server: what it tells whoever has subscribed."""

    venue: Venue
    channel: str = "depth"
    depth: int | None = 10
    level: int = 2
    ops: list[list[Any]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    told: Picture = field(default_factory=dict)
    seq: int = 0
    epoch: int = 0
    moved: set[str] = field(default_factory=set)
    """Orders whose new time no operation has told."""

    @property
    def has_queues(self) -> bool:
        return self.level == 3 or self.channel == "orders"

    def now(self) -> Picture:
        depth = {"bbo": 1, "orders": None}.get(self.channel, self.depth)
        return self.venue.picture(depth, self.has_queues)

    def crc(self) -> int:
        return checksum(
            self.now(), min(CRC_LEVELS, {"bbo": 1, "orders": CRC_LEVELS}.get(self.channel, self.depth or 10))
        )

    def head(self, kind: str) -> dict[str, Any]:
        venue = self.venue
        bids, asks = venue.levels("B", 1, False), venue.levels("A", 1, False)
        spread = Decimal(asks[0][0]) - Decimal(bids[0][0]) if bids and asks else Decimal(1)
        return {
            "type": kind,
            "channel": self.channel,
            "instrument": "CLX5",
            **({"publisher_id": 1, "instrument_id": 5} if kind == "snapshot" else {}),
            "epoch": f"{venue.epoch:x}",
            **({"prev": self.seq} if kind == "delta" else {}),
            "seq": venue.seq,
            "sequence": venue.seq * 7,
            "ts_event": venue.ts_event,
            "ts_recv": str(T0 + venue.seq + 5),
            "state": "live" if venue.orders or venue.quotes else "empty",
            "crossed": spread < 0,
            "locked": spread == 0,
        }

    def snapshot(self) -> dict[str, Any]:
        if self.channel == "trades":
            message = {**self.head("snapshot"), "trades": self.venue.trades[-50:]}
        else:
            message = {**self.head("snapshot"), **self.now(), "crc": self.crc()}
        self.moved.clear()
        self.tell()
        return message

    def delta(self) -> dict[str, Any] | None:
        """What changed since the last message; None if nothing did."""
        if self.epoch != self.venue.epoch:
            return self.snapshot()
        if self.channel == "trades":
            message = {**self.head("delta"), "trades": list(self.trades)} if self.trades else None
        elif self.channel == "orders":
            message = {**self.head("delta"), "ops": list(self.ops), "crc": self.crc()} if self.ops else None
            for op in self.ops:
                if op[0] == "A" or op[-1] == "back":
                    self.moved.add(op[1])
        elif self.now() != self.told:
            changed = {side: self.changed(side) for side in ("bids", "asks")}
            message = {**self.head("delta"), **changed, "crc": self.crc()}
        else:
            message = None
        if message is not None:
            self.tell()
        return message

    def changed(self, side: str) -> list[list[Any]]:
        now = {level[0]: level for level in self.now()[side]}
        gone = [[price, 0, 0, *([[]] if self.has_queues else [])] for price, *_ in self.told[side] if price not in now]
        return gone + [level for level in now.values() if level not in self.told[side]]

    def tell(self) -> None:
        self.told, self.seq, self.epoch = self.now(), self.venue.seq, self.venue.epoch
        self.ops.clear()
        self.trades.clear()


def vectors() -> list[dict[str, Any]]:
    """Messages of each book channel, and the book after each of them: what every client must make of them."""
    made = []
    for name, options in {
        "best bid and offer": {"channel": "bbo"},
        "two levels": {"depth": 2},
        "ten levels": {"depth": 10},
        "three levels with queues": {"depth": 3, "level": 3},
        "every order": {"channel": "orders"},
    }.items():
        venue = Venue()
        stream = Stream(venue, **options)  # type: ignore[arg-type]
        messages, books = [stream.snapshot()], [after(stream)]
        for step in range(36):
            stream.ops += venue.event(*((step * factor + step * step) % 251 for factor in (7, 3, 5, 11, 13)))
            if step == 27:
                venue.clear()
            message = stream.delta() if step % 3 != 1 else None
            if message is not None:
                messages.append(message)
                books.append(after(stream))
        made.append({"name": name, "messages": messages, "books": books})
    return made


def after(stream: Stream) -> dict[str, Any]:
    """The book that a client must have now."""
    sides = {side: [as_told(level, stream.moved) for level in levels] for side, levels in stream.now().items()}
    return {**sides, "epoch": f"{stream.venue.epoch:x}", "seq": stream.venue.seq, "crc": stream.crc()}


def as_told(level: list[Any], moved: set[str]) -> list[Any]:
    price, size, count, *queues = level
    told = [[[i, s, "0" if i in moved else ts] for i, s, ts in queue] for queue in queues]
    return [price, size, count, *told]


if __name__ == "__main__":
    VECTORS.parent.mkdir(exist_ok=True)
    lines = [json.dumps(case, separators=(",", ":")) for case in vectors()]
    VECTORS.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
