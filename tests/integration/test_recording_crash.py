"""A server that is killed and started again, over and over: its books are exact, its log has every record once."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from dbn_bytes import split
from feeds import content, simulated, state
from history_log import Key, applied_by_book, by_book, marks
from l3book import Market
from l3book._core import Log
from l3book.sources.live import KEY_VARIABLE
from running_gateway import KEY, RunningGateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from running import RunningServer

KILLS = int(os.environ.get("L3BOOK_CRASH_KILLS", "3"))
RATE = 20_000
LIFE_S_MAX = 0.7
"""Of a server that is going to be killed, after it has begun to listen."""
RECORDS = 20_000 + int(RATE * LIFE_S_MAX) * KILLS
"""Something is left for the last one, which is not killed."""
TIMEOUT_S = 60 + 10 * KILLS
SOURCE = "live://GLBX.MDP3?symbols=ALL_SYMBOLS"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)


class Tape:
    """What the gateway sends, and the books that it makes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = by_book(split(path.read_bytes())[1])
        self.market = Market()
        self.market.feed_file(path)

    def assert_books(self, get: Callable[[str], httpx.Response]) -> None:
        """All live, and equal in every queue."""
        for publisher_id, instrument_id in self.records:
            body = get(f"/v1/books/{publisher_id}:{instrument_id}?level=3&depth=all").content
            true = self.market.book_json((publisher_id, instrument_id), level=3, depth=None)
            assert state(body) == "live", body[:300]
            assert content(body) == content(true)

    def assert_recorded(self, folder: Path) -> None:
        """Every record once, in the order of its book, in one session; and the log makes the same books."""
        applied = applied_by_book(folder)
        assert set(applied) == set(self.records)
        for book, records in self.records.items():
            assert len(applied[book]) == len(records), (
                f"{book}: {len(applied[book]) / 56} of {len(records) / 56} records"
            )
            assert applied[book] == records, f"{book} has the right number of records, and others"
        assert len(marks(folder, "session")) == 1
        assert not marks(folder, "hole")
        assert Log(folder).restore().state_hash() == self.market.state_hash()


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    path = tmp_path_factory.mktemp("tape") / "tape.dbn"
    simulated(path, seed=29, instruments=3, records=RECORDS, span_s=max(100, RECORDS // 200))
    return Tape(path)


@pytest.fixture
def start(serve: Callable[..., RunningServer], tmp_path: Path) -> Callable[[RunningGateway], RunningServer]:
    """Start the server that records, on the same folder every time."""
    settings = {"L3BOOK_HISTORY_FSYNC_MS": "20", "L3BOOK_HISTORY_CHECKPOINT_RECORDS": "7000"}

    def start(gateway: RunningGateway) -> RunningServer:
        return serve(
            "--source", SOURCE, "--gateway", gateway.address, "--history", str(tmp_path / "history"), env=settings
        )

    return start


def records_of(server: RunningServer) -> int:
    return int(server.metrics()["totals"]["messages"])


def wait_for_records(server: RunningServer, records: int) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while records_of(server) < records:
        assert time.monotonic() < deadline_s, "".join(server.lines)
        time.sleep(0.01)


def end(server: RunningServer) -> None:
    """In order."""
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0, "".join(server.lines)


@pytest.mark.timeout(TIMEOUT_S * 2)
def test_kills_at_any_moment_lose_nothing_and_repeat_nothing(
    start: Callable[[RunningGateway], RunningServer], tape: Tape, tmp_path: Path
) -> None:
    luck = random.Random(KILLS)
    reached = []
    with RunningGateway(tape.path, "--rate", RATE) as gateway:
        for _ in range(KILLS):
            server = start(gateway)
            time.sleep(luck.uniform(0.0, LIFE_S_MAX))
            reached.append(records_of(server))
            server.kill()
        server = start(gateway)
        server.wait_for_state("ended")
        tape.assert_books(server.get)
        metrics = server.metrics()
        end(server)
    assert metrics["history"]["recorder"]["holes"] == 0
    assert max(reached) > 0, "no server lived long enough to record anything"
    tape.assert_recorded(tmp_path / "history")


def test_a_restart_in_the_middle_of_a_disconnection(
    start: Callable[[RunningGateway], RunningServer], tape: Tape, tmp_path: Path
) -> None:
    """The gateway goes, then the server; the server comes back first, and serves what it had, in doubt."""
    gateway = RunningGateway(tape.path, "--rate", RATE)
    with gateway:
        server = start(gateway)
        wait_for_records(server, RECORDS // 4)
        gateway.kill()
        server.wait_for_state("reconnecting")
        time.sleep(0.1)
        records = records_of(server)
        server.kill()
    server = start(gateway)
    ready = server.get("/readyz")
    assert ready.status_code == 503
    assert "the source is reconnecting" in ready.json()["detail"]
    assert 0 < records_of(server) <= records
    books = server.get("/v1/instruments").json()["instruments"]
    assert {(book["publisher_id"], book["instrument_id"]) for book in books} == set(tape.records)
    assert {book["state"] for book in books} == {"suspect"}
    with RunningGateway(tape.path, "--rate", RATE, port=gateway.port):
        server.wait_for_state("ended")
        tape.assert_books(server.get)
        end(server)
    tape.assert_recorded(tmp_path / "history")


def test_an_orderly_restart_goes_on_with_another_epoch(
    start: Callable[[RunningGateway], RunningServer], tape: Tape, tmp_path: Path
) -> None:
    def epochs(server: RunningServer) -> dict[Key, str]:
        return {key: server.get(f"/v1/books/{key[0]}:{key[1]}").json()["epoch"] for key in tape.records}

    with RunningGateway(tape.path, "--rate", RATE) as gateway:
        server = start(gateway)
        wait_for_records(server, RECORDS // 3)
        before = epochs(server)
        end(server)
        server = start(gateway)
        server.wait_for_state("ended")
        after = epochs(server)
        transitions = server.get("/v1/feed/transitions").json()["transitions"]
        tape.assert_books(server.get)
        end(server)
    assert all(after[key] != before[key] for key in tape.records)
    connected = next(entry for entry in transitions if entry["kind"] == "connected")
    assert connected["reason"] == "resume"
    tape.assert_recorded(tmp_path / "history")
