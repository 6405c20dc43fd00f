"""All open sockets: how many there may be, and the clock that beats for them."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from l3book.api.problems import Problem
from l3book.api.ws.limits import CHECK_INTERVAL_S, HEARTBEAT_INTERVAL_S, RETRY_AFTER_S
from l3book.api.ws.owners import Owner, Owners
from l3book.config import Settings
from l3book.streams.counters import Counters

if TYPE_CHECKING:
    from l3book.api.ws.session import Session

log = logging.getLogger(__name__)

BEATS = 20
"""Turns into which the heartbeats of one interval are spread, so that they do not hold up the loop all at once."""
CHECKS = round(BEATS * CHECK_INTERVAL_S / HEARTBEAT_INTERVAL_S)


class Sockets:
    """For the event loop's thread."""

    def __init__(self, settings: Settings, counters: Counters) -> None:
        self._settings = settings
        self._counters = counters
        self._owners = Owners()
        self._sessions: dict[Session, int] = {}
        self._clock: asyncio.Task[None] | None = None

    def admit(self, scope: Any) -> Owner:
        """Count a socket in. Raises Problem if there are too many."""
        owner = self._owners.of(scope)
        most, most_per_key = self._settings.sockets_max, self._settings.sockets_per_key_max
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        problem = None
        if self._counters.sockets >= most:
            detail = f"{most} sockets are open, which is the most there can be (sockets_max)"
            problem = Problem(503, "too_many_sockets", detail, headers=headers)
        elif owner.account.sockets >= most_per_key:
            detail = (
                f"{most_per_key} sockets of this key or address are open: the most there can be (sockets_per_key_max)"
            )
            problem = Problem(429, "too_many_sockets", detail, headers=headers)
        if problem is not None:
            self._owners.close(owner)
            raise problem
        owner.account.sockets += 1
        self._counters.sockets += 1
        self._counters.sockets_total += 1
        return owner

    def release(self, owner: Owner) -> None:
        """Count it out."""
        self._counters.sockets -= 1
        owner.account.sockets -= 1
        self._owners.close(owner)

    def add(self, session: "Session") -> None:
        """Beat for it."""
        # Spread by order of arrival: the first heartbeat comes within one interval.
        self._sessions[session] = self._counters.sockets_total % BEATS
        if self._clock is None:
            self._clock = asyncio.create_task(self._run(), name="l3book-heartbeat")

    def remove(self, session: "Session") -> None:
        """Beat no more for it."""
        del self._sessions[session]
        if not self._sessions and self._clock is not None:
            self._clock.cancel()
            self._clock = None

    async def _run(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL_S / BEATS)
            turn = (turn + 1) % BEATS
            for session, place in tuple(self._sessions.items()):
                try:
                    if place % CHECKS == turn % CHECKS:
                        session.check()
                    if place == turn:
                        session.beat()
                except Exception:
                    log.exception("a socket could not be looked after")
                    session.outbox.fail()
