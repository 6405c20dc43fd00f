"""The log as any DBN tool would read it: an independent zstd, our own eyes, and what the marks in it say."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import zstandard

from dbn_bytes import PRELUDE_BYTES, RECORD_BYTES, RTYPE_MBO, RTYPE_SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE_MARK = 255
TEXT_BYTES = 303
F_LAST = 128
FLAGS_BYTE = 36
PREFIX = "l3book:"

Key = tuple[int, int]


@dataclass(frozen=True)
class Mark:
    """What moved books without a record."""

    key: Key
    text: str


def segments(folder: Path) -> list[Path]:
    """In the order of the log."""
    return sorted(folder.glob("log/*/*/*.dbn.zst"), key=lambda path: int(path.name.partition(".")[0]))


def items(folder: Path) -> Iterator[bytes | Mark]:
    """Runs of MBO records, and the marks between them, of the whole log."""
    for path in segments(folder):
        yield from _items_of(plain(path))


def plain(path: Path) -> bytes:
    """All frames of a segment, decompressed."""
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes()), read_across_frames=True) as reader:
        return reader.read()


def _items_of(data: bytes) -> Iterator[bytes | Mark]:
    assert data[:3] == b"DBN", data[:8]
    at = PRELUDE_BYTES + int.from_bytes(data[4:8], "little")
    while at < len(data):
        count = (len(data) - at) // RECORD_BYTES
        rows = np.frombuffer(data, np.uint8, count * RECORD_BYTES, at).reshape(count, RECORD_BYTES)
        others = np.flatnonzero((rows[:, 1] != RTYPE_MBO) | (rows[:, 0] * 4 != RECORD_BYTES))
        taken = int(others[0]) if len(others) else count
        if taken:
            yield data[at : at + taken * RECORD_BYTES]
            at += taken * RECORD_BYTES
            continue
        length = data[at] * 4
        assert 16 <= length <= len(data) - at, f"no record at {at} of {len(data)}: {data[at : at + 16].hex()}"
        record = data[at : at + length]
        at += length
        if record[1] == RTYPE_SYSTEM:
            text = record[16 : 16 + TEXT_BYTES].partition(b"\0")[0].decode()
            assert text.startswith(PREFIX), text
            assert record[-1] == CODE_MARK, record.hex()
            key = int.from_bytes(record[2:4], "little"), int.from_bytes(record[4:8], "little")
            yield Mark(key, text.removeprefix(PREFIX).strip())


def marks(folder: Path, word: str) -> list[Mark]:
    """Those that begin with a word."""
    return [item for item in items(folder) if isinstance(item, Mark) and item.text.split()[0] == word]


def recorded(folder: Path) -> bytes:
    """All MBO records that are in the log."""
    return b"".join(item for item in items(folder) if isinstance(item, bytes))


def key_of(record: bytes) -> Key:
    return int.from_bytes(record[2:4], "little"), int.from_bytes(record[4:8], "little")


def by_book(records: bytes) -> dict[Key, bytes]:
    """The records of each book, in their order."""
    books: dict[Key, list[bytes]] = defaultdict(list)
    for at in range(0, len(records), RECORD_BYTES):
        record = records[at : at + RECORD_BYTES]
        books[key_of(record)].append(record)
    return {key: b"".join(parts) for key, parts in books.items()}


def applied_by_book(folder: Path) -> dict[Key, bytes]:
    """As `by_book`, without the events that were forgotten unfinished: their records come again after a break."""
    books: dict[Key, list[bytes]] = defaultdict(list)
    for item in items(folder):
        if isinstance(item, bytes):
            for key, part in by_book(item).items():
                books[key] += [part[at : at + RECORD_BYTES] for at in range(0, len(part), RECORD_BYTES)]
        elif item.text.startswith("drop"):
            kept = books[item.key]
            while kept and not kept[-1][FLAGS_BYTE] & F_LAST:
                kept.pop()
    return {key: b"".join(parts) for key, parts in books.items()}
