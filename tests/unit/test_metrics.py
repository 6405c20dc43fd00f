"""What /v1/metrics tells is what its type says, whatever the source: a key that the type lacks would be a 500."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from l3book import Market
from l3book._core import Simulator
from l3book.access.connections import Connections
from l3book.access.guard import Counts
from l3book.api.schemas import Metrics
from l3book.config import Settings
from l3book.engine import Engine
from l3book.history.beginning import begin
from l3book.hub import Hub
from l3book.sources import open_source


def as_told(hub: Hub) -> dict[str, Any]:
    """As /v1/metrics puts it together, read strictly."""
    connections = Connections(Settings()).metrics()
    metrics = {**hub.metrics(), "access": dataclasses.asdict(Counts()), "connections": connections}
    read: dict[str, Any] = msgspec.to_builtins(msgspec.convert(metrics, Metrics))
    assert read == metrics
    return read


@pytest.mark.parametrize("uri", ["synthetic:", "tcp://127.0.0.1:9"], ids=["plain", "live"])
def test_metrics_are_of_their_type(uri: str) -> None:
    simulator, market = Simulator(seed=3), Market(watch=True)
    engine = Engine(open_source(uri), market)
    hub = Hub(market, engine, ready_lag_ms_max=1)
    assert as_told(hub)["feed"] is None or uri != "synthetic:"
    market.feed(simulator.header() + simulator.read(2000))
    market.book_json("SYN0", level=2, depth=10)
    engine.applied.add(time.perf_counter_ns())
    hub._sample()
    told = as_told(hub)
    assert told["totals"]["messages"] > 2000, "and a snapshot before them"
    assert told["latency"]["snapshot"]["count"] == 1
    assert (engine.feed is not None) == (uri != "synthetic:")
    if engine.feed is None:
        assert set(told["source"]) == {"uri", "state", "error"}
        return
    engine.feed.status.lost("reset", "127.0.0.1:9: Connection reset by peer")
    told = as_told(hub)
    assert told["source"]["last_disconnect"]["reason"] == "reset"
    assert told["feed"] == market.watch_stats()


def test_metrics_of_a_recording_are_of_their_type(tmp_path: Path) -> None:
    settings = Settings(history=tmp_path / "history", history_fsync_ms=1)
    source = open_source("synthetic:")
    beginning = begin(settings, source, epoch=1)
    hub = Hub(beginning.market, Engine(source, beginning.market), recording=beginning.recording)
    beginning.recording.start()
    simulator = Simulator(seed=3)
    beginning.market.feed(simulator.header() + simulator.read(2000))
    taken = hub.metrics()["totals"]["messages"]
    while as_told(hub)["history"]["recorder"]["durable_ordinal"] < taken:
        time.sleep(0.01)
    assert hub.recording.condition() == ("recording", None)
    assert beginning.recording.stop() is None
    told = as_told(hub)["history"]
    assert (told["state"], told["warning"], told["indexing"]["state"]) == ("closed", None, "stopped")
    assert told["recorder"]["next_ordinal"] == told["recorder"]["records"] == taken
