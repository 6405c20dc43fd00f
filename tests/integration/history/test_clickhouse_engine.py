"""The ClickHouse store on the engine in this process: SQL, codecs and merges are ClickHouse's own, without a wire."""

from __future__ import annotations

import functools
import uuid
from typing import TYPE_CHECKING

import pytest

from store_conformance import Conformance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from l3book.history.store import Store


from l3book.history.clickhouse import ClickHouseStore, Target
from l3book.history.clickhouse.connection import Connection


def make(path: str, database: str) -> ClickHouseStore:
    return ClickHouseStore(Target(database, path=path))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A process has one engine, and that one folder; it runs as long as anybody is connected."""
    connection = Connection(Target("default", path=str(tmp_path_factory.mktemp("chdb"))), 0)
    yield connection
    connection.close()


class TestClickHouseEngine(Conformance):
    is_transactional = False
    questions = 1

    @pytest.fixture
    def make_store(self, engine: Connection) -> Iterator[Callable[[], Store]]:
        database = f"test_{uuid.uuid4().hex}"
        yield functools.partial(make, engine.target.path, database)
        engine.execute(f"DROP DATABASE IF EXISTS {database}")

    @pytest.mark.skip(reason="the folder of an engine belongs to one process; tested over HTTP")
    def test_a_writer_that_is_killed_leaves_what_can_be_gone_on_with(self) -> None: ...
