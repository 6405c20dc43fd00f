"""What the API offers of the past: books as they were, lives of orders, rows, replays and exports over one folder."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypeVar

from l3book import tracing
from l3book._core import AmbiguousInstrumentError, Past
from l3book.config import Settings
from l3book.digits import whole_number
from l3book.etags import etag_of_json, etag_of_msgpack
from l3book.history.exports import Exports
from l3book.history.life import Life, concerning, life_of
from l3book.history.overview import Overviews
from l3book.history.replays import Replays
from l3book.history.sqlite import SqliteStore
from l3book.history.store import NotOpenYetError
from l3book.workers import WORKERS, Pool

if TYPE_CHECKING:
    from l3book.history.store import Book, InstrumentRow, Store

Result = TypeVar("Result")
Level: TypeAlias = Literal[1, 2, 3]
InstrumentRef: TypeAlias = str | tuple[int, int]

OPENING_S_MAX = 15.0
"""After the start, whoever asks for rows waits for their store; beyond, it is told at once that there are none now."""
_OPENING_POLL_S = 0.05
PENDING_MAX = 64
"""Questions about the past that are being answered or wait for it; beyond, callers are told to come again."""


class PastBook(NamedTuple):
    """A book as it was, encoded."""

    body: bytes
    etag: str
    is_final: bool
    """Whether nothing that is yet to be recorded can change it."""


class History:
    """Whoever makes it closes it, after the event loop has ended. Methods but `run` are for the pool's threads."""

    def __init__(self, directory: Path, store: "Store | None", settings: Settings) -> None:
        self.store = store
        """Where rows are asked for; None: there are none."""
        self.replays = Replays(directory, settings)
        self.exports = Exports(directory, settings)
        self.overviews = Overviews(directory)
        """What is recorded, in short."""
        self._past = store.past if isinstance(store, SqliteStore) else Past(directory)
        self._pool = Pool("l3book-past", WORKERS, PENDING_MAX)
        self._opening_until_s = time.monotonic() + OPENING_S_MAX

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Ask in a thread for the past, in turn. Raises what the work raises, and BusyError."""
        with tracing.span("history question", **{"l3book.question": getattr(work, "__qualname__", "")}):
            while True:
                try:
                    return await self._pool.run(work, *arguments)
                except NotOpenYetError:
                    # A server is ready as soon as there are books, while another process still looks for the tables.
                    if time.monotonic() > self._opening_until_s:
                        raise
                await asyncio.sleep(_OPENING_POLL_S)

    def book_json(self, instrument: InstrumentRef, at: int, level: Level, depth: int | None) -> PastBook:
        """One book after all events complete at or before `at` (ts_event, ns), as Hub.book_json writes it.

        Raises UnknownInstrumentError, AmbiguousInstrumentError, NotRecordedError and HistoryError.
        """
        is_final = self._is_final(at)
        body = self._past.book_json(instrument, at, level=level, depth=depth)
        return PastBook(body, etag_of_json(body, level, depth), is_final)

    def book_msgpack(self, instrument: InstrumentRef, at: int, level: Level, depth: int | None) -> PastBook:
        """Do the same as `book_json`, as MessagePack."""
        is_final = self._is_final(at)
        body = self._past.book_msgpack(instrument, at, level=level, depth=depth)
        return PastBook(body, etag_of_msgpack(body, level, depth), is_final)

    def resolve(self, instrument: str) -> "Book":
        """Find the (publisher_id, instrument_id) of a book that was recorded, be it gone by now.

        The store's tables are asked first, then the log, which knows names that others have now.
        Raises UnknownInstrumentError or AmbiguousInstrumentError.
        """
        rows = self.store.instruments() if self.store is not None else []
        keys = [(row.publisher_id, row.instrument_id) for row in rows if _goes_by(row, instrument)]
        if not keys:
            return self._past.resolve(instrument)
        if len(keys) > 1:
            error = AmbiguousInstrumentError(instrument)
            error.choices = keys
            raise error
        return keys[0]

    def life(self, book: "Book", order_id: int, at: int | None) -> Life | None:
        """Tell what became of an order, in the newest session that knows it, up to `at`; None: none knows it."""
        if self.store is None:
            return None
        end_ordinal = None if at is None else self._past.ordinal_at(at)
        records = concerning(order_id, self.store.order_life(book, order_id))
        return life_of(records, [session["ordinal"] for session in self._past.range()], end_ordinal)

    def close(self) -> None:
        """Wait for the threads."""
        self.replays.close()
        self.exports.close()
        self.overviews.close()
        self._pool.close()

    def _is_final(self, at: int) -> bool:
        # Asked before the book is: what is recorded in between must not make an earlier answer final.
        newest = next((session["ts_event_max"] for session in reversed(self._past.range())), None)
        return newest is not None and at < newest


def _goes_by(row: "InstrumentRow", name: str) -> bool:
    publisher, _, instrument = name.rpartition(":")
    if row.symbol == name:
        return True
    if whole_number(instrument) != row.instrument_id:
        return False
    return not publisher or whole_number(publisher) == row.publisher_id
