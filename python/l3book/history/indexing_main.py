"""What runs in the process of an `IndexingProcess`: an `Indexing`, until its parent says so or is gone."""

import contextlib
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, NoReturn

from l3book.disk import lock
from l3book.history.indexing import Indexing
from l3book.history.uri import store_of
from l3book.logs import Logger
from l3book.telemetry import exception_of, traceback_of

if TYPE_CHECKING:
    from io import TextIOWrapper

TELL_INTERVAL_S: Final = 0.5
NICENESS: Final = 5
"""Where a process cannot be idle."""
LOCK_NAME: Final = "indexing.lock"
LOCK_POLL_S: Final = 0.1
LOCK_QUIET_S: Final = 1.0
"""One whose parent was killed takes a moment to end; more is worth a line of the log."""
LOG_CHARACTERS_MAX: Final = 8_192
EXCEPTION_CHARACTERS_MAX: Final = 32_768
"""As fields; a longer one is told as text only. The parent reads no longer lines than twice that."""
EXIT_UNFINISHED: Final = 1
EXIT_UNUSABLE: Final = 2
EXIT_ORPHAN: Final = 3
EXIT_BROKEN: Final = 4

log = Logger(__name__)


def main(told: dict[str, Any]) -> NoReturn:
    """Follow the log of a folder as told; never returns."""
    _ignore_signals()
    _give_way()
    parent = Parent()
    logging.basicConfig(handlers=[_LogToParent(parent)], level=logging.INFO, force=True)
    folder = Path(told["folder"])
    try:
        indexing = Indexing(
            folder,
            store_of(told["store"], folder),
            checkpoint_records=told["checkpoint_records"],
            days_max=told["days_max"],
            bytes_max=told["bytes_max"],
        )
        held = _only_one(folder, parent.stopping)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        _end(EXIT_UNUSABLE)
    if held is None:
        _end(EXIT_UNFINISHED)
    _end(_follow(indexing, parent))


def _follow(indexing: Indexing, parent: "Parent") -> int:
    indexing.start()
    while not parent.stopping.wait(TELL_INTERVAL_S):
        parent.tell(_told_of(indexing))
        if not indexing.is_alive():
            # By something that no Python code raises; the text of it is on standard error.
            return EXIT_BROKEN
    is_whole = indexing.stop(max(0.0, parent.until_s - time.monotonic()))
    parent.tell(_told_of(indexing))
    return 0 if is_whole else EXIT_UNFINISHED


def _told_of(indexing: Indexing) -> dict[str, Any]:
    # In this order: the stats of one that is said to be open are not those from before it was.
    lag, is_open = indexing.lag, indexing.is_open
    return {"stats": indexing.stats(), "is_open": is_open, "seen": lag.seen, "written": lag.written}


class Parent:
    """The process that started this one: what it says, and what it is told."""

    def __init__(self) -> None:
        self.stopping = Event()
        self.until_s = 0.0
        """Once it is to stop: what is not written by then is left."""
        self._lock = Lock()
        Thread(target=self._listen, name="l3book-parent", daemon=True).start()

    def tell(self, message: dict[str, Any]) -> None:
        """Write a line, and end the process where nobody reads it."""
        left = json.dumps(message, default=str).encode() + b"\n"
        with self._lock:
            while left:
                try:
                    left = left[os.write(1, left) :]
                except OSError:
                    _end(EXIT_ORPHAN)

    def _listen(self) -> None:
        for line in sys.stdin:
            self.until_s = time.monotonic() + json.loads(line)["stop_s"]
            self.stopping.set()
        # Nobody is left to write for. This is a crash like any other, of which everything here is safe.
        _end(EXIT_ORPHAN)


class _LogToParent(logging.Handler):
    def __init__(self, parent: Parent) -> None:
        super().__init__()
        self._parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        """Whole: with its facts, and with the exception as text and as fields where there is one."""
        names = ("name", "levelno", "levelname", "created", "msecs")
        told: dict[str, Any] = {name: getattr(record, name) for name in names}
        told |= {name: getattr(record, name) for name in ("facts", "wording") if hasattr(record, name)}
        told["msg"] = record.getMessage()[:LOG_CHARACTERS_MAX]
        if text := traceback_of(record):
            # The end of it says what was wrong.
            told["exc_text"] = text[-LOG_CHARACTERS_MAX:]
        if (fields := exception_of(record)) and len(json.dumps(fields)) <= EXCEPTION_CHARACTERS_MAX:
            told["exception"] = fields
        self._parent.tell({"log": told})


def _give_way() -> None:
    """Leave the processors to all others, for this thread and those that it starts.

    Books, and whoever asks for them, cannot wait; tables can, as the log has the records whatever becomes of this
    process. One that is only nicer has a smaller share: a thread that is woken to answer may still wait until its turn
    is over. What is idle is interrupted at once, where the system knows such processes.
    """
    if sys.platform == "linux" and hasattr(os, "SCHED_IDLE"):
        # Some only have the name: musl, and sandboxes.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            return
    # On Windows it has been started so.
    if sys.platform != "win32":
        os.nice(NICENESS)


def _ignore_signals() -> None:
    """Whoever ends a whole group of processes means the parent, which then ends this one in order."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _only_one(folder: Path, stopping: Event) -> "TextIOWrapper | None":
    """Lock the folder's tables for as long as the process lives; None: told to stop before they were free.

    The parent has locked the log, but one before it may have been killed a moment ago, and its process still be at
    a last batch: rows that a session has put out of force since then would come back with it.
    """
    file = (folder / LOCK_NAME).open("w")
    waiting_s = 0.0
    while not lock(file.fileno()):
        waiting_s += LOCK_POLL_S
        if waiting_s - LOCK_POLL_S < LOCK_QUIET_S <= waiting_s:
            text = "history {folder}: waiting for the process that wrote its tables before"
            log.warning(text, folder=folder)
        if stopping.wait(LOCK_POLL_S):
            return None
    return file


def _end(code: int) -> NoReturn:
    """At once, also where a thread is still at work."""
    sys.stderr.flush()
    os._exit(code)
