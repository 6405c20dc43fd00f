"""Streams, held against clients written from the wire alone: at every message each client has the book."""

from __future__ import annotations

import json
import threading
import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbn_bytes import LAST, UNDEF_PRICE, UNIT, Mbo, metadata, parse, raw_records, split
from l3book import AmbiguousInstrumentError, Market, UnknownInstrumentError, UnknownOrderError
from l3book._core import Simulator
from streams import KEYS, records

if TYPE_CHECKING:
    from l3book import Message, Stream

KEY = KEYS[0]
FIRST = Mbo("A", "B", UNIT, 5, 99)
LEVEL_FIELDS = ("epoch", "seq", "sequence", "ts_event", "ts_recv", "state", "crossed", "locked", "bids", "asks")


def decoded(message: Message) -> dict[str, Any]:
    """What a message says: the same in both formats."""
    value: dict[str, Any] = msgspec.json.decode(message.text)
    assert msgspec.msgpack.decode(message.msgpack) == value
    assert message.text is message.text
    assert message.msgpack is message.msgpack
    assert value["type"] == message.kind
    if message.kind != "gap":
        assert (value["epoch"], value.get("prev"), value["seq"]) == (message.epoch, message.prev, message.seq)
    return value


class Mirror:
    """What a client keeps. `sides` maps prices, as they are written, to the rest of their level."""

    def __init__(self) -> None:
        self.head: dict[str, Any] = {}
        self.sides: dict[str, dict[str, list[Any]]] = {"bids": {}, "asks": {}}

    def apply(self, message: Message) -> None:
        value = decoded(message)
        if value["type"] == "snapshot":
            self.sides = {side: {level[0]: level[1:] for level in value[side]} for side in ("bids", "asks")}
        else:
            assert value["type"] == "delta"
            assert (value["epoch"], value["prev"]) == (self.head["epoch"], self.head["seq"])
            self.change(value)
        self.head = value
        assert value["crc"] == self.crc()

    def change(self, value: dict[str, Any]) -> None:
        for side, levels in self.sides.items():
            for price, size, *rest in value[side]:
                if size:
                    levels[price] = [size, *rest]
                else:
                    levels.pop(price, None)

    def levels(self, side: str) -> list[list[Any]]:
        prices = sorted(self.sides[side], key=units, reverse=side == "bids")
        return [[price, *self.sides[side][price]] for price in prices]

    def crc(self) -> int:
        best = self.levels("asks")[:10] + self.levels("bids")[:10]
        return zlib.crc32(",".join(f"{price}:{size}" for price, size, *_ in best).encode())

    def assert_is(self, book: dict[str, Any]) -> None:
        assert (self.head["epoch"], self.head["state"]) == (book["epoch"], book["state"])
        for side in ("bids", "asks"):
            assert self.levels(side) == book[side]


def units(price: str) -> int:
    whole, fraction = price.split(".")
    return int(whole + fraction.ljust(9, "0"))


class OrdersMirror(Mirror):
    """Every queue, from effects; without the times of orders, which a move does not tell."""

    def __init__(self) -> None:
        super().__init__()
        self.queues: dict[str, dict[str, list[list[Any]]]] = {}
        self.quotes: dict[str, tuple[str, int]] = {}

    def apply(self, message: Message) -> None:
        super().apply(message)
        if message.kind != "snapshot":
            return
        self.queues, self.quotes = {"bids": {}, "asks": {}}, {}
        for side, levels in self.sides.items():
            for price, (size, _, queue) in levels.items():
                self.queues[side][price] = [[order_id, left] for order_id, left, _ in queue]
                quote = size - sum(left for _, left, _ in queue)
                if quote:
                    self.quotes[side] = (price, quote)

    def find(self, order_id: str) -> tuple[str, list[list[Any]], int]:
        for side, queues in self.queues.items():
            for queue in queues.values():
                for at, order in enumerate(queue):
                    if order[0] == order_id:
                        return side, queue, at
        raise KeyError(order_id)

    def change(self, value: dict[str, Any]) -> None:
        sides = {"B": "bids", "A": "asks"}
        for op in value["ops"]:
            match op:
                case ["A", order_id, side, price, size]:
                    self.queues[sides[side]].setdefault(price, []).append([order_id, size])
                case ["M", order_id, price, size, "back"]:
                    side, queue, at = self.find(order_id)
                    del queue[at]
                    self.queues[side].setdefault(price, []).append([order_id, size])
                case ["M", order_id, price, size, "keep"]:
                    side, queue, at = self.find(order_id)
                    assert self.queues[side][price] is queue
                    queue[at][1] = size
                case ["C", order_id, size]:
                    _, queue, at = self.find(order_id)
                    queue[at][1] -= size
                    assert queue[at][1] >= 0
                    if not queue[at][1]:
                        del queue[at]
                case ["Q", side, price, size]:
                    self.queues[sides[side]].clear()
                    self.quotes.pop(sides[side], None)
                    if price is not None:
                        self.quotes[sides[side]] = (price, size)
                case _:
                    raise AssertionError(op)
        self.sides = {side: self.totals(side) for side in self.sides}

    def totals(self, side: str) -> dict[str, list[Any]]:
        queues = {price: queue for price, queue in self.queues[side].items() if queue}
        levels: dict[str, list[Any]] = {p: [sum(o[1] for o in q), len(q), q] for p, q in queues.items()}
        if side in self.quotes:
            price, size = self.quotes[side]
            level = levels.setdefault(price, [0, 0, []])
            level[0] += size
        return levels

    def assert_is(self, book: dict[str, Any]) -> None:
        assert (self.head["epoch"], self.head["state"]) == (book["epoch"], book["state"])
        for side in ("bids", "asks"):
            expected = [[*level[:3], [order[:2] for order in level[3]]] for level in book[side]]
            assert [[*level[:3], [order[:2] for order in level[3]]] for level in self.levels(side)] == expected


def market_of(*first: Mbo) -> Market:
    market = Market()
    market.feed(b"".join(record.to_bytes() for record in first))
    return market


def book_of(market: Market, **extent: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(market.book_json(KEY, **extent))
    assert msgspec.msgpack.decode(market.book_msgpack(KEY, **extent)) == value
    return value


@given(stream=records(), depth=st.sampled_from((1, 3, 10)), level=st.sampled_from((2, 3)), polls=st.randoms())
@settings(max_examples=100)
def test_depth_has_the_book_at_every_message(stream: list[Mbo], depth: int, level: Any, polls: Any) -> None:
    market = market_of(FIRST)
    followed = market.stream("depth", KEY, depth=depth, level=level)
    mirror, late = Mirror(), Mirror()
    mirror.apply(followed.snapshot())
    late.apply(followed.snapshot())
    for record in stream:
        market.feed(record.to_bytes())
        if polls.random() < 0.5:
            if message := followed.poll():
                mirror.apply(message)
            book = book_of(market, depth=depth, level=level)
            mirror.assert_is(book)
            assert followed.poll() is None
            snapshot = followed.snapshot()
            assert followed.snapshot() is snapshot
            if message and message.kind == "snapshot":
                assert snapshot is message
            if message:
                assert {k: decoded(snapshot)[k] for k in LEVEL_FIELDS} == {k: book[k] for k in LEVEL_FIELDS}
        if polls.random() < 0.2:
            merged = followed.merged(late.head["epoch"], late.head["seq"])
            assert merged is followed.merged(late.head["epoch"], late.head["seq"])
            if merged:
                late.apply(merged)
            elif (late.head["epoch"], late.head["seq"]) != (mirror.head["epoch"], mirror.head["seq"]):
                late.apply(followed.snapshot())
            assert (late.sides, late.head["state"]) == (mirror.sides, mirror.head["state"])


@pytest.mark.parametrize("rule", ["keeps_place", "to_back"])
@given(stream=records(), polls=st.randoms())
@settings(max_examples=100)
def test_orders_has_every_queue_at_every_message(rule: Any, stream: list[Mbo], polls: Any) -> None:
    market = Market(same_size_modify=rule)
    market.feed(FIRST.to_bytes())
    followed = market.stream("orders", KEY)
    mirror = OrdersMirror()
    mirror.apply(followed.snapshot())
    for record in stream:
        market.feed(record.to_bytes())
        if polls.random() < 0.5:
            if message := followed.poll():
                mirror.apply(message)
            mirror.assert_is(book_of(market, depth=None, level=3))
            newcomer = OrdersMirror()
            newcomer.apply(followed.snapshot())
            assert newcomer.head["seq"] == mirror.head["seq"]
            newcomer.assert_is(book_of(market, depth=None, level=3))


@given(stream=records(), polls=st.randoms())
@settings(max_examples=100)
def test_dbn_and_trades_carry_every_record(stream: list[Mbo], polls: Any) -> None:
    market, other = market_of(FIRST), Market()
    dbn, trades = market.stream("dbn", KEY), market.stream("trades", KEY)
    binary = dbn.snapshot().binary
    assert binary is not None
    other.feed(binary)
    assert decoded(trades.snapshot())["trades"] == []
    told, traded = [], []
    end = Mbo("N", flags=LAST, ts_event=stream[-1].ts_event if stream else 0)
    for record in [*stream, end]:
        market.feed(record.to_bytes())
        if record is not end and polls.random() < 0.5:
            continue
        if message := dbn.poll():
            assert message.binary is not None
            assert message.binary is message.binary
            other.feed(message.binary)
            told += list(raw_records(message.binary))
        if (message := trades.poll()) and message.kind == "delta":
            traded += [trade["sequence"] for trade in decoded(message)["trades"]]
        elif message:
            traded = [trade["sequence"] for trade in decoded(message)["trades"]]
    own = [record for record in [*stream, end] if record.key == KEY]
    assert told == [record.to_bytes() for record in own]
    assert traded[-50:] == [record.sequence for record in own if record.action == "T"][-50:]
    for level in (2, 3):
        one, two = (json.loads(m.book_json(KEY, depth=None, level=level)) for m in (market, other))
        assert (one["bids"], one["asks"]) == (two["bids"], two["asks"])


def test_a_dbn_snapshot_is_a_stream_that_names_its_instrument() -> None:
    simulator = Simulator(seed=3, instruments=2)
    market = Market()
    market.feed(simulator.header() + simulator.read(0))
    market.feed(simulator.read(2_000))
    symbol = market.instruments()[0].symbol
    assert symbol is not None
    followed = market.stream("dbn", symbol)
    binary = followed.snapshot().binary
    assert binary is not None
    header, rest = split(binary)
    assert symbol.encode() in header
    adds = parse(binary)
    assert [adds[0].action, {record.action for record in adds[1:]}] == ["R", {"A"}]
    assert {record.flags for record in adds[:-1]} == {40}
    assert (adds[-1].flags, len(rest)) == (40 | LAST, 56 * len(adds))
    other = Market()
    other.feed(binary)
    assert [i.symbol for i in other.instruments()] == [symbol]
    assert (
        other.snapshot(symbol, None, level=3).to_dict()["bids"]
        == market.snapshot(symbol, None, level=3).to_dict()["bids"]
    )
    assert followed.instrument == symbol


def test_a_symbol_that_dbn_cannot_write_is_left_out() -> None:
    """Sources may send UTF-8, DBN's writers take ASCII; the other channels tell it as it came."""
    market = Market()
    market.feed(metadata(symbols={"ÉSZ5": KEY[1]}) + FIRST.to_bytes())
    binary = market.stream("dbn", KEY).snapshot().binary
    assert binary is not None
    assert [record.order_id for record in parse(binary)] == [0, FIRST.order_id]
    assert decoded(market.stream("bbo", KEY).snapshot())["instrument"] == "ÉSZ5"


def test_no_trade_is_lost_at_the_end_of_an_epoch() -> None:
    """The message that tells of the new epoch is a snapshot, and would have the last 50 trades only."""
    market = market_of(FIRST)
    followed = market.stream("trades", KEY)
    followed.poll()
    trades = [Mbo("T", "B", UNIT, 1, 0, sequence=number) for number in range(120)]
    for record in [*trades, Mbo("R", "N", UNDEF_PRICE, 0, 0), FIRST]:
        market.feed(record.to_bytes())
    message = followed.poll()
    assert message is not None
    told = decoded(message)
    assert (told["type"], [trade["sequence"] for trade in told["trades"]]) == ("snapshot", [*range(120)])


def test_an_overflow_is_a_gap_and_then_a_snapshot() -> None:
    market = market_of(FIRST)
    followed = market.stream("orders", KEY)
    before = followed.snapshot()
    one = Mbo("A", "A", 2 * UNIT, 1, 7).to_bytes()
    for _ in range(3):
        market.feed(one * 100_000)
    gap = followed.poll()
    assert gap is not None
    expected = {"type": "gap", "channel": "orders", "instrument": "1:1", "reason": "overflow"}
    assert decoded(gap) == {**expected, "from": before.seq + 1, "to": 300_001}
    assert (gap.kind, gap.binary, gap.lag_from_ts_recv) == ("gap", None, 0)
    snapshot = followed.poll()
    assert snapshot is not None
    mirror = OrdersMirror()
    mirror.apply(snapshot)
    mirror.assert_is(book_of(market, depth=None, level=3))
    assert followed.poll() is None


def test_a_closed_stream_says_so() -> None:
    followed = market_of(FIRST).stream("orders", KEY)
    followed.snapshot()
    followed.close()
    followed.close()
    for call in (followed.poll, followed.snapshot, lambda: followed.merged("0", 1)):
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_what_is_no_stream_is_refused() -> None:
    market = market_of(FIRST, FIRST._replace(publisher_id=2))
    with pytest.raises(UnknownInstrumentError):
        market.stream("bbo", 7)
    with pytest.raises(AmbiguousInstrumentError):
        market.stream("bbo", 1)
    wrong: list[tuple[Any, dict[str, Any]]] = [
        ("book", {}),
        ("bbo", {"depth": 1}),
        ("orders", {"level": 3}),
        ("depth", {"depth": 0}),
        ("depth", {"depth": 10_001}),
        ("depth", {"level": 1}),
    ]
    for channel, extent in wrong:
        with pytest.raises(ValueError, match=r"expected|takes no"):
            market.stream(channel, KEY, **extent)


def test_an_order_and_its_place_in_its_queue() -> None:
    market = market_of(FIRST, FIRST._replace(order_id=2**63, size=3), FIRST._replace(order_id=4, size=2))
    order = json.loads(market.order_json(KEY, 2**63))
    assert order == {
        "instrument_id": 1,
        "publisher_id": 1,
        "symbol": None,
        "epoch": "0",
        "seq": 3,
        "order_id": str(2**63),
        "status": "resting",
        "side": "B",
        "price": "1.00",
        "size": 3,
        "ts_event": str(FIRST.ts_event),
        "orders_ahead": 1,
        "size_ahead": 5,
        "orders_behind": 1,
        "size_behind": 2,
    }
    with pytest.raises(UnknownOrderError, match=r"^no order 5 rests in book 1:1$") as raised:
        market.order_json(KEY, 5)
    assert isinstance(raised.value, KeyError)
    with pytest.raises(UnknownInstrumentError):
        market.order_json(7, 5)


def follow(followed: Stream, mirror: Mirror, is_over: threading.Event) -> None:
    mirror.apply(followed.snapshot())
    while True:
        was_over = is_over.is_set()
        message = followed.poll()
        if message is None and was_over:
            return
        if message is not None and message.kind != "gap":
            mirror.apply(message)


def test_threads_that_follow_while_another_feeds_end_with_its_book() -> None:
    simulator = Simulator(seed=5, instruments=1, resting_max=256)
    market = Market()
    market.feed(simulator.header() + simulator.read(1))
    pieces = [simulator.read(2_000) for _ in range(30)]
    key = (market.instruments()[0].publisher_id, market.instruments()[0].instrument_id)
    is_over = threading.Event()
    mirrors: list[tuple[Stream, Mirror]] = [
        (market.stream("depth", key, depth=10_000, level=3), Mirror()),
        (market.stream("bbo", key), Mirror()),
        (market.stream("orders", key), OrdersMirror()),
    ]
    threads = [threading.Thread(target=follow, args=(*pair, is_over)) for pair in mirrors]
    for thread in threads:
        thread.start()
    for piece in pieces:
        market.feed(piece)
    is_over.set()
    for thread in threads:
        thread.join()
    depth, bbo, orders = (mirror for _, mirror in mirrors)
    book = json.loads(market.book_json(key, depth=None, level=3))
    depth.assert_is(book)
    orders.assert_is(book)
    bbo.assert_is(json.loads(market.book_json(key, level=1)))
