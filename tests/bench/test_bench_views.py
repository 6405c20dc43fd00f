"""What it costs to look at a book."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbn_bytes import parse
from l3book import Market
from l3book._core import Simulator
from oracle import OracleMarket

RECORDS = 20_000
KEY_DEPTH = 10


@pytest.fixture(scope="module")
def stream() -> bytes:
    simulator = Simulator(seed=1, instruments=1)
    return simulator.header() + simulator.read(RECORDS)


@pytest.fixture(scope="module")
def market(stream: bytes) -> Market:
    market = Market()
    market.feed(stream)
    return market


@pytest.fixture(scope="module")
def key(market: Market) -> tuple[int, int]:
    (instrument,) = market.instruments()
    return instrument.publisher_id, instrument.instrument_id


@pytest.mark.benchmark(group="top ten")
def test_snapshot_object(benchmark: Any, market: Market, key: tuple[int, int]) -> None:
    book = market.book(key)
    benchmark(book.snapshot, KEY_DEPTH)


@pytest.mark.benchmark(group="top ten")
def test_snapshot_arrays(benchmark: Any, market: Market, key: tuple[int, int]) -> None:
    book = market.book(key)

    def arrays() -> object:
        view = book.snapshot(KEY_DEPTH)
        return view.bids, view.asks

    benchmark(arrays)


@pytest.mark.benchmark(group="top ten")
def test_bbo(benchmark: Any, market: Market, key: tuple[int, int]) -> None:
    benchmark(market.book(key).bbo)


@pytest.mark.benchmark(group="top ten")
def test_book_json(benchmark: Any, market: Market, key: tuple[int, int]) -> None:
    benchmark(lambda: market.book_json(key, depth=KEY_DEPTH))


@pytest.mark.benchmark(group="top ten")
def test_opponent_the_oracle_as_json(benchmark: Any, stream: bytes, key: tuple[int, int]) -> None:
    book = OracleMarket().feed(parse(stream)).books[key]
    benchmark(lambda: json.dumps({side: book.levels(side)[:KEY_DEPTH] for side in "BA"}))


@pytest.mark.benchmark(group="whole book")
@pytest.mark.parametrize("level", [2, 3])
def test_whole_book_json(benchmark: Any, market: Market, key: tuple[int, int], level: Any) -> None:
    benchmark(lambda: market.book_json(key, level=level, depth=None))
