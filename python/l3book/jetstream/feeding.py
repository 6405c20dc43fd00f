"""A source on a thread of its own, and what it brings as messages, on the event loop of the publisher.

What is read comes as it is. What is connected to goes through a market first, as in a server, so that only what a
server would apply is published: after a lost connection a source repeats records, and no reader shall see them twice.
"""

import asyncio
import contextlib
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from l3book._core import DecodeError, Market
from l3book.feed.options import FeedOptions
from l3book.jetstream.messages import Outgoing
from l3book.jetstream.mirror import Mirror
from l3book.jetstream.records import BOOK, F_LAST, FLAGS, Cutter, Item, Judge, RecordError
from l3book.jetstream.windows import Doubt, Pictured, Windows
from l3book.logs import Logger
from l3book.sources import AnySource, Connector, Source, is_connector
from l3book.sources.connection import ConnectionLost, Refused

if TYPE_CHECKING:
    from l3book.feed.supervisor import Feed

log = Logger(__name__)

QUEUE_CHUNKS_MAX = 8
"""Chunks of a source that wait to be published; then the source waits."""
IDENTITY_BYTES = 8
IDENTITY_FILE_BYTES = 1024 * 1024
LEFT_TIMEOUT_S = 1.0
"""A source that does not end within that has handed over what it had."""
OPEN_RECORDS_MAX = 4096
"""Of a book's unfinished event, kept; no event is so long, and a sender that ends none shall not fill the memory."""
HELD_BYTES_MAX = 16 * 1024 * 1024
"""Held back at most while a line repeats itself; beyond it, it comes with all doubts that there are."""
UNKNOWN = "doubtful"
"""The reason where there are too many to be remembered."""
UNFINISHED = "event without end"
RESTARTED = "publisher restarted"
EVERY_BOOK: Doubt = (0, 0, RESTARTED)


@dataclass(frozen=True, slots=True)
class _Doubts:
    doubts: list[Doubt]


@dataclass(frozen=True, slots=True)
class _Away:
    is_away: bool


@dataclass(frozen=True, slots=True)
class _Books:
    books: list[Pictured]


_Brought: TypeAlias = "bytes | _Doubts | _Away | _Books | None"


def identity_of(source: AnySource) -> str:
    """Tell one source's records from another's, as 16 hexadecimal digits.

    A file is itself wherever it lies, and a made-up market whatever its pace; a feed is another at every start.
    """
    if is_connector(source):
        return secrets.token_hex(IDENTITY_BYTES)
    scheme, _, rest = source.uri.partition(":")
    path = Path(getattr(source, "path", ""))
    if scheme == "file" and path.is_file():
        with path.open("rb") as stream:
            begin = stream.read(IDENTITY_FILE_BYTES)
        return _digest(begin + path.stat().st_size.to_bytes(8, "little"))
    query = sorted(pair for pair in rest.partition("?")[2].split("&") if pair and not pair.startswith("rate="))
    return _digest(f"{scheme}:{'&'.join(query)}".encode())


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=IDENTITY_BYTES).hexdigest()


class Feeding:
    """Runs a source, and gives what it brings as batches of messages."""

    def __init__(
        self,
        source: AnySource,
        windows: Windows,
        options: FeedOptions,
        mirror: Mirror | None = None,
        *,
        goes_on: bool,
    ) -> None:
        """`goes_on`: the stream had records already, and nobody knows what was missed since."""
        self._source = source
        self._mirror = mirror
        self._windows = windows
        self._options = options
        self._goes_on = goes_on
        self._queue: asyncio.Queue[_Brought] = asyncio.Queue(QUEUE_CHUNKS_MAX)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="l3book-publish-source", daemon=True)
        self._closing = threading.Event()
        self._is_over = False
        """Whether all that the source brought was taken out of the queue."""
        self._feed: Feed | None = None
        self.error: str | None = None
        """What was wrong with the source, once the batches have ended."""

    async def batches(self) -> AsyncIterator[list[Outgoing]]:
        """Messages in their order, until the source is over, fails or is closed."""
        self._thread.start()
        try:
            if self._goes_on:
                yield list(self._windows.doubt([EVERY_BOOK]))
            while True:
                brought = await self._queue.get()
                if brought is None:
                    self._is_over = True
                    break
                if isinstance(brought, _Doubts):
                    yield list(self._windows.doubt(brought.doubts))
                elif isinstance(brought, _Away):
                    yield list(self._windows.away(is_away=brought.is_away))
                elif isinstance(brought, _Books):
                    yield list(self._windows.snapshot(brought.books))
                else:
                    yield list(self._windows.take(brought))
            if self.error is None and not self._closing.is_set():
                yield list(self._windows.end())
        except RecordError as error:
            self.error = str(error)
        finally:
            self.close()

    async def left_records(self) -> int:
        """Count the records that no message was made of, once it is closed and nobody asks for batches any more."""
        cutter, count = Cutter(), 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEFT_TIMEOUT_S):
                while not self._is_over and (brought := await self._queue.get()) is not None:
                    if isinstance(brought, bytes):
                        items = cutter.feed(brought)
                        count += sum(len(item.data) // item.stride for item in items if item.kind == "mbo")
        return count

    def close(self) -> None:
        """End it, from any thread."""
        self._closing.set()
        if self._feed is not None:
            self._feed.close()
        if not is_connector(self._source):
            self._source.close()

    def _run(self) -> None:
        try:
            if is_connector(self._source):
                self._connect(self._source)
            else:
                self._read(self._source)
        except (DecodeError, RecordError, OSError, ConnectionLost, Refused) as error:
            self.error = str(error)
        except BaseException as error:
            self.error = f"internal error: {type(error).__name__}: {error}"
            log.exception("source {source} failed", source=self._source.uri)
        self._put(None)

    def _read(self, source: Source) -> None:
        whole, judge = Cutter(), Judge()
        for chunk in source:
            good: list[bytes] = []
            try:
                # Cut here as well, off the event loop: what is wrong with a source is its error, and nobody else's.
                for item in whole.feed(chunk):
                    judge.look(item)
                    good.append(item.data)
            finally:
                # Also what came before the damage.
                self._pass(b"".join(good))
            if self._closing.is_set():
                return
        if not whole.is_whole and not self._closing.is_set():
            raise RecordError("the stream ends inside a record")

    def _connect(self, connector: Connector) -> None:
        from l3book.feed.supervisor import Feed

        passing = _Passing(self._pass, repeats=connector.can_resume, is_away=self._goes_on)
        feed = Feed(connector, passing.market, passing.take, passing.on_state, self._options)
        passing.feed = self._feed = feed
        if self._closing.is_set():
            return
        is_over = False
        try:
            feed.run()
            is_over = not self._closing.is_set()
        finally:
            passing.finish(is_over=is_over)

    def _pass(self, brought: _Brought) -> None:
        """Hand over what is news to the readers, and the books that it makes when it is time to."""
        self._put(brought)
        if self._mirror is None:
            return
        if isinstance(brought, _Doubts):
            self._mirror.doubt(brought.doubts)
        elif isinstance(brought, bytes) and brought:
            self._mirror.feed(brought)
            if books := self._mirror.due():
                self._put(_Books(books))

    def _put(self, brought: _Brought) -> None:
        """Hand it over; wait while the publisher is behind, which holds up the source."""
        if self._loop.is_closed():
            self._closing.set()
            return
        putting = self._queue.put(brought)
        try:
            asyncio.run_coroutine_threadsafe(putting, self._loop).result()
        except (RuntimeError, CancelledError):
            # The loop is over, and so is whoever would have taken it.
            putting.close()
            self._closing.set()


def _key_of(book: bytes) -> tuple[int, int]:
    return int.from_bytes(book[:2], "little"), int.from_bytes(book[2:], "little")


class _Passing:
    """Feeds a market, and passes on what it applies."""

    def __init__(self, put: Callable[[_Brought], None], *, repeats: bool = True, is_away: bool = False) -> None:
        """`repeats`: a new connection can be asked for what was missed. `is_away`: so it was told before."""
        self._repeats = repeats
        self._is_away = is_away
        self._held: list[bytes] = []
        """Records that came while it was not yet known whether anything before them is missing."""
        self._endless: set[bytes] = set()
        """Books with an event that is too long to be kept."""
        self.market = Market(watch=True)
        self.feed: Feed | None = None
        self._put = put
        self._cutter = Cutter()
        self._suspicions = 0
        self._told: set[tuple[int, int]] = set()
        """Books that were doubtful when it was last looked, of which readers know."""
        self._is_broken = False
        """A line was lost since then."""
        self._overlap_until: int | None = None
        self._open: dict[bytes, list[bytes]] = {}
        """The records of each book's unfinished event that were passed on. A break makes the market forget them."""
        self._open_before: dict[bytes, list[bytes]] = {}
        """The same, as it was at the break."""

    def on_state(self, state: str) -> None:
        """Note that a line is lost, and that a new one begins."""
        self._is_broken = True
        if state == "reconnecting":
            self._tell_away(is_away=True)
            if not self._repeats:
                # Nothing will show that these books are as they should be: whoever reads them has to know now.
                self._pass_on()
        elif state == "running":
            self._begin_overlap()
            if self._overlap_until is None or not self._repeats:
                self._tell_away(is_away=False)

    def _begin_overlap(self) -> None:
        """Wait in vain no longer for the rest of what came in part, and expect that records come again."""
        self._cutter = Cutter()
        if self._endless:
            # Passed on in part, and nobody knows any more in which: it may be passed on twice.
            self._put(_Doubts([(*_key_of(book), UNFINISHED) for book in sorted(self._endless)]))
            self._endless.clear()
        if not self.market.stats()["records"]:
            return
        for book, rest in self._open_before.items():
            self._open[book] = self._open.get(book, []) + rest
        self._open_before, self._open = self._open, {}
        self._overlap_until = self.market.watch_stats()["last_ts_recv"]

    def take(self, chunk: bytes | memoryview) -> None:
        """Apply a chunk of the line, and pass on what of it was news."""
        kept = self._held
        for item in self._cutter.feed(bytes(chunk)):
            if item.kind != "mbo":
                self.market.feed(item.data)
                if item.kind != "other":
                    kept.append(item.data)
            elif self._overlap_until is None:
                self.market.feed(item.data)
                kept.append(item.data)
                self._note_open(item)
            else:
                kept.extend(self._news(item))
        if not self._holds_back():
            self._pass_on()
            self._tell_away(is_away=False)

    def _holds_back(self) -> bool:
        """Whether it will yet be seen if anything is missing before what has come."""
        if self._overlap_until is None or not self._repeats or sum(map(len, self._held)) > HELD_BYTES_MAX:
            return False
        return not self._told.issuperset(self.market.suspects())

    def finish(self, *, is_over: bool) -> None:
        """Tell all that is left to be told. `is_over`: the source has ended, and is not merely given up."""
        self._pass_on()
        if not is_over:
            self._tell_away(is_away=True)

    def _tell_away(self, *, is_away: bool) -> None:
        if is_away != self._is_away and (self._is_away or self.market.stats()["records"]):
            self._is_away = is_away
            self._put(_Away(is_away))

    def _pass_on(self) -> None:
        """Pass on what came, and before that which books it is not to be believed of.

        Behind it they are told again: of a snapshot in between that ended a doubt, a reader does not know that there
        was another one after it.
        """
        doubts, held, self._held = self._doubts(), self._held, []
        if doubts:
            self._put(_Doubts(doubts))
        if held:
            self._put(b"".join(held))
            if doubts:
                self._put(_Doubts(doubts))

    def _news(self, item: Item) -> list[bytes]:
        """One by one, while a stream repeats itself: the market alone knows what it has applied."""
        taken, news = [], []
        for row in item.rows():
            record, applied = row.tobytes(), self._already_applied()
            self.market.feed(record)
            if self._already_applied() == applied:
                taken.append(record)
                if not self._was_open(record):
                    news.append(record)
        self._note_open(Item("mbo", b"".join(taken), item.stride))
        if self._overlap_until is not None and self.market.watch_stats()["last_ts_recv"] > self._overlap_until:
            self._overlap_until = None
        return news

    def _already_applied(self) -> int:
        applied: int = self.market.watch_stats()["already_applied"]
        return applied

    def _was_open(self, record: bytes) -> bool:
        """Whether it is the next of an event that was passed on in part before the break."""
        passed = self._open_before.get(record[BOOK])
        if not passed:
            return False
        if passed[0] == record:
            del passed[0]
            return True
        passed.clear()
        return False

    def _note_open(self, item: Item) -> None:
        """Keep what follows the last complete event of each book."""
        rows = item.rows()
        is_last = (rows[:, FLAGS] & F_LAST) != 0
        if is_last.all() and not self._open and not self._endless:
            return
        books = {row.tobytes() for row in rows[~is_last][:, BOOK]} | self._open.keys() | self._endless
        for book in books:
            own = (rows[:, BOOK] == np.frombuffer(book, np.uint8)).all(axis=1)
            ends = np.flatnonzero(own & is_last)
            begin = int(ends[-1]) + 1 if len(ends) else 0
            rest = [row.tobytes() for row in rows[begin:][own[begin:]]]
            if len(ends):
                self._endless.discard(book)
            passed = rest if len(ends) else self._open.pop(book, []) + rest
            if len(passed) > OPEN_RECORDS_MAX:
                self._endless.add(book)
            if passed and book not in self._endless:
                self._open[book] = passed
            else:
                self._open.pop(book, None)

    def _doubts(self) -> list[Doubt]:
        """Say which books are doubtful, whenever any has become so: not all of it can be seen in their records."""
        suspicions = sum(self.market.watch_stats()["suspicions"].values())
        if suspicions == self._suspicions and not self._told and not self._is_broken:
            return []
        suspects = self.market.suspects()
        is_news = suspicions != self._suspicions or not self._told.issuperset(suspects)
        self._suspicions, self._told, self._is_broken = suspicions, set(suspects), False
        reasons = self._reasons() if is_news else {}
        return [(*key, reasons.get(key, UNKNOWN)) for key in suspects] if is_news else []

    def _reasons(self) -> dict[tuple[int, int], str]:
        """Why books are in doubt, as far as that is still known."""
        recent = self.feed.transitions.recent() if self.feed is not None else []
        return {
            (entry["publisher_id"], entry["instrument_id"]): entry["reason"]
            for entry in recent
            if entry["kind"] == "suspect"
        }
