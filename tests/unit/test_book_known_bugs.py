"""Bugs that other implementations are known to have, and the ends of the number ranges."""

from __future__ import annotations

import json
import re

import pytest

from books import book_of, levels, queue
from dbn_bytes import T0, UNDEF_PRICE, UNIT, record
from l3book import OrderBook

U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1
I64_MIN = -(2**63)
P = 100 * UNIT


def three_bids() -> OrderBook:
    """Orders 1, 2, 3 of size 10 in one queue."""
    return book_of(*(record("A", "B", P, size=10, order_id=i) for i in (1, 2, 3)))


def test_bug_a_grown_order_whose_size_was_overwritten_before_it_was_compared() -> None:
    book = three_bids()
    book.apply_mbo(record("M", "B", P, size=50, order_id=2))
    position = book.queue_position(2)
    assert position is not None
    assert (position.orders_ahead, position.size_ahead) == (2, 20)
    assert (position.orders_behind, position.size_behind) == (0, 0)


def test_bug_side_none_skipped_before_clear_was_handled() -> None:
    assert len(book_of(record("A", "B", P, size=1, order_id=1), record("R", "N", UNDEF_PRICE))) == 0


def test_bug_fill_decoded_as_an_update_of_the_book() -> None:
    book = three_bids()
    book.apply_mbo(record("F", "A", P - 50, size=3, order_id=77))
    book.apply_mbo(record("F", "B", P, size=10, order_id=1))
    assert (levels(book, "B"), levels(book, "A")) == ([(P, 30, 3)], [])
    assert book.snapshot().crossed is False


def test_bug_a_cancel_taken_to_be_always_full() -> None:
    book = three_bids()
    book.apply_mbo(record("C", "B", P, size=1, order_id=3))
    assert queue(book, "B", P)[-1] == (3, 9)


def test_bug_unknown_modifies_dropped() -> None:
    assert len(book_of(record("M", "A", P, size=1, order_id=5))) == 1


@pytest.mark.parametrize("ts", [T0, 2**53 + 1, U64_MAX - 1])
def test_bug_timestamps_that_went_through_floats(ts: int) -> None:
    book = book_of(record("A", "B", P, size=1, order_id=1, ts_event=ts, ts_recv=ts))
    view = book.snapshot()
    order = book.order(1)
    assert order is not None
    assert (view.ts_event, view.ts_recv, book.bbo().ts_event, order.ts_event) == (ts, ts, ts, ts)
    wire = json.loads(view.to_json())
    assert (wire["ts_event"], wire["ts_recv"]) == (str(ts), str(ts))


@pytest.mark.parametrize("action", list("ACMRTFN"))
def test_bug_a_record_of_size_zero_that_panics(action: str) -> None:
    for side in "BAN":
        for price in (P, UNDEF_PRICE, 0):
            book_of(
                record("A", "B", P, size=1, order_id=1),
                record(action, side, price, size=0, order_id=1),
                record(action, side, price, size=0, order_id=0),
            )


# The ends of the number ranges


def test_level_sizes_do_not_wrap_at_32_bits() -> None:
    book = book_of(*(record("A", "A", P, size=U32_MAX, order_id=i) for i in range(3)))
    assert levels(book, "A") == [(P, 3 * U32_MAX, 3)]
    position = book.queue_position(2)
    assert position is not None
    assert position.size_ahead == 2 * U32_MAX
    assert json.loads(book.snapshot().to_json())["asks"][0][1:] == [3 * U32_MAX, 3]


@pytest.mark.parametrize("price", [I64_MIN, I64_MIN + 1, -UNIT, -1, 0, 1, UNDEF_PRICE - 1])
@pytest.mark.parametrize("side", ["B", "A"])
def test_every_price_but_the_undefined_one_is_a_price(side: str, price: int) -> None:
    book = book_of(record("A", side, price, size=1, order_id=1), record("A", side, 5, size=2, order_id=2))
    assert sorted(levels(book, side)) == sorted([(price, 1, 1), (5, 2, 1)])
    assert book.bbo() is not None
    book.apply_mbo(record("C", side, price, size=1, order_id=1))
    book.check()
    assert levels(book, side) == [(5, 2, 1)]


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (65_400_000_000, "65.40"),
        (65_000_000_000, "65.00"),
        (64_790_000_000, "64.79"),
        (-37_630_000_000, "-37.63"),
        (-10_000_000, "-0.01"),
        (1, "0.000000001"),
        (-1, "-0.000000001"),
        (0, "0.00"),
        (1_234_500_000, "1.2345"),
        (UNDEF_PRICE - 1, "9223372036.854775806"),
        (I64_MIN, "-9223372036.854775808"),
    ],
)
def test_prices_are_exact_decimal_strings_on_the_wire(price: int, text: str) -> None:
    wire = json.loads(book_of(record("A", "B", price, size=1, order_id=1)).snapshot().to_json())
    assert wire["bids"] == [[text, 1, 1]]


@pytest.mark.parametrize("order_id", [0, 1, 2**53 + 1, 2**63, U64_MAX - 1, U64_MAX])
def test_every_order_id_is_an_order_id(order_id: int) -> None:
    book = book_of(record("A", "B", P, size=2, order_id=order_id), record("A", "B", P, size=3, order_id=7))
    order = book.order(order_id)
    assert order is not None
    assert (order.order_id, order.side, order.price, order.size, order.ts_event) == (order_id, "B", P, 2, T0)
    wire = json.loads(book.snapshot(level=3).to_json())
    assert re.search(rf'"{order_id}"', json.dumps(wire["bids"])), "order ids are strings on the wire"
    book.apply_mbo(record("C", "B", P, size=2, order_id=order_id))
    book.check()
    assert (book.order(order_id), queue(book, "B", P)) == (None, [(7, 3)])


def test_a_level_that_died_can_live_again() -> None:
    book = OrderBook()
    for n in range(50):
        book.apply_mbo(record("A", "B", P, size=1 + n, order_id=n))
        assert levels(book, "B") == [(P, 1 + n, 1)]
        book.apply_mbo(record("C", "B", P, size=1 + n, order_id=n))
        assert levels(book, "B") == []
        assert book.bbo().bid is None
    book.check()


@pytest.mark.parametrize(("side", "step"), [("B", -1), ("A", 1)])
def test_the_best_price_walks_when_levels_at_the_touch_die(side: str, step: int) -> None:
    book = book_of(*(record("A", side, P + step * i, size=1, order_id=i) for i in range(20)))
    for i in range(19):
        book.apply_mbo(record("C", side, P + step * i, size=1, order_id=i))
        best = book.bbo().bid if side == "B" else book.bbo().ask
        assert best is not None
        assert best.price == P + step * (i + 1)
    book.apply_mbo(record("A", side, P - step * 3, size=1, order_id=99))
    best = book.bbo().bid if side == "B" else book.bbo().ask
    assert best is not None
    assert best.price == P - step * 3
    book.check()
