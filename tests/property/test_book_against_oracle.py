"""Random and hostile streams: after every record the core shows what the naive oracle shows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement import assert_agrees, assert_market_agrees
from l3book import Market, OrderBook
from oracle import OracleBook, OracleMarket
from streams import KEYS, ORDER_IDS, TOB_ORDER_ID, records

ALL_IDS = (*ORDER_IDS, TOB_ORDER_ID, 123_456_789)
RULES = ("keeps_place", "to_back")


@pytest.mark.parametrize("rule", RULES)
@given(stream=records(keys=KEYS[:1]))
@settings(max_examples=400)
def test_one_book_agrees_after_every_record(rule: str, stream: list) -> None:
    book, oracle = OrderBook(same_size_modify=rule), OracleBook(rule == "to_back")
    for record in stream:
        assert book.apply_mbo(record.to_bytes()) == oracle.apply(record)
        assert_agrees(book, oracle, ALL_IDS)


@pytest.mark.parametrize("rule", RULES)
@given(stream=records())
@settings(max_examples=200)
def test_a_market_agrees_after_every_record(rule: str, stream: list) -> None:
    market, oracle = Market(same_size_modify=rule), OracleMarket(rule == "to_back")
    for record in stream:
        assert market.feed(record.to_bytes()) == 1
        oracle.apply(record)
        assert_agrees(market.book(record.key), oracle.books[record.key], ALL_IDS)
    assert_market_agrees(market, oracle, ALL_IDS)


@given(stream=records(max_size=300))
@settings(max_examples=60)
def test_long_streams_agree_at_their_end(stream: list) -> None:
    market = Market()
    assert market.feed(b"".join(r.to_bytes() for r in stream)) == len(stream)
    assert_market_agrees(market, OracleMarket().feed(stream), ALL_IDS)


@given(stream=records(max_size=60, keys=KEYS[:1]))
@settings(max_examples=100)
def test_seq_counts_events_and_views_hold_between_them(stream: list) -> None:
    def shown() -> dict:
        # What the first record says of the book itself, and that a snapshot is being loaded, is news at once.
        unsettled = {"state": None, "publisher_id": None, "instrument_id": None}
        return {**book.snapshot(None, level=3).to_dict(), **unsettled}

    book = OrderBook()
    before = shown()
    for record in stream:
        if book.apply_mbo(record.to_bytes()):
            assert shown()["seq"] > before["seq"] or shown()["epoch"] != before["epoch"]
            before = shown()
        else:
            assert shown() == before


@given(stream=records(max_size=120), pause=st.integers(0, 120))
@settings(max_examples=60)
def test_a_live_handle_follows_its_market(stream: list, pause: int) -> None:
    market, oracle = Market(), OracleMarket().feed(stream)
    market.feed(b"".join(r.to_bytes() for r in stream[:pause]))
    keys = [(i.publisher_id, i.instrument_id) for i in market.instruments()]
    handles = {key: market.book(key) for key in keys}
    market.feed(b"".join(r.to_bytes() for r in stream[pause:]))
    for key, handle in handles.items():
        assert_agrees(handle, oracle.books[key], ALL_IDS)
