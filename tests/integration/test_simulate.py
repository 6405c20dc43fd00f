"""`l3book simulate` writes DBN that the official package and our own reader take."""

import json
import signal
import time
from pathlib import Path

import databento
import pytest
import zstandard

from l3book import Market
from running import EXIT_TIMEOUT_S, POLL_INTERVAL_S, RunningCommand, run

MESSAGES = 100_000


def simulated(path: Path, *arguments: object) -> bytes:
    done = run("simulate", "-o", path, "--messages", MESSAGES, *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return path.read_bytes()


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    first = simulated(tmp_path / "a.dbn", "--instruments", 3, "--seed", 7)
    assert simulated(tmp_path / "b.dbn", "--instruments", 3, "--seed", 7) == first
    assert simulated(tmp_path / "c.dbn", "--instruments", 3, "--seed", 8) != first


@pytest.mark.parametrize("name", ["a.dbn", "a.dbn.zst"])
def test_the_official_package_reads_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    # from_bytes: from_file leaves the file open, which the suite takes for a fault of its own.
    store = databento.DBNStore.from_bytes(simulated(path, "--instruments", 3))
    assert str(store.schema) == "mbo"
    records = store.to_ndarray()
    assert len(records) == MESSAGES
    assert len(set(records["instrument_id"].tolist())) == 3
    assert set(records["action"].tolist()) >= {b"A", b"C", b"M", b"T", b"F"}
    assert len(store.symbology["mappings"]) == 3


@pytest.mark.parametrize("instruments", [1, 5])
def test_it_rebuilds_into_sound_books_that_are_not_crossed(tmp_path: Path, instruments: int) -> None:
    path = tmp_path / "a.dbn"
    simulated(path, "--instruments", instruments)
    done = run("reconstruct", path)
    assert done.returncode == 0, done.stderr.decode()
    books = json.loads(done.stdout)
    books = books if isinstance(books, list) else [books]
    assert len(books) == instruments
    assert not any(book["crossed"] for book in books)
    assert all(book["orders"] > 0 for book in books)


def test_a_compressed_file_is_the_plain_one_compressed(tmp_path: Path) -> None:
    plain, compressed = simulated(tmp_path / "a.dbn"), simulated(tmp_path / "a.dbn.zst")
    assert zstandard.ZstdDecompressor().decompressobj().decompress(compressed) == plain


@pytest.mark.parametrize("messages", [0, 1, 1_000, 70_001])
def test_it_writes_as_many_records_as_asked_and_ends_with_a_whole_event(tmp_path: Path, messages: int) -> None:
    path = tmp_path / "a.dbn"
    done = run("simulate", "-o", path, "--messages", messages, "--instruments", 2)
    assert done.stderr.decode() == f"{path}: {messages:,} records\n"
    market = Market()
    assert market.feed_file(path) == messages
    assert market.stats()["held"] == 0
    assert market.stats()["orders"] > 0 or messages < 1_000, "short streams have small books, but books"


def test_the_folder_must_exist(tmp_path: Path) -> None:
    done = run("simulate", "-o", tmp_path / "none" / "a.dbn", "--messages", 10)
    assert done.returncode == 2
    assert done.stderr.decode() == f"l3book: {tmp_path}/none/a.dbn: No such file or directory\n"


def test_sigterm_leaves_no_half_written_file(tmp_path: Path) -> None:
    command = RunningCommand("simulate", "-o", str(tmp_path / "a.dbn.zst"), "--messages", "10000000000")
    try:
        deadline_s = time.monotonic() + EXIT_TIMEOUT_S
        while not list(tmp_path.glob(".*.part")) and time.monotonic() < deadline_s:
            time.sleep(POLL_INTERVAL_S)
        assert list(tmp_path.glob(".*.part"))
        command.process.send_signal(signal.SIGTERM)
        assert command.wait_for_exit() == 128 + signal.SIGTERM
    finally:
        command.kill()
    assert list(tmp_path.iterdir()) == []
