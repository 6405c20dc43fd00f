"""A client of the WebSocket, written from docs/websocket.md and nothing else: it shares no code and no assumption with
the server or with `l3book.client`. What the page promises of every message is checked at every message; what breaks a
promise is kept in `Connection.violations`, and the book is asked for anew, as the page says."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from independent_book import (
    KNOWN_TYPES,
    Ack,
    Delta,
    DepthBook,
    Error,
    Gap,
    Heartbeat,
    Message,
    OrdersBook,
    Pong,
    Snapshot,
    Trade,
    Typed,
    ViolationError,
    checksum,
    price_1e9,
    require,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

if TYPE_CHECKING:
    from collections.abc import Callable

SILENCE_S_MAX = 5  # "A connection on which nothing has come for 5 seconds is lost"
BACKOFF_S_FIRST, BACKOFF_S_MAX = 0.25, 30.0
RESYNC_S_FIRST, RESYNC_S_MAX = 0.5, 30.0
UNKNOWN_INSTRUMENT_TRIES, UNKNOWN_INSTRUMENT_WAIT_S = 40, 0.25
CHECKSUM_LEVELS = 10
WORTH_ANOTHER_TRY = {429, 503}
NEVER_AGAIN = {1007, 1009, 4401}
RECORD_HEADER = struct.Struct("<BBHIQ")  # length in words of 4 bytes, rtype, publisher_id, instrument_id, ts_event
METADATA_START = struct.Struct("<3sBI")  # "DBN", version, bytes that follow


class Subscription:
    """What one subscription has brought: the book, or trades, or frames of DBN."""

    def __init__(self, channel: str, instrument: str, **options: int) -> None:
        self.channel = channel
        self.asked_for = instrument
        self.options = options
        self.level = 3 if channel == "orders" else options.get("level", 2)
        self.depth = 1 if channel == "bbo" else options.get("depth", 10)
        self.queues = options.get("queues", self.depth) if self.level == 3 else 0
        self.name = ""
        self.key = (0, 0)  # publisher_id, instrument_id
        self.has_snapshot = False
        self.epoch = ""
        self.seq = 0
        self.state: str | None = None
        self.book: DepthBook | OrdersBook | None = None
        self.trades: list[Trade] = []
        self.frames: list[bytes] = []
        self.counts: Counter[str] = Counter()
        self.gaps: list[Gap] = []
        self.error: Error | None = None
        self.resync_s = 0.0
        self._gap_to: int | None = None

    def begin(self, ack: Ack) -> None:
        require(ack.channel == self.channel, "an ack of another channel:", ack)
        self.name, self.key = ack.instrument, (ack.publisher_id, ack.instrument_id)
        self.has_snapshot = False

    def take_gap(self, gap: Gap) -> None:
        require(self.channel in ("orders", "trades", "dbn"), "a gap on channel", self.channel)
        self.gaps.append(gap)
        self.has_snapshot = False
        self._gap_to = gap.last

    def take(self, message: Snapshot | Delta) -> None:
        """Check the message and put it into the book. Raises ViolationError."""
        if isinstance(message, Snapshot):
            require((message.publisher_id, message.instrument_id) == self.key, "a snapshot of another book:", self.key)
            require(self._gap_to in (None, message.seq), "gap to", self._gap_to, "then a snapshot of", message.seq)
            self._gap_to = None
            self.has_snapshot = True
        else:
            require(self.has_snapshot, "a delta where a snapshot is due")
            require(message.epoch == self.epoch, "epoch", message.epoch, "behind", self.epoch)
            require(message.prev == self.seq, "prev", message.prev, "behind seq", self.seq)
            require(message.seq >= message.prev, "seq", message.seq, "before prev", message.prev)
            self.resync_s = 0.0
        self.epoch, self.seq = message.epoch, message.seq
        if self.channel == "trades":
            self._take_trades(message)
        else:
            self._take_book(message)
        self.counts["snapshots" if isinstance(message, Snapshot) else "deltas"] += 1

    def _take_trades(self, message: Snapshot | Delta) -> None:
        require(message.trades is not None, "no trades")
        require(message.crc is None, "a checksum of trades")
        if isinstance(message, Snapshot):
            require(len(message.trades or []) <= 50, len(message.trades or []), "trades in a snapshot")
            self.trades = []
        self.trades += message.trades or []

    def _take_book(self, message: Snapshot | Delta) -> None:
        if isinstance(message, Snapshot):
            self.book = OrdersBook() if self.channel == "orders" else DepthBook(self.depth, self.queues)
            require(message.bids is not None and message.asks is not None, "a snapshot without levels")
            self.book.replace(message)
        else:
            assert self.book is not None
            if self.channel == "orders":
                require(message.ops is not None, "a delta of orders without ops")
            else:
                require(message.bids is not None and message.asks is not None, "a delta without levels")
            self.book.apply(message)
        book, self.state = self.book, message.state
        levels = CHECKSUM_LEVELS if self.channel == "orders" else min(CHECKSUM_LEVELS, self.depth)
        own = checksum(book, levels)
        require(message.crc == own, "crc", message.crc, "own", own, "at", message.epoch, message.seq)
        bid, ask = book.totals("B", 1), book.totals("A", 1)
        distance = price_1e9(bid[0][0]) - price_1e9(ask[0][0]) if bid and ask else -1
        require(message.crossed == (distance > 0), "crossed", message.crossed, bid, ask)
        require(message.locked == (distance == 0), "locked", message.locked, bid, ask)
        require(message.state != "empty" or not (bid or ask), "empty with levels", bid, ask)

    def take_frame(self, frame: bytes) -> None:
        if frame.startswith(b"DBN"):
            self.frames = []
            self.has_snapshot = True
            self.counts["snapshots"] += 1
        else:
            require(self.has_snapshot, "records before metadata")
            self.counts["deltas"] += 1
        self.frames.append(frame)


def keys_of_records(frame: bytes) -> set[tuple[int, int]]:
    """The publisher_id and instrument_id of every record of a frame of channel `dbn`. Raises ViolationError unless it
    is whole records."""
    offset = 0
    if frame.startswith(b"DBN"):
        _, _, length = METADATA_START.unpack_from(frame)
        offset = METADATA_START.size + length
    keys = set()
    while offset < len(frame):
        require(offset + RECORD_HEADER.size <= len(frame), "a frame ends inside a record's header")
        words, _, publisher_id, instrument_id, _ = RECORD_HEADER.unpack_from(frame, offset)
        require(words * 4 >= RECORD_HEADER.size, "a record of", words, "words")
        keys.add((publisher_id, instrument_id))
        offset += words * 4
    require(offset == len(frame), "a frame ends inside a record")
    return keys


class Connection:
    """One socket with its subscriptions, opened again when it is lost. `observer(subscription)` is called after each
    message that fitted."""

    def __init__(
        self, url: str, subprotocol: str, observer: Callable[[Subscription], None] = lambda _subscription: None
    ) -> None:
        self.url = url
        self.subprotocol = subprotocol
        self.observer = observer
        self.subscriptions: list[Subscription] = []
        self.violations: list[str] = []
        self.closes: list[str] = []
        self.heartbeats: list[Heartbeat] = []
        self.counts: Counter[str] = Counter()
        self._coder = msgspec.json if subprotocol == "l3book.v1.json" else msgspec.msgpack
        self._decoder = self._coder.Decoder(Message)
        self._socket: ClientConnection | None = None
        self._received = 0
        self._next_id = 0
        self._asked: dict[int, tuple[str, Subscription]] = {}
        self._routes: dict[tuple[str, str], Subscription] = {}
        self._frames: dict[tuple[int, int], Subscription] = {}
        self._waiting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Read until cancelled, or until a close or a refusal that is not worth another try."""
        failures = 0
        while True:
            try:
                async with connect(
                    self.url,
                    subprotocols=[self.subprotocol],  # type: ignore[list-item]
                    compression=None,
                    max_size=None,
                    max_queue=None,  # what has come is read off the socket and waits here: this client is never slow
                    ping_interval=None,
                ) as socket:
                    require(socket.subprotocol == self.subprotocol, "the server chose", socket.subprotocol)
                    failures = 0
                    await self._converse(socket)
            except InvalidStatus as refused:
                if refused.response.status_code not in WORTH_ANOTHER_TRY:
                    raise
                self.closes.append(f"refused: {refused.response.status_code}")
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
                self.closes.append(f"closed: {closed}")
                if code in NEVER_AGAIN:
                    raise
            except (OSError, TimeoutError) as lost:
                self.closes.append(f"lost: {lost!r}")
            await asyncio.sleep(random.uniform(0, min(BACKOFF_S_FIRST * 2**failures, BACKOFF_S_MAX)))
            failures += 1

    async def _converse(self, socket: ClientConnection) -> None:
        self._socket, self._received = socket, 0
        self._asked, self._routes, self._frames = {}, {}, {}
        try:
            for subscription in self.subscriptions:
                await self._ask("subscribe", subscription)
            while True:
                async with asyncio.timeout(SILENCE_S_MAX):
                    data = await socket.recv()
                self._received += 1
                await self._take(data)
                await asyncio.sleep(0)  # the socket is read before the next message is looked at
        finally:
            self._socket = None
            for task in self._waiting:
                task.cancel()

    async def subscribe(self, subscription: Subscription) -> Subscription:
        self.subscriptions.append(subscription)
        if self._socket is not None:
            await self._ask("subscribe", subscription)
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        self.subscriptions.remove(subscription)
        await self._ask("unsubscribe", subscription)

    async def _ask(self, op: str, subscription: Subscription) -> None:
        self._next_id += 1
        self._asked[self._next_id] = (op, subscription)
        request = {"op": op, "id": self._next_id, "channel": subscription.channel, "instrument": subscription.asked_for}
        if op == "subscribe":
            request |= subscription.options
        encoded = self._coder.encode(request)
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):  # the reader hears of it too, and knows what to do
            await self._socket.send(encoded.decode() if self._coder is msgspec.json else encoded)

    async def _take(self, data: str | bytes) -> None:
        subscription = None
        try:
            if isinstance(data, bytes) and self._is_dbn(data):
                keys = keys_of_records(data)
                require(len(keys) == 1, "records of", len(keys), "books in a frame")
                if subscription := self._frames.get(keys.pop()):
                    subscription.take_frame(data)
                    self.observer(subscription)
                return
            require(isinstance(data, str) == (self._coder is msgspec.json), "a frame of the wrong kind:", data[:80])
            message = self._decode(data)
            if isinstance(message, Snapshot | Delta | Gap):
                subscription = self._routes.get((message.channel, message.instrument))
                if subscription is not None and isinstance(message, Gap):
                    subscription.take_gap(message)
                elif subscription is not None:
                    subscription.take(message)
                    self.observer(subscription)
            else:
                await self._take_answer(message)
        except ViolationError as violation:
            self.violations.append(f"{subscription and (subscription.channel, subscription.name)}: {violation}")
            if subscription is not None:
                self._resynchronise(subscription)

    def _is_dbn(self, data: bytes) -> bool:
        return self._coder is msgspec.json or not (0x80 <= data[0] <= 0x8F or data[0] in (0xDE, 0xDF))

    def _decode(self, data: str | bytes) -> Message | None:
        try:
            return self._decoder.decode(data)
        except msgspec.ValidationError as error:
            if self._coder.decode(data, type=Typed).type not in KNOWN_TYPES:
                return None
            raise ViolationError(f"{error}: {data[:500]!r}") from None

    async def _take_answer(self, message: Message | None) -> None:
        match message:
            case Heartbeat():
                self.heartbeats.append(message)
                require(message.sent < self._received, "sent", message.sent, "received", self._received)
            case Pong():
                self.counts["pongs"] += 1
            case Ack(id=int(number)):
                op, subscription = self._asked.pop(number)
                if op == "subscribe":
                    subscription.begin(message)
                    self._routes[message.channel, message.instrument] = subscription
                    if message.channel == "dbn":
                        self._frames[subscription.key] = subscription
                else:
                    self._forget(subscription)
            case Error(id=int(number), code="unknown_instrument"):
                _, subscription = self._asked.pop(number)
                subscription.counts["unknown_instrument"] += 1
                if subscription.counts["unknown_instrument"] < UNKNOWN_INSTRUMENT_TRIES:
                    self._later(UNKNOWN_INSTRUMENT_WAIT_S, ("subscribe",), subscription)
                else:
                    subscription.error = message
            case Error(id=int(number)):
                self._asked.pop(number)[1].error = message
                self.counts["errors"] += 1

    def _forget(self, subscription: Subscription) -> None:
        if self._routes.get((subscription.channel, subscription.name)) is subscription:
            del self._routes[subscription.channel, subscription.name]
        if self._frames.get(subscription.key) is subscription:
            del self._frames[subscription.key]

    def _resynchronise(self, subscription: Subscription) -> None:
        self.counts["resyncs"] += 1
        self._forget(subscription)  # what comes before the ack of the new subscribe is ignored
        self._later(subscription.resync_s, ("unsubscribe", "subscribe"), subscription)
        subscription.resync_s = min(max(RESYNC_S_FIRST, 2 * subscription.resync_s), RESYNC_S_MAX)

    def _later(self, wait_s: float, ops: tuple[str, ...], subscription: Subscription) -> None:
        async def wait() -> None:
            await asyncio.sleep(wait_s)
            for op in ops:
                await self._ask(op, subscription)

        task = asyncio.get_running_loop().create_task(wait())
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
