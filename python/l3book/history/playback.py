"""One replay: the recorded past on a market and a clock of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from l3book._core import L3BookError
from l3book.logs import Logger
from l3book.sources.pacing import ReplayPacer
from l3book.streams.fanout import Fanout

if TYPE_CHECKING:
    from l3book._core import Replay
    from l3book.streams.counters import Counters
    from l3book.workers import Pool

log = Logger(__name__)

PlaybackState: TypeAlias = Literal["playing", "paused", "ended", "failed"]

TURN_RECORDS_MAX = 16_384
"""Applied in one go, in milliseconds: then another replay has the thread."""
STEP_RECORDS_MAX = 131_072
"""A step goes so far in one go, in tens of milliseconds."""
TURN_S_MIN = 0.01
"""As often as a subscription can be told anything."""
TURN_S_MAX = 0.1
LOOK_S = 0.1
"""Whether anybody still waits for what is under way is looked at so often."""
END_TURN_S = 0.25
"""At the end of what is recorded: whether more has been since."""


UNREADABLE = "what is recorded there cannot be read: the server's log says why"
INTERNAL = "an unexpected error: the server's log has it"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a replay stands in the log. Times are UNIX ns; 0 before the first record."""

    ordinal: int
    ts_event: int
    ts_recv: int
    """Both of the last record applied."""
    next_ts: int | None
    """ts_recv of the next one; None: nothing is recorded after this."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """How far a step has led."""

    events: int
    """Of the book; negative: back."""
    stopped_at: Literal["end", "beginning"] | None
    """Where they are fewer than asked for: at the end of what is recorded, or the beginning of its session."""


class Playback:
    """Plays, stands still, goes elsewhere. For the event loop's thread; the records are applied in the pool's."""

    def __init__(
        self,
        playback_id: str,
        owner: str,
        replay: "Replay",
        start: int,
        pool: "Pool",
        counters: "Counters",
        *,
        is_private: bool,
    ) -> None:
        """`start` (ts_event) is where `replay` stands; `is_private`: of one socket, with which it ends."""
        self.playback_id = playback_id
        self.owner = owner
        """Whose limits it counts against, and who may see it."""
        self.is_private = is_private
        self.streams = Fanout(replay.market, counters)
        self.speed = 1.0
        self.is_paused = True
        self.error: str | None = None
        """Why it goes no further, once that is so."""
        self.followers: dict[Callable[[], None], None] = {}
        """Of the sockets that are in it: what is called when it is ended."""
        self.used_s = time.monotonic()
        """When somebody last asked for it."""
        self._replay = replay
        self._pool = pool
        self._position = _position(replay)
        self._reached_ts = max(start, self._position.ts_recv)
        self._pacer: ReplayPacer | None = None
        self._turn = asyncio.Lock()
        self._is_playing = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None
        """Telling of a move that failed on its way, behind the error."""
        self._task = asyncio.create_task(self._run(), name="l3book-replay")

    @property
    def state(self) -> PlaybackState:
        """What it does."""
        if self.error is not None:
            return "failed"
        if self.is_paused:
            return "paused"
        return "ended" if self._position.next_ts is None else "playing"

    @property
    def position(self) -> Position:
        """Where it stands."""
        return self._position

    @property
    def ts(self) -> int:
        """The recorded time (ts_recv clock, ns) that it shows: between two records, it goes on with the clock."""
        if self._pacer is not None:
            self._reached_ts = self._pacer.reached_ts_ns(time.monotonic_ns())
        next_ts = self._position.next_ts
        return self._reached_ts if next_ts is not None and next_ts > self._reached_ts else self._position.ts_recv

    @property
    def is_settled(self) -> bool:
        """Whether it stands still, and everybody has been told all that was played."""
        is_told = self._telling is None or self._telling.done()
        return self.state in {"paused", "ended"} and is_told and not self._turn.locked()

    def play(self, speed: float | None = None) -> None:
        """Go on, `speed` times as fast as it was recorded; None: as before."""
        self._stop_clock()
        self.error = None
        self.speed = speed or self.speed
        self.is_paused = False
        self._start_clock()

    def set_speed(self, speed: float) -> None:
        """Change the speed; paused stays paused."""
        self._stop_clock()
        self.speed = speed
        if not self.is_paused:
            self._start_clock()

    async def pause(self, then: Callable[[], None] = lambda: None) -> None:
        """Stand still. Everybody has been told all of what was played when `then` is called: nothing follows."""
        self._stand_still()
        async with self._turn:
            # Of a turn that was under way the end was not known when the clock was stopped.
            self._reached_ts = max(self._reached_ts, self._position.ts_recv)
            await self.streams.tell_now()
            then()

    async def seek(self, at: int, then: Callable[[], None] | None = None) -> None:
        """Go to where all events complete at or before `at` (ts_event, ns) are applied, and no others.

        `then` is called before anybody is told. Raises NotRecordedError, and stays where it is.
        """

        def seek() -> bool:
            self._replay.seek(at)
            return True

        async with self._moved(seek, then):
            self._reached_ts = max(at, self._position.ts_recv)
            if not self.is_paused:
                self._start_clock()

    async def step(
        self,
        instrument: str | tuple[int, int],
        events: int,
        then: Callable[[Stepped], None] = lambda _: None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Pause, and go on until that book has completed so many more events; a negative number goes back.

        `then` is called before anybody is told; the way there ends early once it is not wanted any more, and one that
        leads back where it began. Raises
        UnknownInstrumentError or AmbiguousInstrumentError, and stays where it is; or HistoryError, paused before what
        cannot be read.
        """
        left, key = events, None

        def step() -> bool:
            nonlocal left, key
            if key is None:
                # Once: on the way, other books may come to go by that name.
                book = self._replay.market.book(instrument)
                key = book.publisher_id, book.instrument_id
            left -= self._replay.step(key, left, STEP_RECORDS_MAX)
            return events <= 0 or left == 0 or self._replay.next_ts is None

        def stopped_at() -> Literal["end", "beginning"] | None:
            if events < 0:
                return "beginning" if left and is_wanted() else None
            return "end" if left and self._position.next_ts is None else None

        # Piece by piece: in between other replays have their turns, and it is seen whether to go on.
        async with self._moved(step, lambda: then(Stepped(events - left, stopped_at())), is_wanted):
            self._pacer, self._reached_ts = None, self._position.ts_recv
            self._stand_still()

    async def end(self) -> None:
        """Stop playing, and say so to who is still in it."""
        tasks = [task for task in (self._task, self._telling) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for tell in tuple(self.followers):
            tell()

    @asynccontextmanager
    async def _moved(
        self,
        move: Callable[[], bool],
        then: Callable[[], None] | None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> AsyncIterator[None]:
        """Move it in a thread, again and again until `move` says that it is there, or nobody wants it to be.

        The block is for what depends on where it is then, and comes before `then`; also where moving it failed on the
        way, which is raised behind it in place of `then`, and before anybody is told.
        """

        def moved() -> tuple[bool, Position]:
            is_there = move()
            return is_there, _position(self._replay)

        async with self._turn, self.streams.held():
            is_there, before = False, self._position
            failed: L3BookError | None = None
            try:
                while not is_there and is_wanted():
                    is_there, self._position = await self._while_wanted(moved, is_wanted)
            except L3BookError as error:
                self._position = _position(self._replay)
                if self._position == before:
                    raise
                failed = error
            self.error = None
            yield
            if failed is not None:
                # Before anybody is told of the way there: it is the answer.
                self._telling = asyncio.create_task(self._tell_rest(), name="l3book-replay-telling")
                raise failed
            if then is not None:
                then()
            await self.streams.tell_now()

    async def _while_wanted(
        self, work: Callable[[], tuple[bool, Position]], is_wanted: Callable[[], bool]
    ) -> tuple[bool, Position]:
        """Do it in a thread, and have a step back that nobody waits for any more end early."""
        running = asyncio.ensure_future(self._pool.run(work))
        try:
            while not (await asyncio.wait({running}, timeout=LOOK_S))[0]:
                if not is_wanted():
                    self._replay.give_up()
        except asyncio.CancelledError:
            self._replay.give_up()
            running.cancel()
            raise
        return running.result()

    async def _tell_rest(self) -> None:
        async with self._turn:
            await self.streams.tell_now()

    def _stand_still(self) -> None:
        self._stop_clock()
        self.is_paused = True

    def _stop_clock(self) -> None:
        """Stay at the time shown: what was due, but was too much to be applied, is not due any more."""
        self._reached_ts = self.ts
        self._pacer = None
        self._is_playing.clear()

    def _start_clock(self) -> None:
        self._pacer = ReplayPacer(self.speed, self._reached_ts, time.monotonic_ns())
        self._is_playing.set()

    async def _run(self) -> None:
        while True:
            await self._is_playing.wait()
            try:
                wait_s = await self._take_turn()
            except Exception as error:
                log.exception("replay {replay} failed", replay=self.playback_id)
                self._stand_still()
                self.error = UNREADABLE if isinstance(error, L3BookError) else INTERNAL
                continue
            await asyncio.sleep(wait_s)

    async def _take_turn(self) -> float:
        """Apply what is due; -> how long nothing will be."""
        async with self._turn:
            if self._pacer is None:
                return 0.0
            due_ts, next_ts = self._pacer.reached_ts_ns(time.monotonic_ns()), self._position.next_ts
            if next_ts is None or next_ts <= due_ts:
                applied = await self._pool.run(self._advance, due_ts)
                next_ts = self._position.next_ts
                if next_ts is not None and applied == TURN_RECORDS_MAX:
                    return 0.0
                if next_ts is None and applied:
                    await self.streams.tell_now()
            if next_ts is None:
                return END_TURN_S
            return min(max((next_ts - due_ts) / self.speed / 1e9, TURN_S_MIN), TURN_S_MAX)

    def _advance(self, due_ts: int) -> int:
        applied = self._replay.advance(due_ts, TURN_RECORDS_MAX)
        self._position = _position(self._replay)
        return applied


def _position(replay: "Replay") -> Position:
    return Position(replay.ordinal, replay.ts_event, replay.ts_recv, replay.next_ts)
