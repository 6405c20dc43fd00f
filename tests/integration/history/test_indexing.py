"""The thread that keeps a store up with the log: what it does when something fails, and that it says so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from histories import record
from l3book._core import Log
from l3book.history import indexing
from l3book.history.indexing import Indexing
from l3book.history.sqlite import SqliteStore
from l3book.history.store import StoreError
from naive_store import NaiveStore
from store_batches import RandomBatches
from store_conformance import everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from store_batches import MadeBatch

WAIT_S = 60
BATCHES = RandomBatches(5, 20).batches


class MadeIndexer:
    """Gives made-up batches, as the core's Indexer gives those of a log."""

    begun_at: list[int]
    batches: list[MadeBatch]
    faults: list[str]

    def __init__(self, _folder: Path, *, ordinal: int, **_options: object) -> None:
        self.begun_at.append(ordinal)
        self._left = [made for made in self.batches if made.end_ordinal > ordinal]
        self.next_ordinal = ordinal

    def advance(self, _records_max: int) -> MadeBatch | None:
        if not self._left:
            # The log has more records than there are batches.
            self.next_ordinal = 2**63
            return None
        made = self._left.pop(0)
        self.next_ordinal = made.end_ordinal
        return made

    def take_error(self) -> str | None:
        return self.faults.pop() if self.faults else None


class FaultyStore(SqliteStore):
    """Fails as often as it is told to."""

    faults: list[Exception]

    def write(self, batch: MadeBatch) -> None:
        if self.faults:
            raise self.faults.pop()
        super().write(batch)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[MadeIndexer]:
    """A log that is long enough; instead of what is made of its records, made-up batches with sessions of their own."""
    monkeypatch.setattr(MadeIndexer, "begun_at", [], raising=False)
    monkeypatch.setattr(MadeIndexer, "batches", list(BATCHES), raising=False)
    monkeypatch.setattr(MadeIndexer, "faults", [], raising=False)
    monkeypatch.setattr(indexing, "Indexer", MadeIndexer)
    monkeypatch.setattr(indexing, "contradiction", lambda *_: None)
    monkeypatch.setattr(indexing, "BATCH_INTERVAL_S", 0.01)
    monkeypatch.setattr(indexing, "RETRY_FIRST_S", 0.01)
    assert record(tmp_path, pieces=1) >= BATCHES[-1].end_ordinal
    return MadeIndexer


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[SqliteStore], Indexing]]:
    started: list[Indexing] = []

    def start(store: SqliteStore) -> Indexing:
        made = Indexing(tmp_path, store)
        started.append(made)
        made.start()
        return made

    yield start
    for one in started:
        assert one.stop(WAIT_S)


def wait_until(condition: Callable[[], bool], what: Indexing) -> None:
    until_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until_s, what.stats()
        time.sleep(0.01)


def expected() -> dict:
    naive = NaiveStore()
    for one in BATCHES:
        naive.write(one)
    return everything(naive)


def test_it_writes_all_there_is_and_tells_how_far_it_is(made: type[MadeIndexer], start, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    running = start(store)
    wait_until(lambda: running.stats()["position"] == BATCHES[-1].resume_ordinal, running)
    wait_until(lambda: running.stats()["lag_s"] == 0.0, running)
    stats = running.stats()
    assert everything(store) == expected()
    rows = sum(len(one.trades_made) + len(one.bbo_made) + len(one.levels_made) for one in BATCHES)
    assert (stats["state"], stats["error"], stats["store"]) == ("indexing", None, "sqlite")
    assert (stats["batches"], stats["rows"], stats["errors"]) == (len(BATCHES), rows, 0)
    with store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM segments").fetchone() == (1,)
    assert running.stop(WAIT_S)
    assert running.stats()["state"] == "stopped"


def test_what_fails_is_told_and_tried_again_from_where_the_store_is(
    made: type[MadeIndexer], start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FaultyStore(tmp_path)
    store.faults = [StoreError("the disk is full"), StoreError("the disk is full"), KeyError("a bug")]
    store.open()
    store_position = BATCHES[7].resume_ordinal
    for one in BATCHES[:8]:
        SqliteStore.write(store, one)
    running = start(store)
    wait_until(lambda: running.stats()["position"] == BATCHES[-1].resume_ordinal, running)
    assert everything(store) == expected()
    assert made.begun_at == [store_position] * 4
    stats = running.stats()
    assert (stats["state"], stats["error"], stats["errors"], stats["restarts"]) == ("indexing", None, 3, 3)
    assert caplog.text.count("tried again: the disk is full") == 1
    assert "KeyError" in caplog.text
    assert "indexed again" in caplog.text


def test_while_it_fails_its_state_says_why_and_it_can_be_stopped(
    made: type[MadeIndexer], start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "RETRY_FIRST_S", 3600)
    store = FaultyStore(tmp_path)
    store.faults = [StoreError("history.sqlite: database or disk is full")]
    running = start(store)
    wait_until(lambda: running.stats()["state"] == "failing", running)
    stats = running.stats()
    assert stats["error"] == "history.sqlite: database or disk is full"
    assert stats["lag_s"] > 0
    assert running.stop(WAIT_S)


def test_a_checkpoint_that_cannot_be_made_is_told_and_stops_nothing(
    made: type[MadeIndexer], start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made.faults.append("checkpoints: permission denied")
    running = start(SqliteStore(tmp_path))
    wait_until(lambda: running.stats()["position"] == BATCHES[-1].resume_ordinal, running)
    assert (running.stats()["state"], running.stats()["errors"], running.stats()["restarts"]) == ("indexing", 1, 0)
    assert "could not be made: checkpoints: permission denied" in caplog.text


def test_a_store_that_cannot_be_opened_is_opened_once_it_can(made: type[MadeIndexer], start, tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").mkdir()
    store = SqliteStore(tmp_path)
    running = start(store)
    wait_until(lambda: running.stats()["errors"] >= 2, running)
    (tmp_path / "history.sqlite").rmdir()
    wait_until(lambda: running.stats()["position"] == BATCHES[-1].resume_ordinal, running)
    assert everything(store) == expected()


class StoreElsewhere:
    """A store that may be another history's."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_a_store_of_another_log_is_refused(start, tmp_path: Path) -> None:
    record(tmp_path, pieces=1)
    store = StoreElsewhere(SqliteStore(tmp_path))
    store.open()
    store.write(RandomBatches(6, 2_000).batches[-1])
    rows, told = store.end_ordinal(), everything(store)
    running = start(store)
    wait_until(lambda: running.stats()["state"] == "failing", running)
    assert f"rows of {rows} records, the log has {Log(tmp_path).end_ordinal} in {tmp_path}" in str(
        running.stats()["error"]
    )
    assert everything(store) == told


@pytest.mark.parametrize(("again", "level"), [("file:older", "WARNING"), ("file:later", "INFO")])
def test_what_is_out_of_force_from_now_on_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, again: str, level: str
) -> None:
    """Whoever serves an older file into a folder would look in vain for what it has of later times."""
    record(tmp_path, session="file:later", pieces=2)
    record(tmp_path, session=again, pieces=1)
    later, _ = Log(tmp_path).sessions()
    caplog.set_level("INFO")
    running = Indexing(tmp_path, SqliteStore(tmp_path))
    running.start()
    assert running.stop(WAIT_S), running.stats()
    (told,) = [line for line in caplog.records if "out of force" in line.getMessage()]
    assert told.levelname == level
    assert f"{again} begins at " in told.getMessage()
    assert f"up to {later['ts_recv_max']}" in told.getMessage()
