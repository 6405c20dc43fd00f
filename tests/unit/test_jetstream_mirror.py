"""Which books a publisher writes into its stream, and when."""

from __future__ import annotations

import pytest

from dbn_bytes import Mbo, split
from l3book import Market
from l3book._core import Simulator
from l3book.jetstream import mirror as mirror_module
from l3book.jetstream.mirror import Mirror

HEAD = Simulator(seed=1).header()
BEGIN = 1_700_000_000_000_000_000


def record(
    action: str, order_id: int, *, instrument: int = 7, last: bool = True, at_s: int = 0, size: int = 5
) -> bytes:
    flags = 128 if last else 0
    ts = BEGIN + at_s * 10**9
    side, price = ("N", 2**63 - 1) if action == "R" else ("B", 10**9)
    made = Mbo(action, side, price, 5, order_id, flags=flags, ts_event=ts, ts_recv=ts, instrument_id=instrument)
    return made.to_bytes()


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they weigh."""
    monkeypatch.setattr(mirror_module, "SIZES_BETWEEN", 0)


def pictured(mirror: Mirror) -> dict[int, bytes]:
    return {key[1]: records for key, records in mirror.due()}


@pytest.mark.usefixtures("always")
def test_a_book_inside_an_event_is_left_out() -> None:
    """Who began with it would lack what the event has brought already."""
    mirror = Mirror(0.0, is_whole=True)
    mirror.feed(HEAD + record("A", 1) + record("A", 2, instrument=8) + record("C", 1, last=False))
    assert set(pictured(mirror)) == {8}
    mirror.feed(record("A", 3, instrument=8))
    assert set(pictured(mirror)) == {8}, "still"
    mirror.feed(record("A", 4))
    assert set(pictured(mirror)) == {7, 8}
    mirror.feed(b"".join(record("A", 9, instrument=book, last=book != 20) for book in range(7, 30)))
    assert set(pictured(mirror)) == set(range(7, 30)) - {20}, "also where there are many"


@pytest.mark.usefixtures("always")
def test_a_picture_makes_the_book_again() -> None:
    simulator = Simulator(seed=9, instruments=3, resting_max=100)
    data = simulator.header() + simulator.read_last(3000)
    mirror, whole, made = Mirror(0.0, is_whole=True), Market(), Market()
    mirror.feed(data)
    whole.feed(data)
    made.feed(split(data)[0])
    for _, records in mirror.due():
        made.feed(records)
    assert len(made) == len(whole) == 3
    for book in whole.instruments():
        key = book.publisher_id, book.instrument_id
        wanted, found = (market.snapshot(key, depth=None, level=3).to_dict() for market in (whole, made))
        # A snapshot is an event of its own; its last record is an order's.
        own = {"epoch": 0, "seq": 0, "ts_event": 0}
        assert {**found, **own} == {**wanted, **own}


@pytest.mark.usefixtures("always")
def test_a_doubtful_book_is_left_out_until_it_is_told_anew() -> None:
    mirror = Mirror(0.0, is_whole=True)
    mirror.feed(HEAD + record("A", 1) + record("A", 2, instrument=8))
    mirror.doubt([(1, 8, "gap"), (1, 9, "gap")])
    assert set(pictured(mirror)) == {7}
    mirror.feed(record("A", 3, instrument=9) + record("R", 0, instrument=8))
    assert set(pictured(mirror)) == {7, 8}
    mirror.doubt([(0, 0, "publisher restarted")])
    mirror.feed(record("R", 0))
    assert set(pictured(mirror)) == {7}


@pytest.mark.usefixtures("always")
def test_a_stream_that_was_begun_by_others_needs_each_book_s_beginning() -> None:
    mirror = Mirror(0.0, is_whole=False)
    mirror.feed(HEAD + record("A", 1) + record("R", 0, instrument=8) + record("A", 1, instrument=8))
    assert set(pictured(mirror)) == {8}


@pytest.mark.parametrize("every_s", [10, 1000])
def test_snapshots_come_by_the_records_time_and_are_a_fifth_of_what_is_written(every_s: int) -> None:
    mirror, taken, fed = Mirror(every_s, is_whole=True), 0, 0
    mirror.feed(HEAD)
    for second in range(500):
        data = record("A", second, at_s=second) + record("C", second - second % 2, at_s=second)
        mirror.feed(data)
        fed += len(data)
        taken += sum(len(records) for _, records in mirror.due())
    assert (taken > 0) == (every_s == 10)
    assert taken <= fed / 4


def test_the_books_are_looked_at_no_more_often_than_snapshots_can_come() -> None:
    """Where they are large beside what is published: to list them all costs as much as they are many."""
    mirror, looks = Mirror(0.0, is_whole=True), 0

    class Looked:
        def __init__(self, market: Market) -> None:
            self._market = market

        def __getattr__(self, name: str) -> object:
            nonlocal looks
            looks += name == "instruments"
            return getattr(self._market, name)

    mirror._market = Looked(mirror._market)  # type: ignore[assignment]  # what it is asked is counted
    taken = []
    mirror.feed(HEAD + b"".join(record("A", order_id) for order_id in range(1, 1000)))
    for order_id in range(1000, 6000):
        mirror.feed(record("A", order_id) + record("C", order_id))
        if due := mirror.due():
            taken.append(due)
    assert len(taken) == 2
    assert looks <= 2 * (len(taken) + 1)
