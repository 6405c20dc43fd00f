"""A book rebuilt from the wire alone."""

from __future__ import annotations

import zlib
from typing import Any

CRC_LEVELS = 10


class Mirror:
    """A book rebuilt from the wire alone; it checks `prev`, and the checksum after every message."""

    def __init__(self, depth: int | None) -> None:
        self.depth = depth
        self.version = ("", -1)
        self.state = ""
        self.sides: dict[str, dict[str, list[Any]]] = {}
        self.orders: dict[str, dict[str, dict[str, int]]] = {}
        """Of channel orders: side → price → order_id → size, in priority order."""
        self.is_lost = False

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "gap":
            assert message["from"] == self.version[1] + 1
            self.is_lost = True
            return
        if message["type"] == "snapshot":
            self.sides = {side: {level[0]: level[1:] for level in message[side]} for side in ("bids", "asks")}
            if message["channel"] == "orders":
                self.orders = {
                    side: {level[0]: {order[0]: order[1] for order in level[3]} for level in message[side]}
                    for side in ("bids", "asks")
                }
            self.is_lost = False
        else:
            assert not self.is_lost
            assert (message["epoch"], message["prev"]) == self.version
            for side in ("bids", "asks"):
                for price, *rest in message.get(side, ()):
                    if rest[0]:
                        self.sides[side][price] = rest
                    else:
                        # A merged delta also names levels that have come and gone meanwhile.
                        self.sides[side].pop(price, None)
            for op in message.get("ops", ()):
                self._apply(op)
        self.version = (message["epoch"], message["seq"])
        self.state = message["state"]
        assert self.checksum() == message["crc"]

    def _apply(self, op: list[Any]) -> None:
        match op:
            case ["A", order_id, side, price, size]:
                self._queue(side, price)[order_id] = size
            case ["M", order_id, price, size, place]:
                side, old = self._find(order_id)
                queue = self.orders[side][old]
                if place == "back":
                    del queue[order_id]
                    self._tidy(side, old)
                    queue = self.orders[side].setdefault(price, {})
                queue[order_id] = size
            case ["C", order_id, size]:
                side, price = self._find(order_id)
                self.orders[side][price][order_id] -= size
                if not self.orders[side][price][order_id]:
                    del self.orders[side][price][order_id]
                    self._tidy(side, price)
            case _:
                raise AssertionError(f"unknown op {op}")

    def _queue(self, side: str, price: str) -> dict[str, int]:
        return self.orders["bids" if side == "B" else "asks"].setdefault(price, {})

    def _find(self, order_id: str) -> tuple[str, str]:
        return next(
            (side, price)
            for side, levels in self.orders.items()
            for price, queue in levels.items()
            if order_id in queue
        )

    def _tidy(self, side: str, price: str) -> None:
        if not self.orders[side][price]:
            del self.orders[side][price]

    def levels(self, side: str) -> list[list[Any]]:
        """Best first: price, size, count."""
        found = {price: [sum(queue.values()), len(queue)] for price, queue in self.orders.get(side, {}).items()}
        sizes = found or {price: rest[:2] for price, rest in self.sides[side].items()}
        return sorted(
            ([price, *rest] for price, rest in sizes.items()), key=lambda level: float(level[0]), reverse=side == "bids"
        )

    def checksum(self) -> int:
        depth = min(self.depth or CRC_LEVELS, CRC_LEVELS)
        texts = [f"{level[0]}:{level[1]}" for side in ("asks", "bids") for level in self.levels(side)[:depth]]
        return zlib.crc32(",".join(texts).encode())

    def book(self) -> dict[str, Any]:
        return {"bids": self.levels("bids"), "asks": self.levels("asks"), "state": self.state}
