"""The bytes behind a state hash, made from the oracle: a second reading of the layout in docs/verify.md."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import xxhash

from dbn_bytes import MAYBE_BAD_BOOK, SNAPSHOT
from oracle import CHANGES_THE_BOOK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oracle import OracleBook, OracleMarket

LOADING, SUSPECT, PAST_END, WILL_SETTLE, WILL_BE_SUSPECT = 1, 2, 4, 8, 16


def state_hash(market: OracleMarket) -> str:
    """XXH3-128 of all books, as 32 hexadecimal digits."""
    content = b"L3ST" + struct.pack("<IQ", 1, len(market.books))
    for key in sorted(market.books):
        content += b"".join(book_bytes(key, market.books[key]))
    return xxhash.xxh3_128_hexdigest(content)


def book_bytes(key: tuple[int, int], book: OracleBook) -> Iterator[bytes]:
    yield struct.pack("<HI", *key)
    last = book.newest
    moment = (last.ts_event, last.ts_recv, last.sequence) if last else (0, 0, 0)
    yield struct.pack("<QQQI", book.counted["events"], *moment)
    verdicts = [
        bool(record.flags & MAYBE_BAD_BOOK)
        for record in book.waiting
        if record.flags & (MAYBE_BAD_BOOK | SNAPSHOT) or record.action == "R"
    ]
    bits = LOADING * book.loading + SUSPECT * book.suspect + PAST_END * book.past_end
    if verdicts:
        bits += WILL_SETTLE + WILL_BE_SUSPECT * verdicts[-1]
    yield struct.pack("<B", bits)
    held = [record for record in book.waiting if record.action in CHANGES_THE_BOOK]
    yield struct.pack("<Q", len(held))
    yield from (record.to_bytes() for record in held)
    for side in "BA":
        price, size = book.quotes.get(side, (0, 0))
        yield struct.pack("<BqQ", side in book.quotes, price, size)
        levels = book.levels(side)
        yield struct.pack("<Q", len(levels))
        for level in levels:
            yield struct.pack("<qI", level.price, level.count)
            for order in book.queue(side, level.price):
                yield struct.pack("<QIQ", order.order_id, order.size, order.ts_event)
