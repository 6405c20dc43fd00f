"""Indexing in a process of its own: what becomes of the tables when it is killed, and of it when its parent is."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from histories import record
from indexers import needs_proc, wait_for_end, wait_for_indexer
from l3book._core import Log, Simulator
from l3book.config import Settings
from l3book.history import beginning, indexing_main, indexing_process
from l3book.history.indexing import Indexing
from l3book.history.indexing_process import SILENT_S_MAX, IndexingProcess
from l3book.history.sqlite import SqliteStore
from l3book.history.store import StoreError
from l3book.history.uri import PASSWORD_VARIABLE
from l3book.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from l3book.history.store import Store
    from running import RunningServer

WAIT_S = 60
SLOW_S = 5
ALWAYS = (0, 2**63 - 1)
ALL = 1_000_000

pytestmark = needs_proc


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "history"


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[], IndexingProcess]]:
    started: list[IndexingProcess] = []

    def start() -> IndexingProcess:
        made = IndexingProcess(folder, "sqlite:", SqliteStore(folder))
        started.append(made)
        made.start()
        return made

    yield start
    for one in started:
        one.stop(WAIT_S)


def wait_until(condition: Callable[[], object], what: IndexingProcess) -> None:
    until_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until_s, what.stats()
        time.sleep(0.02)


def wait_until_written(running: IndexingProcess, end: int) -> None:
    wait_until(lambda: running._lag.written >= end, running)


def can_be_asked(store: Store) -> bool:
    try:
        store.position()
    except StoreError:
        return False
    return True


def rows_of(store: Store) -> dict[str, list]:
    """All rows. Which record of a second that still runs was the last when a row was written is left out."""
    found: dict[str, list] = {"instruments": store.instruments()}
    for row in store.instruments():
        book = (row.publisher_id, row.instrument_id)
        found[f"trades {book}"] = store.trades(book, *ALWAYS, ALL)
        for name, rows in (
            ("bbo", store.bbo(book, *ALWAYS, None, ALL)),
            ("levels", store.levels(book, *ALWAYS, None, ALL)),
        ):
            last = max((row.ts for row in rows), default=0)
            found[f"{name} {book}"] = [row._replace(ordinal=0) if row.ts == last else row for row in rows]
    return found


def assert_whole(folder: Path, elsewhere: Path) -> None:
    """The tables are what one thread makes of the whole log, undisturbed."""
    elsewhere.mkdir()
    undisturbed, there = Indexing(folder, SqliteStore(elsewhere)), SqliteStore(folder)
    undisturbed.start()
    assert undisturbed.stop(WAIT_S)
    undisturbed.store.open()
    there.open()
    try:
        rows = rows_of(there)
        assert any(rows.values())
        assert rows == rows_of(undisturbed.store)
        assert there.position() == undisturbed.store.position()
    finally:
        undisturbed.store.close()
        there.close()


def test_a_process_that_is_killed_is_started_again_and_the_tables_are_whole(
    folder: Path, start: Callable[[], IndexingProcess], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(folder, seed=1)
    running = start()
    killed = 0
    for seed in (2, 3):
        killed = wait_for_indexer(folder, other_than=killed)
        # While it is at it, or before it has begun.
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda seed=seed: running.stats()["restarts"] == seed - 1, running)
        end = record(folder, seed=seed)
    wait_until_written(running, end)
    wait_until(lambda: running.stats()["state"] == "indexing" and running.stats()["lag_s"] == 0.0, running)
    stats = running.stats()
    assert (stats["restarts"], stats["errors"], stats["error"]) == (2, 2, None)
    wait_until(lambda: can_be_asked(running.store), running)
    assert rows_of(running.store)["instruments"], "it can be asked here, while it is written there"
    assert running.stop(WAIT_S)
    assert running.stats()["state"] == "stopped"
    assert "tried again: the indexing process was ended by SIGKILL" in caplog.text
    assert "indexed again" in caplog.text
    assert_whole(folder, tmp_path / "elsewhere")


def test_how_far_it_is_behind_does_not_forget_how_long_nobody_was_at_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr(indexing_process, "time", SimpleNamespace(monotonic=lambda: now_s))
    running = IndexingProcess(folder, "sqlite:", SqliteStore(folder))

    def told(seen: int, written: int, lag_s: float) -> float:
        stats = {**running.stats(), "lag_s": lag_s}
        running._take({"stats": stats, "is_open": False, "seen": seen, "written": written})
        return running.stats()["lag_s"]

    assert told(seen=100, written=100, lag_s=0.0) == 0.0
    now_s = 10.0
    assert told(seen=200, written=100, lag_s=0.4) == 0.4, "as it was told, and not when"
    now_s = 10.0 + SILENT_S_MAX + 1
    assert running.stats()["lag_s"] == 0.4 + SILENT_S_MAX + 1, "nobody tells: nothing is taken for written"
    # Another process knows nothing of the one before.
    now_s = 20.0
    assert told(seen=300, written=100, lag_s=0.1) == 10.0
    now_s = 21.0
    assert told(seen=300, written=200, lag_s=0.0) == 1.0
    assert told(seen=300, written=300, lag_s=0.0) == 0.0


def test_it_is_not_indexed_again_before_it_has_looked_at_the_log(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As it is while a long log is opened: a process that is killed each time must not be said to be well each time."""
    folder.mkdir()
    running = IndexingProcess(folder, "sqlite:", SqliteStore(folder))

    def told(*, is_open: bool, lag_s: float, batches: int = 0) -> str | None:
        stats = {**running._stats, "state": "indexing", "error": None, "lag_s": lag_s, "batches": batches}
        running._take({"stats": stats, "is_open": is_open, "seen": 0, "written": 0})
        return running.stats()["error"]

    running._fail("killed")
    assert told(is_open=False, lag_s=0.0) == "killed"
    running._fail("killed")
    assert told(is_open=False, lag_s=0.0) == "killed"
    assert caplog.text.count("tried again: killed") == 1
    assert told(is_open=True, lag_s=3.0) == "killed", "it restores its books"
    assert "indexed again" not in caplog.text
    assert told(is_open=True, lag_s=3.0, batches=1) is None
    assert caplog.text.count("indexed again") == 1
    running.stop(WAIT_S)


def test_a_store_that_keeps_the_server_waiting_does_not_keep_the_process_waiting(folder: Path) -> None:
    class SlowStore(SqliteStore):
        may_open = Event()
        was_opened = Event()

        def open(self) -> None:
            self.may_open.wait(SLOW_S)
            super().open()
            self.was_opened.set()

    folder.mkdir()
    running = IndexingProcess(folder, "sqlite:", store := SlowStore(folder))
    for position in (1, 2):
        stats = {**running._stats, "position": position}
        running._take({"stats": stats, "is_open": True, "seen": 2, "written": 2})
        assert running.stats()["position"] == position
        assert not store.was_opened.is_set()
    store.may_open.set()
    assert store.was_opened.wait(WAIT_S)
    wait_until(lambda: can_be_asked(store), running)
    running.stop(WAIT_S)
    assert not can_be_asked(store)


def test_it_takes_the_time_that_others_leave(folder: Path, start: Callable[[], IndexingProcess]) -> None:
    end = record(folder)
    running = start()
    wait_until_written(running, end)
    pid = wait_for_indexer(folder)
    # Those that its libraries have started before are none that work.
    idle = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if is_idle(int(task.name))]
    assert pid in idle
    assert len(idle) >= 3, "what listens and what indexes, too"


def is_idle(thread: int) -> bool:
    return os.sched_getscheduler(thread) == os.SCHED_IDLE


def test_signals_to_all_of_a_group_do_not_end_it(folder: Path, start: Callable[[], IndexingProcess]) -> None:
    end = record(folder)
    running = start()
    wait_until_written(running, end)
    pid = wait_for_indexer(folder)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    wait_until_written(running, record(folder, seed=2))
    assert running.stats()["restarts"] == 0
    assert wait_for_indexer(folder) == pid
    assert os.getpgid(pid) != os.getpgid(0), "what a terminal sends to its group does not reach it at all"


def test_one_that_is_stopped_before_it_has_begun_writes_all_the_same(
    folder: Path, start: Callable[[], IndexingProcess], tmp_path: Path
) -> None:
    record(folder)
    assert start().stop(WAIT_S)
    assert_whole(folder, tmp_path / "elsewhere")


def test_one_that_does_not_end_in_time_is_ended(folder: Path, start: Callable[[], IndexingProcess]) -> None:
    end = record(folder)
    running = start()
    wait_until_written(running, end)
    pid = wait_for_indexer(folder)
    os.kill(pid, signal.SIGSTOP)
    assert not running.stop(0.2)
    wait_for_end(pid)


def test_why_it_cannot_write_is_told_here(
    folder: Path, start: Callable[[], IndexingProcess], caplog: pytest.LogCaptureFixture
) -> None:
    end = record(folder)
    (folder / "history.sqlite").mkdir()
    running = start()
    wait_until(lambda: running.stats()["state"] == "failing", running)
    assert "unable to open database file" in str(running.stats()["error"])
    wait_until(lambda: running.stats()["lag_s"] > 0, running)
    wait_until(lambda: "not indexed at the moment, tried again" in caplog.text, running)
    (folder / "history.sqlite").rmdir()
    wait_until_written(running, end)
    wait_until(lambda: "indexed again" in caplog.text, running)
    assert running.stats()["restarts"] > 0
    assert {entry.name for entry in caplog.records} == {"l3book.history.indexing"}, "as it was logged there"


def test_the_last_words_of_one_that_ends_by_itself_are_told_here(
    folder: Path, start: Callable[[], IndexingProcess], caplog: pytest.LogCaptureFixture
) -> None:
    record(folder)
    lock = folder / indexing_main.LOCK_NAME
    lock.mkdir()
    running = start()
    wait_until(lambda: running.stats()["state"] == "failing", running)
    error = str(running.stats()["error"])
    assert error.startswith("the indexing process ended with exit code 2: ")
    assert str(lock) in error
    assert error in caplog.text
    lock.rmdir()
    wait_until(lambda: running.stats()["state"] == "indexing", running)


def test_why_one_ended_is_told_also_where_it_ended_before_it_was_told_anything(
    folder: Path, start: Callable[[], IndexingProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    say = IndexingProcess._say

    def say_too_late(self: IndexingProcess, message: dict) -> None:
        if self._process is not None:
            self._process.wait(WAIT_S)
        say(self, message)

    monkeypatch.setattr(indexing_process, "_PROGRAM", "raise SystemExit('not this time')")
    monkeypatch.setattr(IndexingProcess, "_say", say_too_late)
    running = start()
    wait_until(lambda: running.stats()["restarts"] > 0, running)
    assert running.stats()["error"] == "the indexing process ended with exit code 1: not this time"


def test_of_all_secrets_it_gets_the_one_that_it_needs_and_not_by_arguments(
    folder: Path, start: Callable[[], IndexingProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "of-the-store")
    monkeypatch.setenv("DATABENTO_API_KEY", "of-the-source")
    end = record(folder)
    wait_until_written(start(), end)
    process = Path(f"/proc/{wait_for_indexer(folder)}")
    environment = (process / "environ").read_bytes().split(b"\0")
    assert f"{PASSWORD_VARIABLE}=of-the-store".encode() in environment
    assert b"of-the-source" not in b"".join(environment)
    assert b"of-the-" not in (process / "cmdline").read_bytes()


def test_a_store_of_one_process_is_written_by_a_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As chdb is: two processes cannot have its folder open."""
    made = {}
    for is_of_one_process in (True, False):
        monkeypatch.setattr(SqliteStore, "is_of_one_process", is_of_one_process)
        settings = Settings(history=tmp_path / str(is_of_one_process))
        recording = beginning.begin(settings, open_source("synthetic:"), epoch=1).recording
        made[is_of_one_process] = type(recording._indexing)
        recording.stop()
    assert made == {True: Indexing, False: IndexingProcess}


def test_the_process_of_a_server_that_is_killed_ends_and_the_next_one_waits_for_it(
    serve: Callable[..., RunningServer], folder: Path, tmp_path: Path
) -> None:
    arguments = ("--source", "synthetic:?rate=20000", "--history", str(folder))
    server = serve(*arguments)
    pid = wait_for_indexer(folder)
    wait_for(server, lambda indexing: indexing["position"] > 0)
    server.kill()
    wait_for_end(pid)
    with (folder / indexing_main.LOCK_NAME).open("w") as held:
        # As one does that is at a last batch and has not noticed yet.
        fcntl.flock(held, fcntl.LOCK_EX)
        again = serve(*arguments)
        again.wait_for_line("waiting for the process that wrote its tables before")
        assert again.metrics()["history"]["indexing"]["batches"] == 0
    other = wait_for_indexer(folder)
    wait_for(again, lambda indexing: indexing["batches"] > 0)
    again.process.send_signal(signal.SIGTERM)
    assert again.wait_for_exit() == 0, "".join(again.lines)
    wait_for_end(other)
    assert_whole(folder, tmp_path / "elsewhere")


def test_a_server_that_ends_has_its_tables_whole(
    serve: Callable[..., RunningServer], folder: Path, tmp_path: Path
) -> None:
    simulator = Simulator(seed=5, instruments=3)
    (tmp_path / "made.dbn").write_bytes(simulator.header() + simulator.read(100_000))
    server = serve("--source", f"file:{tmp_path / 'made.dbn'}", "--history", str(folder))
    server.wait_for_state("ended")
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert "not whole" not in "".join(server.lines)
    assert Log(folder).end_ordinal >= 100_000
    assert_whole(folder, tmp_path / "elsewhere")


def test_a_server_says_why_its_tables_are_not_written(serve: Callable[..., RunningServer], folder: Path) -> None:
    (folder / "history.sqlite").mkdir(parents=True)
    server = serve("--source", "synthetic:?rate=1000", "--history", str(folder))
    failing = wait_for(server, lambda indexing: indexing["state"] == "failing")
    assert "unable to open database file" in failing["error"]
    history = server.metrics()["history"]
    assert history["state"] == "recording"
    assert history["warning"] == f"recorded, and tables are not made from it at the moment: {failing['error']}"
    server.wait_for_line("not indexed at the moment, tried again: .*unable to open database file")


def wait_for(server: RunningServer, condition: Callable[[dict], bool]) -> dict:
    until_s = time.monotonic() + WAIT_S
    while not condition(indexing := server.metrics()["history"]["indexing"]):
        assert time.monotonic() < until_s, indexing
        time.sleep(0.02)
    return indexing
