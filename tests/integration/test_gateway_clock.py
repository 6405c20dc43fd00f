"""Whose time it is: sessions with a clock of their own, sessions that share one, passes, slow readers."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from agreement import assert_same_books
from dbn_bytes import LAST, MAYBE_BAD_BOOK, RECORD_BYTES, RTYPE_MBO, Mbo, chunks, metadata, raw_records, split, stream
from gateways import REPLAY_COMPLETED, SLOW_READER, SOCKET_TIMEOUT_S, Client, body, errors, system_texts
from gateways import whole as whole_stream
from l3book import Market
from l3book._core import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateways import RunningGateway

RECORDS = 20_000
NS_PER_S = 1_000_000_000


@pytest.fixture(scope="module")
def made() -> bytes:
    simulator = Simulator(seed=9, instruments=2, resting_max=200)
    return simulator.header() + simulator.read_last(RECORDS)


def mbo_of(data: bytes) -> list[bytes]:
    return [raw for raw in raw_records(split(whole_stream(data))[1]) if raw[1] == RTYPE_MBO]


def streaming(running: RunningGateway, **options: object) -> Client:
    client = running.connect().admitted()
    client.subscribe(**options)  # type: ignore[arg-type]
    client.start()
    return client


@pytest.mark.parametrize("protocol", ["lsg", "raw"])
@pytest.mark.parametrize("rate", [7_000, 20_000])
def test_a_rate_is_never_exceeded(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes, protocol: str, rate: int
) -> None:
    running = gateway(recording, "--rate", rate, "--protocol", protocol)
    began_ns = time.monotonic_ns()
    with running.connect() as client:
        if protocol == "lsg":
            client.admitted()
            client.subscribe()
            client.start()
        got = 0
        while piece := client.socket.recv(1 << 16):
            got += len(piece)
            # Metadata, mappings and acks weigh less than a hundred records.
            assert got // RECORD_BYTES - 100 <= (time.monotonic_ns() - began_ns) * rate // NS_PER_S
    assert got >= len(split(made)[1])


def test_recorded_time_takes_its_time(gateway: Callable[..., RunningGateway], recording: Path, made: bytes) -> None:
    times = [Mbo.from_bytes(raw).ts_recv for raw in chunks(split(made)[1], RECORD_BYTES)]
    recorded_s = (times[-1] - times[0]) / NS_PER_S
    running = gateway(recording, "--speed", f"{recorded_s:.6f}")
    began_s = time.monotonic()
    with running.connect() as client:
        assert body(client.stream()) == split(made)[1]
    assert time.monotonic() - began_s >= 0.95


def test_sessions_of_their_own_begin_at_the_beginning(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(recording, "--rate", "2000")
    first = mbo_of(recording.read_bytes())[0]
    for _ in range(2):
        with streaming(running) as client:
            client.until(first)


@pytest.mark.parametrize("pace", [("--rate", "20000"), ("--speed", "1")])
def test_sessions_that_share_a_clock_get_the_same_bytes_in_every_pass(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes, pace: tuple[str, ...]
) -> None:
    if pace[0] == "--speed":
        times = [Mbo.from_bytes(raw).ts_recv for raw in chunks(split(made)[1], RECORD_BYTES)]
        pace = ("--speed", f"{(times[-1] - times[0]) / NS_PER_S:.6f}")
    running = gateway(recording, *pace, "--shared-clock", "--loop", "--as-if-now")
    before_ns = time.time_ns()
    with streaming(running) as early:
        first = early.read_records(500_000)
        with streaming(running) as late, streaming(running, start=0) as replaying:
            enough = 2 * RECORDS * RECORD_BYTES
            late_data = late.read_records(enough)
            replayed = replaying.read_records(enough)
        early_data = early.read_records(len(first) + 2 * enough)
    early_records, late_records, replayed_records = map(mbo_of, (early_data, late_data, replayed))
    at = early_records.index(late_records[0])
    assert at > 0, "it joined where the clock was"
    shared = min(len(early_records) - at, len(late_records))
    assert early_records[at : at + shared] == late_records[:shared]
    shared = min(len(early_records), len(replayed_records))
    assert early_records[:shared] == replayed_records[:shared]
    assert system_texts(whole_stream(replayed), REPLAY_COMPLETED) == ["Finished mbo replay"]
    records = [Mbo.from_bytes(raw) for raw in early_records]
    assert before_ns <= records[0].ts_recv, "as if it were now"
    sequences = [record.sequence for record in records if record.sequence]
    assert sequences == sorted(sequences), "they go on rising"
    clears = records[RECORDS : RECORDS + 2]
    assert [(record.action, record.flags) for record in clears] == [("R", LAST)] * 2, "each pass begins with them"


def test_an_interval_is_closed_though_no_record_comes(gateway: Callable[..., RunningGateway], tmp_path: Path) -> None:
    first = 1_758_742_200_123_456_789
    path = tmp_path / "pause.dbn"
    records = [Mbo("A", "B", 5, 1, n, ts_event=at, ts_recv=at) for n, at in enumerate((first, first + 3600 * NS_PER_S))]
    path.write_bytes(metadata(symbols={"X": 1}) + stream(records))
    running = gateway(path)
    with running.connect() as client:
        client.admitted()
        client.subscribe(schema="bbo-1s")
        client.start()
        data = client.until_data()
    row = next(raw_records(body(data)))
    assert len(row) == 80
    assert int.from_bytes(row[32:40], "little") == first // NS_PER_S * NS_PER_S + NS_PER_S, "ts_recv is its end"


def test_the_first_record_begins_when_the_first_session_starts(
    gateway: Callable[..., RunningGateway], recording: Path
) -> None:
    running = gateway(recording, "--rate", "1000", "--shared-clock")
    time.sleep(1.0)
    first = mbo_of(recording.read_bytes())[0]
    with streaming(running) as client:
        client.until(first)


def test_a_shared_clock_runs_on_without_anybody(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(recording, "--rate", str(RECORDS), "--shared-clock")
    with streaming(running) as client:
        client.read_records(10_000)
    time.sleep(1.2)
    with running.connect() as client:
        assert body(client.stream()) == b"", "the recording is over"
    with running.connect() as client:
        data = client.stream({"start": 0})
        assert body(data) == split(recording.read_bytes())[1]
        assert system_texts(data, REPLAY_COMPLETED) == ["Finished mbo replay"]


def test_a_shared_clock_begins_with_the_recording_wherever_its_first_session_starts(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes
) -> None:
    """The first session's `start` was taken for the beginning of all."""
    records = list(chunks(split(made)[1], RECORD_BYTES))
    times = [Mbo.from_bytes(raw).ts_recv for raw in records]
    recorded_s = (times[-1] - times[0]) / NS_PER_S
    running = gateway(recording, "--speed", f"{recorded_s / 1000:.9f}", "--shared-clock")
    with streaming(running, start=Mbo.from_bytes(records[RECORDS // 2]).ts_event) as first:
        first.until(b"succeeded")
        with streaming(running) as second:
            assert records.index(mbo_of(second.until_data())[0]) < RECORDS // 4


def test_a_live_subscription_beside_a_replay_begins_when_that_has_caught_up(
    gateway: Callable[..., RunningGateway], recording: Path
) -> None:
    running = gateway(recording, "--rate", "10000", "--shared-clock")
    with streaming(running) as client:
        client.read_records(200_000)
    with running.connect() as client:
        data = client.stream({"start": 0}, {"schema": "trades"})
    kinds = [raw[1] for raw in raw_records(split(data)[1])]
    replayed = next(n for n, raw in enumerate(raw_records(split(data)[1])) if b"Finished mbo replay" in raw)
    assert 0 not in kinds[:replayed]
    assert 0 in kinds[replayed:]
    assert [raw for raw in raw_records(body(data)) if raw[1] == RTYPE_MBO] == mbo_of(recording.read_bytes())


def test_a_snapshot_of_a_shared_clock_is_exact(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(recording, "--rate", "20000", "--shared-clock")
    with streaming(running) as first:
        first.read_records(300_000)
        with running.connect() as client:
            data = client.stream({"snapshot": 1})
    market, expected = Market(), Market()
    market.feed(split(data)[0] + body(data))
    expected.feed_file(recording)
    assert_same_books(market, expected)


def test_a_loop_without_a_pace_goes_on_and_on(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    for protocol in ("lsg", "raw"):
        running = gateway(recording, "--max", "--loop", "--protocol", protocol)
        with running.connect() as client:
            if protocol == "lsg":
                client.admitted()
                client.subscribe()
                client.start()
            records = mbo_of(client.read_records(5 * RECORDS * RECORD_BYTES))
        whole = mbo_of(recording.read_bytes())
        assert records[:RECORDS] == whole
        assert [Mbo.from_bytes(raw).action for raw in records[RECORDS : RECORDS + 2]] == ["R", "R"]
        again = [Mbo.from_bytes(raw)._replace(sequence=0) for raw in records[RECORDS + 2 : 2 * RECORDS + 2]]
        assert again == [Mbo.from_bytes(raw)._replace(sequence=0) for raw in whole]


class SlowClient(Client):
    """A client with little room to receive."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.socket.close()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(SOCKET_TIMEOUT_S)
        self.socket.connect(("127.0.0.1", port))


@pytest.fixture
def long_recording(tmp_path: Path) -> Path:
    simulator = Simulator(seed=9, instruments=2, resting_max=200)
    path = tmp_path / "long.dbn"
    path.write_bytes(simulator.header() + simulator.read_last(600_000))
    return path


@pytest.mark.parametrize("behavior", ["warn", "skip"])
@pytest.mark.parametrize("pace", [("--rate", "200000"), ("--speed",)])
def test_a_slow_reader_of_a_shared_clock_is_told_or_brought_up_to_date(
    gateway: Callable[..., RunningGateway], long_recording: Path, behavior: str, pace: tuple[str, ...]
) -> None:
    whole = mbo_of(long_recording.read_bytes())
    if pace == ("--speed",):
        recorded_ns = Mbo.from_bytes(whole[-1]).ts_recv - Mbo.from_bytes(whole[0]).ts_recv
        pace = ("--speed", f"{recorded_ns / (3 * NS_PER_S):.6f}")
    running = gateway(long_recording, *pace, "--shared-clock")
    with SlowClient(running.port) as client:
        client.admitted(slow_reader_behavior=behavior)
        client.subscribe()
        client.start()
        time.sleep(2.0)
        data = client.rest()
    records = mbo_of(data)
    if behavior == "warn":
        texts = system_texts(data, SLOW_READER)
        assert texts
        assert all(text.startswith("Slow reader: the session is ") for text in texts)
        assert records == whole
        return
    found = errors(data)
    assert {code for code, _ in found} == {7}
    skipped = sum(int(text.split("skipped ")[1].split()[0]) for _, text in found)
    assert skipped > 0
    assert len(records) + skipped == len(whole)
    assert running.end()["skipped records"] == skipped
    marked = [raw for raw in records if Mbo.from_bytes(raw).flags & MAYBE_BAD_BOOK]
    assert 1 <= len(marked) <= 2 * len(found), "the next record of each book"
    expected = iter(whole)
    unmarked = [unmark(raw) for raw in records]
    assert all(raw in expected for raw in unmarked), "in order, and none that is not of the recording"


def unmark(raw: bytes) -> bytes:
    return raw[:36] + bytes([raw[36] & ~MAYBE_BAD_BOOK]) + raw[37:]
