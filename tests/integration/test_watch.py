"""`Market(watch=True)`: what a live feed's market says of itself, and that recorded markets raise no false alarm."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard

from dbn_bytes import LAST, UNIT, Mbo, parse, split, stream
from l3book import DecodeError, Market, OrderBook, UnknownInstrumentError
from l3book._core import Simulator

DATA = os.environ.get("L3BOOK_TEST_DATA")
ROOT = Path(DATA or ".")
RECORDINGS = (
    "clx5/CLX5_mbo.dbn",
    "es/orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst",
    "es/esh4-glbx-mdp3-20231224.mbo.dbn.zst",
    "arl/ARL_mbo_head.dbn",
    "databento-tests/databento-python__GLBX.MDP3_test_data.mbo.dbn.zst",
    "databento-tests/databento-python__XNAS.ITCH_test_data.mbo.dbn.zst",
    "databento-tests/databento-python__IFEU.IMPACT_test_data.mbo.dbn.zst",
    "databento-tests/databento-python__NDEX.IMPACT_test_data.mbo.dbn.zst",
)
# What says that something is wrong. A last time or a count of heartbeats does not.
ALARMS = (
    "gaps",
    "missing_messages",
    "out_of_order",
    "duplicates",
    "bad_timestamps",
    "contradictions",
    "recoveries",
    "alerts_dropped",
)
needs_data = pytest.mark.skipif(
    not DATA or not ROOT.is_dir(), reason="L3BOOK_TEST_DATA does not name a folder with recorded markets"
)


def recording(name: str) -> bytes:
    data = (ROOT / name).read_bytes()
    if name.endswith(".zst"):
        return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
    return data


def simulated(records: int) -> bytes:
    simulator = Simulator(seed=3, instruments=3, resting_max=64)
    return simulator.header() + simulator.read(records)


def resumed(data: bytes, start: int | None) -> bytes:
    """What a gateway sends that is asked for `start`: the header, then the records from then on."""
    header, records = split(data)
    return header + stream([record for record in parse(data) if record.ts_event >= (start or 0)]) if records else data


@needs_data
@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recorded_market_raises_no_false_alarm(name: str) -> None:
    market, plain = Market(watch=True), Market()
    data = recording(name)
    for at in range(0, len(data), 9_999):
        market.feed(data[at : at + 9_999])
    plain.feed(data)
    stats = market.watch_stats()
    assert {alarm: stats[alarm] for alarm in ALARMS} == dict.fromkeys(ALARMS, 0)
    assert (stats["suspicions"], stats["errors"]) == ({}, {})
    assert market.take_alerts() == []
    assert market.suspects() == []
    assert market.state_hash() == plain.state_hash()


@needs_data
@pytest.mark.parametrize("name", [RECORDINGS[0], RECORDINGS[3]])
def test_a_recorded_market_that_breaks_again_and_again(name: str) -> None:
    data = recording(name)
    plain, market = Market(), Market(watch=True)
    plain.feed(data)
    size = len(data)
    start = None
    for cut in (10, size // 3, size // 2 + 17, size // 5, size - 1):
        market.feed(resumed(data, start)[:cut])
        market.disconnected()
        assert market.watch_stats()["disconnections"] > 0
        assert len(market.suspects()) == len(market)
        start = market.resume_ts()
        market.reconnected("resume" if start is not None else "unknown")
    market.feed(resumed(data, start))
    records = parse(data)
    last = max(record.ts_recv for record in records)
    # Something later than all there was: the overlap is over.
    key = records[0].publisher_id, records[0].instrument_id
    after = Mbo("N", flags=LAST, ts_event=last, ts_recv=last + 1, sequence=0, publisher_id=key[0], instrument_id=key[1])
    market.feed(after.to_bytes())
    plain.feed(after.to_bytes())
    assert market.suspects() == []
    assert market.state_hash() == plain.state_hash()
    stats = market.watch_stats()
    assert set(stats["suspicions"]) == {"disconnected"}
    assert stats["already_applied"] > 0


def test_a_plain_market_has_no_watch() -> None:
    market = Market()
    for call in (
        market.disconnected,
        market.resume_ts,
        lambda: market.reconnected("resume"),
        lambda: market.doubt("why not"),
        market.take_alerts,
        market.suspects,
        market.watch_stats,
    ):
        with pytest.raises(RuntimeError, match=r"no watch, expected Market\(watch=True\)"):
            call()
    with pytest.raises(ValueError, match="how \"maybe\", expected 'resume', 'snapshot' or 'unknown'"):
        Market(watch=True).reconnected("maybe")  # type: ignore[arg-type]


def test_a_break_in_the_middle_of_garbage_is_survived() -> None:
    data = simulated(3_000)
    market, plain = Market(watch=True), Market()
    plain.feed(data)
    cut = len(split(data)[0]) + 1_500 * 56
    with pytest.raises(DecodeError):
        market.feed(data[:cut] + b"\xff" * 500)
    with pytest.raises(DecodeError):
        market.feed(data)
    market.disconnected()
    assert {market.book(key).state for key in market.suspects()} == {"suspect"}
    market.reconnected("resume")
    market.feed(resumed(data, market.resume_ts()))
    assert market.suspects() == []
    assert market.state_hash() == plain.state_hash()
    assert market.stats() | {"bytes": 0, "metadata_headers": 0} == plain.stats() | {"bytes": 0, "metadata_headers": 0}


def test_every_transition_is_an_alert_and_a_count() -> None:
    market = Market(watch=True)
    data = simulated(2_000)
    market.feed(data)
    assert market.take_alerts() == []
    keys = [(i.publisher_id, i.instrument_id) for i in market.instruments()]
    assert market.doubt("operator", keys[0]) == 1
    assert market.doubt("operator", keys[0]) == 0
    assert market.suspects() == keys[:1]
    assert market.doubt("operator") == len(keys) - 1
    with pytest.raises(UnknownInstrumentError):
        market.doubt("operator", "NOBODY")
    alerts = market.take_alerts()
    assert [(a["kind"], a["reason"], a["symbol"]) for a in alerts] == [
        ("suspect", "operator", f"SYN{n}") for n in range(len(keys))
    ]
    market.disconnected()
    assert market.take_alerts() == [], "they are suspect already"
    market.reconnected("snapshot")
    market.feed(data)
    assert [(a["kind"], a["reason"]) for a in market.take_alerts()] == [("live", "operator")] * len(keys)
    stats = market.watch_stats()
    assert stats["suspicions"] == {"operator": len(keys)}
    assert stats["recoveries"] == len(keys)
    assert market.suspects() == []


def test_the_state_of_one_book_has_a_hash() -> None:
    market = Market(watch=True)
    market.feed(simulated(3_000))
    hashes = [market.book(i.instrument_id).state_hash() for i in market.instruments()]
    assert len(set(hashes)) == len(hashes) == 3
    add = Mbo("A", "B", UNIT, 1, 1)
    one, book = Market(), OrderBook()
    one.feed(add.to_bytes())
    book.apply_mbo(add.to_bytes())
    assert one.state_hash() == one.book(add.instrument_id).state_hash() == book.state_hash()


def test_a_checkpoint_can_be_watched_and_waits_for_a_snapshot_or_an_overlap_it_knows() -> None:
    data = simulated(3_000)
    market = Market()
    market.feed(data)
    restored = Market.from_bytes(market.to_bytes(), watch=True)
    assert restored.suspects() == []
    restored.disconnected()
    start = restored.resume_ts()
    assert start is not None
    assert start < max(a.ts_event for a in parse(data))
    restored.reconnected("snapshot")
    restored.feed(data)
    assert restored.suspects() == []


def test_one_record_that_comes_twice_is_seen_at_once() -> None:
    records = [
        Mbo("R", flags=LAST, sequence=1),
        *(Mbo("A", "B", UNIT, 1, n, sequence=n, ts_recv=Mbo("A").ts_recv + n) for n in range(2, 9)),
    ]
    assert all(a.sequence < b.sequence for a, b in pairwise(records))
    market = Market(watch=True)
    market.feed(stream(records))
    assert market.suspects() == []
    market.feed(records[-1].to_bytes())
    assert market.watch_stats()["duplicates"] == 1
    assert [alert["reason"] for alert in market.take_alerts()] == ["duplicate"]
