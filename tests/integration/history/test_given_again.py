"""Ordinals that were given again behind the back of a store on a server: it is left as it is, and said what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histories import FLUSH_TIMEOUT_S, record
from holed_histories import lose
from l3book._core import Log, Recorder, Simulator
from l3book.history.clickhouse import ClickHouseStore, Target
from l3book.history.indexing import Indexing
from l3book.history.postgres import PostgresStore
from running_postgres import RunningPostgres
from store_conformance import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from l3book.history.store import Store

WAIT_S = 60


@pytest.fixture(scope="module")
def server() -> Iterator[RunningPostgres]:
    running = RunningPostgres()
    yield running
    running.close()


@pytest.fixture(params=["clickhouse", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "clickhouse":
        yield ClickHouseStore(Target("again", path=str(tmp_path_factory.mktemp("chdb"))))
        return
    server: RunningPostgres = request.getfixturevalue("server")
    server.execute("CREATE DATABASE again")
    yield PostgresStore(server.options("again"), "postgresql://test")
    server.execute("DROP DATABASE again WITH (FORCE)")


def error_of(folder: Path, store: Store) -> str | None:
    """Write what the log has, as a server's start does; -> what was in the way."""
    running = Indexing(folder, store)
    running.start()
    assert running.stop(WAIT_S), running.stats()
    return running.stats()["error"]


def go_on(folder: Path, seed: int, records: int) -> None:
    """Go on in the same session, as a live source does, with records of another market."""
    recorder = Recorder(folder)
    market = Log(folder).restore(recorder.recovered["end_ordinal"])
    recorder.begin(market, None)
    market.feed(Simulator(seed=seed, instruments=2, resting_max=500).read(records))
    assert recorder.close(FLUSH_TIMEOUT_S)


def test_records_in_the_place_of_lost_ones_are_not_written_over_those(tmp_path: Path, store: Store) -> None:
    end = record(tmp_path, pieces=6)
    assert error_of(tmp_path, store) is None
    first, _ = lose(tmp_path, -1)
    go_on(tmp_path, 2, end - first + 2_000)
    log = Log(tmp_path)
    assert log.end_ordinal > end, "by its length nobody can tell"
    assert [session["ordinal"] for session in log.sessions()] == [0], "nor by a session"
    error = error_of(tmp_path, store)
    assert error == (
        f"{store.name}: another record {end - 1} than the log: its ordinals were given again in {tmp_path}: expected "
        "the store of this log, or an empty one: drop its tables, then they are made anew from the log, or name "
        "another database"
    )
    store.open()
    assert store.end_ordinal() == end, "nothing was written"
    store.close()


def test_a_log_begun_anew_with_the_same_first_record_is_another(tmp_path: Path, store: Store) -> None:
    """A second server with other settings of the synthetic market: it begins at the same time."""
    end = record(tmp_path / "old", pieces=2, instruments=2)
    assert error_of(tmp_path / "old", store) is None
    assert record(tmp_path / "new", pieces=3, instruments=2, seed=2) > end
    old, new = (Log(tmp_path / name).session_starts()[0][2] for name in ("old", "new"))
    error = error_of(tmp_path / "new", store)
    assert error is not None
    assert ("given again" in error) == (old == new), error
    assert "drop its tables" in error


def test_the_same_records_again_and_more_are_the_same_log(tmp_path: Path, store: Store) -> None:
    """As a file that is recorded anew, or of which more has come."""
    record(tmp_path / "old", pieces=2)
    assert error_of(tmp_path / "old", store) is None
    end = record(tmp_path / "new", pieces=4)
    assert error_of(tmp_path / "new", store) is None
    store.open()
    assert store.end_ordinal() == end
    assert [row.symbol for row in store.instruments()] == ["SYN0", "SYN1"]
    assert store.trades((1, 1), 0, 2**63 - 1, ALL) is not None
    store.close()


def test_a_store_whose_last_record_is_damaged_by_now_goes_on(tmp_path: Path, store: Store) -> None:
    record(tmp_path, pieces=4)
    assert error_of(tmp_path, store) is None
    go_on(tmp_path, 2, 2_000)
    log = Log(tmp_path)
    path = log.segments()[-2]["path"]
    content = bytearray(path.read_bytes())
    content[-40] ^= 4
    path.write_bytes(content)
    assert error_of(tmp_path, store) is None
    store.open()
    assert store.end_ordinal() == log.end_ordinal
    store.close()
