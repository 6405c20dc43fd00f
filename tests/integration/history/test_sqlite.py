"""The embedded store: what every store must do, and what is its own."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from l3book.history.sqlite import SqliteStore
from store_conformance import Conformance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestSqlite(Conformance):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], SqliteStore]:
        return functools.partial(SqliteStore, tmp_path)
