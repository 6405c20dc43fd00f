"""Closed days as Parquet: answers stay what they were, whatever days they are about and whatever comes later."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from l3book.history import compaction
from l3book.history.archive import DAY_NS
from l3book.history.sqlite import SqliteStore
from l3book.history.store import StoreError
from naive_store import NaiveStore
from store_batches import BOOKS, SECOND, T0, TICK, RandomBatches, batch, bbo, level, trade
from store_conformance import ALL, ALWAYS, BOOK, everything, paged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("duckdb", reason="duckdb reads compacted days")
pytest.importorskip("pyarrow", reason="pyarrow writes compacted days")

STREAMS = int(os.environ.get("L3BOOK_STORE_STREAMS", "3"))
HOUR = 3600 * SECOND
MIDNIGHT = T0 - T0 % DAY_NS + DAY_NS
STEPS_S = (1, 2, 9, 1800, 14_000, 40_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    store.open()
    yield store
    store.close()


def over_midnight() -> list:
    """Rows before and after a midnight, and the hour after which that day is closed."""
    times = [MIDNIGHT - 2 * SECOND, MIDNIGHT - SECOND, MIDNIGHT, MIDNIGHT + 2 * HOUR]
    return [make(number, ts) for number, ts in enumerate(times) for make in (trade, bbo, level)]


def in_sqlite(store: SqliteStore) -> int:
    with store.reading() as connection:
        return sum(
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  # our names
            for table in ("trades", "bbo", "levels")
        )


@pytest.mark.parametrize("seed", range(STREAMS))
def test_answers_over_compacted_and_live_days_are_those_of_a_naive_store(store: SqliteStore, seed: int) -> None:
    naive = NaiveStore()
    chance = random.Random(seed)
    days = 0
    for made in RandomBatches(seed, 40, steps_s=STEPS_S).batches:
        # Some of them begin sessions in days that are compacted.
        store.write(made)
        naive.write(made)
        if chance.random() < 0.2:
            days += len(list(compaction.compact(store)))
            assert everything(store) == everything(naive)
    assert days
    days += len(list(compaction.compact(store)))
    assert everything(store) == everything(naive)
    for _ in range(40):
        method, arguments, options = _question(chance)
        expected = getattr(naive, method)(*arguments, ALL, **options)
        assert getattr(store, method)(*arguments, ALL, **options) == expected, (method, arguments, options)
        if len(expected) < 60:
            pages = paged(getattr(store, method), arguments, options, chance.choice((7, 20)))
            assert pages == expected, (method, arguments, options)


def _question(chance: random.Random) -> tuple[str, tuple, dict]:
    book = chance.choice(BOOKS)
    start = T0 + chance.randrange(-HOUR, 2 * DAY_NS)
    end = start + chance.choice((HOUR, DAY_NS, 3 * DAY_NS))
    # Seven hours: some of these intervals have a midnight in them.
    interval_ns = chance.choice((HOUR // 2, HOUR, 7 * HOUR, DAY_NS, 2 * DAY_NS))
    method = chance.choice(("trades", "bbo", "levels", "levels", "volume"))
    if method == "trades":
        return method, (book, start, end), {}
    if method == "volume":
        return method, (book, start, end, interval_ns), {}
    options = {}
    if method == "levels":
        asked = {"side": chance.choice("BA"), "price": 64_000_000_000 + chance.randrange(7) * TICK}
        options = {name: value for name, value in asked.items() if chance.random() < 0.6}
    return method, (book, start, end, chance.choice((None, interval_ns, interval_ns))), options


def test_a_day_is_compacted_once_it_is_closed_and_its_rows_leave_sqlite(store: SqliteStore, tmp_path: Path) -> None:
    store.write(batch(*over_midnight()[:-3]))
    assert list(compaction.compact(store)) == []
    store.write(batch(*over_midnight()[-3:]))
    (made,) = compaction.compact(store)
    assert made[:4] == (MIDNIGHT // DAY_NS - 1, 2, 2, 2)
    assert in_sqlite(store) == 6
    day = datetime.fromtimestamp(T0 // SECOND, UTC).date()
    for table in ("trades", "bbo", "levels"):
        assert (tmp_path / "parquet" / table / f"day={day}" / "rows.parquet").is_file()
    assert list(compaction.compact(store)) == []


def test_other_tools_read_the_files(store: SqliteStore, tmp_path: Path) -> None:
    import pyarrow.dataset as ds

    store.write(batch(*over_midnight()))
    list(compaction.compact(store))
    table = ds.dataset(tmp_path / "parquet" / "bbo", partitioning="hive").to_table().to_pylist()
    assert [(row["day"], row["ts"], row["bid_px"], row["state"]) for row in table] == [
        ("2025-09-24", MIDNIGHT - 2 * SECOND, 64_200_000_000, "live"),
        ("2025-09-24", MIDNIGHT - SECOND, 64_200_000_000, "live"),
    ]


def test_what_was_last_known_is_carried_over_from_a_compacted_day(store: SqliteStore) -> None:
    store.write(batch(*over_midnight()[:6], *over_midnight()[-3:]))
    list(compaction.compact(store))
    found = store.bbo(BOOK, MIDNIGHT, MIDNIGHT + 3 * HOUR, HOUR, ALL)
    assert [row.ordinal for row in found] == [1, 1, 3]
    one = store.levels(BOOK, MIDNIGHT, MIDNIGHT + 3 * HOUR, HOUR, ALL, side="B", price=64_200_000_000)
    assert [row.ordinal for row in one] == [1, 1, 3]
    store.write(batch(bbo(4, MIDNIGHT + 5 * HOUR, (2, 1))))
    found = store.bbo(BOOK, MIDNIGHT + 4 * HOUR, MIDNIGHT + 5 * HOUR, HOUR, ALL)
    assert [row.ordinal for row in found] == [3]


def test_a_session_in_a_compacted_day_brings_back_what_is_before_it(store: SqliteStore, tmp_path: Path) -> None:
    store.write(batch(*over_midnight()))
    list(compaction.compact(store))
    again = MIDNIGHT - SECOND
    store.write(batch(trade(9, again), bbo(9, again), sessions=[(9, "file:again.dbn", again)]))
    assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [0, 9]
    assert [row.ordinal for row in store.bbo(BOOK, *ALWAYS, None, ALL)] == [0, 9]
    assert list((tmp_path / "parquet").glob("*/*/*")) == []


def test_a_compaction_that_does_not_come_to_its_end_changes_nothing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(batch(*over_midnight()))
    expected = everything(store)
    for step in ("_check_rows", "sync_folder", "_delete_compacted_rows"):
        calls = []

        def fail(*arguments: object, step: str = step, calls: list = calls) -> None:
            calls.append(step)
            # The rows of days from before are deleted first, of which there are none.
            if step != "_delete_compacted_rows" or len(calls) > 1:
                raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(compaction, step, fail)
            with pytest.raises((StoreError, OSError), match="No space"):
                list(compaction.compact(store))
        assert everything(store) == expected
    assert in_sqlite(store) == 12
    list(compaction.compact(store))
    assert in_sqlite(store) == 6
    assert everything(store) == expected


def test_rows_that_a_file_lost_do_not_leave_sqlite(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write(batch(*over_midnight()))
    expected = everything(store)
    whole = compaction._arrow
    monkeypatch.setattr(compaction, "_arrow", lambda *arguments: whole(*arguments).slice(1))
    with pytest.raises(StoreError, match=r"1 rows: expected 2, as in history\.sqlite"):
        list(compaction.compact(store))
    assert in_sqlite(store) == 12
    assert everything(store) == expected


def test_prune_removes_compacted_days_as_a_whole(store: SqliteStore, tmp_path: Path) -> None:
    store.write(batch(*over_midnight()))
    list(compaction.compact(store))
    store.prune(MIDNIGHT - SECOND)
    assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [0, 1, 2, 3]
    store.prune(MIDNIGHT + SECOND)
    assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [3]
    assert list((tmp_path / "parquet").glob("*/*/*")) == []


def test_without_duckdb_compacted_days_are_an_error_that_says_what_to_install(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    store.write(batch(*over_midnight()))
    list(compaction.compact(store))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(StoreError, match=r"pip install l3book\[history\]"):
        store.trades(BOOK, *ALWAYS, ALL)
