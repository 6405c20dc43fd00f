"""What it costs to bring a record into a book from Python, with the floor and the oracle beside it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import databento_dbn
import pytest

from dbn_bytes import RECORD_BYTES, Mbo, chunks, parse, split
from l3book import Market, OrderBook
from l3book._core import Simulator
from oracle import OracleMarket

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS = 200_000
ORACLE_RECORDS = 20_000
CHUNK_BYTES = 64 * 1024
SIZE_BYTES_OF_NOTHING = len


@pytest.fixture(scope="module")
def stream() -> bytes:
    simulator = Simulator(seed=1, instruments=1)
    return simulator.header() + simulator.read(RECORDS)


@pytest.fixture(scope="module")
def raw(stream: bytes) -> list[bytes]:
    return list(chunks(split(stream)[1], RECORD_BYTES))


@pytest.fixture(scope="module")
def messages(stream: bytes) -> list[Any]:
    decoder = databento_dbn.DBNDecoder()
    decoder.write(stream)
    return decoder.decode()[1:]


def drain(function: Callable[[Any], object], items: list[Any]) -> None:
    """Call `function` on each item without a Python loop body around it."""
    for _ in itertools.filterfalse(bool, map(function, items)):
        pass


def per_record(benchmark: Any, records: int) -> None:
    benchmark.extra_info["records"] = records
    benchmark.extra_info["ns_per_record"] = benchmark.stats.stats.median / records * 1e9


@pytest.mark.benchmark(group="one record per call")
def test_floor_a_call_that_does_nothing(benchmark: Any, raw: list[bytes]) -> None:
    benchmark.pedantic(drain, args=(SIZE_BYTES_OF_NOTHING, raw), rounds=5)
    per_record(benchmark, len(raw))


@pytest.mark.benchmark(group="one record per call")
def test_apply_mbo_56_bytes(benchmark: Any, raw: list[bytes]) -> None:
    benchmark.pedantic(drain, setup=lambda: ((OrderBook().apply_mbo, raw), {}), rounds=5)
    per_record(benchmark, len(raw))


@pytest.mark.benchmark(group="one record per call")
def test_apply_mbo_official_object(benchmark: Any, messages: list[Any]) -> None:
    benchmark.pedantic(drain, setup=lambda: ((OrderBook().apply_mbo, messages), {}), rounds=5)
    per_record(benchmark, len(messages))


@pytest.mark.benchmark(group="one record per call")
def test_opponent_the_oracle(benchmark: Any, stream: bytes) -> None:
    records: list[Mbo] = parse(stream)[:ORACLE_RECORDS]
    benchmark.pedantic(drain, setup=lambda: ((OracleMarket().apply, records), {}), rounds=2)
    per_record(benchmark, len(records))


@pytest.mark.benchmark(group="one chunk per call")
def test_feed_64_kib(benchmark: Any, stream: bytes) -> None:
    pieces = list(chunks(stream, CHUNK_BYTES))
    benchmark.pedantic(drain, setup=lambda: ((Market().feed, pieces), {}), rounds=5)
    per_record(benchmark, RECORDS)


@pytest.mark.benchmark(group="one chunk per call")
def test_feed_whole(benchmark: Any, stream: bytes) -> None:
    benchmark.pedantic(drain, setup=lambda: ((Market().feed, [stream]), {}), rounds=5)
    per_record(benchmark, RECORDS)


@pytest.mark.benchmark(group="one chunk per call")
def test_decode_only_official_objects(benchmark: Any, stream: bytes) -> None:
    def decode() -> None:
        decoder = databento_dbn.DBNDecoder()
        decoder.write(stream)
        decoder.decode()

    benchmark.pedantic(decode, rounds=3)
    per_record(benchmark, RECORDS)
