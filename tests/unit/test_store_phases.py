"""Stores that are not open: before, who asks waits a little; afterwards there is nothing to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from l3book.history.clickhouse.connection import Target
from l3book.history.clickhouse.store import ClickHouseStore
from l3book.history.postgres.store import PostgresStore
from l3book.history.sqlite import SqliteStore
from l3book.history.store import NotOpenYetError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from l3book.history.store import Store


@pytest.mark.parametrize("name", ["sqlite", "clickhouse", "postgresql"])
def test_a_store_says_whether_it_is_not_open_yet_or_no_more(name: str, tmp_path: Path) -> None:
    stores: dict[str, Store] = {
        "sqlite": SqliteStore(tmp_path),
        "clickhouse": ClickHouseStore(Target("phases", path=tmp_path)),
        "postgresql": PostgresStore({}, "postgresql://test"),
    }
    store = stores[name]
    with pytest.raises(NotOpenYetError, match="not open yet"):
        store.instruments()
    store.close()
    with pytest.raises(StoreError, match="closed") as refused:
        store.instruments()
    assert not isinstance(refused.value, NotOpenYetError)
