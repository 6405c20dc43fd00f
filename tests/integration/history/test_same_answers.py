"""One recorded log, every store: the same rows and the same answers, also after a second indexer has begun anew."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from l3book._core import Indexer, Log, Market, Recorder, Simulator
from l3book.history.clickhouse import ClickHouseStore, Target
from l3book.history.postgres import PostgresStore
from l3book.history.sqlite import SqliteStore
from running_postgres import RunningPostgres
from store_conformance import ALL, ALWAYS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from l3book.history.store import Store

RECORDS = 60_000
INSTRUMENTS = 3
SECOND = 1_000_000_000
WAIT_S = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history with two sessions, of which the second is the same stream again, further."""
    folder = tmp_path_factory.mktemp("history")
    for records in (RECORDS // 2, RECORDS):
        simulator = Simulator(instruments=INSTRUMENTS, resting_max=500)
        market = Market()
        recorder = Recorder(folder)
        recorder.begin(market, "synthetic:")
        market.feed(simulator.header())
        while simulator.records < records:
            market.feed(simulator.read(1_000))
            assert recorder.wait_room(WAIT_S)
        assert recorder.close(WAIT_S)
    return folder


@pytest.fixture(scope="module")
def stores(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Store]]:
    server = RunningPostgres()
    path = str(tmp_path_factory.mktemp("chdb"))
    stores: dict[str, Store] = {
        "sqlite": SqliteStore(folder),
        "clickhouse": ClickHouseStore(Target("same", path=path)),
        "postgresql": PostgresStore(server.options(), "postgresql://test"),
    }
    for store in stores.values():
        store.open()
        # And once more from the middle, as one that has lost its position. Batches end at the same places in every
        # store: rows of the second that still runs tell up to which record they do.
        for _ in range(2):
            indexer = Indexer(folder, ordinal=store.position() // 2, keep_checkpoints=False)
            while (batch := indexer.advance(7_000)) is not None:
                store.write(batch)
    yield stores
    for store in stores.values():
        store.close()
    server.close()


def test_every_store_knows_the_same_rows(stores: dict[str, Store]) -> None:
    expected = stores["sqlite"]
    assert len(expected.instruments()) == INSTRUMENTS
    for name, store in stores.items():
        assert store.instruments() == expected.instruments(), name
        assert store.position() == expected.position(), name
        for instrument in expected.instruments():
            book = instrument[:2]
            trades = expected.trades(book, *ALWAYS, ALL)
            assert trades
            assert store.trades(book, *ALWAYS, ALL) == trades, name
            for ask in ("bbo", "levels"):
                rows = getattr(expected, ask)(book, *ALWAYS, None, ALL)
                assert rows
                assert getattr(store, ask)(book, *ALWAYS, None, ALL) == rows, (name, ask)


def test_every_store_tells_the_same_of_intervals(stores: dict[str, Store]) -> None:
    sqlite = stores["sqlite"]
    for instrument in sqlite.instruments():
        book = instrument[:2]
        seconds = sqlite.bbo(book, *ALWAYS, None, ALL)
        start, end = seconds[0].ts - 5 * SECOND, seconds[-1].ts + 5 * SECOND
        level = sqlite.levels(book, start, end, None, ALL)[0]
        for name, store in stores.items():
            for interval_ns in (SECOND, 60 * SECOND):
                asked = (book, start, end, interval_ns, ALL)
                assert store.bbo(*asked) == sqlite.bbo(*asked), name
                assert store.volume(*asked) == sqlite.volume(*asked), name
                assert store.levels(*asked) == sqlite.levels(*asked), name
                one = {"side": level.side, "price": level.price}
                assert store.levels(*asked, **one) == sqlite.levels(*asked, **one), name


def test_lives_from_tables_are_those_from_the_log(folder: Path, stores: dict[str, Store]) -> None:
    chance = random.Random(4)
    log = Log(folder)
    for _ in range(20):
        _, record = log.read(chance.randrange(log.end_ordinal), 1)
        book = (int.from_bytes(record[2:4], "little"), int.from_bytes(record[4:8], "little"))
        order_id = int.from_bytes(record[16:24], "little")
        expected = stores["sqlite"].order_life(book, order_id)
        assert expected
        for name, store in stores.items():
            assert store.order_life(book, order_id) == expected, name
