"""What a stream has of the books at a place: the messages beside those of the shard that a snapshot names."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from l3book.jetstream.connecting import Opened
from l3book.jetstream.messages import Label
from l3book.jetstream.records import ACTION, CLEAR, MBO_BYTES_MIN, are_whole
from l3book.sources.connection import Key

if TYPE_CHECKING:
    from nats.js.api import RawStreamMsg


async def books_at(opened: Opened, stream: str, snapshot: Label) -> bytes:
    """Get the records of all books of a shard. Raises NotFoundError if any is gone, ValueError if any is damaged."""
    first = await opened.jetstream.get_msg(stream, snapshot.books)
    label = Label.of(first.headers)
    rest = [await opened.jetstream.get_msg(stream, snapshot.books + at) for at in range(1, label.parts if label else 1)]
    return b"".join(_piece(message, snapshot, part) for part, message in enumerate([first, *rest], start=1))


def _piece(message: "RawStreamMsg", snapshot: Label, part: int) -> bytes:
    label, data = Label.of(message.headers), message.data or b""
    if (
        label is None
        or label.kind != "books"
        or (label.source, label.end, label.part)
        != (
            snapshot.source,
            snapshot.end,
            part,
        )
    ):
        raise ValueError(f"message {message.seq}: expected part {part} of the books at {snapshot.end}")
    if len(data) % MBO_BYTES_MIN or not are_whole(data):
        raise ValueError(f"message {message.seq}: {len(data)} bytes that are no whole MBO records")
    return data


def by_book(records: bytes) -> Iterator[tuple[Key, bytes]]:
    """Part books, each of which begins with its Clear."""
    rows = np.frombuffer(records, np.uint8).reshape(-1, MBO_BYTES_MIN)
    begins = np.flatnonzero(rows[:, ACTION] == CLEAR).tolist()
    for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
        book = records[begin * MBO_BYTES_MIN : end * MBO_BYTES_MIN]
        yield (int.from_bytes(book[2:4], "little"), int.from_bytes(book[4:8], "little")), book
