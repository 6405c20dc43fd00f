"""What stands at the door of a server: keys, tickets, limits and kept answers, and the loop that keeps them true."""

import asyncio
import sqlite3
import time
from dataclasses import dataclass

from l3book.access.answers import AnswerStore
from l3book.access.connections import Connections
from l3book.access.key_store import KeyStore, note_used
from l3book.access.limits import Limits
from l3book.access.state_file import StateFile, connect_in_memory
from l3book.access.tickets import Tickets
from l3book.config import Settings
from l3book.logs import Logger

log = Logger(__name__)

POLL_INTERVAL_S = 0.2
"""A key that is revoked takes its open sockets with it within this time."""
USED_INTERVAL_S = 60.0
"""When keys were last used is written down so often, and at the end."""
SECONDS_PER_HOUR = 3600


@dataclass(slots=True)
class Counts:
    """What was refused since the start."""

    failed_authentications: int = 0
    missing_keys: int = 0
    insufficient_scopes: int = 0
    wrong_origins: int = 0
    limited_requests: int = 0


class Guard:
    """Made and used on one thread, the event loop's. Raises StateError where the state cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self._state = StateFile(settings.state_dir)
        self.keys = KeyStore(self._state)
        self.tickets = Tickets(settings.ticket_s)
        self.counts = Counts()
        self.limits = Limits(settings)
        self.connections = Connections(settings)
        self.answers = AnswerStore(self._state.connect, settings.idempotency_hours * SECONDS_PER_HOUR)
        # A ticket is a secret that opens sockets, and worthless after its time: kept where a disk, a backup or a copy
        # of the file cannot give it away, and no longer than it is of use. A restart forgets both the ticket and the
        # answer, so nobody is ever given a ticket that does not work.
        self.secret_answers = AnswerStore(connect_in_memory, settings.ticket_s)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow state.db from now on, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._follow(), name="l3book-access")

    def reload(self, settings: Settings) -> None:
        """Read keys and limits anew. Callable from a signal handler."""
        self.keys.reload()
        self.limits.reconfigure(settings)
        self.connections.reconfigure(settings)

    def close(self) -> None:
        """Write down what is not yet, and let the file go. After the loop has ended."""
        self._note_used(self.keys.take_used())
        self.keys.close()
        self.answers.close()
        self.secret_answers.close()

    async def _follow(self) -> None:
        due_s = time.monotonic() + USED_INTERVAL_S
        is_failing = False
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            try:
                self.keys.poll()
                is_failing = False
            except Exception:
                # Whatever it was, keys that are revoked later must still be noticed.
                if not is_failing:
                    log.exception("{path}: changes of keys are not noticed now", path=self._state.path)
                is_failing = True
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + USED_INTERVAL_S
                await asyncio.to_thread(self._note_used, self.keys.take_used())

    def _note_used(self, used_s: dict[str, int]) -> None:
        if not used_s:
            return
        try:
            note_used(self._state, used_s)
        except sqlite3.Error as error:
            log.warning("when keys were last used could not be written down: {error}", error=error)
