"""The recorded past, asked through the package: books as of a time, restored markets, replays."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from l3book import Market, UnknownInstrumentError
from l3book._core import HistoryError, Indexer, Log, NotRecordedError, Past, Recorder, Replay, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RECORD_BYTES = 56
TIMEOUT_S = 60.0
SIMULATED_RECORDS = 12_000
BUSIEST = "SYN0"


@pytest.fixture(scope="module")
def simulated() -> tuple[bytes, bytes]:
    """Metadata and records of a synthetic market of three instruments."""
    simulator = Simulator(instruments=3, seed=5, resting_max=64)
    return simulator.header(), simulator.read(SIMULATED_RECORDS)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., Market]]:
    """Record a stream into `tmp_path` as a session of its own, with a checkpoint every so many records."""
    recorders: list[Recorder] = []

    def run(*pieces: bytes, checkpoint_records: int = 2_500, uri: str = "test") -> Market:
        for earlier in recorders:
            earlier.close(TIMEOUT_S)
        recorder = Recorder(tmp_path, fsync_records=700)
        recorders.append(recorder)
        market = Market()
        recorder.begin(market, uri)
        for piece in pieces:
            market.feed(piece)
        assert recorder.flush(TIMEOUT_S)
        indexer = Indexer(tmp_path, ordinal=0, checkpoint_records=checkpoint_records)
        while indexer.advance(100_000) is not None:
            pass
        assert indexer.take_error() is None
        return market

    yield run
    for recorder in recorders:
        recorder.close(TIMEOUT_S)


def ts_events(records: bytes) -> list[int]:
    return [int.from_bytes(records[at + 8 : at + 16], "little") for at in range(0, len(records), RECORD_BYTES)]


def as_of(at: int, *pieces: bytes) -> Market:
    market = Market(until=at)
    for piece in pieces:
        market.feed(piece)
    return market


def assert_as_of(past: Past, at: int, *pieces: bytes) -> None:
    truth = as_of(at, *pieces)
    for instrument in truth.instruments():
        key = (instrument.publisher_id, instrument.instrument_id)
        expected = json.loads(truth.book_json(key, level=3, depth=None))
        assert json.loads(past.book_json(key, at, level=3, depth=None)) == expected


def test_books_at_random_times_are_those_of_a_market_that_stopped_there(
    record: Callable[..., Market], simulated: tuple[bytes, bytes], tmp_path: Path
) -> None:
    head, body = simulated
    record(head, body)
    past = Past(tmp_path)
    begin = past.range()[0]["ts_begin"]
    times = [at for at in ts_events(body) if at >= begin]
    for at in random.Random(1).sample(times, 12):
        assert_as_of(past, at, head, body)
    truth = as_of(times[-900], head, body)
    assert past.book_msgpack(BUSIEST, times[-900]) == truth.book_msgpack(BUSIEST)
    assert past.book_json(BUSIEST, times[-900], level=1) == truth.book_json(BUSIEST, level=1)
    assert past.snapshot(BUSIEST, times[-900], depth=3) == truth.snapshot(BUSIEST, depth=3)
    assert past.stats() == {"damaged_checkpoints": 0}


def test_a_real_recording_as_of_its_times(record: Callable[..., Market], clx5: Path, tmp_path: Path) -> None:
    data = clx5.read_bytes()
    live = record(data, checkpoint_records=9_000)
    past = Past(tmp_path)
    head = 8 + int.from_bytes(data[4:8], "little")
    begin = past.range()[0]["ts_begin"]
    times = [at for at in ts_events(data[head:]) if at >= begin]
    for at in [*random.Random(2).sample(times, 6), times[-1], times[-1] + 10**12]:
        assert_as_of(past, at, data)
    assert past.state_hash(len(data[head:]) // RECORD_BYTES) == live.state_hash()


def test_what_was_not_recorded_is_said_to_be_so(
    record: Callable[..., Market], simulated: tuple[bytes, bytes], tmp_path: Path
) -> None:
    empty = Past(tmp_path)
    with pytest.raises(NotRecordedError, match="nothing has been recorded"):
        empty.book_json(BUSIEST, 10**18)
    record(*simulated)
    begin = empty.range()[0]["ts_begin"]
    with pytest.raises(NotRecordedError, match=f"time {begin - 1}: the history begins at {begin}"):
        empty.book_json(BUSIEST, begin - 1)
    with pytest.raises(NotRecordedError):
        empty.ordinal_at(0)
    with pytest.raises(UnknownInstrumentError, match="no book of instrument NONE"):
        empty.book_json("NONE", begin)
    end = Log(tmp_path).end_ordinal
    with pytest.raises(NotRecordedError, match=f"ordinal {end + 1} is not in the log"):
        empty.state_hash(end + 1)
    with pytest.raises(HistoryError):
        Past(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="level 4"):
        empty.book_json(BUSIEST, begin, level=4)  # type: ignore[arg-type]


def test_many_ask_while_recording_goes_on(simulated: tuple[bytes, bytes], tmp_path: Path) -> None:
    head, body = simulated
    recorder = Recorder(tmp_path, fsync_records=300)
    market = Market()
    recorder.begin(market, "live")
    middle = len(body) // RECORD_BYTES // 3 * RECORD_BYTES
    market.feed(head + body[:middle])
    assert recorder.flush(TIMEOUT_S)
    past = Past(tmp_path)
    times = [at for at in ts_events(body[:middle]) if at >= past.range()[0]["ts_begin"]]

    def ask(seed: int) -> None:
        for at in random.Random(seed).sample(times, 10):
            assert_as_of(past, at, head, body[:middle])

    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(ask, seed) for seed in range(3)]
        for at in range(middle, len(body), 40 * RECORD_BYTES):
            market.feed(body[at : at + 40 * RECORD_BYTES])
        for one in asked:
            one.result()
    assert recorder.flush(TIMEOUT_S)
    # Later than the end: the last state, which is newer than what was known when this was opened.
    assert past.book_json(BUSIEST, 2**63) == market.book_json(BUSIEST)
    assert recorder.close(TIMEOUT_S)


def test_a_restarted_market_takes_up_its_stream(simulated: tuple[bytes, bytes], tmp_path: Path) -> None:
    head, body = simulated
    recorder = Recorder(tmp_path)
    market = Market(watch=True)
    recorder.begin(market, "gateway")
    # In the middle of a record, as a killed process leaves it.
    market.feed(head + body[: len(body) // 2 + 11])
    assert recorder.close(TIMEOUT_S)
    del market

    recorder = Recorder(tmp_path)
    assert recorder.recovered["session"] == "gateway"
    again = Log(tmp_path).restore(watch=True, epoch=9)
    recorder.begin(again, None)
    again.disconnected()
    start = again.resume_ts()
    assert start is not None
    again.reconnected("resume")
    times = ts_events(body)
    again.feed(b"".join(body[n * RECORD_BYTES :][:RECORD_BYTES] for n, at in enumerate(times) if at >= start))
    whole = as_of(2**64 - 1, head, body)
    assert again.suspects() == []
    assert again.state_hash() == whole.state_hash()
    assert again.watch_stats()["already_applied"] > 0
    assert recorder.close(TIMEOUT_S)
    log = Log(tmp_path)
    assert len(log.sessions()) == 1
    assert log.end_ordinal == len(times), "each record once"
    assert log.restore().state_hash() == whole.state_hash()
    assert [json.loads(again.book_json(BUSIEST))["epoch"], json.loads(whole.book_json(BUSIEST))["epoch"]] == ["9", "0"]


def test_a_damaged_checkpoint_is_passed_over(
    record: Callable[..., Market], simulated: tuple[bytes, bytes], tmp_path: Path
) -> None:
    head, body = simulated
    live = record(head, body)
    checkpoints = sorted((tmp_path / "checkpoints").glob("*.l3ck"))
    assert len(checkpoints) > 2
    newest = bytearray(checkpoints[-1].read_bytes())
    newest[-20:] = bytes(20)
    checkpoints[-1].write_bytes(newest)
    checkpoints[-2].write_bytes(b"")
    past = Past(tmp_path)
    end = Log(tmp_path).end_ordinal
    assert past.state_hash(end) == live.state_hash()
    assert_as_of(past, ts_events(body)[-1], head, body)
    assert past.stats()["damaged_checkpoints"] >= 1


def message(stream: Any) -> tuple[str, str, int]:
    told = stream.poll()
    assert told is not None
    return told.kind, told.epoch, told.seq


def test_a_replay_is_followed_like_a_live_market(
    record: Callable[..., Market], simulated: tuple[bytes, bytes], tmp_path: Path
) -> None:
    head, body = simulated
    record(head, body)
    replay = Replay(tmp_path)
    market = replay.market
    assert (replay.ordinal, replay.ts_recv, replay.ended, len(market)) == (0, 0, False, 0)
    with pytest.raises(UnknownInstrumentError):
        replay.step(BUSIEST, 1)
    times = ts_events(body)
    replay.seek(times[6_000])
    assert replay.market is market
    assert replay.ts_event <= times[6_000]
    stream = market.stream("depth", BUSIEST, depth=5)
    kind, epoch, seq = message(stream)
    assert kind == "snapshot"
    assert replay.step(BUSIEST, 3) == 3
    assert message(stream) == ("delta", epoch, seq + 3)
    assert replay.step(BUSIEST, -2) == -2
    kind, next_epoch, next_seq = message(stream)
    assert (kind, next_seq) == ("snapshot", seq + 1)
    assert int(next_epoch) > int(epoch)
    truth = Market()
    truth.feed(head + body[: replay.ordinal * RECORD_BYTES])
    assert market.state_hash() == truth.state_hash() == Past(tmp_path).state_hash(replay.ordinal)
    with pytest.raises(NotRecordedError):
        replay.seek(0)
    assert market.state_hash() == truth.state_hash(), "a seek that fails moves nothing"

    assert replay.next_ts is not None
    assert replay.advance(replay.next_ts - 1, 1_000) == 0
    assert replay.advance(2**63, 1_000) == 1_000
    left = len(times) - replay.ordinal
    assert replay.advance(2**63, 10**9) == left
    assert (replay.ordinal, replay.ended, replay.next_ts) == (len(times), True, None)
    record(head, body[: 50 * RECORD_BYTES], uri="another")
    assert replay.advance(2**63, 10**9) == 50
    kind, last_epoch, _ = message(stream)
    assert kind == "snapshot"
    assert int(last_epoch) > int(next_epoch)
