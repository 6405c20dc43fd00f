"""DBN made and read by hand: `struct` only, so that a decoder is never tested against itself.

Layouts are those of the DBN encoding (https://databento.com/docs/standards-and-conventions/databento-binary-encoding).
Everything is little endian. Prices are in units of 1e-9, times are UNIX nanoseconds.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAST = 128
TOB = 64
SNAPSHOT = 32
MBP = 16
BAD_TS_RECV = 8
MAYBE_BAD_BOOK = 4
PUBLISHER_SPECIFIC = 2

UNDEF_PRICE = 2**63 - 1
UNDEF_TIMESTAMP = 2**64 - 1
UNIT = 1_000_000_000
RTYPE_MBO = 0xA0
RTYPE_TRADE = 0x00
RTYPE_SYSTEM = 0x17
SCHEMA_MBO = 0
SCHEMA_NONE = 0xFFFF
STYPE_INSTRUMENT_ID = 0
STYPE_RAW_SYMBOL = 1
STYPE_NONE = 0xFF
RECORD_BYTES = 56
RECORD_BYTES_TS_OUT = 64
PRELUDE_BYTES = 8
SYMBOL_BYTES = {1: 22, 2: 71, 3: 71}

# 2025-09-24 19:30 UTC; odd below a microsecond, and far beyond 2^53, so that a float on the way is noticed.
T0 = 1_758_742_200_123_456_789

_MBO = struct.Struct("<BBHIQQqIBBccQiI")
_TS_OUT = struct.Struct("<Q")


class Mbo(NamedTuple):
    """One MBO record; `to_bytes` gives its 56 bytes."""

    action: str
    side: str = "N"
    price: int = UNDEF_PRICE
    size: int = 0
    order_id: int = 0
    flags: int = LAST
    ts_event: int = T0
    ts_recv: int = T0
    ts_in_delta: int = 0
    sequence: int = 0
    channel_id: int = 0
    publisher_id: int = 1
    instrument_id: int = 1

    def to_bytes(self, ts_out: int | None = None) -> bytes:
        body = _MBO.pack(
            (RECORD_BYTES if ts_out is None else RECORD_BYTES_TS_OUT) // 4,
            RTYPE_MBO,
            self.publisher_id,
            self.instrument_id,
            self.ts_event,
            self.order_id,
            self.price,
            self.size,
            self.flags,
            self.channel_id,
            self.action.encode("latin-1"),
            self.side.encode("latin-1"),
            self.ts_recv,
            self.ts_in_delta,
            self.sequence,
        )
        return body if ts_out is None else body + _TS_OUT.pack(ts_out)

    @classmethod
    def from_bytes(cls, data: bytes) -> Mbo:
        fields = _MBO.unpack_from(data)
        (_, rtype, publisher_id, instrument_id, ts_event, order_id, price, size) = fields[:8]
        flags, channel_id, action, side, ts_recv, ts_in_delta, sequence = fields[8:]
        assert rtype == RTYPE_MBO, f"rtype 0x{rtype:02X} is not MBO"
        return cls(
            action.decode("latin-1"),
            side.decode("latin-1"),
            price,
            size,
            order_id,
            flags,
            ts_event,
            ts_recv,
            ts_in_delta,
            sequence,
            channel_id,
            publisher_id,
            instrument_id,
        )

    @property
    def last(self) -> bool:
        return bool(self.flags & LAST)

    @property
    def key(self) -> tuple[int, int]:
        return self.publisher_id, self.instrument_id


def record(
    action: str, side: str = "N", price: int = UNDEF_PRICE, *, ts_out: int | None = None, **fields: int
) -> bytes:
    """The bytes of one MBO record: 56, or 64 with `ts_out`."""
    return Mbo(action, side, price, **fields).to_bytes(ts_out)


def stream(records: Sequence[Mbo], *, ts_out: bool = False) -> bytes:
    """Bare records, without metadata."""
    return b"".join(r.to_bytes(r.ts_recv + 1 if ts_out else None) for r in records)


def other_record(rtype: int = RTYPE_TRADE, length_bytes: int = 48, instrument_id: int = 1) -> bytes:
    """A record that is not MBO; its body would read as a Clear if it were taken for one."""
    head = struct.pack("<BBHIQ", length_bytes // 4, rtype, 1, instrument_id, T0)
    return head + b"R" * (length_bytes - len(head))


def metadata(
    version: int = 3,
    *,
    dataset: str = "GLBX.MDP3",
    schema: int = SCHEMA_MBO,
    start: int = T0,
    end: int = UNDEF_TIMESTAMP,
    limit: int = 0,
    stype_in: int = STYPE_RAW_SYMBOL,
    stype_out: int = STYPE_INSTRUMENT_ID,
    ts_out: bool = False,
    symbols: dict[str, int] | None = None,
    dates: tuple[int, int] = (20250924, 20250925),
) -> bytes:
    """The header of a DBN stream, version 1, 2 or 3; `symbols` maps raw symbols to instrument_ids.

    `dates` are the first and the last day (exclusive) of every mapping, as YYYYMMDD.
    """
    symbols = symbols or {}
    symbol_bytes = SYMBOL_BYTES[version]
    fixed = dataset.encode().ljust(16, b"\0") + struct.pack("<HQQQ", schema, start, end, limit)
    if version == 1:
        fixed += struct.pack("<Q", 2**64 - 1)  # record_count, dropped in version 2
    fixed += struct.pack("<BBB", stype_in, stype_out, ts_out)
    if version > 1:
        fixed += struct.pack("<H", symbol_bytes)
    fixed = fixed.ljust(100, b"\0")
    assert len(fixed) == 100

    def cstr(text: str) -> bytes:
        return text.encode().ljust(symbol_bytes, b"\0")

    body = fixed + struct.pack("<I", 0)  # no schema definition
    body += struct.pack("<I", len(symbols)) + b"".join(cstr(s) for s in symbols)
    body += struct.pack("<II", 0, 0)  # nothing partial, nothing not found
    body += struct.pack("<I", len(symbols))
    for symbol, instrument_id in symbols.items():
        body += cstr(symbol) + struct.pack("<III", 1, *dates) + cstr(str(instrument_id))
    if version > 2:
        body += b"\0" * (-(PRELUDE_BYTES + len(body)) % 8)  # version 3 keeps the records aligned
    return b"DBN" + struct.pack("<BI", version, len(body)) + body


def split(data: bytes) -> tuple[bytes, bytes]:
    """A DBN stream as (metadata, records)."""
    assert data[:3] == b"DBN", f"not DBN: {data[:4]!r}"
    end = PRELUDE_BYTES + struct.unpack_from("<I", data, 4)[0]
    return data[:end], data[end:]


def raw_records(data: bytes) -> Iterator[bytes]:
    """Each record of a stream without metadata, by its own length byte."""
    at = 0
    while at < len(data):
        length = data[at] * 4
        assert 16 <= length <= len(data) - at, f"record at {at} claims {length} bytes of {len(data) - at}"
        yield data[at : at + length]
        at += length


def parse(data: bytes) -> list[Mbo]:
    """All MBO records of a DBN stream with its metadata; other records are passed over."""
    return [Mbo.from_bytes(raw) for raw in raw_records(split(data)[1]) if raw[1] == RTYPE_MBO]


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]
