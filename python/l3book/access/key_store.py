"""The keys there are: a table in memory that follows state.db, for a server; and what the command line does to them."""

import contextlib
import hmac
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l3book.access.keys import Key, digest_of, key_id_of, make_key
from l3book.access.scopes import SCOPES, Scope, with_included
from l3book.access.state_file import FILE_NAME, SCHEMA_VERSION, StateError, StateFile
from l3book.logs import Logger

log = Logger(__name__)

# Compared with where an id is unknown, so that it takes as long as where it is known.
_NOBODY = Key("", "", frozenset(), bytes(32), None, None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a key was not accepted."""

    reason: str


class KeyStore:
    """The keys of a server. For the thread that made it: its connection is that thread's.

    Every check first asks SQLite whether the file has changed (PRAGMA data_version, about 10 µs), so that a key
    that another process revoked is refused from the next request on.
    """

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._connection = state.connect()
        self._callbacks: list[Callable[[], None]] = []
        self._keys: dict[str, Key] = {}
        self._data_version = -1
        self._change_number = -1
        self._is_stale = False
        self._used_s: dict[str, int] = {}
        self._next_expiry_s: int | None = None
        self._are_needed = False
        self._refresh()

    def are_needed(self) -> bool:
        """Tell whether there is any key, also a revoked or expired one: then nobody gets in without.

        Once there was one it stays so for this process: a file that is lost must not open the server.
        """
        self._refresh()
        return self._are_needed

    def check(self, text: str) -> Key | Refusal:
        """Find the key, as of now."""
        self._refresh()
        key_id = key_id_of(text)
        key = self._keys.get(key_id, _NOBODY) if key_id else _NOBODY
        is_same = hmac.compare_digest(digest_of(text), key.digest)
        if not is_same or key is _NOBODY:
            return Refusal("unknown")
        now_s = time.time()
        if reason := key.why_not(now_s):
            return Refusal(reason)
        self._used_s[key.key_id] = int(now_s)
        return key

    def is_current(self, key_id: str | None) -> bool:
        """Tell whether an accepted key still holds, as of the last check or poll; of None, whether none is needed."""
        if key_id is None:
            return not self._are_needed
        key = self._keys.get(key_id)
        return key is not None and key.why_not(time.time()) is None

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have it called, in the store's thread, whenever identities may have ceased to be current."""
        self._callbacks.append(callback)

    def poll(self) -> None:
        """Look for changes, for those who wait for `on_change`."""
        self._refresh()
        if self._next_expiry_s is not None and self._next_expiry_s <= time.time():
            self._changed()

    def reload(self) -> None:
        """Open the file anew at the next check or poll. Callable from a signal handler."""
        self._is_stale = True

    def take_used(self) -> dict[str, int]:
        """Take the times (UNIX seconds) at which keys were last used since this was called last."""
        used, self._used_s = self._used_s, {}
        return used

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _refresh(self) -> None:
        if self._is_stale:
            self._is_stale = False
            self._reopen()
        (data_version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if data_version == self._data_version:
            return
        with _transaction(self._connection, "DEFERRED"):
            (change_number,) = self._connection.execute("SELECT number FROM changes").fetchone()
            if change_number != self._change_number:
                rows = self._connection.execute("SELECT id, name, scopes, digest, expires_s, revoked_s FROM keys")
                self._keys = {row[0]: _key(row) for row in rows}
        self._data_version = data_version
        if change_number != self._change_number:
            self._change_number = change_number
            self._are_needed = self._are_needed or bool(self._keys)
            self._changed()

    def _reopen(self) -> None:
        # The file may be another one by now, from a backup; the connection would stay with the old one.
        try:
            connection = StateFile(self._state.path.parent).connect()
        except StateError as error:
            log.error("the keys stay as they were: {error}", error=error)  # noqa: TRY400  # the text is the whole story
            return
        self._connection.close()
        self._connection = connection
        self._data_version = self._change_number = -1

    def _changed(self) -> None:
        now_s = time.time()
        coming_s = (key.expires_s for key in self._keys.values() if key.expires_s and key.expires_s > now_s)
        self._next_expiry_s = min(coming_s, default=None)
        for callback in self._callbacks:
            callback()


def has_keys(folder: Path) -> bool:
    """Tell whether a server with this state would ask for keys. Makes nothing; raises StateError."""
    if not (folder / FILE_NAME).exists():
        return False
    with contextlib.closing(StateFile(folder).connect()) as connection:
        return connection.execute("SELECT 1 FROM keys").fetchone() is not None


def create(state: StateFile, name: str, scopes: Iterable[Scope], expires_s: int | None) -> str:
    """Make a key and keep its digest; -> the key, which nobody can show again. ValueError if the name is taken."""
    key_id, text = make_key()
    row = (key_id, name, " ".join(sorted(set(scopes), key=SCOPES.index)), digest_of(text), int(time.time()), expires_s)
    with _writing(state) as connection:
        try:
            connection.execute(
                "INSERT INTO keys (id, name, scopes, digest, created_s, expires_s) VALUES (?, ?, ?, ?, ?, ?)", row
            )
        except sqlite3.IntegrityError:
            raise ValueError(f"name {name!r} is taken: expected another one") from None
    return text


def forget(state: StateFile, key_id: str) -> None:
    """Have a key never been made, which nobody was shown."""
    with _writing(state) as connection:
        connection.execute("DELETE FROM keys WHERE id = ?", (key_id,))


def listed(state: StateFile) -> list[dict[str, Any]]:
    """Tell what is known of every key, oldest first; times are UNIX seconds."""
    with contextlib.closing(state.connect()) as connection:
        rows = connection.execute(
            "SELECT id, name, scopes, created_s, expires_s, revoked_s, last_used_s FROM keys ORDER BY created_s, rowid"
        ).fetchall()
    now_s = time.time()
    return [
        {
            "id": key_id,
            "name": name,
            "scopes": scopes.split(),
            "state": "revoked" if revoked_s else "expired" if expires_s and expires_s <= now_s else "active",
            "created_s": created_s,
            "expires_s": expires_s,
            "revoked_s": revoked_s,
            "last_used_s": last_used_s,
        }
        for key_id, name, scopes, created_s, expires_s, revoked_s, last_used_s in rows
    ]


def revoke(state: StateFile, id_or_name: str) -> str | None:
    """Revoke a key, for good; -> its id, None if there is no such key. One that is revoked stays as it was."""
    with _writing(state) as connection:
        found = connection.execute(
            "SELECT id FROM keys WHERE id = ? OR name = ? ORDER BY id = ? DESC, revoked_s IS NULL DESC",
            (id_or_name, id_or_name, id_or_name),
        ).fetchone()
        if found is None:
            return None
        connection.execute(
            "UPDATE keys SET revoked_s = ? WHERE id = ? AND revoked_s IS NULL", (int(time.time()), found[0])
        )
    return str(found[0])


def take_over(state: StateFile, other: Path) -> list[str]:
    """Make the keys those of another state.db, in one transaction; -> their ids. What is revoked here stays revoked.

    Kept answers stay. Raises ValueError where the other is no state.db with a key: nobody could get in any more.
    """
    keys = _read_keys(other)
    if not keys:
        raise ValueError(f"{other}: no keys: expected a state.db with one (`l3book keys create`)")
    ids = [str(key[0]) for key in keys]
    with _writing(state) as connection:
        known = [key_id for (key_id,) in connection.execute("SELECT id FROM keys")]
        gone = [(key_id,) for key_id in known if key_id not in ids]
        connection.executemany("DELETE FROM keys WHERE id = ?", gone)
        connection.executemany(
            "INSERT INTO keys (id, name, scopes, digest, created_s, expires_s, revoked_s) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, scopes = excluded.scopes, digest = excluded.digest, "
            "expires_s = excluded.expires_s, revoked_s = coalesce(revoked_s, excluded.revoked_s)",
            keys,
        )
    return ids


def _read_keys(path: Path) -> list[tuple[Any, ...]]:
    """Read all keys of a file that may lie where nothing can be written; revoked ones first: their names are free."""
    # Beside a file that is in use lies what is not in it yet. Any other is read as it is: on a read-only folder SQLite
    # could not make the files that it otherwise wants beside it.
    in_use = path.with_name(path.name + "-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro{'' if in_use else '&immutable=1'}"
    try:
        path.open("rb").close()  # SQLite's own words would not say why.
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != SCHEMA_VERSION:
                raise ValueError(f"{path}: version {version}: expected a state.db of l3book, version {SCHEMA_VERSION}")
            return connection.execute(
                "SELECT id, name, scopes, digest, created_s, expires_s, revoked_s FROM keys ORDER BY revoked_s IS NULL"
            ).fetchall()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}: expected a state.db of l3book") from None
    except sqlite3.Error as error:
        raise ValueError(f"{path}: {error}: expected a state.db of l3book") from None


def note_used(state: StateFile, used_s: dict[str, int]) -> None:
    """Write down when keys were last used."""
    with _writing(state) as connection:
        connection.executemany(
            "UPDATE keys SET last_used_s = ? WHERE id = ?", [(at_s, key_id) for key_id, at_s in used_s.items()]
        )


@contextlib.contextmanager
def _writing(state: StateFile) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(state.connect()) as connection, _transaction(connection, "IMMEDIATE"):
        yield connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _key(row: tuple[Any, ...]) -> Key:
    key_id, name, scopes, digest, expires_s, revoked_s = row
    known = [scope for scope in SCOPES if scope in scopes.split()]
    return Key(key_id, name, with_included(known), digest, expires_s, revoked_s)
