"""Cursors of rows lead back to the row they were made of, and nothing else is one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book.api import history_cursors as cursors

times = st.integers(0, 2**63 - 1)
prices = st.integers(-(2**63), 2**63 - 1)


@given(times, times)
def test_of_a_trade(ts_recv: int, ordinal: int) -> None:
    cursor = cursors.of_trade(ts_recv, ordinal)
    assert cursors.trade_of(cursor) == (ts_recv, ordinal)
    assert re.search(cursors.TRADES_PATTERN, cursor)


@given(times)
def test_of_best_prices(ts: int) -> None:
    cursor = cursors.of_bbo(ts)
    assert cursors.bbo_of(cursor) == ts
    assert re.search(cursors.BBO_PATTERN, cursor)


@given(times, st.sampled_from("BA"), prices)
def test_of_a_level(ts: int, side: str, price: int) -> None:
    cursor = cursors.of_level(ts, side, price)
    assert cursors.level_of(cursor) == (ts, side, price)
    assert re.search(cursors.LEVELS_PATTERN, cursor)


@pytest.mark.parametrize(
    "text", ["", "x", "8" + "0" * 15, "0" * 15, "0" * 17, "0" * 33, "0" * 16 + "C" + "0" * 16, "\u0660" * 16]
)
def test_anything_else_is_none(text: str) -> None:
    assert cursors.trade_of(text) is None
    assert cursors.bbo_of(text) is None
    assert cursors.level_of(text) is None
