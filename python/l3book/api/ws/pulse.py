"""The clock that beats for all open sockets."""

import asyncio
from typing import TYPE_CHECKING

from l3book.api.ws.limits import CHECK_INTERVAL_S, HEARTBEAT_INTERVAL_S
from l3book.logs import Logger
from l3book.streams.counters import Counters

if TYPE_CHECKING:
    from l3book.api.ws.session import Session

log = Logger(__name__)

BEATS = 20
"""Turns into which the heartbeats of one interval are spread, so that they do not hold up the loop all at once."""
CHECKS = round(BEATS * CHECK_INTERVAL_S / HEARTBEAT_INTERVAL_S)


class Pulse:
    """For the event loop's thread."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._sessions: dict[Session, int] = {}
        self._clock: asyncio.Task[None] | None = None

    def add(self, session: "Session") -> None:
        """Beat for it."""
        self._counters.sockets += 1
        self._counters.sockets_total += 1
        # Spread by order of arrival: the first heartbeat comes within one interval.
        self._sessions[session] = self._counters.sockets_total % BEATS
        if self._clock is None:
            self._clock = asyncio.create_task(self._run(), name="l3book-heartbeat")

    def remove(self, session: "Session") -> None:
        """Beat no more for it."""
        self._counters.sockets -= 1
        del self._sessions[session]
        if not self._sessions and self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def check(self) -> None:
        """Look at all now: keys may have ceased to be good."""
        for session in tuple(self._sessions):
            self._look_after(session, is_check=True, is_beat=False)

    async def _run(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL_S / BEATS)
            turn = (turn + 1) % BEATS
            for session, place in tuple(self._sessions.items()):
                self._look_after(session, is_check=place % CHECKS == turn % CHECKS, is_beat=place == turn)

    def _look_after(self, session: "Session", *, is_check: bool, is_beat: bool) -> None:
        try:
            if is_check:
                session.check()
            if is_beat:
                session.beat()
        except Exception:
            log.exception("a socket could not be looked after")
            session.outbox.fail()
