"""The tables of history.sqlite, and how a file of an earlier l3book becomes one of this."""

import sqlite3
import time

BUSY_TIMEOUT_S = 5.0
"""A server and the command line share the file; a writer waits this long for another."""
_BUSY_RETRY_S = 0.01

# Times of rows are whole seconds where rows are of seconds, and nanoseconds elsewhere. What is unsigned in the log lies
# here as the signed number with the same bits. Keys begin with the book, so that those of one book lie together and new
# rows of it beside each other: a second's levels are written to few pages, where a key by price would touch one each.
# level_minutes leads from one price to the minutes in which it changed, at a page per price and minute.
_ROWS = """
CREATE TABLE position (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    ordinal INTEGER NOT NULL,
    newest_second INTEGER NOT NULL
) STRICT;
INSERT INTO position VALUES (1, 0, -1);
CREATE TABLE books (
    book INTEGER PRIMARY KEY,
    publisher_id INTEGER NOT NULL,
    instrument_id INTEGER NOT NULL,
    symbol TEXT,
    UNIQUE (publisher_id, instrument_id)
) STRICT;
CREATE TABLE session_starts (
    ordinal INTEGER PRIMARY KEY,
    uri TEXT NOT NULL,
    ts_recv INTEGER NOT NULL
) STRICT;
CREATE TABLE trades (
    book INTEGER NOT NULL,
    ts_recv INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    ts_event INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    price INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    side TEXT NOT NULL,
    flags INTEGER NOT NULL,
    PRIMARY KEY (book, ts_recv, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE bbo (
    book INTEGER NOT NULL,
    second INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    bid_px INTEGER NOT NULL,
    ask_px INTEGER NOT NULL,
    bid_size INTEGER NOT NULL,
    ask_size INTEGER NOT NULL,
    bid_count INTEGER NOT NULL,
    ask_count INTEGER NOT NULL,
    state INTEGER NOT NULL,
    PRIMARY KEY (book, second)
) STRICT, WITHOUT ROWID;
CREATE TABLE levels (
    book INTEGER NOT NULL,
    second INTEGER NOT NULL,
    side TEXT NOT NULL,
    price INTEGER NOT NULL,
    size INTEGER NOT NULL,
    count INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (book, second, side, price)
) STRICT, WITHOUT ROWID;
CREATE TABLE level_minutes (
    book INTEGER NOT NULL,
    side TEXT NOT NULL,
    price INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    PRIMARY KEY (book, side, price, minute)
) STRICT, WITHOUT ROWID;
"""

# Copies of what the files of the folder say, for whoever wants to ask by SQL; made anew whenever the files differ.
# Rows of the days in compacted_days are in Parquet files, and in none of the tables above.
_CATALOGUE = """
CREATE TABLE segments (
    path TEXT PRIMARY KEY,
    dataset TEXT NOT NULL,
    day TEXT NOT NULL,
    first_ordinal INTEGER NOT NULL,
    end_ordinal INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    ts_event_min INTEGER,
    ts_event_max INTEGER,
    ts_recv_min INTEGER,
    ts_recv_max INTEGER
) STRICT;
CREATE TABLE checkpoints (
    ordinal INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE sessions (
    ordinal INTEGER PRIMARY KEY,
    end_ordinal INTEGER NOT NULL,
    uri TEXT NOT NULL,
    ts_event_min INTEGER,
    ts_event_max INTEGER
) STRICT;
CREATE TABLE holes (
    first INTEGER PRIMARY KEY,
    end INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE compacted_days (
    day INTEGER PRIMARY KEY,
    trades INTEGER NOT NULL,
    bbo INTEGER NOT NULL,
    levels INTEGER NOT NULL
) STRICT;
"""

# Rows of the second that runs are of records behind the position.
_END = "ALTER TABLE position ADD COLUMN end_ordinal INTEGER NOT NULL DEFAULT 0;"

MIGRATIONS = (_ROWS, _CATALOGUE, _END)
"""Each leads from the version that is its index to the next."""
_CATALOGUE_VERSION = 2
_END_VERSION = 3


class NewerFileError(Exception):
    """The file is of a later l3book."""


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, or bring them up to this version. Raises sqlite3.Error or NewerFileError."""
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise _newer(version)
    if version == 0:
        # Before there is a table, or never: what is pruned can be given back to the file system then. Not where there
        # are any: it waits for whoever writes, though it changes nothing any more.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _use_wal(connection)
    while (version := _version(connection)) < len(MIGRATIONS):
        # Each step in a transaction of its own; where another process was faster, its own version says so.
        script = f"BEGIN IMMEDIATE;{MIGRATIONS[version]}PRAGMA user_version = {version + 1};COMMIT;"
        try:
            connection.executescript(script)
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if _version(connection) == version:
                raise


def require_known(connection: sqlite3.Connection) -> None:
    """Refuse a file of a later l3book, or from before there was a catalogue. Raises sqlite3.Error or NewerFileError."""
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise _newer(version)
    if version < _CATALOGUE_VERSION:
        raise sqlite3.DatabaseError(f"version {version}, expected {_CATALOGUE_VERSION} to {len(MIGRATIONS)}")


def end_ordinal_of(connection: sqlite3.Connection) -> int:
    """Say as of which ordinal the tables end, also of a file that is not brought up to this version yet."""
    end = "max(ordinal, end_ordinal)" if _version(connection) >= _END_VERSION else "ordinal"
    (found,) = connection.execute(f"SELECT {end} FROM position").fetchone() or (0,)
    return int(found)


def _newer(version: int) -> NewerFileError:
    return NewerFileError(f"version {version}: expected one of this l3book, {len(MIGRATIONS)} at most")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite takes this step for one connection at a time, and tells all others at once that the file is busy.
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                raise
            time.sleep(_BUSY_RETRY_S)
        else:
            return
