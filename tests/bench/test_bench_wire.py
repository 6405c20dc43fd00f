"""From a gateway in another process over loopback TCP to the books, by the engine and the sources of `serve`."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from gateway_process import KEY, Gateway
from turns import IS_QUICK, Case, take_turns

from l3book import Market
from l3book._core import Simulator

if TYPE_CHECKING:
    from pathlib import Path

DATASET = "GLBX.MDP3"
RECORD_BYTES = 56
FLOOR_BUFFER_BYTES = 512 * 1024
CALLBACK_RECORDS = 300_000
"""The official client makes an object of every record: a prefix says enough."""
LATENCY_S = 2.0 if IS_QUICK else 5.0
OURS_RATES = (50_000, 500_000, 2_000_000)
OFFICIAL_RATES = (50_000, 500_000)


RECORDS = 1_000_000 if IS_QUICK else 5_000_000


def simulated(path: Path, records: int) -> int:
    """Write a market of one instrument, in the order in which a venue would send it; -> its records."""
    simulator = Simulator()
    header = simulator.header()
    with path.open("wb") as file:
        file.write(header)
        while file.tell() < len(header) + records * RECORD_BYTES:
            file.write(simulator.read(min(100_000, records)))
        return (file.tell() - len(header)) // RECORD_BYTES


class TimedMarket:
    """A market that notes when each chunk had come and when its books showed it."""

    def __init__(self) -> None:
        self.market = Market(watch=True)
        self.took: list[tuple[int, int]] = []

    def feed(self, chunk: bytes | memoryview) -> int:
        start_ns = time.perf_counter_ns()
        records = self.market.feed(chunk)
        self.took.append((time.perf_counter_ns() - start_ns, records))
        return records

    def __getattr__(self, name: str) -> Any:
        return getattr(self.market, name)


def run_engine(uri: str, market: Any, records: int) -> None:
    from l3book.engine import Engine
    from l3book.sources import open_source

    engine = Engine(open_source(uri), market)
    engine.start()
    engine._thread.join()
    assert engine.state == "ended", engine.error
    assert market.stats()["records"] == records


def read_only(port: int, buffer: bytearray) -> None:
    """Take everything off the socket and look at none of it."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        while sock.recv_into(buffer):
            pass


def run_official(port: int, callback: Any) -> None:
    import databento

    client = databento.Live(key=KEY, gateway="127.0.0.1", port=port)
    client.subscribe(dataset=DATASET, schema="mbo")
    client.add_callback(callback)
    client.start()
    client.block_for_close(timeout=300)


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
def test_wire_to_book(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("databento")
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    path, prefix = tmp_path / "whole.dbn", tmp_path / "prefix.dbn"
    records, prefix_records = simulated(path, RECORDS), simulated(prefix, CALLBACK_RECORDS)
    # By the clock on the wall: the sender works on the other core.
    clock = time.perf_counter
    with (
        Gateway(path, "--max", "--protocol", "raw") as raw,
        Gateway(path, "--max") as lsg,
        Gateway(prefix, "--max") as lsg_prefix,
    ):
        tcp = f"tcp://127.0.0.1:{raw.port}"
        live = f"live://{DATASET}?start=0&gateway=127.0.0.1:{lsg.port}"

        def ours(uri: str) -> Case:
            return Case(records, lambda: partial(run_engine, uri, Market(watch=True), records), clock)

        others = {
            "live:// → books": ours(live),
            "recv_into alone": Case(
                records, lambda: partial(read_only, raw.port, bytearray(FLOOR_BUFFER_BYTES)), clock
            ),
            "databento.Live callback that does nothing": Case(
                prefix_records, lambda: partial(run_official, lsg_prefix.port, lambda _record: None), clock
            ),
        }
        take_turns(benchmark, "tcp:// → books", ours(tcp), others, rounds=3)


def row(name: str, rate: int, ns: Any, weights: Any | None = None) -> dict[str, Any]:
    """Percentiles of what each message took; `weights`: messages that took it."""
    ns = np.asarray(ns, dtype=np.int64)
    weights = np.ones(len(ns), dtype=np.int64) if weights is None else np.asarray(weights, dtype=np.int64)
    order = np.argsort(ns)
    reached = np.cumsum(weights[order]) / weights.sum()
    at = {f"p{q:g}_ns": int(ns[order][np.searchsorted(reached, q / 100)]) for q in (50, 99, 99.9)}
    return {"name": name, "rate": rate, "messages": int(weights.sum()), **at, "max_ns": int(ns.max())}


class ReceivedTimes:
    """The official client, unmodified but for a note of when each piece of the stream was received."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from databento.live.protocol import DatabentoLiveProtocol

        self.ns: list[int] = []
        self._received_ns = 0
        take = DatabentoLiveProtocol.buffer_updated

        def noting(protocol: DatabentoLiveProtocol, nbytes: int) -> None:
            self._received_ns = time.perf_counter_ns()
            take(protocol, nbytes)

        monkeypatch.setattr(DatabentoLiveProtocol, "buffer_updated", noting)

    def callback(self, _record: object) -> None:
        self.ns.append(time.perf_counter_ns() - self._received_ns)


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
def test_latency(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("databento")
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    rows: list[dict[str, Any]] = []
    for rate in OURS_RATES:
        part = tmp_path / f"{rate}.dbn"
        records = simulated(part, int(rate * LATENCY_S))
        with Gateway(part, "--rate", str(rate)) as gateway:
            timed = TimedMarket()
            run_engine(f"live://{DATASET}?start=0&gateway=127.0.0.1:{gateway.port}", timed, records)
            took, weights = zip(*((ns, n) for ns, n in timed.took if n), strict=True)
            rows.append(row("received → books, live://", rate, took, weights))
            if rate in OFFICIAL_RATES:
                with monkeypatch.context() as patch:
                    received = ReceivedTimes(patch)
                    run_official(gateway.port, received.callback)
                rows.append(row("received → callback, databento.Live", rate, received.ns))
    benchmark.extra_info["latency"] = rows
    benchmark.pedantic(lambda: None, rounds=1)
