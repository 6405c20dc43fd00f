"""Readers come at any time, from any thread, and never see half an event."""

from __future__ import annotations

import threading

import pytest

from dbn_bytes import UNIT, Mbo, chunks, stream
from l3book import Market

P = 100 * UNIT
ORDERS = 10
ROUNDS = 3_000


def replacing_stream() -> bytes:
    """Events that clear the book and add ten orders: between events there are always ten."""
    records = []
    for n in range(ROUNDS):
        records.append(Mbo("R", flags=0, sequence=n))
        for i in range(ORDERS):
            last = 128 if i == ORDERS - 1 else 0
            records.append(Mbo("A", "B", P + n, 1 + i, n * ORDERS + i, flags=last, sequence=n))
    return stream(records)


@pytest.mark.parametrize("chunk_bytes", [1_000, 100_000])
def test_a_reader_in_another_thread_always_sees_whole_events(chunk_bytes: int) -> None:
    market = Market()
    data = replacing_stream()
    market.feed(data[: 56 * (ORDERS + 1)])
    book = market.book(1)
    done = threading.Event()
    faults: list[str] = []
    looks = 0

    def write() -> None:
        try:
            for piece in chunks(data[56 * (ORDERS + 1) :], chunk_bytes):
                market.feed(piece)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seq = 0
    while not done.is_set() or looks == 0:
        view = book.snapshot(None, level=3)
        levels = [(int(p) - P, int(size), int(count)) for p, size, count in view.bids.tolist()]
        if levels != [(view.sequence, 55, ORDERS)] or view.orders != ORDERS or view.seq < seq:
            faults.append(f"seq {view.seq} after {seq}: {levels}")
        seq = view.seq
        looks += 1
    writer.join()
    assert faults == []
    assert book.snapshot().seq == ROUNDS
    assert (len(book), market.stats()["held"]) == (ORDERS, 0)
    market.check()


def test_two_writers_of_two_markets_do_not_meet() -> None:
    markets = [Market(), Market()]
    data = replacing_stream()
    threads = [threading.Thread(target=m.feed, args=(data,)) for m in markets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [m.stats()["events"] for m in markets] == [ROUNDS, ROUNDS]
    assert markets[0].snapshot(1, None).bids.tolist() == markets[1].snapshot(1, None).bids.tolist()
