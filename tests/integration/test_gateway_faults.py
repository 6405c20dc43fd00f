"""Each fault as a client meets it, on both protocols: what was asked for, just that, and told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from agreement import assert_same_books
from dbn_bytes import MAYBE_BAD_BOOK, RECORD_BYTES, Mbo, chunks, raw_records, split
from gateways import KEY, OTHER_KEY, Client, body
from l3book import Market
from l3book._core import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateways import RunningGateway

RECORDS = 40_000
AT = 12_345
PROTOCOLS = ("lsg", "raw")


@pytest.fixture(scope="module")
def made() -> bytes:
    simulator = Simulator(seed=5, instruments=2, resting_max=300)
    return simulator.header() + simulator.read_last(RECORDS)


@pytest.fixture(params=PROTOCOLS)
def start(
    request: pytest.FixtureRequest, gateway: Callable[..., RunningGateway], recording: Path
) -> Callable[..., RunningGateway]:
    """Start a gateway of each protocol with faults."""

    def started(*faults: str, pace: tuple[str, ...] = ("--max",), seed: int = 1) -> RunningGateway:
        options = [part for fault in faults for part in ("--fault", fault)]
        return gateway(recording, "--protocol", request.param, "--seed", seed, *pace, *options)

    return started


def is_raw(running: RunningGateway) -> bool:
    return "raw" in running.process.args  # type: ignore[operator]


def received(running: RunningGateway, key: str = KEY) -> tuple[bytes, bool]:
    """The data records a session gets, and whether its end was a reset."""
    with running.connect() as client:
        return received_by(client, raw=is_raw(running), key=key)


def received_by(client: Client, *, raw: bool, key: str = KEY) -> tuple[bytes, bool]:
    if not raw:
        client.admitted(key=key)
        client.subscribe()
        client.start()
    pieces, reset = [client._buffer], False
    try:
        while piece := client.socket.recv(1 << 20):
            pieces.append(piece)
    except ConnectionResetError:
        reset = True
    return data_records(b"".join(pieces)), reset


def data_records(stream: bytes) -> bytes:
    """Data records, the last perhaps cut."""
    rest = split(stream)[1]
    kept, at = [], 0
    while at < len(rest):
        raw = rest[at : at + max(rest[at] * 4, 16)]
        if len(raw) < 2 or raw[1] not in (0x15, 0x16, 0x17):
            kept.append(raw)
        at += len(raw)
    return b"".join(kept)


def test_without_a_fault_it_is_the_recording(start: Callable[..., RunningGateway], made: bytes) -> None:
    running = start()
    assert received(running) == (split(made)[1], False)
    totals = running.end()
    assert totals == {"sessions": 1, "refused": 0, "records": RECORDS, "bytes": totals["bytes"]}
    assert totals["bytes"] >= len(made) - 10_000


def test_drop_connection_is_a_reset_and_happens_once(start: Callable[..., RunningGateway], made: bytes) -> None:
    running, whole = start(f"drop-connection@{AT}"), split(made)[1]
    data, reset = received(running)
    assert reset
    assert whole.startswith(data)
    assert len(data) <= AT * RECORD_BYTES
    assert received(running) == (whole, False), "a client that comes back finds the way free"
    assert running.end()["fault drop-connection"] == 1


def test_close_is_an_orderly_end_too_early(start: Callable[..., RunningGateway], made: bytes) -> None:
    running = start(f"close@{AT}")
    assert received(running) == (split(made)[1][: AT * RECORD_BYTES], False)
    assert running.end()["fault close"] == 1


@pytest.mark.parametrize("silent", ["", ":silent"])
def test_gap_leaves_records_out_and_says_so_unless_silent(
    start: Callable[..., RunningGateway], made: bytes, silent: str
) -> None:
    whole = split(made)[1]
    data, reset = received(start(f"gap@{AT}:7{silent}"))
    assert not reset
    assert len(data) == len(whole) - 7 * RECORD_BYTES
    expected = list(chunks(whole, RECORD_BYTES))
    lost = {Mbo.from_bytes(raw).key for raw in expected[AT : AT + 7]}
    del expected[AT : AT + 7]
    found = list(chunks(data, RECORD_BYTES))
    differing = [n for n, raw in enumerate(found) if raw != expected[n]]
    marked = [Mbo.from_bytes(found[n]) for n in differing]
    assert [record.key for record in marked] == ([] if silent else [r.key for r in marked])
    assert {record.key for record in marked} == (set() if silent else lost)
    assert all(record.flags & MAYBE_BAD_BOOK for record in marked)


def test_duplicate_sends_records_twice(start: Callable[..., RunningGateway], made: bytes) -> None:
    expected = list(chunks(split(made)[1], RECORD_BYTES))
    expected[AT : AT + 3] = [raw for raw in expected[AT : AT + 3] for _ in range(2)]
    assert received(start(f"duplicate@{AT}:3")) == (b"".join(expected), False)


def test_reorder_moves_an_event_and_loses_nothing(start: Callable[..., RunningGateway], made: bytes) -> None:
    whole = split(made)[1]
    data, _ = received(start(f"reorder@{AT}:5"))
    assert data != whole
    assert sorted(chunks(data, RECORD_BYTES)) == sorted(chunks(whole, RECORD_BYTES))
    assert data.startswith(whole[: AT * RECORD_BYTES])


def test_flip_changes_just_so_many_bits_and_the_same_ones_with_the_same_seed(
    start: Callable[..., RunningGateway], made: bytes
) -> None:
    whole = split(made)[1]

    def flipped(seed: int) -> bytes:
        running = start(f"flip@{AT}:3", seed=seed)
        with running.connect() as client:
            if is_raw(running):
                return split(client.rest())[1]
            # The record's length may have been hit: records can no longer be told apart, so its place is looked for.
            stream = client.stream()
            return stream[stream.index(whole[:RECORD_BYTES]) :]

    first = flipped(1)
    assert flipped(1) == first
    assert flipped(2) != first
    tail = whole[(AT + 1) * RECORD_BYTES :]
    assert first.endswith(tail)
    hit = first[-len(tail) - RECORD_BYTES : -len(tail)]
    changed = int.from_bytes(hit, "little") ^ int.from_bytes(
        whole[AT * RECORD_BYTES : (AT + 1) * RECORD_BYTES], "little"
    )
    assert changed.bit_count() == 3


def test_truncate_ends_inside_a_record(start: Callable[..., RunningGateway], made: bytes) -> None:
    running = start(f"truncate@{AT}")
    data, reset = received(running)
    assert not reset
    assert split(made)[1].startswith(data)
    assert AT * RECORD_BYTES < len(data) < (AT + 1) * RECORD_BYTES
    assert running.end()["records"] == AT, "a part is no record"


@pytest.mark.parametrize("order", [1, -1])
def test_a_record_that_is_flipped_and_truncated_is_both(
    start: Callable[..., RunningGateway], made: bytes, order: int
) -> None:
    """Of two faults that hit the same record the later one was the only one."""
    running, whole = start(*[f"flip@{AT}:{8 * RECORD_BYTES}", f"truncate@{AT}"][::order]), split(made)[1]
    data, _ = received(running)
    kept = data[AT * RECORD_BYTES :]
    assert data[: AT * RECORD_BYTES] == whole[: AT * RECORD_BYTES]
    assert 0 < len(kept) < RECORD_BYTES
    assert kept == bytes(byte ^ 0xFF for byte in whole[AT * RECORD_BYTES :][: len(kept)])


def test_stall_pauses_and_goes_on(start: Callable[..., RunningGateway], made: bytes) -> None:
    running = start(f"stall@{AT}:1s")
    began_s = time.monotonic()
    assert received(running) == (split(made)[1], False)
    assert time.monotonic() - began_s >= 1.0


def test_half_open_keeps_the_connection_and_is_silent(start: Callable[..., RunningGateway], made: bytes) -> None:
    running = start(f"half-open@{AT}")
    with running.connect() as client:
        if not is_raw(running):
            client.admitted()
            client.subscribe()
            client.start()
        # However slow a machine is: all that comes before the silence, and only then a look whether it is one.
        client.read_records(AT * RECORD_BYTES)
        client.socket.settimeout(1.0)
        with pytest.raises(TimeoutError):
            client.read_records(len(made))
        if not is_raw(running):
            client.send("not a request, but nobody reads it\n")
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
    assert received(running) == (split(made)[1], False)
    assert running.end()["fault half-open"] == 1


def test_latency_delays_and_keeps_the_order(start: Callable[..., RunningGateway], made: bytes) -> None:
    running = start("latency:300ms:50ms")
    began_s = time.monotonic()
    assert received(running) == (split(made)[1], False)
    assert time.monotonic() - began_s >= 0.3


def test_throttle_bounds_the_bandwidth(start: Callable[..., RunningGateway], made: bytes) -> None:
    running = start("throttle:1MB")
    began_s = time.monotonic()
    assert received(running) == (split(made)[1], False)
    assert time.monotonic() - began_s >= len(made) / 1e6 * 0.95


def test_repeated_faults_are_the_same_in_another_run_and_others_in_another_session(
    start: Callable[..., RunningGateway], made: bytes
) -> None:
    first_run, second_run = (start("gap~3000:2", "duplicate~2000") for _ in range(2))
    first, again = received(first_run), received(first_run)
    assert received(second_run) == first
    assert received(second_run) == again
    assert first != again
    fired = first_run.end()
    assert 10 <= fired["fault gap"] <= 50


def test_every_fault_is_logged(start: Callable[..., RunningGateway]) -> None:
    running = start(f"gap@{AT}", f"duplicate@{AT + 5}", f"close@{AT + 50}")
    received(running)
    for text in (f"fault gap@{AT} after {AT:,} records", f"fault duplicate@{AT + 5}", f"fault close@{AT + 50}"):
        running.wait_for_line(text)


def test_seconds_are_of_the_sessions_clock(start: Callable[..., RunningGateway]) -> None:
    running = start("close@1s", pace=("--rate", "10000"))
    data, reset = received(running)
    assert not reset
    assert len(data) >= 9_000 * RECORD_BYTES
    assert running.end()["fault close"] == 1


def test_a_flip_in_a_compressed_stream_is_an_error_and_never_a_wrong_record(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes
) -> None:
    import zstandard

    for seed in range(4):
        running = gateway(recording, "--max", "--fault", f"flip@{AT}", "--seed", seed)
        with running.connect() as client:
            rest = client.stream({}, compression="zstd")
        plain, noticed = b"", False
        while rest and not noticed:
            frame = zstandard.ZstdDecompressor().decompressobj()
            try:
                piece = frame.decompress(rest)
            except zstandard.ZstdError:
                noticed = True
            else:
                # A frame that is now longer than the stream is noticed as one that is cut.
                noticed = not frame.eof
                plain += piece if frame.eof else b""
                rest = frame.unused_data
        assert noticed
        assert split(made)[1][: AT * RECORD_BYTES] == body(plain)


def test_a_spared_key_sees_no_fault(gateway: Callable[..., RunningGateway], recording: Path, made: bytes) -> None:
    running = gateway(recording, "--max", "--fault", "gap~1000", "--spared-key", OTHER_KEY)
    assert received(running, OTHER_KEY) == (split(made)[1], False)
    assert received(running)[0] != split(made)[1]


def test_the_gateways_own_books_stay_right_behind_a_gap(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes
) -> None:
    """A client that lost records asks for a snapshot, and is exact again."""
    running = gateway(recording, "--rate", "30000", "--fault", "gap@5000:200")
    with running.connect() as client:
        client.admitted()
        client.subscribe()
        client.start()
        client.read_records(600_000)
        client.subscribe(snapshot=1)
        data = client.rest()
    market, expected = Market(), Market()
    market.feed(split(data)[0] + body(data))
    expected.feed(made)
    assert_same_books(market, expected)
    assert {instrument.state for instrument in market.instruments()} == {"live"}


def test_derived_rows_are_data_records_too(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(recording, "--max", "--fault", "gap@100:10")
    with running.connect() as first, running.connect() as second:
        faulty, whole = (body(client.stream({"schema": "mbp-1"})) for client in (first, second))
    assert len(list(raw_records(faulty))) == len(list(raw_records(whole))) - 10
