"""A group: everybody who wants the same of one book, as often."""

import asyncio
from time import perf_counter_ns
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from l3book.streams.update import Update

if TYPE_CHECKING:
    from l3book._core import Book, Message, Stream
    from l3book.streams.counters import Counters

Channel: TypeAlias = Literal["bbo", "depth", "orders", "trades", "dbn"]

LIGHT_DEPTH_MAX = 100
"""Snapshots of up to so many levels without queues are made on the event loop, in microseconds; others in a thread."""


class GroupKey(NamedTuple):
    """What its members have in common."""

    channel: Channel
    publisher_id: int
    instrument_id: int
    depth: int | None
    level: Literal[2, 3]
    interval_ms: int


class Subscriber(Protocol):
    """Who is handed the updates of a group, on the event loop; must not wait and must not raise."""

    def deliver(self, update: Update) -> None:
        """Take the next update."""

    def fail(self) -> None:
        """Take notice that no update will follow: an internal error, which is in the log."""


class Group:
    """One stream of the core and its subscribers. For the event loop's thread."""

    def __init__(self, key: GroupKey, stream: "Stream", book: "Book", counters: "Counters") -> None:
        self.key = key
        self.book = book
        self.instrument = stream.instrument
        """The name its messages carry."""
        self.subscribers: dict[Subscriber, None] = {}
        self.is_closed = False
        """It is polled no more: closed, or failed."""
        self.merges = key.channel in {"bbo", "depth"}
        """Whether one update can take the place of several."""
        self._is_light = key.channel in {"bbo", "trades"} or (
            key.channel == "depth" and key.level == 2 and (key.depth or 0) <= LIGHT_DEPTH_MAX
        )
        self._stream = stream
        self._counters = counters
        self._updates = 0
        self._snapshot: Update | None = None
        self._making: asyncio.Task[Update] | None = None
        self._making_since = -1

    def poll(self) -> None:
        """Look at the book; hand what is new to all subscribers."""
        began_ns = perf_counter_ns()
        message = self._stream.poll()
        self._counters.polled(perf_counter_ns() - began_ns)
        if message is None:
            return
        self._updates += 1
        self._snapshot = None
        update = Update(message)
        for subscriber in tuple(self.subscribers):
            subscriber.deliver(update)

    async def snapshot(self) -> Update:
        """Picture the book as of the last poll; made once for all who ask between two updates."""
        if self._snapshot is not None:
            return self._snapshot
        if self._is_light:
            self._snapshot = Update(self._stream.snapshot())
            return self._snapshot
        # One that was begun before the last update would be older than what this caller has been handed since.
        if self._making is None or self._making_since != self._updates:
            self._making_since = self._updates
            self._making = asyncio.create_task(self._make_snapshot(self._updates), name="l3book-snapshot")
            self._making.add_done_callback(_notice)
        return await asyncio.shield(self._making)

    async def merged(self, epoch: str, seq: int) -> Update | None:
        """Make one delta from `seq` to the last poll; None where there cannot be one."""
        if not self.merges:
            return None
        if self._is_light:
            message = self._stream.merged(epoch, seq)
        else:
            message = await asyncio.to_thread(self._stream.merged, epoch, seq)
        return None if message is None else Update(message)

    def close(self) -> None:
        """Take the tap off the book."""
        self.is_closed = True
        self._stream.close()

    async def _make_snapshot(self, updates: int) -> Update:
        update = Update(await asyncio.to_thread(self._encoded_snapshot))
        if updates == self._updates:
            self._snapshot = update
        return update

    def _encoded_snapshot(self) -> "Message":
        message = self._stream.snapshot()
        # Read here for the sake of the encoding, which would hold up the event loop when it is first asked for.
        _ = message.binary or message.text
        return message


def _notice(task: asyncio.Task[Update]) -> None:
    """Take note of an error: whoever waits gets it, but all of them may have gone, and the stream been closed."""
    if not task.cancelled():
        task.exception()
