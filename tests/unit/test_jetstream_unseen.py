"""Books that are in doubt before anybody has seen a record of them."""

from __future__ import annotations

from dbn_bytes import Mbo
from l3book.jetstream.unseen import Unseen

A = Mbo("A", "B", 1, 1, 1, instrument_id=7).to_bytes()
B = Mbo("A", "B", 1, 1, 2, instrument_id=8).to_bytes()
CLEAR = Mbo("R", "N", 0, 0, 0, instrument_id=9).to_bytes()


def told(unseen: Unseen, payload: bytes) -> list[object]:
    """What is fed, and what is doubted, in their order."""
    events: list[object] = []
    unseen.feed(payload, lambda data: events.append(bytes(data)), lambda reason, key: events.append((reason, key[1])))
    return events


def test_without_a_doubt_all_is_fed_as_it_is() -> None:
    assert told(Unseen(), A + B) == [A + B]
    assert told(Unseen(), b"") == []


def test_a_book_is_doubted_directly_behind_its_first_record_and_once() -> None:
    unseen = Unseen()
    unseen.doubt("gap")
    assert told(unseen, A + A + B) == [A, ("gap", 7), A + B, ("gap", 8)]
    assert told(unseen, A + B) == [A + B]
    unseen.doubt("again")
    assert told(unseen, B) == [B, ("again", 8)]


def test_a_book_that_begins_with_a_clear_lacks_nothing() -> None:
    unseen = Unseen()
    unseen.doubt("gap")
    assert told(unseen, CLEAR + A + CLEAR) == [CLEAR + A, ("gap", 7), CLEAR]


def test_a_doubt_about_one_book_waits_for_it_alone() -> None:
    unseen = Unseen()
    unseen.doubt("gap", (1, 8))
    events = told(unseen, A + B + B)
    assert [event for event in events if isinstance(event, tuple)] == [("gap", 8)]
    assert b"".join(event for event in events if isinstance(event, bytes)) == A + B + B
    assert told(unseen, B) == [B]
