"""state.db: what outlives a server and is not market data. Keys, and answers kept for their Idempotency-Key."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

FILE_NAME = "state.db"
FOLDER_MODE = 0o700
FILE_MODE = 0o600
BUSY_TIMEOUT_S = 5.0
"""The command line and servers share the file; a writer waits this long for another."""
BUSY_RETRY_S = 0.01
SCHEMA_VERSION = 1

# `changes` moves with everything that decides who gets in, and with nothing else: last_used and kept answers are
# written all the time, and no server needs to read its keys anew for them. By triggers, so that it also moves for
# whoever edits the table with a tool of their own.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    digest BLOB NOT NULL,
    created_s INTEGER NOT NULL,
    expires_s INTEGER,
    revoked_s INTEGER,
    last_used_s INTEGER
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS keys_by_name ON keys (name) WHERE revoked_s IS NULL;
CREATE TABLE IF NOT EXISTS changes (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO changes VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS key_added AFTER INSERT ON keys
    BEGIN UPDATE changes SET number = number + 1; END;
CREATE TRIGGER IF NOT EXISTS key_removed AFTER DELETE ON keys
    BEGIN UPDATE changes SET number = number + 1; END;
CREATE TRIGGER IF NOT EXISTS key_changed AFTER UPDATE OF id, name, scopes, digest, expires_s, revoked_s ON keys
    BEGIN UPDATE changes SET number = number + 1; END;
CREATE TABLE IF NOT EXISTS idempotency (
    identity TEXT NOT NULL,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    attempt BLOB NOT NULL,
    started_s REAL NOT NULL,
    status INTEGER,
    headers TEXT,
    body BLOB,
    PRIMARY KEY (identity, path, key)
) STRICT;
CREATE INDEX IF NOT EXISTS idempotency_by_age ON idempotency (started_s);
"""


class StateError(Exception):
    """The state cannot be read or written; the text says where and why."""


class StateFile:
    """The file, made with its folder where they are missing: nobody but their owner may look into them."""

    def __init__(self, folder: Path) -> None:
        """Make what is missing. Raises StateError, whose text is ready for the user."""
        self.path = folder / FILE_NAME
        try:
            # Not the mode of a folder that is there already: it may hold other things for other people.
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE))
            if self.path.stat().st_mode & 0o077:
                self.path.chmod(FILE_MODE)
            with contextlib.closing(self.connect()) as connection:
                _prepare(connection)
        except OSError as error:
            expected = "expected a folder of the server's own that can be written to (state_dir)"
            raise StateError(f"{folder}: {error.strerror or error}: {expected}") from None
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: {error}: expected a SQLite file of l3book that can be written to") from None

    def connect(self) -> sqlite3.Connection:
        """Open a connection for one thread; transactions are begun in words."""
        return sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def _prepare(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,):
        return
    # Readers then never wait for a writer, nor a writer for readers. SQLite takes this step for one connection at a
    # time, and tells all others at once that the file is busy.
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                raise
            time.sleep(BUSY_RETRY_S)
    connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")


def connect_in_memory() -> sqlite3.Connection:
    """Open a state that ends with its connection, for what must not be written down."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(_SCHEMA)
    return connection
