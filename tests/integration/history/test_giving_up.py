"""Long work on the past for whom nobody waits any more: steps, and files that are being written."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from histories import record
from l3book._core import Log, Replay
from l3book.api.departures import while_there
from l3book.api.problems import Problem
from l3book.config import Settings
from l3book.history import playback
from l3book.history.exports import Exports
from l3book.history.exports import Request as ExportRequest
from l3book.history.playback import Playback
from l3book.streams.counters import Counters
from l3book.workers import Patience, Pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PIECE_RECORDS = 100
TIMEOUT_S = 60
TIME_MAX = 2**63 - 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    record(tmp_path, pieces=4)
    return tmp_path


def beginning(folder: Path) -> int:
    """A time at which the book is there, near the begin."""
    return int(Log(folder).segments()[0]["ts_event_max"])


def step(folder: Path, events: int, is_wanted: Callable[[], bool] = lambda: True) -> Playback:
    """Step a replay that stands at the beginning; -> the replay, ended."""

    async def go() -> Playback:
        pool = Pool("test-replay", 1, 4)
        begin = beginning(folder)
        made = Playback("1", "me", Replay(folder, begin), begin, pool, Counters(), is_private=True)
        try:
            await made.step("SYN0", events, is_wanted=is_wanted)
        finally:
            await made.end()
            pool.close()
        return made

    return asyncio.run(go())


@pytest.mark.parametrize("events", [1, 7, 400])
def test_a_step_in_pieces_leads_to_where_one_in_a_go_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch, events: int
) -> None:
    whole = step(folder, events).position
    monkeypatch.setattr(playback, "STEP_RECORDS_MAX", 3)
    assert step(folder, events).position == whole
    replay = Replay(folder, beginning(folder))
    assert replay.step("SYN0", events) == events
    assert whole.ordinal == replay.ordinal


def test_a_step_beyond_the_end_stops_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "STEP_RECORDS_MAX", 1000)
    assert step(folder, 1_000_000).position.ordinal == Log(folder).end_ordinal


def test_a_step_that_nobody_waits_for_goes_no_further(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "STEP_RECORDS_MAX", PIECE_RECORDS)
    asked = iter([True, True, False])
    begin = Replay(folder, beginning(folder)).ordinal
    stepped = step(folder, 1_000_000, lambda: next(asked))
    assert stepped.position.ordinal == begin + 2 * PIECE_RECORDS
    assert stepped.state == "paused"


def test_a_file_that_nobody_waits_for_is_not_written_to_its_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the client goes, or the server ends: whoever waits is cancelled while the file is being written."""
    is_writing, may_go_on = threading.Event(), threading.Event()
    check, checks = Patience.check, []

    def wait_and_check(patience: Patience) -> None:
        checks.append(1)
        if len(checks) > 1:
            is_writing.set()
            assert may_go_on.wait(TIMEOUT_S)
        check(patience)

    monkeypatch.setattr(Patience, "check", wait_and_check)
    exports = Exports(folder, Settings())

    async def go() -> None:
        begin = Log(folder).sessions()[0]["ts_event_min"]
        request = ExportRequest(None, begin, TIME_MAX, "mbo", "csv", with_snapshot=False)
        making = asyncio.create_task(exports.make("me", request))
        assert await asyncio.to_thread(is_writing.wait, TIMEOUT_S)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        may_go_on.set()

    asyncio.run(go())
    exports.close()
    assert len(checks) == 2, "it looked once more, and stopped"
    assert list((folder / "exports").iterdir()) == []


def request_that(*events: dict[str, Any]) -> Request:
    """A request of which no more is received than these, and then nothing for ever."""
    coming = iter(events)

    async def receive() -> dict[str, Any]:
        if (event := next(coming, None)) is None:
            await asyncio.Event().wait()
        assert event is not None
        return event

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


def test_work_for_a_client_that_goes_is_cancelled() -> None:
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    request = request_that({"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"})
    with pytest.raises(Problem, match="the client is gone"):
        asyncio.run(while_there(request, work()))
    assert cancelled == [1]


def test_work_for_a_client_that_stays_is_done() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 5

    assert asyncio.run(while_there(request_that(), work())) == 5
