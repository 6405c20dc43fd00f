"""The PostgreSQL store on a real server; and the statements for TimescaleDB, which is not among Debian's packages."""

from __future__ import annotations

import functools
import os
import signal
import struct
import threading
import uuid
from typing import TYPE_CHECKING

import numpy as np
import pytest

from l3book.history.store import LifeRow, StoreError
from naive_store import NaiveStore
from running_postgres import RunningPostgres
from store_batches import SECOND, T0, RandomBatches, batch, bbo, level, trade
from store_conformance import ALL, ALWAYS, BOOK, Conformance, everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from l3book.history.store import Store

import psycopg

from l3book.history.postgres import PostgresStore
from l3book.history.postgres.schema import TABLES, statements

DAY = 86_400 * SECOND


def make(options: dict) -> PostgresStore:
    return PostgresStore(options, "postgresql://test")


@pytest.fixture(scope="module")
def server() -> Iterator[RunningPostgres]:
    running = RunningPostgres()
    yield running
    running.close()


@pytest.fixture
def database(server: RunningPostgres) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    yield name
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


class TestPostgres(Conformance):
    questions = 30
    batches_until_killed = 120

    @pytest.fixture
    def make_store(self, server: RunningPostgres, database: str) -> Callable[[], Store]:
        return functools.partial(make, server.options(database))


@pytest.fixture
def store(server: RunningPostgres, database: str) -> Iterator[PostgresStore]:
    store = make(server.options(database))
    store.open()
    yield store
    store.close()


def records(*made: tuple[int, int, int]) -> bytes:
    """MBO records as (order_id, ts_recv, size), of book (1, 1)."""
    return b"".join(
        struct.pack("<BBHIQQqIBBBBQiI", 14, 160, 1, 1, ts - 5, order_id, -64, size, 130, 26, 65, 66, ts, -7, 2**32 - 1)
        for order_id, ts, size in made
    )


def test_the_life_of_an_order_is_every_record_of_it(store: PostgresStore) -> None:
    made = [(7, T0, 3), (8, T0 + 1, 4), (7, T0 + DAY, 2), (2**64 - 1, 2**64 - 1, 2**32 - 1)]
    ordinals = np.array([10, 11, 12, 13], "<u8").tobytes()
    for _ in range(2):
        store.write(batch(trade(13, T0), records=records(*made), ordinals=ordinals))
    assert store.order_life(BOOK, 7) == [
        LifeRow(10, T0 - 5, T0, "A", "B", -64, 3, 130, 26, 2**32 - 1),
        LifeRow(12, T0 + DAY - 5, T0 + DAY, "A", "B", -64, 2, 130, 26, 2**32 - 1),
    ]
    assert [row.ordinal for row in store.order_life(BOOK, 7, 1)] == [12]
    assert [(row.ordinal, row.ts_recv, row.size) for row in store.order_life(BOOK, 2**64 - 1)] == [
        (13, 2**64 - 1, 2**32 - 1)
    ]
    assert store.order_life((1, 2), 7) == []
    store.prune(T0 + 3 * SECOND)
    assert [row.ordinal for row in store.order_life(BOOK, 7)] == [12]


def test_each_day_has_a_part_which_goes_when_it_is_too_old(
    server: RunningPostgres, store: PostgresStore, database: str
) -> None:
    made = [make(number, T0 + number * DAY) for number in range(3) for make in (trade, bbo, level)]
    store.write(batch(*made))

    def parts(table: str) -> set[str]:
        found = server.execute("SELECT inhparent::regclass::text, inhrelid::regclass::text FROM pg_inherits", database)
        return {part for parent, part in found if parent == f"l3book.{table}"}

    days = [f"l3book.trades_202509{day}" for day in (24, 25, 26)]
    assert parts("trades") == {*days, "l3book.trades_other"}
    store.prune(T0 + DAY + 5 * SECOND)
    assert parts("trades") == {*days[1:], "l3book.trades_other"}
    assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [2]
    # Going on in a day that has gone makes it anew.
    store.write(batch(trade(3, T0)))
    assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [3, 2]


def test_a_backend_that_is_killed_in_the_middle_of_a_batch_costs_nothing(
    server: RunningPostgres, store: PostgresStore, database: str
) -> None:
    """The server ends all its other processes then, and recovers: the writer and every reader are cut off."""
    batches = RandomBatches(5, 6).batches
    held = make(server.options(database))
    held.open()
    for made in batches:
        store.write(made)
    expected = everything(store)
    trades = [trade(batches[-1].end_ordinal + number, T0 + number, (1, 2)) for number in range(60_000)]
    large = batch(*trades, resume=batches[-1].resume_ordinal)
    written = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        with psycopg.connect(**server.options(), autocommit=True) as watcher:
            while not killed and not written.is_set():
                copying = watcher.execute(
                    "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'"
                ).fetchall()
                for (pid,) in copying:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    store.write(large)
    written.set()
    killer.join()
    assert killed
    assert store.volume((1, 2), T0, T0 + SECOND, SECOND, ALL)[0].trades >= len(trades)
    assert [row for row in store.trades((1, 2), *ALWAYS, ALL) if row.ordinal < trades[0].ordinal] == expected[
        "trades (1, 2)"
    ]
    assert len(store.trades((1, 2), *ALWAYS, ALL)) == len(expected["trades (1, 2)"]) + len(trades)
    assert held.position() == store.position() == large.resume_ordinal
    held.close()


def test_a_second_writer_of_the_same_log_adds_nothing(server: RunningPostgres, database: str) -> None:
    batches = RandomBatches(6, 40).batches
    failed: list[BaseException] = []

    def write() -> None:
        store = make(server.options(database))
        try:
            store.open()
            for made in batches:
                store.write(made)
            store.close()
        except BaseException as error:  # noqa: BLE001  # whatever it is, the test has to show it
            failed.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failed == []
    store = make(server.options(database))
    store.open()
    naive = NaiveStore()
    for made in batches:
        naive.write(made)
    assert everything(store) == everything(naive)
    store.close()


def test_bad_data_is_refused_at_once_and_leaves_nothing(store: PostgresStore) -> None:
    with pytest.raises(StoreError, match=r"^postgresql://test: .*null|NUL|0x00|invalid"):
        store.write(batch(trade(1, T0), instruments=[(1, 1, "CL\0X5")], resume=1))
    assert store.position() == 0
    assert store.trades(BOOK, *ALWAYS, ALL) == []
    store.write(batch(trade(1, T0), instruments=[(1, 1, "CLX5")], resume=1))
    assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [1]


def test_a_wrong_password_and_a_server_that_is_not_there_are_told_in_a_line(server: RunningPostgres) -> None:
    for changes, expected in (
        ({"password": "wrong horse"}, "password authentication failed"),
        ({"port": 1}, "refused"),
    ):
        store = PostgresStore({**server.options(), **changes}, "postgresql://test", retries_s_max=0.2)
        with pytest.raises(StoreError, match=expected) as caught:
            store.open()
        assert "horse" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_tables_of_another_version_are_refused(server: RunningPostgres, store: PostgresStore, database: str) -> None:
    server.execute("UPDATE l3book.position SET version = 9", database)
    with pytest.raises(StoreError, match="version 9: expected 1"):
        make(server.options(database)).open()


def test_hypertables_are_cut_by_days_and_compressed_by_book() -> None:
    made = statements(is_hyper=True)
    for table in TABLES:
        name = f"l3book.{table.name}"
        assert [text for text in made if text.startswith(f"CREATE TABLE {name} (") and "PARTITION" not in text]
        (hyper,) = [text for text in made if text.startswith(f"SELECT create_hypertable('{name}', '{table.time}'")]
        assert f"chunk_time_interval => {DAY}::bigint" in hyper
        (compressed,) = [text for text in made if text.startswith(f"ALTER TABLE {name} SET (")]
        assert "timescaledb.compress_segmentby = 'book'" in compressed
        # TimescaleDB wants the time in every unique key.
        assert not table.constraint or table.time in table.constraint
        assert any(text.startswith(f"SELECT add_compression_policy('{name}'") for text in made)


def test_what_is_plain_in_the_statements_for_hypertables_is_sql(server: RunningPostgres, database: str) -> None:
    """Everything but the calls of TimescaleDB's functions runs on any server."""
    for text in statements(is_hyper=True):
        if not text.startswith(("SELECT ", "ALTER TABLE")):
            server.execute(text, database)
    found = server.execute("SELECT is_hyper, l3book.now_ns() > 0 FROM l3book.position", database)
    assert found == [(True, True)]
