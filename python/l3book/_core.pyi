"""The Rust core. Prices are integers in units of 1e-9, sizes whole units, times UNIX nanoseconds (UTC)."""

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from typing import Any, Final, Literal, Protocol, SupportsBytes, TypeAlias, final, overload

import numpy as np
import pandas as pd
from databento_dbn import Action, Side
from numpy.typing import NDArray
from typing_extensions import Buffer, disjoint_base

__all__ = [
    "BBO",
    "DEBUG_BUILD",
    "UNDEF_PRICE",
    "AmbiguousInstrumentError",
    "Batch",
    "Book",
    "BookSnapshot",
    "CheckpointError",
    "Compressor",
    "DbnReader",
    "DecodeError",
    "Deriver",
    "FileReader",
    "HistoryError",
    "HistoryLockedError",
    "Indexer",
    "Instrument",
    "InvariantError",
    "L3BookError",
    "Level",
    "LiveStream",
    "Log",
    "Market",
    "Message",
    "NotRecordedError",
    "Order",
    "OrderBook",
    "Past",
    "QueuePosition",
    "Recorder",
    "Replay",
    "Simulator",
    "Stream",
    "UnknownInstrumentError",
    "UnknownOrderError",
    "VerifyReport",
    "__version__",
    "check_checkpoint",
    "verify",
]

_Side: TypeAlias = Literal["B", "A"]
_InstrumentRef: TypeAlias = int | str | tuple[int, int]
_BookState: TypeAlias = Literal["empty", "snapshot", "live", "suspect"]
_Channel: TypeAlias = Literal["bbo", "depth", "orders", "trades", "dbn"]
_SameSizeModify: TypeAlias = Literal["keeps_place", "to_back"]

class _Bar(Protocol):
    """Shows how far something is, as tqdm does: its `total` is set, too."""

    def update(self, n: int, /) -> object: ...

_Progress: TypeAlias = Callable[[int, int], object] | _Bar

__version__: Final[str]
DEBUG_BUILD: Final[bool]
UNDEF_PRICE: Final[int]

class L3BookError(Exception): ...

class DecodeError(L3BookError, ValueError):
    """The bytes are not what they should be; everything before `offset` was applied."""

    offset: int
    """Byte position in the (decompressed) stream at which the fault lies."""
    filename: PathLike[str] | None
    """The file, where one was read."""

class InvariantError(L3BookError):
    """`check()` found a book that breaks one of its own invariants: a bug in l3book."""

class UnknownInstrumentError(L3BookError, LookupError):
    """No book goes by that name."""

class AmbiguousInstrumentError(L3BookError, LookupError):
    """Several books go by that name."""

    choices: list[tuple[int, int]]
    """The (publisher_id, instrument_id) of each."""

class UnknownOrderError(L3BookError, KeyError):
    """No order rests under that id."""

class CheckpointError(L3BookError, ValueError):
    """These bytes are no checkpoint, or none can be made inside a record or zstd frame."""

class HistoryError(L3BookError):
    """A history cannot be read or recorded."""

class HistoryLockedError(HistoryError):
    """Another recorder writes to that folder."""

    pid: int | None
    """Its process, if known."""

class NotRecordedError(HistoryError):
    """The history has nothing of that time or ordinal: before its beginning, in a hole, or removed since."""

    what: str
    """The text without the folder."""

@final
class Level:
    """All orders at one price. Unpacks as (price, size, count)."""

    @property
    def price(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def count(self) -> int: ...
    def __iter__(self) -> Iterator[int]: ...

@final
class BBO:
    """Best bid and offer. Unpacks as (bid, ask); a side without orders is None."""

    @property
    def bid(self) -> Level | None: ...
    @property
    def ask(self) -> Level | None: ...
    @property
    def ts_event(self) -> int: ...
    @property
    def seq(self) -> int: ...
    def __iter__(self) -> Iterator[Level | None]: ...

@final
class Order:
    """One resting order."""

    @property
    def order_id(self) -> int: ...
    @property
    def side(self) -> _Side: ...
    @property
    def price(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def ts_event(self) -> int: ...

@final
class QueuePosition:
    """Where an order stands in the FIFO queue of its price level."""

    @property
    def orders_ahead(self) -> int: ...
    @property
    def size_ahead(self) -> int: ...
    @property
    def orders_behind(self) -> int: ...
    @property
    def size_behind(self) -> int: ...

@final
class Instrument:
    """One book of a Market, as a list entry."""

    @property
    def publisher_id(self) -> int: ...
    @property
    def instrument_id(self) -> int: ...
    @property
    def symbol(self) -> str | None: ...
    @property
    def state(self) -> _BookState: ...
    @property
    def seq(self) -> int: ...
    @property
    def orders(self) -> int: ...
    @property
    def ts_event(self) -> int: ...

@final
class BookSnapshot:
    """An immutable view of a book after a complete event."""

    @property
    def bids(self) -> NDArray[np.void]:
        """Structured array (price i64, size u64, count u32), best first."""
    @property
    def asks(self) -> NDArray[np.void]: ...
    @property
    def publisher_id(self) -> int: ...
    @property
    def instrument_id(self) -> int: ...
    @property
    def symbol(self) -> str | None: ...
    @property
    def ts_event(self) -> int: ...
    @property
    def ts_recv(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def epoch(self) -> str: ...
    @property
    def state(self) -> _BookState: ...
    @property
    def crossed(self) -> bool: ...
    @property
    def locked(self) -> bool: ...
    @property
    def orders(self) -> int:
        """Resting orders in the whole book, whatever depth was asked for."""
    def to_dict(self) -> dict[str, Any]: ...
    def to_json(self) -> str: ...
    def to_pandas(self) -> pd.DataFrame: ...
    def _repr_html_(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...

@disjoint_base
class Book:
    """A live, read-only handle on one book of a Market."""

    @property
    def publisher_id(self) -> int: ...
    @property
    def instrument_id(self) -> int: ...
    @property
    def symbol(self) -> str | None: ...
    @property
    def state(self) -> _BookState: ...
    @property
    def seq(self) -> int: ...
    @property
    def epoch(self) -> str: ...
    def snapshot(self, depth: int | None = 10, *, level: Literal[2, 3] = 2) -> BookSnapshot: ...
    def bbo(self) -> BBO: ...
    def order(self, order_id: int) -> Order | None: ...
    def orders(self, side: _Side | Side, price: int) -> list[Order]: ...
    def queue_position(self, order_id: int) -> QueuePosition | None: ...
    def stats(self) -> dict[str, Any]: ...
    def state_hash(self) -> str:
        """A hash of this book's state: that of a Market of this book alone."""
    def check(self) -> None: ...
    def __len__(self) -> int: ...

@final
class OrderBook(Book):
    """One instrument's full-depth book, record by record."""

    def __new__(cls, *, same_size_modify: _SameSizeModify = "keeps_place") -> OrderBook: ...
    @overload
    def apply_mbo(self, record: Buffer | SupportsBytes, /) -> bool: ...
    @overload
    def apply_mbo(
        self,
        *,
        action: str | bytes | Action,
        side: str | bytes | Side = "N",
        price: int = 9223372036854775807,
        size: int = 0,
        order_id: int = 0,
        flags: int = 128,
        ts_event: int = 0,
        ts_recv: int = 0,
        ts_in_delta: int = 0,
        sequence: int = 0,
        channel_id: int = 0,
        publisher_id: int = 0,
        instrument_id: int = 0,
    ) -> bool: ...

@final
class Market:
    """All books of a feed, keyed by (publisher_id, instrument_id)."""

    def __new__(
        cls,
        *,
        same_size_modify: _SameSizeModify = "keeps_place",
        until: int | None = None,
        epoch: int = 0,
        watch: bool = False,
    ) -> Market:
        """`until` (ns): each book stops after its last event with ts_event <= until; later ones are not counted.

        `epoch`: the first epoch of every book, in hexadecimal on the wire; a server takes another at every start.
        `watch`: look for gaps, duplicates, disorder and breaks of the stream, and make books suspect that may be wrong.
        The methods from `disconnected` to `watch_stats` need it, and raise RuntimeError without.
        """
    def feed(self, data: Buffer) -> int:
        """Feed bytes cut anywhere; -> MBO records taken.

        Raises DecodeError with the good records applied, and again until `finish()` ends the faulty stream.
        One thread feeds; others may read at any time.
        """
    def finish(self) -> None:
        """Say that what `feed` read is over; the next bytes fed begin another stream.

        Raises DecodeError if it was empty, or ended inside metadata, a record or a zstd frame.
        """
    def feed_file(
        self,
        path: str | PathLike[str],
        *,
        progress: _Progress | None = None,
    ) -> int:
        """Read a whole .dbn or .dbn.zst file, a stream of its own; -> MBO records taken.

        `progress(bytes_read, bytes_total)` is called now and then; or it is a bar such as tqdm's, which is updated.
        Raises OSError (also for what is no regular file) or DecodeError, with the good records applied.
        """
    def instruments(self) -> list[Instrument]: ...
    def book(self, instrument: _InstrumentRef) -> Book: ...
    def snapshot(
        self, instrument: _InstrumentRef, depth: int | None = 10, *, level: Literal[2, 3] = 2
    ) -> BookSnapshot: ...
    def book_json(self, instrument: _InstrumentRef, *, level: Literal[1, 2, 3] = 2, depth: int | None = 10) -> bytes:
        """The wire shape of one book, encoded in Rust; its time counts into latency()["snapshot"]."""
    def book_msgpack(self, instrument: _InstrumentRef, *, level: Literal[1, 2, 3] = 2, depth: int | None = 10) -> bytes:
        """The same object as `book_json`'s, as a MessagePack map."""
    def order_json(self, instrument: _InstrumentRef, order_id: int) -> bytes:
        """A resting order and its place in its queue; raises UnknownOrderError if it does not rest.

        {"instrument_id", "publisher_id", "symbol", "epoch", "seq", "order_id", "status": "resting", "side", "price",
        "size", "ts_event", "orders_ahead", "size_ahead", "orders_behind", "size_behind"}.
        """
    def stream(
        self,
        channel: _Channel,
        instrument: _InstrumentRef,
        *,
        depth: int | None = None,
        level: Literal[2, 3] = 2,
        queues: int | None = None,
    ) -> Stream:
        """Follow one channel of one book, for any number of clients.

        `depth` (1 to 10,000 levels a side, 10 by default), `level` (3: levels carry their queues) and `queues` (with
        level 3: only the best so many levels a side do, 1 to 10,000; all by default) are for the channel "depth" only;
        ValueError otherwise. Raises UnknownInstrumentError or AmbiguousInstrumentError.
        """
    def latency(self, *, reset: bool = False) -> dict[str, dict[str, int]]:
        """{"apply": {count, p50_ns, p90_ns, p99_ns, max_ns}, "snapshot": {the same}}.

        Apply times one record in 64, alone; snapshot times every `book_json`.
        """
    def latency_totals(self) -> dict[str, Any]:
        """The same since the start: {"bounds_ns": [n], "apply": {"counts": [n + 1], "sum_ns"}, "snapshot": …}.

        A bucket counts what was at most its bound and more than the one before; the last, what was longer than all.
        """
    def stats(self) -> dict[str, Any]:
        """Counters summed over all books, and those of the stream."""
    def problems(self) -> list[dict[str, Any]]:
        """The first 16 rejected records: {reason, record, offset, order_id, sequence, ts_event, message}."""
    def check(self) -> None: ...
    def to_bytes(self) -> bytes:
        """The whole market. Raises CheckpointError while part of a record or zstd frame waits for the rest."""
    def state_hash(self) -> str:
        """A hash of the state of all books (32 hexadecimal digits): equal for equal books, everywhere and always."""
    @staticmethod
    def from_bytes(data: Buffer, *, watch: bool = False) -> Market:
        """A market from what `to_bytes` gave, ready for a further stream. Raises CheckpointError."""
    def disconnected(self) -> None:
        """Say that the stream broke, wherever: the decoder starts anew and every book is suspect ("disconnected").

        Unfinished events are forgotten; where to resume is kept.
        """
    def resume_ts(self) -> int | None:
        """The ts_event (ns) to ask a gateway's `start` for; None if nothing was applied.

        One second before the first record that was not applied in a whole event.
        """
    def reconnected(self, how: Literal["resume", "snapshot", "unknown"]) -> None:
        """Say, before feeding its first bytes, that a new connection follows the last, and from where it goes on.

        "resume": from `resume_ts`; what was applied is dropped, and books are live with the first record later than
        all seen before. "snapshot": each book is live when its snapshot is complete. "unknown": as "resume" if
        something is repeated; if nothing is, books stay suspect until a snapshot or Clear.
        """
    def doubt(self, reason: str, instrument: _InstrumentRef | None = None) -> int:
        """Make one book suspect (None: all) until its next snapshot or Clear; -> how many became so."""
    def failed(self, reason: str) -> None:
        """Say that the stream failed for good: unfinished events are forgotten, every book is suspect.

        Needs no watch: nothing that may follow is known to follow.
        """
    def expect_snapshots(self, keys: list[tuple[int, int]]) -> None:
        """Say that snapshots of these books were asked for: the next of each is whole, also on a resumed stream."""
    def expect_skips(self, expects_skips: bool) -> None:
        """Say whether the stream is a part of what its channels number, and gaps are told: then jumps prove none."""
    def take_alerts(self) -> list[dict[str, Any]]:
        """What happened since the last call: at most 1,024, older ones dropped and counted.

        {"kind": "suspect" or "live", "reason", "publisher_id", "instrument_id", "symbol", "ts_event"}, or
        {"kind": "system" or "error", "code", "text", "ts_event"}; the code is 255 in DBN 1, which has none.
        """
    def suspects(self) -> list[tuple[int, int]]:
        """(publisher_id, instrument_id) of the books that are suspect."""
    def watch_stats(self) -> dict[str, Any]:
        """{"suspicions": {reason: n}, "errors": {code: n}, "recoveries": n, "gaps": n, "already_applied": n, …}."""
    def __len__(self) -> int: ...

@final
class Stream:
    """One channel of one book, told once for all who follow it. Safe on any thread; once closed, RuntimeError.

    `poll` moves it on and says what every client must be told; a new client begins with `snapshot`. A message
    continues the one whose `seq` is its `prev`. A change of state is told although no event completed: then both are
    equal, and so may the `prev` of the message after it be.
    """

    @property
    def channel(self) -> _Channel: ...
    @property
    def instrument(self) -> str:
        """The name its messages carry: the symbol if it names one book, or else "publisher_id:instrument_id"."""
    @property
    def publisher_id(self) -> int: ...
    @property
    def instrument_id(self) -> int: ...
    def poll(self) -> Message | None:
        """Move on to the book as it is now; None if there is nothing to tell. The first is a snapshot."""
    def snapshot(self) -> Message:
        """The book as it was last told, so that the next poll's delta continues it; the same object until then."""
    def merged(self, epoch: str, seq: int) -> Message | None:
        """One delta from that seq to what was last told; the same object for all who ask.

        None if nothing was told after it, or if it cannot be made: another epoch, more than 128 deltas ago, no
        message's seq, or a channel of which nothing may be left out ("orders", "trades", "dbn"). A change of state
        at that very seq is in it, whether or not it was received: the same object comes until something is told.
        """
    def close(self) -> None:
        """Stop listening to the book; so does dropping the last reference."""

@final
class Message:
    """What a Stream tells its clients, encoded once for all of them."""

    @property
    def kind(self) -> Literal["snapshot", "delta", "gap"]:
        """ "gap": more came than is kept between two polls; the next poll gives a snapshot."""
    @property
    def epoch(self) -> str: ...
    @property
    def prev(self) -> int | None:
        """The seq of the message that it continues; None for a snapshot."""
    @property
    def seq(self) -> int: ...
    @property
    def lag_from_ts_recv(self) -> int:
        """ts_recv (ns) of the last event that it tells of; 0 if it tells of none."""
    @property
    def text(self) -> str:
        """As JSON; the same str object every time."""
    @property
    def msgpack(self) -> bytes:
        """The same object as a MessagePack map; the same bytes object every time."""
    @property
    def binary(self) -> bytes | None:
        """Channel "dbn": whole records of 56 bytes, as received; of a snapshot, DBN metadata and an MBO snapshot.

        Clears and MBO snapshots are among the records, so "dbn" goes on by deltas where other channels begin anew. None
        of all other channels, and of a gap.
        """

@final
class FileReader:
    """A DBN file (raw or zstd) as decompressed chunks of whole records; the first begins with the metadata."""

    def __new__(cls, path: str | PathLike[str]) -> FileReader: ...
    def read(self, max_records: int, until: int | None = None) -> bytes:
        """The next records, at most `max_records`, none with ts_recv > until; b"" if none qualifies (see `ended`)."""
    @property
    def next_ts(self) -> int | None:
        """ts_recv (or else ts_event) of the next record, None at the end."""
    @property
    def ended(self) -> bool: ...
    @property
    def offset(self) -> int:
        """Bytes of the file consumed so far."""
    @property
    def size(self) -> int: ...

@final
class Recorder:
    """The one writer of a history's folder: what its market applies from `begin` on is in the log."""

    def __new__(
        cls,
        directory: str | PathLike[str],
        *,
        fsync_records: int = 65_536,
        fsync_ms: int = 500,
        segment_bytes_max: int = 268_435_456,
        queue_bytes_max: int = 67_108_864,
        ordinal_min: int = 0,
    ) -> Recorder:
        """Locks the folder, makes it if need be, and makes its log ready to be written on.

        What is recorded is made durable after `fsync_records` records or `fsync_ms` at the latest. Ordinals below
        `ordinal_min` are known to somebody, as tables may be ahead of what is left of a log: no other record gets one.
        Raises HistoryLockedError if another recorder writes there, HistoryError if it cannot be read or written.
        """
    @property
    def recovered(self) -> dict[str, Any]:
        """What opening found and did.

        next_ordinal, end_ordinal (what a market is to be restored to; less than next_ordinal if records that somebody
        may have read are lost), bytes_cut, frames_cut, indexes_rebuilt, session (the URI of the last one, or None),
        damages (what is wrong with the beginnings and ends of segments; what is whole of them is read all the same),
        is_new.
        """
    @property
    def next_ordinal(self) -> int:
        """Of the next record to be recorded."""
    def begin(self, market: Market, session: str | None) -> None:
        """Records this market from now on, and no other.

        A new session of an empty market; or (None) goes on with a market restored to recovered["end_ordinal"]. Raises
        HistoryError if the market is not where it must be.
        """
    def wait_room(self, timeout_s: float) -> bool:
        """Waits until the queue is at most half full; False if it is not in time."""
    def flush(self, timeout_s: float) -> bool:
        """Makes all that was recorded so far durable; False if it is not in time."""
    def stats(self) -> dict[str, Any]:
        """What was counted, and the state: "recording", "failing" (with the error) or "closed"."""
    def close(self, timeout_s: float) -> bool:
        """Ends the recording; False if not everything became durable in time."""

@final
class Log:
    """The durable part of the log in a history's folder. Needs no lock: another process may write it."""

    def __new__(cls, directory: str | PathLike[str]) -> Log: ...
    def refresh(self) -> None:
        """Sees what became durable since, and what was removed."""
    def segments(self) -> list[dict[str, Any]]:
        """The files, by ordinal.

        path, dataset, day, first_ordinal, end_ordinal, bytes, frames, ts_event_min and _max, ts_recv_min and _max (None
        without records).
        """
    def sessions(self) -> list[dict[str, Any]]:
        """Uninterrupted histories, the newest last.

        ordinal, first_ordinal (more than ordinal where its beginning was removed), end_ordinal, uri, ts_event_min and
        _max, ts_recv_min and _max.
        """
    def session_start(self, ordinal: int) -> int | None:
        """When (ts_recv, ns) the session that began at an ordinal did so, as books and tables have it.

        The first record of it that is there and no MBO snapshot's was received then; where there is none, the first of
        all; where a frame before that is damaged, it was as early as the index says. None as long as the newest session
        has told nothing but of the books that it begins with.
        """
    def session_starts(self) -> list[tuple[int, str, int, bool]]:
        """All sessions of which it is known, oldest first: (ordinal, uri, ts_recv, is_estimated).

        Estimated is when a session began where a damaged frame hides it.
        """
    def holes(self) -> list[dict[str, Any]]:
        """What is missing in between: first, end, reason. Where both are the same, only marks are missing."""
    def damages(self) -> list[str]:
        """What is wrong with the beginnings and ends of segments, in words; other damage is found where it is read."""
    @property
    def first_ordinal(self) -> int:
        """Of the first record."""
    @property
    def kept_from(self) -> int:
        """Where it is to begin: what is missing from there on is lost, what lies before was removed."""
    def keep_from(self, ordinal: int) -> None:
        """Tells durably that nothing from before an ordinal is to be kept: before the oldest segments are removed."""
    @property
    def end_ordinal(self) -> int:
        """After the last record's."""
    def verify(self, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
        """Reads everything and says whether it is what was written.

        good, segments, frames, records, bytes (of which all but the last count what is good), damages (path, offset,
        ordinal, end_ordinal, what). `progress(bytes, bytes_in_all)` is called now and then; what it raises ends the
        reading.
        """
    def read(self, ordinal: int, records_max: int) -> tuple[int, bytes]:
        """MBO records of 56 bytes from an ordinal on, up to so many or the next hole; and the ordinal of the first."""
    def dbn(self, start_ordinal: int, end_ordinal: int, *, books: bool = False) -> DbnReader:
        """A DBN stream of the MBO records from an ordinal on to another (which is not in it), with their symbols.

        With `books`, who has the books before the first record and replays it has those before the last one, also over
        a hole: behind it each book comes as a snapshot, with MAYBE_BAD_BOOK if it is suspect, and so it does where a
        checkpoint knows better.
        """
    def books(self, ordinal: int) -> bytes:
        """All books as they were right before the record of an ordinal, as MBO records of 56 bytes.

        A snapshot of each, with MAYBE_BAD_BOOK if it is suspect, and behind it what was told of an unfinished
        event. Raises NotRecordedError.
        """
    def restore(self, ordinal: int | None = None, *, watch: bool = False, epoch: int = 0) -> Market:
        """The market as it was right before the record of an ordinal (None: the log's end), with all marks before that.

        From the nearest checkpoint before it, or the session's beginning; damaged checkpoints are passed over. The
        epochs of its books begin at `epoch`. With `watch`, it knows where its books stand in their stream:
        `disconnected()` and a resumed stream follow. Raises NotRecordedError.
        """

@final
class Past:
    """Any book of a history as of any time. Thread-safe; sees what is recorded meanwhile; touches no live market.

    "As of" a time means all events complete at or before it, by ts_event, as `Market(until=...)` has them that is fed
    the whole session: the newest one that reaches back so far.
    """

    def __new__(cls, directory: str | PathLike[str]) -> Past: ...
    def book_json(
        self, instrument: _InstrumentRef, at: int, *, level: Literal[1, 2, 3] = 2, depth: int | None = 10
    ) -> bytes:
        """One book as of `at` (ts_event, ns), in the shape of Market.book_json.

        Later than the end, it is the last state. Raises UnknownInstrumentError, AmbiguousInstrumentError, and
        NotRecordedError before the beginning and in a hole.
        """
    def book_msgpack(
        self, instrument: _InstrumentRef, at: int, *, level: Literal[1, 2, 3] = 2, depth: int | None = 10
    ) -> bytes:
        """The same object as a MessagePack map."""
    def snapshot(
        self, instrument: _InstrumentRef, at: int, depth: int | None = 10, *, level: Literal[2, 3] = 2
    ) -> BookSnapshot:
        """The same book as an object: `depth` levels a side (None = all), at level 3 with their orders."""
    def resolve(self, instrument: _InstrumentRef) -> tuple[int, int]:
        """The (publisher_id, instrument_id) that goes by a name in the newest session in which any does.

        Raises UnknownInstrumentError, AmbiguousInstrumentError.
        """
    def ordinal_at(self, at: int) -> int:
        """The ordinal of its session's first record that is later than `at` (ts_event, ns), or that after the last.

        Raises NotRecordedError.
        """
    def state_hash(self, ordinal: int) -> str:
        """The state hash of the market right before the record of an ordinal. Raises NotRecordedError."""
    def order_life(
        self, publisher_id: int, instrument_id: int, order_id: int, *, limit: int = 10_000
    ) -> tuple[bytes, bytes]:
        """The last `limit` records of one order, in the order of the log: their ordinals (u64 each) and the records.

        If as many come as were asked for, there may be earlier ones: of this session, or of one before with the same
        id. Found by the filters that an Indexer makes; what they do not cover is read. Exact either way. Raises
        HistoryError.
        """
    def range(self) -> list[dict[str, Any]]:
        """The sessions as of Log, with `ts_begin`: from when on (ts_event, ns) books can be asked for; None: never."""
    def stats(self) -> dict[str, int]:
        """damaged_checkpoints: so often one was passed over in favour of an older one."""

@final
class Replay:
    """A market of its own that is moved along a history: to any time, forwards by ts_recv, by events of one book.

    Thread-safe. At the log's end it goes on with what is recorded meanwhile.
    """

    def __new__(cls, directory: str | PathLike[str], at: int | None = None) -> Replay:
        """Begins at `at` (ts_event, ns), or with the newest session. Raises HistoryError, NotRecordedError."""
    @property
    def market(self) -> Market:
        """Always the same object; follow it by `market.stream(...)`."""
    def seek(self, at: int) -> None:
        """Goes to a time (ts_event, ns): before the first record that is later.

        Every book begins another epoch, which it never had before; one that was not there then is empty. Raises
        NotRecordedError, with everything where it was.
        """
    def advance(self, ts_recv: int, records_max: int) -> int:
        """Applies what was received until `ts_recv` (ns), at most so many records; returns how many."""
    def step(self, instrument: _InstrumentRef, events: int, records_max: int | None = None) -> int:
        """Goes on until one book has completed so many more events, or back (negative) by so many.

        Returns how many they were: fewer at the log's end or the session's beginning, or where `records_max` records
        were not enough to go on; back is a seek, whatever that is, or none where it is given up. Raises
        UnknownInstrumentError, AmbiguousInstrumentError.
        """
    def give_up(self) -> None:
        """Has a step back that is under way end soon, with everything where it was."""
    @property
    def ts_recv(self) -> int:
        """Of the last record, ns; 0 before the first."""
    @property
    def ts_event(self) -> int:
        """Of the last record, ns; 0 before the first."""
    @property
    def ordinal(self) -> int:
        """Of the next record."""
    @property
    def ended(self) -> bool:
        """Whether the log had nothing more when the market was last moved."""
    @property
    def next_ts(self) -> int | None:
        """ts_recv of the next record, ns; None at the end."""

@final
class DbnReader:
    """A DBN stream in pieces: metadata that names all symbols, then the MBO records and nothing else."""

    def read(self, bytes_max: int) -> bytes:
        """The next piece, somewhat longer than `bytes_max` where a run of records is; b"" at the end."""

@final
class Indexer:
    """Follows the log in a history's folder and derives what stores need: rows, filters of orders, checkpoints.

    Thread-safe; needs no lock: another process may write the log. Rows are those of l3book.history.rows.
    """

    def __new__(
        cls,
        directory: str | PathLike[str],
        *,
        ordinal: int,
        checkpoint_records: int = 1_000_000,
        keep_checkpoints: bool = True,
        keep_records: bool = True,
    ) -> Indexer:
        """Begins at `ordinal`: 0, or the last batch's resume_ordinal; where retention has removed that, with the rest.

        A checkpoint is written every `checkpoint_records`; `keep_records` gives batches the records themselves. Raises
        HistoryError if the log cannot be read or ends before `ordinal`.
        """
    def advance(self, records_max: int) -> Batch | None:
        """Goes on by at most so many records, or to a checkpoint; None if the log has nothing new.

        Then it makes some of the filters that older segments lack. Raises HistoryError if the log cannot be read there:
        then another Indexer must begin anew.
        """
    @property
    def next_ordinal(self) -> int:
        """Of the next record."""
    def take_error(self) -> str | None:
        """What went wrong with filters of orders or checkpoints since the last call; rows do not depend on them."""

@final
class Batch:
    """What was derived from some records that follow each other: what a store writes in one transaction."""

    @property
    def first_ordinal(self) -> int:
        """Of its first record."""
    @property
    def end_ordinal(self) -> int:
        """After its last record."""
    @property
    def resume_ordinal(self) -> int:
        """Where an Indexer must begin that is to make anew what is not final."""
    @property
    def trades(self) -> bytes:
        """Rows of l3book.history.rows.TRADE."""
    @property
    def bbo(self) -> bytes:
        """Rows of l3book.history.rows.BBO."""
    @property
    def levels(self) -> bytes:
        """Rows of l3book.history.rows.LEVEL."""
    @property
    def records(self) -> bytes:
        """The MBO records, 56 bytes each; b"" with keep_records=False."""
    @property
    def ordinals(self) -> bytes:
        """Their ordinals, u64 each."""
    @property
    def instruments(self) -> list[tuple[int, int, str | None]]:
        """(publisher_id, instrument_id, symbol) of books that are new, or whose symbol is."""
    @property
    def checkpoint(self) -> tuple[int, str] | None:
        """(ordinal, path) of the checkpoint with which it ends, if one was written."""
    @property
    def sessions(self) -> list[tuple[int, str, int]]:
        """(ordinal, uri, ts_recv of the first record that is no MBO snapshot's, else of the first) of new sessions."""
    @property
    def holes(self) -> list[tuple[int, int, str]]:
        """(first, end, reason) of holes that were passed."""

def check_checkpoint(path: str | PathLike[str]) -> dict[str, int]:
    """Read all of a checkpoint: {"ordinal", "session", "books"}.

    Raises CheckpointError where it is damaged, or OSError.
    """

@final
class LiveStream:
    """The bytes of one live session, made from recorded DBN files: whole records in, a protocol's stream out."""

    def __new__(
        cls,
        paths: Sequence[str | PathLike[str]],
        *,
        raw: bool = False,
        ts_out: bool = False,
        compression: Literal["none", "zstd"] = "none",
        loop: bool = False,
        as_if_now: int | None = None,
        speed: float | None = None,
        rate: int | None = None,
    ) -> LiveStream: ...
    @property
    def dataset(self) -> str: ...
    @property
    def schema(self) -> str: ...
    def subscribe(
        self,
        schema: str,
        stype_in: str,
        symbols: Sequence[str] | None,
        *,
        start: int | None = None,
        snapshot: bool = False,
    ) -> list[str]:
        """Take a subscription (symbols None: all); returns the symbols that cannot be resolved."""

    def metadata(self, start: int) -> bytes: ...
    def seek(self, ts_event: int) -> int: ...
    def seek_due(self, ts: int) -> int: ...
    def seek_position(self, position: int) -> None: ...
    def take(self) -> bytes: ...
    def read(self, max_records: int, until: int | None = None) -> bytes:
        """What is queued, and the next tape records: at most max_records, and none later than until (ns)."""

    def system(self, code: int, text: str) -> None: ...
    def error(self, code: int, text: str) -> None: ...
    def skip(self, max_records: int, until: int | None = None) -> int:
        """Go on like read without sending what the records bring; returns how many data records were left out."""

    def inject(self, kind: Literal["gap", "duplicate", "reorder"], records: int, *, marked: bool = True) -> None: ...
    @property
    def next_ts(self) -> int | None: ...
    @property
    def last_ts(self) -> int: ...
    @property
    def position(self) -> int: ...
    @property
    def records_sent(self) -> int: ...
    @property
    def subscriptions(self) -> int:
        """Subscriptions that are kept: repeated ones do not add up."""
    @property
    def records_skipped(self) -> int: ...
    @property
    def passes(self) -> int: ...
    @property
    def ended(self) -> bool: ...

@final
class Simulator:
    """A deterministic synthetic market that writes DBN v3 MBO: same arguments, same bytes."""

    def __new__(
        cls, *, seed: int = 1, instruments: int = 1, crossed: bool = False, resting_max: int | None = None
    ) -> Simulator:
        """`resting_max`: keeps books smaller than they would be with so many instruments; 64 to 18,000 orders."""
    def header(self) -> bytes:
        """The DBN metadata."""
    def read(self, min_records: int) -> bytes:
        """The next whole events, at least `min_records` records (0 -> b"")."""
    def read_last(self, records: int) -> bytes:
        """The end of the stream, exactly `records` records: whole events, then None records to fill up."""
    @property
    def records(self) -> int: ...

@final
class Compressor:
    """Compresses a stream into one zstd frame, piece by piece, as `.dbn.zst` files are."""

    def __new__(cls, *, level: int = 3) -> Compressor: ...
    def write(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...

@final
class VerifyReport:
    """What `verify` found; its repr is a readable report, `to_dict` has everything (docs/verify.md)."""

    @property
    def good(self) -> bool:
        """Whether there is nothing to complain of."""
    @property
    def verdict(self) -> Literal["good", "different", "damaged", "no_overlap", "no_mbo", "rejected"]: ...
    @property
    def state_hash(self) -> str:
        """The state hash of all books at the end; `Market.state_hash()` of the same records is the same."""
    @property
    def running_hash(self) -> str:
        """Over the top ten levels after every event."""
    def to_dict(self) -> dict[str, Any]: ...
    def to_json(self) -> str: ...

def verify(
    path: str | PathLike[str],
    against: str | PathLike[str] | None = None,
    *,
    instrument: _InstrumentRef | None = None,
    oracle: bool = True,
    same_size_modify: _SameSizeModify = "keeps_place",
    check_every: int = 50000,
    hash_every: int | None = None,
    progress: _Progress | None = None,
) -> VerifyReport:
    """Read a whole .dbn or .dbn.zst file of schema mbo, prove its books and describe it.

    `against`: the venue's own MBP-10 of the same records, as DBN or CSV. `instrument`: the books of this name only.
    `oracle=False` leaves the naive book out. `check_every`: events between two checks of everything.
    `hash_every`: events between two hashes in the report. A fault in the file is part of the report; raises OSError
    if it cannot be read, DecodeError if `against` is no MBP-10, UnknownInstrumentError if no book goes by the name.
    """

@final
class Deriver:
    """Makes the rows of another Databento schema from MBO bytes, as they come: `docs/convert.md` has the rules."""

    def __new__(cls, schema: str, *, instrument: _InstrumentRef | None = None) -> Deriver:
        """`schema`: mbo, mbp-10, mbp-1, tbbo, bbo-1s, bbo-1m, trades, ohlcv-1s, ohlcv-1m, ohlcv-1h or ohlcv-1d.

        `instrument`: rows of this one only, whichever goes by the name when its first record comes.
        """
    @property
    def schema(self) -> str: ...
    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
    def feed(self, data: Buffer) -> bytes:
        """Feed bytes cut anywhere, raw or zstd; -> the rows they complete, in DBN's layout without metadata.

        Raises DecodeError at the first fault; the rows from before it are what `flush` returns.
        """
    def flush(self) -> bytes:
        """Say that no more will come; -> the rows of unfinished intervals, and those that a fault held up."""
    def finish(self) -> None:
        """Say that the stream is over; raises DecodeError if it was not whole."""
    def header(self) -> bytes | None:
        """The metadata a DBN stream of the rows begins with; None before the input's metadata or first record."""
    def csv(
        self,
        rows: bytes,
        *,
        header: bool = False,
        pretty_px: bool = True,
        pretty_ts: bool = True,
        map_symbols: bool = True,
    ) -> bytes:
        """Rows as CSV text, as `DBNStore.to_csv` writes it; `header`: begin with the line of column names."""
    def symbols(self, rows: bytes) -> tuple[bytes, list[str | None]]:
        """The symbol of each row at its time: (places in the list as native u32, the list)."""
    def stats(self) -> dict[str, int]:
        """{records, rows, rejected, instruments, other_records, metadata_headers} so far."""
    @property
    def problem(self) -> str | None:
        """The first rejected record, in words."""
