"""Several sessions in one folder: what files and names make of times that a later session tells anew."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histories import FLUSH_TIMEOUT_S, record
from l3book._core import (
    Deriver,
    HistoryError,
    Indexer,
    Log,
    Market,
    Past,
    Recorder,
    Simulator,
    UnknownInstrumentError,
)
from l3book.config import Settings
from l3book.history.past import History
from l3book.history.sqlite import SqliteStore
from l3book.history.stretch import _parts, rows_of
from l3book.prices import price_text
from running import error_line, run

RECORD_BYTES = 56
FLAGS_AT, ACTION_AT, TS_RECV_AT = 36, 38, 40
LAST, SNAPSHOT = 0x80, 0x20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three instruments, then only one of them, over times that the first session told of, too."""
    for instruments, pieces in ((3, 3), (1, 2)):
        record(tmp_path, seed=instruments, instruments=instruments, pieces=pieces, session=f"file:{instruments}")
    return tmp_path


def ts_recv(records: bytes) -> np.ndarray:
    return np.frombuffer(records, "<u8").reshape(-1, RECORD_BYTES // 8)[:, TS_RECV_AT // 8]


def test_a_file_over_several_sessions_tells_each_time_once(folder: Path) -> None:
    log = Log(folder)
    first, second = log.sessions()
    begin = second["ts_recv_min"]
    assert first["ts_recv_min"] < begin < first["ts_recv_max"], "they overlap, and something comes before"
    whole = b"".join(rows_of(log, log.first_ordinal, log.end_ordinal, Deriver("mbo")))
    _, early = log.read(0, first["end_ordinal"])
    _, late = log.read(second["ordinal"], second["end_ordinal"] - second["ordinal"])
    expected = [
        early[at * RECORD_BYTES : (at + 1) * RECORD_BYTES]
        for at, ts in enumerate(ts_recv(early).tolist())
        if ts < int(ts_recv(late)[0])
    ]
    assert_cleared_between(whole, b"".join(expected), late)


def assert_cleared_between(told: bytes, early: bytes, late: bytes) -> None:
    """A file has both, and between them a Clear of each book that the first of them tells of."""
    assert told.startswith(early)
    assert told.endswith(late)
    between = np.frombuffer(told[len(early) : len(told) - len(late)], f"V{RECORD_BYTES}")
    names = {record[2:8] for record in np.frombuffer(early, f"V{RECORD_BYTES}").view("V56").tolist()}
    assert [record[2:8] for record in between.tolist()] == sorted(names, key=lambda name: name[::-1])
    assert {(record[ACTION_AT : ACTION_AT + 1], record[FLAGS_AT]) for record in between.tolist()} == {(b"R", LAST)}


def test_who_replays_a_file_over_several_sessions_gets_the_books_of_each_time(tmp_path: Path) -> None:
    """The second session does not begin with Clears of its own."""
    folder = tmp_path / "history"
    record(folder, seed=3, instruments=3, pieces=3, session="file:3")
    (first,) = Log(folder).sessions()
    records = simulated(6_000)[3_000:]
    words = records.view("<u8").reshape(-1, RECORD_BYTES // 8)
    words[:, [1, TS_RECV_AT // 8]] += (first["ts_event_min"] + first["ts_event_max"]) // 2 - int(words[:, 1].min())
    record_stream(folder, records.tobytes(), "file:1")
    past, (first, second) = Past(folder), Log(folder).sessions()
    begin, late = past.range()[1]["ts_begin"], second["ts_event_max"]
    times = [begin - 1, begin, begin + (late - begin) // 2, late, first["ts_event_max"]]
    path = tmp_path / "rows.dbn"
    for at in times:
        done = run("history", "export", folder, "--schema", "mbo", "--end", str(at), "-o", path)
        assert done.returncode == 0, done.stderr
        market = Market()
        market.feed_file(path)
        for entry in market.instruments():
            key = (entry.publisher_id, entry.instrument_id)
            try:
                expected = queues_of(past.book_json(key, at, level=3))
            except UnknownInstrumentError:
                assert at >= begin, "the first session has them all"
                expected = ([], [])
            assert queues_of(market.book_json(key, level=3)) == expected, at
    assert market.instruments()[0].orders, "something is compared"
    assert first["ts_event_min"] < begin < first["ts_event_max"], "they overlap"


def queues_of(book: bytes) -> tuple[Any, Any]:
    told = json.loads(book)
    return told["bids"], told["asks"]


def record_stream(folder: Path, stream: bytes, session: str) -> None:
    """Record whole records in a session of their own, behind the symbols of the synthetic market."""
    market, recorder = Market(), Recorder(folder)
    recorder.begin(market, session)
    market.feed(Simulator(seed=1, instruments=1).header())
    market.feed(stream)
    assert recorder.close(FLUSH_TIMEOUT_S), recorder.stats()


def simulated(records: int) -> np.ndarray:
    stream = Simulator(seed=2, instruments=1, resting_max=500).read(records)
    return np.frombuffer(stream, "u1").reshape(-1, RECORD_BYTES).copy()


def set_ts_recv(records: np.ndarray, ts: int) -> None:
    records[:, TS_RECV_AT : TS_RECV_AT + 8] = np.frombuffer(ts.to_bytes(8, "little"), "u1")


def test_a_session_begins_with_what_came_live_not_with_what_its_snapshot_says(tmp_path: Path) -> None:
    record(tmp_path, seed=1, instruments=1, pieces=3, session="file:1")
    live = simulated(4_000)[2_000:]
    snapshot = live[:2].copy()
    set_ts_recv(snapshot, Log(tmp_path).sessions()[0]["ts_recv_min"])
    snapshot[:, ACTION_AT] = list(b"RA")
    snapshot[:, FLAGS_AT] = [SNAPSHOT, SNAPSHOT | LAST]
    record_stream(tmp_path, snapshot.tobytes() + live.tobytes(), "tcp:2")
    log = Log(tmp_path)
    first, second = log.sessions()
    begin = int(ts_recv(live.tobytes())[0])
    assert first["ts_recv_min"] == second["ts_recv_min"] < begin < first["ts_recv_max"]
    _, early = log.read(0, first["end_ordinal"])
    kept = np.frombuffer(early, f"V{RECORD_BYTES}")[ts_recv(early) < begin].tobytes()
    assert_cleared_between(rows(log, 0, log.end_ordinal), kept, snapshot.tobytes() + live.tobytes())
    store = indexed(tmp_path)
    (book,) = {(row.publisher_id, row.instrument_id) for row in store.instruments()}
    told = store.trades(book, 0, 2**63 - 1, 100_000)
    assert len(told) == (kept + live.tobytes())[ACTION_AT::RECORD_BYTES].count(b"T")
    store.close()


def test_of_sessions_that_put_nothing_out_of_force_no_frame_is_read(tmp_path: Path) -> None:
    record(tmp_path, seed=1, instruments=1, pieces=1, session="file:1")
    later = simulated(1_000)
    set_ts_recv(later, Log(tmp_path).sessions()[0]["ts_recv_max"] + 1)
    record_stream(tmp_path, later.tobytes(), "file:2")
    record(tmp_path, seed=3, instruments=1, pieces=1, session="file:3")
    log = Log(tmp_path)
    first, second, third = log.sessions()
    for session in (second, third):
        damage(log, session)
    whole = rows(log, 0, first["end_ordinal"])
    _, early = log.read(0, first["end_ordinal"])
    assert third["ts_recv_min"] <= first["ts_recv_min"] < second["ts_recv_min"]
    assert whole == np.frombuffer(early, f"V{RECORD_BYTES}")[ts_recv(early) < third["ts_recv_min"]].tobytes()


def test_damage_in_an_earlier_session_is_none_of_a_later_ones(folder: Path) -> None:
    log = Log(folder)
    first, second = log.sessions()
    damage(log, first)
    _, late = log.read(second["ordinal"], second["end_ordinal"] - second["ordinal"])
    assert rows(log, second["ordinal"], log.end_ordinal) == late


def test_who_gives_up_is_heard_while_it_is_seen_what_is_in_force(folder: Path) -> None:
    """An overlap: a frame of the later session is read before the first row."""
    log = Log(folder)

    def give_up() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        list(_parts(log, 0, log.end_ordinal, give_up))


def rows(log: Log, first: int, end: int) -> bytes:
    return b"".join(rows_of(log, first, end, Deriver("mbo")))


def damage(log: Log, session: dict[str, Any]) -> None:
    """Make the first frame of a session unreadable."""
    (segment,) = [found for found in log.segments() if found["first_ordinal"] == session["first_ordinal"]]
    path = Path(segment["path"])
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(HistoryError):
        log.read(session["first_ordinal"], 1)


def test_within_one_session_nothing_is_left_out(folder: Path) -> None:
    log = Log(folder)
    second = log.sessions()[1]
    _, late = log.read(second["ordinal"], second["end_ordinal"] - second["ordinal"])
    assert b"".join(rows_of(log, second["ordinal"], log.end_ordinal, Deriver("mbo"))) == late


def test_trades_by_command_are_those_of_the_tables(folder: Path, tmp_path: Path) -> None:
    store = indexed(folder)
    path = tmp_path / "trades.csv"
    done = run("history", "export", folder, "--schema", "trades", "-o", path)
    assert done.returncode == 0, done.stderr
    with path.open() as lines:
        told = [(row["symbol"], int(row["size"])) for row in csv.DictReader(lines)]
    names = {(row.publisher_id, row.instrument_id): row.symbol for row in store.instruments()}
    kept = [(name, trade.size) for book, name in names.items() for trade in store.trades(book, 0, 2**63 - 1, 100_000)]
    assert sorted(told) == sorted(kept)
    store.close()


def test_books_that_a_later_session_does_not_have_keep_their_names(folder: Path) -> None:
    store = indexed(folder)
    assert [row.symbol for row in store.instruments()] == ["SYN0", "SYN1", "SYN2"]
    # As after a restart: the second session is told again by an indexer that knows nothing of the first.
    second = Log(folder).sessions()[1]["ordinal"]
    follow(store, Indexer(folder, ordinal=second))
    assert [row.symbol for row in store.instruments()] == ["SYN0", "SYN1", "SYN2"]
    store.close()


def test_a_name_that_no_table_has_is_found_in_the_log(folder: Path) -> None:
    history = History(folder, None, Settings())
    key = history.resolve("SYN2")
    assert history.resolve(f"{key[0]}:{key[1]}") == key
    with pytest.raises(UnknownInstrumentError):
        history.resolve("NONE")
    history.close()


def test_the_command_knows_books_of_which_nothing_is_in_force(folder: Path, tmp_path: Path) -> None:
    late = Log(folder).sessions()[1]["ts_event_max"]
    path = tmp_path / "rows.csv"
    options = ("--instrument", "SYN2", "--schema", "trades", "--start", str(late))
    done = run("history", "export", folder, *options, "-o", path)
    assert (done.returncode, done.stderr.decode()) == (0, f"{path}: 0 trades rows\n")
    done = run("history", "export", folder, "--instrument", "NONE", "--schema", "trades", "-o", path)
    assert "no instrument goes by 'NONE'" in error_line(done)


def test_the_newest_session_that_knows_a_name_decides(folder: Path) -> None:
    past = Past(folder)
    (only,) = {past.resolve(name) for name in ("SYN0", f"{past.resolve('SYN0')[1]}")}
    assert only == past.resolve(only)


def indexed(folder: Path) -> SqliteStore:
    store = SqliteStore(folder)
    store.open()
    follow(store, Indexer(folder, ordinal=0))
    return store


def follow(store: SqliteStore, indexer: Indexer) -> None:
    while batch := indexer.advance(100_000):
        store.write(batch)


def test_books_and_tables_agree_on_every_second_where_an_older_file_came_later(tmp_path: Path) -> None:
    """Of its time and later both tell what it has: at the end nothing but its last book, and no row behind it."""
    length = 50_000
    for seed, share in ((1, 1.0), (2, 0.4)):
        records = np.frombuffer(Simulator(seed=seed, instruments=1, resting_max=200).read(length), "<u8").copy()
        words = records.reshape(-1, RECORD_BYTES // 8)[: int(length * share)]
        base = words[0, 1]
        words[:, [1, TS_RECV_AT // 8]] = base + (words[:, [1, TS_RECV_AT // 8]] - base) * np.uint64(10)
        record_stream(tmp_path, words.tobytes(), f"file:{seed}")
    later, older = Log(tmp_path).sessions()
    store, past = indexed(tmp_path), Past(tmp_path)
    (book,) = {(row.publisher_id, row.instrument_id) for row in store.instruments()}
    told = {row.ts: row for row in store.bbo(book, 0, 2**63 - 1, 1_000_000_000, 100_000)}
    last = older["ts_recv_max"] - older["ts_recv_max"] % 1_000_000_000
    assert (max(told), len(told) > 5) == (last, True)
    assert later["ts_recv_max"] > last + 5 * 1_000_000_000, "the log has later times"
    for second, row in told.items():
        at = json.loads(past.book_json(book, second + 999_999_999, level=1))
        best = [at[side][0][:2] if at[side] else None for side in ("bids", "asks")]
        assert best == [[price_text(row.bid_px), row.bid_size], [price_text(row.ask_px), row.ask_size]], second
    end = json.loads(past.book_json(book, older["ts_event_max"], level=2))
    after = json.loads(past.book_json(book, later["ts_event_max"], level=2))
    assert (after["bids"], after["asks"]) == (end["bids"], end["asks"])
    store.close()
