"""The recording of a running server: how the source waits for it, what it says, how it ends."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from l3book._core import Recorder
from l3book.logs import Logger

if TYPE_CHECKING:
    from l3book.config import Settings
    from l3book.history.indexing import Indexing, Stats
    from l3book.history.indexing_process import IndexingProcess

log = Logger(__name__)

AnyIndexing: TypeAlias = "Indexing | IndexingProcess"
RecordingState: TypeAlias = Literal["off", "taken", "unavailable", "recording", "failing", "closed"]

MS_PER_S = 1000
ROOM_POLL_S = 0.1
"""A source that waits for the recorder looks so often whether it is to stop."""
STOP_TIMEOUT_S = 10.0
"""What was recorded gets so long to be written at the end, and its tables to be whole."""


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """Nothing is recorded, by a setting or for a reason."""

    state: Literal["off", "taken", "unavailable"]
    warning: str | None = None
    """Why, unless nobody wanted it; as clients are told it, without the folder."""
    warning_in_full: str | None = None
    """The same for whoever has started the server."""

    @property
    def folder(self) -> None:
        """There is none."""
        return

    def start(self) -> None:
        """Nothing follows a log that is not there."""

    def wait_room(self, is_stopping: Callable[[], bool]) -> None:
        """Nothing is waited for."""

    def look(self) -> None:
        """Nothing changes."""

    def stop(self) -> None:
        """Nothing is left to be written."""

    def condition(self) -> tuple[RecordingState, str | None]:
        """Tell what is recorded, and what somebody should see to, if anything."""
        return self.state, self.warning

    def metrics(self) -> dict[str, Any]:
        """For the wire."""
        return {"state": self.state, "warning": self.warning, "recorder": None, "indexing": None}


class Recording:
    """What a market applies goes to the log in a folder, until `stop`; tables are made from the log."""

    def __init__(
        self, folder: Path, recorder: Recorder, indexing: AnyIndexing, settings: "Settings", *, is_live: bool
    ) -> None:
        self.folder = folder
        self.store = indexing.store
        """Where the tables made from the log can be asked for."""
        self.warning_in_full: str | None = None
        """Nothing is wrong with one that has just begun."""
        self._recorder = recorder
        self._indexing = indexing
        # A live source cannot be held up for long; others wait for as long as it takes.
        self._wait_s_max = settings.history_wait_ms / MS_PER_S if is_live else None
        self._is_short = False
        self._last_state: str | None = None

    def condition(self) -> tuple[RecordingState, str | None]:
        """Whether records are being written, and what somebody should see to, if anything."""
        recorder, indexing = self._stats()
        return recorder["state"], _warning_of(recorder, indexing)

    def start(self) -> None:
        """Start what derives tables and checkpoints from the log."""
        self._indexing.start()

    def wait_room(self, is_stopping: Callable[[], bool]) -> None:
        """Hold up the source, outside of all locks, while the recorder is behind.

        Not while the disk fails, since books go on without it, and not twice for the same shortage of a live source:
        a disk that stays too slow makes holes in the log, and must not hold up the line as well.
        """
        if self._recorder.wait_room(0.0):
            self._is_short = False
            return
        if self._is_short:
            return
        give_up_s = None if self._wait_s_max is None else time.monotonic() + self._wait_s_max
        while not is_stopping() and self._recorder.stats()["state"] == "recording":
            left_s = ROOM_POLL_S if give_up_s is None else min(ROOM_POLL_S, give_up_s - time.monotonic())
            if left_s <= 0:
                self._is_short = True
                return
            if self._recorder.wait_room(left_s):
                return

    def look(self) -> None:
        """Log a change of the state; called now and then."""
        stats = self._recorder.stats()
        state = stats["state"]
        if state == self._last_state:
            return
        if state == "failing":
            log.warning(
                "history {folder}: not recorded at the moment: {error}", folder=self.folder, error=stats["error"]
            )
        elif self._last_state == "failing":
            log.warning(
                "history {folder}: recorded again: {records_lost} records in all are missing, in {holes} holes",
                folder=self.folder,
                records_lost=stats["records_lost"],
                holes=stats["holes"],
            )
        self._last_state = state

    def metrics(self) -> dict[str, Any]:
        """For the wire."""
        recorder, indexing = self._stats()
        warning = _warning_of(recorder, indexing)
        return {"state": recorder.pop("state"), "warning": warning, "recorder": recorder, "indexing": indexing}

    def _stats(self) -> tuple[dict[str, Any], "Stats"]:
        """Of the recorder and the tables, as clients may see them."""
        recorder, indexing = self._recorder.stats(), self._indexing.stats()
        if recorder["error"] is not None:
            recorder["error"] = without_folder(recorder["error"], self.folder)
        if indexing["error"] is not None:
            indexing = {**indexing, "error": without_folder(indexing["error"], self.folder)}
        return recorder, indexing

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> str | None:
        """Write what waits, once nothing more is fed; -> what was not done within the time, if anything."""
        until_s = time.monotonic() + timeout_s
        is_written = self._recorder.close(timeout_s)
        stats = self._recorder.stats()
        lost = stats["next_ordinal"] - stats["durable_ordinal"]
        left_s = max(0.0, until_s - time.monotonic())
        is_still = self._indexing.stop(left_s)
        if not is_written:
            because = f" ({stats['error']})" if stats["error"] else ""
            return f"{lost} records were not written within {timeout_s:g} s{because}"
        if not is_still:
            log.warning(
                "history {folder}: its tables were not whole within {timeout_s:g} s: the next start goes on with them",
                folder=self.folder,
                timeout_s=timeout_s,
            )
        log.info("history {folder}: {records} records, all written", folder=self.folder, records=stats["next_ordinal"])
        return None


def without_folder(text: str, folder: Path) -> str:
    """Say it for clients, whose business it is not where a history lies: files by their names in it."""
    text = text.replace(f"{folder}/", "").replace(f"{folder}", "the history's folder")
    for parent in list(folder.parents)[:-1]:
        text = text.replace(f"{parent}/", "")
    return text


AnyRecording: TypeAlias = Recording | Unrecorded
OFF = Unrecorded("off")


def _warning_of(recorder: dict[str, Any], indexing: "Stats") -> str | None:
    """Say what is wrong: records that are lost first, since tables can be made again from the log."""
    if recorder["state"] == "failing":
        return f"not recorded at the moment: {recorder['error']}"
    if indexing["state"] == "failing":
        return f"recorded, and tables are not made from it at the moment: {indexing['error']}"
    return None
