"""The same bytes give the same books, however they are cut, wrapped, compressed or mixed."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement import assert_market_agrees, contents
from dbn_bytes import RECORD_BYTES, SCHEMA_NONE, STYPE_NONE, Mbo, chunks, metadata, other_record, stream
from l3book import Market
from oracle import COUNTERS, OracleMarket
from streams import cut, cuts, records

if TYPE_CHECKING:
    from collections.abc import Iterable

SYMBOLS = {"CLX5": 1, "ESZ5": 2**32 - 1}
OTHERS = (
    (0x00, 48),
    (0x01, 80),
    (0x0A, 368),
    (0x16, 320),
    (0x17, 320),
    (0x13, 400),
)


def fed(pieces: Iterable[Any]) -> Market:
    market = Market()
    for piece in pieces:
        market.feed(piece)
    market.finish()
    return market


def counters(market: Market) -> dict[str, int]:
    stats = market.stats()
    return {name: stats[name] for name in (*COUNTERS, "books", "other_records", "metadata_headers")}


def assert_same(market: Market, expected: Market) -> None:
    assert contents(market) == contents(expected)
    assert counters(market) == counters(expected)


@st.composite
def dbn(draw: st.DrawFn, *, others: bool = True) -> tuple[bytes, list]:
    """A DBN stream of any version, with or without ts_out and other records, and its MBO records."""
    ts_out = draw(st.booleans())
    schema = draw(st.sampled_from((0, SCHEMA_NONE)))
    data = metadata(
        draw(st.sampled_from((1, 2, 3))),
        ts_out=ts_out,
        schema=schema,
        stype_in=STYPE_NONE if schema else 1,
        symbols=draw(st.sampled_from(({}, SYMBOLS))),
    )
    mbo = draw(records(max_size=40))
    between = draw(st.lists(st.sampled_from(OTHERS), max_size=8)) if others else []
    for n, record in enumerate(mbo):
        if n % 3 == 2 and between:
            data += other_record(*between.pop())
        data += record.to_bytes(record.ts_recv + 9 if ts_out else None)
    return data, mbo


@given(made=dbn(), data=st.data())
@settings(max_examples=150)
def test_any_chunking_gives_the_same_books(made: tuple[bytes, list], data: st.DataObject) -> None:
    whole, mbo = made
    expected = fed([whole])
    assert_market_agrees(expected, OracleMarket().feed(mbo))
    assert_same(fed(cut(whole, data.draw(cuts(len(whole))))), expected)
    size = data.draw(st.sampled_from((1, 2, 3, 7, 8, 55, 56, 57, 64, 1000)))
    assert_same(fed(chunks(whole, size)), expected)


@given(made=dbn(), data=st.data())
@settings(max_examples=100)
def test_zstd_frames_cut_anywhere_give_the_same_books(made: tuple[bytes, list], data: st.DataObject) -> None:
    whole, _ = made
    pack = zstandard.ZstdCompressor(level=1).compress
    packed = b"".join(pack(frame) for frame in cut(whole, data.draw(cuts(len(whole)))))
    expected = fed([whole])
    assert_same(fed([packed]), expected)
    assert_same(fed(cut(packed, data.draw(cuts(len(packed))))), expected)
    assert_same(fed(chunks(packed, data.draw(st.sampled_from((1, 3, 17, 4096))))), expected)


@given(made=dbn(), frames=st.booleans())
@settings(max_examples=40)
def test_a_file_gives_the_same_books(made: tuple[bytes, list], frames: bool) -> None:
    whole, mbo = made
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder) / "a.dbn", Path(folder) / "a.dbn.zst"
        plain.write_bytes(whole)
        pack = zstandard.ZstdCompressor().compress
        packed.write_bytes(pack(whole[:100]) + pack(whole[100:]) if frames else pack(whole))
        for path in (plain, packed):
            market = Market()
            assert market.feed_file(path) == len(mbo)
            assert_same(market, fed([whole]))


@given(mbo=records(min_size=1, max_size=30), ts_out=st.booleans(), data=st.data())
@settings(max_examples=60)
def test_bare_records_need_no_metadata(mbo: list, ts_out: bool, data: st.DataObject) -> None:
    bare = stream(mbo, ts_out=ts_out)
    market = fed(cut(bare, data.draw(cuts(len(bare)))))
    assert_market_agrees(market, OracleMarket().feed(mbo))
    assert market.stats()["metadata_headers"] == 0


@given(first=dbn(), second=dbn(), data=st.data())
@settings(max_examples=60)
def test_files_that_follow_each_other_are_one_stream(first: tuple, second: tuple, data: st.DataObject) -> None:
    whole = first[0] + second[0]
    market = fed(cut(whole, data.draw(cuts(len(whole)))))
    assert_market_agrees(market, OracleMarket().feed(first[1] + second[1]))
    assert market.stats()["metadata_headers"] == 2


def in_mmap(data: bytes) -> mmap.mmap:
    mapped = mmap.mmap(-1, max(1, len(data)))
    mapped.write(data)
    return mapped


@pytest.mark.parametrize(
    "wrap",
    [
        bytearray,
        memoryview,
        in_mmap,
        lambda d: memoryview(b"\xaa" + d)[1:],
        lambda d: memoryview(b"\xaa" * 5 + d + b"\xaa" * 3)[5:-3],
        lambda d: np.frombuffer(d, np.uint8),
        lambda d: np.frombuffer(d, "<u8"),
        lambda d: memoryview(d).cast("B", (len(d) // 8, 8)),
    ],
    ids=[
        "bytearray",
        "memoryview",
        "mmap",
        "offset 1",
        "offset 5",
        "numpy u8",
        "numpy u64",
        "two dimensions",
    ],
)
@given(mbo=records(max_size=20))
@settings(max_examples=20)
def test_any_buffer_gives_the_same_books(wrap: Any, mbo: list) -> None:
    data = metadata(3) + stream(mbo)
    assert len(data) % 8 == 0
    assert_same(fed([wrap(data)]), fed([data]))


PACK = zstandard.ZstdCompressor().compress
EMPTY_CHUNK_STREAMS = {
    "raw": lambda data: [b"", data, b""],
    "raw, inside a record": lambda data: [data[:-9], b"", data[-9:], b"", b""],
    "zstd": lambda data: [b"", PACK(data), b"", b""],
    "zstd, inside a frame": lambda data: [PACK(data)[:20], b"", PACK(data)[20:]],
    "zstd, between frames": lambda data: [PACK(data[:50]), b"", PACK(data[50:]), b""],
    "zstd, an empty frame": lambda data: [PACK(b""), PACK(data), PACK(b""), b""],
    "zstd, skippable frames": lambda data: [SKIPPABLE, PACK(data), SKIPPABLE, b""],
}
SKIPPABLE = bytes.fromhex("502A4D18 05000000") + b"hello"


@pytest.mark.parametrize("pieces", EMPTY_CHUNK_STREAMS.values(), ids=EMPTY_CHUNK_STREAMS)
def test_chunks_and_frames_without_content_change_nothing(pieces: Any) -> None:
    data = metadata(3) + stream([Mbo("A", "B", 5, 1, n) for n in range(5)])
    assert_same(fed(pieces(data)), fed([data]))


def test_a_buffer_may_change_after_it_was_fed() -> None:
    market = Market()
    record = Mbo("A", "B", 5, 1, 1).to_bytes()
    half = bytearray(record[:30])
    market.feed(half)
    half[:] = b"\xff" * 30
    market.feed(record[30:])
    assert market.book((1, 1)).order(1) is not None


@pytest.mark.parametrize(
    ("bad", "names"),
    [
        ("text", "str"),
        (None, "None"),
        (5, "int"),
        ([1, 2], "list"),
        (memoryview(bytes(2 * RECORD_BYTES))[::2], "contiguous"),
    ],
    ids=["text", "none", "number", "list", "strided"],
)
def test_what_is_not_a_buffer_is_refused(bad: Any, names: str) -> None:
    market = Market()
    with pytest.raises((TypeError, ValueError, BufferError), match=names):
        market.feed(bad)
    assert market.stats()["records"] == 0


@given(mbo=records(max_size=60), data=st.data())
@settings(max_examples=60)
def test_until_stops_each_book_after_its_last_event_at_that_time(mbo: list, data: st.DataObject) -> None:
    ends = [r.ts_event for r in mbo] or [1]
    until = data.draw(st.sampled_from(ends)) + data.draw(st.integers(-1, 1))
    market = Market(until=until)
    market.feed(stream(mbo))
    assert_market_agrees(market, OracleMarket(until=until).feed(mbo))
