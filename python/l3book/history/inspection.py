"""What a history's folder holds, and whether all of it is what was written. Reads only: a server may be recording."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from l3book._core import CheckpointError, HistoryError, Log, check_checkpoint
from l3book.history.agreement import columns_out_of_force, contradiction, rows_out_of_force
from l3book.history.archive import TABLES, Archive, compacted_days
from l3book.history.catalogue import checkpoints
from l3book.history.sqlite import FILE_NAME
from l3book.history.sqlite_schema import NewerFileError, end_ordinal_of, require_known

Progress: TypeAlias = Callable[[int, int], object]

_NO_POSITION = "it does not say how far it is"
_IF_NEWER = "use the l3book that wrote it, or delete the file, then it is made anew from the log"


class NoHistoryError(HistoryError):
    """The folder holds no history."""


def open_log(folder: Path) -> Log:
    """Open the log of a folder that holds one. Raises NoHistoryError or HistoryError."""
    if not (folder / "log").is_dir():
        what = "no such folder" if not folder.exists() else "no history in it"
        raise NoHistoryError(f"{folder}: {what}: expected the folder of `l3book serve --history`, with log/ in it")
    return Log(folder)


def describe(folder: Path) -> dict[str, Any]:
    """Tell what is there. Times are ns or None, sizes bytes; raises HistoryError or OSError.

    {"folder", "first_ordinal", "end_ordinal", "records", "ts_recv_min", "ts_recv_max", "ts_event_min", "ts_event_max",
    "log": {"segments", "frames", "bytes", "bytes_per_record", "datasets"}, "sessions": […], "holes": […],
    "damages": what is wrong with the beginnings and ends of the log's files, in words,
    "checkpoints": {"count", "bytes", "newest"}, "tables": {…} or None,
    "tables_damage": why they cannot be read, or None}
    """
    history = open_log(folder)
    segments = history.segments()
    saved = checkpoints(folder)
    size = sum(segment["bytes"] for segment in segments)
    records = sum(segment["end_ordinal"] - segment["first_ordinal"] for segment in segments)
    tables, tables_damage = _tables(folder)
    return {
        "folder": str(folder),
        "first_ordinal": history.first_ordinal,
        "end_ordinal": history.end_ordinal,
        "records": records,
        **_times(segments),
        "log": {
            "segments": len(segments),
            "frames": sum(segment["frames"] for segment in segments),
            "bytes": size,
            "bytes_per_record": size / records if records else None,
            "datasets": sorted({segment["dataset"] for segment in segments}),
        },
        "sessions": history.sessions(),
        "holes": history.holes(),
        "damages": history.damages(),
        "checkpoints": {
            "count": len(saved),
            "bytes": sum(one["bytes"] for one in saved),
            "newest": saved[-1]["ordinal"] if saved else None,
        },
        "tables": tables,
        "tables_damage": tables_damage,
    }


def find_damage(folder: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Read everything, also behind what is damaged or missing.

    {"good", "segments", "frames", "records", "bytes", "checkpoints", "days", "damage", "damages"}: how many were good,
    `days` being those that were compacted; of `damages` each is {"path", "offset", "ordinal", "end_ordinal", "what"},
    None where it has no such place, and `damage` is the first of them or None. The records from `ordinal` to
    `end_ordinal` are lost, if there are any.
    Raises HistoryError or OSError where something cannot be read at all.
    """
    history = open_log(folder)
    report = history.verify(progress) | {"checkpoints": 0, "days": 0}
    others = list(_other_damage(folder, history, report))
    # Which files are missing says more than that some are.
    named = [(one["ordinal"], one["end_ordinal"]) for one in others if one["end_ordinal"] is not None]
    of_log = [
        one | {"path": str(one["path"])}
        for one in report["damages"]
        if not _is_covered(one["ordinal"], one["end_ordinal"], named)
    ]
    report["damages"] = [*of_log, *others]
    report["damage"] = next(iter(report["damages"]), None)
    report["good"] = report["damage"] is None
    return report


def _is_covered(ordinal: int, end_ordinal: int, stretches: list[tuple[int, int]]) -> bool:
    reached = ordinal
    for start, end in stretches:
        if start <= reached < end:
            reached = end
    return ordinal < end_ordinal <= reached


def _other_damage(folder: Path, history: Log, report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    known = checkpoints(folder)
    for saved in known:
        try:
            what = _damage_of_checkpoint(history, saved)
        except FileNotFoundError:
            # A server removed it this moment.
            continue
        if what is None:
            report["checkpoints"] += 1
        else:
            yield _damage(saved["path"], what, ordinal=saved["ordinal"])
    yield from _damage_at_the_begin(history, known)
    path = folder / FILE_NAME
    if path.exists():
        try:
            with _reading(path) as connection:
                # One view of it, as a server may be writing. Not for as long as the compacted days take: its log of
                # writes would grow all the while.
                connection.execute("BEGIN")
                yield from _damage_in_tables(connection, folder, history)
                sessions = [(ordinal, ts_recv) for ordinal, _, ts_recv in _session_starts(connection)]
                days = connection.execute("SELECT day, trades, bbo, levels FROM compacted_days ORDER BY day").fetchall()
                connection.execute("COMMIT")
            yield from _damage_in_days(folder, sessions, days, report)
        except NewerFileError as error:
            yield _damage(path, f"{error}: {_IF_NEWER}")
        except sqlite3.Error as error:
            yield _damage(path, f"{error}: expected to be deleted, it is made anew from the log")


def _damage_of_checkpoint(history: Log, saved: dict[str, Any]) -> str | None:
    history.refresh()
    if saved["ordinal"] > history.end_ordinal:
        return f"books as of record {saved['ordinal']}, the log ends at {history.end_ordinal}"
    try:
        found = check_checkpoint(saved["path"])
    except CheckpointError as error:
        return f"{error}: expected to be deleted"
    if found["ordinal"] != saved["ordinal"]:
        return f"books as of record {found['ordinal']}"
    # Retention removes checkpoints first. What the log itself misses at its begin is told of that.
    if saved["ordinal"] < history.kept_from:
        return f"books as of record {saved['ordinal']}, the log begins at {history.first_ordinal}: a segment is missing"
    return None


def _damage_at_the_begin(history: Log, known: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Look for a log such as retention does not leave: with no checkpoint and no begin of a session in it."""
    first, sessions = history.first_ordinal, history.sessions()
    if history.kept_from < first:
        # It is told of the log itself.
        return
    starts = [one["ordinal"] for one in (*known, *sessions)]
    if sessions and not any(ordinal >= first for ordinal in starts):
        begun = f"the log begins here, inside of the session of record {sessions[0]['ordinal']}"
        what = f"{begun}, and no checkpoint has its books: a segment is missing"
        yield _damage(history.segments()[0]["path"], what, offset=0, ordinal=first)


def _damage_in_tables(connection: sqlite3.Connection, folder: Path, history: Log) -> Iterator[dict[str, Any]]:
    path = folder / FILE_NAME
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)
    (position,) = connection.execute("SELECT ordinal FROM position").fetchone() or (None,)
    if position is None:
        raise sqlite3.DatabaseError(_NO_POSITION)
    end = end_ordinal_of(connection)
    sessions = _session_starts(connection)
    # It has all that the tables have.
    history.refresh()
    # The log itself shows what is missing in its middle, but not at its end.
    there = {segment["first_ordinal"] for segment in history.segments()}
    listed = connection.execute("SELECT path, first_ordinal, end_ordinal FROM segments ORDER BY first_ordinal")
    for segment, first, segment_end in listed:
        if first not in there and segment_end > max(first, history.kept_from):
            missing = f"missing: records {first} to {segment_end} were in it"
            yield _damage(folder / segment, missing, offset=0, ordinal=first, end_ordinal=segment_end)
    if what := contradiction(history, position, end, sessions):
        yield _damage(path, f"{what}: expected the tables of this log, the next start makes them anew")
    for what in rows_out_of_force(connection, [(ordinal, ts_recv) for ordinal, _, ts_recv in sessions]):
        yield _damage(path, f"{what}: expected to be deleted, it is made anew from the log")


def _session_starts(connection: sqlite3.Connection) -> list[tuple[int, str, int]]:
    return connection.execute("SELECT ordinal, uri, ts_recv FROM session_starts").fetchall()


def _damage_in_days(
    folder: Path, sessions: list[tuple[int, int]], days: list[tuple[int, int, int, int]], report: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    archive = Archive(folder)
    for day, *expected in days:
        is_good = True
        for table, rows in zip(TABLES, expected, strict=True):
            path = archive.path(table, day)
            if what := _damage_in_file(path, table, rows, sessions):
                yield _damage(path, what)
                is_good = False
        report["days"] += is_good


def _damage_in_file(path: Path, table: str, rows: int, sessions: list[tuple[int, int]]) -> str | None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return None if path.is_file() else "missing"
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            found, what = 0, None
            for batch in file.iter_batches():
                found += batch.num_rows
                times = batch.column("ts_recv" if table == "trades" else "ts").to_numpy()
                what = what or columns_out_of_force(table, times, batch.column("ordinal").to_numpy(), sessions)
    except (OSError, pa.ArrowException) as error:
        return f"{error}: expected the rows of a compacted day"
    return what if found == rows else f"{found} rows, expected {rows}"


def _tables(folder: Path) -> tuple[dict[str, Any] | None, str | None]:
    """-> what the tables hold, and what is wrong with them: it costs nothing of what the log has."""
    path = folder / FILE_NAME
    if not path.exists():
        return None, None
    # Before it is opened, which may make some of them. While a server writes, the newest rows are in the log beside it.
    size = sum(_size(path.with_name(path.name + ending)) for ending in ("", "-wal", "-shm"))
    try:
        with _reading(path) as connection:
            (position,) = connection.execute("SELECT ordinal FROM position").fetchone() or (None,)
            if position is None:
                raise sqlite3.DatabaseError(_NO_POSITION)
            (books,) = connection.execute("SELECT count(*) FROM books").fetchone()
            days = len(compacted_days(connection))
    except NewerFileError as error:
        return None, f"{path}: {error}: {_IF_NEWER}"
    except sqlite3.Error as error:
        return None, f"{path}: {error}: expected to be deleted, it is made anew from the log"
    found = {
        "position": position,
        "books": books,
        "bytes": size,
        "compacted_days": days,
        "compacted_bytes": Archive(folder).bytes_used(),
    }
    return found, None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        require_known(connection)
        yield connection


def _times(segments: list[dict[str, Any]]) -> dict[str, int | None]:
    times: dict[str, int | None] = {}
    for name, which in (("ts_recv_min", min), ("ts_recv_max", max), ("ts_event_min", min), ("ts_event_max", max)):
        times[name] = which((segment[name] for segment in segments if segment[name] is not None), default=None)
    return times


def _damage(
    path: Path | str,
    what: str,
    *,
    offset: int | None = None,
    ordinal: int | None = None,
    end_ordinal: int | None = None,
) -> dict[str, Any]:
    return {"path": str(path), "offset": offset, "ordinal": ordinal, "end_ordinal": end_ordinal, "what": what}
