"""The ClickHouse store over HTTP, against a small server over ClickHouse's engine; and the statements for a cluster."""

from __future__ import annotations

import functools
import struct
import threading
import uuid
from typing import TYPE_CHECKING

import numpy as np
import pytest

from l3book.history.store import LifeRow, StoreError
from small_clickhouse import PASSWORD, USER, RunningClickHouse
from store_batches import SECOND, T0, batch, bbo, level, trade
from store_conformance import ALL, ALWAYS, BOOK, Conformance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from l3book.history.store import Store


from l3book.history.clickhouse import ClickHouseStore, Target
from l3book.history.clickhouse.connection import Connection
from l3book.history.clickhouse.schema import TABLES, Names, Table
from l3book.history.rows import BBO, LEVEL, TRADE


def target(port: int, database: str, **changes: object) -> Target:
    options = {"host": "127.0.0.1", "port": port, "user": USER, "password": PASSWORD, **changes}
    return Target(database, **options)


def make(port: int, database: str) -> ClickHouseStore:
    return ClickHouseStore(target(port, database))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningClickHouse]:
    running = RunningClickHouse(tmp_path_factory.mktemp("clickhouse"))
    yield running
    running.close()


@pytest.fixture
def database(server: RunningClickHouse) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    yield name
    connection = Connection(target(server.port, name), 0)
    connection.execute(f"DROP DATABASE IF EXISTS {name}")
    connection.close()


class TestClickHouse(Conformance):
    is_transactional = False
    questions = 8
    batches_until_killed = 40

    @pytest.fixture
    def make_store(self, server: RunningClickHouse, database: str) -> Callable[[], Store]:
        return functools.partial(make, server.port, database)


@pytest.fixture
def store(server: RunningClickHouse, database: str) -> Iterator[ClickHouseStore]:
    store = make(server.port, database)
    store.open()
    yield store
    store.close()


def records(*made: tuple[int, int, int]) -> bytes:
    """MBO records as (order_id, ts_recv, size), of book (1, 1)."""
    return b"".join(
        struct.pack("<BBHIQQqIBBBBQiI", 14, 160, 1, 1, ts - 5, order_id, -64, size, 130, 26, 65, 66, ts, -7, 2**32 - 1)
        for order_id, ts, size in made
    )


def test_the_life_of_an_order_is_every_record_of_it(store: ClickHouseStore) -> None:
    made = [(7, T0, 3), (8, T0 + 1, 4), (7, T0 + 86_400 * SECOND, 2), (2**64 - 1, 2**64 - 1, 1)]
    ordinals = np.array([10, 11, 12, 13], "<u8").tobytes()
    for _ in range(2):
        store.write(batch(trade(10, T0), records=records(*made), ordinals=ordinals))
    assert store.order_life(BOOK, 7) == [
        LifeRow(10, T0 - 5, T0, "A", "B", -64, 3, 130, 26, 2**32 - 1),
        LifeRow(12, T0 + 86_400 * SECOND - 5, T0 + 86_400 * SECOND, "A", "B", -64, 2, 130, 26, 2**32 - 1),
    ]
    assert [row.ordinal for row in store.order_life(BOOK, 7, 1)] == [12]
    assert [row.ordinal for row in store.order_life(BOOK, 2**64 - 1)] == [13]
    assert store.order_life((1, 2), 7) == []
    store.prune(T0 + 3 * SECOND)
    assert [row.ordinal for row in store.order_life(BOOK, 7)] == [12]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "times": 3},
        {"kind": "status", "status": 502},
        {"kind": "code", "code": 252, "times": 2},
        {"kind": "reset", "times": 3},
        {"kind": "lost answer", "times": 3},
        {"kind": "slow", "seconds": 0.5},
    ],
    ids=lambda fault: str(fault.get("status") or fault.get("code") or fault["kind"]),
)
def test_what_a_fault_on_the_way_cut_off_is_written_once(
    server: RunningClickHouse, store: ClickHouseStore, fault: dict
) -> None:
    before = server.inserts()
    server.fail(**fault)
    # Large enough that a reset comes while rows are being sent.
    trades = [trade(number, T0 + number) for number in range(20_000)]
    store.write(batch(*trades, level(5, T0), resume=99))
    assert store.volume(BOOK, T0, T0 + SECOND, SECOND, ALL)[0].trades == 20_000
    assert [row.ordinal for row in store.levels(BOOK, *ALWAYS, None, ALL)] == [5]
    assert store.position() == 99
    faults = fault.get("times", 1) * (fault["kind"] != "slow")
    assert server.inserts() - before == 3 + faults


@pytest.mark.parametrize("code", [27, 53, 60], ids=["parse", "type", "table"])
def test_bad_data_is_not_tried_again(server: RunningClickHouse, store: ClickHouseStore, code: int) -> None:
    before = server.inserts()
    server.fail("code", code=code)
    with pytest.raises(StoreError, match=rf"^clickhouse://127\.0\.0\.1:\d+/test_\w+: .*{code}"):
        store.write(batch(trade(1, T0), resume=1))
    assert server.inserts() - before == 1
    assert store.position() == 0
    store.write(batch(trade(1, T0), resume=1))
    assert store.position() == 1


def test_a_server_that_cannot_is_given_up_in_time(server: RunningClickHouse, database: str) -> None:
    store = ClickHouseStore(target(server.port, database), retries_s_max=0.5)
    store.open()
    server.fail("status", status=503, times=1_000)
    try:
        with pytest.raises(StoreError, match="HTTP status 503"):
            store.write(batch(trade(1, T0), resume=1))
    finally:
        server.heal()
    store.write(batch(trade(1, T0), resume=1))
    assert store.position() == 1
    store.close()


def test_closing_ends_a_write_that_waits_for_another_try(server: RunningClickHouse, database: str) -> None:
    store = ClickHouseStore(target(server.port, database), retries_s_max=600)
    store.open()
    server.fail("status", status=503, times=1_000)
    failed = threading.Event()

    def write() -> None:
        with pytest.raises(StoreError):
            store.write(batch(trade(1, T0)))
        failed.set()

    writer = threading.Thread(target=write, daemon=True)
    before = server.inserts()
    writer.start()
    try:
        while server.inserts() == before:
            pass
        store.close()
        assert failed.wait(60)
    finally:
        server.heal()
    writer.join()


def test_a_wrong_password_and_a_server_that_is_not_there_are_told_in_a_line(server: RunningClickHouse) -> None:
    for wrong, expected in (
        (target(server.port, "x", password="wrong horse"), "Authentication failed"),  # noqa: S106  # that of nobody
        (target(1, "x"), "refused"),
    ):
        with pytest.raises(StoreError, match=expected) as caught:
            ClickHouseStore(wrong).open()
        assert "horse" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "horse" not in repr(wrong)


def test_tables_of_another_version_are_refused(
    server: RunningClickHouse, store: ClickHouseStore, database: str
) -> None:
    connection = Connection(target(server.port, database), 0)
    connection.write(f"{database}.version", ["version"], (9).to_bytes(2, "little"))
    connection.close()
    with pytest.raises(StoreError, match="version 9: expected 1"):
        make(server.port, database).open()


@pytest.mark.parametrize(
    ("table", "row"), list(zip(TABLES, [TRADE, BBO, LEVEL, None], strict=True)), ids=[table.name for table in TABLES]
)
def test_columns_lie_as_the_rows_do(table: Table, row: np.dtype | None) -> None:
    sizes = {"UInt64": 8, "Int64": 8, "UInt32": 4, "Int32": 4, "UInt16": 2, "UInt8": 1, "FixedString(1)": 1}
    widths = [1 if column.type.startswith("Enum8") else sizes[column.type] for column in table.columns]
    if row is None:
        assert sum(widths) == 8 + 56
    else:
        assert table.column_names == list(row.names)
        assert widths == [row[name].itemsize for name in row.names]


class TestCluster:
    """ON CLUSTER needs ClickHouse Keeper, which the engine has not: it reads the statements, and cannot run them."""

    def test_every_table_is_stored_by_shard_and_reached_from_everywhere(self) -> None:
        statements = Names("book's", "two`shards").statements()
        stored = [text for text in statements if "_local` ON CLUSTER `two\\`shards` (" in text]
        everywhere = [text for text in statements if "ENGINE = Distributed(" in text]
        assert len(stored) == len(everywhere) == len(statements) / 2
        assert all("ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/" in text for text in stored)
        for table in TABLES:
            (text,) = [text for text in everywhere if f".`{table.name}` ON CLUSTER" in text]
            assert text.endswith(
                f"AS `book's`.`{table.name}_local` ENGINE = Distributed('two`shards', `book's`, "
                f"`{table.name}_local`, cityHash64(publisher_id, instrument_id))"
            )

    def test_the_engine_can_read_every_statement(self, server: RunningClickHouse) -> None:
        connection = Connection(target(server.port, "default"), 0)
        names = Names("book's", "two`shards")
        statements = [names.make_database(), *names.statements()]
        statements += [f"ALTER TABLE {names.stored('trades')} DROP PARTITION '2025-09-24'"]
        statements += [f"DELETE FROM {names.stored('trades')} WHERE ordinal < 5"]  # noqa: S608  # our own names
        for statement in statements:
            connection.execute(f"EXPLAIN AST {statement}")
        with pytest.raises(StoreError, match="Syntax error"):
            connection.execute("EXPLAIN AST CREATE TABLE x ON CLUSTER (a UInt8)")
        connection.close()

    def test_a_batch_is_written_through_the_distributed_tables(
        self, server: RunningClickHouse, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The tables are made as on one server; the store believes that they lead to a cluster's shards."""
        plain = Names(database, None)
        statements, make_database = plain.statements(), plain.make_database()
        monkeypatch.setattr(Names, "statements", lambda _: statements)
        monkeypatch.setattr(Names, "make_database", lambda _: make_database)
        store = ClickHouseStore(target(server.port, database, cluster="two"))
        store.open()
        store.write(batch(trade(1, T0), bbo(1, T0), resume=1))
        assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [1]
        store.close()
