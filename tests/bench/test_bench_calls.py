"""What it costs to bring records into a book from Python, beside calls that do nothing and the same loop in Rust."""

from __future__ import annotations

import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cargo import benchmark_program
from turns import IS_QUICK, Case, drain, take_turns

from l3book import Market, OrderBook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams_made import Stream

RECORDS = 100_000 if IS_QUICK else 500_000
CHUNK_BYTES = 64 * 1024
READS = 20_000
# A built-in function of one argument that answers a boolean, as apply_mbo does.
NO_OP = callable


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["56 bytes", "MBOMsg"])
def test_apply_mbo(benchmark: Any, b: Stream, kind: str) -> None:
    records = b.raw(RECORDS) if kind == "56 bytes" else b.messages(RECORDS)
    ours = Case(len(records), lambda: partial(drain, OrderBook().apply_mbo, records))
    no_op = Case(len(records), lambda: partial(drain, NO_OP, records))
    take_turns(benchmark, f"apply_mbo({kind})", ours, {"a call that does nothing": no_op})


@pytest.fixture(scope="module")
def rust_loop() -> Path:
    return benchmark_program("rust_loop")


@pytest.fixture
def asked(b: Stream, rust_loop: Path) -> Iterator[subprocess.Popen[str]]:
    """The Rust loop as a process that runs once for every line it is sent."""
    command = [rust_loop, b.path, str(CHUNK_BYTES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.mark.timeout(300)
def test_feed_64_kib(benchmark: Any, b: Stream, asked: subprocess.Popen[str]) -> None:
    data = b.path.read_bytes()
    chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]

    def ask() -> int:
        assert asked.stdin
        assert asked.stdout
        asked.stdin.write("go\n")
        asked.stdin.flush()
        return int(asked.stdout.readline())

    ours = Case(b.records, lambda: partial(drain, Market().feed, chunks))
    loop = Case(b.records, lambda: ask, own_ns=True)
    take_turns(benchmark, "Market.feed(64 KiB)", ours, {"the same loop in Rust": loop})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", ["snapshot(10) as an object", "snapshot(10) as JSON bytes", "bbo()"])
def test_reads(benchmark: Any, b: Stream, what: str) -> None:
    market = Market()
    market.feed(b.prefix(b.records // 5))
    (instrument,) = market.instruments()
    key = (instrument.publisher_id, instrument.instrument_id)
    book = market.book(key)
    read = {
        "snapshot(10) as an object": lambda _: book.snapshot(10),
        "snapshot(10) as JSON bytes": lambda _: market.book_json(key, depth=10),
        "bbo()": lambda _: book.bbo(),
    }[what]
    take_turns(benchmark, what, Case(READS, lambda: partial(drain, read, range(READS))), {})
