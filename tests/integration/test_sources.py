"""Sources as the engine sees them: chunks, pace, and an end that another thread can bring about."""

import os
import struct
import time
from pathlib import Path
from threading import Thread

import pytest

from dbn_bytes import RECORD_BYTES, T0, UNDEF_TIMESTAMP, UNIT, Mbo, metadata, parse, split, stream
from l3book import DecodeError, Market
from l3book.sources import SourceError, open_source
from l3book.sources.pacing import CHUNK_RECORDS_MAX

JOIN_TIMEOUT_S = 30
RECORDS = 10_000
BEGINNING_BYTES = 2**30
NS_PER_MS = 1_000_000


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """10,000 orders, 10 ns apart."""
    path = tmp_path / "a b.dbn"
    times = [T0 + 10 * i for i in range(RECORDS)]
    orders = [Mbo("A", "B", UNIT, 1, i, ts_event=t, ts_recv=t, instrument_id=7) for i, t in enumerate(times)]
    path.write_bytes(metadata(symbols={"AB": 7}) + stream(orders))
    return path


def closed_while(source: object, *, after_chunks: int) -> list[bytes]:
    """Read in another thread, close after some chunks; fails if that does not end the reading."""
    chunks: list[bytes] = []
    reader = Thread(target=lambda: chunks.extend(source), daemon=True)  # type: ignore[call-overload]
    reader.start()
    deadline_s = time.monotonic() + JOIN_TIMEOUT_S
    while len(chunks) < after_chunks and reader.is_alive() and time.monotonic() < deadline_s:
        time.sleep(0.001)
    source.close()  # type: ignore[attr-defined]
    reader.join(JOIN_TIMEOUT_S)
    assert not reader.is_alive(), "close() did not wake the source"
    return chunks


@pytest.mark.parametrize("query", ["", "?rate=1000000", "?rate=max", "?rate=0&instruments=3&seed=9"])
def test_the_synthetic_market_is_dbn_in_chunks(query: str) -> None:
    chunks = closed_while(open_source(f"synthetic:{query}"), after_chunks=4)
    market = Market()
    taken = sum(market.feed(chunk) for chunk in chunks)
    market.finish()
    assert taken > 0
    assert taken == len(parse(b"".join(chunks)))
    assert len(market) == (3 if "instruments=3" in query else 1)
    market.check()


def test_a_slow_synthetic_market_opens_at_once_and_can_be_closed_while_it_sleeps() -> None:
    """All books are there before the first message that is paced, which is due after a second."""
    chunks = closed_while(open_source("synthetic:?rate=1&instruments=3"), after_chunks=4)
    assert len({order.instrument_id for order in parse(b"".join(chunks))}) == 3
    assert len(chunks) <= 6


def test_a_file_comes_whole_and_in_chunks_of_whole_records(recording: Path) -> None:
    chunks = list(open_source(f"file:{recording}"))
    assert b"".join(chunks) == recording.read_bytes()
    assert len(chunks) >= RECORDS // CHUNK_RECORDS_MAX
    head = len(split(chunks[0])[0])
    assert {(len(chunk) - (head if n == 0 else 0)) % RECORD_BYTES for n, chunk in enumerate(chunks)} == {0}


@pytest.mark.parametrize("query", ["?rate=1000000", "?speed=1", "?speed=0.01", "?speed=1e9"])
def test_a_paced_file_comes_whole_too(recording: Path, query: str) -> None:
    encoded = str(recording).replace(" ", "%20")
    assert b"".join(open_source(f"file:{encoded}{query}")) == recording.read_bytes()


def test_a_replayed_file_is_not_early(tmp_path: Path) -> None:
    """Three records 40 ms apart, at twice the speed: the last is due 40 ms after the first, never before."""
    path = tmp_path / "a.dbn"
    times = [T0 + n * 40 * NS_PER_MS for n in range(3)]
    path.write_bytes(
        metadata() + stream([Mbo("A", "B", UNIT, 1, i, ts_event=t, ts_recv=t) for i, t in enumerate(times)])
    )
    started_ns = time.monotonic_ns()
    arrived_ns = [time.monotonic_ns() - started_ns for _ in open_source(f"file:{path}?speed=2")]
    assert arrived_ns[-1] >= 40 * NS_PER_MS
    assert len(arrived_ns) == 3


def test_a_replay_that_would_sleep_for_years_can_be_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    times = [T0, T0 + 10**18]
    path.write_bytes(
        metadata() + stream([Mbo("A", "B", UNIT, 1, i, ts_event=t, ts_recv=t) for i, t in enumerate(times)])
    )
    chunks = closed_while(open_source(f"file:{path}?speed=1e-6"), after_chunks=1)
    assert len(parse(b"".join(chunks))) == 1


@pytest.mark.parametrize("query", ["", "?rate=100000", "?speed=1000"])
def test_a_truncated_file_comes_with_its_cut_end_so_that_the_market_can_see_it(recording: Path, query: str) -> None:
    whole = recording.read_bytes()
    recording.write_bytes(whole[:-1])
    market = Market()
    for chunk in open_source(f"file:{recording}{query}"):
        market.feed(chunk)
    assert market.stats()["records"] == RECORDS - 1
    with pytest.raises(DecodeError) as refused:
        market.finish()
    assert refused.value.offset == len(whole) - 1


@pytest.mark.parametrize("query", ["", "?rate=1000", "?speed=1"])
def test_a_file_without_records_ends(tmp_path: Path, query: str) -> None:
    path = tmp_path / "none.dbn"
    path.write_bytes(metadata())
    market = Market()
    for chunk in open_source(f"file:{path}{query}"):
        market.feed(chunk)
    assert len(market) == 0


@pytest.mark.parametrize("query", ["", "?rate=1000", "?speed=1"])
def test_records_without_a_time_do_not_stop_a_replay(tmp_path: Path, query: str) -> None:
    path = tmp_path / "a.dbn"
    times = [UNDEF_TIMESTAMP, T0, UNDEF_TIMESTAMP, T0 + 1]
    path.write_bytes(
        metadata() + stream([Mbo("A", "B", UNIT, 1, i, ts_event=T0, ts_recv=t) for i, t in enumerate(times)])
    )
    assert b"".join(open_source(f"file:{path}{query}")) == path.read_bytes()


@pytest.mark.parametrize("content", [b"", b"text, not DBN", metadata()[:40], metadata(schema=2)])
def test_a_file_that_is_no_dbn_is_refused_when_it_is_opened(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.dbn"
    path.write_bytes(content)
    with pytest.raises(DecodeError):
        open_source(f"file:{path}")


def test_a_pipe_is_refused_at_once_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(SourceError, match="pipe is not a regular file: expected"):
        open_source(f"file:{path}")


def test_opening_reads_no_more_than_the_beginning(tmp_path: Path) -> None:
    """A frame to be skipped, and metadata, may each claim to be a gibibyte long: files with holes."""
    for start in (struct.pack("<II", 0x184D2A50, BEGINNING_BYTES), b"DBN\x03" + struct.pack("<I", BEGINNING_BYTES)):
        path = tmp_path / "holes.dbn"
        with path.open("wb") as stream:
            stream.write(start)
            stream.truncate(len(start) + BEGINNING_BYTES)
        before_bytes = bytes_read()
        open_source(f"file:{path}").close()
        # Leaves room for what other threads of this process read meanwhile.
        assert bytes_read() - before_bytes < BEGINNING_BYTES // 8


def bytes_read() -> int:
    """What this process has read so far, from any file."""
    io = Path("/proc/self/io")
    if not io.is_file():
        pytest.skip("this machine does not count what a process reads")
    return int(io.read_text().split("rchar:")[1].split()[0])


def test_a_fault_behind_the_first_record_is_left_to_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    path.write_bytes(metadata() + Mbo("A", "B", UNIT, 1, 1).to_bytes() + bytes(RECORD_BYTES))
    chunks = list(open_source(f"file:{path}"))
    market = Market()
    with pytest.raises(DecodeError, match="record 1"):
        market.feed(b"".join(chunks))
    assert market.stats()["records"] == 1
