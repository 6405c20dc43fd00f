"""What is published of a source: its stretches as messages, each with its one place in the stream."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from l3book.jetstream.messages import PAYLOAD_BYTES_MAX, Kind, Label, Outgoing, books_subject_of, subject_of
from l3book.jetstream.records import (
    HEADER_BYTES,
    INSTRUMENT,
    MBO_BYTES_MIN,
    Cutter,
    Item,
    Rows,
    dataset_of,
    latest_ts_event,
    shard_of,
    shards_of_rows,
)

HEAD_EVERY_MESSAGES = 1024
"""So often a shard's head comes again, for readers that begin where the one before was removed."""
HEAD_EVERY_SIZES = 8
"""But not before so many times its own size was published: one with every symbol of a venue is large."""
NO_METADATA = "none"
BOOKS_BYTES_MAX = PAYLOAD_BYTES_MAX // MBO_BYTES_MIN * MBO_BYTES_MIN
"""Of a part of a shard's books: whole records."""
Doubt = tuple[int, int, str]
"""publisher_id, instrument_id, the reason; 0 and 0: of every book."""
Pictured = tuple[tuple[int, int], bytes]
"""publisher_id and instrument_id, and the book as the records of an MBO snapshot."""


@dataclass(slots=True)
class Progress:
    """What a stream holds of a source: all records before `first`, and of first to end the shards up to `shard`."""

    source: str
    first: int = 0
    end: int = 0
    shard: int = -1
    ended_shard: int = -1
    """The end was told to the shards up to this one."""

    @classmethod
    def after(cls, label: Label, shard: int) -> "Progress":
        """Read it off the stream's last message."""
        done = shard - 1 if label.kind == "head" else shard
        return cls(label.source, label.first, label.end, done, shard if label.kind == "end" else -1)


@dataclass(slots=True)
class ShardState:
    """Where a shard of the stream stands."""

    number: int = 0
    """Of its last message."""
    head: int = 0
    """Sequence of the head that its records belong to; 0: it has none that is whole."""
    source: str = ""
    """That head's."""
    since_head: int = 0
    """Messages …"""
    since_head_bytes: int = 0
    """… and bytes of records."""

    @classmethod
    def after(cls, label: Label) -> "ShardState":
        """Read it off the shard's last message."""
        return cls(label.number, label.head if label.part == label.parts else 0, label.source)


@dataclass(slots=True)
class _Window:
    """The records that one message for each shard will hold."""

    first: int
    parts: list[list[bytes]]
    counts: list[int]
    size: int = 0
    end: int = field(init=False)

    def __post_init__(self) -> None:
        self.end = self.first


class Windows:
    """Makes messages of a source's bytes. What the stream has already is left out.

    Nothing here waits or fails for the network: each message is made once, has the sequence that it must get, and
    whoever sends it sends it until it has got that.
    """

    def __init__(self, stream: str, shards: list[ShardState], sequence: int, ts_event: int, progress: Progress) -> None:
        """`sequence`, `ts_event`: of the stream's last message; 0 and 0 if there is none."""
        self._stream = stream
        self._shards = shards
        self._sequence = sequence
        self._ts_event = ts_event
        self._progress = progress
        for state in shards:
            state.head = state.head if state.source == progress.source else 0
        self._cutter = Cutter()
        self._dataset = NO_METADATA
        self._metadata = b""
        self._mappings: dict[bytes, bytes] = {}
        self._window = self._new_window(0)

    @property
    def position(self) -> int:
        """Records of the source that were taken."""
        return self._window.end

    def take(self, data: bytes) -> Iterator[Outgoing]:
        """Make messages of bytes of the source, as they come. Raises RecordError."""
        for item in self._cutter.feed(data):
            yield from self._take(item)
        yield from self._flush()

    def doubt(self, doubts: list[Doubt]) -> Iterator[Outgoing]:
        """Tell the readers of each shard which of its books may be wrong; 0:0 is every book."""
        shards = len(self._shards)
        for shard in range(shards):
            own = [doubt for doubt in doubts if doubt[:2] == (0, 0) or shard_of(*doubt[:2], shards) == shard]
            if own:
                yield self._message("doubt", shard, json.dumps({"doubts": own}, separators=(",", ":")).encode())

    def away(self, *, is_away: bool) -> Iterator[Outgoing]:
        """Tell every shard that the publisher has lost its feed, or has it again."""
        for shard in range(len(self._shards)):
            yield self._message("away" if is_away else "back", shard, b"")

    def snapshot(self, books: list[Pictured]) -> Iterator[Outgoing]:
        """Write each shard's books beside its messages, and among these, where they are so.

        Not where the stream goes on already: its books are those of a later place. And not where it ends: it may have
        these, or a part of them.
        """
        if self.position <= self._progress.end:
            return
        shards = len(self._shards)
        for shard in range(shards):
            payload = b"".join(records for key, records in books if shard_of(*key, shards) == shard)
            if payload:
                yield from self._snapshot(shard, payload)

    def _snapshot(self, shard: int, payload: bytes) -> Iterator[Outgoing]:
        pieces = [payload[at : at + BOOKS_BYTES_MAX] for at in range(0, len(payload), BOOKS_BYTES_MAX)]
        first = self._sequence + 1
        for part, piece in enumerate(pieces, start=1):
            yield self._message("books", shard, piece, place=(part, len(pieces)))
        yield self._message("snapshot", shard, b"", books=first)

    def end(self) -> Iterator[Outgoing]:
        """Tell every shard that the source is over."""
        for shard in range(self._progress.ended_shard + 1, len(self._shards)):
            yield self._message("end", shard, b"")

    @property
    def is_whole(self) -> bool:
        """Whether the source did not end inside a record."""
        return self._cutter.is_whole

    def _take(self, item: Item) -> Iterator[Outgoing]:
        if item.kind == "metadata":
            yield from self._flush()
            self._metadata, self._dataset = item.data, dataset_of(item.data)
            self._mappings.clear()
            if self._wants_heads():
                for shard in range(len(self._shards)):
                    yield from self._head(shard, self.position, self.position)
        elif item.kind == "mbo":
            yield from self._take_rows(item.rows())
        else:
            yield from self._take_other(item)

    def _wants_heads(self) -> bool:
        """Whether this metadata is not in the stream. If that is not sure, each shard's comes with its next records."""
        if self.position == 0:
            return all(state.head == 0 for state in self._shards)
        return self.position >= self._progress.end

    def _take_rows(self, rows: Rows) -> Iterator[Outgoing]:
        at = 0
        while at < len(rows):
            room = self._room(rows.shape[1])
            self._add(rows[at : at + room])
            at += room
            if at < len(rows) or self._is_cut():
                yield from self._flush()

    def _take_other(self, item: Item) -> Iterator[Outgoing]:
        """Give a symbol mapping to every shard; of all else readers need nothing, but it counts."""
        window = self._window
        if item.kind == "mapping":
            self._mappings[item.data[INSTRUMENT]] = item.data
            for parts in window.parts:
                parts.append(item.data)
            window.size += len(item.data)
        window.end += 1
        if self._is_cut() or window.size >= PAYLOAD_BYTES_MAX - HEADER_BYTES:
            yield from self._flush()

    def _room(self, stride: int) -> int:
        """How many records fit into the window: at least one."""
        position, progress = self.position, self._progress
        room = max(1, (PAYLOAD_BYTES_MAX - self._window.size) // stride)
        for cut in (progress.first, progress.end):
            if position < cut:
                room = min(room, cut - position)
        return room

    def _is_cut(self) -> bool:
        return self.position in (self._progress.first, self._progress.end)

    def _add(self, rows: Rows) -> None:
        window = self._window
        if self.position >= self._progress.first:
            self._ts_event = max(self._ts_event, latest_ts_event(rows))
            if len(window.parts) == 1:
                window.parts[0].append(rows.tobytes())
                window.counts[0] += len(rows)
            else:
                shards = shards_of_rows(rows, len(window.parts))
                for shard, parts in enumerate(window.parts):
                    if len(chosen := rows[shards == shard]):
                        parts.append(chosen.tobytes())
                        window.counts[shard] += len(chosen)
            window.size += rows.nbytes
        window.end += len(rows)

    def _flush(self) -> Iterator[Outgoing]:
        """Make the messages of the window, but for those that the stream has."""
        window, progress = self._window, self._progress
        self._window = self._new_window(window.end)
        if window.first < progress.first or window.first == window.end:
            return
        for shard, parts in enumerate(window.parts):
            if not parts or (window.end <= progress.end and shard <= progress.shard):
                continue
            state = self._shards[shard]
            if state.head == 0 or self._is_head_due(state):
                yield from self._head(shard, window.first, window.end)
            message = self._message("records", shard, b"".join(parts), (window.first, window.end))
            message.records = window.counts[shard]
            yield message

    def _is_head_due(self, state: ShardState) -> bool:
        if state.since_head < HEAD_EVERY_MESSAGES:
            return False
        size = len(self._metadata) + sum(map(len, self._mappings.values()))
        return state.since_head_bytes >= HEAD_EVERY_SIZES * size

    def _head(self, shard: int, first: int, end: int) -> Iterator[Outgoing]:
        """Tell what a DBN stream of this source begins with, and all symbols that were told since."""
        payload = self._metadata + b"".join(self._mappings.values())
        if not payload:
            return
        state = self._shards[shard]
        pieces = [payload[at : at + PAYLOAD_BYTES_MAX] for at in range(0, len(payload), PAYLOAD_BYTES_MAX)]
        state.head, state.since_head, state.since_head_bytes = self._sequence + 1, 0, 0
        for part, piece in enumerate(pieces, start=1):
            yield self._message("head", shard, piece, (first, end), (part, len(pieces)))

    def _message(
        self,
        kind: Kind,
        shard: int,
        payload: bytes,
        span: tuple[int, int] | None = None,
        place: tuple[int, int] = (1, 1),
        books: int = 0,
    ) -> Outgoing:
        state = self._shards[shard]
        state.number += kind != "books"
        if kind == "records":
            state.since_head += 1
            state.since_head_bytes += len(payload)
        self._sequence += 1
        first, end = span or (self.position, self.position)
        source, ts_event = self._progress.source, self._ts_event
        label = Label(kind, state.number, source, first, end, state.head, ts_event, *place, books, says_alive=True)
        subject_for = books_subject_of if kind == "books" else subject_of
        subject = subject_for(self._stream, self._dataset, len(self._shards), shard)
        return Outgoing(self._sequence, subject, shard, label, payload)

    def _new_window(self, first: int) -> _Window:
        shards = len(self._shards)
        return _Window(first, [[] for _ in range(shards)], [0] * shards)
