"""The log of a recorder that is killed, runs out of disk, or may not write: what was durable is there, once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import databento_dbn
import pytest
from databento import DBNStore

from l3book import Market
from l3book._core import HistoryError, HistoryLockedError, Log, Recorder, Simulator

CHILD = Path(__file__).parent.parent / "history_child.py"
RECORD_BYTES = 56
KILLS_BY_DEFAULT = 4
KILLS = int(os.environ.get("L3BOOK_CRASH_KILLS", KILLS_BY_DEFAULT))
KILL_DELAY_S_MAX = 0.03
RECORDS = 100_000
RUNS_MAX = 300
WAIT_S = 60
POLL_S = 0.01
KIB = 1024


def simulated(records: int, instruments: int = 3) -> bytes:
    return Simulator(seed=5, instruments=instruments, resting_max=64).read(records)


def records_of(log: Log) -> bytes:
    """All records; there is no hole."""
    first, data = log.read(log.first_ordinal, 1 << 40)
    assert first == log.first_ordinal
    return data


def state_hash(data: bytes) -> str:
    market = Market()
    market.feed(data)
    return market.state_hash()


def run_child(folder: Path, stream: Path, seed: int, choose: random.Random) -> tuple[int, bool]:
    """Kills it some time after one of its first lines; returns what was durable for certain, and whether all was."""
    command = [sys.executable, str(CHILD), str(folder), str(stream), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        heard = list(islice(child.stdout, choose.randrange(1, 14)))
        if "done\n" not in heard:
            time.sleep(choose.random() * KILL_DELAY_S_MAX)
            child.kill()
        # What it had said before it died counts too.
        rest, errors = child.communicate()
        heard += rest.splitlines(keepends=True)
        assert child.returncode in (0, -signal.SIGKILL), errors
        assert "Traceback" not in errors, errors
    durable = [int(line.split()[1]) for line in heard if line.startswith("durable")]
    return max(durable, default=0), "done\n" in heard


def killed_until_done(folder: Path, data: bytes, choose: random.Random) -> tuple[int, int]:
    """Restarts and kills until the whole input is recorded; returns how often it was killed, and how often that left
    bytes behind that no entry vouched for."""
    stream = folder.with_suffix(".stream")
    stream.write_bytes(data)
    folder.mkdir()
    kills = torn = runs = 0
    is_done = False
    while not is_done:
        durable, is_done = run_child(folder, stream, choose.getrandbits(32), choose)
        runs += 1
        kills += not is_done
        log = Log(folder)
        got = records_of(log) if log.end_ordinal else b""
        assert got == data[: len(got)], f"run {runs}: not the input's prefix"
        assert len(got) // RECORD_BYTES >= durable, f"run {runs}: {durable} records were durable"
        assert log.holes() == []
        length = sum(Path(segment["path"]).stat().st_size for segment in log.segments())
        torn += length > sum(segment["bytes"] for segment in log.segments())
        assert runs < RUNS_MAX, "the children make no progress"
    log = Log(folder)
    assert records_of(log) == data
    verdict = log.verify()
    assert verdict["good"], verdict
    assert verdict["records"] == len(data) // RECORD_BYTES
    assert [session["uri"] for session in log.sessions()] == ["test:"]
    assert log.restore().state_hash() == state_hash(data)
    return kills, torn


@pytest.mark.timeout(120 + 15 * KILLS)
def test_killed_at_any_moment_the_log_is_a_prefix_of_the_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = simulated(RECORDS)
    choose = random.Random(KILLS)
    kills = torn = histories = 0
    while kills < KILLS:
        more = killed_until_done(tmp_path / str(histories), data, choose)
        kills, torn, histories = kills + more[0], torn + more[1], histories + 1
    if KILLS > KILLS_BY_DEFAULT:
        with capsys.disabled():
            sys.stdout.write(f"\n{kills} kills of {histories} histories, {torn} left bytes that no entry vouched for\n")


def test_the_official_package_reads_the_same_records(tmp_path: Path) -> None:
    simulator = Simulator(seed=5, instruments=3, resting_max=64)
    data = simulator.read(20_000)
    market = Market(watch=True)
    recorder = Recorder(tmp_path, fsync_records=3_000, segment_bytes_max=150_000)
    recorder.begin(market, "test:")
    market.feed(simulator.header() + data[: len(data) // 2])
    market.disconnected()
    market.reconnected("resume")
    market.feed(data[len(data) // 2 // RECORD_BYTES * RECORD_BYTES :])
    assert recorder.close(WAIT_S)
    log = Log(tmp_path)
    assert len(log.segments()) > 1
    expected = records_of(log)
    assert len(expected) // RECORD_BYTES == log.end_ordinal
    got, texts, symbols = [], [], set()
    for segment in log.segments():
        store = DBNStore.from_bytes(segment["path"].read_bytes())
        symbols |= set(store.mappings)
        part = []
        for record in store:
            if isinstance(record, databento_dbn.MBOMsg):
                part.append(bytes(record))
            else:
                assert isinstance(record, databento_dbn.SystemMsg)
                texts.append(record.msg)
        # Its own selection by schema is not confused by the marks.
        assert store.to_ndarray(schema="mbo").tobytes() == b"".join(part)
        got += part
    assert b"".join(got) == expected
    assert texts[0] == "l3book: session test:"
    assert "l3book: pause" in texts
    assert all(text.startswith("l3book: ") for text in texts)
    assert len(symbols) == 3
    reader, exported = log.dbn(100, 15_000), b""
    while piece := reader.read(10_000):
        exported += piece
    store = DBNStore.from_bytes(exported)
    assert store.to_ndarray().tobytes() == expected[100 * RECORD_BYTES : 15_000 * RECORD_BYTES]
    assert set(store.mappings) == symbols


def test_a_second_recorder_is_told_who_has_the_folder(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    with pytest.raises(HistoryLockedError, match="another recorder writes there") as caught:
        Recorder(tmp_path)
    assert caught.value.pid == os.getpid()
    assert str(tmp_path) in str(caught.value)
    assert recorder.close(WAIT_S)
    assert recorder.stats()["state"] == "closed"
    assert Recorder(tmp_path).close(WAIT_S)


def test_a_damaged_frame_becomes_a_hole_that_restarts_pass_over(tmp_path: Path) -> None:
    data = simulated(6_000)
    market = Market()
    recorder = Recorder(tmp_path, fsync_records=500)
    recorder.begin(market, "test:")
    market.feed(data)
    assert recorder.close(WAIT_S)
    [segment] = Log(tmp_path).segments()
    whole = segment["path"].read_bytes()
    at = len(whole) // 2
    segment["path"].write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    for restart in range(3):
        recorder = Recorder(tmp_path, fsync_records=500)
        found = recorder.recovered
        assert (found["frames_cut"] > 0) == (restart == 0)
        restored = Log(tmp_path).restore()
        recorder.begin(restored, None)
        if restart == 0:
            # A source that resumes sends again what is missing.
            restored.feed(data[found["end_ordinal"] * RECORD_BYTES :])
        assert recorder.close(WAIT_S)
        assert restored.state_hash() == market.state_hash()
    log = Log(tmp_path)
    [hole] = log.holes()
    assert hole["end"] == len(data) // RECORD_BYTES
    assert "damaged" in hole["reason"]
    assert log.verify()["good"]
    assert records_of(log) == data[: hole["first"] * RECORD_BYTES]
    assert log.read(hole["end"], 1 << 40)[1] == data[hole["first"] * RECORD_BYTES :]
    assert (segment["path"].parent / (segment["path"].name + ".damaged")).read_bytes() != whole


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    if os.getuid() != 0:
        pytest.skip("only root may mount a small disk")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "l3book-test", path], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no small disk: {made.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_costs_records_but_neither_books_nor_order(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(3_000 * KIB))
    simulator = Simulator(seed=5, instruments=3, resting_max=64)
    market, reference = Market(), Market()
    recorder = Recorder(small_disk / "history", queue_bytes_max=1 << 20, fsync_ms=20)
    recorder.begin(market, "test:")
    fed = 0

    def feed() -> None:
        nonlocal fed
        piece = simulator.read(2_000)
        fed += market.feed(piece)
        reference.feed(piece)

    while recorder.stats()["state"] == "recording":
        recorder.wait_room(POLL_S)
        feed()
        assert fed < 10_000_000, "the disk is never full"
    while recorder.stats()["holes"] == 0:
        feed()
    stats = recorder.stats()
    assert "No space left on device" in stats["error"]
    assert stats["queue_bytes"] <= stats["queue_bytes_max"]
    assert stats["next_ordinal"] == fed
    assert not recorder.flush(0.1)
    # A reader sees what is durable, and the books go on.
    assert Log(small_disk / "history").verify()["good"]
    feed()
    filler.unlink()
    for _ in range(10):
        assert recorder.wait_room(WAIT_S)
        feed()
    assert recorder.close(WAIT_S)
    log = Log(small_disk / "history")
    holes = log.holes()
    assert "No space left on device" in holes[0]["reason"]
    assert sum(hole["end"] - hole["first"] for hole in holes) == recorder.stats()["records_lost"]
    assert log.verify()["good"]
    assert log.end_ordinal == recorder.stats()["next_ordinal"]
    assert market.state_hash() == reference.state_hash() == log.restore().state_hash()


def test_a_disk_that_stays_full_ends_with_what_was_durable(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(3_000 * KIB))
    data = simulated(120_000)
    recorder = Recorder(small_disk / "history", queue_bytes_max=1 << 20, fsync_ms=20)
    market = Market()
    recorder.begin(market, "test:")
    at = 0
    while recorder.stats()["state"] == "recording":
        # What is fed where there is no room is a hole, which is not what this is about.
        if not recorder.wait_room(POLL_S):
            continue
        market.feed(piece := data[at : at + 100_000])
        assert piece, "the disk is never full"
        at += len(piece)
    durable = recorder.stats()["durable_ordinal"]
    assert not recorder.close(0.2)
    assert recorder.stats()["state"] == "closed"
    # Still full: opening it again cuts off what is not whole, and needs no room for that.
    again = Recorder(small_disk / "history")
    end = again.recovered["end_ordinal"]
    assert end == again.recovered["next_ordinal"]
    assert end >= durable
    log = Log(small_disk / "history")
    assert records_of(log) == data[: end * RECORD_BYTES]
    filler.unlink()
    restored = log.restore()
    again.begin(restored, None)
    restored.feed(data[end * RECORD_BYTES :])
    assert again.close(WAIT_S)
    log.refresh()
    assert records_of(log) == data
    assert log.holes() == []


def test_a_disk_without_the_right_to_write_is_refused_and_read(small_disk: Path) -> None:
    folder = small_disk / "history"
    recorder = Recorder(folder)
    market = Market()
    recorder.begin(market, "test:")
    market.feed(data := simulated(1_000))
    assert recorder.close(WAIT_S)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(HistoryError, match="Read-only file system"):
        Recorder(folder)
    assert records_of(Log(folder)) == data
    assert Log(folder).verify()["good"]
