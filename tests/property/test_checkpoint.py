"""A market that was written to bytes and read back goes on as if it had never stopped."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement import assert_market_agrees, contents
from dbn_bytes import Mbo, metadata, stream
from l3book import CheckpointError, Market
from oracle import OracleMarket
from streams import ORDER_IDS, TOB_ORDER_ID, records

SYMBOLS = {"CLX5": 1}


@pytest.mark.parametrize("rule", ["keeps_place", "to_back"])
@given(mbo=records(), data=st.data(), header=st.booleans())
@settings(max_examples=120)
def test_stopping_at_any_record_and_going_on_is_never_stopping(
    rule: str, mbo: list, data: st.DataObject, header: bool
) -> None:
    stop = data.draw(st.integers(0, len(mbo)))
    head = metadata(3, symbols=SYMBOLS) if header else b""
    market = Market(same_size_modify=rule)
    market.feed(head + stream(mbo[:stop]))
    again = Market.from_bytes(market.to_bytes())
    assert contents(again) == contents(market)
    market.feed(stream(mbo[stop:]))
    again.feed(stream(mbo[stop:]))
    assert contents(again) == contents(market)
    assert_market_agrees(again, OracleMarket(rule == "to_back").feed(mbo), (*ORDER_IDS, TOB_ORDER_ID))


@given(mbo=records())
@settings(max_examples=60)
def test_the_bytes_are_a_function_of_the_market(mbo: list) -> None:
    market = Market()
    market.feed(metadata(3, symbols=SYMBOLS) + stream(mbo))
    data = market.to_bytes()
    assert market.to_bytes() == data
    assert Market.from_bytes(memoryview(data)).to_bytes() == data


def test_an_empty_market_can_be_written_and_read() -> None:
    market = Market.from_bytes(Market().to_bytes())
    assert (len(market), market.instruments()) == (0, [])
    market.feed(stream([Mbo("A", "B", 5, 1, 1)]))
    assert len(market.book(1)) == 1


def test_symbols_survive() -> None:
    market = Market()
    market.feed(metadata(2, symbols=SYMBOLS) + stream([Mbo("A", "B", 5, 1, 1)]))
    again = Market.from_bytes(market.to_bytes())
    assert again.book("CLX5").instrument_id == 1
    assert again.snapshot("CLX5").symbol == "CLX5"


def checkpoint() -> bytes:
    market = Market()
    market.feed(metadata(3, symbols=SYMBOLS))
    market.feed(stream([Mbo("A", "BA"[n % 2], 100 - n % 3, 1 + n, n) for n in range(12)]))
    market.feed(stream([Mbo("A", "B", 7, 1, 99, flags=0), Mbo("A", "B", 3, 1, 1, instrument_id=5)]))
    return market.to_bytes()


def test_a_truncated_checkpoint_is_refused() -> None:
    data = checkpoint()
    for end in range(len(data)):
        with pytest.raises(CheckpointError) as caught:
            Market.from_bytes(data[:end])
        assert "\n" not in str(caught.value)


def test_a_checkpoint_with_any_bit_changed_is_refused_or_a_sound_market() -> None:
    data = checkpoint()
    for at in range(len(data)):
        for bit in (0x01, 0x80):
            damaged = bytearray(data)
            damaged[at] ^= bit
            try:
                market = Market.from_bytes(damaged)
            except ValueError:  # DecodeError is one
                continue
            market.check()
            contents(market)


def test_a_checkpoint_with_more_behind_it_is_refused() -> None:
    with pytest.raises(CheckpointError):
        Market.from_bytes(checkpoint() + b"\0")


@given(data=st.binary(max_size=300))
@settings(max_examples=200)
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError):
        Market.from_bytes(data)
