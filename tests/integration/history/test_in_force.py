"""Several sessions in one folder: what files and names make of times that a later session tells anew."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histories import record
from l3book._core import Deriver, Indexer, Log, Past, UnknownInstrumentError
from l3book.config import Settings
from l3book.history.past import History
from l3book.history.sqlite import SqliteStore
from l3book.history.stretch import rows_of
from running import error_line, run

if TYPE_CHECKING:
    from pathlib import Path

RECORD_BYTES = 56
TS_RECV_AT = 40


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
    assert whole == b"".join(expected) + late


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
