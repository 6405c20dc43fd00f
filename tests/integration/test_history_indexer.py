"""What an Indexer derives from a recorded log, held against the records, the market, and `convert`'s bbo-1s."""

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dbn_bytes import RECORD_BYTES, Mbo
from l3book import Deriver, Market
from l3book._core import Batch, FileReader, HistoryError, Indexer, Log, Past, Recorder, Simulator
from l3book.history.rows import BBO, LEVEL, STATES, TRADE
from l3book.rows import derived, fields

NS_PER_S = 10**9
RECORDS = 60_000
BATCH_RECORDS = 7_000
CLX5 = "clx5/CLX5_mbo.dbn"
ES = "es/orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst"
PATIENCE_S = 60
BBO_NAMES, LEVEL_NAMES = ([name for name in row.names or () if name != "_pad"] for row in (BBO, LEVEL))
Rows = dict[tuple[Any, ...], tuple[Any, ...]]


def record(folder: Path, *sessions: Iterable[bytes]) -> Market:
    """Records one session after the other and gives the last market as it ends."""
    recorder = Recorder(folder, fsync_records=5_000)
    for at, pieces in enumerate(sessions):
        market = Market()
        recorder.begin(market, f"test:{at}")
        for piece in pieces:
            market.feed(piece)
    assert recorder.close(PATIENCE_S)
    return market


def pieces_of(path: Path) -> Iterator[bytes]:
    reader = FileReader(path)
    while piece := reader.read(BATCH_RECORDS):
        yield piece


def batches(folder: Path, ordinal: int = 0, records_max: int = BATCH_RECORDS, **options: Any) -> Iterator[Batch]:
    indexer = Indexer(folder, ordinal=ordinal, **options)
    while batch := indexer.advance(records_max):
        yield batch
    assert indexer.take_error() is None


def add(rows: dict[str, Rows], batch: Batch) -> None:
    """Adds a batch's rows to those in force."""
    for row in np.frombuffer(batch.trades, TRADE).tolist():
        rows["trades"][row[:1]] = row
    for row in np.frombuffer(batch.bbo, BBO)[BBO_NAMES].tolist():
        ts, *_, instrument_id, publisher_id, _state = row
        rows["bbo"][publisher_id, instrument_id, ts] = row
    for row in np.frombuffer(batch.levels, LEVEL)[LEVEL_NAMES].tolist():
        ts, _, price, _, _, instrument_id, publisher_id, side = row
        rows["levels"][publisher_id, instrument_id, side, price, ts] = row


def rows_of(folder: Path, **options: Any) -> dict[str, Rows]:
    rows: dict[str, Rows] = defaultdict(dict)
    for batch in batches(folder, **options):
        add(rows, batch)
    return rows


def simulated(seed: int = 3, records: int = RECORDS) -> list[bytes]:
    simulator = Simulator(seed=seed, instruments=5, resting_max=64)
    return [simulator.header(), simulator.read(records)]


@pytest.fixture(params=["synthetic", CLX5, ES])
def source(request: pytest.FixtureRequest) -> Callable[[], Iterator[bytes]]:
    if request.param == "synthetic":
        return lambda: iter(simulated())
    path = request.getfixturevalue("test_data") / request.param
    return lambda: pieces_of(path)


def mbo_of(records: bytes) -> list[Mbo]:
    return [Mbo.from_bytes(records[at : at + RECORD_BYTES]) for at in range(0, len(records), RECORD_BYTES)]


def records_of(log: Log) -> list[Mbo]:
    first, records = log.read(0, log.end_ordinal)
    assert first == 0
    assert len(records) == log.end_ordinal * RECORD_BYTES
    return mbo_of(records)


def test_trades_are_the_trade_records(tmp_path: Path, source: Callable[[], Iterator[bytes]]) -> None:
    record(tmp_path, source())
    expected = [
        (
            ordinal,
            trade.ts_event,
            trade.ts_recv,
            trade.order_id,
            trade.price,
            trade.size,
            trade.sequence,
            trade.instrument_id,
            trade.publisher_id,
            trade.side.encode(),
            trade.flags,
        )
        for ordinal, trade in enumerate(records_of(Log(tmp_path)))
        if trade.action == "T"
    ]
    assert expected
    assert list(rows_of(tmp_path)["trades"].values()) == expected


def test_levels_add_up_to_the_books(tmp_path: Path, source: Callable[[], Iterator[bytes]]) -> None:
    market = record(tmp_path, source())
    last: dict[tuple[Any, ...], tuple[int, int, int]] = {}
    for (publisher_id, instrument_id, side, price, ts), row in sorted(rows_of(tmp_path)["levels"].items()):
        last[publisher_id, instrument_id, side, price] = (ts, row[3], row[4])
    found: dict[tuple[int, int], set[tuple[bytes, int, int, int]]] = defaultdict(set)
    for (publisher_id, instrument_id, side, price), (_, size, count) in last.items():
        if size:
            found[publisher_id, instrument_id].add((side, price, size, count))
    for instrument in market.instruments():
        key = (instrument.publisher_id, instrument.instrument_id)
        snapshot = market.snapshot(key, depth=None)
        sides = ((b"B", snapshot.bids), (b"A", snapshot.asks))
        expected = {(side, *level) for side, levels in sides for level in levels.tolist()}
        assert {(side, price, size, count) for side, price, size, count, *_ in expected} == found[key]


def test_best_levels_are_those_of_convert(tmp_path: Path, source: Callable[[], Iterator[bytes]]) -> None:
    record(tmp_path, source())
    whole = b"".join(source())
    deriver = Deriver("bbo-1s")
    expected = np.frombuffer(b"".join(derived(whole, deriver)), fields("bbo-1s"))
    ours: dict[tuple[int, int], list[tuple[int, ...]]] = defaultdict(list)
    for (publisher_id, instrument_id, _), row in sorted(rows_of(tmp_path)["bbo"].items()):
        ours[publisher_id, instrument_id].append(row)
    compared = 0
    for row in expected:
        held = ours[int(row["publisher_id"]), int(row["instrument_id"])]
        starts = [known[0] for known in held]
        at = int(np.searchsorted(starts, int(row["ts_recv"]) - NS_PER_S, side="right")) - 1
        names = ("bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00", "bid_ct_00", "ask_ct_00")
        assert held[at][2:8] == tuple(int(row[name]) for name in names), row
        compared += 1
    assert compared > 1


def test_rows_are_the_same_however_often_an_indexer_begins_anew(
    tmp_path: Path, source: Callable[[], Iterator[bytes]]
) -> None:
    record(tmp_path, source())
    expected = rows_of(tmp_path, records_max=10**9)
    rows: dict[str, Rows] = defaultdict(dict)
    ordinal, size = 0, 1_000
    while True:
        indexer = Indexer(tmp_path, ordinal=ordinal, checkpoint_records=3_000, keep_records=False)
        # At least beyond the second at hand, or it would begin there for ever.
        batch = indexer.advance(size)
        assert batch is not None
        add(rows, batch)
        if batch.end_ordinal == Log(tmp_path).end_ordinal:
            break
        size = 1_000 if batch.resume_ordinal > ordinal else size * 2
        ordinal = batch.resume_ordinal
    last = max(row[0] for row in expected["bbo"].values())
    for name in ("trades", "bbo", "levels"):
        assert rows[name].keys() == expected[name].keys()
        for key, row in expected[name].items():
            if name == "trades" or row[0] < last:
                assert rows[name][key] == row
            else:
                # In the second that still runs, a row that has no news is not made again for the ordinal's sake.
                assert rows[name][key][2:] == row[2:]


def test_an_order_s_life_is_all_its_records(tmp_path: Path, source: Callable[[], Iterator[bytes]]) -> None:
    # The second session ends the segment of the first, whose filters are then whole.
    record(tmp_path, source(), simulated(records=1_000))
    for _ in batches(tmp_path):
        pass
    lives: dict[tuple[int, int, int], list[tuple[int, Mbo]]] = defaultdict(list)
    for ordinal, one in enumerate(records_of(Log(tmp_path))):
        lives[one.publisher_id, one.instrument_id, one.order_id].append((ordinal, one))
    assert len(list(tmp_path.glob("log/*/*/*.orders"))) >= 1
    past = Past(tmp_path)
    longest = sorted(lives, key=lambda key: len(lives[key]))[-20:]
    for key in [*longest, *list(lives)[:: max(1, len(lives) // 50)]]:
        ordinals, records = past.order_life(*key, limit=100)
        count = len(ordinals) // 8
        found = list(zip(struct.unpack(f"<{count}Q", ordinals), mbo_of(records), strict=True))
        assert found == lives[key][-100:]
    assert past.order_life(9, 9, 9) == (b"", b"")


def test_batches_say_what_they_are(tmp_path: Path) -> None:
    record(tmp_path, simulated(), simulated(seed=4))
    log = Log(tmp_path)
    all_batches = list(batches(tmp_path, checkpoint_records=20_000))
    end = 0
    for batch in all_batches:
        assert batch.first_ordinal == end
        end = batch.end_ordinal
        assert struct.unpack(f"<{end - batch.first_ordinal}Q", batch.ordinals) == (*range(batch.first_ordinal, end),)
        assert batch.records == log.read(batch.first_ordinal, end - batch.first_ordinal)[1]
        assert batch.holes == []
    assert end == log.end_ordinal
    records = records_of(log)
    starts = [session["ordinal"] for session in log.sessions()]
    live = [next(r.ts_recv for r in records[start:] if not r.flags & 32) for start in starts]
    told = [session for batch in all_batches for session in batch.sessions]
    assert told == list(zip(starts, ["test:0", "test:1"], live, strict=True))
    instruments = {row[:2]: row[2] for batch in all_batches for row in batch.instruments}
    assert {*instruments.values()} == {f"SYN{n}" for n in range(5)}
    saved = [batch.checkpoint for batch in all_batches if batch.checkpoint]
    assert len(saved) >= 4
    assert all(Path(path).is_file() for _, path in saved)
    states = {STATES[row[-1]] for row in rows_of(tmp_path)["bbo"].values()}
    assert states == {"live"}


def test_without_records_batches_are_empty_of_them(tmp_path: Path) -> None:
    record(tmp_path, simulated())
    for batch in batches(tmp_path, keep_records=False, keep_checkpoints=False):
        assert (batch.records, batch.ordinals, batch.checkpoint) == (b"", b"", None)
        assert batch.end_ordinal > batch.first_ordinal
    assert not (tmp_path / "checkpoints").exists() or not list((tmp_path / "checkpoints").iterdir())


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="absent"):
        Indexer(tmp_path / "absent", ordinal=0)
    record(tmp_path, simulated(records=1_000))
    end = Log(tmp_path).end_ordinal
    with pytest.raises(HistoryError, match=f"ends at {end}"):
        Indexer(tmp_path, ordinal=end + 1)
    assert Indexer(tmp_path, ordinal=end).advance(10) is None
