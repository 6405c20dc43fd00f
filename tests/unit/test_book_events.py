"""When a book may be looked at: events, the bounded hold-back, and the states that a user sees."""

from __future__ import annotations

import pytest

from books import book_of, counts, levels, queue
from dbn_bytes import (
    BAD_TS_RECV,
    LAST,
    MAYBE_BAD_BOOK,
    PUBLISHER_SPECIFIC,
    SNAPSHOT,
    T0,
    UNIT,
    record,
)
from l3book import OrderBook

SECOND_NS = 1_000_000_000
MID_EVENT = 0
P = 100 * UNIT


def three_bids() -> OrderBook:
    """Orders 1, 2, 3 of size 10 in one queue."""
    return book_of(*(record("A", "B", P, size=10, order_id=i) for i in (1, 2, 3)))


# When to look


def test_nothing_of_an_unfinished_event_can_be_seen() -> None:
    book = three_bids()
    before = book.snapshot(None, level=3)
    for r in (
        record("R", flags=MID_EVENT),
        record("A", "A", P - 9, size=1, order_id=9, flags=MID_EVENT),
        record("T", "A", P, size=1, flags=MID_EVENT),
    ):
        assert book.apply_mbo(r) is False
    assert book.snapshot(None, level=3) == before
    assert book.order(9) is None
    assert book.queue_position(3) is not None
    assert len(book) == 3
    assert counts(book, "events", "clears", "adds", "orders") == (3, 1, 4, 3)
    assert counts(book, "held") in ((2,), (3,)), "a Trade changes nothing, so whether it waits cannot be seen"
    assert book.apply_mbo(record("C", "B", P, size=1, order_id=1)) is True
    book.check()
    assert (levels(book, "B"), levels(book, "A")) == ([], [(P - 9, 1, 1)])
    assert counts(book, "held", "events", "unknown_cancels") == (0, 4, 1)


def test_a_none_record_that_carries_nothing_else_completes_the_event() -> None:
    book = OrderBook()
    assert book.apply_mbo(record("A", "B", P, size=1, order_id=1, flags=MID_EVENT)) is False
    assert levels(book, "B") == []
    assert book.apply_mbo(record("N")) is True
    assert levels(book, "B") == [(P, 1, 1)]
    assert counts(book, "events", "nones") == (1, 1)


def test_a_view_names_the_record_that_completed_its_event() -> None:
    book = OrderBook()
    book.apply_mbo(record("A", "B", P, size=1, order_id=1, ts_event=T0, ts_recv=T0 + 9, sequence=5, flags=MID_EVENT))
    book.apply_mbo(record("N", ts_event=T0 + 1, ts_recv=T0 + 10, sequence=6))
    book.apply_mbo(
        record("C", "B", P, size=1, order_id=1, ts_event=T0 + 2, ts_recv=T0 + 11, sequence=7, flags=MID_EVENT)
    )
    view = book.snapshot()
    assert (view.ts_event, view.ts_recv, view.sequence, view.seq) == (T0 + 1, T0 + 10, 6, 1)
    assert (book.bbo().ts_event, book.bbo().seq) == (T0 + 1, 1)


def test_seq_counts_completed_events() -> None:
    book = OrderBook()
    assert book.snapshot().seq == 0
    for n in range(1, 4):
        book.apply_mbo(record("A", "B", P, size=1, order_id=n, flags=MID_EVENT))
        book.apply_mbo(record("N"))
        assert book.snapshot().seq == n


def test_a_snapshot_without_last_is_completed_by_the_next_record_that_has_it() -> None:
    flags = SNAPSHOT | BAD_TS_RECV
    book = book_of(
        record("R", flags=flags),
        record("A", "B", P, size=1, order_id=1, flags=flags),
        record("A", "B", P, size=1, order_id=2, flags=flags),
    )
    assert (levels(book, "B"), counts(book, "events")) == ([], (0,))
    book.apply_mbo(record("A", "A", P + 1, size=1, order_id=3, ts_recv=T0 + 3600 * SECOND_NS))
    assert (levels(book, "B"), levels(book, "A")) == ([(P, 2, 2)], [(P + 1, 1, 1)])
    assert counts(book, "events", "forced_events") == (1, 0)


def test_a_crossed_book_is_flagged_and_not_repaired() -> None:
    book = book_of(record("A", "B", P + 1, size=1, order_id=1), record("A", "A", P, size=2, order_id=2))
    view = book.snapshot()
    assert (view.crossed, view.locked) == (True, False)
    assert (levels(book, "B"), levels(book, "A")) == ([(P + 1, 1, 1)], [(P, 2, 1)])


def test_a_locked_book_is_flagged_and_is_not_crossed() -> None:
    book = book_of(record("A", "B", P, size=1, order_id=1), record("A", "A", P, size=2, order_id=2))
    view = book.snapshot()
    assert (view.crossed, view.locked) == (False, True)


def test_a_one_sided_book_is_neither_crossed_nor_locked() -> None:
    view = three_bids().snapshot()
    assert (view.crossed, view.locked) == (False, False)


# The bounded hold-back


def test_a_second_after_the_first_held_record_the_event_is_completed_by_force() -> None:
    book = book_of(record("A", "B", P, size=1, order_id=1, flags=MID_EVENT))
    book.apply_mbo(record("A", "B", P, size=1, order_id=2, flags=MID_EVENT, ts_recv=T0 + SECOND_NS))
    assert counts(book, "forced_events", "held", "orders") == (0, 2, 0)
    book.apply_mbo(record("A", "B", P, size=1, order_id=3, flags=MID_EVENT, ts_recv=T0 + SECOND_NS + 1))
    book.check()
    assert counts(book, "forced_events", "events") == (1, 1)
    assert queue(book, "B", P)[:2] == [(1, 1), (2, 1)]
    book.apply_mbo(record("N", ts_recv=T0 + SECOND_NS + 1))
    assert queue(book, "B", P) == [(1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize("flags", [SNAPSHOT, SNAPSHOT | BAD_TS_RECV])
def test_a_slow_mbo_snapshot_is_not_completed_by_force(flags: int) -> None:
    book = book_of(
        *(record("A", "B", P, size=1, order_id=i, flags=flags, ts_recv=T0 + i * 60 * SECOND_NS) for i in range(5))
    )
    assert counts(book, "forced_events", "held") == (0, 5)


def test_ts_recv_that_runs_backwards_forces_nothing() -> None:
    book = book_of(
        record("A", "B", P, size=1, order_id=1, flags=MID_EVENT),
        record("A", "B", P, size=1, order_id=2, flags=MID_EVENT, ts_recv=0),
    )
    assert counts(book, "forced_events", "held") == (0, 2)


# States


def test_an_unfinished_clear_does_not_end_suspicion() -> None:
    book = three_bids()
    book.apply_mbo(record("N", flags=LAST | MAYBE_BAD_BOOK))
    book.apply_mbo(record("R", flags=MID_EVENT))
    assert (book.snapshot().state, len(book)) == ("suspect", 3), "the shown book is still the suspect one"
    book.apply_mbo(record("N"))
    assert (book.snapshot().state, len(book)) == ("live", 0)


@pytest.mark.parametrize("action", ["A", "C", "T", "F", "N", "?"])
@pytest.mark.parametrize("end", ["A", "T", "N"])
def test_packets_lost_inside_an_event_leave_the_book_suspect(action: str, end: str) -> None:
    book = three_bids()
    book.apply_mbo(record(action, "B", P, size=1, order_id=1, flags=MAYBE_BAD_BOOK))
    book.apply_mbo(record(end, "B", P, size=1, order_id=9))
    assert book.snapshot().state == "suspect"


@pytest.mark.parametrize("action", ["A", "T", "N"])
def test_packets_lost_inside_a_snapshot_leave_the_book_suspect(action: str) -> None:
    book = book_of(
        record("R", flags=SNAPSHOT),
        record("A", "B", P, size=1, order_id=1, flags=SNAPSHOT),
        record(action, "B", P, size=1, order_id=2, flags=MAYBE_BAD_BOOK),
        record("N"),
    )
    assert book.snapshot().state == "suspect"


def test_the_states_of_a_book() -> None:
    book = OrderBook()
    assert book.snapshot().state == "empty"
    book.apply_mbo(record("R", flags=SNAPSHOT | BAD_TS_RECV))
    assert book.snapshot().state == "snapshot"
    book.apply_mbo(record("A", "B", P, size=1, order_id=1, flags=SNAPSHOT | BAD_TS_RECV | LAST))
    assert book.snapshot().state == "live"
    book.apply_mbo(record("A", "B", P, size=1, order_id=2, flags=LAST | PUBLISHER_SPECIFIC))
    assert (book.snapshot().state, book.stats()["state"]) == ("live", "live")


@pytest.mark.parametrize("action", ["A", "C", "T", "N"])
def test_maybe_bad_book_makes_the_book_suspect_until_it_is_cleared(action: str) -> None:
    book = three_bids()
    book.apply_mbo(record(action, "B", P, size=1, order_id=1, flags=LAST | MAYBE_BAD_BOOK))
    assert book.snapshot().state == "suspect"
    book.apply_mbo(record("A", "B", P, size=1, order_id=9))
    assert book.snapshot().state == "suspect"
    assert counts(book, "bad_book_marks") == (1,)
    book.apply_mbo(record("R"))
    assert book.snapshot().state != "suspect"


def test_a_snapshot_without_a_leading_clear_also_ends_suspicion() -> None:
    book = three_bids()
    book.apply_mbo(record("N", flags=LAST | MAYBE_BAD_BOOK))
    book.apply_mbo(record("A", "B", P, size=10, order_id=1, flags=SNAPSHOT | BAD_TS_RECV))
    book.apply_mbo(record("A", "B", P, size=10, order_id=2, flags=SNAPSHOT | BAD_TS_RECV | LAST))
    assert book.snapshot().state == "live"
