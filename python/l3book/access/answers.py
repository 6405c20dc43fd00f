"""Answers kept for their Idempotency-Key, so that a request that is sent again is not done again."""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

ANSWER_BYTES_MAX = 65_536
KEYS_PER_IDENTITY_MAX = 5000
KEYS_MAX = 20_000
RUNNING_TIMEOUT_S = 60.0
"""A request that has not ended by then died with its server; the next one with its key is done anew."""
ATTEMPT_BYTES = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """A request that must be done once."""

    identity: str
    path: str
    key: str
    fingerprint: bytes
    """Of everything that makes it this request and no other."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What it was answered."""

    status: int
    headers: str
    """`name: value` lines."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """It is the first: to be done now, and then kept or released."""

    attempt: bytes


Found: TypeAlias = Begun | Answer | Literal["reused", "running", "full"]


class AnswerStore:
    """Kept answers, in a database that one thread of its own writes: the event loop never waits for a disk."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], kept_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        """`connect` is called in the thread. Times are kept in UNIX seconds, to hold across a restart."""
        self._kept_s = kept_s
        self._clock = clock
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="l3book-answers")

    async def begin(self, request: Request) -> Found:
        """Look whether it was done, and if not, note that it is being done."""
        return await self._run(lambda: self._begin(request))

    async def keep(self, request: Request, attempt: bytes, answer: Answer) -> None:
        """Keep the answer, durably; nothing if another attempt has taken over meanwhile."""
        await self._run(lambda: self._keep(request, attempt, answer))

    def release(self, request: Request, attempt: bytes) -> None:
        """Let the next request with the key be done anew. Does not wait, and so is right while a task is cancelled."""
        self._thread.submit(self._release, request, attempt)

    def close(self) -> None:
        """Finish what was begun, and close."""
        self._thread.submit(self._close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
            # An answer that was sent must be there after a power cut, too.
            self._connection.execute("PRAGMA synchronous = FULL")
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _begin(self, request: Request) -> Found:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = self._begin_in(connection, request, self._clock())
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return found

    def _begin_in(self, connection: sqlite3.Connection, request: Request, now_s: float) -> Found:
        connection.execute("DELETE FROM idempotency WHERE started_s <= ?", (now_s - self._kept_s,))
        name = (request.identity, request.path, request.key)
        row = connection.execute(
            "SELECT fingerprint, started_s, status, headers, body FROM idempotency"
            " WHERE identity = ? AND path = ? AND key = ?",
            name,
        ).fetchone()
        if row is not None:
            fingerprint, started_s, status, headers, body = row
            if fingerprint != request.fingerprint:
                return "reused"
            if status is not None:
                return Answer(status, headers, body)
            if started_s > now_s - RUNNING_TIMEOUT_S:
                return "running"
        elif self._is_full(connection, request.identity):
            return "full"
        attempt = secrets.token_bytes(ATTEMPT_BYTES)
        connection.execute(
            "INSERT OR REPLACE INTO idempotency (identity, path, key, fingerprint, attempt, started_s)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (*name, request.fingerprint, attempt, now_s),
        )
        return Begun(attempt)

    def _is_full(self, connection: sqlite3.Connection, identity: str) -> bool:
        (own,) = connection.execute("SELECT count(*) FROM idempotency WHERE identity = ?", (identity,)).fetchone()
        (in_all,) = connection.execute("SELECT count(*) FROM idempotency").fetchone()
        return bool(own >= KEYS_PER_IDENTITY_MAX or in_all >= KEYS_MAX)

    def _keep(self, request: Request, attempt: bytes, answer: Answer) -> None:
        self._open().execute(
            "UPDATE idempotency SET status = ?, headers = ?, body = ?"
            " WHERE identity = ? AND path = ? AND key = ? AND attempt = ?",
            (answer.status, answer.headers, answer.body, request.identity, request.path, request.key, attempt),
        )

    def _release(self, request: Request, attempt: bytes) -> None:
        self._open().execute(
            "DELETE FROM idempotency WHERE identity = ? AND path = ? AND key = ? AND attempt = ?",
            (request.identity, request.path, request.key, attempt),
        )
