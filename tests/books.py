"""Short ways for tests to make a book of the core and to look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from l3book import OrderBook

if TYPE_CHECKING:
    from l3book import Book

    AnyBook = OrderBook | Book


def book_of(*records: bytes, **options: Any) -> OrderBook:
    book = OrderBook(**options)
    for r in records:
        book.apply_mbo(r)
    book.check()
    return book


def levels(book: AnyBook, side: str) -> list[tuple[int, int, int]]:
    """All levels of one side as (price, size, count), best first."""
    view = book.snapshot(None)
    return (view.bids if side == "B" else view.asks).tolist()


def queue(book: AnyBook, side: str, price: int) -> list[tuple[int, int]]:
    """The queue at one price as (order_id, size), in priority order."""
    return [(o.order_id, o.size) for o in book.orders(side, price)]


def counts(book: AnyBook, *names: str) -> tuple[int, ...]:
    stats = book.stats()
    return tuple(stats[name] for name in names)
