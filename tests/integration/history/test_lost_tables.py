"""Tables that are ahead of what is left of their log: what it has decides what is in force, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from histories import FLUSH_TIMEOUT_S, record
from holed_histories import lose
from l3book._core import Log, Market, Recorder, Simulator
from l3book.history import inspection
from l3book.history.agreement import columns_out_of_force
from l3book.history.indexing import Indexing
from l3book.history.inspection import describe, find_damage
from l3book.history.sqlite import FILE_NAME, SqliteStore, end_ordinal_in
from l3book.times import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_S = 60
LATER_NS = 1_200_000_000
"""More than the synthetic market's first second."""
RECORD_WORDS, TS_EVENT_WORD, TS_RECV_WORD = 7, 1, 5
"""Of an MBO record as u64."""
TABLES_OF_ANOTHER = "no session that begins at record 28000, the log has one: expected the tables of this log"
ROWS = ("trades", "bbo", "levels", "session_starts")


def index(folder: Path) -> None:
    """Bring the tables up to the log's end, as a server's start does."""
    running = Indexing(folder, SqliteStore(folder))
    running.start()
    assert running.stop(WAIT_S), running.stats()
    assert running.stats()["error"] is None


def rows_in(folder: Path) -> dict[str, list[Any]]:
    with sqlite3.connect(folder / "history.sqlite") as connection:
        return {table: sorted(connection.execute(f"SELECT * FROM {table}")) for table in ROWS}


def rows_made_anew(folder: Path) -> dict[str, list[Any]]:
    """What the log alone leads to."""
    for path in folder.glob("history.sqlite*"):
        path.unlink()
    index(folder)
    return rows_in(folder)


def record_again(folder: Path, pieces: int) -> int:
    """Record a session that tells of the later part of the first one's time anew; -> the ordinal that it begins at."""
    recorder, market = Recorder(folder, segment_bytes_max=60_000), Market()
    simulator = Simulator(seed=2, instruments=2, resting_max=500)
    ordinal = recorder.next_ordinal
    recorder.begin(market, "file:again")
    market.feed(simulator.header())
    for _ in range(pieces):
        records = np.frombuffer(simulator.read(4_000), "<u8").copy()
        words = records.reshape(-1, RECORD_WORDS)
        words[:, [TS_EVENT_WORD, TS_RECV_WORD]] += np.uint64(LATER_NS)
        market.feed(words.tobytes())
        assert recorder.flush(FLUSH_TIMEOUT_S)
    assert recorder.close(FLUSH_TIMEOUT_S)
    return ordinal


def flip(folder: Path, segment: int, share: float) -> None:
    """Damage a segment at a part of its length."""
    path = Path(Log(folder).segments()[segment]["path"])
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 0x10
    path.write_bytes(content)


def cut_the_end_off(folder: Path) -> None:
    """Damage in the last segment, which the next start cuts off, and then a file that tells of its time anew."""
    flip(folder, -1, 0.6)
    record_again(folder, 2)


def lose_the_end(folder: Path) -> None:
    """The next session is given ordinals that the tables have rows of."""
    lose(folder, -1)
    record_again(folder, 4)


def lose_the_second_beginning(folder: Path) -> None:
    """Of two sessions, behind which the tables are."""
    begin = record_again(folder, 6)
    index(folder)
    lose(folder, next(at for at, one in enumerate(Log(folder).segments()) if one["first_ordinal"] == begin))


def lose_the_second_session(folder: Path) -> None:
    """What it put out of force is told again."""
    before = len(Log(folder).segments())
    record_again(folder, 2)
    index(folder)
    while len(Log(folder).segments()) > before:
        lose(folder, -1)


@pytest.mark.parametrize("loss", [cut_the_end_off, lose_the_end, lose_the_second_beginning, lose_the_second_session])
def test_tables_are_those_of_what_is_left_of_the_log(tmp_path: Path, loss: Callable[[Path], None]) -> None:
    record(tmp_path, pieces=8, session="file:first")
    index(tmp_path)
    loss(tmp_path)
    index(tmp_path)
    found = rows_in(tmp_path)
    expected = rows_made_anew(tmp_path)
    assert found["session_starts"] == expected["session_starts"]
    assert found == expected


@pytest.mark.parametrize(
    ("loss", "told"),
    [(cut_the_end_off, "missing: records 28000 to 32000 were in it"), (lose_the_end, TABLES_OF_ANOTHER)],
)
def test_verify_says_where_tables_contradict_the_log(tmp_path: Path, loss: Callable[[Path], None], told: str) -> None:
    record(tmp_path, pieces=8, session="file:first")
    index(tmp_path)
    assert find_damage(tmp_path)["good"]
    loss(tmp_path)
    assert told in find_damage(tmp_path)["damage"]["what"]
    index(tmp_path)
    assert find_damage(tmp_path)["good"]


def test_a_damaged_frame_takes_no_rows_that_were_made_before(tmp_path: Path) -> None:
    """It hid when its session began: what the index says is another time."""
    record(tmp_path, pieces=4, session="file:first")
    begin = record_again(tmp_path, 4)
    index(tmp_path)
    before, exact = rows_in(tmp_path), Log(tmp_path).session_starts()[1]
    flip(tmp_path, next(at for at, one in enumerate(Log(tmp_path).segments()) if one["first_ordinal"] == begin), 0.3)
    _, _, ts_recv, is_estimated = Log(tmp_path).session_starts()[1]
    assert is_estimated
    assert ts_recv != exact[2]
    index(tmp_path)
    after = rows_in(tmp_path)
    for table in ("session_starts", "trades"):
        assert after[table] == before[table]
    # The second that still runs is made once more, with books in doubt.
    running = max(second for _, second, *_ in before["bbo"])
    for table in ("bbo", "levels"):
        found, expected = ([row for row in rows[table] if row[1] < running] for rows in (after, before))
        assert found == expected
    assert len(rows_made_anew(tmp_path)["trades"]) < len(before["trades"])


def test_a_file_of_the_version_before_is_read_as_one_of_this(tmp_path: Path) -> None:
    """Before a server has brought it up to its version: the recorder asks it first."""
    record(tmp_path, pieces=8)
    index(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.executescript("ALTER TABLE position DROP COLUMN end_ordinal; PRAGMA user_version = 2")
        (position,) = connection.execute("SELECT ordinal FROM position").fetchone()
    assert describe(tmp_path)["tables_damage"] is None
    assert describe(tmp_path)["tables"]["position"] == position > 0
    assert find_damage(tmp_path)["damage"] is None
    assert end_ordinal_in(tmp_path) == position


def test_of_a_file_of_a_later_version_is_said_what_to_do(tmp_path: Path) -> None:
    record(tmp_path, pieces=2)
    index(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 9")
    for told in (describe(tmp_path)["tables_damage"], find_damage(tmp_path)["damage"]["what"]):
        assert "version 9: expected one of this l3book, 3 at most: use the l3book that wrote it, or delete" in told


def test_verify_holds_up_no_writer_while_it_reads_compacted_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, pieces=2)
    index(tmp_path)
    told = []

    def write_and_checkpoint(*_: object) -> None:
        with closing(sqlite3.connect(tmp_path / FILE_NAME, timeout=0, isolation_level=None)) as writer:
            writer.execute("UPDATE compacted_days SET trades = trades + 1")
            told.append(writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())

    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("INSERT INTO compacted_days VALUES (1, 0, 0, 0)")
    monkeypatch.setattr(inspection, "_damage_in_file", write_and_checkpoint)
    assert find_damage(tmp_path)["days"] == 1
    assert told == [(0, 0, 0)] * 3


@pytest.mark.parametrize("table", ["trades", "bbo", "levels"])
def test_verify_finds_a_row_that_a_session_has_put_out_of_force(tmp_path: Path, table: str) -> None:
    record(tmp_path, pieces=8, session="file:first")
    begin = record_again(tmp_path, 2)
    index(tmp_path)
    with sqlite3.connect(tmp_path / "history.sqlite") as connection:
        time = "ts_recv" if table == "trades" else "second"
        connection.execute(
            f"UPDATE {table} SET ordinal = 5 WHERE (book, {time}) IN"
            f" (SELECT book, max({time}) FROM {table} WHERE ordinal >= ?)",
            (begin,),
        )
    damage = find_damage(tmp_path)["damage"]
    assert f"a row of record 5 in {table} that the session of record {begin} has put out of force" in damage["what"]


def test_columns_are_held_against_the_sessions_as_tables_are() -> None:
    sessions = [(0, 100), (10, 3 * NS_PER_S + 7), (20, 5 * NS_PER_S)]
    second = 3 * NS_PER_S
    for table, time, ordinal, is_good in (
        ("trades", second + 6, 9, True),
        ("trades", second + 7, 9, False),
        ("trades", second + 7, 10, True),
        ("bbo", second - NS_PER_S, 9, True),
        ("bbo", second, 9, False),
        ("levels", 5 * NS_PER_S, 19, False),
        ("levels", 5 * NS_PER_S, 20, True),
    ):
        found = columns_out_of_force(table, np.array([0, time], "<u8"), np.array([0, ordinal], "<u8"), sessions)
        assert (found is None) == is_good, (table, time, ordinal)


def test_a_recorder_gives_no_ordinal_again_that_tables_know(tmp_path: Path) -> None:
    """The same session goes on, so that nothing but the ordinals tells its records from those that are lost."""
    end = record(tmp_path, pieces=8)
    index(tmp_path)
    first, _ = lose(tmp_path, -1)
    known = end_ordinal_in(tmp_path)
    assert known == end
    recorder = Recorder(tmp_path, ordinal_min=known)
    assert (recorder.recovered["end_ordinal"], recorder.next_ordinal) == (first, end)
    market = Log(tmp_path).restore(first)
    recorder.begin(market, None)
    market.feed(Simulator(seed=2, instruments=2, resting_max=500).read(4_000))
    assert recorder.close(FLUSH_TIMEOUT_S)
    assert [(hole["first"], hole["end"]) for hole in Log(tmp_path).holes()] == [(first, end)]
    index(tmp_path)
    assert rows_in(tmp_path) == rows_made_anew(tmp_path)
