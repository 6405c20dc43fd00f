"""Replays, restored books and files at the edges of what is recorded: holes, lost beginnings, sessions' ends."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from dbn_bytes import T0, Mbo, metadata, stream
from histories import FLUSH_TIMEOUT_S, record
from holed_histories import books, checkpoints, lose, replayed, states
from l3book import Market
from l3book._core import HistoryError, Indexer, Log, NotRecordedError, Past, Recorder, Replay
from l3book.history.holes import holes_in
from running import run

FOREVER = 2**63
STEP_NS = 1_000
BOOK = (1, 1)


def adds(numbers: range, instrument_id: int = 1) -> bytes:
    """Orders that come a microsecond after each other; the number is that of the time, too."""
    return stream(
        [
            Mbo(
                "A", "B", 10**9, 5, number, ts_event=T0 + number * STEP_NS, ts_recv=T0 + number * STEP_NS + 500,
                sequence=number, instrument_id=instrument_id,
            )
            for number in numbers
        ]
    )  # fmt: skip


def begin(folder: Path, **settings: int) -> tuple[Recorder, Market]:
    recorder, market = Recorder(folder, **settings), Market()
    recorder.begin(market, "file:x")
    market.feed(metadata(version=3, symbols={"ONE": 1, "TWO": 2}))
    return recorder, market


def at_end(folder: Path) -> Replay:
    replay = Replay(folder)
    while replay.advance(FOREVER, 1_000_000):
        pass
    return replay


def seq_of(replay: Replay) -> int:
    return int(json.loads(replay.market.book_json(BOOK))["seq"])


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with a hole that the recorder has left: its queue was too small for what came at once."""
    folder = tmp_path_factory.mktemp("full")
    recorder, market = begin(folder, queue_bytes_max=1 << 20)
    for numbers in (range(1, 101), range(101, 60_101)):
        market.feed(adds(numbers))
        time.sleep(0.5)
    for first in (60_101, 60_111):
        market.feed(adds(range(first, first + 10)))
        assert recorder.flush(FLUSH_TIMEOUT_S)
    assert recorder.close(FLUSH_TIMEOUT_S)
    assert len(Log(folder).holes()) == 1
    return folder


def test_each_step_back_over_the_recorders_hole_goes_back(full: Path) -> None:
    [hole] = Log(full).holes()
    replay = at_end(full)
    while replay.ordinal > hole["first"] - 20:
        before = replay.ordinal
        assert replay.step(BOOK, -1) == -1
        assert replay.ordinal < before
    assert seq_of(replay) == replay.ordinal, "before the hole, each record is an event"


def test_a_replay_begins_at_no_time_in_a_hole(full: Path) -> None:
    [hole] = Log(full).holes()
    inside = T0 + (hole["first"] + hole["end"]) // 2 * STEP_NS
    replay = at_end(full)
    before = replay.ordinal, seq_of(replay)
    for ask in (replay.seek, lambda at: Replay(full, at), lambda at: Past(full).book_json("1:1", at)):
        with pytest.raises(
            NotRecordedError, match=f"lies in a hole of the history that begins at ordinal {hole['first']}"
        ):
            ask(inside)
    assert (replay.ordinal, seq_of(replay)) == before
    replay.seek(T0 + (hole["end"] + 5) * STEP_NS)
    assert json.loads(replay.market.book_json(BOOK))["state"] == "live"


def test_a_book_that_may_have_begun_in_a_hole_is_in_doubt(tmp_path: Path) -> None:
    """Of the second book fifty orders are lost, and with them that there was one."""
    recorder, market = begin(tmp_path, segment_bytes_max=1)
    for piece in (adds(range(1, 101)), adds(range(101, 151), 2), adds(range(151, 153)) + adds(range(153, 155), 2)):
        market.feed(piece)
        assert recorder.flush(FLUSH_TIMEOUT_S)
    assert recorder.close(FLUSH_TIMEOUT_S)
    assert lose(tmp_path, 1) == (100, 150)
    log = Log(tmp_path)
    there = log.restore(log.end_ordinal)
    assert states(there) == {"suspect"}
    assert states(at_end(tmp_path).market) == {"suspect"}
    # Right behind the hole, by ts_event, which is earlier than ts_recv.
    first = T0 + 151 * STEP_NS
    assert json.loads(Past(tmp_path).book_json("1:1", first))["seq"] > 100
    with pytest.raises(NotRecordedError):
        Past(tmp_path).book_json("1:1", first - 1)
    assert books(replayed(log, 0, log.end_ordinal)) == books(there)
    # What is made of the log later must not forget it.
    checkpoints(tmp_path, 1)
    assert states(Log(tmp_path).restore(log.end_ordinal)) == {"suspect"}
    assert json.loads(Past(tmp_path).book_json("1:2", FOREVER))["state"] == "suspect"


def test_a_session_whose_beginning_is_lost_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    record(tmp_path, pieces=4)
    record(tmp_path, pieces=8, seed=2)
    at = next(i for i, one in enumerate(Log(tmp_path).segments()) if one["first_ordinal"] >= 16_000)
    _, behind = lose(tmp_path, at)
    log = Log(tmp_path)
    replay = Replay(tmp_path, log.sessions()[0]["ts_event_min"] + 10**6)
    while replay.ordinal < behind + 3_000:
        assert replay.advance(FOREVER, behind + 3_000 - replay.ordinal)
    there = books(replay.market)
    held = there.values()
    assert {book["state"] for book in held if book["bids"]} == {"suspect"}
    # No order of the session before is in a book: the other side of the hole has its own.
    fresh = replayed(log, behind, replay.ordinal)
    bids = [{order[0] for level in book["bids"] for order in level[3]} for book in held]
    own = [{order[0] for level in book["bids"] for order in level[3]} for book in books(fresh).values()]
    assert set().union(*bids) <= set().union(*own)
    before = replay.ordinal
    instrument = replay.market.instruments()[0]
    with pytest.raises(NotRecordedError, match="its session's beginning is gone"):
        replay.step((instrument.publisher_id, instrument.instrument_id), -1)
    assert (replay.ordinal, books(replay.market)) == (before, there)
    # So it is in the tables, too, with nothing of the session before in its books.
    indexer, begun = Indexer(tmp_path, ordinal=0, checkpoint_records=1), []
    while batch := indexer.advance(10_000):
        begun += batch.sessions
    assert [one[0] for one in begun] == [0, 16_000]
    assert states(Log(tmp_path).restore()) == {"suspect"}


def test_a_step_back_at_a_sessions_end_stays_in_it_though_another_has_begun(tmp_path: Path) -> None:
    record(tmp_path, pieces=2)
    replay = at_end(tmp_path)
    key = next((one.publisher_id, one.instrument_id) for one in replay.market.instruments())
    seq, end = int(json.loads(replay.market.book_json(key))["seq"]), replay.ordinal
    record(tmp_path, pieces=1, seed=3)
    assert replay.step(key, -1) == -1
    assert replay.ordinal < end
    assert json.loads(replay.market.book_json(key))["seq"] == seq - 1
    assert books(replay.market) == books(Log(tmp_path).restore(replay.ordinal))


def test_a_file_that_begins_in_a_hole_names_it(full: Path) -> None:
    [hole] = Log(full).holes()
    inside = (hole["first"] + hole["end"]) // 2
    log, past = Log(full), Past(full)
    first, end = past.ordinal_at(T0 + inside * STEP_NS), past.ordinal_at(T0 + (hole["end"] + 5) * STEP_NS)
    [found] = holes_in(log, first, end)
    assert (found.ordinal, found.records) == (hole["first"], hole["end"] - hole["first"])
    assert not holes_in(log, first + 1, end)


def test_books_of_an_older_session_are_reconstructed(tmp_path: Path) -> None:
    """At the ordinal at which it ends the next one begins, with other books."""
    record(tmp_path, pieces=2)
    record(tmp_path, pieces=1, seed=3)
    old, _ = Log(tmp_path).sessions()
    past = Past(tmp_path)
    for at in (old["ts_event_min"] + 10**8, old["ts_event_max"]):
        done = run("reconstruct", tmp_path, "--at", at, "--depth", 5)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert len(told) == 2
        for book in told:
            assert book == json.loads(past.book_json((book["publisher_id"], book["instrument_id"]), at, depth=5))


def test_segments_that_tell_the_same_ordinals_are_refused(tmp_path: Path) -> None:
    record(tmp_path, pieces=4)
    segment = Log(tmp_path).segments()[1]["path"]
    path = Path(segment)
    twice = path.parent.parent / "2099-12-31" / path.name
    twice.parent.mkdir()
    twice.write_bytes(path.read_bytes())
    with pytest.raises(HistoryError, match=r"begins with ordinal .* ends before ordinal .* expected one of them"):
        Log(tmp_path)
