"""Bytes that are not what they should be: one clear error, and the good records before it are kept."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agreement import assert_market_agrees
from dbn_bytes import RECORD_BYTES, RECORD_BYTES_TS_OUT, T0, Mbo, chunks, metadata, other_record, stream
from l3book import DecodeError, Market
from oracle import OracleMarket
from streams import records

GOOD = [Mbo("A", "BA"[n % 2], 100 + n % 3, 1 + n, n, ts_event=T0 + n) for n in range(4)]
HEADER = metadata(3, symbols={"CLX5": 1})


def feed_all(*pieces: bytes) -> tuple[Market, DecodeError | None]:
    market = Market()
    try:
        for piece in pieces:
            market.feed(piece)
        market.finish()
    except DecodeError as error:
        return market, error
    return market, None


def assert_clear(error: DecodeError, size: int) -> None:
    text = str(error)
    assert text
    assert "\n" not in text
    assert isinstance(error.offset, int)
    assert 0 <= error.offset <= size
    assert str(error.offset) in text, "the line names the position"


@given(data=st.binary(max_size=400))
@example(b"DBN")
@example(b"DBN\x03\xff\xff\xff\xff")
@example(b"DBN\x04" + metadata(3)[4:])
@example(b"DBN\x00" + metadata(3)[4:])
@example(b"\x28\xb5\x2f\xfd")
@example(b"\x0e\xa0")
@example(b"\x00" * 64)
@example(b"\xff" * 1100)
@example(b"Some text that is not DBN at all, and goes on for longer than a record does.\n")
@settings(max_examples=500)
def test_arbitrary_bytes_raise_decode_error_or_return(data: bytes) -> None:
    market, error = feed_all(data)
    market.check()
    market.stats()
    market.problems()
    if error is not None:
        assert_clear(error, len(data))


@given(mbo=records(max_size=12), version=st.sampled_from((1, 2, 3)), data=st.data())
@settings(max_examples=300)
def test_a_damaged_stream_raises_decode_error_or_returns(mbo: list, version: int, data: st.DataObject) -> None:
    whole = bytearray(metadata(version, symbols={"CLX5": 1}) + stream(mbo))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    market, error = feed_all(bytes(whole))
    market.check()
    market.problems()
    for instrument in market.instruments():
        market.snapshot((instrument.publisher_id, instrument.instrument_id), None, level=3).to_json()
    if error is not None:
        assert_clear(error, len(whole))


@given(mbo=records(max_size=12), data=st.data())
@settings(max_examples=200)
def test_damaged_zstd_raises_decode_error_or_returns(mbo: list, data: st.DataObject) -> None:
    packed = bytearray(zstandard.ZstdCompressor().compress(metadata(3) + stream(mbo)))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    market, error = feed_all(bytes(packed))
    market.check()
    if error is not None:
        assert "\n" not in str(error)
        assert error.offset >= 0


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("ts_out", [False, True])
def test_truncation_at_every_byte_names_the_place_and_keeps_the_good_records(version: int, ts_out: bool) -> None:
    header = metadata(version, ts_out=ts_out, symbols={"CLX5": 1})
    whole = header + stream(GOOD, ts_out=ts_out)
    size = RECORD_BYTES_TS_OUT if ts_out else RECORD_BYTES
    for end in range(1, len(whole) + 1):
        market, error = feed_all(whole[:end])
        complete = max(0, end - len(header)) // size
        assert_market_agrees(market, OracleMarket().feed(GOOD[:complete]))
        clean = end >= len(header) and (end - len(header)) % size == 0
        assert (error is None) == clean, f"cut after {end} of {len(whole)} bytes"
        if error is not None:
            assert_clear(error, end)
            if end > len(header):
                assert error.offset >= len(header) + complete * size


def test_truncated_zstd_at_every_byte_is_an_error_and_keeps_the_good_records() -> None:
    whole = zstandard.ZstdCompressor().compress(HEADER + stream(GOOD))
    for end in range(1, len(whole)):
        market, error = feed_all(whole[:end])
        assert error is not None, f"cut after {end} of {len(whole)} bytes"
        assert "\n" not in str(error)
        kept = market.stats()["records"]
        assert_market_agrees(market, OracleMarket().feed(GOOD[:kept]))
    market, error = feed_all(whole)
    assert (error, market.stats()["records"]) == (None, len(GOOD))


BAD_TAILS = {
    "a length of zero": b"\x00" * 56,
    "a length below a record header": b"\x03\xa0" + bytes(60),
    "an MBO record that is too short": b"\x0a" + GOOD[0].to_bytes()[1:],
    "an MBO record that is too long": b"\x20" + GOOD[0].to_bytes()[1:] + bytes(80),
}


@pytest.mark.parametrize("tail", BAD_TAILS.values(), ids=BAD_TAILS)
@pytest.mark.parametrize("piece", [1, 56, 10_000])
def test_a_bad_record_is_an_error_at_its_offset_and_the_feed_stays_closed(tail: bytes, piece: int) -> None:
    start = len(HEADER) + len(GOOD) * RECORD_BYTES
    whole = HEADER + stream(GOOD) + tail
    market, error = feed_all(*chunks(whole, piece))
    assert error is not None
    assert_clear(error, len(whole))
    assert start <= error.offset < start + 16
    with pytest.raises(DecodeError) as second:
        market.feed(GOOD[0].to_bytes())
    assert_clear(second.value, len(whole))
    assert_market_agrees(market, OracleMarket().feed(GOOD))


def test_a_rejected_record_is_listed_with_its_place() -> None:
    bad = Mbo("A", "N", 5, 1, 42, sequence=7, ts_event=T0 + 5)
    market = Market()
    market.feed(HEADER + stream([*GOOD, bad, *GOOD]))
    (problem,) = market.problems()
    assert problem["offset"] == len(HEADER) + len(GOOD) * RECORD_BYTES
    assert (problem["order_id"], problem["sequence"], problem["ts_event"]) == (42, 7, T0 + 5)
    assert "side" in problem["reason"]
    assert "\n" not in problem["message"]
    assert market.stats()["rejected_side"] == 1


def test_only_the_first_sixteen_rejected_records_are_listed_and_all_are_counted() -> None:
    market = Market()
    market.feed(stream([Mbo("?", order_id=n) for n in range(40)]))
    assert [p["order_id"] for p in market.problems()] == list(range(16))
    assert market.stats()["rejected_action"] == 40


# mbp-0, mbp-1, mbp-10, the five of ohlcv, status, definition, imbalance, error, symbol mapping, system,
# statistics, and since version 2 the consolidated ones and bbo.
OTHER_RTYPES = bytes.fromhex("00 01 0A 11 20 21 22 23 24 12 13 14 15 16 17 18 B1 C0 C1 C3 C4")


@pytest.mark.parametrize("size", [48, 80, 400])
def test_records_of_every_other_type_are_passed_over(size: int) -> None:
    others = [other_record(rtype, size) for rtype in OTHER_RTYPES]
    market = Market()
    assert market.feed(HEADER + b"".join(others) + stream(GOOD)) == len(GOOD)
    market.finish()
    assert_market_agrees(market, OracleMarket().feed(GOOD))
