"""Whatever a client is too slow for, what it gets is continuous, and leads to the book as it is."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3book import workers
from l3book.api.ws.formats import JSON
from l3book.api.ws.outbox import Outbox
from l3book.api.ws.subscription import Subscription
from l3book.config import InForce, Settings
from l3book.streams.fanout import Fanout
from l3book.streams.group import GroupKey
from l3book.wire import Ack
from small_streams import SmallMarket, SmallOutlet, WorkOnDemand

KEYS = st.sampled_from("abc")
CLIENT = st.integers(0, 1)
STEPS = st.one_of(
    st.tuples(st.just("change"), KEYS, st.integers(0, 3)),
    st.tuples(st.just("change"), KEYS, st.integers(0, 3)),
    st.tuples(st.just("poll")),
    st.tuples(st.just("poll")),
    st.tuples(st.just("poll")),
    st.tuples(st.just("turn")),
    st.tuples(st.just("turn")),
    st.tuples(st.just("work"), st.booleans()),
    st.tuples(st.just("hand over"), st.booleans()),
    st.tuples(st.just("clear")),
    st.tuples(st.just("overflow")),
    st.tuples(st.just("room"), CLIENT, st.integers(1, 4)),
    st.tuples(st.just("room"), CLIENT, st.integers(1, 4)),
    st.tuples(st.just("subscribe"), CLIENT),
    st.tuples(st.just("unsubscribe"), CLIENT),
    st.tuples(st.just("heartbeat"), CLIENT),
)
TURNS_UNTIL_QUIET = 60
ROOM_FOR_ALL = 10_000
SHORT_OF_BYTES = Settings().model_copy(update={"socket_queue_bytes_max": 150})
"""Less than a setting may be, as the messages here are smaller than real ones."""


class Mirror:
    """A client that believes nothing it cannot check."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] | None = None
        self.epoch = ""
        self.seq = -1
        self.subscribed = False

    def take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "ack":
            self.subscribed = message.get("id") == 1
            self.sizes = None
            return
        if kind == "heartbeat":
            return
        assert self.subscribed, f"{kind} without a subscription"
        if kind == "gap":
            assert self.sizes is not None, "a gap for somebody who has nothing to lose"
            self.sizes = None
        elif kind == "snapshot":
            assert self.sizes is None or (message["epoch"], message["seq"]) != (self.epoch, self.seq), "told already"
            self.sizes = dict(message["sizes"])
            self.epoch, self.seq = message["epoch"], message["seq"]
        else:
            assert self.sizes is not None, "a delta before its snapshot"
            assert (message["epoch"], message["prev"]) == (self.epoch, self.seq)
            assert message["seq"] > message["prev"]
            self.sizes.update(message.get("sizes") or dict(message.get("ops", [])))
            self.seq = message["seq"]


class Client:
    def __init__(self, fanout: Fanout, limits: Settings, channel: str) -> None:
        self.fanout = fanout
        self.key = GroupKey(cast("Any", channel), 1, 1, 10, 2, None, 100)
        self.outlet = SmallOutlet()
        self.now_s = 0.0
        self.behind_s_max = 0.0
        self.outbox = Outbox(self.outlet, JSON, InForce(limits), fanout.counters, lambda: self.now_s)
        self.sender = asyncio.create_task(self.outbox.run())
        self.subscription: Subscription | None = None

    def subscribe(self) -> None:
        if self.subscription is None:
            self.subscription = Subscription(self.outbox, "AB", self.key, "AB")
            self.subscription.group = self.fanout.join(self.key, self.subscription)
            self._acknowledge(1)
            self.outbox.begin(self.subscription)

    def unsubscribe(self) -> None:
        if self.subscription is not None:
            self.outbox.forget(self.subscription)
            self.fanout.leave(self.subscription.group, self.subscription)
            self.subscription = None
            self._acknowledge(2)

    def _acknowledge(self, number: int) -> None:
        self.outbox.answer(Ack(id=number, channel="depth", instrument="AB", publisher_id=1, instrument_id=1))

    def mirror(self) -> Mirror:
        mirror = Mirror()
        for message in self.outlet.messages():
            mirror.take(message)
        return mirror


async def play(steps: list[tuple[Any, ...]], channel: str, limits: Settings) -> list[Client]:
    with patch.object(workers, "_pool", WorkOnDemand()) as threads:
        return await played(steps, channel, limits, threads)


async def played(steps: list[tuple[Any, ...]], channel: str, limits: Settings, threads: WorkOnDemand) -> list[Client]:
    market = SmallMarket()
    polls: set[asyncio.Task[None]] = set()
    fanout = Fanout(cast("Any", market))
    # Groups are polled by the steps alone.
    fanout._ticker = lambda _group: cast("Any", NoTicker())  # type: ignore[method-assign]
    clients = [Client(fanout, limits, channel) for _ in range(2)]
    for name, *arguments in steps:
        match name:
            case "change":
                market.the_book.change(*arguments)
            case "clear":
                market.the_book.clear()
            case "overflow":
                for stream in market.the_book.streams:
                    stream.overflowed = channel == "orders"
            case "poll":
                poll(fanout, polls)
            case "turn":
                await asyncio.sleep(0)
            case "work":
                threads.work(newest=arguments[0])
            case "hand over":
                threads.hand_over(newest=arguments[0])
            case "room":
                clients[arguments[0]].outlet.give_room(arguments[1])
            case "second":
                for client in clients:
                    client.now_s += 1
                    client.behind_s_max = max(client.behind_s_max, client.outbox.behind_s())
            case "heartbeat":
                clients[arguments[0]].outbox.heartbeat(0, lambda _heartbeat: None)
            case _:
                getattr(clients[arguments[0]], name)()
    for client in clients:
        client.outlet.give_room(ROOM_FOR_ALL)
    for _ in range(3):
        poll(fanout, polls)
        for _ in range(TURNS_UNTIL_QUIET):
            threads.work()
            threads.hand_over()
            await asyncio.sleep(0)
    for client in clients:
        assert client.outlet.ended is None
        mirror = client.mirror()
        assert mirror.subscribed == (client.subscription is not None)
        if client.subscription is not None:
            assert mirror.sizes is not None, "no snapshot"
            assert {k: v for k, v in mirror.sizes.items() if v} == {k: v for k, v in market.the_book.sizes.items() if v}
            assert mirror.epoch == market.the_book.epoch
        assert client.outbox.lag_s() == 0
        client.unsubscribe()
        client.sender.cancel()
    await asyncio.gather(*polls)
    for client in clients:
        assert client.outbox.sent == len(client.outlet.frames)
    assert fanout.counters.sent == sum(len(client.outlet.frames) for client in clients)
    assert fanout.counters.bytes == sum(map(len, clients[0].outlet.frames + clients[1].outlet.frames))
    assert fanout.counters.groups == fanout.counters.subscriptions == 0
    assert market.the_book.streams == [], "a stream was not closed"
    return clients


class NoTicker:
    def add(self, group: object) -> None: ...

    def remove(self, group: object) -> None: ...


def poll(fanout: Fanout, polls: set[asyncio.Task[None]]) -> None:
    for group in tuple(fanout._groups.values()):
        if group.is_light:
            group.poll()
        elif not group.is_polling:
            polls.add(group.poll_in_thread())


@pytest.mark.parametrize("channel", ["depth", "orders"])
@settings(max_examples=400)
@given(st.lists(STEPS, max_size=80), st.integers(1, 4))
def test_every_client_can_follow(channel: str, steps: list[tuple[Any, ...]], messages_max: int) -> None:
    subscribed = [("subscribe", 0), ("subscribe", 1), ("room", 0, 2), *steps]
    asyncio.run(play(subscribed, channel, Settings(socket_queue_messages_max=messages_max)))


@pytest.mark.parametrize("channel", ["depth", "orders"])
@given(st.lists(STEPS, max_size=60))
def test_every_client_can_follow_when_bytes_are_what_is_short(channel: str, steps: list[tuple[Any, ...]]) -> None:
    subscribed = [("subscribe", 0), ("subscribe", 1), ("room", 0, 2), *steps]
    asyncio.run(play(subscribed, channel, SHORT_OF_BYTES))


MOVES = [step for size in range(1, 30) for step in (("change", "a", size), ("poll",), ("turn",))]

IN_THREAD = [("turn",), ("turn",), ("work", False), ("hand over", False), *[("turn",)] * 6]
"""What is handed to a thread comes back."""


def kinds(client: Client) -> list[str]:
    return [message["type"] for message in client.outlet.messages()]


def test_a_client_that_stops_reading_gets_one_merged_delta() -> None:
    steps = [("room", 0, 2), ("subscribe", 0), ("turn",), ("turn",), *MOVES]
    client = asyncio.run(play(steps, "depth", Settings()))[0]
    assert kinds(client)[:3] == ["ack", "snapshot", "delta"]
    # One that waited and one that stands for all others: unless they are too many to be merged.
    assert len(kinds(client)) == 5
    assert client.outbox.conflated == 28
    assert client.fanout.counters.conflated == 28
    assert client.fanout.counters.gaps == 0


def test_a_client_that_reads_on_slowly_and_gets_merged_deltas_is_never_long_behind() -> None:
    """It was closed as too slow: the time ran from when it first fell behind until nothing at all was left to tell."""
    steps = [("room", 0, 2), ("subscribe", 0), ("turn",), ("turn",)]
    for size in range(1, 30):
        changes = [step for more in range(3) for step in (("change", "a", size + more), ("poll",), ("turn",))]
        steps += [*changes, ("second",), ("room", 0, 1), ("turn",), ("turn",), ("turn",)]
    client = asyncio.run(play(steps, "depth", Settings()))[0]
    assert client.outbox.conflated > 0
    assert 0 < client.behind_s_max <= 3


def test_a_client_that_stops_reading_is_behind_ever_since() -> None:
    steps = [("room", 0, 2), ("subscribe", 0), ("turn",), ("turn",)]
    steps += [step for size in range(1, 30) for step in (("change", "a", size), ("poll",), ("turn",), ("second",))]
    client = asyncio.run(play(steps, "depth", Settings()))[0]
    assert client.behind_s_max > 20


def test_a_client_that_stops_reading_orders_gets_a_gap() -> None:
    steps = [("room", 0, 1), ("subscribe", 0), ("turn",), ("work", False), ("hand over", False), ("turn",), ("turn",)]
    steps += [("room", 0, 1), *IN_THREAD]
    steps += [step for size in range(1, 30) for step in (("change", "a", size), ("poll",), *IN_THREAD)]
    client = asyncio.run(play(steps, "orders", Settings(socket_queue_messages_max=4)))[0]
    assert kinds(client) == ["ack", "snapshot", "delta", "delta", "delta", "delta", "gap", "snapshot", "ack"]
    gap = client.outlet.messages()[6]
    assert (gap["from"], gap["to"], gap["reason"]) == (5, 29, "slow_consumer")
    assert client.outbox.conflated == 25
    assert client.fanout.counters.gaps == 1
    assert client.fanout.counters.snapshots == 2


def test_more_may_come_than_can_be_held_while_a_snapshot_is_made() -> None:
    """Nothing changes afterwards that would show the client that it has missed something."""
    overtaking = [("turn",), ("turn",), ("work", True), ("hand over", True), *[("turn",)] * 6]
    steps = [("room", 0, 99), ("subscribe", 0), ("turn",), ("turn",), ("turn",), ("work", False)]
    steps += [step for size in (1, 2, 3) for step in (("change", "a", size), ("poll",), *overtaking)]
    client = asyncio.run(play(steps, "orders", Settings(socket_queue_messages_max=1)))[0]
    assert kinds(client) == ["ack", "snapshot", "gap", "snapshot", "ack"]


def test_a_group_whose_first_poll_comes_before_its_first_snapshot_tells_it_once() -> None:
    """A poll that is the first has a snapshot to tell: of the same moment as the one that is being made."""
    steps = [("room", 0, 99), ("subscribe", 0), ("poll",), *[("turn",)] * 3, *IN_THREAD, *IN_THREAD]
    client = asyncio.run(play(steps, "orders", Settings()))[0]
    assert kinds(client) == ["ack", "snapshot", "ack"]


def test_all_clients_of_a_group_get_the_same_bytes() -> None:
    steps = [("room", 0, 99), ("room", 1, 99), ("subscribe", 0), ("subscribe", 1), *[("turn",)] * 9, *MOVES]
    one, other = asyncio.run(play(steps, "depth", Settings()))
    deltas = [frame for frame in one.outlet.frames if b'"delta"' in frame]
    assert len(deltas) == 29
    assert all(mine is theirs for mine, theirs in zip(one.outlet.frames[1:-1], other.outlet.frames[1:-1], strict=True))
