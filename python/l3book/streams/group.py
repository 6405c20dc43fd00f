"""A group: everybody who wants the same of one book, as often."""

import asyncio
from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from l3book.streams.update import Update
from l3book.wire import Channel
from l3book.workers import in_worker

if TYPE_CHECKING:
    from l3book._core import Book, Message, Stream
    from l3book.streams.counters import Counters

LIGHT_DEPTH_MAX = 100
"""Messages of up to so many levels without queues are made on the event loop, in microseconds; others in a thread."""


class GroupKey(NamedTuple):
    """What its members have in common."""

    channel: Channel
    publisher_id: int
    instrument_id: int
    depth: int | None
    level: Literal[2, 3]
    queues: int | None
    """At level 3, how many levels a side carry their queues; None: all."""
    interval_ms: int

    @property
    def is_whole_book(self) -> bool:
        """Whether it keeps a copy of the book, or of much of it: megabytes, where others are kilobytes."""
        return self.channel in {"orders", "dbn"} or (self.depth or 0) > LIGHT_DEPTH_MAX


class Subscriber(Protocol):
    """Who is handed the updates of a group, on the event loop; must not wait and must not raise."""

    @property
    def encoding(self) -> Literal["text", "msgpack"]:
        """What it will read of a message that has no records."""

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
        self.is_light = key.channel in {"bbo", "trades"} or (
            key.channel == "depth" and key.level == 2 and (key.depth or 0) <= LIGHT_DEPTH_MAX
        )
        """Whether `poll` costs so little that it needs no thread."""
        self.is_polling = False
        """Whether `poll_in_thread` is under way."""
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
        if message is not None:
            self._tell(message)

    def poll_in_thread(self) -> asyncio.Task[None]:
        """Do the same, but leave the event loop to others meanwhile: thousands of operations may have come."""
        self.is_polling = True
        return asyncio.create_task(self._poll_in_thread(), name="l3book-poll")

    async def snapshot(self) -> Update:
        """Picture the book as of the last poll; made once for all who ask between two updates."""
        if self._snapshot is not None:
            return self._snapshot
        if self.is_light:
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
        if self.is_light:
            message = self._stream.merged(epoch, seq)
        else:
            message = await in_worker(self._stream.merged, epoch, seq)
        return None if message is None else Update(message)

    def close(self) -> None:
        """Take the tap off the book."""
        self.is_closed = True
        self._stream.close()

    async def _poll_in_thread(self) -> None:
        try:
            message = await in_worker(self._encoded, self._stream.poll, self._encodings())
        except RuntimeError:
            if self.is_closed:
                return
            raise
        finally:
            self.is_polling = False
        if message is not None and not self.is_closed:
            self._tell(message)

    def _tell(self, message: "Message") -> None:
        self._updates += 1
        self._snapshot = None
        update = Update(message)
        for subscriber in tuple(self.subscribers):
            subscriber.deliver(update)

    async def _make_snapshot(self, updates: int) -> Update:
        message = await in_worker(self._encoded, self._stream.snapshot, self._encodings())
        assert message is not None  # noqa: S101  # only a poll may have nothing to tell
        update = Update(message)
        if updates == self._updates:
            self._snapshot = update
        return update

    def _encodings(self) -> set[Literal["text", "msgpack"]]:
        return {subscriber.encoding for subscriber in self.subscribers}

    def _encoded(
        self, make: Callable[[], "Message | None"], encodings: set[Literal["text", "msgpack"]]
    ) -> "Message | None":
        """Make a message, and have it encoded here: whoever asks for the encoding first has to wait for it."""
        message = make()
        if message is not None and message.binary is None:
            for encoding in encodings:
                getattr(message, encoding)
        return message


def _notice(task: asyncio.Task[Update]) -> None:
    """Take note of an error: whoever waits gets it, but all of them may have gone, and the stream been closed."""
    if not task.cancelled():
        task.exception()
