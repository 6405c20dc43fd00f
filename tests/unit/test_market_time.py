"""`until`, symbols that change hands, and what snapshots do to both: their Adds carry the times of the orders."""

from __future__ import annotations

import pytest

from dbn_bytes import BAD_TS_RECV, LAST, MAYBE_BAD_BOOK, SNAPSHOT, T0, UNIT, Mbo, metadata, stream
from l3book import Market, OrderBook

P = 100 * UNIT
SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
HELD_RECORDS_MAX = 262_144


def add(order_id: int, *, flags: int = LAST, ts: int = T0, ts_recv: int | None = None) -> Mbo:
    return Mbo("A", "B", P, 1, order_id, flags=flags, ts_event=ts, ts_recv=ts if ts_recv is None else ts_recv)


def fed(*records: Mbo, until: int | None = None) -> Market:
    market = Market(until=until)
    market.feed(stream(records))
    return market


def test_an_event_that_is_forced_after_until_is_not_shown() -> None:
    late = add(1, flags=0, ts=T0 + 200)
    market = fed(add(9), late, add(2, flags=0, ts=T0 + 3 * SECOND_NS), until=T0 + 150)
    assert [order.order_id for order in market.book(1).orders("B", P)] == [9]
    assert market.snapshot(1).ts_event == T0


def test_a_forced_event_before_until_is_shown() -> None:
    market = fed(add(1, flags=0), add(2, flags=0, ts=T0 + 3 * SECOND_NS), until=T0 + SECOND_NS)
    assert [order.order_id for order in market.book(1).orders("B", P)] == [1]


@pytest.mark.parametrize("how", ["told", "forced"])
def test_nothing_of_an_event_behind_until_is_listed(how: str) -> None:
    """A rejected record says nothing of when its event is over: only the last one does."""
    refused = add(7)._replace(side="N")
    early, other = refused, refused._replace(instrument_id=2)
    inside = refused._replace(flags=0)
    held = add(1, flags=0, ts=T0 + 200)
    end = add(2, ts=T0 + 201) if how == "told" else add(2, flags=0, ts=T0 + 3 * SECOND_NS)
    market = fed(early, inside, other, held, inside, end, until=T0 + 150)
    assert market.stats()["rejected_side"] == 2
    assert [problem["record"] for problem in market.problems()] == [0, 2]
    assert [problem["record"] for problem in Market.from_bytes(market.to_bytes()).problems()] == [0, 2]
    assert [problem["record"] for problem in fed(early, inside, other, held, inside, end).problems()] == [0, 1, 2, 4]


def test_a_snapshot_happens_when_it_was_taken_not_when_its_orders_came() -> None:
    bits = SNAPSHOT | BAD_TS_RECV
    clear = Mbo("R", flags=bits, ts_event=T0, ts_recv=T0)
    old = add(1, flags=bits | LAST, ts=T0 - HOUR_NS, ts_recv=T0)
    assert fed(clear, old, until=T0 - 1).stats()["orders"] == 0
    assert fed(clear, old, until=T0).stats()["orders"] == 1


def test_a_symbol_is_that_of_the_day_of_capture() -> None:
    market = Market()
    market.feed(metadata(3, symbols={"OLD": 1}, dates=(20250901, 20250910)))
    market.feed(metadata(3, symbols={"NEW": 1}, dates=(20250924, 20250925)))
    market.feed(stream([add(1, ts=T0 - 20 * DAY_NS, ts_recv=T0)]))
    assert market.snapshot(1).symbol == "NEW"
    assert market.book("OLD").instrument_id == 1, "an old name still leads to the instrument"


def test_a_key_as_text_is_the_key_even_if_a_symbol_is_spelled_so() -> None:
    market = Market()
    market.feed(metadata(3, symbols={"1:2": 3, "7": 2}))
    market.feed(stream([add(1)._replace(instrument_id=n) for n in (2, 3)]))
    assert (market.book("1:2").instrument_id, market.book("1:3").instrument_id) == (2, 3)
    assert market.book("7").instrument_id == 2, "a symbol that looks like an instrument_id is a symbol"


def test_what_is_forced_when_too_much_is_held_is_judged_before_the_record_that_forces_it() -> None:
    book = OrderBook()
    book.apply_mbo(action="N", flags=LAST | MAYBE_BAD_BOOK)
    for n in range(HELD_RECORDS_MAX):
        book.apply_mbo(action="A", side="B", price=P, size=1, order_id=n, flags=0)
    assert (len(book), book.stats()["held"]) == (0, HELD_RECORDS_MAX)
    assert book.apply_mbo(action="R", flags=0), "it completes the forced event"
    assert (len(book), book.stats()["held"]) == (HELD_RECORDS_MAX, 1)
    assert book.state == "suspect", "the clear is still held"


@pytest.mark.parametrize("ts_recv", [T0 + 2 * SECOND_NS, T0])
def test_apply_mbo_says_that_a_record_forced_an_event(ts_recv: int) -> None:
    book = OrderBook()
    book.apply_mbo(add(1, flags=0).to_bytes())
    assert book.apply_mbo(add(2, flags=0, ts_recv=ts_recv).to_bytes()) is (ts_recv > T0)
