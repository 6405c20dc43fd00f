"""Opening a store here that another process writes: in a thread of its own, since a server may keep it waiting."""

from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from l3book.history.indexing import RETRY_FIRST_S, RETRY_LAST_S
from l3book.history.store import StoreError
from l3book.logs import Logger

if TYPE_CHECKING:
    from l3book.history.store import Store

SOON_S: Final = 0.25
"""A store that is a file is open by then: nobody who is told of its rows finds it closed."""

log = Logger(__name__)


class Opening:
    """Opens a store once its tables are there, and tries again for as long as that takes; closes it in the end."""

    def __init__(self, folder: Path, store: "Store") -> None:
        """`folder` is that of the history, as the log calls it."""
        self._folder = folder
        self._store = store
        self._thread: Thread | None = None
        self._stopping = Event()
        self._error: str | None = None

    def begin(self) -> None:
        """Begin, and wait for a moment, unless that was done before. Not for several threads at once."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="l3book-opening", daemon=True)
            self._thread.start()
            self._thread.join(SOON_S)

    def close(self) -> None:
        """Close the store, without waiting for a server that does not answer: what comes of that is closed then."""
        # First: one that is open only now is closed here or there, or by both.
        self._stopping.set()
        self._store.close()

    def _run(self) -> None:
        wait_s = RETRY_FIRST_S
        while not self._stopping.is_set():
            try:
                self._store.open()
            except StoreError as error:
                self._fail(str(error))
            # Anything else is a bug, of which the log has to tell where; it may be over the next time all the same.
            except Exception as error:
                log.exception("history {folder}: the store cannot be opened", folder=self._folder)
                self._fail(f"internal error: {type(error).__name__}: {error}")
            else:
                self._opened()
                return
            self._stopping.wait(wait_s)
            wait_s = min(2 * wait_s, RETRY_LAST_S)

    def _fail(self, error: str) -> None:
        if error != self._error:
            text = "history {folder}: its tables cannot be asked at the moment, tried again: {error}"
            log.warning(text, folder=self._folder, error=error)
        self._error = error

    def _opened(self) -> None:
        if self._stopping.is_set():
            self._store.close()
        elif self._error is not None:
            log.warning("history {folder}: its tables can be asked", folder=self._folder)
