"""DBN bytes, cut anywhere → metadata, runs of MBO records and single others; and the shard of each book."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from l3book._core import Market

Rows: TypeAlias = NDArray[np.uint8]
"""Records of one length, one below the other."""

MBO = 0xA0
SYMBOL_MAPPING = 0x16
LENGTH_UNIT = 4
HEADER_BYTES = 16
MBO_BYTES_MIN = 56
METADATA = b"DBN"
METADATA_PRELUDE_BYTES = 8
METADATA_BYTES_MAX = 1 << 30
DATASET = slice(8, 24)
ZSTD = b"\x28\xb5\x2f\xfd"

PUBLISHER = slice(2, 4)
INSTRUMENT = slice(4, 8)
TS_EVENT = slice(8, 16)
BOOK = slice(2, 8)
FLAGS = 36
ACTION = 38
CLEAR = ord("R")
F_LAST = 128
UNDEF_TS = np.uint64(2**64 - 1)

# Knuth's multiplier: neighbouring ids, as exchanges give them, fall into shards as evenly as random ones.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


class RecordError(ValueError):
    """Bytes that are no uncompressed DBN of MBO records; the text says what they are instead."""


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of a stream: its metadata, MBO records, a symbol mapping or another record."""

    kind: Literal["metadata", "mbo", "mapping", "other"]
    data: bytes
    stride: int

    def rows(self) -> Rows:
        """Take MBO records as rows of bytes, without copying them."""
        return np.frombuffer(self.data, np.uint8).reshape(-1, self.stride)


class Cutter:
    """Cuts a stream into items; what is not whole yet waits for the rest."""

    def __init__(self) -> None:
        self._carry = b""

    @property
    def is_whole(self) -> bool:
        """Whether nothing waits for the rest of it."""
        return not self._carry

    def feed(self, data: bytes) -> Iterator[Item]:
        """Cut what has become whole. Raises RecordError at what is no record."""
        data = self._carry + data if self._carry else data
        self._carry = b""
        view, at = memoryview(data), 0
        while at < len(data):
            item = self._item(view[at:])
            if item is None:
                break
            at += len(item.data)
            yield item
        self._carry = data[at:]

    def _item(self, data: memoryview) -> Item | None:
        if len(data) < METADATA_PRELUDE_BYTES:
            return None
        if data[:3] == METADATA:
            return self._metadata(data)
        if data[:4] == ZSTD:
            raise RecordError("compressed: expected uncompressed DBN (compression=none)")
        length, rtype = data[0] * LENGTH_UNIT, data[1]
        least = MBO_BYTES_MIN if rtype == MBO else HEADER_BYTES
        if length < least:
            raise RecordError(f"a record of {length} bytes and type {rtype:#04x}: expected at least {least} bytes")
        if rtype == MBO:
            count = _run(data, length)
            return Item("mbo", bytes(data[: count * length]), length) if count else None
        if len(data) < length:
            return None
        return Item("mapping" if rtype == SYMBOL_MAPPING else "other", bytes(data[:length]), length)

    def _metadata(self, data: memoryview) -> Item | None:
        length = METADATA_PRELUDE_BYTES + int.from_bytes(data[4:8], "little")
        if length > METADATA_BYTES_MAX:
            raise RecordError(f"metadata of {length} bytes: expected at most {METADATA_BYTES_MAX}")
        return None if len(data) < length else Item("metadata", bytes(data[:length]), length)


class Judge:
    """Looks at items as a market does that would be fed them, at the price of a record for each run."""

    def __init__(self) -> None:
        self._market = Market()
        self._stride = 0

    def look(self, item: Item) -> None:
        """Raise DecodeError for what no market would take."""
        if item.kind == "metadata":
            self._market, self._stride = Market(), 0
        if item.kind != "mbo" or item.stride != self._stride:
            self._market.feed(item.data[: item.stride])
        if item.kind == "mbo":
            self._stride = item.stride


def _run(data: memoryview, length: int) -> int:
    """Count the MBO records of this length that follow each other, whole."""
    rows = np.frombuffer(data[: len(data) // length * length], np.uint8).reshape(-1, length)
    is_same = (rows[:, 0] == length // LENGTH_UNIT) & (rows[:, 1] == MBO)
    return len(rows) if is_same.all() else int(is_same.argmin())


def shards_of_rows(rows: Rows, shards: int) -> NDArray[np.uint64]:
    """Tell the shard of each record's book."""
    publisher, instrument = column(rows, PUBLISHER, np.uint16), column(rows, INSTRUMENT, np.uint32)
    key = (publisher.astype(np.uint64) << _HALF) | instrument
    found: NDArray[np.uint64] = ((key * _GOLDEN) >> _HALF) % np.uint64(shards)
    return found


def shard_of(publisher_id: int, instrument_id: int, shards: int) -> int:
    """Tell the shard of one book; any language can do it like this."""
    key = publisher_id << 32 | instrument_id
    return (key * int(_GOLDEN) % 2**64 >> 32) % shards


def latest_ts_event(rows: Rows) -> int:
    """Find the latest ts_event (ns); 0 if no record has one."""
    times = column(rows, TS_EVENT, np.uint64)
    return int(np.where(times == UNDEF_TS, 0, times).max(initial=0))


def dataset_of(metadata: bytes) -> str:
    """Read the dataset in a stream's metadata."""
    return metadata[DATASET].rstrip(b"\0").decode("ascii", "replace")


def are_whole(data: bytes) -> bool:
    """Tell whether these are whole records and nothing else, as a payload must be."""
    cutter = Cutter()
    try:
        return all(item.kind != "metadata" for item in cutter.feed(data)) and cutter.is_whole
    except RecordError:
        return False


def is_head(data: bytes) -> bool:
    """Tell whether this is metadata and symbol mappings, whole, or mappings alone."""
    cutter = Cutter()
    try:
        kinds = [item.kind for item in cutter.feed(data)]
    except RecordError:
        return False
    return cutter.is_whole and all(kind in ("metadata", "mapping") for kind in kinds)


def column(rows: Rows, place: slice, dtype: Any) -> NDArray[Any]:
    """Read one field of all records."""
    found: NDArray[Any] = np.ascontiguousarray(rows[:, place]).view(dtype).reshape(-1)
    return found
