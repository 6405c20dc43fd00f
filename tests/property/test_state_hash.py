"""Anybody can recompute a state hash: it is the same, byte for byte, from books that share no code with the core's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbn_bytes import LAST, MAYBE_BAD_BOOK, UNIT, Mbo, metadata, parse, stream
from l3book import Market
from l3book._core import Simulator
from oracle import OracleMarket
from state_bytes import state_hash
from streams import cut, cuts, records


@given(records(min_size=1), st.data())
def test_it_is_what_the_oracle_gives_at_a_past_time(told: list[Mbo], data: st.DataObject) -> None:
    until = data.draw(st.sampled_from(sorted({record.ts_event for record in told})))
    market = Market(until=until)
    market.feed(stream(told))
    assert market.state_hash() == state_hash(OracleMarket(until=until).feed(told))


@given(st.data())
def test_it_is_what_the_oracle_gives_however_the_stream_is_cut(data: st.DataObject) -> None:
    told = data.draw(records())
    content = stream(told)
    market = Market()
    for piece in cut(content, data.draw(cuts(len(content)))):
        market.feed(piece)
    assert market.state_hash() == state_hash(OracleMarket().feed(told))


@given(records(min_size=1), st.data())
def test_a_checkpoint_keeps_it_and_what_comes_after(told: list[Mbo], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(told)))
    whole, first = Market(epoch=1), Market(epoch=7)
    whole.feed(stream(told))
    first.feed(stream(told[:at]))
    restored = Market.from_bytes(first.to_bytes())
    assert restored.state_hash() == first.state_hash()
    restored.feed(stream(told[at:]))
    assert restored.state_hash() == whole.state_hash()


@given(records(min_size=2))
def test_the_order_of_the_books_does_not_show(told: list[Mbo]) -> None:
    by_book: dict[tuple[int, int], list[Mbo]] = {}
    for record in told:
        by_book.setdefault(record.key, []).append(record)
    there, back = Market(), Market()
    for key in by_book:
        there.feed(stream(by_book[key]))
    for key in reversed(by_book):
        back.feed(stream(by_book[key]))
    assert there.state_hash() == back.state_hash()


def test_a_simulated_market() -> None:
    simulator = Simulator(seed=9, instruments=4, crossed=True, resting_max=64)
    content = simulator.header() + simulator.read(5_000)
    market = Market()
    market.feed(content)
    assert market.state_hash() == state_hash(OracleMarket().feed(parse(content)))


def test_no_books() -> None:
    market = Market()
    assert market.state_hash() == state_hash(OracleMarket())
    market.feed(metadata())
    assert market.state_hash() == state_hash(OracleMarket())


BASE = [
    Mbo("A", "B", 100 * UNIT, 5, 1),
    Mbo("A", "B", 100 * UNIT, 5, 2),
    Mbo("A", "A", 101 * UNIT, 7, 3),
]
OTHERS = {
    "priority": [BASE[1], BASE[0], BASE[2]],
    "size": [BASE[0]._replace(size=6), *BASE[1:]],
    "order_id": [BASE[0]._replace(order_id=9), *BASE[1:]],
    "price": [*BASE[:2], BASE[2]._replace(price=101 * UNIT + 1)],
    "side": [*BASE[:2], BASE[2]._replace(side="B")],
    "time in the queue": [BASE[0]._replace(ts_event=BASE[0].ts_event - 1), *BASE[1:]],
    "sequence": [*BASE[:2], BASE[2]._replace(sequence=1)],
    "an event more": [*BASE, Mbo("N")],
    "a record held back": [*BASE, Mbo("C", "B", 100 * UNIT, 1, 1, flags=0)],
    "a mark of lost packets": [*BASE[:2], BASE[2]._replace(flags=LAST | MAYBE_BAD_BOOK)],
    "publisher": [record._replace(publisher_id=2) for record in BASE],
    "an empty book more": [*BASE, Mbo("N", instrument_id=5, flags=0)],
}


@pytest.mark.parametrize("what", OTHERS)
def test_it_shows(what: str) -> None:
    base, other = Market(), Market()
    base.feed(stream(BASE))
    other.feed(stream(OTHERS[what]))
    assert base.state_hash() != other.state_hash()
    assert other.state_hash() == state_hash(OracleMarket().feed(OTHERS[what]))
