"""Rows of mbp-10 in Python, with feeding the same file to a market beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from l3book import Market, arrow_reader, mbp10
from l3book._core import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDS = 1_000_000
WRITE_RECORDS = 100_000
ROUNDS = 3


@pytest.fixture(scope="module")
def dbn_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("bench") / "synthetic.dbn"
    simulator = Simulator(seed=1, instruments=1)
    with path.open("wb") as file:
        file.write(simulator.header())
        while simulator.records < RECORDS:
            file.write(simulator.read(WRITE_RECORDS))
    yield path
    path.unlink()


def per_row(benchmark: Any, rows: int) -> None:
    median = benchmark.stats.stats.median
    benchmark.extra_info["ns_per_row"] = median / rows * 1e9
    benchmark.extra_info["rows_per_second"] = rows / median


@pytest.mark.benchmark(group="mbp-10 of a million records")
def test_floor_feed_alone(benchmark: Any, dbn_file: Path) -> None:
    benchmark.pedantic(lambda: Market().feed_file(dbn_file), rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.benchmark(group="mbp-10 of a million records")
def test_mbp10(benchmark: Any, dbn_file: Path) -> None:
    rows = benchmark.pedantic(mbp10, args=(dbn_file,), rounds=ROUNDS, warmup_rounds=1)
    per_row(benchmark, len(rows))


@pytest.mark.benchmark(group="mbp-10 of a million records")
def test_arrow_batches(benchmark: Any, dbn_file: Path) -> None:
    def rows() -> int:
        return sum(batch.num_rows for batch in arrow_reader(dbn_file, "mbp-10"))

    per_row(benchmark, benchmark.pedantic(rows, rounds=ROUNDS, warmup_rounds=1))
