"""All replays that run: how many, whose, and how long without anybody."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from typing import TYPE_CHECKING

from l3book import tracing
from l3book._core import Replay
from l3book.config import Settings
from l3book.history.playback import Playback
from l3book.logs import Logger
from l3book.workers import WORKERS, Pool

if TYPE_CHECKING:
    from l3book.streams.counters import Counters

log = Logger(__name__)

THREADS = max(2, WORKERS)
"""While one goes a long way, another can go on."""
ID_BYTES = 8
SWEEP_INTERVAL_S = 0.5


class TooManyReplaysError(Exception):
    """The limit is reached; the text is for the user."""


class Replays:
    """For the event loop's thread."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self._directory = directory
        self._settings = settings
        self._pool = Pool("l3book-replay", THREADS, 4 * settings.replays_max)
        self._playbacks: dict[str, Playback] = {}
        self._places: Counter[str] = Counter()
        """Taken by owner, also by those that are only about to begin."""
        self._sweeper: asyncio.Task[None] | None = None

    async def begin(
        self, owner: str, start: int, counters: "Counters", *, speed: float, is_paused: bool, is_private: bool
    ) -> Playback:
        """Begin one at `start` (ts_event, ns). Raises TooManyReplaysError, NotRecordedError, BusyError."""
        self._take_place(owner)
        try:
            with tracing.span("begin replay", **{"l3book.replay.start": start}):
                replay = await self._pool.run(Replay, self._directory, start)
        except BaseException:
            self._give_back(owner)
            raise
        playback_id = secrets.token_hex(ID_BYTES)
        playback = Playback(playback_id, owner, replay, start, self._pool, counters, is_private=is_private)
        playback.speed = speed
        if not is_paused:
            playback.play()
        self._playbacks[playback_id] = playback
        if self._sweeper is None:
            # In no context: whoever began the first replay is not the cause of what happens to others.
            loop = asyncio.get_running_loop()
            self._sweeper = loop.create_task(self._sweep(), name="l3book-replay-sweeper", context=Context())
        return playback

    def of(self, owner: str) -> list[Playback]:
        """List the owner's, oldest first."""
        return [playback for playback in self._playbacks.values() if playback.owner == owner]

    def find(self, owner: str, playback_id: str) -> Playback | None:
        """Find one of the owner's."""
        playback = self._playbacks.get(playback_id)
        if playback is None or playback.owner != owner:
            return None
        playback.used_s = time.monotonic()
        return playback

    def join(self, playback: Playback, tell_end: Callable[[], None]) -> None:
        """Be in it: it does not end for want of use, and `tell_end` is called when it is ended."""
        playback.followers[tell_end] = None

    async def leave(self, playback: Playback, tell_end: Callable[[], None]) -> None:
        """Be in it no more; a private one ends with the last who is in it."""
        playback.followers.pop(tell_end, None)
        playback.used_s = time.monotonic()
        if playback.is_private and not playback.followers:
            await self.end(playback)

    async def end(self, playback: Playback) -> None:
        """End it, if that has not happened yet."""
        if self._playbacks.pop(playback.playback_id, None) is None:
            return
        self._give_back(playback.owner)
        await playback.end()

    def close(self) -> None:
        """Wait for the threads. After the event loop has ended."""
        self._pool.close()

    def _take_place(self, owner: str) -> None:
        settings = self._settings
        for there, at_most, whose in (
            (self._places[owner], settings.replays_per_key_max, "yours"),
            (self._places.total(), settings.replays_max, "in all"),
        ):
            if there >= at_most:
                raise TooManyReplaysError(f"{there} replays run, {whose}: expected at most {at_most}")
        self._places[owner] += 1

    def _give_back(self, owner: str) -> None:
        self._places[owner] -= 1
        if not self._places[owner]:
            del self._places[owner]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            for playback in tuple(self._playbacks.values()):
                idle_s = time.monotonic() - playback.used_s
                if not playback.followers and idle_s > self._settings.replay_idle_timeout_s:
                    log.info(
                        "replay {replay} ends: nobody has used it for {idle_s} s",
                        replay=playback.playback_id,
                        idle_s=idle_s,
                    )
                    await self.end(playback)
