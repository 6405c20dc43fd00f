"""Hypothesis strategies: MBO streams that are small, dense with collisions, and hostile.

A stream is decoded from bytes that Hypothesis draws, six for each record: many times faster than a
strategy per field, and it still shrinks, because zero bytes are the plainest record. Left out are only the
combinations on which the documents of the format are silent: a TOB flag on a Modify or on an Add of size 0, a
record at fault in two ways, MAYBE_BAD_BOOK on a record that itself ends suspicion; the Rust tests have those too.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from dbn_bytes import (
    BAD_TS_RECV,
    LAST,
    MAYBE_BAD_BOOK,
    PUBLISHER_SPECIFIC,
    SNAPSHOT,
    T0,
    TOB,
    UNDEF_PRICE,
    UNIT,
    Mbo,
)

U32_MAX = 2**32 - 1
# Few ids, so that duplicates and unknown ids are common; multiples of 2^32 collide in a weak hash.
ORDER_IDS = (1, 2, 3, 4, 0, 2**32, 2**33, 2**63, 2**64 - 1)
TOB_ORDER_ID = 77
PRICES = (100 * UNIT, 99 * UNIT, 100 * UNIT + 1, 101 * UNIT)
FAR_PRICES = (0, -1, -(2**63), UNDEF_PRICE - 1)
SIZES = (1, 2, 3, 5)
FAR_SIZES = (0, U32_MAX, U32_MAX - 1)
KEYS = ((1, 1), (2, 1), (1, 2**32 - 1))
FLAGS = (LAST, LAST, 0, LAST, 0, LAST | PUBLISHER_SPECIFIC, PUBLISHER_SPECIFIC, LAST | BAD_TS_RECV)
SNAPSHOT_FLAGS = (SNAPSHOT | BAD_TS_RECV, SNAPSHOT | BAD_TS_RECV | LAST, SNAPSHOT)
KINDS = (
    *("A",) * 20,
    *("C",) * 12,
    *("M",) * 16,
    *("T", "F", "N", "R"),
    *("snapshot R", "snapshot A", "snapshot A", "TOB", "doubtful", "bad action", "bad side", "bad price"),
)
BYTES_PER_RECORD = 6
PAUSES_NS = (500_000_000, 1_500_000_000)


def decode(raw: bytes) -> Mbo:
    """Six drawn bytes as a record, without its key and its times."""
    kind, side_byte, price_byte, size_byte, id_byte, flags_byte = raw
    name = KINDS[kind % len(KINDS)]
    side = "BA"[side_byte % 2]
    price = FAR_PRICES[price_byte % 4] if price_byte >= 224 else PRICES[price_byte % 4]
    size = FAR_SIZES[size_byte % 3] if size_byte >= 208 else SIZES[size_byte % 4]
    record = Mbo(
        name[-1],
        side,
        price,
        size,
        ORDER_IDS[id_byte % 9 if id_byte >= 128 else id_byte % 3],
        FLAGS[flags_byte % 8],
    )
    if name == "R":
        return record._replace(side="NBA"[side_byte % 3])
    if name.startswith("snapshot"):
        return record._replace(flags=SNAPSHOT_FLAGS[flags_byte % 3])
    if name == "TOB":
        return record._replace(
            action="A",
            price=UNDEF_PRICE if id_byte % 4 == 3 else price,
            size=max(size, 1),
            order_id=TOB_ORDER_ID,
            flags=TOB | (record.flags & LAST),
        )
    if name == "doubtful":
        return record._replace(action="ACMTFN?"[id_byte % 7], flags=record.flags | MAYBE_BAD_BOOK)
    if name == "bad action":
        return record._replace(action="aXz\0\xff"[id_byte % 5])
    if name == "bad side":
        return record._replace(action="AM"[id_byte % 2], side="NX\0"[side_byte % 3])
    if name == "bad price":
        return record._replace(action="AM"[id_byte % 2], price=UNDEF_PRICE)
    return record


@st.composite
def records(
    draw: st.DrawFn, *, min_size: int = 0, max_size: int = 60, keys: tuple[tuple[int, int], ...] = KEYS
) -> list[Mbo]:
    """A stream over several books; times move on, a little unevenly, now and then past the age of a forced event."""
    size = draw(st.integers(min_size, max_size)) * BYTES_PER_RECORD
    drawn = draw(st.binary(min_size=size, max_size=size))
    stream = []
    pause_ns = 0
    for n in range(size // BYTES_PER_RECORD):
        raw = drawn[n * BYTES_PER_RECORD : (n + 1) * BYTES_PER_RECORD]
        publisher_id, instrument_id = keys[raw[1] // 64 % len(keys)]
        if raw[3] % 64 == 63:
            pause_ns += PAUSES_NS[raw[5] % 2]
        ts_event = T0 + 1_000 * n - (n * 7 % 13) * 300 + pause_ns
        stream.append(
            decode(raw)._replace(
                publisher_id=publisher_id,
                instrument_id=instrument_id,
                ts_event=ts_event,
                ts_recv=ts_event + 150 + n * 11 % 7,
                sequence=n * 3 // 2,
            )
        )
    return stream


def cuts(length: int) -> st.SearchStrategy[list[int]]:
    """Where to cut `length` bytes: a few places, in order."""
    return st.lists(st.integers(0, length), max_size=12).map(sorted)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = [0, *at, len(data)]
    return [data[a:b] for a, b in pairwise(ends)]
