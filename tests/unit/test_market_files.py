"""`Market.feed_file` and `FileReader`: whole files, good and bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import zstandard

from agreement import assert_market_agrees
from dbn_bytes import RECORD_BYTES, T0, UNIT, Mbo, metadata, other_record, split, stream
from l3book import DecodeError, Market, verify
from l3book._core import FileReader
from oracle import OracleMarket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

P = 100 * UNIT
HEADER = metadata(3, symbols={"CLX5": 1})
GOOD = [Mbo("A", "B", P - n, 1 + n, n, ts_event=T0 + 10 * n, ts_recv=T0 + 10 * n + 5) for n in range(6)]
WHOLE = HEADER + stream(GOOD)


def packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.fixture(params=["dbn", "dbn.zst"])
def good_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"good.{request.param}"
    path.write_bytes(packed(WHOLE) if request.param.endswith("zst") else WHOLE)
    return path


BAD_FILES = {
    "empty": (b"", 0, "empty"),
    "text": (b"This is text, and not market data.\n" * 9, 0, "DBN"),
    "cut in the magic": (WHOLE[:3], 0, "metadata"),
    "cut in the metadata": (WHOLE[: len(HEADER) - 1], 0, "metadata"),
    "cut in a record": (WHOLE[:-1], 5, "record 5"),
    "cut zstd": (packed(WHOLE)[:-1], None, "zstd"),
    "a version from the future": (b"DBN\x09" + WHOLE[4:], 0, "version"),
    "another schema": (metadata(3, schema=4) + other_record(), 0, "trades"),
    "a record of length zero": (WHOLE + bytes(56), 6, "length"),
    "a metadata length that lies": (WHOLE[:4] + b"\xff\xff\xff\xff" + WHOLE[8:], 0, "metadata"),
}


@pytest.mark.parametrize(("data", "kept", "names"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_one_clear_line_and_keeps_what_was_good(
    data: bytes, kept: int | None, names: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.dbn"
    path.write_bytes(data)
    market = Market()
    with pytest.raises(DecodeError, match=names) as caught:
        market.feed_file(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: byte ")
    assert caught.value.filename == path
    records = market.stats()["records"]
    assert kept is None or records == kept
    assert_market_agrees(market, OracleMarket().feed(GOOD[:records]))


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    for reader in (Market().feed_file, FileReader):
        with pytest.raises(FileNotFoundError, match=r"none\.dbn"):
            reader(tmp_path / "none.dbn")
        with pytest.raises(IsADirectoryError, match=tmp_path.name):
            reader(tmp_path)


def test_progress_ends_at_the_size_of_the_file(good_file: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert Market().feed_file(good_file, progress=lambda done, total: seen.append((done, total))) == len(GOOD)
    size = good_file.stat().st_size
    assert seen[-1] == (size, size)


class Bar:
    """As tqdm's: no function, told by how many more there are."""

    total: int | None = None

    def __init__(self) -> None:
        self.n = 0

    def update(self, n: int) -> None:
        self.n += n


@pytest.mark.parametrize("read", [Market().feed_file, verify], ids=["feed_file", "verify"])
def test_progress_is_a_bar(good_file: Path, read: Callable[..., object]) -> None:
    bar = Bar()
    read(good_file, progress=bar)
    assert (bar.n, bar.total) == (good_file.stat().st_size,) * 2


@pytest.mark.parametrize("read", [Market().feed_file, verify], ids=["feed_file", "verify"])
def test_what_cannot_be_told_of_progress_is_refused_before_anything_is_read(
    good_file: Path, read: Callable[..., object]
) -> None:
    with pytest.raises(TypeError, match="progress of type bool, expected a function"):
        read(good_file.with_name("missing"), progress=True)


def test_an_error_in_progress_is_not_swallowed(good_file: Path) -> None:
    def fail(done: int, total: int) -> None:
        raise KeyError(total)

    with pytest.raises(KeyError):
        Market().feed_file(good_file, progress=fail)


def test_two_files_after_each_other_are_one_market(good_file: Path) -> None:
    market = Market()
    market.feed_file(good_file)
    market.feed_file(good_file)
    assert_market_agrees(market, OracleMarket().feed(GOOD * 2))


@pytest.mark.parametrize("step", [1, 2, 4, 100])
def test_a_reader_gives_whole_records_and_the_metadata_first(good_file: Path, step: int) -> None:
    reader = FileReader(good_file)
    first = reader.read(step)
    header, records = split(first)
    assert header == HEADER
    pieces = [records]
    while not reader.ended:
        pieces.append(reader.read(step))
    assert b"".join(pieces) == stream(GOOD)
    assert [len(p) for p in pieces if p] == [len(p) for p in pieces[:-1]] + [len(pieces[-1])] * bool(pieces[-1])
    assert all(len(p) <= step * RECORD_BYTES for p in pieces)
    assert reader.read(step) == b""
    assert (reader.offset, reader.size) == (good_file.stat().st_size,) * 2
    assert reader.next_ts is None


def test_a_reader_stops_before_the_records_that_are_too_late(good_file: Path) -> None:
    reader = FileReader(good_file)
    assert reader.next_ts == GOOD[0].ts_recv
    _, records = split(reader.read(100, GOOD[2].ts_recv))
    assert records == stream(GOOD[:3])
    assert (reader.next_ts, reader.ended) == (GOOD[3].ts_recv, False)
    assert reader.read(100, GOOD[3].ts_recv - 1) == b""
    assert reader.read(1, GOOD[5].ts_recv) == stream(GOOD[3:4])
    assert reader.read(100) == stream(GOOD[4:])
    assert reader.read(100) == b""
    assert reader.ended


def test_what_a_reader_gives_makes_the_same_market(good_file: Path) -> None:
    reader, market = FileReader(good_file), Market()
    while not reader.ended:
        market.feed(reader.read(4))
    market.finish()
    assert_market_agrees(market, OracleMarket().feed(GOOD))
    assert market.book("CLX5").instrument_id == 1


def test_a_reader_passes_other_records_on(tmp_path: Path) -> None:
    path = tmp_path / "mixed.dbn"
    data = metadata(3, schema=0xFFFF) + other_record() + stream(GOOD[:1]) + other_record(0x17, 320) + stream(GOOD[1:])
    path.write_bytes(data)
    reader, read = FileReader(path), b""
    while not reader.ended:
        read += reader.read(2)
    assert read == data


@pytest.mark.parametrize("name", BAD_FILES)
def test_what_is_bad_in_a_file_is_not_lost_between_reader_and_market(name: str, tmp_path: Path) -> None:
    data, kept, _ = BAD_FILES[name]
    path = tmp_path / "bad.dbn"
    path.write_bytes(data)
    market = Market()
    with pytest.raises(DecodeError) as caught:
        read_through(path, market)
    assert "\n" not in str(caught.value)
    assert kept is None or market.stats()["records"] == kept


def read_through(path: Path, market: Market) -> None:
    reader = FileReader(path)
    while not reader.ended:
        market.feed(reader.read(3))
    market.finish()


def test_a_bad_file_is_not_the_fault_of_the_next(tmp_path: Path, good_file: Path) -> None:
    bad = tmp_path / "bad.dbn"
    bad.write_bytes(WHOLE[:-1])
    market = Market()
    with pytest.raises(DecodeError, match=r"bad\.dbn"):
        market.feed_file(bad)
    assert market.feed_file(good_file) == len(GOOD)


def test_a_file_given_up_halfway_leaves_nothing_behind(tmp_path: Path, good_file: Path) -> None:
    long = tmp_path / "long.dbn"
    long.write_bytes(HEADER + stream(GOOD) * 20_000 + b"\x0e")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    market = Market()
    with pytest.raises(KeyboardInterrupt):
        market.feed_file(long, progress=stop)
    assert market.feed_file(good_file) == len(GOOD)


def test_frames_that_begin_with_a_skippable_one_are_read_as_records(tmp_path: Path) -> None:
    path = tmp_path / "pz.dbn.zst"
    path.write_bytes(b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"\1\2\3\4" + packed(WHOLE))
    assert Market().feed_file(path) == len(GOOD)
    reader = FileReader(path)
    assert reader.next_ts == GOOD[0].ts_recv
    assert reader.read(2) == HEADER + stream(GOOD[:2])


@pytest.mark.parametrize(
    "junk", [bytes(8_000_000), b"DBN\x03\xff\xff\xff\xff" + bytes(8_000_000)], ids=["zeros", "lie"]
)
def test_damage_is_handed_out_in_pieces_and_not_as_a_whole(junk: bytes, tmp_path: Path) -> None:
    path = tmp_path / "junk.dbn"
    path.write_bytes(WHOLE + junk)
    reader, handed_out = FileReader(path), b""
    market = Market()

    def feed_all() -> None:
        nonlocal handed_out
        while piece := reader.read(1_000_000):
            handed_out += piece
            market.feed(piece)

    with pytest.raises(DecodeError):
        feed_all()
    assert len(handed_out) < 1_000_000
    assert market.stats()["records"] == len(GOOD)


def test_a_device_is_refused(tmp_path: Path) -> None:
    for reader in (Market().feed_file, FileReader):
        with pytest.raises(OSError, match="not a regular file"):
            reader("/dev/zero")


def test_bytes_fed_are_counted(good_file: Path) -> None:
    market = Market()
    market.feed_file(good_file)
    market.feed(WHOLE)
    assert market.stats()["bytes"] == 2 * len(WHOLE)
