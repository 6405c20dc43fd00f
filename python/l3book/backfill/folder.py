"""A file into a history folder of its own, as a server records it that serves the file: log, checkpoints, tables.

It is made beside its place and moved there when all of it is durable, so a folder that is there is whole.
"""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from l3book._core import DecodeError, FileReader, HistoryError, Market, Recorder
from l3book.backfill.task import Progress, Result, Task
from l3book.disk import lock, sync_folder
from l3book.history.folder import identity_of, what_else_it_is
from l3book.history.indexing import Indexing
from l3book.history.uri import store_of
from l3book.sources.pacing import CHUNK_RECORDS_MAX

MARKER = "backfill.json"
PARTIAL = ".partial"
LOCK_SUFFIX = ".lock"
STORE = "sqlite:"
ROOM_WAIT_S = 60.0
"""The recorder gets so long to make room; a disk that fails is said before that."""
CLOSE_TIMEOUT_S = 600.0
INDEXING_TIMEOUT_S = 86_400.0
IDENTITY_BYTES = 1024 * 1024


def record(task: Task, progress: Progress) -> Result:
    """Record a file, unless that is done already. Everything that can go wrong with the file is in the result."""
    folder = Path(task.to)
    try:
        identity = _identity(task.file)
        if folder.exists():
            return _found(task, folder, identity)
        partial = folder.with_name(folder.name + PARTIAL)
        with _alone(partial) as is_alone:
            if not is_alone:
                return Result(
                    task, "failed", error=f"{partial}: another backfill is writing it: expected one at a time"
                )
            try:
                records = _record(task.file, partial, progress)
                _write_durably(partial / MARKER, json.dumps({**identity, "records": records}) + "\n")
                partial.rename(folder)
                sync_folder(folder.parent)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    except (DecodeError, HistoryError) as error:
        return Result(task, "failed", error=str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename and Path(error.filename) != task.file else ""
        return Result(task, "failed", error=f"{where}{error.strerror or error}")
    return Result(task, "done", records)


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[bool]:
    """Make an empty folder, and hold it against all others for as long as the block lasts; -> whether it is ours."""
    partial.mkdir(parents=True, exist_ok=True)
    with _locked(partial) as is_alone:
        if is_alone:
            partial.mkdir(exist_ok=True)
            if what := what_else_it_is(partial):
                raise HistoryError(f"{partial}: has {what}")
            for entry in partial.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        yield is_alone


@contextlib.contextmanager
def _locked(partial: Path) -> Iterator[bool]:
    if sys.platform == "win32":
        # Where folders are no files that could be locked, and none is moved with a file in it that is open: by one
        # beside it. It is not removed while another has it open, so whoever locks it has the one that others find.
        path = partial.with_name(partial.name + LOCK_SUFFIX)
        try:
            with path.open("wb") as beside:
                yield lock(beside.fileno())
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
    else:
        held = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Whoever had it may just have moved it to its place.
            yield lock(held) and partial.exists() and os.path.samestat(os.fstat(held), partial.stat())
        finally:
            os.close(held)


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def _found(task: Task, folder: Path, identity: dict[str, str | int]) -> Result:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        is_same = {name: marker[name] for name in identity} == identity
        records = int(marker["records"])
    except (OSError, ValueError, KeyError, TypeError):
        is_same, records = False, 0
    if is_same:
        return Result(task, "there", records)
    return Result(task, "failed", error=f"{folder} is there already, and not of this file: expected no such folder")


def _identity(file: Path) -> dict[str, str | int]:
    """Tell a file from another of the same name: by its size and its beginning."""
    with file.open("rb") as stream:
        digest = blake2b(stream.read(IDENTITY_BYTES), digest_size=16).hexdigest()
    return {"bytes": file.stat().st_size, "first_mebibyte": digest}


def _record(file: Path, folder: Path, progress: Progress) -> int:
    market = Market()
    recorder = Recorder(folder)
    recorder.begin(market, identity_of(f"file:{file.absolute()}", ""))
    try:
        _feed(file, market, recorder, progress)
    finally:
        # Also of a file that failed: it would go on writing to a folder that is about to be removed.
        is_written = recorder.close(CLOSE_TIMEOUT_S)
    if not is_written:
        raise HistoryError(f"{folder}: not written within {CLOSE_TIMEOUT_S:g} s: {recorder.stats()['error']}")
    _check(recorder)
    indexing = Indexing(folder, store_of(STORE, folder))
    indexing.start()
    is_whole = indexing.stop(INDEXING_TIMEOUT_S)
    stats = indexing.stats()
    if not is_whole or stats["error"] is not None or stats["lag_s"] > 0:
        raise HistoryError(f"{folder}: its tables are not whole: {stats['error'] or 'they were not made in time'}")
    return int(market.stats()["records"])


def _feed(file: Path, market: Market, recorder: Recorder, progress: Progress) -> None:
    reader, told = FileReader(file), 0
    while chunk := reader.read(CHUNK_RECORDS_MAX):
        market.feed(chunk)
        while not recorder.wait_room(ROOM_WAIT_S):
            _check(recorder)
        progress(reader.offset - told)
        told = reader.offset
    market.finish()


def _check(recorder: Recorder) -> None:
    """See that a file waits for its disk: one that fails or leaves holes makes no history."""
    stats = recorder.stats()
    if stats["state"] == "failing" or stats["holes"]:
        raise HistoryError(f"not recorded: {stats['error'] or 'the log has holes'}")
