"""history.sqlite as a file: versions, the catalogue, and what it says when it cannot be used."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from histories import record
from l3book._core import Log
from l3book.history.catalogue import Catalogue
from l3book.history.sqlite import FILE_NAME, SqliteStore
from l3book.history.sqlite_schema import MIGRATIONS
from l3book.history.store import StoreError
from store_batches import SECOND, T0, batch, bbo, level, trade
from store_conformance import ALL, ALWAYS, BOOK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    store.open()
    yield store
    store.close()


def tables(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"))


def test_a_file_of_an_earlier_version_is_brought_up_to_this_one_with_its_rows(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as old:
        old.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        old.execute("INSERT INTO books VALUES (1, 1, 1, 'CLX5')")
        old.execute("INSERT INTO trades VALUES (1, ?, 5, ?, 7, 64, 3, 9, 'B', 0)", (T0, T0))
        old.execute("UPDATE position SET ordinal = 6, newest_second = ?", (T0 // SECOND,))
        old.commit()
    new = tmp_path / "new"
    new.mkdir()
    for folder in (tmp_path, new):
        store = SqliteStore(folder)
        store.open()
        store.close()
    with (
        closing(sqlite3.connect(tmp_path / FILE_NAME)) as brought_up,
        closing(sqlite3.connect(new / FILE_NAME)) as made,
    ):
        assert tables(brought_up) == tables(made)
        versions = [one.execute("PRAGMA user_version").fetchone() for one in (brought_up, made)]
        assert versions == [(len(MIGRATIONS),)] * 2
    store = SqliteStore(tmp_path)
    store.open()
    assert store.position() == 6
    assert [(row.ordinal, row.order_id) for row in store.trades(BOOK, *ALWAYS, ALL)] == [(5, 7)]
    store.close()


def test_a_migration_that_fails_leaves_the_version_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "l3book.history.sqlite_schema.MIGRATIONS", (MIGRATIONS[0], "CREATE TABLE a (b); CREATE NONSENSE;")
    )
    store = SqliteStore(tmp_path)
    with pytest.raises(StoreError, match="NONSENSE"):
        store.open()
    monkeypatch.undo()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as left:
        assert left.execute("PRAGMA user_version").fetchone() == (1,)
        assert "a" not in tables(left)
    store.open()
    store.close()


def test_a_file_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as later:
        later.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StoreError, match=f"version {len(MIGRATIONS) + 1}: expected one of this l3book"):
        SqliteStore(tmp_path).open()
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_what_is_no_sqlite_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database, and long enough to be looked at" * 100)
    with pytest.raises(StoreError, match=rf"{FILE_NAME}: file is not a database"):
        SqliteStore(tmp_path).open()


def test_a_folder_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open database file"):
        SqliteStore(tmp_path / "nowhere").open()
    assert not (tmp_path / "nowhere").exists()


def test_whoever_only_asks_does_not_wait_for_who_writes_in_another_process(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even to open it: where processors are busy, a batch may be at it for longer than anyone waits."""
    monkeypatch.setattr("l3book.history.sqlite.BUSY_TIMEOUT_S", 0.01)
    store.write(batch(trade(0, T0)))
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM trades")
        other = SqliteStore(tmp_path)
        other.open()
        assert [row.ordinal for row in other.trades(BOOK, *ALWAYS, ALL)] == [0]
        with pytest.raises(StoreError, match="database is locked"):
            other.write(batch(trade(1, T0)))
        other.close()


def test_a_closed_store_says_so(store: SqliteStore) -> None:
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.position()
    with pytest.raises(StoreError, match="closed"):
        store.write(batch(trade(0, T0)))
    store.open()
    assert store.position() == 0


def test_a_locked_file_is_an_error_and_nothing_is_half_written(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(batch(trade(0, T0), bbo(0, T0), level(0, T0)))
    store.close()
    monkeypatch.setattr("l3book.history.sqlite.BUSY_TIMEOUT_S", 0.05)
    store.open()
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.write(batch(trade(1, T0 + 1)))
        # Readers wait for nobody.
        assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [0]
        other.execute("ROLLBACK")
    store.write(batch(trade(1, T0 + 1)))
    assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [0, 1]


def test_a_full_disk_is_an_error_and_nothing_is_half_written(store: SqliteStore) -> None:
    store.write(batch(trade(0, T0)))
    with store.writing() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages + 5}")
    many = [trade(number, T0 + number) for number in range(1, 20_000)]
    with pytest.raises(StoreError, match="full"):
        store.write(batch(*many, level(5, T0)))
    assert store.position() == 1
    assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [0]
    assert store.levels(BOOK, *ALWAYS, None, ALL) == []
    store._writer.execute("PRAGMA max_page_count = 1000000")
    store.write(batch(*many, level(5, T0)))
    assert len(store.trades(BOOK, *ALWAYS, ALL)) == 20_000


def test_a_book_that_was_rolled_back_is_known_again_when_it_comes_again(store: SqliteStore) -> None:
    made = batch(level(0, T0, (1, 7)), level(1, T0, (1, 8)))
    with pytest.raises(StoreError):
        # The position is written last.
        store.write(replace(made, resume_ordinal="no number"))
    store.write(batch(level(2, T0, (1, 8))))
    assert store.levels((1, 7), *ALWAYS, None, ALL) == []
    found = store.levels((1, 8), T0, T0 + SECOND, SECOND, ALL, side="B", price=64_200_000_000)
    assert [row.ordinal for row in found] == [2]


def test_the_catalogue_follows_the_files(store: SqliteStore, tmp_path: Path) -> None:
    record(tmp_path)
    history = Log(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / f"{4_000:020}.l3ck").write_bytes(b"123")
    catalogue = Catalogue(store)
    assert catalogue.follow(history)
    assert not catalogue.follow(history)
    segments = history.segments()

    def listed() -> tuple[list, list, list]:
        with store.reading() as connection:
            return (
                connection.execute("SELECT path, first_ordinal, end_ordinal, bytes FROM segments").fetchall(),
                connection.execute("SELECT * FROM checkpoints").fetchall(),
                connection.execute("SELECT ordinal, end_ordinal, uri FROM sessions").fetchall(),
            )

    def expected(segments: list[dict]) -> list[tuple]:
        paths = [str(one["path"].relative_to(tmp_path)) for one in segments]
        places = [(one["first_ordinal"], one["end_ordinal"], one["bytes"]) for one in segments]
        return [(path, *place) for path, place in zip(paths, places, strict=True)]

    assert listed() == (
        expected(segments),
        [(4_000, f"checkpoints/{4_000:020}.l3ck", 3)],
        [(0, history.end_ordinal, "synthetic:")],
    )
    # Whatever it says, the files are right: also for one that knows nothing of what was written before.
    segments[0]["path"].unlink()
    (tmp_path / "checkpoints" / f"{4_000:020}.l3ck").unlink()
    history.refresh()
    assert Catalogue(store).follow(history)
    assert listed()[:2] == (expected(segments[1:]), [])
