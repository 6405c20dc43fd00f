"""The unmodified official Python client against the gateway: every way there is to receive, byte for byte."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from typing import TYPE_CHECKING, Any

import databento
import pytest
from databento import BentoError, ReconnectPolicy
from databento_dbn import (
    Compression,
    DBNDecoder,
    ErrorMsg,
    MBOMsg,
    Metadata,
    SymbolMappingMsg,
    SystemMsg,
)

from agreement import assert_same_books
from dbn_bytes import raw_records, split
from gateways import KEY, OTHER_KEY, body
from l3book import Market
from l3book._core import Deriver, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from databento.live.client import LiveIterator

    from gateways import RunningGateway

CLOSE_TIMEOUT_S = 60
# The client opens streams and loops that it leaves to the collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(params=["simulated", "clx5"])
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file with one instrument or more: made, or real where there is one."""
    if request.param == "clx5":
        path: Path = request.getfixturevalue("clx5")
        return path
    return simulated(tmp_path / "simulated.dbn", 40_000, instruments=2)


def simulated(path: Path, records: int, **options: int) -> Path:
    simulator = Simulator(**{"seed": 11, "resting_max": 500, **options})
    path.write_bytes(simulator.header() + simulator.read(records))
    return path


def live(running: RunningGateway, key: str = KEY, **options: Any) -> databento.Live:
    return databento.Live(key=key, gateway="127.0.0.1", port=running.port, **options)


def subscribe(client: databento.Live, schema: str = "mbo", symbols: Any = "ALL_SYMBOLS", **options: Any) -> None:
    client.subscribe(dataset="GLBX.MDP3", schema=schema, symbols=symbols, **options)


def records_of(path: Path) -> bytes:
    return split(path.read_bytes())[1]


def is_data(record: object) -> bool:
    return not isinstance(record, SymbolMappingMsg | SystemMsg | ErrorMsg)


class Received:
    """What a callback was given."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def __call__(self, record: Any) -> None:
        self.records.append(record)

    @property
    def data(self) -> bytes:
        return b"".join(bytes(record) for record in self.records if is_data(record))


@pytest.mark.parametrize("compression", [Compression.NONE, Compression.ZSTD])
def test_callbacks_get_every_record(
    gateway: Callable[..., RunningGateway], recording: Path, compression: Compression
) -> None:
    client, received = live(gateway(recording, "--max"), compression=compression), Received()
    subscribe(client)
    client.add_callback(received)
    client.start()
    client.block_for_close(CLOSE_TIMEOUT_S)
    assert received.data == records_of(recording)
    assert not [record for record in received.records if isinstance(record, ErrorMsg)]


def iterated(running: RunningGateway, client: databento.Live) -> LiveIterator:
    """Iterate from the first record on: the client starts its session before it opens the queue that it iterates over,
    and whatever a quick gateway sends in between is lost."""
    with running.held():
        return iter(client)


# The client also drops what is in its queue when the connection ends just after it has found the queue empty: where
# every record counts the gateway goes on, in a loop.


def test_iteration_gets_every_record(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running, expected = gateway(recording, "--max", "--loop"), records_of(recording)
    client = live(running)
    subscribe(client)
    assert iterated_data(running, client, len(expected)) == expected


def iterated_data(running: RunningGateway, client: databento.Live, enough_bytes: int) -> bytes:
    data = bytearray()
    for record in iterated(running, client):
        data += bytes(record) if is_data(record) else b""
        if len(data) >= enough_bytes:
            break
    client.terminate()
    return bytes(data)


def test_async_iteration_gets_every_record(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running, expected = gateway(recording, "--max", "--loop"), records_of(recording)
    client = live(running)

    async def iterate() -> bytes:
        subscribe(client)
        # What `async for` does with it: the iterator cannot be made before the loop otherwise.
        records, data = iterated(running, client), bytearray()
        while len(data) < len(expected):
            record = await anext(records)
            data += bytes(record) if is_data(record) else b""
        client.terminate()
        return bytes(data)

    assert asyncio.run(iterate()) == expected


def test_iteration_ends_with_the_stream(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    client = live(gateway(recording, "--max"))

    async def iterate() -> bytes:
        subscribe(client)
        return b"".join([bytes(record) async for record in client if is_data(record)])

    assert asyncio.run(iterate()) in records_of(recording)
    subscribe(client)
    assert b"".join(bytes(record) for record in client if is_data(record)) in records_of(recording)


def test_add_stream_writes_a_whole_dbn_stream(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    client, stream = live(gateway(recording, "--max")), io.BytesIO()
    subscribe(client)
    client.add_stream(stream)
    client.start()
    client.block_for_close(CLOSE_TIMEOUT_S)
    assert body(stream.getvalue()) == records_of(recording)
    assert Metadata.decode(split(stream.getvalue())[0]).dataset == "GLBX.MDP3"


def test_ts_out_stands_behind_every_record(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    client, received = live(gateway(recording, "--max"), ts_out=True), Received()
    subscribe(client)
    client.add_callback(received)
    before_ns = time.time_ns()
    client.start()
    client.block_for_close(CLOSE_TIMEOUT_S)
    assert all(before_ns <= record.ts_out <= time.time_ns() for record in received.records)
    plain = b"".join(bytes([raw[0] - 2]) + raw[1:-8] for raw in raw_records(received.data))
    assert plain == records_of(recording)


@pytest.mark.parametrize(
    ("key", "dataset", "expected"),
    [(OTHER_KEY, "GLBX.MDP3", "Authentication failed: no key"), (KEY, "XNAS.ITCH", "'XNAS.ITCH' is not served here")],
)
def test_who_is_not_let_in_gets_the_clients_own_error(
    gateway: Callable[..., RunningGateway], tmp_path: Path, key: str, dataset: str, expected: str
) -> None:
    client = live(gateway(simulated(tmp_path / "a.dbn", 100), "--max"), key=key)
    with pytest.raises(BentoError, match=expected):
        client.subscribe(dataset=dataset, schema="mbo", symbols="ALL_SYMBOLS")


def test_a_fatal_error_is_the_clients_exception(gateway: Callable[..., RunningGateway], tmp_path: Path) -> None:
    client = live(gateway(simulated(tmp_path / "a.dbn", 100), "--max"))
    subscribe(client, "imbalance")
    client.start()
    with pytest.raises(BentoError, match="imbalance"):
        client.block_for_close(CLOSE_TIMEOUT_S)


def test_more_symbols_than_a_line_holds(gateway: Callable[..., RunningGateway], tmp_path: Path) -> None:
    path = simulated(tmp_path / "many.dbn", 100_000, instruments=600, resting_max=64)
    market = Market()
    market.feed_file(path)
    symbols = [instrument.symbol for instrument in market.instruments()]
    assert len(symbols) == 600
    client, received = live(gateway(path, "--max")), Received()
    subscribe(client, symbols=symbols)
    client.add_callback(received)
    client.start()
    client.block_for_close(CLOSE_TIMEOUT_S)
    assert received.data == records_of(path)
    acks = [record.msg for record in received.records if isinstance(record, SystemMsg)]
    assert acks == ["Subscription request 0 for mbo data succeeded"]
    mapped = {record.stype_in_symbol for record in received.records if isinstance(record, SymbolMappingMsg)}
    assert mapped == set(symbols)
    assert len(client.symbology_map) == 600


def test_a_symbol_that_means_nothing_is_an_error_record(gateway: Callable[..., RunningGateway], tmp_path: Path) -> None:
    client, received = live(gateway(simulated(tmp_path / "a.dbn", 1000), "--max")), Received()
    subscribe(client, symbols=["NOBODY", "NOTHING"])
    client.add_callback(received)
    client.start()
    with pytest.raises(BentoError, match="NOBODY"):
        client.block_for_close(CLOSE_TIMEOUT_S)
    found = [record for record in received.records if isinstance(record, ErrorMsg)]
    assert [str(record.code) for record in found] == ["symbol_resolution_failed"] * 2


def test_subscribing_from_a_callback(gateway: Callable[..., RunningGateway], tmp_path: Path) -> None:
    path = simulated(tmp_path / "two.dbn", 40_000, instruments=2)
    market = Market()
    market.feed_file(path)
    one, two = (instrument.symbol for instrument in market.instruments())
    client, received = live(gateway(path, "--rate", "20000")), Received()

    def subscribe_to_the_other(record: Any) -> None:
        if isinstance(record, MBOMsg) and not asked:
            asked.append(True)
            subscribe(client, symbols=[two])

    asked: list[bool] = []
    subscribe(client, symbols=[one])
    client.add_callback(received)
    client.add_callback(subscribe_to_the_other)
    client.start()
    client.block_for_close(CLOSE_TIMEOUT_S)
    ids = [record.instrument_id for record in received.records if isinstance(record, MBOMsg)]
    assert set(ids) == {market.book(one).instrument_id, market.book(two).instrument_id}
    assert sum(isinstance(record, SystemMsg) for record in received.records) == 2


def test_clients_at_paces_of_their_own_do_not_touch_each_other(
    gateway: Callable[..., RunningGateway], tmp_path: Path
) -> None:
    path = simulated(tmp_path / "a.dbn", 150_000)
    running = gateway(path, "--max")
    quick, slow = live(running), live(running)
    received = {quick: Received(), slow: Received()}
    waiting = threading.Event()

    def wait_first(_: Any) -> None:
        waiting.wait(CLOSE_TIMEOUT_S)

    slow.add_callback(wait_first)
    loops = {quick: None, slow: None}
    for client in loops:
        subscribe(client)
        client.add_callback(received[client])
    # Both run on the client's one loop: the slow one has a connection that is not read while it waits.
    quick.start()
    quick.block_for_close(CLOSE_TIMEOUT_S)
    assert received[quick].data == records_of(path)
    with running.connect() as blocked:
        blocked.admitted()
        blocked.subscribe()
        blocked.start()
        waiting.set()
        slow.start()
        slow.block_for_close(CLOSE_TIMEOUT_S)
    assert received[slow].data == records_of(path)


def test_kill_and_reconnect(gateway: Callable[..., RunningGateway], tmp_path: Path) -> None:
    path = simulated(tmp_path / "a.dbn", 60_000)
    running = gateway(path, "--max", "--fault", "drop-connection@20000")
    client, received, gaps = live(running, reconnect_policy=ReconnectPolicy.RECONNECT), Received(), []
    subscribe(client)
    client.add_callback(received)
    client.add_reconnect_callback(lambda start, end: gaps.append((start, end)))
    client.start()
    client.block_for_close(CLOSE_TIMEOUT_S)
    assert len(gaps) == 1
    data, whole = received.data, records_of(path)
    assert data.endswith(whole)
    assert whole.startswith(data[: len(data) - len(whole)])
    assert running.end()["fault drop-connection"] == 1


def test_a_reset_without_a_policy_is_an_error(gateway: Callable[..., RunningGateway], tmp_path: Path) -> None:
    running = gateway(simulated(tmp_path / "a.dbn", 60_000), "--max", "--fault", "drop-connection@20000")
    client, received = live(running), Received()
    subscribe(client)
    client.add_callback(received)
    client.start()
    with pytest.raises(BentoError):
        client.block_for_close(CLOSE_TIMEOUT_S)
    assert records_of(tmp_path / "a.dbn").startswith(received.data)


def test_the_replay_of_a_start_is_completed(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    records = list(raw_records(records_of(recording)))
    decoder = DBNDecoder(has_metadata=False)
    decoder.write(records[len(records) // 3])
    start = decoder.decode()[0].ts_event
    client, received = live(gateway(recording, "--max")), Received()
    subscribe(client, start=start)
    client.add_callback(received)
    client.start()
    client.block_for_close(CLOSE_TIMEOUT_S)
    expected = b"".join(raw for raw in records if int.from_bytes(raw[8:16], "little") >= start)
    assert received.data == expected
    last = received.records[-1]
    assert isinstance(last, SystemMsg)
    assert (last.msg, str(last.code)) == ("Finished mbo replay", "replay_completed")


@pytest.mark.parametrize("schema", ["mbp-10", "mbp-1", "tbbo", "trades", "bbo-1s", "bbo-1m", "ohlcv-1s", "ohlcv-1m"])
def test_other_schemas_are_made_from_mbo(gateway: Callable[..., RunningGateway], recording: Path, schema: str) -> None:
    client, received = live(gateway(recording, "--max")), Received()
    subscribe(client, schema)
    client.add_callback(received)
    client.start()
    client.block_for_close(CLOSE_TIMEOUT_S)
    deriver = Deriver(schema)
    expected = deriver.feed(recording.read_bytes()) + deriver.flush()
    assert expected
    assert received.data == expected


def test_a_snapshot_in_the_middle_makes_the_book_exact(gateway: Callable[..., RunningGateway], tmp_path: Path) -> None:
    path = simulated(tmp_path / "a.dbn", 60_000, instruments=2)
    client, received, asked = live(gateway(path, "--rate", "30000")), Received(), []
    expected = Market()
    expected.feed_file(path)
    first, second = (instrument.symbol for instrument in expected.instruments())

    def ask_in_the_middle(record: Any) -> None:
        received(record)
        if isinstance(record, MBOMsg) and not asked and len(received.records) > 5000:
            asked.append(True)
            subscribe(client, symbols=[second], snapshot=True)

    subscribe(client, symbols=[first])
    client.add_callback(ask_in_the_middle)
    client.start()
    client.block_for_close(CLOSE_TIMEOUT_S)
    market = Market()
    market.feed(split(path.read_bytes())[0] + received.data)
    assert_same_books(market, expected)
    assert market.stats()["unknown_cancels"] == market.stats()["unknown_modifies"] == 0


def test_paced_iteration_never_stalls(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    """The client stops reading when its queue spans more than a second of index time: heartbeats and acks that had the
    wall clock's time would make it do so for ever."""
    running, expected = gateway(recording, "--speed", "1000000", "--loop"), records_of(recording)
    client = live(running)
    subscribe(client)
    assert iterated_data(running, client, len(expected)) == expected
