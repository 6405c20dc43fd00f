"""Long work on the past for whom nobody waits any more: steps, and files that are being written."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from starlette.requests import Request

from histories import record
from l3book._core import AmbiguousInstrumentError, HistoryError, Log, Market, Recorder, Replay, Simulator
from l3book.api.departures import while_there
from l3book.api.problems import Problem
from l3book.config import Settings
from l3book.history import playback
from l3book.history.exports import Exports
from l3book.history.exports import Request as ExportRequest
from l3book.history.playback import Playback
from l3book.streams.counters import Counters
from l3book.streams.fanout import Fanout
from l3book.workers import Patience, Pool

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE_RECORDS = 100
RECORD_BYTES = 56
PUBLISHER_AT = 2
TIMEOUT_S = 60
TIME_MAX = 2**63 - 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    record(tmp_path, pieces=4)
    return tmp_path


def beginning(folder: Path) -> int:
    """A time at which the book is there, near the begin."""
    return int(Log(folder).segments()[0]["ts_event_max"])


def step(
    folder: Path, events: int, is_wanted: Callable[[], bool] = lambda: True, *, begin: int | None = None
) -> Playback:
    """Step a replay that stands at a time, or at the beginning; -> the replay, ended."""
    start = beginning(folder) if begin is None else begin

    async def go() -> Playback:
        pool = Pool("test-replay", 1, 4)
        made = Playback("1", "me", Replay(folder, start), start, pool, Counters(), is_private=True)
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


class LongWay:
    """A replay whose way back takes until it is given up."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._is_given_up = threading.Event()
        self.steps: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._replay, name)

    def step(self, _book: object, events: int, _records_max: int) -> int:
        self.steps.append(events)
        assert self._is_given_up.wait(TIMEOUT_S)
        return 0

    def give_up(self) -> None:
        self._is_given_up.set()


@pytest.mark.parametrize("how", ["nobody waits", "cancelled"])
def test_a_step_back_that_nobody_waits_for_ends_and_leaves_the_turn_to_others(folder: Path, how: str) -> None:
    begin = Log(folder).segments()[-1]["ts_event_max"]

    async def go() -> None:
        replay = LongWay(Replay(folder, begin))
        pool = Pool("test-replay", 1, 4)
        made = Playback("1", "me", replay, begin, pool, Counters(), is_private=True)  # type: ignore[arg-type]
        is_wanted, told = True, []
        before = made.position
        stepping = asyncio.create_task(made.step("SYN0", -1_000, told.append, lambda: is_wanted))
        await until(lambda: bool(replay.steps))
        if how == "cancelled":
            stepping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stepping
        else:
            is_wanted = False
            await stepping
            assert [(stepped.events, stepped.stopped_at) for stepped in told] == [(0, None)]
        async with asyncio.timeout(TIMEOUT_S):
            await made.pause()
            await made.seek(beginning(folder))
        assert made.position.ordinal < before.ordinal
        assert replay.steps == [-1_000]
        await made.end()
        pool.close()

    asyncio.run(go())


def test_a_step_that_meets_damage_stands_still_before_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "STEP_RECORDS_MAX", PIECE_RECORDS)
    begin, segment = beginning(folder), Log(folder).segments()[-1]
    path = Path(segment["path"])
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0xFF
    path.write_bytes(content)

    async def go() -> tuple[Playback, list[int]]:
        pool, told = Pool("test-replay", 1, 4), []
        made = Playback("1", "me", Replay(folder, begin), begin, pool, Counters(), is_private=True)
        try:
            made.play(1e-9)
            with pytest.raises(HistoryError):
                await made.step("SYN0", 1_000_000, lambda: told.append(1))
            return made, told
        finally:
            await made.end()
            pool.close()

    stepped, told = asyncio.run(go())
    assert stepped.position.ordinal == segment["first_ordinal"]
    assert (stepped.state, stepped.ts, told) == ("paused", stepped.position.ts_recv, [])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told to whom, in its order."""
    tell_now, heard = Fanout.tell_now, []

    async def tell(streams: Fanout) -> None:
        await asyncio.sleep(0)
        heard.append("moved")
        await tell_now(streams)

    monkeypatch.setattr(Fanout, "tell_now", tell)
    return heard


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not is_so():  # noqa: ASYNC110  # nothing tells when it is so
            await asyncio.sleep(0)


def test_that_a_step_failed_is_told_before_where_it_led(
    folder: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setattr(playback, "STEP_RECORDS_MAX", PIECE_RECORDS)
    begin = beginning(folder)
    path = Path(Log(folder).segments()[-1]["path"])
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0xFF
    path.write_bytes(content)

    async def go() -> None:
        pool = Pool("test-replay", 1, 4)
        made = Playback("1", "me", Replay(folder, begin), begin, pool, Counters(), is_private=True)
        try:
            try:
                await made.step("SYN0", 1_000_000)
            except HistoryError:
                told.append("failed")
            assert not made.is_settled, "it is said where it stands only once that has been told"
            await until(lambda: made.is_settled)
        finally:
            await made.end()
            pool.close()

    asyncio.run(go())
    assert told == ["failed", "moved"]


def test_the_end_of_what_is_recorded_is_told_also_after_a_turn_of_full_length(
    folder: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    begin = beginning(folder)
    replay = Replay(folder, begin)
    monkeypatch.setattr(playback, "TURN_RECORDS_MAX", Log(folder).end_ordinal - replay.ordinal)

    async def go() -> None:
        pool = Pool("test-replay", 1, 4)
        made = Playback("1", "me", replay, begin, pool, Counters(), is_private=True)
        try:
            made.play(1e9)
            await until(lambda: made.is_settled)
            assert (made.state, told) == ("ended", ["moved"])
        finally:
            await made.end()
            pool.close()

    asyncio.run(go())


def test_a_step_is_of_the_book_that_went_by_the_name_where_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another publisher begins to tell of the same instrument on the way."""
    monkeypatch.setattr(playback, "STEP_RECORDS_MAX", 3)
    simulator, market, recorder = Simulator(seed=1, instruments=1, resting_max=500), Market(), Recorder(tmp_path)
    recorder.begin(market, "two")
    market.feed(simulator.header())
    own = np.frombuffer(simulator.read(4_000), "u1").reshape(-1, RECORD_BYTES)
    other = own.copy()
    other[:, PUBLISHER_AT] += 1
    market.feed(own[:2_000].tobytes())
    assert recorder.flush(TIMEOUT_S)
    market.feed(np.stack([own[2_000:], other[2_000:]], axis=1).tobytes())
    assert recorder.close(TIMEOUT_S)
    begin = Replay(tmp_path, beginning_at(own[1_950])).ordinal
    assert step(tmp_path, 100, begin=beginning_at(own[1_950])).position.ordinal > begin + 150
    with pytest.raises(AmbiguousInstrumentError):
        step(tmp_path, 1, begin=beginning_at(own[3_000]))


def beginning_at(record: np.ndarray) -> int:
    return int(record[8:16].view("<u8")[0])


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
