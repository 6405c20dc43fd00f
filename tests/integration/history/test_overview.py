"""What `GET /v1/history` tells, held against the log."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np
import pytest

from histories import FLUSH_TIMEOUT_S, record
from http_contract import problem
from l3book._core import Log, Market, Recorder, Simulator
from l3book.api.history_schemas import Recorded
from l3book.history import overview
from l3book.history.overview import Overviews, overview_of
from recorded import serve_recorded, simulated, wait_until_durable
from running import POLL_INTERVAL_S, STATE_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from running import RunningServer

RECORD_BYTES = 56
FLAGS_AT, ACTION_AT, TS_RECV_AT = 36, 38, 40
LAST, SNAPSHOT = 0x80, 0x20


def test_sessions_with_their_times_and_records(tmp_path: Path) -> None:
    ends = [record(tmp_path, seed=seed, session=f"file:{seed}", pieces=seed) for seed in (3, 1, 2)]
    found = overview_of(Log(tmp_path))
    assert [(session.ordinal, session.source, session.records) for session in found.sessions] == [
        (0, "file:3", ends[0]),
        (ends[0], "file:1", ends[1] - ends[0]),
        (ends[1], "file:2", ends[2] - ends[1]),
    ]
    segments = Log(tmp_path).segments()
    assert found.start == min(segment["ts_recv_min"] for segment in segments)
    last = [segment for segment in segments if segment["first_ordinal"] >= ends[1]]
    assert found.end == max(segment["ts_recv_max"] for segment in last), "it begins when the others do"
    assert (found.records, found.sessions_in_all, found.holes) == (ends[-1], 3, [])


def test_what_an_older_recording_puts_out_of_force_cannot_be_asked_for(tmp_path: Path) -> None:
    """Of its time and later, as books and tables have it."""
    record(tmp_path, seed=1, session="file:later", pieces=4)
    record(tmp_path, seed=1, session="file:older", pieces=1)
    later, older = Log(tmp_path).sessions()
    assert later["ts_recv_min"] == older["ts_recv_min"] < older["ts_recv_max"] < later["ts_recv_max"]
    found = overview_of(Log(tmp_path))
    assert (found.start, found.end) == (older["ts_recv_min"], older["ts_recv_max"])
    assert found.records == later["end_ordinal"] + older["end_ordinal"] - older["ordinal"], "the log has all of it"


class Live:
    """A live session on the heels of another: its snapshot was made when that began."""

    def __init__(self, folder: Path) -> None:
        record(folder, seed=1, instruments=1, pieces=3, session="file:1")
        (first,) = Log(folder).sessions()
        self.first_start, self.first_end = first["ts_recv_min"], first["ts_recv_max"]
        self._market, self._recorder = Market(), Recorder(folder)
        self._recorder.begin(self._market, "live:2")
        self._market.feed(Simulator(seed=1, instruments=1).header())
        stream = Simulator(seed=2, instruments=1, resting_max=500).read(4_000)
        self._live = np.frombuffer(stream, "u1").reshape(-1, RECORD_BYTES)[2_000:]

    def tell_snapshot(self) -> None:
        snapshot = self._live[:2].copy()
        snapshot[:, TS_RECV_AT : TS_RECV_AT + 8] = np.frombuffer(self.first_start.to_bytes(8, "little"), "u1")
        snapshot[:, ACTION_AT] = list(b"RA")
        snapshot[:, FLAGS_AT] = [SNAPSHOT, SNAPSHOT | LAST]
        self._tell(snapshot)

    def tell_live(self, first: int, end: int) -> tuple[int, int]:
        """-> when the first and the last of these records were received."""
        records = self._live[first:end]
        self._tell(records)
        times = np.ascontiguousarray(records[:, TS_RECV_AT : TS_RECV_AT + 8]).view("<u8")
        return int(times[0, 0]), int(times.max())

    def close(self) -> None:
        assert self._recorder.close(FLUSH_TIMEOUT_S)

    def _tell(self, records: np.ndarray) -> None:
        self._market.feed(records.tobytes())
        assert self._recorder.flush(FLUSH_TIMEOUT_S)


def test_a_session_puts_out_of_force_what_is_behind_its_first_live_record(tmp_path: Path) -> None:
    """And nothing while it has told but of the books that it begins with."""
    live = Live(tmp_path)
    log, begins = Log(tmp_path), overview.Begins()
    for tell in (lambda: None, live.tell_snapshot):
        tell()
        log.refresh()
        found = overview_of(log, begins)
        assert (found.start, found.end) == (live.first_start, live.first_end)
    assert found.sessions_in_all == 2
    begin, end = live.tell_live(0, 10)
    assert live.first_start < begin < end < live.first_end
    log.refresh()
    found = overview_of(log, begins)
    assert (found.start, found.end) == (live.first_start, end)
    live.close()


class LogLookedAt:
    """A log that counts how often the beginning of a session is read."""

    def __init__(self, folder: Path) -> None:
        self._log = Log(folder)
        self.looks = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def session_start(self, ordinal: int) -> int | None:
        self.looks += 1
        return self._log.session_start(ordinal)


def test_the_beginning_of_a_session_is_read_once(tmp_path: Path) -> None:
    live = Live(tmp_path)
    log, begins = LogLookedAt(tmp_path), overview.Begins()
    for tell, looked in (
        (live.tell_snapshot, 1),
        (lambda: live.tell_live(0, 10), 2),
        (lambda: live.tell_live(10, 20), 2),
    ):
        tell()
        for _ in range(3):
            log.refresh()
            overview_of(cast("Log", log), begins)
            assert log.looks == looked
    live.close()


def test_a_hole_lies_between_the_records_around_it(tmp_path: Path) -> None:
    end = record(tmp_path)
    before, gone, after = Log(tmp_path).segments()[1:4]
    for path in (tmp_path / "log").rglob(f"{gone['first_ordinal']:020d}*"):
        path.unlink()
    found = overview_of(Log(tmp_path))
    lost = gone["end_ordinal"] - gone["first_ordinal"]
    (hole,) = found.holes
    assert (hole.ordinal, hole.records, hole.reason) == (
        gone["first_ordinal"],
        lost,
        "the segment is missing or damaged",
    )
    assert (hole.start, hole.end) == (before["ts_recv_max"], after["ts_recv_min"])
    assert found.records == found.sessions[0].records == end - lost


class Holed:
    """A log of nothing but an index: sessions and holes of any lengths, which need not end where the others do."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        ends = sorted(chance.sample(range(1, 1_000), 12))
        edges = sorted(chance.sample(range(1_000), 40))
        self._sessions = list(pairwise([0, *ends]))
        self._holes = list(zip(edges[::2], edges[1::2], strict=True))

    def sessions(self) -> list[dict[str, Any]]:
        return [
            {
                "ordinal": at,
                "first_ordinal": at,
                "end_ordinal": end,
                "uri": "file:",
                "ts_recv_min": at,
                "ts_recv_max": at,
            }
            for at, end in self._sessions
        ]

    def holes(self) -> list[dict[str, Any]]:
        return [{"first": first, "end": end, "reason": "by hand"} for first, end in self._holes]

    def segments(self) -> list[dict[str, Any]]:
        return []

    def expected(self) -> list[int]:
        lost = {ordinal for hole in self._holes for ordinal in range(*hole)}
        return [len(set(range(*session)) - lost) for session in self._sessions]


@pytest.mark.parametrize("seed", range(20))
def test_each_session_has_the_records_that_are_in_no_hole(seed: int) -> None:
    log = Holed(seed)
    assert [session.records for session in overview_of(cast("Log", log)).sessions] == log.expected()


def test_of_many_sessions_the_newest_are_told_and_how_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "ENTRIES_MAX", 2)
    for seed in (1, 2, 3):
        record(tmp_path, seed=seed, session=f"file:{seed}", pieces=1)
    found = overview_of(Log(tmp_path))
    assert [session.source for session in found.sessions] == ["file:2", "file:3"]
    assert found.sessions_in_all == 3


def test_a_crowd_that_asks_at_once_costs_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, pieces=1)
    looks = []
    monkeypatch.setattr(overview, "overview_of", lambda *known: looks.append(1) or overview_of(*known))
    monkeypatch.setattr(overview, "FRESH_S", 600.0)

    async def ask() -> list[overview.Overview]:
        overviews = Overviews(tmp_path)
        try:
            return [*await asyncio.gather(*(overviews.newest() for _ in range(50))), await overviews.newest()]
        finally:
            overviews.close()

    answers = asyncio.run(ask())
    assert len(looks) == 1
    assert all(answer is answers[0] for answer in answers)


def told(server: RunningServer) -> dict[str, Any]:
    answer = server.get("/v1/history")
    assert answer.status_code == 200, answer.text
    msgspec.json.decode(answer.content, type=Recorded)
    found: dict[str, Any] = answer.json()
    return found


def test_a_server_tells_what_it_has_recorded(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    path = simulated(tmp_path / "sim.dbn", 5_000, seed=4)
    server = serve_recorded(serve, path, tmp_path / "history")
    time.sleep(2 * overview.FRESH_S)
    found, records = told(server), server.metrics()["totals"]["messages"]
    assert (found["state"], found["records"], found["holes"]) == ("recording", records, [])
    assert found["sessions"] == [
        {"ordinal": 0, "source": f"file:{path}", "start": found["start"], "end": found["end"], "records": records}
    ]
    segments = Log(tmp_path / "history").segments()
    assert (int(found["start"]), int(found["end"])) == (segments[0]["ts_recv_min"], segments[-1]["ts_recv_max"])
    packed = server.get("/v1/history", headers={"Accept": "application/msgpack"})
    assert msgspec.msgpack.decode(packed.content) == found


def test_what_no_table_has_yet_is_told_too(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    path = simulated(tmp_path / "sim.dbn", 2_000, seed=4)
    folder = tmp_path / "history"
    folder.mkdir()
    (folder / "history.sqlite").write_bytes(b"no database" * 1000)
    server = serve("--source", f"file:{path}", "--history", str(folder))
    server.wait_for_state("ended")
    wait_until_durable(server)
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while told(server)["records"] < server.metrics()["totals"]["messages"]:
        assert time.monotonic() < deadline_s, told(server)
        time.sleep(POLL_INTERVAL_S)
    assert server.metrics()["history"]["indexing"]["rows"] == 0


def test_before_anything_is_recorded_there_are_no_times(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    server = serve("--source", "tcp://127.0.0.1:9", "--history", str(tmp_path / "history"))
    found = told(server)
    assert (found["start"], found["end"], found["records"], found["sessions"]) == (None, None, 0, [])


def test_a_server_that_records_nothing_says_so(serve: Callable[..., RunningServer]) -> None:
    problem(serve("--no-history").get("/v1/history"), 501, "history_unavailable")
