"""The clients' book against a naive model of the server: every update, every fault."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book.client.book import Book, OutOfStep
from l3book.client.messages import Delta, Snapshot
from l3book.client.session import Session
from l3book.prices import parse_price
from stream_model import VECTORS, Stream, Venue, after, vectors

if TYPE_CHECKING:
    from l3book.client.subscription import Update

NUMBERS = st.tuples(*[st.integers(0, 255)] * 3, st.integers(0, 5), st.integers(0, 255))
EVENTS = st.lists(st.tuples(NUMBERS, st.sampled_from(("tell", "wait", "tell", "clear"))), max_size=60)
KINDS: list[dict[str, Any]] = [
    {"channel": "bbo"},
    {"depth": 1},
    {"depth": 3},
    {"depth": 20},
    {"depth": 3, "level": 3},
    {"channel": "orders"},
]


def assert_book(book: Book, expected: dict[str, Any]) -> None:
    said = book.to_dict()
    for side, letter in (("bids", "B"), ("asks", "A")):
        assert said[side] == expected[side]
        levels = [(parse_price(price), size, count) for price, size, count, *_ in expected[side]]
        assert [tuple(level) for level in book.levels(letter)] == levels  # type: ignore[arg-type]
        for price, _, _, *queue in expected[side]:
            ids = [(str(order.order_id), order.size) for order in book.orders(letter, parse_price(price))]  # type: ignore[arg-type]
            assert not queue or ids == [(order_id, size) for order_id, size, _ in queue[0]]
    assert (said["epoch"], said["seq"], book.checksum()) == (expected["epoch"], expected["seq"], expected["crc"])
    tops = [next(iter(book.levels(side)), None) for side in ("B", "A")]  # type: ignore[arg-type]
    assert book.bbo() == tuple(tops)


class Peer:
    """The server's end of one subscription: answers what a session asks for."""

    def __init__(self, encoding: str, options: dict[str, Any]) -> None:
        self.now_s = 0.0
        self.session = Session(encoding, 60, lambda: self.now_s)  # type: ignore[arg-type]
        self.coder = msgspec.json if encoding == "json" else msgspec.msgpack
        self.venue = Venue()
        self.stream = Stream(self.venue, **options)
        asked = {name: value for name, value in options.items() if name != "channel"}
        self.state = self.session.add(options.get("channel", "depth"), "CLX5", asked)
        self.subscribed = False
        self.serve()

    def send(self, message: dict[str, Any]) -> None:
        frame = self.coder.encode(message)
        self.session.take(frame.decode() if self.coder is msgspec.json else frame)

    def serve(self) -> None:
        """Answer what was asked for."""
        for frame in self.session.outgoing():
            request = self.coder.decode(frame)
            self.subscribed = request["op"] == "subscribe"
            key = {"instrument": "CLX5", "publisher_id": 1, "instrument_id": 5}
            self.send({"type": "ack", "id": request["id"], "channel": request["channel"], **key})
            if self.subscribed:
                self.send(self.stream.snapshot())

    def heartbeat(self) -> None:
        self.send({"type": "heartbeat", "seq": 0, "sent": 0, "conflated": 0, "lag_ms": 0})

    def read(self) -> list[Update]:
        """All that can be read now, resyncs included."""
        updates: list[Update] = []
        while self.state.has_pending:
            update = self.state.next_update()
            updates += [update] if update is not None else []
            self.serve()
        return updates


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("options", KINDS, ids=str)
@given(events=EVENTS)
def test_the_book_follows(encoding: str, options: dict[str, Any], events: list[Any]) -> None:
    peer = Peer(encoding, options)
    peer.read()
    for numbers, what in events:
        peer.stream.ops += peer.venue.event(*numbers)
        if what == "clear":
            peer.venue.clear()
        if what != "wait" and (message := peer.stream.delta()) is not None:
            peer.send(message)
            (update,) = peer.read()
            assert update.kind == message["type"]
            assert update.book is not None
            assert_book(update.book, after(peer.stream))
    assert peer.session.counters.resyncs == 0


@pytest.mark.parametrize("options", KINDS, ids=str)
@given(events=EVENTS, lost=st.integers(0, 20))
def test_a_lost_delta_is_noticed_and_the_book_is_right_again(
    options: dict[str, Any], events: list[Any], lost: int
) -> None:
    peer = Peer("json", options)
    peer.read()
    deltas = 0
    for numbers, what in events:
        peer.stream.ops += peer.venue.event(*numbers)
        if what == "clear":
            peer.venue.clear()
        message = peer.stream.delta()
        if message is None:
            continue
        deltas += message["type"] == "delta"
        if message["type"] == "delta" and deltas == lost + 1:
            # The next message is either a snapshot, or a delta that does not fit.
            peer.stream.ops += peer.venue.event(0, 0, 0, 5, 250)
            peer.stream.ops += peer.venue.event(1, 1, 2, 4, 251)
            if (message := peer.stream.delta()) is None:
                continue
            peer.send(message)
            kinds = [update.kind for update in peer.read()]
            assert kinds == ["snapshot"]
            if message["type"] == "delta":
                assert (peer.session.counters.gaps, peer.session.counters.resyncs) == (1, 1)
        else:
            peer.send(message)
            peer.read()
        assert_book(peer.state.book, after(peer.stream))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"depth": 3}, {"depth": 20}, {"depth": 3, "level": 3}], ids=str)
@given(events=EVENTS, which=st.integers(0, 200), damage=st.sampled_from(("size", "price", "missing")))
def test_a_damaged_delta_is_noticed_by_its_checksum(
    options: dict[str, Any], events: list[Any], which: int, damage: str
) -> None:
    peer = Peer("msgpack", options)
    peer.read()
    for numbers, _ in events:
        peer.stream.ops += peer.venue.event(*numbers)
        message = peer.stream.delta()
        if message is None:
            continue
        changed = [(side, i) for side in ("bids", "asks") for i in range(len(message[side])) if message[side][i][1]]
        if not changed or message["type"] != "delta":
            peer.send(message)
            peer.read()
            continue
        side, index = changed[which % len(changed)]
        level = message[side].pop(index)
        if damage == "size":
            message[side].insert(index, [level[0], level[1] + 1, *level[2:]])
        elif damage == "price":
            message[side].insert(index, ["100.125", *level[1:]])
        resyncs = peer.session.counters.resyncs
        peer.send(message)
        kinds = [update.kind for update in peer.read()]
        counters = peer.session.counters
        if kinds == ["delta"]:
            # Only the number of orders or the queue was different: the checksum covers price and size.
            assert damage == "missing"
            return
        assert (counters.crc_errors, counters.resyncs - resyncs) == (1, 1)
        assert kinds == ["snapshot"]
        assert_book(peer.state.book, after(peer.stream))  # type: ignore[arg-type]
        return


def test_resyncs_are_spaced_further_and_further_apart() -> None:
    peer = Peer("json", {"depth": 3})
    asked_at_s = []
    peer.read()
    peer.venue.event(0, 0, 0, 1, 0)
    for tick in range(400):
        peer.now_s = tick / 10
        peer.heartbeat()
        if peer.state.phase == "asked":
            asked_at_s.append(peer.now_s)
            peer.serve()
        if peer.state.phase == "live":
            # Nothing that this server says ever fits.
            peer.send({**peer.stream.head("delta"), "prev": 999, "bids": [], "asks": [], "crc": 0})
            while peer.state.has_pending:
                peer.state.next_update()
    waits = [round(after_s - before_s, 1) for before_s, after_s in itertools.pairwise(asked_at_s)]
    assert waits[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert peer.session.counters.resyncs in {len(asked_at_s), len(asked_at_s) + 1}, "the last may still be waiting"


def test_a_reader_that_leaves_too_much_unread_gets_a_gap_and_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l3book.client.subscription.PENDING_MESSAGES_MAX", 5)
    peer = Peer("json", {"channel": "orders"})
    for step in range(6):
        peer.stream.ops += peer.venue.event(0, 0, step, 1, step)
        message = peer.stream.delta()
        assert message is not None
        if peer.state.phase == "live":
            peer.send(message)
    peer.serve()
    updates = peer.read()
    assert [update.kind for update in updates] == ["gap", "snapshot"]
    assert updates[0].reason == "slow_reader"
    assert_book(peer.state.book, after(peer.stream))  # type: ignore[arg-type]


def test_an_op_on_an_order_that_does_not_rest_is_out_of_step() -> None:
    stream = Stream(Venue(), "orders")
    book = Book()
    book.apply_snapshot(msgspec.convert({**stream.snapshot(), "type": "snapshot"}, Snapshot))
    delta = {**stream.head("delta"), "ops": [["C", "77", 1]], "crc": 0}
    with pytest.raises(OutOfStep, match="order 77 does not rest here"):
        book.apply_delta(msgspec.convert(delta, Delta))


def test_the_shared_vectors_are_what_the_model_says() -> None:
    assert json.loads(VECTORS.read_text(encoding="utf-8")) == vectors(), "run python tests/stream_model.py"


@pytest.mark.parametrize("case", vectors(), ids=lambda case: case["name"])
def test_the_shared_vectors(case: dict[str, Any]) -> None:
    options = {"best bid and offer": 1, "two levels": 2, "three levels with queues": 3}
    book = Book(options.get(case["name"], 10))
    for message, expected in zip(case["messages"], case["books"], strict=True):
        if message["type"] == "snapshot":
            book.apply_snapshot(msgspec.convert(message, Snapshot))
        else:
            book.apply_delta(msgspec.convert(message, Delta))
        assert_book(book, expected)
