"""One connection that reads a stream: from which message on, in order, whole, and what is missing said."""

import asyncio
import contextlib
import json
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import api

from l3book._core import DecodeError, Market
from l3book.feed.status import PUBLISHER_LOST
from l3book.jetstream.connecting import Opened, connected
from l3book.jetstream.hearing import Hearing
from l3book.jetstream.messages import Label, alive_subject_of, filter_of, shards_of
from l3book.jetstream.picture import books_at, by_book
from l3book.jetstream.records import MBO_BYTES_MIN, are_whole, is_head
from l3book.logs import Logger
from l3book.sources.connection import Aside, Ask, ConnectionLost, Key, Receive, Refused

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

    from l3book.sources.nats import NatsConnector

log = Logger(__name__)

PULL_MESSAGES = 32
"""Asked for at once, at most; more as soon as half of them are there. At 512 KiB each, this is what is held here."""
PULL_EXPIRES_S = 30.0
HEARTBEAT_S = 5.0
SILENCE_MAX_S = 3 * HEARTBEAT_S
CONSUMER_IDLE_S = 60.0
"""The server forgets a reader that has not asked for so long."""
NS_PER_S = 1_000_000_000

STATUS_IDLE = "100"
STATUS_NO_MESSAGES = "404"
STATUS_TIMEOUT = "408"
PENDING_MESSAGES = "Nats-Pending-Messages"

REMOVED = "removed from stream"
MIDDLE = "begins in the middle"
DAMAGED = "damaged message"

# DBN's system message (length in words, rtype, publisher, instrument, time, text, code): a gateway's heartbeat.
_HEARTBEAT = struct.pack("<BBHIQ303sB", 80, 0x17, 0, 0, 0, b"Heartbeat", 0)


class Reading:
    """A connection as the feed sees it; `open` makes one."""

    def __init__(self, connector: "NatsConnector", receive: Receive, aside: Aside) -> None:
        self._connector = connector
        self._receive = receive
        self._aside = aside
        self._loop = asyncio.get_running_loop()
        self.received_at_s = self._loop.time()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._began: asyncio.Future[None] = self._loop.create_future()
        self._task: asyncio.Task[None] | None = None
        self._subscription: Subscription | None = None
        self._delivered = 0
        """The consumer's sequence of the last message: one that skips has lost some on the way."""
        self._wanted = 0
        """Messages that were asked for and have not come."""
        self._head = b""
        """Of the last head what was fed; the same again is not told again."""
        self._parts: list[bytes] = []
        self._is_overlap = False
        self._hearing = Hearing(connector, aside, self._tell_idle)

    @classmethod
    async def open(cls, connector: "NatsConnector", ask: Ask, receive: Receive, aside: Aside) -> "Reading":
        """Connect and find the place. Raises ConnectionLost or Refused."""
        reading = cls(connector, receive, aside)
        reading._task = asyncio.ensure_future(reading._run(ask))
        try:
            await asyncio.wait((reading._began, reading.ended), return_when=asyncio.FIRST_COMPLETED)
            if not reading._began.done():
                reading.ended.result()
        except BaseException:
            reading.abort()
            raise
        return reading

    def bytes_waiting(self) -> int:
        """Say none: what comes was asked for, and what was not waits in the stream; `lag_ns` tells of that."""
        return 0

    def ask_snapshot(self, instrument_ids: Sequence[int]) -> bool:  # noqa: ARG002  # as the interface has it
        """Say no: a stream answers nobody."""
        return False

    def abort(self) -> None:
        """Close at once."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, ask: Ask) -> None:
        try:
            async with connected(self._connector.address, "l3book serve") as opened:
                await self._begin(opened, ask)
                if not self._began.done():
                    self._began.set_result(None)
                listening = asyncio.ensure_future(self._hearing.miss())
                try:
                    await self._follow(opened)
                finally:
                    listening.cancel()
        except asyncio.CancelledError:
            self._end(ConnectionLost("closed", "the connection was closed"))
            raise
        # Whatever it was, also a panic in Rust: whoever waits for the end has to hear of it.
        except BaseException as error:  # noqa: BLE001
            self._end(error)
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
            return
        self.ended.set_exception(error)
        # It is awaited only by those who came as far as that.
        self.ended.exception()

    async def _begin(self, opened: Opened, ask: Ask) -> None:
        """Find the first message to read, and have those from there on delivered."""
        connector, address = self._connector, self._connector.address
        info = await opened.jetstream.stream_info(address.stream)
        self._check_created(info)
        shards = shards_of(address.stream, info.config.subjects or [])
        if shards is None:
            subjects = ", ".join(info.config.subjects or ["nothing"])
            raise Refused(f"{address}: the stream is for {subjects}: expected one that `l3book publish` has made")
        # Put together again, several shards would not be in the order in which the venue numbered their records.
        if connector.shard is None and shards > 1:
            raise Refused(f"{address}: the stream has {shards} shards: expected one of them, ?shard=0 to {shards - 1}")
        if connector.shard is not None and connector.shard >= shards:
            raise Refused(f"{address}: shard {connector.shard} of {shards}: expected 0 to {shards - 1}")
        # Of several shards, the publisher has seen all of a channel's numbers, and tells what is missing.
        self._aside.expect_skips(expects_skips=shards > 1)
        subject = filter_of(address.stream, shards, connector.shard or 0)
        start = await self._start(opened, ask, subject, info.state)
        if connector.next_sequence is None and start > 1 and info.state.last_seq:
            await self._tell_head(opened, subject, start)
        connector.next_sequence = start
        await opened.client.subscribe(alive_subject_of(address.stream), cb=self._hearing.hear)
        await self._subscribe(opened, subject, start)

    def _check_created(self, info: api.StreamInfo) -> None:
        """Another stream has other messages under the same numbers."""
        connector = self._connector
        if connector.created is not None and info.created != connector.created:
            raise Refused(
                f"{connector.address}: the stream that was read is of {connector.created}, this one of {info.created}: "
                "it was made anew: expected the server to be started again"
            )
        connector.created = info.created

    async def _start(self, opened: Opened, ask: Ask, subject: str, state: api.StreamState) -> int:
        connector, first, last = self._connector, state.first_seq, state.last_seq
        is_cut = state.messages < last
        if connector.next_sequence is not None:
            if connector.next_sequence > last + 1:
                raise Refused(
                    f"{connector.address}: the stream ends at {last}, and {connector.next_sequence - 1} was read: it "
                    "was made anew: expected the server to be started again"
                )
            return connector.next_sequence
        if ask.how != "first" and ask.start is not None:
            self._is_overlap = True
            start, connector.number = await self._search(opened, subject, ask.start, first, last)
            if is_cut:
                # Whatever was made of a book that comes first from now on may have been before our time, and is gone.
                connector.unseen.doubt(REMOVED, known=self._aside.books())
            return start
        if connector.begin == "first":
            return max(1, first)
        if connector.begin == "new":
            return last + 1
        return (await self._search(opened, subject, int(connector.begin), first, last))[0]

    async def _search(
        self, opened: Opened, subject: str, ts_event: int, first: int, last: int
    ) -> tuple[int, int | None]:
        """Find the first message in which, or after which, anything as late as that is.

        -> its sequence, and the number of the shard's message before it; None if there is none before it.
        """
        low, high, before = max(1, first), last + 1, None
        while low < high:
            middle = (low + high) // 2
            try:
                message = await opened.jetstream.get_msg(
                    self._connector.address.stream, middle, subject=subject, next=True
                )
            except nats.js.errors.NotFoundError:
                high = middle
                continue
            label = Label.of(message.headers)
            at = message.seq or middle
            if at >= high or (label is not None and label.ts_event >= ts_event):
                high = middle
            else:
                low, before = at + 1, label.number if label is not None else before
        return low, before

    async def _tell_head(self, opened: Opened, subject: str, start: int) -> None:
        """Whoever begins in the middle has to be told what its stream began with: dataset and symbols."""
        stream = self._connector.address.stream
        try:
            message = await opened.jetstream.get_msg(stream, start, subject=subject, next=True)
        except nats.js.errors.NotFoundError:
            message = None
        try:
            message = message or await opened.jetstream.get_msg(stream, subject=subject)
            label = Label.of(message.headers)
            if label is None or label.head == 0 or label.head >= start:
                return
            head = await opened.jetstream.get_msg(stream, label.head)
            parts = Label.of(head.headers)
            payload = head.data or b""
            for part in range(1, parts.parts if parts else 1):
                payload += (await opened.jetstream.get_msg(stream, label.head + part)).data or b""
        except nats.js.errors.NotFoundError:
            text = "{stream}: the symbols told before message {start} were removed; they come again"
            log.warning(text, stream=stream, start=start)
            return
        self._feed_head(payload, label.head)

    async def _subscribe(self, opened: Opened, subject: str, start: int) -> None:
        address = self._connector.address
        consumer = await opened.jetstream.add_consumer(
            address.stream,
            name=opened.client.new_inbox().rpartition(".")[2],
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            ack_policy=api.AckPolicy.NONE,
            filter_subject=subject,
            inactive_threshold=CONSUMER_IDLE_S,
            mem_storage=True,
        )
        self._inbox = opened.client.new_inbox()
        self._subscription = await opened.client.subscribe(self._inbox)
        self._next_subject = f"$JS.API.CONSUMER.MSG.NEXT.{address.stream}.{consumer.name}"
        await self._pull(opened)
        self._hearing.has_all = not consumer.num_pending
        if self._hearing.has_all:
            if self._connector.number is None:
                await self._tell_last(opened, subject)
            else:
                self._hearing.tell()
            self._tell_idle()

    async def _tell_last(self, opened: Opened, subject: str) -> None:
        """Hear of a publisher that has ended, or has lost its feed, before anything was read."""
        with contextlib.suppress(nats.js.errors.NotFoundError):
            last = await opened.jetstream.get_msg(self._connector.address.stream, subject=subject)
            if (label := Label.of(last.headers)) is not None:
                self._hearing.learn(label)

    async def _pull(self, opened: Opened) -> None:
        if self._wanted > PULL_MESSAGES // 2:
            return
        count = PULL_MESSAGES - self._wanted
        request = {
            "batch": count,
            "expires": int(PULL_EXPIRES_S * NS_PER_S),
            "idle_heartbeat": int(HEARTBEAT_S * NS_PER_S),
        }
        await opened.client.publish(self._next_subject, json.dumps(request).encode(), self._inbox)
        self._wanted += count

    async def _follow(self, opened: Opened) -> None:
        """Take messages until the end that the publisher told, or until the connection is lost."""
        assert self._subscription is not None  # noqa: S101  # made in _subscribe
        while True:
            try:
                message = await self._subscription.next_msg(SILENCE_MAX_S)
            except nats.errors.TimeoutError:
                if opened.closed.done():
                    raise ConnectionLost("reset", "the connection was closed") from None
                raise ConnectionLost("half-open", f"nothing came for {SILENCE_MAX_S:g} s") from None
            except asyncio.CancelledError:
                # Its way to say that the connection was closed, unless it was us.
                if opened.closed.done() and not self._is_cancelled():
                    raise ConnectionLost("reset", "the connection was closed") from None
                raise
            self.received_at_s = self._loop.time()
            if message.headers and "Status" in message.headers and not message.data:
                self._take_status(message.headers)
            elif await self._take(opened, message):
                return
            await self._pull(opened)

    def _is_cancelled(self) -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    def _take_status(self, headers: dict[str, str]) -> None:
        status = headers["Status"]
        if status == STATUS_IDLE:
            return
        if status not in (STATUS_NO_MESSAGES, STATUS_TIMEOUT):
            text = f"{self._connector.address}: {headers.get('Description', 'status')} ({status})"
            raise ConnectionLost("consumer", text)
        with contextlib.suppress(ValueError):
            self._wanted -= int(headers.get(PENDING_MESSAGES, str(self._wanted)))
        self._wanted = max(0, self._wanted)

    async def _take(self, opened: Opened, message: Msg) -> bool:
        """Take one message of the stream; -> whether it was the end."""
        place = message.metadata
        self._wanted = max(0, self._wanted - 1)
        if place.sequence.consumer != self._delivered + 1:
            raise ConnectionLost("lost messages", f"message {self._delivered + 1} was lost on the way: asking again")
        self._delivered = place.sequence.consumer
        self._hearing.has_all = not place.num_pending
        # Also behind one that cannot be decoded: read again, it could not either.
        self._connector.next_sequence = place.sequence.stream + 1
        try:
            label = self._take_content(message, place.sequence.stream)
            if label is not None and label.kind == "snapshot":
                await self._take_snapshot(opened, label, place.sequence.stream)
        except DecodeError as error:
            self._aside.refused(f"message {place.sequence.stream}: {error}")
            self._doubt(DAMAGED)
            raise
        if self._is_overlap and not place.num_pending:
            # A server that was restarted has now had all that it had before: no later record need tell it so.
            self._is_overlap = False
            self._tell_idle()
        is_end = label is not None and label.kind == "end"
        return is_end and not place.num_pending and self._connector.stops_at_end

    def _take_content(self, message: Msg, sequence: int) -> Label | None:
        label = Label.of(message.headers)
        shard = message.subject.rpartition(".")[2]
        if label is None or not shard.isdigit():
            self._aside.refused(f"message {sequence} ({message.subject}, {len(message.data)} bytes) is not of l3book")
            return None
        self._check_number(label, sequence)
        if label.kind == "records":
            self._take_records(message.data, sequence)
        elif label.kind == "head":
            self._take_head(message.data, label, sequence)
        elif label.kind == "doubt":
            self._take_doubts(message.data, sequence)
        self._hearing.take(label)
        return label

    def _check_number(self, label: Label, sequence: int) -> None:
        """Every message of a shard has the number after the last one's, or some between them were removed."""
        connector = self._connector
        last, connector.number = connector.number, label.number
        if label.number == (last or 0) + 1:
            return
        reason = MIDDLE if last is None and connector.begin != "first" and not self._is_overlap else REMOVED
        log.warning(
            "{source}: {reason}: messages {first} to {last} of the shard were not read (before sequence {sequence}): "
            "books are suspect until their next snapshot or Clear",
            source=connector.uri,
            reason=reason,
            first=(last or 0) + 1,
            last=label.number - 1,
            sequence=sequence,
        )
        self._doubt(reason)

    def _doubt(self, reason: str, key: Key | None = None) -> None:
        """Put a book, or all, in doubt, also those that no record was seen of yet."""
        self._connector.unseen.doubt(reason, key)
        self._aside.doubt(reason, key)

    def _take_records(self, payload: bytes, sequence: int) -> None:
        if not are_whole(payload):
            self._aside.refused(f"message {sequence}: {len(payload)} bytes that are no whole DBN records")
            self._doubt(DAMAGED)
            return
        self._connector.unseen.feed(payload, self._receive, self._aside.doubt)

    async def _take_snapshot(self, opened: Opened, label: Label, sequence: int) -> None:
        """Take those books that are in doubt from the snapshot that the stream has of this place; no other is touched.

        Not while records come again that were applied before: the books are those of a later place than this.
        Where they cannot be had for the moment, the next connection begins with this message again.
        """
        unseen, suspects = self._connector.unseen, set(self._aside.suspects())
        if self._is_overlap or not (suspects or unseen.is_doubting):
            return
        try:
            rows = await books_at(opened, self._connector.address.stream, label)
        except nats.js.errors.NotFoundError:
            log.info("{source}: a snapshot was removed before it was read", source=self._connector.uri)
            return
        except ValueError as error:
            self._aside.refused(str(error))
            return
        except BaseException:
            self._connector.next_sequence, self._connector.number = sequence, label.number - 1
            raise
        known = set(self._aside.books())
        for key, book in by_book(rows):
            if key in suspects or (key not in known and unseen.lacks(key)):
                # The book is there with its Clear; that what follows is whole has to be said in between.
                unseen.feed(book[:MBO_BYTES_MIN], self._receive, self._aside.doubt)
                if rest := book[MBO_BYTES_MIN:]:
                    self._aside.expect_snapshot(key)
                    unseen.feed(rest, self._receive, self._aside.doubt)

    def _take_head(self, payload: bytes, label: Label, sequence: int) -> None:
        if label.part == 1:
            self._parts.clear()
        self._parts.append(payload)
        if len(self._parts) == label.part == label.parts:
            self._feed_head(b"".join(self._parts), sequence)
            self._parts.clear()

    def _feed_head(self, payload: bytes, sequence: int) -> None:
        if not payload or payload == self._head:
            return
        try:
            # No book hangs on it, so it need not come near them before it is known to be good.
            Market().feed(payload if is_head(payload) else b"")
        except DecodeError as error:
            self._aside.refused(f"message {sequence}: a head: {error}")
            return
        if not is_head(payload):
            self._aside.refused(f"message {sequence}: a head of {len(payload)} bytes that are no symbol mappings")
            return
        self._head = payload
        self._receive(memoryview(payload))

    def _take_doubts(self, payload: bytes, sequence: int) -> None:
        try:
            doubts: list[Any] = json.loads(payload)["doubts"]
            told = [(str(reason), (int(publisher), int(instrument))) for publisher, instrument, reason in doubts]
        except (ValueError, KeyError, TypeError):
            self._aside.refused(f"message {sequence}: doubts that cannot be read")
            self._doubt(DAMAGED)
            return
        for reason, key in told:
            self._doubt(reason, None if key == (0, 0) else key)

    def _tell_idle(self) -> None:
        """Say as a gateway does that the line is there and idle; not to one that was told nothing yet."""
        if (self._connector.number is not None or self._head) and self._connector.publisher not in PUBLISHER_LOST:
            self._receive(memoryview(_HEARTBEAT))
