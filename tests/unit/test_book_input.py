"""The forms in which `OrderBook.apply_mbo` takes a record, and what it says to anything else."""

from __future__ import annotations

import mmap
import re
import sys
from typing import TYPE_CHECKING, Any

import databento_dbn
import numpy as np
import pytest

from books import book_of, counts, levels, queue
from dbn_bytes import LAST, T0, UNDEF_PRICE, UNIT, Mbo, other_record, record
from l3book import Deriver, Market, OrderBook, rows, verify
from l3book._core import Indexer, LiveStream, Log, Past, Recorder, Replay, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

P = 100 * UNIT
EXAMPLES = [
    Mbo("A", "B", P, 5, 1, 130, T0, T0 + 1, -7, 3, 2, 1, 9),
    Mbo("A", "A", P + 1, 2**32 - 1, 2**64 - 1, 0, T0 + 2, T0 + 3, 2**31 - 1, 2**32 - 1, 255, 1, 9),
    Mbo("M", "B", P - 3, 4, 1, 8, T0 + 4, T0 + 5, -(2**31), 4, 0, 1, 9),
    Mbo("F", "A", P, 1, 1, 0, T0 + 6, T0 + 7, 0, 5, 0, 1, 9),
    Mbo("C", "B", P - 3, 1, 1, 128, T0 + 8, T0 + 9, 0, 6, 0, 1, 9),
    Mbo("N", "N", UNDEF_PRICE, 0, 0, 128, T0 + 10, T0 + 11, 0, 7, 0, 1, 9),
]


def as_msg(m: Mbo) -> databento_dbn.MBOMsg:
    return databento_dbn.MBOMsg(
        m.publisher_id,
        m.instrument_id,
        m.ts_event,
        m.order_id,
        m.price,
        m.size,
        databento_dbn.Action(m.action),
        databento_dbn.Side(m.side),
        m.ts_recv,
        m.flags,
        m.channel_id,
        m.ts_in_delta,
        m.sequence,
    )


def as_mmap(data: bytes, tmp_path: Path) -> mmap.mmap:
    path = tmp_path / "record"
    path.write_bytes(data)
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def unaligned(data: bytes) -> memoryview:
    return memoryview(b"\xaa\xaa\xaa" + data + b"\xaa")[3 : 3 + len(data)]


@pytest.fixture
def expected() -> OrderBook:
    return book_of(*(m.to_bytes() for m in EXAMPLES))


def assert_equal(book: OrderBook, expected: OrderBook) -> None:
    book.check()
    assert book.stats() == expected.stats()
    assert queue(book, "B", P - 3) == [(1, 3)]
    mine, theirs = book.snapshot(None, level=3), expected.snapshot(None, level=3)
    assert {**mine.to_dict(), "epoch": ""} == {**theirs.to_dict(), "epoch": ""}


def test_the_hand_made_example_is_what_the_official_types_encode() -> None:
    assert [bytes(as_msg(m)) for m in EXAMPLES] == [m.to_bytes() for m in EXAMPLES]


@pytest.mark.parametrize(
    "form",
    [
        as_msg,
        lambda m: bytearray(m.to_bytes()),
        lambda m: memoryview(m.to_bytes()),
        lambda m: unaligned(m.to_bytes()),
        lambda m: np.frombuffer(m.to_bytes(), np.uint8),
        lambda m: np.frombuffer(m.to_bytes(), rows.fields("mbo"))[0],
        lambda m: m.to_bytes(ts_out=m.ts_recv + 5),
    ],
    ids=["MBOMsg", "bytearray", "memoryview", "unaligned", "numpy", "numpy row", "ts_out"],
)
def test_every_form_of_a_record_gives_the_same_book(form: Any, expected: OrderBook) -> None:
    book = OrderBook()
    assert [book.apply_mbo(form(m)) for m in EXAMPLES] == [m.last for m in EXAMPLES]
    assert_equal(book, expected)


def test_keyword_fields_give_the_same_book(expected: OrderBook) -> None:
    book = OrderBook()
    assert [book.apply_mbo(**m._asdict()) for m in EXAMPLES] == [m.last for m in EXAMPLES]
    assert_equal(book, expected)


@pytest.mark.parametrize(
    "names",
    [
        ("publisher_id", "instrument_id", "price", "size", "action", "side", "flags", "order_id", "ts_event"),
        ("action", "side", "price", "size", "order_id"),
    ],
    ids=["most", "few"],
)
def test_keyword_fields_are_taken_as_records_have_them(names: tuple[str, ...]) -> None:
    messages, array = OrderBook(), OrderBook()
    for m in EXAMPLES:
        message, row = as_msg(m), np.frombuffer(m.to_bytes(), rows.fields("mbo"))[0]
        messages.apply_mbo(**{name: getattr(message, name) for name in names})
        array.apply_mbo(**{name: row[name] for name in names})
    assert messages.snapshot(None, level=3) == array.snapshot(None, level=3)
    assert queue(messages, "B", P - 3) == [(1, 3)]
    assert messages.orders(databento_dbn.Side.BID, P - 3) == messages.orders("B", P - 3)
    assert messages.orders(databento_dbn.Side.ASK, P + 1) == messages.orders("A", P + 1)


def test_a_memory_map_is_a_record(tmp_path: Path) -> None:
    book = OrderBook()
    assert book.apply_mbo(as_mmap(record("A", "B", P, size=1, order_id=1), tmp_path)) is True
    assert levels(book, "B") == [(P, 1, 1)]


def test_keyword_fields_have_the_defaults_of_a_complete_event() -> None:
    book = OrderBook()
    assert book.apply_mbo(action="A", side="B", price=P, size=1, order_id=1) is True
    assert book.apply_mbo(action="R") is True
    assert counts(book, "events", "clears", "orders") == (2, 1, 0)


BAD_RECORDS: list[tuple[str, Any, str]] = [
    ("nothing", b"", "56"),
    ("one byte short", record("A", "B", P, size=1)[:-1], "56"),
    ("one byte long", record("A", "B", P, size=1) + b"\0", "56"),
    ("two records", record("A", "B", P, size=1) * 2, "56"),
    ("another record type", other_record(length_bytes=56), "MBO"),
    ("a length byte that lies", b"\x10" + record("A", "B", P, size=1)[1:], "length|56"),
    ("a length byte of zero", b"\x00" + record("A", "B", P, size=1)[1:], "length|56"),
    ("metadata", b"DBN\x03" + bytes(52), "MBO|record"),
    ("text", "A" * 56, "str"),
    ("a number", 56, "int"),
    ("none", None, "one record"),
    ("a list", [0] * 56, "list"),
    ("every second byte", memoryview(record("A", "B", P, size=1) * 2)[::2], "contiguous"),
    (
        "the official type of another schema",
        databento_dbn.TradeMsg(1, 2, 3, 4, 5, databento_dbn.Action("T"), databento_dbn.Side("B"), 6, 7),
        "MBO|56",
    ),
]


@pytest.mark.parametrize(("bad", "names"), [row[1:] for row in BAD_RECORDS], ids=[row[0] for row in BAD_RECORDS])
def test_what_is_not_a_record_is_refused_with_one_clear_line(bad: Any, names: str) -> None:
    book = book_of(record("A", "B", P, size=1, order_id=1))
    with pytest.raises((TypeError, ValueError, BufferError), match=names) as caught:
        book.apply_mbo(bad)
    assert "\n" not in str(caught.value)
    assert counts(book, "records", "events", "held") == (1, 1, 0)
    assert levels(book, "B") == [(P, 1, 1)]


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({}, "action"),
    ({"action": ""}, "action"),
    ({"action": "AB"}, "action"),
    ({"action": 65}, "action of type int, expected one ASCII letter"),
    ({"action": 5}, "action of type int, expected one ASCII letter"),
    ({"action": b"AB"}, "action b.AB., expected one ASCII letter"),
    ({"action": b""}, "action b.., expected one ASCII letter"),
    ({"action": "A", "side": ["B"]}, "side of type list, expected one ASCII letter"),
    ({"action": "A", "side": "BA"}, "side"),
    ({"action": "A", "side": ""}, "side"),
    ({"action": "A", "price": 65.4}, "price"),
    ({"action": "A", "price": "65.4"}, "price"),
    ({"action": "A", "price": 2**63}, "price"),
    ({"action": "A", "size": -1}, "size"),
    ({"action": "A", "size": 2**32}, "size"),
    ({"action": "A", "order_id": -1}, "order_id"),
    ({"action": "A", "order_id": 2**64}, "order_id"),
    ({"action": "A", "flags": 256}, "flags"),
    ({"action": "A", "ts_event": 1.5}, "ts_event"),
    ({"action": "A", "ts_event": -1}, "ts_event"),
    ({"action": "A", "channel_id": 256}, "channel_id"),
    ({"action": "A", "sequence": 2**32}, "sequence"),
    ({"action": "A", "ts_in_delta": 2**31}, "ts_in_delta"),
    ({"action": "A", "publisher_id": 65536}, "publisher_id"),
    ({"action": "A", "instrument_id": 2**32}, "instrument_id"),
    ({"action": "A", "colour": 1}, "colour"),
]


@pytest.mark.parametrize(("fields", "name"), BAD_FIELDS, ids=[str(fields) for fields, _ in BAD_FIELDS])
def test_a_field_that_cannot_be_is_refused_by_name(fields: dict[str, Any], name: str) -> None:
    book = OrderBook()
    good = {"side": "B", "price": P, "size": 1, "order_id": 1} if "action" in fields else {}
    with pytest.raises((TypeError, ValueError), match=name):
        book.apply_mbo(**{**good, **fields})
    assert counts(book, "records", "held", "orders") == (0, 0, 0)


def test_a_record_and_keyword_fields_together_are_refused() -> None:
    book = OrderBook()
    with pytest.raises(TypeError):
        book.apply_mbo(record("A", "B", P, size=1), size=2)  # type: ignore[call-overload]
    assert counts(book, "records") == (0,)


@pytest.mark.parametrize("side", ["N", "b", "", "BA", None, 66])
def test_orders_wants_a_side(side: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="side"):
        OrderBook().orders(side, P)


@pytest.mark.parametrize("depth", [-1, 0, 1.5, "10"])
def test_snapshot_wants_a_depth(depth: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        OrderBook().snapshot(depth)


def add(**fields: Any) -> bool:
    return OrderBook().apply_mbo(**{"action": "A", "side": "B", "price": P, "size": 1, **fields})


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: add(size=-1), "size -1, expected 0 to 4294967295"),
        (lambda: add(size=2**32), "size 4294967296, expected 0 to 4294967295"),
        (lambda: add(flags=256), "flags 256, expected 0 to 255"),
        (lambda: add(price=2**63), f"price {2**63}, expected {-(2**63)} to {2**63 - 1}"),
        (lambda: add(order_id=10**5000), f"order_id of thousands of digits, expected 0 to {2**64 - 1}"),
        (lambda: OrderBook().order(-1), f"order_id -1, expected 0 to {2**64 - 1}"),
        (lambda: OrderBook().queue_position(2**64), f"order_id {2**64}, expected 0 to {2**64 - 1}"),
        (lambda: OrderBook().orders("B", 2**63), f"price {2**63}, expected {-(2**63)} to {2**63 - 1}"),
        (lambda: OrderBook().snapshot(10**30), f"depth {10**30}, expected 1 to {2**63 - 1}, or None for all levels"),
        (lambda: OrderBook().snapshot(level=256), "level 256, expected 0 to 255"),
        (lambda: Market(until=-1), f"until -1, expected 0 to {2**64 - 1}"),
        (lambda: Market(epoch=2**64), f"epoch {2**64}, expected 0 to {2**64 - 1}"),
        (lambda: verify("none", check_every=-1), f"check_every -1, expected 0 to {2**64 - 1}"),
        (lambda: Deriver("mbo", instrument=2**32), f"instrument_id {2**32}, expected 0 to {2**32 - 1}"),
        (lambda: Deriver("mbo", instrument=(2**16, 1)), f"publisher_id {2**16}, expected 0 to {2**16 - 1}"),
        (lambda: Market().book((1, -1)), f"instrument_id -1, expected 0 to {2**32 - 1}"),
        (lambda: Simulator(seed=2**64), f"seed {2**64}, expected 0 to {2**64 - 1}"),
        (lambda: Simulator(instruments=-1), f"instruments -1, expected 0 to {2**32 - 1}"),
        (lambda: Simulator().read(-1), f"min_records -1, expected 0 to {sys.maxsize * 2 + 1}"),
        (lambda: Recorder("none", fsync_ms=-1), f"fsync_ms -1, expected 0 to {2**64 - 1}"),
        (lambda: Indexer("none", ordinal=2**64), f"ordinal {2**64}, expected 0 to {2**64 - 1}"),
        (lambda: Replay("none", -1), f"at -1, expected 0 to {2**64 - 1}"),
        (lambda: LiveStream(["none"], rate=2**64), f"rate {2**64}, expected 0 to {2**64 - 1}"),
        (lambda: Past(".").ordinal_at(2**64), f"at {2**64}, expected 0 to {2**64 - 1}"),
        (lambda: Past(".").order_life(1, 1, 1, limit=-1), f"limit -1, expected 0 to {sys.maxsize * 2 + 1}"),
        (lambda: Log(".").read(-1, 1), f"ordinal -1, expected 0 to {2**64 - 1}"),
        (lambda: Log(".").dbn(0, 2**64), f"end_ordinal {2**64}, expected 0 to {2**64 - 1}"),
    ],
)
def test_a_number_that_does_not_fit_is_refused_with_name_value_and_range(call: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        call()
    assert str(caught.value) == text


@pytest.mark.parametrize("level", [0, 1, 4, "3"])
def test_snapshot_wants_level_two_or_three(level: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        OrderBook().snapshot(10, level=level)


def test_a_snapshot_has_the_depth_that_was_asked_for() -> None:
    book = book_of(*(record("A", "B", P - i, size=1, order_id=i) for i in range(15)))
    assert [len(book.snapshot(d).bids) for d in (1, 10, 15, 99)] == [1, 10, 15, 15]
    assert len(book.snapshot().bids) == 10
    assert len(book.snapshot(None).bids) == 15
    assert book.snapshot(1).orders == 15


def test_a_snapshot_does_not_move_with_the_book() -> None:
    book = book_of(record("A", "B", P, size=1, order_id=1))
    view = book.snapshot()
    book.apply_mbo(record("R"))
    assert view.bids.tolist() == [(P, 1, 1)]
    assert (view.seq, view.orders) == (1, 1)
    assert view != book.snapshot()


def test_a_snapshot_is_structured_numpy_in_the_documented_types() -> None:
    view = book_of(record("A", "B", P, size=1, order_id=1)).snapshot()
    for side in (view.bids, view.asks):
        types = {name: side.dtype[name] for name in side.dtype.names}
        assert types == {"price": np.dtype("<i8"), "size": np.dtype("<u8"), "count": np.dtype("<u4")}


def test_an_empty_book_can_be_looked_at() -> None:
    book = OrderBook()
    assert (len(book), book.order(1), book.queue_position(1), book.orders("B", P)) == (0, None, None, [])
    assert tuple(book.bbo()) == (None, None)
    assert (levels(book, "B"), levels(book, "A")) == ([], [])
    assert repr(book.snapshot())
    book.check()


def test_flags_default_to_last() -> None:
    assert OrderBook().apply_mbo(action="N") is True
    assert OrderBook().apply_mbo(action="N", flags=LAST - 1) is False


def test_a_book_refuses_the_records_of_another_instrument() -> None:
    book = OrderBook()
    book.apply_mbo(action="A", side="B", price=P, size=2, order_id=4, publisher_id=1, instrument_id=1)
    with pytest.raises(ValueError, match=r"a record of instrument 1:2, expected 1:1 as before"):
        book.apply_mbo(action="A", side="B", price=P, size=3, order_id=5, publisher_id=1, instrument_id=2)
    assert (book.instrument_id, len(book), book.stats()["records"]) == (1, 1, 1)
