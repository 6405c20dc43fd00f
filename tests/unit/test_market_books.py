"""A market finds its books by id, key and symbol, and its memory follows the orders that rest."""

from __future__ import annotations

import resource
import struct
from pathlib import Path

import numpy as np
import pytest

from agreement import assert_market_agrees
from dbn_bytes import LAST, RECORD_BYTES, T0, UNDEF_TIMESTAMP, UNIT, Mbo, metadata, stream
from l3book import AmbiguousInstrumentError, L3BookError, Market, UnknownInstrumentError
from oracle import OracleMarket

P = 100 * UNIT
STATM = Path("/proc/self/statm")
RTYPE_SYMBOL_MAPPING = 0x16
HELD_RECORDS_MAX = 262_144
BULK = np.dtype(
    [
        ("length", "u1"),
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "S1"),
        ("side", "S1"),
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)


def bulk(count: int, action: bytes = b"A", **fields: object) -> np.ndarray:
    """Many records at once; a field is one value for all, or an array."""
    records = np.zeros(count, BULK)
    defaults = {
        "length": 14,
        "rtype": 0xA0,
        "publisher_id": 1,
        "instrument_id": 1,
        "ts_event": T0,
        "ts_recv": T0,
    }
    given = {"price": P, "size": 1, "flags": LAST, "side": b"B", "action": action, **fields}
    for name, value in {**defaults, **given}.items():
        records[name] = value
    return records


def one(instrument_id: int = 1, publisher_id: int = 1, order_id: int = 1) -> Mbo:
    return Mbo("A", "B", P, 1, order_id, publisher_id=publisher_id, instrument_id=instrument_id)


def symbol_mapping(instrument_id: int, symbol: str, version: int) -> bytes:
    """A SymbolMappingMsg, as live sessions send them instead of mappings in the metadata."""
    if version == 1:
        body = symbol.encode().ljust(22, b"\0") * 2 + bytes(4)
    else:
        text = symbol.encode().ljust(71, b"\0")
        body = b"\1" + text + b"\1" + text
    body += struct.pack("<QQ", T0, UNDEF_TIMESTAMP)
    head = struct.pack("<BBHIQ", (16 + len(body)) // 4, RTYPE_SYMBOL_MAPPING, 0, instrument_id, T0)
    return head + body


def test_a_book_is_found_by_id_key_and_symbol() -> None:
    market = Market()
    market.feed(metadata(3, symbols={"CLX5": 1, "ESZ5": 7}) + stream([one(1), one(7, order_id=2)]))
    for name in (7, (1, 7), "ESZ5"):
        book = market.book(name)
        assert (book.publisher_id, book.instrument_id, book.symbol) == (1, 7, "ESZ5")
        assert book.order(2) is not None
        assert book.order(1) is None
    assert [(i.symbol, i.instrument_id, i.orders) for i in market.instruments()] == [
        ("CLX5", 1, 1),
        ("ESZ5", 7, 1),
    ]


@pytest.mark.parametrize("name", [2, (1, 2), (2, 1), "ESZ5", "clx5", "", "1 "])
def test_an_unknown_instrument_is_named_in_the_error(name: object) -> None:
    market = Market()
    market.feed(metadata(3, symbols={"CLX5": 1}) + stream([one()]))
    with pytest.raises(UnknownInstrumentError) as caught:
        market.book(name)  # type: ignore[arg-type]
    assert isinstance(caught.value, LookupError)
    assert "\n" not in str(caught.value)


def test_an_ambiguous_instrument_lists_the_choices() -> None:
    market = Market()
    market.feed(metadata(3, symbols={"SPY": 5}) + stream([one(5, 2), one(5, 1), one(6, 1)]))
    for name in (5, "SPY"):
        with pytest.raises(AmbiguousInstrumentError) as caught:
            market.book(name)
        assert sorted(caught.value.choices) == [(1, 5), (2, 5)]
    assert market.book((2, 5)).publisher_id == 2


@pytest.mark.parametrize("name", [-1, 2**32, 1.5, None, (1,), (1, 2, 3), (70_000, 1), [1, 1]])
def test_what_cannot_name_an_instrument_is_refused(name: object) -> None:
    market = Market()
    market.feed(one().to_bytes())
    with pytest.raises((TypeError, ValueError, OverflowError, L3BookError)):
        market.book(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (-1, "instrument_id -1, expected 0 to 4294967295"),
        (2**32, "instrument_id 4294967296, expected 0 to 4294967295"),
        ((70_000, 1), "publisher_id 70000, expected 0 to 65535"),
        ((1, -7), "instrument_id -7, expected 0 to 4294967295"),
    ],
)
def test_a_number_that_no_instrument_can_have_is_refused_with_its_range(name: object, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        Market().book(name)  # type: ignore[arg-type]


def test_an_instrument_without_a_symbol_does_not_show_one() -> None:
    market = Market()
    market.feed(metadata(3, symbols={"SPY": 5}) + stream([one(5, 1), one(6, 1)]))
    assert [repr(entry).partition(", state")[0] for entry in market.instruments()] == [
        'Instrument(1:5, symbol="SPY"',
        "Instrument(1:6, symbol=None",
    ]


@pytest.mark.parametrize("data", ["text", 56, None, [1]])
def test_a_checkpoint_of_no_bytes_is_refused_as_that(data: object) -> None:
    with pytest.raises(TypeError, match="a bytes-like object is required"):
        Market.from_bytes(data)  # type: ignore[arg-type]


@pytest.mark.parametrize(("header", "message"), [(1, 1), (2, 2), (3, 3)])
def test_a_live_session_names_its_instruments_by_symbol_mapping_records(header: int, message: int) -> None:
    market = Market()
    market.feed(metadata(header, schema=0xFFFF))
    market.feed(symbol_mapping(9, "ESZ5", message) + one(9).to_bytes())
    assert market.book("ESZ5").instrument_id == 9
    assert market.snapshot(9).symbol == "ESZ5"


def test_the_same_order_id_in_two_books_is_two_orders() -> None:
    records = [one(1, 1), one(1, 2), one(2, 1), Mbo("C", "B", P, 1, 1, publisher_id=2)]
    market = Market()
    market.feed(stream(records))
    assert_market_agrees(market, OracleMarket().feed(records))
    assert [len(market.book(key)) for key in ((1, 1), (1, 2), (2, 1))] == [1, 1, 0] or len(market.book((2, 1))) == 0


def test_an_event_is_held_for_its_own_book_alone() -> None:
    market = Market()
    market.feed(stream([one(1)._replace(flags=0), one(2)]))
    assert (len(market.book(1)), len(market.book(2))) == (0, 1)
    assert market.stats()["held"] == 1
    market.feed(Mbo("N", instrument_id=1).to_bytes())
    assert len(market.book(1)) == 1


def test_the_hold_back_of_one_book_is_bounded() -> None:
    market = Market()
    ids = np.arange(HELD_RECORDS_MAX, dtype=np.uint64)
    market.feed(bulk(HELD_RECORDS_MAX, order_id=ids, flags=0))
    stats = market.stats()
    assert (stats["held"], stats["forced_events"], stats["orders"]) == (HELD_RECORDS_MAX, 0, 0)
    market.feed(one(order_id=2**40)._replace(flags=0).to_bytes())
    stats = market.stats()
    assert (stats["forced_events"], stats["events"]) == (1, 1)
    assert stats["held"] + stats["orders"] == HELD_RECORDS_MAX + 1
    assert stats["orders"] >= HELD_RECORDS_MAX
    market.check()


@pytest.mark.skipif(not STATM.exists(), reason="resident memory is read from /proc, which is Linux only")
def test_memory_follows_the_orders_that_rest_and_not_the_orders_ever_seen() -> None:
    market = Market()
    count, sizes = 50_000, []
    rng = np.random.default_rng(5)
    for _ in range(12):
        ids = rng.integers(0, 2**64, count, dtype=np.uint64)
        both = np.empty(2 * count, BULK)
        both[0::2] = bulk(count, order_id=ids, price=P + rng.integers(-500, 500, count))
        both[1::2] = bulk(count, b"C", order_id=ids)
        market.feed(both)
        market.feed(one(order_id=1).to_bytes())
        sizes.append((resident_bytes(), len(market.to_bytes())))
    market.check()
    assert market.stats()["orders"] == 1
    # Ten rounds of 50,000 orders would be 20 MB at 40 bytes each; an allocator may wander by a page or two.
    assert sizes[-1][0] - sizes[1][0] < 8 * 2**20
    assert sizes[-1][1] < 2 * sizes[0][1] + 1_000


def resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * resource.getpagesize()


MULTIPLIERS = {
    "golden": 0x9E37_79B9_7F4A_7C15,
    "fx": 0x51_7C_C1_B7_27_22_0A_95,
    "fx 2": 0xF135_7AEA_2E62_A9C5,
    "knuth": 0x5851_F42D_4C95_7F2D,
}
COUNT = 100_000
HOSTILE_IDS = {
    "low bits zero": [n << 44 for n in range(COUNT)],
    "only high and low": [(n << 56 | n >> 8) & (2**64 - 1) for n in range(COUNT)],
    "from the top": [2**64 - 1 - n for n in range(COUNT)],
    **{
        f"collide under {name}": [n * pow(m, -1, 2**64) % 2**64 for n in range(COUNT)]
        for name, m in MULTIPLIERS.items()
    },
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("ids", HOSTILE_IDS.values(), ids=HOSTILE_IDS)
def test_order_ids_chosen_to_collide_do_not_hang_the_book(ids: list[int]) -> None:
    order_ids = np.array(ids, np.uint64)
    unique = len(np.unique(order_ids))
    market = Market()
    assert market.feed(bulk(COUNT, order_id=order_ids)) == COUNT
    assert market.stats()["orders"] == unique
    market.feed(bulk(COUNT, b"C", order_id=order_ids[::-1]))
    assert market.stats()["orders"] == 0
    market.check()


def test_a_chunk_of_many_records_is_one_call() -> None:
    data = bulk(1_000, order_id=np.arange(1_000)).tobytes()
    assert len(data) == 1_000 * RECORD_BYTES
    assert Market().feed(data) == 1_000
