"""A file of five million records to final books, with decoding alone beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import databento
import pytest
import zstandard

from l3book import Market
from l3book._core import FileReader, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The official client leaves a file that it opened for the collector to close.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
RECORDS = 5_000_000
READ_RECORDS = 4_096
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


@pytest.fixture(scope="module")
def zst_file(dbn_file: Path) -> Iterator[Path]:
    path = dbn_file.with_suffix(".dbn.zst")
    with dbn_file.open("rb") as plain, path.open("wb") as packed:
        zstandard.ZstdCompressor(level=3).copy_stream(plain, packed)
    yield path
    path.unlink()


def per_record(benchmark: Any, records: int = RECORDS) -> None:
    median = benchmark.stats.stats.median
    benchmark.extra_info["ns_per_record"] = median / records * 1e9
    benchmark.extra_info["records_per_second"] = records / median


def feed_file(path: Path) -> int:
    return Market().feed_file(path)


def read_only(path: Path) -> None:
    reader = FileReader(path)
    while not reader.ended:
        reader.read(READ_RECORDS)


def official_decode(path: Path) -> None:
    databento.DBNStore.from_file(path).to_ndarray()


@pytest.mark.timeout(600)
@pytest.mark.benchmark(group="5 M records, .dbn")
@pytest.mark.parametrize("work", [feed_file, read_only, official_decode])
def test_dbn_file(benchmark: Any, dbn_file: Path, work: Any) -> None:
    benchmark.pedantic(work, args=(dbn_file,), rounds=ROUNDS, warmup_rounds=1)
    per_record(benchmark)


@pytest.mark.timeout(600)
@pytest.mark.benchmark(group="5 M records, .dbn.zst")
@pytest.mark.parametrize("work", [feed_file, read_only, official_decode])
def test_zst_file(benchmark: Any, zst_file: Path, work: Any) -> None:
    benchmark.pedantic(work, args=(zst_file,), rounds=ROUNDS, warmup_rounds=1)
    per_record(benchmark)
