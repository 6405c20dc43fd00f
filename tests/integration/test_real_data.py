"""Recorded markets of several venues against the known answers, the oracle and Databento's own MBP-10.

The recordings belong to their owners and are not part of the project: `L3BOOK_TEST_DATA` names the folder
that holds them, and without it these tests are skipped.
"""

from __future__ import annotations

import csv
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import databento
import pytest
import zstandard

from agreement import assert_agrees, assert_same_queues, contents
from books import levels, queue
from dbn_bytes import LAST, UNIT, Mbo, chunks, metadata, parse, split, stream
from l3book import DecodeError, Market, OrderBook
from l3book._core import FileReader
from oracle import OracleBook, OracleMarket

if TYPE_CHECKING:
    import numpy as np

DATA = os.environ.get("L3BOOK_TEST_DATA")
pytestmark = pytest.mark.skipif(
    not DATA or not Path(DATA).is_dir(),
    reason="L3BOOK_TEST_DATA does not name a folder with recorded markets",
)
ROOT = Path(DATA or ".")
CLX5 = ROOT / "clx5" / "CLX5_mbo.dbn"
ES = ROOT / "es" / "orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst"
ES_HOLIDAY = ROOT / "es" / "esh4-glbx-mdp3-20231224.mbo.dbn.zst"
ARL = ROOT / "arl" / "ARL_mbo_head.dbn"
ARL_MBP10 = ROOT / "arl" / "ARL_mbp10_head.csv"
SAMPLES = ROOT / "databento-tests"

CLX5_BIDS = (
    "65.40x1(1) 64.90x10(1) 64.79x1(1) 64.76x1(1) 64.75x9(1) 64.71x5(3) 64.70x8(3) 64.62x7(2) 64.61x10(1) 64.60x1(1)"
)
CLX5_ASKS = (
    "64.78x3(1) 64.79x5(3) 64.80x7(2) 64.81x1(1) 64.82x20(3) 64.83x3(2) 64.84x5(3) 64.85x3(2) 64.86x3(1) 64.87x4(2)"
)
CLX5_COUNTS = {
    "records": 38_212,
    "adds": 14_959,
    "cancels": 16_252,
    "modifies": 2_701,
    "trades": 1_599,
    "fills": 2_701,
    "clears": 0,
    "nones": 0,
    "events": 32_053,
    "forced_events": 0,
    "unknown_cancels": 1_224,
    "unknown_modifies": 216,
    "duplicate_adds": 0,
    "over_cancels": 0,
    "zero_sizes": 0,
    "rejected_action": 0,
    "rejected_side": 0,
    "rejected_price": 0,
    "bad_book_marks": 0,
    "held": 0,
    "orders": 147,
    "bid_levels": 61,
    "ask_levels": 52,
}


def as_text(side: np.ndarray) -> str:
    return " ".join(f"{Decimal(p) / UNIT:.2f}x{size}({count})" for p, size, count in side.tolist())


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return (
        zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
        if path.suffix == ".zst"
        else data
    )


def assert_is_the_clx5_answer(market: Market) -> None:
    market.check()
    (instrument,) = market.instruments()
    assert instrument.symbol == "CLX5"
    book = market.book("CLX5")
    view = book.snapshot(10)
    assert as_text(view.bids) == CLX5_BIDS
    assert as_text(view.asks) == CLX5_ASKS
    stats = book.stats()
    assert {name: stats[name] for name in CLX5_COUNTS} == CLX5_COUNTS
    assert (view.crossed, view.orders, view.seq, view.state) == (True, 147, 32_053, "live")
    assert sum(int(n) for _, _, n in levels(book, "B")) == 73
    assert sum(int(n) for _, _, n in levels(book, "A")) == 74


def test_clx5_from_its_file() -> None:
    market = Market()
    seen: list[tuple[int, int]] = []
    assert market.feed_file(CLX5, progress=lambda done, total: seen.append((done, total))) == 38_212
    assert_is_the_clx5_answer(market)
    size = CLX5.stat().st_size
    assert seen[-1] == (size, size)
    assert seen == sorted(seen)


@pytest.mark.parametrize("size", [1, 7, 56, 1000, 65_536])
def test_clx5_in_chunks(size: int) -> None:
    market = Market()
    assert sum(market.feed(piece) for piece in chunks(CLX5.read_bytes(), size)) == 38_212
    market.finish()
    assert_is_the_clx5_answer(market)


@pytest.mark.parametrize("frame_bytes", [10_000_000, 100_000], ids=["one frame", "many frames"])
def test_clx5_from_a_zst_copy(frame_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "CLX5.dbn.zst"
    pack = zstandard.ZstdCompressor(level=3).compress
    path.write_bytes(b"".join(pack(piece) for piece in chunks(CLX5.read_bytes(), frame_bytes)))
    market = Market()
    assert market.feed_file(path) == 38_212
    assert_is_the_clx5_answer(market)


def test_clx5_record_by_record_as_official_objects() -> None:
    book, oracle = OrderBook(), OracleBook()
    events = 0
    for msg, record in zip(databento.DBNStore.from_bytes(CLX5.read_bytes()), parse(CLX5.read_bytes()), strict=True):
        done = book.apply_mbo(msg)
        assert done == oracle.apply(record)
        events += done
    assert events == 32_053
    assert_agrees(book, oracle)
    assert as_text(book.snapshot(10).bids) == CLX5_BIDS
    assert as_text(book.snapshot(10).asks) == CLX5_ASKS


@pytest.mark.parametrize("path", [CLX5, ES, ES_HOLIDAY, ARL], ids=lambda p: p.name[:12])
@pytest.mark.parametrize("rule", ["keeps_place", "to_back"])
def test_every_order_in_every_queue_is_where_the_oracle_has_it(path: Path, rule: str) -> None:
    data = unpacked(path)
    market, oracle = Market(same_size_modify=rule), OracleMarket(rule == "to_back")
    market.feed(data)
    market.finish()
    oracle.feed(parse(data))
    ((key, expected),) = oracle.books.items()
    assert_same_queues(market.book(key), expected)


def test_clx5_agrees_with_the_oracle_on_the_way() -> None:
    book, oracle = OrderBook(), OracleBook()
    for n, record in enumerate(parse(CLX5.read_bytes())):
        book.apply_mbo(record.to_bytes())
        oracle.apply(record)
        if n % 500 == 0:
            assert_agrees(book, oracle)


def test_es_live_adds_with_the_ids_of_the_snapshot_replace_and_do_not_double() -> None:
    market = Market()
    market.feed_file(ES)
    (instrument,) = market.instruments()
    key = instrument.publisher_id, instrument.instrument_id
    book = market.book(key)
    before = contents(market)[key]["levels"]
    resting = [
        (side, price, order)
        for side in "BA"
        for price, _, _ in levels(book, side)
        for order in book.orders(side, price)
    ]
    assert len(resting) == len(book) > 10_000
    view = book.snapshot()
    live = [
        Mbo("A", side, price, o.size, o.order_id, 130, view.ts_event + n, view.ts_recv + n, 0, n, 0, *key)
        for n, (side, price, o) in enumerate(resting)
    ]
    duplicates = book.stats()["duplicate_adds"]
    market.feed(metadata(3) + stream(live))
    assert contents(market)[key]["levels"] == before
    assert book.stats()["duplicate_adds"] == duplicates + len(resting)
    for side, price, order in resting[:200]:
        assert (order.order_id, order.size) in queue(book, side, price)


def test_two_mbo_snapshots_in_a_row_are_one_book() -> None:
    data = unpacked(ES_HOLIDAY)
    once, twice = Market(), Market()
    once.feed(data)
    twice.feed(data)
    twice.feed(data)
    assert twice.stats()["duplicate_adds"] == 8_725
    assert once.stats()["orders"] == twice.stats()["orders"] == 8_725
    ((_, a),), ((_, b),) = contents(once).items(), contents(twice).items()
    assert a["levels"] == b["levels"]
    assert (a["book"]["bids"], a["book"]["asks"]) == (b["book"]["bids"], b["book"]["asks"])


def as_ns(text: str) -> int:
    whole, fraction = text.removesuffix("Z").split(".")
    return int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()) * UNIT + int(fraction.ljust(9, "0"))


def official_depth(row: dict[str, str]) -> dict[str, list[tuple[int, int, int]]]:
    return {
        side: [
            (
                int(Decimal(row[f"{name}_px_{n:02}"]) * UNIT),
                int(row[f"{name}_sz_{n:02}"]),
                int(row[f"{name}_ct_{n:02}"]),
            )
            for n in range(10)
            if row[f"{name}_px_{n:02}"]
        ]
        for side, name in (("B", "bid"), ("A", "ask"))
    }


def arl_rows(records: list[Mbo]) -> list[tuple[int, int, dict[str, str]]]:
    """Each official MBP-10 row with the indices of its MBO record and of the record after which it looks.

    What the two files show: the rows are a subsequence of the records in the same order, one row for each
    record that changed one of the top ten levels or was a trade. (ts_event, sequence, action, flags) names
    the record, and order_id too unless it is a trade; the CSV's ts_recv repeats ts_event. There are rows for
    records inside an event as well (flags 0: the Cancel half of a replace), so each row shows the book right
    after its record. One exception: the only execution of a resting order (sequence 56150102: T, F, C) has a
    row for its T alone, and that row already shows the book after the C.
    """
    with ARL_MBP10.open(newline="") as file:
        rows = list(csv.DictReader(file))
    mapped, at = [], 0
    for n, r in enumerate(records):
        if at == len(rows):
            break
        row = rows[at]
        same = (r.ts_event, r.sequence, r.action, r.flags) == (
            as_ns(row["ts_event"]),
            int(row["sequence"]),
            row["action"],
            int(row["flags"]),
        )
        if same and (r.action == "T" or r.order_id == int(row["order_id"])):
            filled = r.action == "T" and records[n + 1].action == "F"
            mapped.append((n, n + 2 if filled else n, row))
            at += 1
    assert at == len(rows) == 1_370, f"row {at} has no record"
    return mapped


def test_arl_is_level_by_level_the_official_mbp10_at_every_row() -> None:
    records = parse(ARL.read_bytes())
    looks = {after: row for _, after, row in arl_rows(records)}
    book = OrderBook()
    for n, r in enumerate(records):
        # Each record is its own event here, because the official rows look inside events too.
        book.apply_mbo(r._replace(flags=r.flags | LAST).to_bytes())
        if n in looks:
            assert {side: levels(book, side)[:10] for side in "BA"} == official_depth(looks[n]), f"record {n}"
    book.check()


def test_arl_shows_the_official_mbp10_at_every_row_that_ends_an_event() -> None:
    records = parse(ARL.read_bytes())
    looks = {after: row for _, after, row in arl_rows(records) if int(row["flags"]) & LAST}
    book = OrderBook()
    compared = 0
    for n, r in enumerate(records):
        book.apply_mbo(r.to_bytes())
        if n in looks:
            view = book.snapshot(10)
            assert {"B": view.bids.tolist(), "A": view.asks.tolist()} == official_depth(looks[n]), f"record {n}"
            compared += 1
    assert compared == 1_091


MBO_SAMPLES = sorted(p for p in SAMPLES.glob("*mbo*") if ".dbn" in p.name)
OTHER_SAMPLES = sorted(p for p in SAMPLES.glob("*.dbn*") if "mbo" not in p.name and ".frag" not in p.name)
DBZ_SAMPLES = sorted(SAMPLES.glob("*.dbz"))
FRAGMENTS = sorted(SAMPLES.glob("*.frag*"))


def file_id(path: Path) -> str:
    return path.name


def test_the_samples_are_all_there() -> None:
    assert [len(s) for s in (MBO_SAMPLES, OTHER_SAMPLES, DBZ_SAMPLES, FRAGMENTS)] == [9, 26, 3, 7]


@pytest.mark.parametrize("path", MBO_SAMPLES, ids=file_id)
def test_every_mbo_sample_gives_the_records_that_the_official_decoder_gives(path: Path) -> None:
    official = [bytes(msg) for msg in databento.DBNStore.from_bytes(path.read_bytes())]
    reader = FileReader(path)
    data = b""
    while not reader.ended:
        data += reader.read(1_000)
    assert split(data)[1] == b"".join(official)
    market, oracle = Market(), OracleMarket().feed(parse(data))
    assert market.feed_file(path) == len(official)
    for key, expected in oracle.books.items():
        assert_agrees(market.book(key), expected)


def test_the_same_sample_in_every_version_is_the_same_records() -> None:
    same = [p for p in MBO_SAMPLES if p.name.startswith("dbn__test_data.mbo.")]
    assert len(same) == 5
    markets = [Market() for _ in same]
    for market, path in zip(markets, same, strict=True):
        market.feed_file(path)
    assert all(contents(market) == contents(markets[0]) for market in markets)


@pytest.mark.parametrize("path", OTHER_SAMPLES, ids=file_id)
def test_a_file_of_another_schema_is_refused_by_name(path: Path) -> None:
    market = Market()
    with pytest.raises(DecodeError, match=r"(?i)mbo") as caught:
        market.feed_file(path)
    schema = path.name.split("test_data.")[1].split(".")[0]
    assert schema in str(caught.value), "the line names the schema that was found"
    assert "\n" not in str(caught.value)
    assert market.stats()["records"] == 0


@pytest.mark.parametrize("path", DBZ_SAMPLES, ids=file_id)
def test_a_dbz_file_is_refused_with_what_it_is(path: Path) -> None:
    with pytest.raises(DecodeError, match=r"(?i)dbz|version 0|DBN") as caught:
        Market().feed_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", FRAGMENTS, ids=file_id)
def test_a_fragment_of_definitions_gives_no_book(path: Path) -> None:
    market = Market()
    assert market.feed_file(path) == 0
    stats = market.stats()
    assert (stats["books"], stats["metadata_headers"]) == (0, 0)
    assert stats["other_records"] > 0
