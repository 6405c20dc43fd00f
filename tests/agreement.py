"""Does a book of the core show what the oracle shows? And do two markets hold the same?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbn_bytes import MAYBE_BAD_BOOK
from oracle import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from l3book import Book, Market, OrderBook
    from oracle import OracleBook, OracleMarket

    AnyBook = OrderBook | Book


def assert_agrees(book: AnyBook, oracle: OracleBook, order_ids: Iterable[int] = ()) -> None:
    """Every view of `book` against `oracle`; `order_ids` are looked up besides those that rest."""
    book.check()
    expected_stats = oracle.stats()
    stats = book.stats()
    assert {name: stats[name] for name in COUNTERS} == expected_stats
    assert len(book) == len(oracle.resting)
    view = book.snapshot(None)
    best = book.bbo()
    for side, shown, top in (("B", view.bids, best.bid), ("A", view.asks, best.ask)):
        expected = [tuple(level) for level in oracle.levels(side)]
        assert shown.tolist() == expected
        assert (tuple(top) if top is not None else None) == (expected[0] if expected else None)
        for price, _, _ in expected:
            queue = [(o.order_id, o.side, o.price, o.size, o.ts_event) for o in book.orders(side, price)]
            assert queue == [tuple(order) for order in oracle.queue(side, price)]
    for order_id in {*order_ids, *oracle.resting}:
        assert_order_agrees(book, oracle, order_id)
    assert (view.crossed, view.locked, view.orders) == (oracle.crossed, oracle.locked, len(oracle.resting))
    assert_state_agrees(view.state, oracle)
    assert view.seq == oracle.counted["events"]
    assert int(view.epoch, 16) == oracle.epoch
    if oracle.newest is not None:
        newest = oracle.newest
        assert (view.ts_event, view.ts_recv, view.sequence) == (
            newest.ts_event,
            newest.ts_recv,
            newest.sequence,
        )


def assert_state_agrees(state: str, oracle: OracleBook) -> None:
    """Suspicion ends when the Clear or the snapshot is applied, not when its first record is seen."""
    if not oracle.waiting:
        assert (state == "suspect") == oracle.suspect
    elif oracle.suspect:
        assert state in {"suspect", "snapshot"}
    elif not any(r.flags & MAYBE_BAD_BOOK for r in oracle.waiting):
        assert state != "suspect"


def assert_order_agrees(book: AnyBook, oracle: OracleBook, order_id: int) -> None:
    order, expected = book.order(order_id), oracle.resting.get(order_id)
    shown = order and (order.order_id, order.side, order.price, order.size, order.ts_event)
    assert shown == (expected and tuple(expected))
    position = book.queue_position(order_id)
    standing = position and (
        position.orders_ahead,
        position.size_ahead,
        position.orders_behind,
        position.size_behind,
    )
    assert standing == oracle.queue_position(order_id)


def assert_same_queues(book: AnyBook, oracle: OracleBook) -> None:
    """Every order in every queue and every counter, for books too large for `assert_agrees`."""
    book.check()
    queues: dict[str, dict[int, list[tuple[int, int, int]]]] = {"B": {}, "A": {}}
    for o in oracle.resting.values():
        queues[o.side].setdefault(o.price, []).append((o.order_id, o.size, o.ts_event))
    view = book.snapshot(None)
    for side, shown in (("B", view.bids), ("A", view.asks)):
        assert shown.tolist() == [tuple(level) for level in oracle.levels(side)]
        for price, queue in queues[side].items():
            assert [(o.order_id, o.size, o.ts_event) for o in book.orders(side, price)] == queue
    stats = book.stats()
    assert {name: stats[name] for name in COUNTERS} == oracle.stats()
    assert len(book) == len(oracle.resting)


def assert_market_agrees(market: Market, oracle: OracleMarket, order_ids: Iterable[int] = ()) -> None:
    order_ids = list(order_ids)
    market.check()
    assert {(i.publisher_id, i.instrument_id) for i in market.instruments()} == set(oracle.books)
    assert len(market) == len(oracle.books)
    for key, book in oracle.books.items():
        assert_agrees(market.book(key), book, order_ids)
    stats = market.stats()
    assert {name: stats[name] for name in COUNTERS} == oracle.stats()


def contents(market: Market) -> dict[tuple[int, int], dict[str, Any]]:
    """All that a user can see of each book, but for the epoch, which no two markets share."""
    market.check()
    seen = {}
    for instrument in market.instruments():
        key = (instrument.publisher_id, instrument.instrument_id)
        book = market.book(key)
        view = book.snapshot(None, level=3)
        seen[key] = {
            "book": {**view.to_dict(), "epoch": None},
            "levels": (view.bids.tolist(), view.asks.tolist()),
            "stats": book.stats(),
            "ts_recv": view.ts_recv,
            "symbol": instrument.symbol,
        }
    return seen


def assert_same_books(ours: Market, expected: Market) -> None:
    """Every order in its place and every book as sure of it, though one market may have seen snapshots of the past."""
    keys = {(i.publisher_id, i.instrument_id) for i in ours.instruments()}
    assert keys == {(i.publisher_id, i.instrument_id) for i in expected.instruments()}
    for key in keys:
        views = [market.snapshot(key, depth=None, level=3).to_dict() for market in (ours, expected)]
        for side in ("bids", "asks"):
            assert views[0][side] == views[1][side], (key, side)
        assert [view["state"] for view in views] == [views[1]["state"]] * 2, key
