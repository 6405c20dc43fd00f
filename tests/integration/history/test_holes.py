"""Files and books over a part of the log that is lost: whoever replays a file has the books of each time, and knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from histories import FLUSH_TIMEOUT_S, record
from holed_histories import (
    books,
    checkpoints,
    lose,
    lose_checkpoint,
    next_checkpoint,
    replayed,
    states,
)
from l3book import Deriver, Market
from l3book._core import Indexer, Log, Past, Recorder, Simulator
from l3book.history.holes import holes_in
from l3book.history.stretch import rows_of
from running import error_line, run

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKPOINT_RECORDS = 5_000
RECORD_BYTES = 56


def recorded(folder: Path, pieces: list[int], before: Callable[[int, Market], None] = lambda *_: None) -> Path:
    """Record pieces of so many records, each durable at once; `before` is called before each, with its number."""
    recorder = Recorder(folder, segment_bytes_max=60_000)
    market = Market()
    recorder.begin(market, "synthetic:")
    simulator = Simulator(seed=1, instruments=2, resting_max=500)
    market.feed(simulator.header())
    for at, records in enumerate(pieces):
        before(at, market)
        market.feed(simulator.read(records))
        assert recorder.flush(FLUSH_TIMEOUT_S)
    assert recorder.close(FLUSH_TIMEOUT_S)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A history of which one segment is lost, and none of the checkpoints stands right behind it."""
    folder = tmp_path / "history"
    record(folder, pieces=12)
    checkpoints(folder, CHECKPOINT_RECORDS)
    _, behind = lose(folder, 2)
    lose_checkpoint(folder, behind)
    return folder


def hole(folder: Path) -> tuple[int, int]:
    """-> where it begins and where it ends, in ordinals."""
    log = Log(folder)
    [found] = holes_in(log, log.first_ordinal, log.end_ordinal)
    return found.ordinal, found.ordinal + found.records


@pytest.mark.parametrize("beyond", [-1, 0, 1, 1_500])
def test_who_replays_a_file_over_a_hole_has_the_books_of_its_end(folder: Path, beyond: int) -> None:
    """`beyond`: so many records behind the checkpoint from which on books are known again."""
    log = Log(folder)
    end = next_checkpoint(folder, hole(folder)[1]) + beyond
    there = log.restore(end)
    assert states(there) == ({"suspect"} if beyond < 0 else {"live"})
    assert books(replayed(log, log.first_ordinal, end)) == books(there)


@pytest.mark.parametrize("behind_hole", [1, 500])
def test_a_file_that_begins_in_doubt_is_in_doubt_until_books_are_known_again(folder: Path, behind_hole: int) -> None:
    log = Log(folder)
    first = hole(folder)[1] + behind_hole
    known = next_checkpoint(folder, first)
    for end in (first, first + 1, known - 1, known, known + 700):
        market = replayed(log, first, end, with_snapshot=True)
        assert books(market) == books(log.restore(end)), end
        assert states(market) == ({"suspect"} if end < known else {"live"})


def test_a_checkpoint_at_the_end_of_a_hole_leaves_no_doubt(tmp_path: Path) -> None:
    """As a recorder makes one when it goes on behind what it had to leave out."""
    folder = tmp_path / "history"
    record(folder)
    checkpoints(folder, 1)
    _, behind = lose(folder, 2)
    log = Log(folder)
    for end in (behind, behind + 1, log.end_ordinal):
        market = replayed(log, log.first_ordinal, end)
        assert books(market) == books(log.restore(end))
        assert states(market) == {"live"}


def test_checkpoints_of_books_that_are_in_doubt_make_nothing_known(tmp_path: Path) -> None:
    """All that is derived is made anew after the loss; nothing says by itself what was lost."""
    folder = tmp_path / "history"
    record(folder)
    lose(folder, 2)
    checkpoints(folder, CHECKPOINT_RECORDS)
    log = Log(folder)
    there = log.restore(log.end_ordinal)
    assert states(there) == {"suspect"}
    assert books(replayed(log, log.first_ordinal, log.end_ordinal)) == books(there)


def test_a_damaged_checkpoint_is_passed_over_by_all_who_come_to_it_in_doubt(folder: Path) -> None:
    behind = hole(folder)[1]
    known = next_checkpoint(folder, behind)
    record_more = next_checkpoint(folder, known + 1)
    path = folder / "checkpoints" / f"{known:020}.l3ck"
    content = bytearray(path.read_bytes())
    content[-20] ^= 0x10
    path.write_bytes(content)
    log = Log(folder)
    for end in (known, known + 10, record_more, log.end_ordinal):
        there = log.restore(end)
        assert states(there) == ({"live"} if end >= record_more else {"suspect"})
        assert books(replayed(log, 0, end)) == books(there)
        assert books(replayed(log, known, end, with_snapshot=True)) == books(there)
    indexer = Indexer(folder, ordinal=0, checkpoint_records=1_000_000)
    while batch := indexer.advance(1_000_000):
        assert batch.holes in ([], [(hole(folder)[0], behind, "a segment is missing")])
    assert indexer.next_ordinal == log.end_ordinal


def test_what_repairs_a_book_in_the_log_repairs_it_in_the_file(tmp_path: Path) -> None:
    """A snapshot that came behind the hole, as after a reconnection."""

    def tell_one_anew(at: int, market: Market) -> None:
        if at == 4:
            first = market.instruments()[0]
            stream = market.stream("dbn", (first.publisher_id, first.instrument_id)).snapshot().binary or b""
            market.feed(stream[8 + int.from_bytes(stream[4:8], "little") :])

    folder = recorded(tmp_path / "history", [4_000] * 6, tell_one_anew)
    lose(folder, 1)
    log = Log(folder)
    there = log.restore(log.end_ordinal)
    assert states(there) == {"live", "suspect"}, "the one that came anew, and the other"
    assert books(replayed(log, log.first_ordinal, log.end_ordinal)) == books(there)


@pytest.mark.parametrize("cut", range(7))
def test_a_checkpoint_inside_an_event_loses_nothing_of_it(tmp_path: Path, cut: int) -> None:
    # Records are cut wherever that is, frames with them, and checkpoints stand where frames end.
    folder = recorded(tmp_path / "history", [8_000, 8_000, 3_000 + cut, 7_000])
    checkpoints(folder, 1)
    _, behind = lose(folder, 1)
    lose_checkpoint(folder, behind)
    log = Log(folder)
    known = next_checkpoint(folder, behind)
    for end in (known, known + 1, known + 30, log.end_ordinal):
        assert books(replayed(log, log.first_ordinal, end)) == books(log.restore(end)), end


def test_the_lost_beginning_of_a_session_is_named_and_its_books_are_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    record(folder, pieces=4)
    record(folder, pieces=6, seed=2)
    at = next(i for i, one in enumerate(Log(folder).segments()) if one["first_ordinal"] >= 16_000)
    first, behind = lose(folder, at)
    log = Log(folder)
    assert [(one.ordinal, one.records) for one in holes_in(log, 0, log.end_ordinal)] == [(first, behind - first)]
    told = books(replayed(log, 0, log.end_ordinal)).values()
    # Those of the session before are cleared.
    assert {book["state"] for book in told if book["bids"]} == {"suspect"}


def test_the_lost_end_of_a_session_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    record(folder, pieces=4)
    record(folder, pieces=2, seed=2)
    at = next(i for i, one in enumerate(Log(folder).segments()) if one["end_ordinal"] == 16_000)
    first, behind = lose(folder, at)
    log = Log(folder)
    assert [(one.ordinal, one.records) for one in holes_in(log, 0, log.end_ordinal)] == [(first, behind - first)]
    assert books(replayed(log, 0, log.end_ordinal)) == books(log.restore(log.end_ordinal))


def test_damaged_metadata_makes_no_doubt(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    record(folder)
    checkpoints(folder, CHECKPOINT_RECORDS)
    path = Path(Log(folder).segments()[2]["path"])
    content = bytearray(path.read_bytes())
    content[30] ^= 0x10
    path.write_bytes(content)
    log = Log(folder)
    rows = b"".join(rows_of(log, log.first_ordinal, log.end_ordinal, Deriver("mbo")))
    assert len(rows) == log.end_ordinal * RECORD_BYTES
    assert books(replayed(log, log.first_ordinal, log.end_ordinal)) == books(log.restore(log.end_ordinal))


@pytest.mark.parametrize("schema", ["mbp-10", "mbp-1", "bbo-1s"])
def test_rows_of_books_are_right_again_behind_a_hole(folder: Path, schema: str) -> None:
    log = Log(folder)
    known = next_checkpoint(folder, hole(folder)[1])
    deriver = Deriver(schema)
    over = b"".join(rows_of(log, log.first_ordinal, log.end_ordinal, deriver))
    fresh = b"".join(rows_of(log, known, log.end_ordinal, Deriver(schema)))
    # The second that one begins in is not whole.
    kept = fresh[-deriver.row_bytes :] if schema == "bbo-1s" else fresh
    assert kept
    assert over.endswith(kept)


def test_trades_have_neither_flags_nor_snapshots(folder: Path) -> None:
    log = Log(folder)
    rows = b"".join(rows_of(log, log.first_ordinal, log.end_ordinal, Deriver("trades")))
    deriver = Deriver("trades")
    told = deriver.feed(log.dbn(log.first_ordinal, log.end_ordinal).read(1 << 30)) + deriver.flush()
    assert rows == told


def test_a_book_as_of_a_time_behind_a_hole_is_in_doubt_and_of_a_time_in_it_there_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    record(folder)
    _, behind = lose(folder, 2)
    log = Log(folder)
    at = int.from_bytes(log.read(behind + 100, 1)[1][8:16], "little")
    key = log.restore(behind + 1).instruments()[0]
    name = f"{key.publisher_id}:{key.instrument_id}"
    book = json.loads(Past(folder).book_json(name, at, level=3, depth=None))
    ordinal = Past(folder).ordinal_at(at)
    there = json.loads(log.restore(ordinal).book_json(name, level=3, depth=None))
    assert book["state"] == there["state"] == "suspect"
    assert [book["bids"], book["asks"]] == [there["bids"], there["asks"]]


def test_export_names_the_hole(folder: Path, tmp_path: Path) -> None:
    first, behind = hole(folder)
    done = run("history", "export", folder, "-o", tmp_path / "all.dbn.zst")
    assert done.returncode == 0, done.stderr
    told = done.stderr.decode()
    assert f"{behind - first:,} records from {first:,} on are missing: the segment is missing or damaged" in told
    assert "a hole in the history, 20" in told


def test_info_names_a_file_that_is_short_and_tells_the_rest(folder: Path) -> None:
    log = Log(folder)
    last = Path(log.segments()[-1]["path"])
    size = last.stat().st_size
    with last.open("r+b") as file:
        file.truncate(size - 100)
    done = run("history", "info", folder)
    assert done.returncode == 1
    assert f"byte {size - 100}: the file ends here, its index knows of {size} bytes" in error_line(done)
    assert f"ordinals 0 to {log.end_ordinal:,}" in done.stdout.decode()


def test_a_lost_first_segment_is_named_as_a_hole(tmp_path: Path) -> None:
    """Also where a session begins behind it, as retention would leave it."""
    folder = tmp_path / "history"
    end = record(folder)
    begin = record(folder, pieces=2, seed=2)
    while Log(folder).first_ordinal < end:
        lose(folder, 0)
    missing = f"{end:,} records from 0 on are missing: the segment is missing or damaged"
    done = run("history", "info", folder)
    assert (done.returncode, missing in done.stdout.decode()) == (0, True)
    line = error_line(run("history", "verify", folder))
    assert f"ordinal 0: records 0 to {end} are missing before this segment" in line
    export = run("history", "export", folder, "-o", tmp_path / "all.dbn.zst")
    assert (export.returncode, missing in export.stderr.decode()) == (0, True)
    assert [(hole.ordinal, hole.records) for hole in holes_in(Log(folder), 0, begin)] == [(0, end)]


def told_nowhere(folder: Path) -> None:
    """As an earlier version left it."""
    (folder / "log" / "kept-from").unlink()


def test_verify_misses_the_first_segment_where_nothing_was_made_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    record(folder)
    told_nowhere(folder)
    _, behind = lose(folder, 0)
    line = error_line(run("history", "verify", folder))
    assert f"offset 0, ordinal {behind:,}: the log begins here, inside of the session of record 0" in line
    record(folder, pieces=1, seed=2)
    assert run("history", "verify", folder).returncode == 0, "as retention leaves a log: a session begins"


def test_verify_misses_the_first_segment_by_what_was_made_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    record(folder)
    checkpoints(folder, 1)
    told_nowhere(folder)
    _, behind = lose(folder, 0)
    done = run("history", "verify", folder)
    assert done.returncode == 1
    assert f"the log begins at {behind}: a segment is missing" in error_line(done)
