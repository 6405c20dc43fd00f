"""Other books that a user of Python could take, each behind the same three things: what it is fed, how, and its levels.

What an opponent is fed is built beforehand and not timed. Trades and fills change no book and are left out where the
opponent has no use for them; a partial Cancel becomes a Modify where it knows only whole ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbn_bytes import SNAPSHOT, Mbo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Levels = list[tuple[int, int]]
"""Price in 1e-9 units and size, best first."""
UNIT = 1_000_000_000
TICK = 10_000_000


class Step(NamedTuple):
    """What a record does to a book, with the size that the order has after it (0: it is gone)."""

    kind: str
    record: Mbo
    size: int


def steps(records: Iterable[bytes]) -> Iterator[Step]:
    """Adds, updates, deletes and clears; trades, fills and cancels of unknown orders do nothing and are left out."""
    sizes: dict[int, int] = {}
    for data in records:
        record = Mbo.from_bytes(data)
        order_id = record.order_id
        if record.action == "A" or (record.action == "M" and order_id not in sizes):
            sizes[order_id] = record.size
            yield Step("add", record, record.size)
        elif record.action == "M":
            sizes[order_id] = record.size
            yield Step("update", record, record.size)
        elif record.action == "C" and order_id in sizes:
            left = sizes[order_id] - record.size
            if left > 0:
                sizes[order_id] = left
                yield Step("update", record, left)
            else:
                del sizes[order_id]
                yield Step("delete", record, 0)
        elif record.action == "R":
            sizes.clear()
            yield Step("clear", record, 0)


class Nautilus:
    """nautilus_trader's OrderBook of type L3_MBO."""

    BATCH = 1_000

    def __init__(self, records: Iterable[bytes]) -> None:
        from nautilus_trader.model.data import NULL_ORDER, BookOrder, OrderBookDelta, OrderBookDeltas
        from nautilus_trader.model.enums import BookAction, OrderSide
        from nautilus_trader.model.identifiers import InstrumentId
        from nautilus_trader.model.objects import Price, Quantity

        self.instrument_id = InstrumentId.from_str("BOOK.XXXX")
        actions = {"add": BookAction.ADD, "update": BookAction.UPDATE, "delete": BookAction.DELETE}
        sides = {"B": OrderSide.BUY, "A": OrderSide.SELL, "N": OrderSide.NO_ORDER_SIDE}
        prices: dict[int, Any] = {}
        sizes: dict[int, Any] = {}
        self.deltas = []
        for kind, record, size in steps(records):
            if kind == "clear":
                action, order = BookAction.CLEAR, NULL_ORDER
            else:
                price = prices.setdefault(record.price, Price(record.price / UNIT, 2))
                quantity = sizes.setdefault(size, Quantity(size, 0))
                action, order = actions[kind], BookOrder(sides[record.side], price, quantity, record.order_id)
            delta = OrderBookDelta(
                self.instrument_id,
                action,
                order,
                record.flags & ~SNAPSHOT,
                record.sequence,
                record.ts_event,
                record.ts_recv,
            )
            self.deltas.append(delta)
        batches = range(0, len(self.deltas), self.BATCH)
        self.batches = [OrderBookDeltas(self.instrument_id, self.deltas[at : at + self.BATCH]) for at in batches]

    def book(self) -> Any:
        from nautilus_trader.model.book import OrderBook
        from nautilus_trader.model.enums import BookType

        return OrderBook(self.instrument_id, BookType.L3_MBO)

    @staticmethod
    def levels(book: Any) -> dict[str, Levels]:
        def side(levels: Any) -> Levels:
            return [(round(level.price.as_decimal() * UNIT), round(level.size())) for level in levels]

        return {"B": side(book.bids()), "A": side(book.asks())}


class HftBacktest:
    """hftbacktest's L3 books, moved by its backtest.

    Its exchange keeps every order's place in its queue; its local side keeps levels and the orders' sizes. Its own
    converter sends every event to both; here one can also do with the local side, which is less than a full L3 book.
    """

    def __init__(self, records: Iterable[bytes], *, with_queues: bool = True) -> None:
        import hftbacktest as hft
        import numpy as np
        from hftbacktest.types import event_dtype

        kinds = {
            "add": hft.ADD_ORDER_EVENT,
            "update": hft.MODIFY_ORDER_EVENT,
            "delete": hft.CANCEL_ORDER_EVENT,
            "clear": hft.DEPTH_CLEAR_EVENT,
        }
        sides = {"B": hft.BUY_EVENT, "A": hft.SELL_EVENT, "N": hft.BUY_EVENT | hft.SELL_EVENT}
        to = hft.LOCAL_EVENT | (hft.EXCH_EVENT if with_queues else 0)
        rows = []
        for at, (kind, record, size) in enumerate(steps(records), 1):
            price = 0.0 if kind == "clear" else record.price / UNIT
            # Times only order the events: the backtest walks through them in one go.
            event = kinds[kind] | sides[record.side] | to
            rows.append((event, at, at, price, size, record.order_id, 0, 0.0))
        self.events = np.array(rows, dtype=event_dtype)

    def backtest(self) -> Any:
        import hftbacktest as hft

        asset = (
            hft.BacktestAsset()
            .data(self.events)
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .l3_fifo_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0, 0)
            .tick_size(TICK / UNIT)
            .lot_size(1)
            .last_trades_capacity(0)
        )
        return hft.HashMapMarketDepthBacktest([asset])

    def run(self, backtest: Any) -> None:
        backtest.elapse(len(self.events) + 1)

    @staticmethod
    def quantities(backtest: Any, levels: dict[str, Levels]) -> dict[str, Levels]:
        """Its depth answers price by price: what it holds at the prices of these levels, and nothing better."""
        depth = backtest.depth(0)
        found = {
            "B": [(price, round(depth.bid_qty_at_tick(price // TICK))) for price, _ in levels["B"]],
            "A": [(price, round(depth.ask_qty_at_tick(price // TICK))) for price, _ in levels["A"]],
        }
        best = (round(depth.best_bid_tick) * TICK, round(depth.best_ask_tick) * TICK)
        assert best == (levels["B"][0][0], levels["A"][0][0]), f"its best prices are {best}"
        return found
