"""Prices as text: exact, both ways, and as the core writes them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book import OrderBook
from l3book.prices import parse_price, price_text


@given(st.integers(-(2**63), 2**63 - 1))
def test_there_and_back(price: int) -> None:
    assert parse_price(price_text(price)) == price


@pytest.mark.parametrize("price", [0, 1, -1, 10**9, -(10**9), 64_210_000_000, 123_456_789, -250_000_000, 2**62])
def test_as_the_core_writes_it(price: int) -> None:
    book = OrderBook()
    book.apply_mbo(action="A", side="B", price=price, size=1, order_id=1)
    assert msgspec.json.decode(book.snapshot().to_json())["bids"][0][0] == price_text(price)
