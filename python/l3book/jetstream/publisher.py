"""Sends messages to a stream: each once, in order, acknowledged, whatever happens to the connection.

Every message says which sequence the one before it must have, so a server stores it in its one place or not at all:
what is lost on the way stops all that follows, and a second publisher is noticed by its first message. After every
break the stream is asked how far it has come, and everything behind that is sent again.
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import nats.errors
import nats.js.errors
from nats.js import api
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    stop_never,
    wait_random_exponential,
)

from l3book.jetstream.address import NatsAddress
from l3book.jetstream.connecting import Opened, connected
from l3book.jetstream.messages import (
    ALIVE_EVERY_S,
    MESSAGE_ID,
    PAYLOAD_BYTES_MAX,
    Label,
    Outgoing,
    alive_subject_of,
    filter_of,
    shards_of,
    subjects_of,
)
from l3book.jetstream.windows import Progress, ShardState
from l3book.logs import Logger
from l3book.sources.connection import ConnectionLost, Refused

if TYPE_CHECKING:
    from datetime import datetime

log = Logger(__name__)

ACKS_MAX = 64
ACKS_BYTES_MAX = 8 * 1024 * 1024
"""Sent and not acknowledged, at most: enough to keep a server busy, little enough to be sent again."""
ACK_TIMEOUT_S = 15.0
HEADERS_BYTES = 4096
DUPLICATE_WINDOW_S = 120.0
WAIT_FIRST_S = 0.25
WAIT_MAX_S = 30.0
STEADY_S = 30.0
"""A connection that lasted so long was a good one, even if there was nothing to be sent."""
CLOSING_S = 5.0
"""How long a server may acknowledge nothing once the publisher shall end. Whoever ends a container waits ten."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a stream is made with: beyond it, its oldest messages are removed. 0: no limit."""

    bytes_max: int = 0
    age_max_s: int = 0


@dataclass(slots=True)
class Counts:
    """What became of the messages."""

    messages: int = 0
    records: int = 0
    bytes: int = 0
    sent_again: int = 0
    losses: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a stream has come."""

    shards: list[ShardState]
    sequence: int
    ts_event: int
    progress: Progress | None
    """Of the source that was published last; None if there was none."""
    beginning: str | None = None
    """The source that the stream begins with; None if its first message is gone."""


@dataclass(slots=True)
class _Sent:
    message: Outgoing
    acknowledged: "asyncio.Future[api.PubAck]"
    at_s: float


class _Interrupted(Exception):  # noqa: N818  # no error: an outage begins, and with it a new budget
    """A connection was lost that had done something."""


class Publisher:
    """Publishes what it is given, in order, until that is over. Used on one event loop."""

    def __init__(self, address: NatsAddress, shards: int, budget_s: float, limits: Limits = Limits()) -> None:  # frozen
        self._address = address
        self._shards = shards
        self._budget_s = budget_s
        self._limits = limits
        self.counts = Counts()
        self.on_records: Callable[[int], object] = lambda _: None
        """Told of records that were acknowledged."""
        self._waiting: deque[Outgoing] = deque()
        self._unacknowledged: deque[_Sent] = deque()
        self._last_acknowledged: int = 0
        self._created: datetime | None = None
        """When the stream was made that all of this is for."""
        self._next: asyncio.Task[list[Outgoing] | None] | None = None
        self._is_over = False
        self._closing = asyncio.Event()

    @property
    def unacknowledged_records(self) -> int:
        """Records of messages of which nobody knows whether the stream has them."""
        made = self._next
        # Made while the server was already away.
        is_made = made is not None and made.done() and not made.cancelled() and made.exception() is None
        last = (made.result() or ()) if made is not None and is_made else ()
        return sum(message.records for message in (*self._waiting, *last))

    def close(self) -> None:
        """Give up soon if the server acknowledges nothing. Called on the event loop."""
        self._closing.set()

    async def begin(self) -> Standing:
        """Make the stream if need be, and see how far it has come. Raises ConnectionLost or Refused, at once."""
        async with connected(self._address, "l3book publish") as opened:
            info = await self._stream(opened)
            self._compare(info.config)
            standing = await self._standing(opened, info)
        self._last_acknowledged, self._created = standing.sequence, info.created
        return standing

    async def run(self, batches: AsyncIterator[list[Outgoing]]) -> None:
        """Send all batches, and return when all is acknowledged.

        Raises Refused, or ConnectionLost after the budget, or CLOSING_S after `close`.
        """
        sending = asyncio.ensure_future(self._run(batches))
        giving_up = asyncio.ensure_future(self._closed_in_vain())
        try:
            await asyncio.wait({sending, giving_up}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                return sending.result()
        finally:
            giving_up.cancel()
            sending.cancel()
            await asyncio.wait({sending, giving_up})
        raise ConnectionLost("closing", f"{self._address}: told to end, and nothing acknowledged for {CLOSING_S:g} s")

    async def _closed_in_vain(self) -> None:
        await self._closing.wait()
        before = -1
        while self.counts.messages > before:
            before = self.counts.messages
            await asyncio.sleep(CLOSING_S)

    async def _run(self, batches: AsyncIterator[list[Outgoing]]) -> None:
        try:
            while True:
                outage = AsyncRetrying(
                    retry=retry_if_exception_type(ConnectionLost),
                    wait=wait_random_exponential(multiplier=WAIT_FIRST_S, max=WAIT_MAX_S),
                    stop=stop_after_delay(self._budget_s) if self._budget_s else stop_never,
                    before_sleep=self._before_wait,
                    reraise=True,
                )
                try:
                    await outage(self._session, batches)
                except _Interrupted:
                    await asyncio.sleep(random.uniform(0, WAIT_FIRST_S))  # noqa: S311  # no secret hangs on it
                else:
                    return
        finally:
            if self._next is not None:
                self._next.cancel()

    async def _session(self, batches: AsyncIterator[list[Outgoing]]) -> None:
        before, resumed_at_s = self.counts.messages, None
        try:
            async with connected(self._address, "l3book publish", ACKS_MAX + 1) as opened:
                await self._resume(opened)
                resumed_at_s = time.monotonic()
                saying = asyncio.ensure_future(self._say_alive(opened))
                try:
                    await self._pump(opened, batches)
                finally:
                    saying.cancel()
                    self._take_back()
        except ConnectionLost as loss:
            self.counts.losses[loss.kind] += 1
            is_steady = resumed_at_s is not None and time.monotonic() - resumed_at_s > STEADY_S
            if is_steady or self.counts.messages > before:
                log.warning("{stream}: {error}", stream=self._address, error=loss)
                raise _Interrupted from None
            raise

    async def _say_alive(self, opened: Opened) -> None:
        """Say that there is a publisher, to whoever reads the stream at the moment."""
        subject = alive_subject_of(self._address.stream)
        while not opened.closed.done():
            try:
                await opened.client.publish(subject)
            except nats.errors.Error as error:
                # The connection is over, which ends the session with its own reason.
                log.debug("{stream}: {error}", stream=self._address, error=error)
                return
            await asyncio.sleep(ALIVE_EVERY_S)

    def _before_wait(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        text = "{stream}: {error}; the next attempt in {wait_s:.2f} s"
        log.warning(text, stream=self._address, error=error, wait_s=state.upcoming_sleep)

    async def _stream(self, opened: Opened) -> api.StreamInfo:
        """Find the stream, or make it. Raises Refused where it is somebody else's."""
        stream = self._address.stream
        if opened.client.max_payload < PAYLOAD_BYTES_MAX + HEADERS_BYTES:
            raise Refused(
                f"{self._address}: the server takes messages of {opened.client.max_payload} bytes: expected a "
                f"max_payload of at least {PAYLOAD_BYTES_MAX + HEADERS_BYTES}"
            )
        try:
            info = await opened.jetstream.stream_info(stream)
        except nats.js.errors.NotFoundError:
            return await opened.jetstream.add_stream(
                name=stream,
                subjects=[subjects_of(stream, self._shards)],
                allow_direct=True,
                duplicate_window=_duplicate_window_s(self._limits),
                max_bytes=self._limits.bytes_max or None,
                max_age=self._limits.age_max_s or None,
            )
        shards = shards_of(stream, info.config.subjects or [])
        if shards is None:
            raise Refused(
                f"{self._address}: the stream is for {', '.join(info.config.subjects or ['nothing'])}: expected one "
                f"for {subjects_of(stream, self._shards)}, or none, to make it"
            )
        if shards != self._shards:
            parts = "1 shard" if shards == 1 else f"{shards} shards"
            raise Refused(f"{self._address}: the stream has {parts}: expected --shards {shards}")
        return info

    def _compare(self, config: api.StreamConfig) -> None:
        """See whether the stream has the limits that were asked for: whoever wants others has to say so to it."""
        asked, has = self._limits, Limits(max(0, config.max_bytes or 0), int(max(0, config.max_age or 0)))
        if asked not in (Limits(), has):
            text = "{stream}: was made with --max-bytes {bytes} --max-age-s {age}, and keeps them (`nats stream edit`)"
            log.warning(text, stream=self._address, bytes=has.bytes_max, age=has.age_max_s)

    async def _standing(self, opened: Opened, info: api.StreamInfo) -> Standing:
        """See what the shards end with; the stream's last message may be none of them, or be removed."""
        sequence, newest, shards = info.state.last_seq, None, []
        is_cut = info.state.messages < sequence
        # Removed between others: of all shards but the newest nobody knows whether they end where they ended.
        is_torn = info.state.messages < sequence - max(1, info.state.first_seq) + 1 and self._shards > 1
        for shard in range(self._shards):
            subject = filter_of(self._address.stream, self._shards, shard)
            last = await self._message(opened, subject=subject) if sequence else None
            if last is None:
                shards.append(ShardState(number=sequence if is_cut else 0))
                continue
            state = ShardState.after(self._label(last))
            state.number = max(state.number, sequence + 1) if is_torn else state.number
            shards.append(state)
            if newest is None or (last.seq or 0) > (newest.seq or 0):
                newest = last
        if newest is None:
            return Standing(shards, sequence, 0, None)
        label = self._label(newest)
        progress = Progress.after(label, int((newest.subject or "").rpartition(".")[2]))
        first = await self._message(opened, 1)
        beginning = Label.of(first.headers) if first is not None else None
        return Standing(shards, sequence, label.ts_event, progress, beginning.source if beginning else None)

    async def _message(self, opened: Opened, sequence: int | None = None, **by: Any) -> api.RawStreamMsg | None:
        try:
            return await opened.jetstream.get_msg(self._address.stream, sequence, **by)
        except nats.js.errors.NotFoundError:
            return None

    def _label(self, message: api.RawStreamMsg) -> Label:
        label = Label.of(message.headers)
        if label is None:
            text = f"{self._address}: message {message.seq} is not of l3book: expected a stream of its own"
            raise Refused(text)
        return label

    async def _resume(self, opened: Opened) -> None:
        """See how far the stream has come: what it has is acknowledged by that, the rest waits to be sent again."""
        info = await self._stream(opened)
        last = info.state.last_seq
        if last < self._last_acknowledged or info.created != self._created:
            raise Refused(
                f"{self._address}: the stream is of {info.created} and ends at {last}, and {self._last_acknowledged} "
                f"was acknowledged of that of {self._created}: it was made anew, or has lost messages: run again to "
                "publish what is missing"
            )
        found = None
        while self._waiting and self._waiting[0].sequence <= last:
            found = self._waiting.popleft()
            self._count(found)
        if found is None and last == self._last_acknowledged:
            return
        stored = await self._message(opened, last)
        identity = (stored.headers or {}).get(MESSAGE_ID) if stored else None
        if found is None or found.sequence != last or identity != found.identity:
            raise Refused(f"{self._address}: message {last} is not ours: expected no other publisher at the same time")

    async def _pump(self, opened: Opened, batches: AsyncIterator[list[Outgoing]]) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting or self._unacknowledged or not self._is_over:
            while self._waiting and self._has_room():
                await self._send(opened, self._waiting.popleft())
            if not self._waiting and not self._is_over and self._next is None:
                self._next = asyncio.ensure_future(_next_of(batches))
            watched: set[asyncio.Future[Any]] = {opened.closed}
            if self._unacknowledged:
                watched.add(self._unacknowledged[0].acknowledged)
            if self._next is not None and not self._waiting:
                watched.add(self._next)
            await asyncio.wait(watched, timeout=ACK_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            self._settle()
            if opened.closed.done():
                raise ConnectionLost("reset", "the connection was closed")
            if self._unacknowledged and loop.time() - self._unacknowledged[0].at_s > ACK_TIMEOUT_S:
                raise ConnectionLost("timeout", f"no acknowledgement within {ACK_TIMEOUT_S:g} s")
            if self._next is not None and self._next.done():
                batch, self._next = self._next.result(), None
                self._is_over = batch is None
                self._waiting.extend(batch or ())

    def _has_room(self) -> bool:
        sent_bytes = sum(len(sent.message.payload) for sent in self._unacknowledged)
        return len(self._unacknowledged) < ACKS_MAX and sent_bytes < ACKS_BYTES_MAX

    async def _send(self, opened: Opened, message: Outgoing) -> None:
        try:
            acknowledged = await opened.jetstream.publish_async(
                message.subject, message.payload, stream=self._address.stream, headers=message.headers()
            )
        except BaseException:
            self._waiting.appendleft(message)
            raise
        self._unacknowledged.append(_Sent(message, acknowledged, asyncio.get_running_loop().time()))

    def _settle(self) -> None:
        """Take the acknowledgements that have come, in order. What a server says instead ends the connection."""
        while self._unacknowledged and self._unacknowledged[0].acknowledged.done():
            sent = self._unacknowledged[0]
            try:
                stored_at = sent.acknowledged.result().seq
            except nats.js.errors.NoStreamResponseError:
                raise ConnectionLost("no stream", f"{self._address}: nobody takes {sent.message.subject}") from None
            if stored_at != sent.message.sequence:
                text = f"message {sent.message.sequence} was stored as {stored_at}: expected no other publisher"
                raise Refused(f"{self._address}: {text}")
            self._unacknowledged.popleft()
            self._count(sent.message)

    def _count(self, message: Outgoing) -> None:
        self._last_acknowledged = message.sequence
        self.counts.messages += 1
        self.counts.records += message.records
        self.counts.bytes += len(message.payload)
        self.on_records(message.records)

    def _take_back(self) -> None:
        """Have what was not acknowledged wait again, in its order."""
        for sent in reversed(self._unacknowledged):
            if not sent.acknowledged.cancel() and not sent.acknowledged.cancelled():
                sent.acknowledged.exception()
            self._waiting.appendleft(sent.message)
        self.counts.sent_again += len(self._unacknowledged)
        self._unacknowledged.clear()


def _duplicate_window_s(limits: Limits) -> float:
    """Give what a server takes: not longer than messages live."""
    return min(DUPLICATE_WINDOW_S, limits.age_max_s or DUPLICATE_WINDOW_S)


async def _next_of(batches: AsyncIterator[list[Outgoing]]) -> list[Outgoing] | None:
    return await anext(batches, None)
