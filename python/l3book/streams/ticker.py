"""A ticker: polls all groups of one interval, again and again."""

import asyncio
import itertools
from contextvars import Context
from time import perf_counter
from typing import TYPE_CHECKING

from l3book import tracing
from l3book.logs import Logger
from l3book.streams.counters import Counters
from l3book.streams.group import Group

if TYPE_CHECKING:
    from l3book.tracing.feed import Publication

log = Logger(__name__)

SLOT_MS_MIN = 10
SLOTS_MAX = 20
"""Groups of one interval take turns within it, so that their clients are not all written to at the same moment."""
SLICE_S = 0.001
SLICE_GROUPS = 16
"""After polling for so long or so many, the event loop gets a turn: what was written leaves, others are answered."""


class Ticker:
    """Runs while it has groups. Its times are multiples of the interval since it began, so that it never drifts."""

    def __init__(self, interval_ms: int, counters: Counters, *, is_live: bool = False) -> None:
        """`is_live`: its groups follow what the feed brings, not a replay."""
        self._interval_ms = interval_ms
        self._interval_s = interval_ms / 1000
        self._is_live = is_live
        self._counters = counters
        self._slots: list[dict[Group, None]] = [{} for _ in range(min(interval_ms // SLOT_MS_MIN, SLOTS_MAX))]
        self._task: asyncio.Task[None] | None = None
        self.polls: set[asyncio.Task[None]] = set()
        """Those under way in threads."""
        self.is_held = False
        """Polls are left out for now."""
        self._publication: Publication | None = None
        """What is told of a chunk that is traced."""
        self._published = 0
        """The last such chunk."""

    def add(self, group: Group) -> None:
        """Poll the group from the next tick of the slot with the fewest on."""
        min(self._slots, key=len)[group] = None
        if self._task is None:
            # In no context: whoever subscribes first is not the cause of what the ticker does for all.
            self._task = asyncio.get_running_loop().create_task(self._run(), name="l3book-ticker", context=Context())

    def remove(self, group: Group) -> None:
        """Poll it no more."""
        for slot in self._slots:
            slot.pop(group, None)
        if not any(self._slots) and self._task is not None:
            self._task.cancel()
            self._task = self._publication = None

    async def poll_once(self) -> None:
        """Poll every group now, also while polls are left out. None may be under way."""
        for group in [group for slot in self._slots for group in slot if not group.is_closed]:
            if group.is_light:
                self._poll(group)
            else:
                self._poll_in_thread(group)
        if self.polls:
            await asyncio.wait(tuple(self.polls))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        for slot in itertools.cycle(self._slots):
            due_s += self._interval_s / len(self._slots)
            late_s = loop.time() - due_s
            if late_s >= self._interval_s:
                # Whole rounds are left out, of every group the same.
                missed = int(late_s / self._interval_s)
                due_s += missed * self._interval_s
                self._counters.late_ticks += missed
            # Also when it is due already: others get their turn.
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            await self._poll_all(slot)

    async def _poll_all(self, slot: dict[Group, None]) -> None:
        polled, began_s = 0, perf_counter()
        publication = self._traced() if self._is_live and tracing.active is not None else None
        for group in tuple(slot):
            if group.is_closed or self.is_held:
                continue
            if group.is_light:
                if publication is None:
                    self._poll(group)
                else:
                    publication.poll(group, self._poll, self._counters)
            elif group.is_polling:
                self._counters.late_ticks += 1
            else:
                if publication is not None:
                    publication.poll_in_thread()
                self._poll_in_thread(group)
            polled += 1
            if polled >= SLICE_GROUPS or perf_counter() - began_s >= SLICE_S:
                await asyncio.sleep(0)
                polled, began_s = 0, perf_counter()
        if publication is not None and publication.end_round():
            self._published, self._publication = publication.number, None

    def _traced(self) -> "Publication | None":
        """Find what a traced chunk is told to clients by, if there is one: every slot has its turn in it once."""
        if self._publication is None and tracing.active is not None:
            feed, rounds = tracing.active.feed, len(self._slots)
            self._publication = feed.publication(self._published, self._interval_ms, rounds)
        return self._publication

    def _poll(self, group: Group) -> None:
        try:
            group.poll()
        # A panic in Rust arrives as a BaseException; whatever it is, it must not end the other groups.
        except BaseException as error:  # noqa: BLE001  # it is logged, and ends the group's sockets
            _fail(group, error)

    def _poll_in_thread(self, group: Group) -> None:
        def done(task: asyncio.Task[None]) -> None:
            self.polls.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                _fail(group, error)

        task = group.poll_in_thread()
        self.polls.add(task)
        task.add_done_callback(done)


def _fail(group: Group, error: BaseException) -> None:
    log.exception(
        "{channel} of {instrument} failed", exc_info=error, channel=group.key.channel, instrument=group.instrument
    )
    group.is_closed = True
    for subscriber in tuple(group.subscribers):
        subscriber.fail()
