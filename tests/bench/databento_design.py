"""A book after the design that Databento publishes as "Limit order book construction" (databento.com/docs/examples).

Written anew after their description: orders in a dict by id; each side a SortedDict of price levels; a level is a list
of MBOMsg in priority order, which is searched; records are applied one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sortedcontainers import SortedDict

if TYPE_CHECKING:
    from opponents import Levels


class DatabentoDesign:
    """One instrument's book; `apply` takes an MBOMsg, of which it keeps Adds and changes their size."""

    def __init__(self) -> None:
        self.orders: dict[int, Any] = {}
        self.sides: dict[str, SortedDict] = {"B": SortedDict(), "A": SortedDict()}

    def apply(self, message: Any) -> None:
        """Apply one record."""
        action = message.action
        if action in {"T", "F", "N"}:
            return
        if action == "R":
            self.orders.clear()
            self.sides["B"].clear()
            self.sides["A"].clear()
        elif action == "A":
            self._add(message)
        elif action == "C":
            self._cancel(message)
        elif action == "M":
            self._modify(message)

    def _add(self, message: Any) -> None:
        self.orders[message.order_id] = message
        self.sides[message.side].setdefault(message.price, []).append(message)

    def _leave(self, order: Any) -> None:
        side = self.sides[order.side]
        level = side[order.price]
        order_id = order.order_id
        del level[next(at for at, other in enumerate(level) if other.order_id == order_id)]
        if not level:
            del side[order.price]

    def _cancel(self, message: Any) -> None:
        order = self.orders.get(message.order_id)
        if order is None:
            return
        if message.size < order.size:
            order.size -= message.size
        else:
            del self.orders[order.order_id]
            self._leave(order)

    def _modify(self, message: Any) -> None:
        order = self.orders.get(message.order_id)
        if order is None:
            self._add(message)
        elif order.price != message.price or order.size < message.size:
            self._leave(order)
            self._add(message)
        else:
            order.size = message.size

    def levels(self) -> dict[str, Levels]:
        """Price and size of each level, best first."""
        found = {
            side: [(price, sum(order.size for order in level)) for price, level in levels.items()]
            for side, levels in self.sides.items()
        }
        found["B"].reverse()
        return found
