"""Every rule of a correct L3 book, one named test each, through `OrderBook` record by record.

Its neighbours: test_book_events.py (when to look), test_book_known_bugs.py, test_book_input.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from books import book_of, counts, levels, queue
from dbn_bytes import (
    BAD_TS_RECV,
    LAST,
    SNAPSHOT,
    TOB,
    UNDEF_PRICE,
    UNIT,
    record,
)
from l3book import OrderBook

MID_EVENT = 0
P = 100 * UNIT


def three_bids(**options: Any) -> OrderBook:
    """Orders 1, 2, 3 of size 10 in one queue."""
    return book_of(*(record("A", "B", P, size=10, order_id=i) for i in (1, 2, 3)), **options)


def unchanged_by(book: OrderBook, *records: bytes) -> None:
    before = book.snapshot(None, level=3).to_dict()
    for r in records:
        book.apply_mbo(r)
    book.check()
    after = book.snapshot(None, level=3).to_dict()
    assert (after["bids"], after["asks"]) == (before["bids"], before["asks"])


# Add


def test_an_add_joins_the_back_of_the_queue_at_its_price() -> None:
    book = three_bids()
    assert queue(book, "B", P) == [(1, 10), (2, 10), (3, 10)]
    assert levels(book, "B") == [(P, 30, 3)]
    assert levels(book, "A") == []


def test_levels_are_sorted_best_first_on_both_sides() -> None:
    prices = (P, P + 2, P - 1, P + 1)
    book = book_of(
        *(record("A", "B", p, size=1, order_id=i) for i, p in enumerate(prices)),
        *(record("A", "A", p + 10, size=1, order_id=10 + i) for i, p in enumerate(prices)),
    )
    assert [p for p, _, _ in levels(book, "B")] == [P + 2, P + 1, P, P - 1]
    assert [p for p, _, _ in levels(book, "A")] == [P + 9, P + 10, P + 11, P + 12]
    bid, ask = book.bbo()
    assert bid is not None
    assert ask is not None
    assert (tuple(bid), tuple(ask)) == ((P + 2, 1, 1), (P + 9, 1, 1))


def test_the_same_price_on_both_sides_is_two_levels() -> None:
    book = book_of(record("A", "B", P, size=1, order_id=1), record("A", "A", P, size=2, order_id=2))
    assert (levels(book, "B"), levels(book, "A")) == ([(P, 1, 1)], [(P, 2, 1)])
    assert (queue(book, "B", P), queue(book, "A", P)) == ([(1, 1)], [(2, 2)])


def test_an_add_of_a_known_order_id_replaces_that_order_and_is_counted() -> None:
    book = three_bids()
    book.apply_mbo(record("A", "A", P + 5, size=4, order_id=2))
    book.check()
    assert (queue(book, "B", P), queue(book, "A", P + 5)) == ([(1, 10), (3, 10)], [(2, 4)])
    assert counts(book, "duplicate_adds", "adds", "orders") == (1, 4, 3)


def test_a_repeated_mbo_snapshot_does_not_double_the_book() -> None:
    adds = [record("A", "B", P - i // 3, size=1 + i, order_id=i, flags=SNAPSHOT | BAD_TS_RECV) for i in range(9)]
    end = record("N", flags=LAST)
    once, twice = book_of(*adds, end), book_of(*adds, end, *adds, end)
    assert levels(twice, "B") == levels(once, "B")
    assert [queue(twice, "B", P - i) for i in range(3)] == [queue(once, "B", P - i) for i in range(3)]
    assert counts(twice, "duplicate_adds", "orders") == (9, 9)


# Cancel


def test_a_partial_cancel_reduces_the_order_in_its_place() -> None:
    book = three_bids()
    book.apply_mbo(record("C", "B", P, size=4, order_id=1))
    assert queue(book, "B", P) == [(1, 6), (2, 10), (3, 10)]
    assert levels(book, "B") == [(P, 26, 3)]


@pytest.mark.parametrize("order_id", [1, 2, 3])
def test_a_cancel_to_zero_removes_the_order_wherever_it_stands(order_id: int) -> None:
    book = three_bids()
    book.apply_mbo(record("C", "B", P, size=10, order_id=order_id))
    book.check()
    assert queue(book, "B", P) == [(i, 10) for i in (1, 2, 3) if i != order_id]
    assert book.order(order_id) is None
    assert book.queue_position(order_id) is None
    assert counts(book, "over_cancels", "unknown_cancels") == (0, 0)


def test_a_cancel_of_more_than_rests_removes_the_order_and_is_counted() -> None:
    book = three_bids()
    book.apply_mbo(record("C", "B", P, size=11, order_id=2))
    book.check()
    assert queue(book, "B", P) == [(1, 10), (3, 10)]
    assert levels(book, "B") == [(P, 20, 2)]
    assert counts(book, "over_cancels") == (1,)


def test_a_cancel_of_an_unknown_order_id_changes_nothing_and_is_counted() -> None:
    book = three_bids()
    unchanged_by(book, record("C", "B", P, size=10, order_id=99))
    assert counts(book, "unknown_cancels", "cancels") == (1, 1)


def test_a_cancel_of_size_zero_changes_nothing() -> None:
    book = three_bids()
    unchanged_by(book, record("C", "B", P, size=0, order_id=2))
    assert counts(book, "zero_sizes", "unknown_cancels", "over_cancels") == (0, 0, 0)


@pytest.mark.parametrize(("side", "price"), [("N", UNDEF_PRICE), ("A", P), ("B", P + 7)])
def test_a_cancel_goes_by_its_order_id_and_not_by_its_side_or_price(side: str, price: int) -> None:
    book = three_bids()
    book.apply_mbo(record("C", side, price, size=10, order_id=2))
    book.check()
    assert queue(book, "B", P) == [(1, 10), (3, 10)]
    assert counts(book, "rejected_side", "rejected_price") == (0, 0)


# Modify


def test_a_modify_of_an_unknown_order_id_is_an_add_and_is_counted() -> None:
    book = three_bids()
    book.apply_mbo(record("M", "B", P, size=7, order_id=99))
    assert queue(book, "B", P) == [(1, 10), (2, 10), (3, 10), (99, 7)]
    assert counts(book, "unknown_modifies", "modifies", "adds") == (1, 1, 3)


def test_a_modify_to_another_price_joins_the_back_of_the_new_queue() -> None:
    book = three_bids()
    book.apply_mbo(record("A", "B", P + 1, size=5, order_id=4))
    book.apply_mbo(record("M", "B", P + 1, size=10, order_id=1))
    book.check()
    assert (queue(book, "B", P), queue(book, "B", P + 1)) == ([(2, 10), (3, 10)], [(4, 5), (1, 10)])


def test_a_modify_to_another_price_and_back_loses_its_place() -> None:
    book = three_bids()
    book.apply_mbo(record("M", "B", P + 1, size=10, order_id=1))
    book.apply_mbo(record("M", "B", P, size=10, order_id=1))
    book.check()
    assert queue(book, "B", P) == [(2, 10), (3, 10), (1, 10)]
    assert levels(book, "B") == [(P, 30, 3)]


def test_a_modify_to_the_other_side_joins_the_back_of_that_queue() -> None:
    book = three_bids()
    book.apply_mbo(record("A", "A", P, size=5, order_id=4))
    book.apply_mbo(record("M", "A", P, size=10, order_id=1))
    book.check()
    assert (queue(book, "B", P), queue(book, "A", P)) == ([(2, 10), (3, 10)], [(4, 5), (1, 10)])


def test_a_modify_that_grows_goes_to_the_back_of_the_same_queue() -> None:
    book = three_bids()
    book.apply_mbo(record("M", "B", P, size=11, order_id=1))
    book.check()
    assert queue(book, "B", P) == [(2, 10), (3, 10), (1, 11)]
    assert levels(book, "B") == [(P, 31, 3)]


def test_a_modify_that_shrinks_keeps_its_place() -> None:
    book = three_bids()
    book.apply_mbo(record("M", "B", P, size=9, order_id=1))
    book.check()
    assert queue(book, "B", P) == [(1, 9), (2, 10), (3, 10)]
    assert levels(book, "B") == [(P, 29, 3)]


def test_a_modify_of_the_same_size_keeps_its_place_by_default() -> None:
    book = three_bids()
    book.apply_mbo(record("M", "B", P, size=10, order_id=1))
    assert queue(book, "B", P) == [(1, 10), (2, 10), (3, 10)]


def test_a_modify_of_the_same_size_goes_to_the_back_when_asked() -> None:
    book = three_bids(same_size_modify="to_back")
    book.apply_mbo(record("M", "B", P, size=10, order_id=1))
    book.check()
    assert queue(book, "B", P) == [(2, 10), (3, 10), (1, 10)]
    book.apply_mbo(record("M", "B", P, size=9, order_id=2))
    assert queue(book, "B", P) == [(2, 9), (3, 10), (1, 10)]


def test_an_unknown_name_of_the_same_size_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="keeps_place"):
        OrderBook(same_size_modify="front")  # type: ignore[arg-type]


def test_a_modify_moves_the_only_order_of_a_level_to_another_one() -> None:
    book = book_of(record("A", "B", P, size=10, order_id=1))
    book.apply_mbo(record("M", "B", P - 1, size=3, order_id=1))
    book.check()
    assert levels(book, "B") == [(P - 1, 3, 1)]
    assert queue(book, "B", P) == []


# Clear


@pytest.mark.parametrize("side", ["N", "B", "A"])
def test_a_clear_empties_the_whole_book_whatever_its_side(side: str) -> None:
    book = three_bids()
    book.apply_mbo(record("A", "A", P + 1, size=1, order_id=4))
    epoch = book.snapshot().epoch
    book.apply_mbo(record("R", side))
    book.check()
    assert (levels(book, "B"), levels(book, "A"), len(book)) == ([], [], 0)
    assert book.order(1) is None
    assert counts(book, "clears", "orders", "rejected_side") == (1, 0, 0)
    assert book.snapshot().epoch != epoch


def test_ordinary_events_keep_the_epoch() -> None:
    book = three_bids()
    epoch = book.snapshot().epoch
    book.apply_mbo(record("C", "B", P, size=10, order_id=1))
    assert book.snapshot().epoch == epoch


def test_ids_and_prices_from_before_a_clear_can_come_back() -> None:
    book = three_bids()
    book.apply_mbo(record("R"))
    book.apply_mbo(record("A", "B", P, size=2, order_id=3))
    book.apply_mbo(record("A", "B", P, size=2, order_id=1))
    book.check()
    assert queue(book, "B", P) == [(3, 2), (1, 2)]
    assert counts(book, "duplicate_adds") == (0,)


# Trade, Fill, None


@pytest.mark.parametrize("action", ["T", "F", "N"])
@pytest.mark.parametrize("side", ["B", "A", "N"])
def test_a_trade_a_fill_and_a_none_never_touch_the_book(action: str, side: str) -> None:
    book = three_bids()
    unchanged_by(
        book,
        record(action, side, P, size=10, order_id=1),
        record(action, side, P, size=3, order_id=99),
        record(action, side, UNDEF_PRICE, size=0, order_id=2, flags=LAST | TOB),
    )
    name = {"T": "trades", "F": "fills", "N": "nones"}[action]
    assert counts(book, name, "events", "unknown_cancels") == (3, 6, 0)


def test_a_fill_and_its_cancel_take_the_size_once() -> None:
    book = three_bids()
    for r in (
        record("T", "A", P, size=4, flags=MID_EVENT),
        record("F", "B", P, size=4, order_id=1, flags=MID_EVENT),
        record("C", "B", P, size=4, order_id=1),
    ):
        book.apply_mbo(r)
    assert queue(book, "B", P) == [(1, 6), (2, 10), (3, 10)]


# Top of book


def test_a_top_of_book_add_replaces_its_whole_side_and_counts_no_order() -> None:
    book = three_bids()
    book.apply_mbo(record("A", "B", P - 5, size=2, order_id=4))
    book.apply_mbo(record("A", "A", P + 5, size=3, order_id=5))
    book.apply_mbo(record("A", "B", P + 1, size=7, flags=LAST | TOB))
    book.check()
    assert (levels(book, "B"), levels(book, "A")) == ([(P + 1, 7, 0)], [(P + 5, 3, 1)])
    assert (book.order(1), book.order(4)) == (None, None)
    book.apply_mbo(record("A", "B", P - 1, size=8, flags=LAST | TOB))
    book.check()
    assert levels(book, "B") == [(P - 1, 8, 0)]
    assert counts(book, "rejected_price", "duplicate_adds", "bid_levels") == (0, 0, 1)


@pytest.mark.parametrize("size", [0, 5])
def test_a_top_of_book_add_without_a_price_empties_its_side(size: int) -> None:
    book = book_of(record("A", "B", P, size=7, flags=LAST | TOB), record("A", "A", P + 1, size=3, flags=LAST | TOB))
    book.apply_mbo(record("A", "B", UNDEF_PRICE, size=size, flags=LAST | TOB))
    book.check()
    assert (levels(book, "B"), levels(book, "A")) == ([], [(P + 1, 3, 0)])
    assert book.bbo().bid is None
    assert counts(book, "rejected_price") == (0,)


def test_a_clear_also_removes_a_top_of_book_quote() -> None:
    book = book_of(record("A", "B", P, size=7, flags=LAST | TOB), record("R"))
    assert levels(book, "B") == []


# Size zero


def test_a_modify_to_size_zero_is_a_removal_and_is_counted() -> None:
    book = three_bids()
    book.apply_mbo(record("M", "B", P, size=0, order_id=2))
    book.check()
    assert queue(book, "B", P) == [(1, 10), (3, 10)]
    assert counts(book, "zero_sizes", "orders", "unknown_modifies") == (1, 2, 0)


def test_a_modify_to_size_zero_at_another_price_is_a_removal_too() -> None:
    book = three_bids()
    book.apply_mbo(record("M", "A", P + 3, size=0, order_id=2))
    book.check()
    assert queue(book, "B", P) == [(1, 10), (3, 10)]
    assert levels(book, "A") == []


def test_a_modify_of_an_unknown_order_id_to_size_zero_rests_nothing() -> None:
    book = three_bids()
    unchanged_by(book, record("M", "B", P + 1, size=0, order_id=99))
    assert counts(book, "zero_sizes", "unknown_modifies") == (1, 1)


@pytest.mark.parametrize("order_id", [2, 99], ids=["known", "unknown"])
def test_an_add_of_size_zero_is_ignored_and_counted(order_id: int) -> None:
    book = three_bids()
    unchanged_by(book, record("A", "B", P + 1, size=0, order_id=order_id))
    assert counts(book, "zero_sizes", "adds", "duplicate_adds", "orders") == (1, 4, 0, 3)


# Rejected records


@pytest.mark.parametrize("action", ["A", "M"])
def test_an_add_or_modify_without_a_price_is_rejected(action: str) -> None:
    book = three_bids()
    unchanged_by(book, record(action, "B", UNDEF_PRICE, size=1, order_id=2))
    assert counts(book, "rejected_price", "records", "adds", "modifies", "events") == (1, 4, 3, 0, 4)


@pytest.mark.parametrize("action", ["A", "M"])
def test_an_add_or_modify_without_a_side_is_rejected(action: str) -> None:
    book = three_bids()
    unchanged_by(book, record(action, "N", P, size=1, order_id=2))
    assert counts(book, "rejected_side", "records", "adds", "modifies", "events") == (1, 4, 3, 0, 4)


@pytest.mark.parametrize("action", ["a", "X", "\0", "\xff", " "])
def test_an_action_outside_the_table_is_rejected(action: str) -> None:
    book = three_bids()
    unchanged_by(book, record(action, "B", P, size=1, order_id=2))
    assert counts(book, "rejected_action", "records", "events") == (1, 4, 4)


def test_a_rejected_record_with_last_still_completes_the_event() -> None:
    book = OrderBook()
    assert book.apply_mbo(record("A", "B", P, size=1, order_id=1, flags=MID_EVENT)) is False
    assert book.apply_mbo(record("A", "N", P, size=1, order_id=2)) is True
    assert queue(book, "B", P) == [(1, 1)]
    assert counts(book, "events", "held") == (1, 0)


def test_the_feed_goes_on_after_a_rejected_record() -> None:
    book = book_of(record("?", "B", P, size=1), record("A", "B", P, size=1, order_id=1))
    assert queue(book, "B", P) == [(1, 1)]
