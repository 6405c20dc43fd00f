"""The catalogue in history.sqlite: what files a history has, and what is in them. The files are right, it follows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from l3book._core import Log
    from l3book.history.sqlite import SqliteStore

CHECKPOINTS_FOLDER = "checkpoints"
CHECKPOINT_ENDING = ".l3ck"

_COLUMNS = {
    "segments": (
        *("path", "dataset", "day", "first_ordinal", "end_ordinal", "frames", "bytes"),
        *("ts_event_min", "ts_event_max", "ts_recv_min", "ts_recv_max"),
    ),
    "checkpoints": ("ordinal", "path", "bytes"),
    "sessions": ("ordinal", "end_ordinal", "uri", "ts_event_min", "ts_event_max"),
    "holes": ("first", "end", "reason"),
}


def checkpoints(folder: Path) -> list[dict[str, Any]]:
    """List the checkpoints of a history: {"ordinal", "path", "bytes"}, oldest first."""
    found = []
    for path in sorted((folder / CHECKPOINTS_FOLDER).glob(f"*{CHECKPOINT_ENDING}")):
        try:
            found.append({"ordinal": int(path.stem), "path": str(path), "bytes": path.stat().st_size})
        except (ValueError, FileNotFoundError):
            # No checkpoint of ours, or one that was removed this moment.
            continue
    return found


class Catalogue:
    """Brings the tables in line with the files."""

    def __init__(self, store: "SqliteStore") -> None:
        self._store = store
        self._written: dict[str, list[tuple[Any, ...]]] | None = None

    def follow(self, log: "Log") -> bool:
        """Write what differs, in one transaction; -> whether anything did. Raises StoreError."""
        listed = {
            "segments": log.segments(),
            "checkpoints": checkpoints(self._store.folder),
            "sessions": log.sessions(),
            "holes": log.holes(),
        }
        rows = {table: [_row(entry, table, self._store.folder) for entry in listed[table]] for table in _COLUMNS}
        if rows == self._written:
            return False
        with self._store.writing() as connection:
            for table, of_table in rows.items():
                names = _COLUMNS[table]
                connection.execute(f"DELETE FROM {table}")
                connection.executemany(
                    f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", of_table
                )
        self._written = rows
        return True


def _row(entry: dict[str, Any], table: str, folder: Path) -> tuple[Any, ...]:
    """Paths are kept relative, so that the folder can be moved; times that are none as NULL."""
    values = []
    for name in _COLUMNS[table]:
        value = entry[name]
        if name == "path":
            path = Path(value)
            value = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
        elif name.startswith("ts_") and value is not None and value >= 2**63:
            value = None
        values.append(value)
    return tuple(values)
