"""The ClickHouse store on the engine in this process: SQL, codecs and merges are ClickHouse's own, without a wire."""

from __future__ import annotations

import functools
import uuid
from typing import TYPE_CHECKING

import pytest

from store_conformance import Conformance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from l3book.history.store import Store

pytest.importorskip("chdb", reason="chdb, the engine, is not installed")

from l3book.history.clickhouse import ClickHouseStore, Target


def make(path: str, database: str) -> ClickHouseStore:
    return ClickHouseStore(Target(database, path=path))


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder: a process has one engine, and that has one folder."""
    return tmp_path_factory.mktemp("chdb")


class TestClickHouseEngine(Conformance):
    is_transactional = False

    @pytest.fixture
    def make_store(self, engine: Path) -> Callable[[], Store]:
        return functools.partial(make, str(engine), f"test_{uuid.uuid4().hex}")

    @pytest.mark.skip(reason="the folder of an engine belongs to one process; tested over HTTP")
    def test_a_writer_that_is_killed_leaves_what_can_be_gone_on_with(self) -> None: ...
