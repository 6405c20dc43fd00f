"""The thread that derives everything else from the log: it follows its end, and writes a store.

It holds nothing that the log does not have. Whatever fails, it begins anew where the store says, after a while. A
server has it in another process (`indexing_process`), except where the store can only be used in one.
"""

import logging
import time
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

from l3book._core import Indexer, L3BookError, Log
from l3book.history.agreement import contradiction, other_record
from l3book.history.catalogue import Catalogue
from l3book.history.lag import Lag
from l3book.history.retention import Limits, Retention
from l3book.history.sqlite import SqliteStore
from l3book.history.store import Store, StoreError
from l3book.logs import Logger

if TYPE_CHECKING:
    from l3book._core import Batch

IndexingState: TypeAlias = Literal["indexing", "failing", "stopped"]

BATCH_RECORDS_MAX = 524_288
"""Bounds memory, and how long a transaction takes."""
BATCH_INTERVAL_S = 0.5
"""Between two batches once the end of the log is reached: each writes the rows of the unfinished second anew."""
HOUSEKEEPING_INTERVAL_S = 10.0
"""Between two looks at what is to be removed, and at whether the catalogue is right."""
RETRY_FIRST_S = 0.5
RETRY_LAST_S = 30.0

log = Logger(__name__)


class Stats(TypedDict):
    """How indexing goes."""

    state: IndexingState
    error: str | None
    store: str
    position: int
    batches: int
    rows: int
    errors: int
    restarts: int
    lag_s: float
    """How old the oldest durable record is that is not in the store."""
    pruned_segments: int
    pruned_bytes: int


class Indexing:
    """Keeps a store up with the log of a folder, and the folder within its limits."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        checkpoint_records: int = 1_000_000,
        days_max: int = 0,
        bytes_max: int = 0,
    ) -> None:
        self.store = store
        """Opened by the thread; any other may ask it."""
        self._folder = folder
        self._checkpoint_records = checkpoint_records
        self._retention = Retention(folder, store, Limits(days_max, bytes_max))
        self._housekeeping_due_s = 0.0
        self._thread = Thread(target=self._run, name="l3book-indexing", daemon=True)
        self._stopping = Event()
        self._until_s = 0.0
        self._state: IndexingState = "indexing"
        self._error: str | None = None
        self._position = 0
        self._batches = self._rows = self._errors = self._restarts = 0
        self.lag = Lag()
        self.is_open = False
        """Whether the store has its tables, so that others may ask it, too."""

    def start(self) -> None:
        """Start the thread. What cannot be used is in `stats`, and tried again."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Write what the log has now, end the thread, close the store; -> whether all that was done in time."""
        self._until_s = time.monotonic() + timeout_s
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._state = "stopped"
        self.store.close()
        return True

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stats(self) -> Stats:
        """Tell how it goes. For any thread."""
        return {
            "state": self._state,
            "error": self._error,
            "store": self.store.name,
            "position": self._position,
            "batches": self._batches,
            "rows": self._rows,
            "errors": self._errors,
            "restarts": self._restarts,
            "lag_s": self.lag.seconds(time.monotonic()),
            "pruned_segments": self._retention.removed.segments,
            "pruned_bytes": self._retention.removed.bytes,
        }

    def _run(self) -> None:
        wait_s = RETRY_FIRST_S
        # At least once: a server that ends at once has its tables whole, too.
        while True:
            batches = self._batches
            try:
                self._follow()
            except (StoreError, L3BookError, OSError) as error:
                self._fail(str(error))
            # Anything else is a bug, of which the log has to tell where; the recording goes on meanwhile.
            except Exception as error:
                log.exception("history {folder}: indexing failed", folder=self._folder)
                self._fail(f"internal error: {type(error).__name__}: {error}")
            if self._batches > batches:
                wait_s = RETRY_FIRST_S
            if self._stopping.wait(wait_s):
                break
            wait_s = min(2 * wait_s, RETRY_LAST_S)

    def _follow(self) -> None:
        """Write batch after batch, until it is told to stop. Raises what made it impossible to go on."""
        history = Log(self._folder)
        # Also where there is no store to write to: what comes meanwhile is not in it.
        self.lag.look(history.end_ordinal, time.monotonic())
        self.store.open()
        self.is_open = True
        position = self._position = self._position_in(history)
        catalogue = Catalogue(self.store) if isinstance(self.store, SqliteStore) else None
        indexer = Indexer(
            self._folder,
            ordinal=max(position, history.first_ordinal),
            checkpoint_records=self._checkpoint_records,
            # SQLite has no use for them: an order's life is read off the log.
            keep_records=not isinstance(self.store, SqliteStore),
        )
        while True:
            is_last = self._stopping.is_set()
            started_s = time.monotonic()
            history.refresh()
            self.lag.look(history.end_ordinal, started_s)
            batch = indexer.advance(BATCH_RECORDS_MAX)
            if batch is not None:
                self._write(batch)
                self._tell_of_batch(batch, history)
            self.lag.wrote(indexer.next_ordinal)
            is_behind = indexer.next_ordinal < history.end_ordinal
            self._recover()
            self._tell_of(indexer)
            if is_last and (not is_behind or time.monotonic() > self._until_s):
                self._keep_house(history, catalogue)
                return
            if time.monotonic() >= self._housekeeping_due_s:
                self._keep_house(history, catalogue)
            if not is_behind:
                self._stopping.wait(max(0.0, BATCH_INTERVAL_S - (time.monotonic() - started_s)))

    def _position_in(self, history: Log) -> int:
        """Where to go on: what the log lost, or had to begin elsewhere, is in no table that is made from it."""
        position = self.store.position()
        what = contradiction(history, position, self.store.end_ordinal(), self.store.sessions())
        # The recorder asks SQLite which ordinals were given, and no store elsewhere.
        if what is None and not isinstance(self.store, SqliteStore):
            what = other_record(history, self.store)
        if what is None:
            return position
        # A store elsewhere may be another history's, or have what this log does not have any more.
        if not isinstance(self.store, SqliteStore):
            raise StoreError(
                f"{self.store.name}: {what} in {self._folder}: expected the store of this log, or an empty one: "
                f"drop its tables, then they are made anew from the log, or name another database"
            )
        text = "history {folder}: the tables have {contradiction}: they are made anew"
        log.warning(text, folder=self._folder, contradiction=what)
        self.store.begin_anew()
        return 0

    def _write(self, batch: "Batch") -> None:
        self.store.write(batch)
        self._position = batch.resume_ordinal
        self._batches += 1
        self._rows += _rows_of(batch)

    def _keep_house(self, history: Log, catalogue: Catalogue | None) -> None:
        self._housekeeping_due_s = time.monotonic() + HOUSEKEEPING_INTERVAL_S
        if self._retention.apply(history):
            history.refresh()
        if catalogue is not None:
            catalogue.follow(history)

    def _tell_of_batch(self, batch: "Batch", history: Log) -> None:
        """Log what somebody may look for in vain: records that are missing, and those of a time that is told anew."""
        for first, end, reason in batch.holes:
            text = "history {folder}: {records} records from {ordinal} on are missing in its tables: {reason}"
            if end > first:
                log.warning(text, folder=self._folder, records=end - first, ordinal=first, reason=reason)
        for ordinal, source, begin in batch.sessions:
            earlier = [session for session in history.sessions() if session["ordinal"] < ordinal]
            hidden = [session for session in earlier if (session["ts_recv_max"] or 0) >= begin]
            if not hidden:
                continue
            # The same once more is what a demonstration does at each start.
            is_same = all(session["uri"] == source for session in hidden)
            log.log(
                logging.INFO if is_same else logging.WARNING,
                "history {folder}: {source} begins at {begin} (ns): what was recorded before of that time and "
                "later, up to {end}, is out of force, of books as of tables; expected a folder for each recording",
                folder=self._folder,
                source=source,
                begin=begin,
                end=max(session["ts_recv_max"] for session in hidden),
            )

    def _tell_of(self, indexer: Indexer) -> None:
        """Log what went wrong without any row being wrong for it."""
        if error := indexer.take_error():
            self._errors += 1
            text = "history {folder}: a checkpoint or filter of orders could not be made: {error}"
            log.warning(text, folder=self._folder, error=error)

    def _fail(self, error: str) -> None:
        self._errors += 1
        self._restarts += 1
        if error != self._error:
            text = "history {folder}: not indexed at the moment, tried again: {error}"
            log.warning(text, folder=self._folder, error=error)
        self._error = error
        self._state = "failing"

    def _recover(self) -> None:
        if self._state == "failing":
            log.warning("history {folder}: indexed again", folder=self._folder)
            self._state = "indexing"
            self._error = None


def _rows_of(batch: "Batch") -> int:
    from l3book.history.rows import BBO, LEVEL, TRADE

    return sum(
        len(packed) // dtype.itemsize
        for packed, dtype in ((batch.trades, TRADE), (batch.bbo, BBO), (batch.levels, LEVEL))
    )
