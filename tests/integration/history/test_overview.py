"""What `GET /v1/history` tells, held against the log."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from histories import record
from http_contract import problem
from l3book._core import Log
from l3book.api.history_schemas import Recorded
from l3book.history import overview
from l3book.history.overview import Overviews, overview_of
from recorded import serve_recorded, simulated, wait_until_durable
from running import POLL_INTERVAL_S, STATE_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from running import RunningServer


def test_sessions_with_their_times_and_records(tmp_path: Path) -> None:
    ends = [record(tmp_path, seed=seed, session=f"file:{seed}", pieces=seed) for seed in (3, 1, 2)]
    found = overview_of(Log(tmp_path))
    assert [(session.ordinal, session.source, session.records) for session in found.sessions] == [
        (0, "file:3", ends[0]),
        (ends[0], "file:1", ends[1] - ends[0]),
        (ends[1], "file:2", ends[2] - ends[1]),
    ]
    segments = Log(tmp_path).segments()
    assert (found.start, found.end) == (
        min(segment["ts_recv_min"] for segment in segments),
        max(segment["ts_recv_max"] for segment in segments),
    )
    assert (found.records, found.sessions_in_all, found.holes) == (ends[-1], 3, [])


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
        times = {"ts_recv_min": 1, "ts_recv_max": 2, "uri": "file:"}
        return [{"ordinal": at, "first_ordinal": at, "end_ordinal": end, **times} for at, end in self._sessions]

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
    monkeypatch.setattr(overview, "overview_of", lambda log: looks.append(1) or overview_of(log))
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
