"""Indexing in a process of its own, so that the event loop and the engine share their GIL with nobody else.

`indexing_main` is what runs there. It is told by its standard input, and tells by its standard output: lines of JSON.
It lives no longer than this process: when that is gone, even by SIGKILL, its standard input ends, and so does it.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final

from l3book.history.indexing import RETRY_FIRST_S, RETRY_LAST_S, Stats
from l3book.history.lag import Lag
from l3book.history.opening import Opening
from l3book.history.uri import PASSWORD_VARIABLE
from l3book.logs import Logger
from l3book.secret import FILE_SUFFIX, SECRET_VARIABLES

if TYPE_CHECKING:
    from l3book.history.store import Store

LINE_BYTES_MAX: Final = 65_536
WORDS_CHARACTERS_MAX: Final = 300
SILENT_S_MAX: Final = 5.0
"""It tells much more often than this; what has not been told of for so long is taken for not done."""
EXIT_S: Final = 0.5
"""Of the time to stop, what is left for the process to end in."""
KILLED_S: Final = 5.0
"""A process that was killed is gone after so long."""

# As `multiprocessing` does it: what is imported there must be what was imported here, whatever folder this is.
_PROGRAM: Final = (
    "import json, sys; told = json.loads(sys.stdin.readline()); sys.path[:] = told.pop('path');"
    " from l3book.history.indexing_main import main; main(told)"
)

if sys.platform == "win32":
    # There the group is one of these, and so is its place behind all others, which `indexing_main` takes elsewhere.
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.IDLE_PRIORITY_CLASS
else:
    _CREATION_FLAGS = 0

log = Logger(__name__)


class IndexingProcess:
    """The same as an `Indexing`, elsewhere: started anew whenever it ends by itself."""

    def __init__(
        self,
        folder: Path,
        store_uri: str,
        store: "Store",
        *,
        checkpoint_records: int = 1_000_000,
        days_max: int = 0,
        bytes_max: int = 0,
    ) -> None:
        """`store` is that of the URI, and only asked here."""
        self.store = store
        self._opening = Opening(folder, store)
        self._folder = folder
        self._told = {
            "folder": str(folder),
            "store": store_uri,
            "checkpoint_records": checkpoint_records,
            "days_max": days_max,
            "bytes_max": bytes_max,
        }
        self._thread = Thread(target=self._run, name="l3book-indexing", daemon=True)
        # Guards `_process` and what is written to it: it is started and stopped by different threads.
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = Event()
        self._is_whole = False
        self._is_stopped = False
        self._error: str | None = None
        self._words = ""
        # As last told, and when; with the counts of the processes before, which `_before` has alone.
        self._stats = self._before = _none_yet(store.name)
        self._told_s = time.monotonic()
        # Over all processes: a new one knows nothing of how long the last one has been gone.
        self._lag = Lag()

    def start(self) -> None:
        """Start it, without waiting for it. What goes wrong is in `stats`, and tried again."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Have it write what the log has now, and end it, the store too; -> whether all that was done in time."""
        until_s = time.monotonic() + timeout_s
        with self._lock:
            self._stopping.set()
            self._say({"stop_s": max(0.0, timeout_s - EXIT_S)})
        if self._thread.is_alive():
            self._thread.join(max(0.0, until_s - time.monotonic()))
        if self._thread.is_alive():
            self._kill()
            self._thread.join(KILLED_S)
        self._is_stopped = True
        self._opening.close()
        return self._is_whole

    def stats(self) -> Stats:
        """As `Indexing.stats`; counters are of all processes since the start."""
        told = self._stats
        error = self._error or told["error"]
        return {
            **told,
            "state": "stopped" if self._is_stopped else "failing" if error else "indexing",
            "error": error,
            "lag_s": self._lag_s(told["lag_s"]),
        }

    def _lag_s(self, told_s: float) -> float:
        now_s = time.monotonic()
        silent_s = now_s - self._told_s
        if self._is_stopped or silent_s < SILENT_S_MAX:
            silent_s = 0.0
        return max(told_s + silent_s, self._lag.seconds(now_s - silent_s) + silent_s)

    def _run(self) -> None:
        wait_s = RETRY_FIRST_S
        while not self._stopping.is_set():
            batches = self._stats["batches"]
            try:
                code = self._run_once()
            except OSError as error:
                self._fail(f"the indexing process cannot be started: {error.strerror or error}")
            # Anything else is a bug, of which the log has to tell where; the recording goes on meanwhile.
            except Exception as error:
                log.exception("history {folder}: the indexing process cannot be followed", folder=self._folder)
                self._fail(f"internal error: {type(error).__name__}: {error}")
            else:
                self._is_whole = code == 0
                if code is not None and not self._stopping.is_set():
                    self._fail(_said(code, self._words))
            if self._stats["batches"] > batches:
                wait_s = RETRY_FIRST_S
            if self._stopping.wait(wait_s):
                break
            wait_s = min(2 * wait_s, RETRY_LAST_S)

    def _run_once(self) -> int | None:
        """Run a process from its begin to its end; -> its exit code; None: it was not wanted any more."""
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = process = subprocess.Popen(  # noqa: S603  # ourselves
                [sys.executable, "-P", "-c", _PROGRAM, "l3book-indexing", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(),
                # Out of the group that a terminal sends signals to: when it ends is said by its standard input.
                process_group=0,
                creationflags=_CREATION_FLAGS,
            )
            self._words, self._before = "", self._stats
            self._say({**self._told, "path": sys.path})
        with process:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018  # they are pipes
            while line := process.stdout.readline(LINE_BYTES_MAX):
                self._hear(line)
            # What it has ended without reading cannot be flushed; it would be tried again below, and be raised.
            with contextlib.suppress(OSError):
                process.stdin.close()
        with self._lock:
            self._process = None
        return process.returncode

    def _say(self, message: dict[str, Any]) -> None:
        """Write a line to the process, if there is one."""
        if self._process is None or self._process.stdin is None:
            return
        # One that has ended is seen to where its end is noticed.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _kill(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _hear(self, line: bytes) -> None:
        message = _message_of(line)
        if "log" in message:
            _log_again(message["log"])
        elif "stats" in message:
            self._take(message)
        elif words := line.decode(errors="replace").strip()[:WORDS_CHARACTERS_MAX]:
            # What a library says, or the interpreter at its end.
            self._words = words
            log.warning("history {folder}: the indexing process says: {words}", folder=self._folder, words=words)

    def _take(self, message: dict[str, Any]) -> None:
        stats: Stats = message["stats"]
        is_open: bool = message["is_open"]
        if is_open:
            # Not before: tables are made and migrated there.
            self._opening.begin()
        else:
            stats["position"] = self._before["position"]
        self._stats = _added(stats, self._before)
        self._told_s = time.monotonic()
        self._lag.look(message["seen"], self._told_s)
        self._lag.wrote(message["written"])
        # Before it has looked at the log, it is not behind it either.
        if self._error and is_open and stats["state"] == "indexing" and (stats["batches"] or not stats["lag_s"]):
            log.warning("history {folder}: indexed again", folder=self._folder)
            self._error = None

    def _fail(self, error: str) -> None:
        stats = self._stats
        self._stats = {**stats, "errors": stats["errors"] + 1, "restarts": stats["restarts"] + 1}
        if error != self._error:
            text = "history {folder}: not indexed at the moment, tried again: {error}"
            log.warning(text, folder=self._folder, error=error)
        self._error = error


def _none_yet(store: str) -> Stats:
    return {
        "state": "indexing",
        "error": None,
        "store": store,
        "position": 0,
        "batches": 0,
        "rows": 0,
        "errors": 0,
        "restarts": 0,
        "lag_s": 0.0,
        "pruned_segments": 0,
        "pruned_bytes": 0,
    }


def _added(told: Stats, before: Stats) -> Stats:
    return {
        **told,
        "batches": told["batches"] + before["batches"],
        "rows": told["rows"] + before["rows"],
        "errors": told["errors"] + before["errors"],
        "restarts": told["restarts"] + before["restarts"],
        "pruned_segments": told["pruned_segments"] + before["pruned_segments"],
        "pruned_bytes": told["pruned_bytes"] + before["pruned_bytes"],
    }


def _environment() -> dict[str, str]:
    """Of its secrets, the process gets the one that it needs."""
    others = SECRET_VARIABLES.keys() - {PASSWORD_VARIABLE}
    # Of OpenTelemetry's, a collector's token: the process traces nothing.
    tokens = {name for name in os.environ if name.startswith("OTEL_") and name.endswith("_HEADERS")}
    kept_back = {*others, *(name + FILE_SUFFIX for name in others), *tokens}
    return {name: value for name, value in os.environ.items() if name not in kept_back}


def _message_of(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _log_again(told: dict[str, Any]) -> None:
    """Have a line of the process go the way of this one's own, with all that it tells."""
    logger = logging.getLogger(told["name"])
    if logger.isEnabledFor(told["levelno"]):
        logger.handle(logging.makeLogRecord(told))


def _said(code: int, words: str) -> str:
    because = f": {words}" if words else ""
    if code >= 0:
        return f"the indexing process ended with exit code {code}{because}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"the indexing process was ended by {name}{because}"
