"""A book small enough to be right at a glance, its streams, and a connection whose room a test deals out."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

REMEMBERED = 3
"""So many of the last messages can be merged with; older ones cannot."""


@dataclass(frozen=True)
class SmallMessage:
    kind: str
    epoch: str
    prev: int | None
    seq: int
    body: dict[str, Any]
    binary: bytes | None = None

    @property
    def text(self) -> str:
        return json.dumps({"type": self.kind, "epoch": self.epoch, "prev": self.prev, "seq": self.seq, **self.body})

    @property
    def msgpack(self) -> bytes:
        raise AssertionError("these clients speak JSON")


@dataclass
class SmallBook:
    """Numbered sizes instead of prices; every change is an event."""

    publisher_id: int = 1
    instrument_id: int = 1
    epoch_number: int = 1
    seq: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    streams: list[SmallStream] = field(default_factory=list)

    @property
    def epoch(self) -> str:
        return f"{self.epoch_number:x}"

    def change(self, key: str, size: int) -> None:
        self.seq += 1
        self.sizes[key] = size
        for stream in self.streams:
            stream.ops.append([key, size])

    def clear(self) -> None:
        self.epoch_number += 1
        self.seq = 0
        self.sizes = {}


class SmallStream:
    """What the core's Stream does, by its contract: whole states instead of cleverness."""

    instrument = "AB"

    def __init__(self, book: SmallBook, channel: str) -> None:
        self.book = book
        self.channel = channel
        self.ops: list[list[Any]] = []
        self.overflowed = False
        self.closed = False
        self._states: list[tuple[str, int, dict[str, int]]] = []
        self._was_gap = False
        book.streams.append(self)

    def poll(self) -> SmallMessage | None:
        self._must_be_open()
        ops, self.ops = self.ops, []
        now = (self.book.epoch, self.book.seq, dict(self.book.sizes))
        if self.overflowed and self._states and not self._was_gap:
            self.overflowed = False
            self._was_gap = True
            epoch, seq, _ = self._states[-1]
            return SmallMessage("gap", epoch, None, seq, {})
        if self._was_gap or not self._states or self._states[-1][0] != now[0]:
            self._was_gap = self.overflowed = False
            self._remember(now)
            return self._picture(now)
        last = self._states[-1]
        if last[2] == now[2]:
            return None
        self._remember(now)
        return self._delta(last, now, ops)

    def snapshot(self) -> SmallMessage:
        self._must_be_open()
        if not self._states:
            self.ops = []
            self._remember((self.book.epoch, self.book.seq, dict(self.book.sizes)))
        return self._picture(self._states[-1])

    def merged(self, epoch: str, seq: int) -> SmallMessage | None:
        assert self.channel in {"bbo", "depth"}
        for state in self._states:
            if state[:2] == (epoch, seq) and epoch == self._states[-1][0]:
                return self._delta(state, self._states[-1], [])
        return None

    def close(self) -> None:
        self.closed = True
        self.book.streams.remove(self)

    def _must_be_open(self) -> None:
        if self.closed:
            raise RuntimeError("this stream is closed")

    def _remember(self, state: tuple[str, int, dict[str, int]]) -> None:
        self._states = [*self._states[1 - REMEMBERED :], state]

    def _picture(self, state: tuple[str, int, dict[str, int]]) -> SmallMessage:
        return SmallMessage("snapshot", state[0], None, state[1], {"sizes": state[2]})

    def _delta(self, old: Any, new: Any, ops: list[list[Any]]) -> SmallMessage:
        if self.channel == "orders":
            return SmallMessage("delta", new[0], old[1], new[1], {"ops": ops})
        changed = {key: new[2].get(key, 0) for key in new[2] | old[2] if new[2].get(key) != old[2].get(key)}
        return SmallMessage("delta", new[0], old[1], new[1], {"sizes": changed})


class SmallMarket:
    def __init__(self) -> None:
        self.the_book = SmallBook()
        self.opened: list[SmallStream] = []

    def book(self, _instrument: object) -> SmallBook:
        return self.the_book

    def stream(self, channel: str, _instrument: object, **_options: object) -> SmallStream:
        self.opened.append(SmallStream(self.the_book, channel))
        return self.opened[-1]


class SmallOutlet:
    """Takes as many frames as there is room for, and keeps them."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.room = 0
        self.ended: tuple[int, str] | None = None
        self._writable = asyncio.Event()

    @property
    def is_over(self) -> bool:
        return self.ended is not None

    @property
    def is_writable(self) -> bool:
        return self._writable.is_set() and not self.is_over

    def write(self, frame: bytes) -> None:
        assert self.is_writable, "written although there was no room"
        self.frames.append(frame)
        self.room -= 1
        if self.room == 0:
            self._writable.clear()

    async def wait_until_writable(self) -> None:
        await self._writable.wait()

    def end(self, code: int, reason: str) -> None:
        self.ended = (code, reason)
        self._writable.set()

    def give_room(self, frames: int) -> None:
        """Negative: take it away."""
        self.room += frames
        if self.room > 0:
            self._writable.set()
        else:
            self._writable.clear()

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(frame[_head_bytes(frame) :]) for frame in self.frames]


def _head_bytes(frame: bytes) -> int:
    return {126: 4, 127: 10}.get(frame[1], 2)


class WorkOnDemand(ThreadPoolExecutor):
    """Does what is handed to threads when the test says so, and hands the result over when it says that."""

    def __init__(self) -> None:
        super().__init__(1)
        self._asked: list[tuple[Any, Future[Any]]] = []
        self._done: list[tuple[Any, Future[Any]]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._asked.append((lambda: fn(*args, **kwargs), future))
        return future

    def work(self, *, newest: bool = False) -> None:
        """Do all that was asked for, or only the last: threads overtake each other."""
        asked = self._asked[-1:] if newest else self._asked[:]
        del self._asked[len(self._asked) - len(asked) :]
        for job, future in asked:
            try:
                self._done.append((job(), future))
            except RuntimeError as error:
                future.set_exception(error)

    def hand_over(self, *, newest: bool = False) -> None:
        """Hand over all results, or only the last."""
        done = self._done[-1:] if newest else self._done[:]
        del self._done[len(self._done) - len(done) :]
        for result, future in done:
            if not future.cancelled():
                future.set_result(result)
