"""Connections to PostgreSQL: one that writes, a few that read."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from l3book.history.retrying import ERROR_CHARACTERS_MAX, tried_again
from l3book.history.store import StoreError

if TYPE_CHECKING:
    from psycopg import Connection as Psycopg
    from psycopg.rows import TupleRow

Result = TypeVar("Result")

READERS_MAX = 4
CONNECT_TIMEOUT_S = 10
READER_TIMEOUT_S = 30
"""Until a reader has a connection of its own."""

# Classes of SQLSTATE in which the server says that it cannot just now: connection, resources, operator (it is stopped,
# or starts up), rollback for a conflict. All else it says of the statement or the rows, which would fail again.
_TRANSIENT_CLASSES = ("08", "53", "57", "40")


class Connections:
    """Where a database is, and who is connected to it. Its text never shows a password."""

    def __init__(self, options: dict[str, Any], place: str, retries_s_max: float) -> None:
        """`options` are libpq's; `place` is how errors call the database."""
        try:
            import psycopg
            from psycopg_pool import ConnectionPool
        except ImportError:
            raise StoreError(f"{place}: psycopg is not installed: pip install 'l3book[postgres]'") from None

        self._place = place
        self._retries_s_max = retries_s_max
        self._closing = threading.Event()
        self._options = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "l3book", **options}
        self._writer: Psycopg[TupleRow] | None = None
        self._errors = psycopg.Error
        self._readers = ConnectionPool(
            kwargs={**self._options, "autocommit": True},
            min_size=0,
            max_size=READERS_MAX,
            timeout=READER_TIMEOUT_S,
            # One that has died is replaced, and nobody asks it.
            check=ConnectionPool.check_connection,
            open=False,
        )
        self._readers.open()

    def close(self) -> None:
        """Let go of all; a write that waits for another try gives up."""
        self._closing.set()
        self._readers.close()
        if self._writer is not None:
            self._writer.close()

    def read(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask, on a connection that nobody else uses meanwhile."""
        with self._guarded(), self._readers.connection() as connection:
            return connection.execute(query, parameters).fetchall()

    def write(self, work: "Callable[[Psycopg[TupleRow]], Result]") -> Result:
        """Do it in a transaction; all of it again, on a new connection, where it was cut off."""
        with self._guarded():
            return tried_again(
                lambda: self._in_transaction(work), is_transient, self._retries_s_max, self._closing, self._place
            )

    def _in_transaction(self, work: "Callable[[Psycopg[TupleRow]], Result]") -> Result:
        import psycopg

        if self._writer is not None and self._writer.closed:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._writer = psycopg.connect(**self._options)
        with self._writer.transaction():
            return work(self._writer)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            line = str(error).strip().split("\n", 1)[0]
            raise StoreError(f"{self._place}: {line[:ERROR_CHARACTERS_MAX]}") from error


def is_transient(error: BaseException) -> bool:
    """Tell whether the same may succeed later."""
    import psycopg

    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError):
        return False
    if error.sqlstate is None:
        # The connection was lost, or not made, for which libpq has no code. A server that answers and refuses is for
        # good, but for one that starts, stops or recovers, or has no place left.
        passing = ("the database system is", "too many clients", "connection slots")
        return "FATAL" not in str(error) or any(text in str(error) for text in passing)
    return error.sqlstate.startswith(_TRANSIENT_CLASSES)
