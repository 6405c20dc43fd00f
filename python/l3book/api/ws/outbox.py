"""The outbox of one socket: what waits to be sent, and what is given up because it would have to wait too long.

Every update of a subscription goes one of three ways. While the connection takes it, it is written at once. When it
does not, it waits, within bounds. When those are reached, or when a newer update could as well be merged with one
that waits, the subscription falls behind: its updates are counted and forgotten, and once everything else has left,
the client gets one message that brings it up to date.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Literal, NamedTuple

from l3book.api.ws.formats import Format
from l3book.api.ws.outlet import Outlet
from l3book.api.ws.subscription import Subscription
from l3book.config import InForce
from l3book.logs import Logger
from l3book.streams.counters import Counters
from l3book.streams.update import Update
from l3book.wire import Answer, Gap, Heartbeat

log = Logger(__name__)

INTERNAL_ERROR = 1011
MS_PER_S = 1000


class Waiting(NamedTuple):
    """A frame that waits."""

    frame: bytes
    since_s: float
    subscription: Subscription | None
    """Whose it is; None for answers and heartbeats."""


class Outbox:
    """Bounded by messages and bytes. For the event loop's thread; `run` is the one task that empties it."""

    def __init__(
        self,
        outlet: Outlet,
        form: Format,
        in_force: InForce,
        counters: Counters,
        now_s: Callable[[], float] = monotonic,
        caught_up: Callable[[Subscription], None] = lambda _subscription: None,
    ) -> None:
        """`caught_up` is called when a subscription that had been behind has got all there is."""
        self._caught_up = caught_up
        self._outlet = outlet
        self._form = form
        self._in_force = in_force
        self._counters = counters
        self._now_s = now_s
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._behind: dict[Subscription, None] = {}
        self._behind_since_s: dict[Subscription, float] = {}
        """Since when each has not kept up. One that is merged keeps up with every message that it gets; another,
        brought up to date by a gap and a snapshot, has yet to show that it can take what follows."""
        self._has_work = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self.encoding: Literal["text", "msgpack"] = "text" if form.is_text else "msgpack"
        """What it reads of a message."""
        self.sent = 0
        self.conflated = 0

    def answer(self, answer: Answer) -> None:
        """Send one of the server's own messages, after what waits. Who asks too much has to wait for `room`."""
        if not self._outlet.is_over:
            self._push(self._form.answer(answer), None)

    def heartbeat(self, seq: int, mark: Callable[[Heartbeat], None]) -> None:
        """Tell how things stand, and what `mark` adds, unless the client has enough to read without it."""
        if len(self._waiting) < self._in_force.settings.socket_queue_messages_max:
            lag_ms = int(self.lag_s() * MS_PER_S)
            heartbeat = Heartbeat(seq=seq, sent=self.sent, conflated=self.conflated, lag_ms=lag_ms)
            mark(heartbeat)
            self.answer(heartbeat)

    def begin(self, subscription: Subscription) -> None:
        """Send a snapshot as soon as there is room, and from there on every update."""
        self._wait_for_catch_up(subscription)

    def forget(self, subscription: Subscription) -> None:
        """Send no more of it than what waits already."""
        self._behind.pop(subscription, None)
        self._behind_since_s.pop(subscription, None)

    def deliver(self, subscription: Subscription, update: Update) -> None:
        """Send an update, or fall behind."""
        if subscription.is_behind:
            self._hold(subscription, update)
            return
        if subscription.has(update):
            return
        if update.continues(subscription.epoch, subscription.seq):
            frame = self._form.update(update)
            if not self._waiting and self._outlet.is_writable:
                self._write(frame)
                subscription.reach(update)
                self._behind_since_s.pop(subscription, None)
                return
            if self._fits(subscription, frame):
                self._append(frame, subscription)
                subscription.reach(update)
                return
        self._lose(subscription)
        self._wait_for_catch_up(subscription)

    def lag_s(self) -> float:
        """Tell how long the oldest waiting message has waited."""
        if self._waiting:
            return self._now_s() - self._waiting[0].since_s
        return self.behind_s()

    def behind_s(self) -> float:
        """Tell for how long the subscription that has waited longest has not had everything that it should have."""
        if not self._behind:
            return 0.0
        return self._now_s() - min(self._behind_since_s[subscription] for subscription in self._behind)

    async def room(self) -> None:
        """Wait until an answer fits, or until the connection is over."""
        await self._has_room.wait()

    def fail(self) -> None:
        """End the socket after an error of ours, which the log has."""
        self._outlet.end(INTERNAL_ERROR, "internal error")

    async def run(self) -> None:
        """Send until the connection is over."""
        try:
            await self._send_until_over()
        except Exception:
            log.exception("a socket's sender failed")
            self.fail()
        finally:
            self._has_room.set()

    async def _send_until_over(self) -> None:
        while True:
            await self._has_work.wait()
            await self._outlet.wait_until_writable()
            if self._outlet.is_over:
                return
            while self._waiting and self._outlet.is_writable:
                self._write(self._take())
            if not self._outlet.is_writable:
                continue
            if self._behind:
                await self._catch_up(next(iter(self._behind)))
                await asyncio.sleep(0)
            else:
                self._behind_since_s.clear()
                self._has_work.clear()

    async def _catch_up(self, subscription: Subscription) -> None:
        subscription.held = []
        try:
            update = await self._latest(subscription)
        except Exception:
            # Its group may be closed by now, and then has nothing to tell.
            if subscription not in self._behind:
                return
            raise
        held, subscription.held = subscription.held, None
        if subscription not in self._behind:
            return
        del self._behind[subscription]
        if subscription.group.merges:
            del self._behind_since_s[subscription]
        if update.kind == "snapshot":
            self._counters.snapshots += 1
            if subscription.epoch is not None and not subscription.group.merges:
                self._tell_gap(subscription, update)
        self._push(self._form.update(update), subscription)
        subscription.reach(update)
        if held is None:
            self._wait_for_catch_up(subscription)
            return
        subscription.is_behind = False
        for later in held:
            self.deliver(subscription, later)
        self._caught_up(subscription)

    async def _latest(self, subscription: Subscription) -> Update:
        group = subscription.group
        if subscription.epoch is not None:
            merged = await group.merged(subscription.epoch, subscription.seq)
            if merged is not None and merged.continues(subscription.epoch, subscription.seq):
                return merged
        return await group.snapshot()

    def _tell_gap(self, subscription: Subscription, snapshot: Update) -> None:
        self._counters.gaps += 1
        group = subscription.group
        gap = Gap(
            channel=group.key.channel,
            instrument=group.instrument,
            from_=subscription.seq + 1,
            to=snapshot.seq,
            reason="slow_consumer",
        )
        self._push(self._form.answer(gap), subscription)

    def _hold(self, subscription: Subscription, update: Update) -> None:
        held = subscription.held
        if held is not None and len(held) < self._in_force.settings.socket_queue_messages_max:
            held.append(update)
        else:
            # Of those held none may be missing: the others are of no use without it.
            subscription.held = None
            self._lose(subscription)

    def _lose(self, subscription: Subscription) -> None:
        # A client that has had no snapshot yet loses nothing.
        if subscription.epoch is not None:
            self.conflated += 1
            self._counters.conflated += 1

    def _wait_for_catch_up(self, subscription: Subscription) -> None:
        subscription.is_behind = True
        self._behind[subscription] = None
        self._behind_since_s.setdefault(subscription, self._now_s())
        self._has_work.set()

    def _fits(self, subscription: Subscription, frame: bytes) -> bool:
        if not self._waiting:
            return True
        if subscription.group.merges and subscription.waiting:
            return False
        return (
            len(self._waiting) < self._in_force.settings.socket_queue_messages_max
            and self._waiting_bytes + len(frame) <= self._in_force.settings.socket_queue_bytes_max
        )

    def _push(self, frame: bytes, subscription: Subscription | None) -> None:
        if not self._waiting and self._outlet.is_writable:
            self._write(frame)
        else:
            self._append(frame, subscription)

    def _append(self, frame: bytes, subscription: Subscription | None) -> None:
        self._waiting.append(Waiting(frame, self._now_s(), subscription))
        self._waiting_bytes += len(frame)
        if subscription is not None:
            subscription.waiting += 1
        if len(self._waiting) >= self._in_force.settings.socket_queue_messages_max:
            self._has_room.clear()
        self._has_work.set()

    def _take(self) -> bytes:
        frame, _, subscription = self._waiting.popleft()
        self._waiting_bytes -= len(frame)
        if subscription is not None:
            subscription.waiting -= 1
        if len(self._waiting) < self._in_force.settings.socket_queue_messages_max:
            self._has_room.set()
        return frame

    def _write(self, frame: bytes) -> None:
        self._outlet.write(frame)
        self.sent += 1
        self._counters.sent += 1
        self._counters.bytes += len(frame)
