"""What became of an order, read off its records."""

import pytest

from l3book.history.life import Life, concerning, life_of
from l3book.history.store import LifeRow


def record(ordinal: int, action: str, size: int, *, price: int = 5, ts_event: int = 0) -> LifeRow:
    return LifeRow(ordinal, ts_event or ordinal, ordinal, action, "B", price, size, 128, 0, ordinal)


ADDED = record(1, "A", 10)


def known(*records: LifeRow) -> Life:
    life = life_of(records, [0], None)
    assert life is not None
    return life


@pytest.mark.parametrize(
    ("records", "status", "size", "filled"),
    [
        ([], "resting", 10, 0),
        ([record(2, "C", 4)], "resting", 6, 0),
        ([record(2, "C", 10)], "cancelled", 0, 0),
        ([record(2, "C", 11)], "cancelled", 0, 0),
        ([record(2, "F", 4, ts_event=9), record(3, "C", 4, ts_event=9)], "resting", 6, 4),
        ([record(2, "F", 10, ts_event=9), record(3, "C", 10, ts_event=9)], "filled", 0, 10),
        ([record(2, "F", 4, ts_event=9), record(3, "C", 4, ts_event=9), record(4, "C", 6)], "cancelled", 0, 4),
        ([record(2, "M", 3)], "resting", 3, 0),
        ([record(2, "M", 0)], "cancelled", 0, 0),
        ([record(2, "C", 10), record(3, "A", 7)], "resting", 7, 0),
    ],
)
def test_the_last_records_decide(records: list[LifeRow], status: str, size: int, filled: int) -> None:
    life = known(ADDED, *records)
    assert (life.status, life.size, life.filled) == (status, size, filled)
    assert life.records == [ADDED, *records]


def test_an_order_that_only_took() -> None:
    life = known(record(1, "T", 3), record(2, "T", 4, price=6))
    assert (life.status, life.size, life.filled, life.side) == ("filled", 0, 7, "B")


def test_an_order_that_took_and_then_rested() -> None:
    life = known(record(1, "T", 3), record(2, "A", 4), record(3, "T", 1), record(4, "F", 1))
    assert (life.status, life.size, life.filled) == ("resting", 4, 4)


def test_a_modify_moves_it() -> None:
    assert known(ADDED, record(2, "M", 10, price=6)).price == 6


def test_only_the_last_session_that_knows_it_counts() -> None:
    again = record(101, "A", 3)
    life = life_of([ADDED, record(2, "C", 10), again], [0, 100, 200], None)
    assert life is not None
    assert (life.records, life.size) == ([again], 3)


def test_what_comes_later_is_not_known_yet() -> None:
    gone = record(2, "C", 10)
    assert life_of([ADDED, gone], [0], 2) == known(ADDED)
    assert life_of([ADDED, gone], [0], 1) is None


def test_nobody_knows_what_was_never_there() -> None:
    assert life_of([], [0], None) is None


def test_id_0_is_no_order_unless_one_rested_by_it() -> None:
    others = [record(1, "T", 3), record(2, "R", 0), record(3, "N", 0), record(4, "F", 3)]
    assert list(concerning(0, others)) == []
    order = [record(5, "A", 10), record(6, "F", 4, ts_event=9), record(7, "C", 4, ts_event=9)]
    assert list(concerning(0, [*others[:3], *order, record(8, "T", 1)])) == order
    assert list(concerning(1, others)) == others
