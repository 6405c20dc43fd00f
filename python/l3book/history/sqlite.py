"""The embedded store: history.sqlite, in the folder of the log that it is derived from."""

import contextlib
import functools
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from l3book.history import compaction, sqlite_write
from l3book.history.answers import Answers, Place
from l3book.history.archive import Archive, compacted_days, compacted_until
from l3book.history.intervals import in_force
from l3book.history.order_rows import life_rows
from l3book.history.sqlite_rows import SIGNED_MAX, SqliteRows
from l3book.history.sqlite_schema import BUSY_TIMEOUT_S, NewerFileError, end_ordinal_of, prepare
from l3book.history.store import (
    Batch,
    BboRow,
    Book,
    InstrumentRow,
    LevelRow,
    LifeRow,
    NotOpenYetError,
    SessionStart,
    StoreError,
    TradeRow,
    VolumeRow,
)
from l3book.times import NS_PER_S

if TYPE_CHECKING:
    from l3book._core import Past

FILE_NAME = "history.sqlite"
"""In the folder of a history. It may be deleted: it is made anew from the log."""
_WRITER_CACHE_KB = 32_768
_WAL_BYTES_MAX = 64 * 1024 * 1024
"""Of the write-ahead log between two checkpoints; SQLite cuts it to this afterwards."""


def end_ordinal_in(folder: Path) -> int:
    """Say as of which ordinal a folder's tables end, without opening a store; 0 where there are none that tell."""
    try:
        uri = f"{(folder / FILE_NAME).absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            return end_ordinal_of(connection)
    except sqlite3.Error:
        return 0


class SqliteStore:
    """A Store in one file, with one writer and any number of readers, which never wait for each other."""

    name = "sqlite"
    is_of_one_process = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._writer: sqlite3.Connection | None = None
        self._is_closed = False
        self._writer_lock = threading.Lock()
        self._progress = sqlite_write.Progress()
        # Connections that no query uses now. A query takes one and puts it back: threads come and go.
        self._readers: deque[sqlite3.Connection] = deque()
        self.archive = Archive(folder)

    def open(self) -> None:
        """Make or migrate the file. Raises StoreError, also where it is of a later l3book or no SQLite file."""
        with self._writer_lock, self._storing():
            if self._writer is not None:
                return
            connection = self._connect()
            try:
                prepare(connection)
                connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KB}")
                connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_MAX}")
            except BaseException:
                connection.close()
                raise
            self._writer, self._is_closed = connection, False

    def position(self) -> int:
        """As Store.position."""
        with self.reading() as connection:
            (ordinal,) = connection.execute("SELECT ordinal FROM position").fetchone()
        return int(ordinal)

    def end_ordinal(self) -> int:
        """As Store.end_ordinal."""
        with self.reading() as connection:
            return end_ordinal_of(connection)

    def sessions(self) -> list[SessionStart]:
        """As Store.sessions."""
        with self.reading() as connection:
            found = connection.execute("SELECT ordinal, uri, ts_recv FROM session_starts ORDER BY ordinal")
            return [SessionStart(*row) for row in found]

    def begin_anew(self) -> None:
        """Forget all rows, days that are compacted among them, and how far they are."""
        with self.writing() as connection:
            days = compacted_days(connection)
            sqlite_write.delete_all(connection)
        self._progress = sqlite_write.Progress()
        self.archive.remove(days)

    def write(self, batch: Batch) -> None:
        """Write it and its position in one transaction."""
        try:
            with self.writing() as connection:
                taken_back = compaction.take_back(connection, self.archive, batch)
                sqlite_write.write(connection, batch, self._progress)
            self.archive.remove(taken_back)
        except BaseException:
            # What it remembers of the tables may have been rolled back.
            self._progress = sqlite_write.Progress()
            raise

    def instruments(self) -> list[InstrumentRow]:
        """As Store.instruments."""
        with self.reading() as connection:
            found = connection.execute(
                "SELECT publisher_id, instrument_id, symbol FROM books ORDER BY publisher_id, instrument_id"
            )
            return [InstrumentRow(*row) for row in found]

    def trades(
        self, book: Book, start: int, end: int, limit: int, after: tuple[int, int] | None = None
    ) -> list[TradeRow]:
        """As Store.trades."""
        with self._answers(book) as answers:
            return answers.trades((start, end), limit, after)

    def bbo(
        self, book: Book, start: int, end: int, interval_ns: int | None, limit: int, after: int | None = None
    ) -> list[BboRow]:
        """As Store.bbo."""
        with self._answers(book) as answers:
            return answers.bbo((start, end), interval_ns, limit, after)

    def levels(
        self,
        book: Book,
        start: int,
        end: int,
        interval_ns: int | None,
        limit: int,
        after: tuple[int, str, int] | None = None,
        *,
        side: str | None = None,
        price: int | None = None,
    ) -> list[LevelRow]:
        """As Store.levels."""
        with self._answers(book) as answers:
            return answers.levels((start, end), interval_ns, limit, after, side, price)

    def volume(
        self, book: Book, start: int, end: int, interval_ns: int, limit: int, after: int | None = None
    ) -> list[VolumeRow]:
        """As Store.volume."""
        with self._answers(book) as answers:
            return answers.volume((start, end), interval_ns, limit, after)

    def order_life(self, book: Book, order_id: int, limit: int = 10_000) -> list[LifeRow]:
        """As Store.order_life; from the log itself, so also what the tables do not have yet."""
        from l3book._core import HistoryError

        try:
            ordinals, records = self.past.order_life(*book, order_id, limit=limit)
        except (HistoryError, OSError) as error:
            raise StoreError(f"{self.folder}: {error}") from None
        return life_rows(ordinals, records)

    @functools.cached_property
    def past(self) -> "Past":
        """Books as the log has them; one for all who ask, as it knows all of the log's frames. Raises as `Past`."""
        from l3book._core import Past

        return Past(self.folder)

    def prune(self, before_ts: int) -> None:
        """As Store.prune; compacted days go as a whole, once all of a day is older."""
        second = before_ts // NS_PER_S
        self.prune_tables(second)
        with self.writing() as connection:
            days = compaction.forget_days(connection, second)
        self.archive.remove(days)

    def prune_tables(self, before_second: int) -> None:
        """Delete rows of SQLite's own tables, of days that are compacted or wanted no more."""
        with self.reading() as connection:
            books = [book for (book,) in connection.execute("SELECT book FROM books")]
        # A transaction each: a writer of another process, and whoever waits for this one, gets a turn in between.
        for book in books:
            with self.writing() as connection:
                sqlite_write.prune_book(connection, book, before_second)
        with self.writing() as connection:
            sqlite_write.prune_rest(connection, before_second)
        self._progress = sqlite_write.Progress()
        with self._writer_lock, self._storing():
            if self._writer is not None:
                self._writer.execute("PRAGMA incremental_vacuum").fetchall()

    def bytes_used(self) -> int:
        """Return how much of the disk rows take: pages that are free and will be filled again do not count."""
        with self.reading() as connection:
            pages, free, page_bytes = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * page_bytes) + self.archive.bytes_used()

    def close(self) -> None:
        """As Store.close."""
        self._is_closed = True
        with self._writer_lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        while self._readers:
            self._readers.popleft().close()
        self.archive.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Have one transaction, of which all is kept or nothing. Raises StoreError."""
        with self._writer_lock, self._storing():
            if self._writer is None:
                raise StoreError(f"{self.path}: closed: expected open() before it is written to")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # Where the disk is full, SQLite has done this by itself.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Have one view of everything, whatever is written meanwhile. Raises StoreError."""
        with self._storing():
            if self._writer is None:
                if self._is_closed:
                    raise StoreError(f"{self.path}: closed: who asks is about to end")
                raise NotOpenYetError(f"{self.path}: not open yet: who asks has just started")
            try:
                connection = self._readers.pop()
            except IndexError:
                connection = self._connect()
            try:
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            if self._writer is None:
                connection.close()
            else:
                self._readers.append(connection)

    @contextlib.contextmanager
    def _answers(self, book: Book) -> Iterator[Answers]:
        with self.reading() as connection:
            boundary = compacted_until(connection)
            places = [Place(SqliteRows(connection, book), boundary, SIGNED_MAX)]
            if boundary:
                places.insert(0, Place(self.archive.rows(book, compacted_days(connection)), 0, boundary))
            (newest,) = connection.execute("SELECT newest_second FROM position").fetchone()
            sessions = connection.execute("SELECT ordinal, ts_recv FROM session_starts").fetchall()
            yield Answers(places, newest * NS_PER_S, in_force(sessions))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        # After a crash of the machine the last transactions may be gone, each as a whole: the log has them.
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @contextlib.contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except NewerFileError as error:
            raise StoreError(f"{self.path}: {error}") from None
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error
        except OSError as error:
            raise StoreError(f"{error.filename or self.folder}: {error.strerror or error}") from error
