"""What is removed when a history grows too old or too large, and what has to stay."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from histories import record
from l3book._core import Log
from l3book.history.retention import DAY_S, Limits, Retention
from l3book.history.sqlite import SqliteStore
from store_batches import batch, bbo, level, trade
from store_conformance import ALL, ALWAYS, BOOK

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKPOINT_BYTES = 1_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    store.open()
    yield store
    store.close()


@pytest.fixture
def history(tmp_path: Path, store: SqliteStore) -> Log:
    """Eight segments or so, all of them derived: a trade, best prices and a level of each one's first second."""
    record(tmp_path)
    history = Log(tmp_path)
    assert len(history.segments()) > 5
    rows = [make(one["first_ordinal"], _second(one)) for one in history.segments() for make in (trade, bbo, level)]
    store.write(batch(*rows, resume=history.end_ordinal))
    return history


def _second(segment: dict) -> int:
    return segment["ts_recv_min"] - segment["ts_recv_min"] % 10**9


def checkpoint(folder: Path, ordinal: int) -> Path:
    path = folder / "checkpoints" / f"{ordinal:020}.l3ck"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(CHECKPOINT_BYTES))
    return path


def make_old(segments: list[dict], days: float) -> None:
    at_s = time.time() - days * DAY_S
    for segment in segments:
        os.utime(segment["path"], (at_s, at_s))


def bytes_of(folder: Path, store: SqliteStore) -> int:
    files = [path for name in ("log", "checkpoints") for path in (folder / name).rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) + store.bytes_used()


def test_without_limits_nothing_is_removed(tmp_path: Path, store: SqliteStore, history: Log) -> None:
    make_old(history.segments(), 10_000)
    assert not Retention(tmp_path, store, Limits()).apply(history)
    history.refresh()
    assert history.verify()["good"]


def test_old_segments_go_with_all_that_only_they_could_be_asked_for(
    tmp_path: Path, store: SqliteStore, history: Log, caplog: pytest.LogCaptureFixture
) -> None:
    segments = history.segments()
    useless, useful = (
        checkpoint(tmp_path, segments[2]["first_ordinal"]),
        checkpoint(tmp_path, segments[4]["end_ordinal"]),
    )
    make_old(segments[:4], 8)
    retention = Retention(tmp_path, store, Limits(days_max=7))
    with caplog.at_level(logging.INFO):
        assert retention.apply(history)
    history.refresh()
    assert history.segments() == segments[4:]
    assert history.verify()["good"]
    assert not useless.exists()
    assert useful.exists()
    kept = {Path(one["path"]).name.split(".")[0] for one in segments[4:]}
    assert {path.name.split(".")[0] for path in (tmp_path / "log").glob("*/*/*")} == kept
    assert store.trades(BOOK, *ALWAYS, ALL)[0].ts_recv >= _second(segments[4])
    assert store.bbo(BOOK, *ALWAYS, None, ALL)[0].ts >= _second(segments[4])
    removed = retention.removed
    assert (removed.segments, removed.checkpoints) == (4, 1)
    assert removed.bytes >= sum(one["bytes"] for one in segments[:4]) + CHECKPOINT_BYTES
    assert f"removed 4 segments and 1 checkpoints, {removed.bytes} bytes" in caplog.text
    assert not retention.apply(history)


def test_what_is_removed_is_missed_by_nobody_and_what_is_lost_then_is(
    tmp_path: Path, store: SqliteStore, history: Log
) -> None:
    segments = history.segments()
    checkpoint(tmp_path, segments[4]["end_ordinal"])
    make_old(segments[:4], 8)
    assert Retention(tmp_path, store, Limits(days_max=7)).apply(history)
    log = Log(tmp_path)
    assert (log.kept_from, log.holes()) == (segments[4]["first_ordinal"], [])
    segments[4]["path"].unlink()
    log = Log(tmp_path)
    assert [(hole["first"], hole["end"]) for hole in log.holes()] == [
        (segments[4]["first_ordinal"], segments[4]["end_ordinal"])
    ]
    assert not log.verify()["good"]


def test_nothing_goes_that_no_checkpoint_makes_up_for(tmp_path: Path, store: SqliteStore, history: Log) -> None:
    segments = history.segments()
    make_old(segments, 8)
    retention = Retention(tmp_path, store, Limits(days_max=7))
    assert not retention.apply(history)
    # One inside of the third segment: it needs that segment, and the two before it are needed by nothing else.
    checkpoint(tmp_path, segments[2]["first_ordinal"] + 5)
    assert retention.apply(history)
    history.refresh()
    assert history.segments() == segments[2:]


def test_a_session_begins_without_a_checkpoint(tmp_path: Path, store: SqliteStore, history: Log) -> None:
    first = history.segments()
    end = record(tmp_path, pieces=2, session="file:again.dbn")
    history.refresh()
    store.write(batch(resume=end))
    make_old(first, 8)
    assert Retention(tmp_path, store, Limits(days_max=7)).apply(history)
    history.refresh()
    assert history.first_ordinal == first[-1]["end_ordinal"]
    assert [one["uri"] for one in history.sessions()] == ["file:again.dbn"]


def test_what_is_not_derived_yet_stays(tmp_path: Path, store: SqliteStore, history: Log) -> None:
    segments = history.segments()
    store.write(batch(resume=segments[2]["first_ordinal"]))
    for segment in segments:
        checkpoint(tmp_path, segment["end_ordinal"])
    make_old(segments, 8)
    assert Retention(tmp_path, store, Limits(days_max=7)).apply(history)
    history.refresh()
    assert history.segments() == segments[2:]


def test_the_newest_segment_stays_whatever_its_size_or_age(
    tmp_path: Path, store: SqliteStore, history: Log, caplog: pytest.LogCaptureFixture
) -> None:
    segments = history.segments()
    for segment in segments:
        checkpoint(tmp_path, segment["end_ordinal"])
    make_old(segments, 8)
    retention = Retention(tmp_path, store, Limits(days_max=7, bytes_max=1))
    assert retention.apply(history)
    history.refresh()
    assert history.segments() == segments[-1:]
    assert not retention.apply(history)
    assert caplog.text.count("larger than allowed, and nothing more can be removed") == 1


def test_the_folder_is_kept_below_its_size_and_not_far_below(tmp_path: Path, store: SqliteStore, history: Log) -> None:
    segments = history.segments()
    for segment in segments:
        checkpoint(tmp_path, segment["end_ordinal"])
    bytes_max = bytes_of(tmp_path, store) * 2 // 3
    assert Retention(tmp_path, store, Limits(bytes_max=bytes_max)).apply(history)
    history.refresh()
    kept = history.segments()
    assert bytes_of(tmp_path, store) <= bytes_max
    largest = max(one["bytes"] for one in segments) + CHECKPOINT_BYTES
    assert bytes_of(tmp_path, store) + 2 * largest > bytes_max
    assert kept == segments[-len(kept) :]


def test_what_a_crash_left_behind_goes_at_the_next_start(tmp_path: Path, store: SqliteStore, history: Log) -> None:
    segments = history.segments()
    checkpoint(tmp_path, segments[1]["end_ordinal"])
    # It came as far as the files of the first segment, and its index stayed; then a server was killed.
    Path(segments[0]["path"]).unlink()
    history.refresh()
    assert not Retention(tmp_path, store, Limits(days_max=7)).apply(history)
    assert not Path(segments[0]["path"]).with_suffix("").with_suffix(".index").exists()
    assert store.trades(BOOK, *ALWAYS, ALL)[0].ts_recv >= _second(segments[1])


class Elsewhere:
    """A store that is not in the folder."""

    name = "elsewhere"

    def __init__(self, position: int) -> None:
        self._position = position
        self.pruned: list[int] = []

    def position(self) -> int:
        return self._position

    def prune(self, before_ts: int) -> None:
        self.pruned.append(before_ts)


def test_a_store_elsewhere_is_pruned_by_age_and_not_for_room_on_this_disk(tmp_path: Path, history: Log) -> None:
    segments = history.segments()
    for segment in segments:
        checkpoint(tmp_path, segment["end_ordinal"])
    store = Elsewhere(history.end_ordinal)
    bytes_max = sum(one["bytes"] for one in segments[1:]) + len(segments) * CHECKPOINT_BYTES
    assert Retention(tmp_path, store, Limits(bytes_max=bytes_max)).apply(history)
    assert store.pruned == []
    history.refresh()
    left = history.segments()
    make_old(left[:2], 8)
    assert Retention(tmp_path, store, Limits(days_max=7)).apply(history)
    assert store.pruned == [max(one["ts_recv_max"] for one in left[:2])]


class _Listed:
    """A log of three segments, of which the first is old, with times of one's choice."""

    def __init__(self, folder: Path, times: list[tuple[int, int]]) -> None:
        self._times = times
        self._folder = folder
        folder.mkdir(parents=True)
        for number in range(len(times)):
            self._path(number).write_bytes(b"x")
        make_old([{"path": self._path(0)}], 8)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:020}.dbn.zst"

    def segments(self) -> list[dict]:
        return [
            {
                "path": str(self._path(number)),
                "first_ordinal": number,
                "end_ordinal": number + 1,
                "ts_recv_min": low,
                "ts_recv_max": high,
            }
            for number, (low, high) in enumerate(self._times)
            if self._path(number).exists()
        ]

    def sessions(self) -> list[dict]:
        return [{"ordinal": number} for number in range(len(self._times))]

    def keep_from(self, ordinal: int) -> None: ...

    def refresh(self) -> None: ...


@pytest.mark.parametrize(
    ("times", "pruned"),
    [
        # A recording that was served again: what is kept tells of the same time.
        ([(100, 900), (100, 500), (500, 900)], [100]),
        # A record without a time, and one from the far future.
        ([(100, 2**64 - 1), (300, 500), (500, 900)], []),
        ([(100, 2**62), (300, 500), (500, 900)], [300]),
        ([(100, 200), (300, 2**64 - 1), (2**64 - 1, 2**64 - 1)], [200]),
    ],
)
def test_rows_of_what_is_kept_stay_in_a_store_elsewhere(
    tmp_path: Path, times: list[tuple[int, int]], pruned: list[int]
) -> None:
    store = Elsewhere(len(times))
    listed = _Listed(tmp_path / "log" / "X" / "2026-01-05", times)
    assert Retention(tmp_path, store, Limits(days_max=7)).apply(listed)
    assert store.pruned == pruned


def test_the_folder_may_be_named_from_where_one_stands(
    tmp_path: Path, history: Log, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    relative = Path(tmp_path.name)
    history = Log(relative)
    make_old(history.segments()[:2], 8)
    checkpoint(tmp_path, history.segments()[2]["first_ordinal"])
    assert Retention(relative, store, Limits(days_max=7)).apply(history)


def test_damaged_segments_that_were_set_aside_go_with_what_is_as_old(
    tmp_path: Path, store: SqliteStore, history: Log
) -> None:
    segments = history.segments()
    asides = [Path(f"{one['path']}.damaged") for one in (segments[0], segments[-1])]
    for path in asides:
        path.write_bytes(bytes(1_000))
    checkpoint(tmp_path, segments[2]["first_ordinal"])
    make_old(segments[:2], days=3)
    assert Retention(tmp_path, store, Limits(days_max=2)).apply(history)
    assert [path.exists() for path in asides] == [False, True]
    os.utime(asides[1], (0, 0))
    assert Retention(tmp_path, store, Limits(days_max=2)).apply(history)
    assert not asides[1].exists()
    assert history.segments()[-1]["end_ordinal"] == segments[-1]["end_ordinal"]


def test_damaged_segments_count_and_go_before_a_limit_is_said_to_be_too_low(
    tmp_path: Path, store: SqliteStore, history: Log, caplog: pytest.LogCaptureFixture
) -> None:
    used = sum(one["bytes"] for one in history.segments()) + store.bytes_used()
    sidecars = sum(path.stat().st_size for path in (tmp_path / "log").rglob("*.index"))
    sidecars += sum(path.stat().st_size for path in (tmp_path / "log").rglob("*.orders"))
    aside = Path(f"{history.segments()[-1]['path']}.damaged")
    aside.write_bytes(bytes(500_000))
    retention = Retention(tmp_path, store, Limits(bytes_max=used + sidecars + 100_000))
    # Without a checkpoint nothing else can go.
    assert retention.apply(history)
    assert not aside.exists()
    assert retention.removed.bytes == 500_000
    assert "larger than allowed" not in caplog.text
    assert not retention.apply(history)
