"""What a slow reader is spared: `LiveStream.skip`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from agreement import assert_same_books
from dbn_bytes import MAYBE_BAD_BOOK, RECORD_BYTES, Mbo, chunks, split
from gateways import body
from l3book import Market
from l3book._core import LiveStream, Simulator

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RECORDS = 4_000


def read_all(stream: LiveStream) -> bytes:
    data = stream.take()
    while not stream.ended:
        data += stream.read(1_000)
    return data


def test_skipped_records_are_counted_marked_and_in_the_snapshot(tmp_path_factory: pytest.TempPathFactory) -> None:
    simulator = Simulator(seed=4, instruments=2, resting_max=100)
    made = simulator.header() + simulator.read_last(RECORDS)
    path: Path = tmp_path_factory.mktemp("skip") / "a.dbn"
    path.write_bytes(made)
    whole = list(chunks(split(made)[1], RECORD_BYTES))
    expected_market = Market()
    expected_market.feed(made)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, RECORDS), st.integers(0, RECORDS))
    def check(before: int, skipped: int) -> None:
        stream = LiveStream([path])
        stream.subscribe("mbo", "raw_symbol", None)
        data = stream.metadata(0) + stream.read(before)
        passed = min(skipped, RECORDS - before)
        assert stream.skip(skipped) == passed
        assert (stream.position, stream.records_sent) == (before + passed, before)
        stream.subscribe("mbo", "raw_symbol", None, snapshot=True)
        mark = len(data)
        data += read_all(stream)
        found = list(chunks(body(data), RECORD_BYTES))
        assert found[:before] == whole[:before]
        lost = {Mbo.from_bytes(raw).key for raw in whole[before : before + passed]}
        marked = [Mbo.from_bytes(raw).key for raw in found if Mbo.from_bytes(raw).flags & MAYBE_BAD_BOOK]
        assert set(marked) <= lost
        assert len(marked) == len(set(marked))
        market = Market()
        market.feed(split(data[:mark])[0] + body(data))
        if before + passed:
            assert_same_books(market, expected_market)

    check()
