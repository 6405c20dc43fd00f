"""The rows of every derived schema, by the plain rules of docs/convert.md: the opponent of the Rust deriver.

Each record is applied to the oracle's book, and the whole book is looked at before and after. Rows are dicts of
the fields in which rows can differ; times, prices and sizes are integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dbn_bytes import SNAPSHOT, UNDEF_PRICE, UNDEF_TIMESTAMP, Mbo
from oracle import OracleBook

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = dict[str, Any]
Shown = list[tuple[int, int, int]]

U32_MAX = 2**32 - 1
NS_PER_S = 10**9
INTERVAL_NS = {
    "bbo-1s": NS_PER_S,
    "bbo-1m": 60 * NS_PER_S,
    "ohlcv-1s": NS_PER_S,
    "ohlcv-1m": 60 * NS_PER_S,
    "ohlcv-1h": 3_600 * NS_PER_S,
    "ohlcv-1d": 86_400 * NS_PER_S,
}
RTYPES = {
    "mbp-10": 10,
    "mbp-1": 1,
    "tbbo": 1,
    "trades": 0,
    "bbo-1s": 195,
    "bbo-1m": 196,
    "ohlcv-1s": 32,
    "ohlcv-1m": 33,
    "ohlcv-1h": 34,
    "ohlcv-1d": 35,
}
ABSENT = (UNDEF_PRICE, 0, 0)


def shown(book: OracleBook, side: str, depth: int) -> Shown:
    levels = [(price, min(size, U32_MAX), count) for price, size, count in book.levels(side)[:depth]]
    return levels + [ABSENT] * (depth - len(levels))


def level_fields(bids: Shown, asks: Shown) -> Row:
    row = {}
    for at, (bid, ask) in enumerate(zip(bids, asks, strict=True)):
        for side, level in (("bid", bid), ("ask", ask)):
            row |= {f"{side}_{what}_{at:02}": value for what, value in zip(("px", "sz", "ct"), level, strict=True)}
    return row


def record_fields(record: Mbo, schema: str, depth: int) -> Row:
    return {
        "rtype": RTYPES[schema],
        "publisher_id": record.publisher_id,
        "instrument_id": record.instrument_id,
        "ts_event": record.ts_event,
        "price": record.price,
        "size": record.size,
        "action": record.action,
        "side": record.side,
        "flags": record.flags,
        "depth": depth,
        "ts_recv": record.ts_recv,
        "ts_in_delta": record.ts_in_delta,
        "sequence": record.sequence,
    }


def depth_of(record: Mbo, before: list[Shown], after: list[Shown]) -> int:
    """The level of the price an order came to, where it is shown, or else the best level that changed."""
    if record.action == "A" or (record.action == "M" and record.size):
        prices = [price for price, _, count in after["BA".index(record.side)] if price != UNDEF_PRICE]
        if record.price in prices:
            return prices.index(record.price)
    changed = [
        at
        for old, new in zip(before, after, strict=True)
        for at, (a, b) in enumerate(zip(old, new, strict=True))
        if a != b
    ]
    return min(changed, default=0)


def book_rows(records: Iterable[Mbo], schema: str) -> list[Row]:
    """mbp-10, mbp-1, tbbo and trades."""
    depth = 10 if schema == "mbp-10" else 1
    books: dict[tuple[int, int], OracleBook] = {}
    rows = []
    for record in records:
        book = books.setdefault(record.key, OracleBook())
        if book.fault_of(record):
            continue
        before = [shown(book, side, depth) for side in "BA"]
        book.execute(record)
        after = [shown(book, side, depth) for side in "BA"]
        is_trade = record.action == "T"
        is_update = not record.flags & SNAPSHOT and (before != after or record.action == "R")
        if is_trade or (is_update and schema in {"mbp-10", "mbp-1"}):
            row = record_fields(record, schema, 0 if is_trade else depth_of(record, before, after))
            rows.append(row | ({} if schema == "trades" else level_fields(*after)))
    return rows


@dataclass
class Session:
    """One instrument between two intervals."""

    book: OracleBook = field(default_factory=OracleBook)
    last_trade: Mbo | None = None
    last_update: Mbo | None = None
    trades: list[Mbo] = field(default_factory=list)


def interval_rows(records: Iterable[Mbo], schema: str) -> list[Row]:
    """bbo and ohlcv: rows at the end of each interval of ts_recv in which something happened."""
    interval_ns = INTERVAL_NS[schema]
    sessions: dict[tuple[int, int], Session] = {}
    busy: list[tuple[int, int]] = []
    rows: list[Row] = []
    current = -1
    for record in records:
        if record.ts_recv // interval_ns > current:
            rows += close(sessions, busy, schema, (current + 1) * interval_ns)
            current = record.ts_recv // interval_ns
        session = sessions.setdefault(record.key, Session())
        if session.book.fault_of(record):
            continue
        before = [shown(session.book, side, 1) for side in "BA"]
        session.book.execute(record)
        after = [shown(session.book, side, 1) for side in "BA"]
        is_trade = record.action == "T"
        is_bar = schema.startswith("ohlcv")
        is_update = not record.flags & SNAPSHOT and (before != after or record.action == "R")
        if is_trade:
            session.last_trade = record
        if (is_trade and (not is_bar or record.price != UNDEF_PRICE)) or (is_update and not is_bar):
            session.last_update = record
            if record.key not in busy:
                busy.append(record.key)
        if is_trade and record.price != UNDEF_PRICE:
            session.trades.append(record)
    return rows + close(sessions, busy, schema, (current + 1) * interval_ns)


def close(sessions: dict[tuple[int, int], Session], busy: list[tuple[int, int]], schema: str, end_ns: int) -> list[Row]:
    rows = []
    for key in busy:
        head = {"rtype": RTYPES[schema], "publisher_id": key[0], "instrument_id": key[1]}
        session = sessions[key]
        body = bar(session.trades, end_ns - INTERVAL_NS[schema]) if schema[0] == "o" else quote(session, end_ns)
        rows.append(head | body)
    for session in sessions.values():
        session.trades.clear()
    busy.clear()
    return rows


def bar(trades: list[Mbo], start_ns: int) -> Row:
    prices = [trade.price for trade in trades]
    return {
        "ts_event": start_ns,
        "open": prices[0],
        "high": max(prices),
        "low": min(prices),
        "close": prices[-1],
        "volume": sum(trade.size for trade in trades),
    }


def quote(session: Session, end_ns: int) -> Row:
    trade, update = session.last_trade, session.last_update
    assert update is not None
    return {
        "ts_event": trade.ts_event if trade else UNDEF_TIMESTAMP,
        "price": trade.price if trade else UNDEF_PRICE,
        "size": trade.size if trade else 0,
        "side": trade.side if trade else "N",
        "flags": update.flags,
        "ts_recv": end_ns,
        "sequence": update.sequence,
    } | level_fields(shown(session.book, "B", 1), shown(session.book, "A", 1))


def rows_of(records: Iterable[Mbo], schema: str) -> list[Row]:
    return interval_rows(records, schema) if schema in INTERVAL_NS else book_rows(records, schema)
