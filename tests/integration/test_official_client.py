"""What `l3book simulate` and `Simulator` write is DBN that Databento's package reads, record for record."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import databento
import numpy as np
import pytest
from databento_dbn import DBNDecoder, Metadata

from agreement import assert_same_queues
from dbn_bytes import LAST, RECORD_BYTES, SNAPSHOT, Mbo, chunks, metadata, parse, split, stream
from l3book import Market, OrderBook
from l3book._core import FileReader, Simulator
from oracle import OracleBook, OracleMarket

if TYPE_CHECKING:
    from pathlib import Path

# The opening MBO snapshot of one instrument alone is some 18,000 records; the rest is trading.
RECORDS = 150_000
INSTRUMENTS = 3
SEED = 7


def simulated(records: int = RECORDS, **options: int) -> bytes:
    simulator = Simulator(**{"seed": SEED, "instruments": INSTRUMENTS, **options})
    return simulator.header() + simulator.read(records)


@pytest.fixture(scope="module")
def made() -> bytes:
    return simulated()


@pytest.fixture(scope="module")
def parsed(made: bytes) -> list[Mbo]:
    return parse(made)


def read_with_ours(path: Path) -> bytes:
    reader, data = FileReader(path), b""
    while not reader.ended:
        data += reader.read(1_000)
    assert reader.offset == reader.size == path.stat().st_size
    assert reader.next_ts is None
    return data


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("ts_out", [False, True])
def test_the_hand_made_header_means_the_same_to_the_official_decoder(version: int, ts_out: bool) -> None:
    header = metadata(version, ts_out=ts_out, symbols={"CLX5": 1, "ESZ5": 9})
    decoder = DBNDecoder()
    decoder.write(header + stream([Mbo("A", "B", 5, 3, 9)] * 2, ts_out=ts_out))
    found, *records = decoder.decode()
    assert (found.dataset, str(found.schema), found.ts_out) == ("GLBX.MDP3", "mbo", ts_out)
    assert {symbol: i["symbol"] for symbol, (i,) in found.mappings.items()} == {"CLX5": "1", "ESZ5": "9"}
    assert [(r.order_id, r.size, r.price) for r in records] == [(9, 3, 5)] * 2


@pytest.mark.parametrize("ts_out", [False, True])
def test_the_hand_made_header_is_what_the_official_encoder_writes(ts_out: bool) -> None:
    header = metadata(3, ts_out=ts_out, symbols={"CLX5": 1})
    assert Metadata.decode(header).encode() == header


def simulate(path: Path) -> None:
    arguments = ["--messages", "60000", "--instruments", "3", "--seed", "7"]
    command = [sys.executable, "-m", "l3book", "simulate", "-o", path, *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


# The client leaves a file that it opened for the collector to close.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("suffix", ["dbn", "dbn.zst"])
def test_a_simulated_file_is_the_same_to_both_readers(suffix: str, tmp_path: Path) -> None:
    path, again = tmp_path / f"simulated.{suffix}", tmp_path / f"again.{suffix}"
    simulate(path)
    store = databento.DBNStore.from_file(path)
    official, encoded = store.to_ndarray().tobytes(), store.metadata.encode()
    del store
    gc.collect()
    assert (encoded, official) == split(read_with_ours(path))
    assert len(official) == 60_000 * RECORD_BYTES
    market = Market()
    assert market.feed_file(path) == 60_000
    assert market.stats()["held"] == 0, "a file ends with a whole event"
    simulate(again)
    assert again.read_bytes() == path.read_bytes()


# The client uses an argument of pandas that pandas 4 will drop.
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_the_official_metadata_names_every_instrument(made: bytes, tmp_path: Path) -> None:
    path = tmp_path / "simulated.dbn"
    path.write_bytes(made)
    store = databento.DBNStore.from_bytes(path.read_bytes())
    assert str(store.schema) == "mbo"
    assert len(store.symbols) == INSTRUMENTS
    frame = store.to_df()
    assert set(frame["symbol"]) <= set(store.symbols)
    assert frame["symbol"].notna().all()
    ids = {i.symbol: i.instrument_id for i in fed(made).instruments()}
    assert set(ids) == set(store.symbols)
    by_symbol = frame.groupby("symbol")["instrument_id"].unique()
    assert {s: int(v[0]) for s, v in by_symbol.items()}.items() <= ids.items()


def fed(data: bytes) -> Market:
    market = Market()
    market.feed(data)
    market.finish()
    return market


def test_the_same_arguments_give_the_same_bytes(made: bytes) -> None:
    assert simulated() == made
    assert simulated(seed=SEED + 1) != made


def test_the_bytes_do_not_depend_on_how_they_are_read(made: bytes) -> None:
    simulator = Simulator(seed=SEED, instruments=INSTRUMENTS)
    data = simulator.header()
    assert simulator.read(0) == b""
    step = 1
    while len(data) < len(made):
        data += simulator.read(step)
        step = step * 3 % 997 + 1
    assert data[: len(made)] == made
    assert simulator.records == (len(data) - len(simulator.header())) // RECORD_BYTES


def test_a_read_is_whole_events(made: bytes) -> None:
    simulator = Simulator(seed=SEED, instruments=INSTRUMENTS)
    market = Market()
    market.feed(simulator.header())
    for _ in range(200):
        piece = simulator.read(17)
        assert len(piece) >= 17 * RECORD_BYTES
        market.feed(piece)
        assert market.stats()["held"] == 0


def test_simulated_books_agree_with_the_oracle(made: bytes, parsed: list[Mbo]) -> None:
    market, oracle = fed(made), OracleMarket().feed(parsed)
    for key, expected in oracle.books.items():
        assert_same_queues(market.book(key), expected)


def test_a_simulated_feed_is_faultless(made: bytes) -> None:
    stats = fed(made).stats()
    faults = (
        "unknown_cancels",
        "unknown_modifies",
        "over_cancels",
        "zero_sizes",
        "forced_events",
        "bad_book_marks",
    )
    rejected = ("rejected_action", "rejected_side", "rejected_price", "other_records")
    assert {name: stats[name] for name in (*faults, *rejected)} == dict.fromkeys((*faults, *rejected), 0)
    assert stats["books"] == INSTRUMENTS


def kinds_of(records: list[Mbo]) -> Counter[str]:
    """How often each kind of change occurs, as seen against the book it meets."""
    books: dict[tuple[int, int], OracleBook] = {}
    kinds: Counter[str] = Counter()
    for r in records:
        book = books.setdefault(r.key, OracleBook())
        order = book.resting.get(r.order_id)
        kinds[r.action] += 1
        if r.flags & SNAPSHOT:
            kinds["snapshot record"] += 1
        if order and r.action == "C":
            kinds["partial cancel" if r.size < order.size else "full cancel"] += 1
        if order and r.action == "M":
            same_price = (r.side, r.price) == (order.side, order.price)
            grown = (r.size > order.size) - (r.size < order.size)
            kinds[("shrunk", "same size", "grown")[grown + 1] if same_price else "new price"] += 1
        book.apply(r._replace(flags=r.flags | LAST))
    return kinds


def test_every_kind_of_change_that_is_promised_occurs(parsed: list[Mbo]) -> None:
    kinds = kinds_of(parsed)
    wanted = [*"ACMRTF", "snapshot record", "partial cancel", "full cancel", "grown", "shrunk", "new price"]
    assert [kind for kind in wanted if not kinds[kind]] == []


def test_every_event_with_fills_has_its_trade_and_takes_just_the_filled_sizes(parsed: list[Mbo]) -> None:
    sizes: dict[tuple[int, int], dict[int, int]] = {}
    events: dict[tuple[int, int], list[Mbo]] = {}
    events_with_fills = 0
    for r in parsed:
        event, resting = events.setdefault(r.key, []), sizes.setdefault(r.key, {})
        event.append(r)
        if not r.last:
            continue
        fills: Counter[int] = Counter()
        for f in event:
            if f.action == "F":
                fills[f.order_id] += f.size
        left = {order_id: resting[order_id] - filled for order_id, filled in fills.items()}
        before = {order_id: resting[order_id] for order_id in fills}
        for change in event:
            if change.action in "AM":
                resting[change.order_id] = change.size
            elif change.action == "C":
                resting[change.order_id] -= change.size
        # An iceberg that was filled whole shows its next slice: a Modify to the size it had.
        assert all(resting[i] == left[i] or (left[i] == 0 and resting[i] == before[i]) for i in fills)
        assert not fills or sum(t.size for t in event if t.action == "T") == fills.total()
        events_with_fills += bool(fills)
        event.clear()
    assert events_with_fills > 100


def test_prices_move_and_time_does_not_run_backwards() -> None:
    book, best = OrderBook(), set()
    raw = Simulator(seed=SEED).read(3 * RECORDS)
    for record in chunks(raw, RECORD_BYTES):
        if book.apply_mbo(record) and (bid := book.bbo().bid):
            best.add(bid.price)
    assert len(best) > 20
    ts_recv = np.frombuffer(raw, "<i8").reshape(-1, RECORD_BYTES // 8)[:, 5]
    gaps = np.diff(ts_recv)
    assert gaps.min() >= 0
    assert (gaps < 1_000).any(), "bursts"
    assert (gaps > 1_000_000).any(), "pauses"


def test_a_long_stream_is_cleared_and_loaded_again_on_its_way() -> None:
    market = Market()
    market.feed(Simulator(seed=SEED).read(1_500_000))
    stats = market.stats()
    assert stats["clears"] > 1
    assert stats["unknown_cancels"] == stats["unknown_modifies"] == stats["duplicate_adds"] == 0


def crossed_events(seed: int, crossed: bool) -> int:
    """Events after which the book is crossed or locked; every 2,000th is looked at by the oracle too."""
    book, oracle = OrderBook(), OracleBook()
    found = 0
    for n, raw in enumerate(chunks(Simulator(seed=seed, crossed=crossed).read(60_000), RECORD_BYTES)):
        done = book.apply_mbo(raw)
        oracle.apply(Mbo.from_bytes(raw))
        if done:
            bid, ask = book.bbo()
            found += bid is not None and ask is not None and bid.price >= ask.price
            if n % 2_000 == 0:
                view = book.snapshot()
                assert (view.crossed, view.locked) == (oracle.crossed, oracle.locked)
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_never_crossed_after_an_event_unless_asked(seed: int) -> None:
    assert crossed_events(seed, crossed=False) == 0
    assert crossed_events(seed, crossed=True) > 0
