"""How a server's market begins: empty, or where its log ends."""

import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from l3book._core import HistoryError, HistoryLockedError, Log, Market, Recorder
from l3book.history.folder import default_folder, identity_of
from l3book.history.recording import OFF, AnyIndexing, AnyRecording, Recording, Unrecorded, without_folder
from l3book.history.uri import store_of
from l3book.logs import Logger
from l3book.sources import AnySource, is_connector

if TYPE_CHECKING:
    from l3book.config import Settings

log = Logger(__name__)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a server begins with."""

    market: Market
    """One that goes on has all its books in doubt, and is to be fed as after a lost connection."""
    recording: AnyRecording
    lost_s: float | None = None
    """How long ago the market stood still, where it is one that goes on."""


def begin(settings: "Settings", source: AnySource, epoch: int) -> Beginning:
    """Make the market of a source, recorded as the settings say.

    Raises HistoryError or OSError where the folder was named and cannot be used; another is done without. Raises
    ValueError for a store that cannot be.
    """
    is_live = is_connector(source)
    if settings.no_history:
        return Beginning(Market(epoch=epoch, watch=is_live), OFF)
    folder = (settings.history or default_folder(settings.state_dir, source.uri, settings.gateway)).absolute()
    indexing = _indexing(folder, settings)
    # Before the recorder looks at the log: it may have to cut the end of it.
    silent_s = _silent_s(folder)
    try:
        recorder = _recorder_in(folder, settings)
    except (HistoryError, OSError) as error:
        if settings.history is not None:
            raise
        state: Literal["taken", "unavailable"] = "taken" if isinstance(error, HistoryLockedError) else "unavailable"
        told = f"not recorded: {without_folder(str(error), folder)}"
        return Beginning(Market(epoch=epoch, watch=is_live), Unrecorded(state, told, f"not recorded: {error}"))
    _say_what_was_found(folder, recorder.recovered)
    recording = Recording(folder, recorder, indexing, settings, is_live=is_live)
    identity = identity_of(source.uri, settings.gateway)
    if is_connector(source) and source.can_resume and recorder.recovered["session"] == identity:
        restored = _restored(folder, recorder, epoch)
        if restored is not None:
            return Beginning(restored, recording, silent_s)
    market = Market(epoch=epoch, watch=is_live)
    recorder.begin(market, identity)
    return Beginning(market, recording)


def _indexing(folder: Path, settings: "Settings") -> AnyIndexing:
    """In a process of its own, where the store can be asked here while it is written there."""
    store = store_of(settings.history_store, folder)
    limits = {
        "checkpoint_records": settings.history_checkpoint_records,
        "days_max": settings.history_days_max,
        "bytes_max": settings.history_bytes_max,
    }
    # An interpreter inside of another program need not have one that can be started.
    if store.is_of_one_process or not sys.executable:
        from l3book.history.indexing import Indexing

        return Indexing(folder, store, **limits)
    from l3book.history.indexing_process import IndexingProcess

    return IndexingProcess(folder, settings.history_store, store, **limits)


def _recorder_in(folder: Path, settings: "Settings") -> Recorder:
    # Here: a server without a history does without.
    from l3book.history.sqlite import end_ordinal_in

    return Recorder(
        folder,
        fsync_records=settings.history_fsync_records,
        fsync_ms=settings.history_fsync_ms,
        segment_bytes_max=settings.history_segment_bytes_max,
        queue_bytes_max=settings.history_queue_bytes_max,
        # Where the log has lost its end, its tables know of it; others would take its records' rows for theirs.
        ordinal_min=end_ordinal_in(folder),
    )


def _restored(folder: Path, recorder: Recorder, epoch: int) -> Market | None:
    """Bring the books back, recorded from here on; None if that cannot be, and a new session has to begin."""
    started_s = time.monotonic()
    try:
        market = Log(folder).restore(recorder.recovered["end_ordinal"], watch=True, epoch=epoch)
        recorder.begin(market, None)
    except (HistoryError, OSError) as error:
        text = "history {folder}: the books cannot be restored, a new session begins: {error}"
        log.warning(text, folder=folder, error=error)
        return None
    # Nobody knows what happened meanwhile: the books are in doubt, and the log says so.
    market.disconnected()
    took_s = time.monotonic() - started_s
    records = market.stats()["records"]
    log.info(
        "history {folder}: restored {books} books as of record {ordinal} in {took_s:.1f} s",
        folder=folder,
        books=len(market),
        ordinal=records,
        took_s=took_s,
    )
    return market


def _say_what_was_found(folder: Path, recovered: dict[str, Any]) -> None:
    if recovered["is_new"]:
        log.info("history {folder}: begun", folder=folder)
        return
    cut, lost = recovered["bytes_cut"], recovered["next_ordinal"] - recovered["end_ordinal"]
    rebuilt = recovered["indexes_rebuilt"]
    found = (
        "; the last {bytes_cut} bytes were not whole and are cut off" if cut else "",
        "; {records_lost} records that were in it are lost" if lost else "",
        "; {indexes_rebuilt} indexes are made anew" if rebuilt else "",
    )
    counts = {"bytes_cut": cut, "records_lost": lost, "indexes_rebuilt": rebuilt}
    for damage in recovered["damages"]:
        text = "history {folder}: a segment is damaged, what is whole of it is read all the same: {damage}"
        log.warning(text, folder=folder, damage=damage)
    level = logging.WARNING if cut or lost else logging.INFO
    log.log(
        level,
        "history {folder}: goes on at record {ordinal}" + "".join(found),
        folder=folder,
        ordinal=recovered["next_ordinal"],
        **{name: count for name, count in counts.items() if count},
    )


def _silent_s(folder: Path) -> float:
    """How long ago anything was written to the log; 0 where no file tells."""
    times_s = [path.stat().st_mtime for path in folder.glob("log/*/*/*.dbn.zst")]
    return max(0.0, time.time() - max(times_s)) if times_s else 0.0
