"""Who waits for the recorder, and for how long."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book.config import Settings
from l3book.history import recording
from l3book.history.indexing import Indexing
from l3book.history.recording import Recording
from l3book.history.sqlite import SqliteStore

if TYPE_CHECKING:
    from l3book._core import Recorder

TIMEOUT_S = 30


class SmallRecorder:
    """Has room when told to."""

    def __init__(self, *, has_room: bool, state: str = "recording") -> None:
        self.has_room = Event()
        self.state = state
        self.waits: list[float] = []
        if has_room:
            self.has_room.set()

    def wait_room(self, timeout_s: float) -> bool:
        if timeout_s:
            self.waits.append(timeout_s)
        return self.has_room.wait(timeout_s)

    def stats(self) -> dict[str, Any]:
        return {"state": self.state, "error": None if self.state == "recording" else "No space left on device"}


def recording_of(recorder: SmallRecorder, *, is_live: bool, wait_ms: int = 50) -> Recording:
    settings = Settings(history_wait_ms=wait_ms)
    indexing = Indexing(Path("history"), SqliteStore(Path("history")))
    return Recording(Path("history"), cast("Recorder", recorder), indexing, settings, is_live=is_live)


def never() -> bool:
    return False


@pytest.mark.parametrize("is_live", [False, True])
def test_where_there_is_room_nobody_waits(is_live: bool) -> None:
    recorder = SmallRecorder(has_room=True)
    recording_of(recorder, is_live=is_live).wait_room(never)
    assert recorder.waits == []


def test_a_file_waits_for_as_long_as_it_takes() -> None:
    recorder = SmallRecorder(has_room=False)
    is_over = Event()
    flow = recording_of(recorder, is_live=False)

    def wait() -> None:
        flow.wait_room(never)
        is_over.set()

    thread = Thread(target=wait, daemon=True)
    thread.start()
    while len(recorder.waits) < 3:
        time.sleep(0.01)
    assert not is_over.is_set()
    recorder.has_room.set()
    assert is_over.wait(TIMEOUT_S)
    thread.join(TIMEOUT_S)


def test_a_file_that_waits_can_be_stopped() -> None:
    recorder = SmallRecorder(has_room=False)
    recording_of(recorder, is_live=False).wait_room(lambda: len(recorder.waits) >= 2)
    assert len(recorder.waits) == 2


@pytest.mark.parametrize("is_live", [False, True])
def test_nobody_waits_for_a_disk_that_fails(is_live: bool) -> None:
    recorder = SmallRecorder(has_room=False, state="failing")
    flow = recording_of(recorder, is_live=is_live)
    flow.wait_room(never)
    assert recorder.waits == []
    assert flow.condition() == ("failing", "not recorded at the moment: No space left on device")


@given(wait_ms=st.integers(0, 3), rooms=st.lists(st.booleans(), max_size=12))
def test_a_live_source_waits_once_for_each_shortage_and_no_longer_than_set(wait_ms: int, rooms: list[bool]) -> None:
    recorder = SmallRecorder(has_room=True)
    flow = recording_of(recorder, is_live=True, wait_ms=wait_ms)
    had_room = True
    for has_room in rooms:
        (recorder.has_room.set if has_room else recorder.has_room.clear)()
        recorder.waits.clear()
        flow.wait_room(never)
        if has_room or not had_room:
            assert recorder.waits == []
        else:
            # On a machine that stands still for as long, the time is over before the first wait.
            assert wait_ms > 0 or not recorder.waits
            assert all(wait_s <= wait_ms / 1000 for wait_s in recorder.waits)
        had_room = has_room
    assert recording.ROOM_POLL_S >= 0.003


def test_a_live_source_waits_where_it_may() -> None:
    recorder = SmallRecorder(has_room=False)
    recording_of(recorder, is_live=True, wait_ms=300).wait_room(never)
    assert recorder.waits


def test_a_failure_and_its_end_are_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    recorder = SmallRecorder(has_room=True)
    flow = recording_of(recorder, is_live=True)
    told = {"records_lost": 7, "holes": 1}
    for state in ("recording", "failing", "failing", "recording", "recording"):
        recorder.state = state
        stats = {**SmallRecorder.stats(recorder), **told}
        recorder.stats = lambda stats=stats: stats  # type: ignore[method-assign,misc]
        flow.look()
    texts = [entry.getMessage() for entry in caplog.records]
    assert texts == [
        "history history: not recorded at the moment: No space left on device",
        "history history: recorded again: 7 records in all are missing, in 1 holes",
    ]
