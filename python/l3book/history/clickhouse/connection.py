"""The connection to ClickHouse: packed rows in and out, tried again where the fault is on the way."""

import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from l3book.history.retrying import ERROR_CHARACTERS_MAX, tried_again
from l3book.history.store import StoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Result = TypeVar("Result")

CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 120

# What ClickHouse says when it cannot take anything just now. All else it says of the statement or the rows, which would
# fail again: https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
TRANSIENT_CODES = frozenset(
    {
        159,  # TIMEOUT_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        236,  # ABORTED: the server shuts down
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        439,  # CANNOT_SCHEDULE_TASK
        999,  # KEEPER_EXCEPTION
    }
)
_TOO_MANY_REQUESTS = 429
_STATUS = re.compile(r"received HTTP status (\d{3})")
_FOR_URL = re.compile(r" \(for url [^)]*\)$")


@dataclass(frozen=True)
class Target:
    """Where ClickHouse is: a server, or a folder for the engine in this process."""

    database: str
    host: str = ""
    port: int | None = None
    user: str = ""
    password: str = ""
    secure: bool = False
    path: str = ""
    cluster: str | None = None

    def __str__(self) -> str:
        if self.path:
            return f"chdb://{self.path}"
        port = f":{self.port}" if self.port else ""
        return f"clickhouse://{self.host}{port}/{self.database}"

    __repr__ = __str__


class Connection:
    """One client. Any thread may use it; `write`s are tried again for a while."""

    def __init__(self, target: Target, retries_s_max: float) -> None:
        """Connect. Raises StoreError."""
        self.target = target
        self._retries_s_max = retries_s_max
        self._closing = threading.Event()
        self._client = self._guarded(lambda: _client(target))

    def close(self) -> None:
        """Let go of it; a write that waits for another try gives up."""
        self._closing.set()
        self._client.close()

    def read(self, query: str, row: np.dtype[Any], parameters: Mapping[str, Any] | None = None) -> NDArray[np.void]:
        """Ask, and lay this type of row over the answer's bytes."""
        answer = self._guarded(
            lambda: self._client.raw_query(query, parameters=dict(parameters or {}), fmt="RowBinary")
        )
        return np.frombuffer(answer, dtype=row)

    def read_lists(self, query: str) -> list[list[Any]]:
        """Ask for few rows, of any types that JSON has."""
        answer = self._guarded(lambda: self._client.raw_query(query, fmt="JSONCompactEachRow"))
        return [json.loads(line) for line in answer.splitlines()]

    def execute(self, statement: str, settings: Mapping[str, Any] | None = None) -> None:
        """Run a statement that may be run twice."""
        self._tried_again(lambda: self._client.command(statement, settings=dict(settings or {}), use_database=False))

    def write(self, table: str, columns: list[str], rows: bytes, form: str = "RowBinary") -> None:
        """Insert rows, which must be such that inserting them twice does no harm."""
        settings = {
            # Answers only when all is written, so that the status tells the truth.
            "wait_end_of_query": 1,
            # A stream whose clock is wrong may touch many days at once.
            "max_partitions_per_insert_block": 0,
        }
        if self.target.cluster:
            # Not queued on the server that we talk to; and never taken for what was inserted, and deleted, before.
            settings |= {"distributed_foreground_insert": 1, "insert_deduplicate": 0}
        self._tried_again(
            lambda: self._client.raw_insert(table, column_names=columns, insert_block=rows, fmt=form, settings=settings)
        )

    def _tried_again(self, work: Callable[[], object]) -> None:
        self._guarded(lambda: tried_again(work, is_transient, self._retries_s_max, self._closing, str(self.target)))

    def _guarded(self, work: Callable[[], Result]) -> Result:
        from clickhouse_connect.driver.exceptions import ClickHouseError

        try:
            return work()
        except (ClickHouseError, OSError) as error:
            line = _FOR_URL.sub("", str(error).split("\n", 1)[0])
            raise StoreError(f"{self.target}: {line[:ERROR_CHARACTERS_MAX]}") from error


def is_transient(error: BaseException) -> bool:
    """Tell whether the same may succeed later: a fault on the way, or a server that cannot just now."""
    from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

    if isinstance(error, OSError):
        return True
    if not isinstance(error, DatabaseError):
        return False
    if error.code is not None:
        return error.code in TRANSIENT_CODES
    status = _STATUS.search(str(error))
    if status is None:
        return isinstance(error, OperationalError)
    return int(status[1]) >= 500 or int(status[1]) == _TOO_MANY_REQUESTS


def _client(target: Target) -> "Client":
    try:
        import clickhouse_connect
    except ImportError:
        raise StoreError(f"{target}: clickhouse-connect is not installed: pip install 'l3book[clickhouse]'") from None
    # It warns of every error that it raises, which is then told twice.
    logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)
    if target.path:
        try:
            return clickhouse_connect.get_client(interface="chdb", path=target.path)
        except ImportError:
            raise StoreError(f"{target}: the engine is not installed: pip install chdb") from None
    return clickhouse_connect.get_client(
        host=target.host,
        port=target.port,
        username=target.user or None,
        password=target.password,
        secure=target.secure,
        client_name="l3book",
        connect_timeout=CONNECT_TIMEOUT_S,
        send_receive_timeout=ANSWER_TIMEOUT_S,
        # In a session, requests have to take turns.
        autogenerate_session_id=False,
        dedicated_pool=True,
    )
