"""The live protocol, line by line, with a client of a few lines: what is asked for and what should not be."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from databento_dbn import DBNDecoder, Metadata

from agreement import assert_same_books
from dbn_bytes import RTYPE_MBO, Mbo, metadata, raw_records, split, stream
from gateways import (
    ACK,
    HEARTBEAT,
    KEY,
    OTHER_KEY,
    REPLAY_COMPLETED,
    RTYPE_MAPPING,
    RTYPE_SYSTEM,
    body,
    controls,
    errors,
    system_texts,
)
from l3book import Market
from l3book._core import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateways import RunningGateway

RECORDS = 30_000


@pytest.fixture(scope="module")
def made() -> bytes:
    simulator = Simulator(seed=3, instruments=3, resting_max=300)
    return simulator.header() + simulator.read(RECORDS)


@pytest.fixture
def fast(gateway: Callable[..., RunningGateway], recording: Path) -> RunningGateway:
    return gateway(recording, "--max")


def dataset_of(data: bytes) -> str:
    return Metadata.decode(split(data)[0]).dataset


def test_the_greeting_is_two_lines_and_the_answer_one(fast: RunningGateway) -> None:
    with fast.connect() as client:
        # All of it in the first read: the C++ client takes its first line from that.
        time.sleep(0.2)
        first = client.socket.recv(4096)
        assert first.startswith(b"lsg_version=")
        assert first.count(b"\n") == 2
        assert first.endswith(b"\n")


def test_a_session_from_the_greeting_to_the_end(fast: RunningGateway, made: bytes) -> None:
    with fast.connect() as client:
        data = client.stream({"id": 4})
    assert body(data) == split(made)[1]
    found = Metadata.decode(split(data)[0])
    assert (found.version, found.schema, found.stype_in, str(found.stype_out)) == (3, None, None, "instrument_id")
    assert (found.limit, found.ts_out, found.symbols, found.mappings) == (None, False, [], {})
    assert system_texts(data, ACK) == ["Subscription request 4 for mbo data succeeded"]
    told: set[int] = set()
    for n, raw in enumerate(raw_records(split(data)[1])):
        assert (raw[1] == RTYPE_SYSTEM) == (n == 0), "the ack, and nothing else of that kind"
        if raw[1] == RTYPE_MAPPING:
            told.add(int.from_bytes(raw[4:8], "little"))
        elif raw[1] == RTYPE_MBO:
            assert int.from_bytes(raw[4:8], "little") in told, "a mapping stands before the first record"
    assert len(told) == 3


def test_session_ids_are_decimal_and_differ(fast: RunningGateway) -> None:
    ids = set()
    for _ in range(3):
        with fast.connect() as client:
            ids.add(client.greeted().authenticate())
    assert len(ids) == 3
    assert all(line.removeprefix("success=1|session_id=").isdigit() for line in ids)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"key": OTHER_KEY}, "Authentication failed: no key of this gateway"),
        ({"key": KEY[:-6] + "x" + KEY[-5:]}, "Authentication failed: no key of this gateway"),
        ({"dataset": "XNAS.ITCH"}, "Dataset 'XNAS.ITCH' is not served here: expected GLBX.MDP3"),
        ({"encoding": "csv"}, "encoding is 'csv': expected dbn"),
        ({"heartbeat_interval_s": 4}, "heartbeat_interval_s is '4': expected 5 to 1800 seconds"),
        ({"compression": "lz4"}, "compression is 'lz4': expected none or zstd"),
        ({"ts_out": "x"}, "ts_out is 'x'"),
    ],
)
def test_who_is_not_let_in_is_told_why(fast: RunningGateway, options: dict[str, str], expected: str) -> None:
    with fast.connect() as client:
        answer = client.greeted().authenticate(**options)
        assert answer.startswith("success=0|error=")
        assert answer.count("|") == 1
        assert expected in answer
        assert client.rest() == b"", "closed after it"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "no auth field"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", "no UTF-8 text"),
        (b"\x00\x01\x02\n", "control characters"),
        (b"\n", "without a name"),
        (b"auth=1|auth=2\n", "'auth' is there twice"),
        (b"auth=x-FFFFF\n", "no dataset"),
        (b"x" * 70_000, "a line of more than 65536 bytes"),
        (b"start_session\n", "no auth field"),
    ],
)
def test_what_is_not_the_protocol_gets_a_line_and_an_end(fast: RunningGateway, sent: bytes, expected: str) -> None:
    with fast.connect() as client:
        client.greeted().send(sent)
        answer = client.line()
        assert answer.startswith("success=0|error=")
        assert expected in answer
        assert client.rest() == b""
    assert_serves(fast)


def assert_serves(running: RunningGateway) -> None:
    with running.connect() as client:
        assert len(body(client.stream())) == RECORDS * 56


def test_a_line_of_a_gigabyte_is_refused_and_takes_no_memory(fast: RunningGateway) -> None:
    def resident_kb() -> int:
        with open(f"/proc/{fast.process.pid}/status") as status:  # noqa: PTH123
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    before_kb, piece, sent = resident_kb(), b"x" * (1 << 20), 0
    with fast.connect() as client:
        client.greeted()
        try:
            while sent < 1 << 30:
                client.send(piece)
                sent += len(piece)
            assert "a line of more than 65536 bytes" in client.line()
        except (ConnectionError, TimeoutError):
            # It reads on for some seconds so that the reason arrives, and then gives up.
            assert sent > 1 << 20
    assert resident_kb() - before_kb < 64 * 1024
    assert_serves(fast)


def test_a_client_that_leaves_at_any_moment_harms_nobody(fast: RunningGateway) -> None:
    for step in range(6):
        with fast.connect() as client:
            if step > 0:
                client.greeted()
            if step > 1:
                client.send("auth=")
            if step > 2:
                client.send("x\n")
            if step == 4:
                client.line()
        with fast.connect() as client:
            client.admitted()
            if step > 1:
                client.subscribe()
            if step > 3:
                client.start()
                client.socket.recv(100)
    assert_serves(fast)


def test_half_a_request_waits_for_the_rest_and_crlf_is_tolerated(fast: RunningGateway, made: bytes) -> None:
    with fast.connect() as client:
        client.admitted()
        for piece in (
            "schema=mbo|stype_in=raw_",
            "symbol|symbols=ALL_SYMBOLS|snap",
            "shot=0\r",
            "\nstart_session=0\r\n",
        ):
            client.send(piece)
            time.sleep(0.02)
        assert body(client.rest()) == split(made)[1]


def test_everything_at_once_is_understood(fast: RunningGateway, made: bytes) -> None:
    """A client that does not wait for answers."""
    with fast.connect() as client:
        client.greeted()
        client.send("")
        answer = client.authenticate()
        assert answer.startswith("success=1|")
        client.send("schema=mbo|stype_in=raw_symbol|symbols=ALL_SYMBOLS\nstart_session\n")
        assert body(client.rest()) == split(made)[1]


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("schema=mbo|stype_in=raw_symbol|symbols=", "symbols is ''"),
        ("schema=mbo|stype_in=raw_symbol", "symbols is ''"),
        ("schema=nonsense|stype_in=raw_symbol|symbols=ALL_SYMBOLS", "nonsense"),
        ("schema=mbo|stype_in=nonsense|symbols=ABC", "nonsense"),
        ("schema=imbalance|stype_in=raw_symbol|symbols=ALL_SYMBOLS", "imbalance"),
        ("schema=mbo|stype_in=raw_symbol|symbols=ALL_SYMBOLS|start=0|snapshot=1", "exclude each other"),
        ("schema=mbo|stype_in=raw_symbol|symbols=ALL_SYMBOLS|start=noon", "start: time 'noon'"),
        ("schema=trades|stype_in=raw_symbol|symbols=ALL_SYMBOLS|snapshot=1", "snapshot"),
        ("hello=world", "unknown request 'hello=world'"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_wrong_request_is_answered_by_a_fatal_error(
    gateway: Callable[..., RunningGateway], recording: Path, request_line: str, expected: str, streaming: bool
) -> None:
    running = gateway(recording, "--speed", "0.01")
    with running.connect() as client:
        client.admitted()
        if streaming:
            client.subscribe()
            client.start()
            client.until(b"succeeded")
        client.send(request_line + "\n")
        if not streaming:
            client.start()
        data = client.rest()
    ((code, text),) = errors(data)
    assert code == 5
    assert expected in text
    assert DBNDecoder().write(data) is None


def test_a_request_that_is_not_complete_holds_the_start_up(fast: RunningGateway) -> None:
    with fast.connect() as client:
        ((code, text),) = errors(client.stream({"id": 1, "is_last": 0}))
    assert code == 5
    assert "ALL_SYMBOLS in a request of several lines" in text
    with fast.connect() as client:
        ((code, text),) = errors(client.stream({"symbols": "A", "id": 1, "is_last": 0}))
    assert code == 5
    assert "is_last=1" in text


def test_start_is_refused_once_the_session_runs(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(recording, "--speed", "0.01")
    with running.connect() as client:
        client.admitted()
        client.subscribe()
        client.start()
        client.until(b"succeeded")
        client.subscribe(start=0)
        ((code, text),) = errors(client.rest())
    assert code == 5
    assert "after the session has started" in text


def test_symbols_that_mean_nothing_are_told_one_by_one_and_the_others_come(fast: RunningGateway, made: bytes) -> None:
    symbols = known_symbols(made)
    with fast.connect() as client:
        data = client.stream({"symbols": f"NONE1,{symbols[0]},NONE2"})
    assert [code for code, _ in errors(data)] == [4, 4]
    assert ["NONE1" in text or "NONE2" in text for _, text in errors(data)] == [True, True]
    assert system_texts(data, ACK) == ["Subscription request 0 for mbo data succeeded"]
    ids = {Mbo.from_bytes(raw).instrument_id for raw in raw_records(body(data))}
    assert len(ids) == 1


def test_of_many_symbols_that_mean_nothing_a_thousand_are_told_and_the_rest_as_a_number(fast: RunningGateway) -> None:
    lines = [
        {"symbols": ",".join(f"N{n}" for n in range(at, at + 500)), "is_last": int(at == 2000)}
        for at in range(0, 2500, 500)
    ]
    with fast.connect() as client:
        found = errors(client.stream(*lines))
    assert len(found) == 1001
    assert {code for code, _ in found} == {4}
    assert found[999][1] == "Symbol 'N999' of stype raw_symbol was not resolved"
    assert found[1000][1] == "1500 more symbols of stype raw_symbol were not resolved"


def test_too_many_different_subscriptions_are_an_error_and_the_same_ones_are_not(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes
) -> None:
    running = gateway(recording, "--max")
    request = "schema=mbo|stype_in=raw_symbol|symbols=ALL_SYMBOLS|start={}\n"
    with running.connect() as client:
        client.admitted()
        client.send("".join(request.format(start) for start in range(10_001)))
        ((code, text),) = errors(client.rest())
        assert code == 5
        assert "expected at most 10000" in text
    with running.connect() as client:
        client.admitted()
        client.send(request.format(0) * 10_000)
        client.start()
        data = client.rest()
    assert len(system_texts(data, ACK)) == 10_000
    assert body(data) == split(made)[1]


def known_symbols(data: bytes) -> list[str]:
    market = Market()
    market.feed(data)
    return sorted(instrument.symbol for instrument in market.instruments())


def test_several_lines_are_one_request_with_one_ack(fast: RunningGateway, made: bytes) -> None:
    symbols = known_symbols(made)
    lines = [{"symbols": symbol, "id": 9, "is_last": int(symbol == symbols[-1])} for symbol in symbols]
    with fast.connect() as client:
        data = client.stream(*lines)
    assert system_texts(data, ACK) == ["Subscription request 9 for mbo data succeeded"]
    assert body(data) == split(made)[1]


def test_a_second_subscription_while_streaming_adds_and_repeats_nothing(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes
) -> None:
    one, two, _ = known_symbols(made)
    running = gateway(recording, "--rate", "20000")
    with running.connect() as client:
        client.admitted()
        client.subscribe(one)
        client.start()
        client.until(b"request 0")
        client.subscribe(f"{one},{two}")
        client.subscribe(two, "trades")
        data = client.rest()
    assert len(system_texts(data, ACK)) == 3
    market = Market()
    market.feed(made)
    wanted = {market.book(symbol).instrument_id for symbol in (one, two)}
    records = [raw for raw in raw_records(body(data)) if raw[1] == 0xA0]
    assert {Mbo.from_bytes(raw).instrument_id for raw in records} == wanted
    expected = [raw for raw in raw_records(split(made)[1]) if Mbo.from_bytes(raw).instrument_id in wanted]
    at = iter(expected)
    assert all(record in at for record in records), "in order, each at most once"
    assert sum(1 for kind, _, _ in controls(data) if kind == RTYPE_MAPPING) == 2


def test_start_is_by_ts_event_and_the_replay_is_completed(fast: RunningGateway, made: bytes) -> None:
    records = list(raw_records(split(made)[1]))
    start = Mbo.from_bytes(records[len(records) // 2]).ts_event
    with fast.connect() as client:
        data = client.stream({"start": start})
    assert body(data) == b"".join(raw for raw in records if Mbo.from_bytes(raw).ts_event >= start)
    assert system_texts(data, REPLAY_COMPLETED) == ["Finished mbo replay"]
    assert data.endswith(b"".join(raw_records(split(data)[1]))[-320:]), "it is the last record"
    with fast.connect() as client:
        everything = client.stream({"start": 0})
    assert body(everything) == split(made)[1]
    with fast.connect() as client:
        assert body(client.stream({"start": 2**63})) == b""


def test_a_snapshot_is_the_book_of_the_sessions_position(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes
) -> None:
    running = gateway(recording, "--rate", "30000")
    one, _, _ = known_symbols(made)
    with running.connect() as client:
        client.admitted()
        client.subscribe(one)
        client.start()
        client.read_records(300_000)
        client.subscribe(snapshot=1)
        data = client.rest()
    market, expected = Market(), Market()
    # What came before the snapshot of an instrument is not of this market.
    market.feed(split(data)[0] + body(data))
    expected.feed(made)
    assert_same_books(market, expected)
    assert market.stats()["unknown_cancels"] == 0


def test_ts_out_follows_every_record(fast: RunningGateway, made: bytes) -> None:
    before_ns = time.time_ns()
    with fast.connect() as client:
        data = client.stream({}, ts_out=1)
    records = list(raw_records(split(data)[1]))
    times = [int.from_bytes(raw[-8:], "little") for raw in records]
    assert before_ns <= times[0]
    assert times[-1] <= time.time_ns()
    assert times == sorted(times)
    plain = b"".join(bytes([raw[0] - 2]) + raw[1:-8] for raw in records if raw[1] == 0xA0)
    assert plain == split(made)[1]
    assert Metadata.decode(split(data)[0]).ts_out


def test_zstd_is_frames_with_checksums(fast: RunningGateway, made: bytes) -> None:
    import zstandard

    with fast.connect() as client:
        data = client.stream({}, compression="zstd")
    assert zstandard.get_frame_parameters(data).has_checksum
    plain, rest = b"", data
    while rest:
        frame = zstandard.ZstdDecompressor().decompressobj()
        plain += frame.decompress(rest)
        rest = frame.unused_data
    assert body(plain) == split(made)[1]


@pytest.mark.timeout(90)
def test_heartbeats_come_when_nothing_else_does(gateway: Callable[..., RunningGateway], tmp_path: Path) -> None:
    first = 1_758_742_200_123_456_789
    path = tmp_path / "pause.dbn"
    pause_s = 3600
    records = [
        Mbo("A", "B", 5, 1, n, ts_event=first + n * pause_s * 10**9, ts_recv=first + n * pause_s * 10**9)
        for n in (0, 1)
    ]
    path.write_bytes(metadata(symbols={"X": 1}) + stream(records))
    running = gateway(path)
    with running.connect() as idle, running.connect() as pausing:
        idle.admitted(heartbeat_interval_s=5)
        idle.start()
        pausing.admitted(heartbeat_interval_s=5)
        pausing.subscribe()
        pausing.start()
        for client, before in ((idle, 0), (pausing, 1)):
            data = client.until(b"Heartbeat")
            assert system_texts(data, HEARTBEAT) == ["Heartbeat"]
            assert body(data) == stream(records[:before])
            beat = next(raw for raw in raw_records(split(data)[1]) if b"Heartbeat" in raw)
            assert int.from_bytes(beat[8:16], "little") == first, "in recorded time"


def test_too_many_sessions_are_told_and_those_that_end_make_room(
    gateway: Callable[..., RunningGateway], recording: Path
) -> None:
    running = gateway(recording, "--sessions-max", "2", "--speed", "0.01")
    first, second = (running.connect().admitted() for _ in range(2))
    with first, second:
        with running.connect() as third:
            answer = third.greeted().authenticate()
            assert answer == "success=0|error=Too many connections: 2 sessions are open already"
        first.socket.close()
        deadline_s = time.monotonic() + 30
        answer = ""
        while not answer.startswith("success=1") and time.monotonic() < deadline_s:
            with running.connect() as fourth:
                answer = fourth.greeted().authenticate()
        assert answer.startswith("success=1")


def test_a_client_that_does_not_read_holds_up_nobody(gateway: Callable[..., RunningGateway], tmp_path: Path) -> None:
    simulator = Simulator(seed=3, resting_max=300)
    made = simulator.header() + simulator.read(400_000)
    path = tmp_path / "long.dbn"
    path.write_bytes(made)
    running = gateway(path, "--max")
    with running.connect() as blocked:
        blocked.admitted()
        blocked.subscribe()
        blocked.start()
        for _ in range(2):
            with running.connect() as client:
                assert body(client.stream()) == split(made)[1]
        # And it finds everything when it reads after all.
        assert body(blocked.rest()) == split(made)[1]


def test_a_damaged_recording_is_told_after_its_good_records(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes
) -> None:
    head, records = split(made)
    bad = bytearray(records)
    bad[56 * 20_000] = 0
    recording.write_bytes(head + bad)
    running = gateway(recording, "--max")
    with running.connect() as client:
        data = client.stream()
    assert body(data) == records[: 56 * 20_000]
    ((code, text),) = errors(data)
    assert code == 6
    assert "cannot be read on" in text
    assert_line(running, r"recording\.dbn")


def assert_line(running: RunningGateway, pattern: str) -> None:
    running.wait_for_line(pattern)


def test_ending_the_gateway_ends_sessions_in_order(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(recording, "--speed", "0.01")
    with running.connect() as greeted, running.connect() as waiting, running.connect() as streaming:
        greeted.greeted()
        waiting.admitted()
        streaming.admitted()
        streaming.subscribe()
        streaming.start()
        streaming.until(b"succeeded")
        totals_of: dict[str, int] = {}
        ending = threading.Thread(target=lambda: totals_of.update(running.end()))
        ending.start()
        assert "shutting down" in greeted.line()
        assert waiting.rest() == b""
        data = streaming.rest()
        list(raw_records(split(data)[1]))
        for client in (greeted, waiting, streaming):
            client.socket.close()
        ending.join()
    assert totals_of["sessions"] == 2
    assert totals_of["refused"] == 1


def test_keys_appear_nowhere(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(
        recording, "--max", "--log-level", "debug", key=None, env={"L3BOOK_GATEWAY_KEYS": f"{KEY}, {OTHER_KEY}"}
    )
    for key in (KEY, OTHER_KEY):
        with running.connect() as client:
            assert client.greeted().authenticate(key=key).startswith("success=1")
    running.end()
    text = "".join(running.lines)
    assert KEY not in text
    assert OTHER_KEY not in text
    assert "…FFFFF" in text or "\\u2026FFFFF" in text


def test_silence_is_given_up(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(recording, "--max", "--auth-timeout", "1")
    with running.connect() as silent, running.connect() as slow:
        slow.greeted()
        stop_s = time.monotonic() + 30
        try:
            # A byte now and then does not buy more time.
            while time.monotonic() < stop_s:
                slow.send("a")
                time.sleep(0.1)
        except ConnectionError:
            pass
        else:
            pytest.fail("a client that writes a byte now and then was waited for")
        assert "timed out" in silent.greeted().line()
    assert_serves(running)


def test_a_crowd_that_says_nothing_is_turned_away_and_leaves_nothing_behind(
    gateway: Callable[..., RunningGateway], recording: Path
) -> None:
    running = gateway(recording, "--max", "--sessions-max", "1")

    def resources() -> tuple[int, int]:
        process = Path(f"/proc/{running.process.pid}")
        return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))

    before = resources()
    for _ in range(2):
        crowd = [running.connect() for _ in range(70)]
        lines = [client.line() for client in crowd]
        # One session and 64 that may still authenticate; the sixth beyond them is told at once.
        assert sum(line.startswith("lsg_version=") for line in lines) == 65
        assert {line for line in lines if not line.startswith("lsg_version=")} == {
            "success=0|error=Too many connections"
        }
        for client in crowd:
            client.socket.close()
        deadline_s = time.monotonic() + 30
        while resources() != before and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert resources() == before
    assert_serves(running)


def test_forty_requests_and_the_start_in_one_write(fast: RunningGateway, made: bytes) -> None:
    """More than what is handled at once, before the session has begun, used to wait for the client's next line."""
    request = "schema=mbo|stype_in=raw_symbol|symbols=ALL_SYMBOLS|is_last=1\n"
    with fast.connect() as client:
        client.admitted()
        client.send(request * 40 + "start_session\n")
        assert body(client.rest()) == body(made)
