"""Both clients against a server that loses, damages, refuses, closes, falls silent and dies."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from l3book import UNDEF_PRICE, L3BookError
from l3book.client import (
    AsyncClient,
    AsyncSubscription,
    Client,
    ClientError,
    ConnectionLostError,
    RefusedError,
    SubscriptionError,
    connecting,
)
from stream_model import checksum
from stream_server import StreamServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from l3book.client import Update

WAIT_S = 30


class DrivenSubscription:
    """An AsyncSubscription, one step at a time."""

    def __init__(self, runner: asyncio.Runner, subscription: AsyncSubscription) -> None:
        self._runner = runner
        self._subscription = subscription

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subscription, name)

    def next(self, timeout_s: float | None = None) -> Update:
        return self._runner.run(self._subscription.next(timeout_s))

    def unsubscribe(self) -> None:
        self._runner.run(self._subscription.unsubscribe())


class DrivenClient:
    """An AsyncClient with the methods of a Client, so that one test tells of both."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def connect(self) -> None:
        self._runner.run(self._client.connect())

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def subscribe(self, *arguments: Any, **options: Any) -> DrivenSubscription:
        return DrivenSubscription(self._runner, self._runner.run(self._client.subscribe(*arguments, **options)))

    def __next__(self) -> Update:
        return self._runner.run(anext(self._client))  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[StreamServer]:
    with StreamServer() as server:
        server.event(0, 0, 0, 1, 0)
        server.event(0, 1, 2, 2, 1)
        yield server


@pytest.fixture(params=["Client", "AsyncClient"])
def make(server: StreamServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a client of either kind; it is closed with the test, before the server."""
    monkeypatch.setattr(connecting, "WAIT_FIRST_S", 0.01)
    made: list[Any] = []

    def make(server: StreamServer, key: str | None = None, **options: Any) -> Any:
        made.append((Client if request.param == "Client" else DrivenClient)(server.url, key, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def connect(make: Any) -> Any:
    def connect(server: StreamServer, key: str | None = None, **options: Any) -> Any:
        client = make(server, key, **options)
        client.connect()
        return client

    return connect


def assert_right(book: Any, server: StreamServer, channel: str = "depth") -> None:
    expected = server.venue.picture(None, queues=channel == "orders")
    said = book.to_dict()
    assert {"bids": said["bids"], "asks": said["asks"]} == expected
    assert (book.seq, book.epoch, book.checksum()) == (
        server.venue.seq,
        f"{server.venue.epoch:x}",
        checksum(expected),
    )


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_snapshot_then_deltas(connect: Any, server: StreamServer, encoding: str) -> None:
    client = connect(server, encoding=encoding)
    subscription = client.subscribe("depth", "CLX5", depth=20, interval_ms=10)
    assert subscription.instrument == "CLX5"
    assert subscription.next(WAIT_S).kind == "snapshot"
    assert_right(subscription.book, server)
    for step in range(2, 8):
        server.event(0, step, step, step, step)
        update = subscription.next(WAIT_S)
        assert (update.kind, update.seq, update.book) == ("delta", server.venue.seq, subscription.book)
        assert_right(subscription.book, server)
    wanted = {"op": "subscribe", "id": 1, "channel": "depth", "instrument": "CLX5", "depth": 20, "interval_ms": 10}
    assert server.requests == [wanted]
    assert repr(subscription.book).startswith("<client.Book CLX5 · live")
    subscription.unsubscribe()
    with pytest.raises(ClientError, match="has ended"):
        subscription.next(WAIT_S)


def drop(_message: dict[str, Any]) -> bool:
    return False


def test_a_lost_delta(connect: Any, server: StreamServer) -> None:
    client = connect(server)
    subscription = client.subscribe("orders", (1, 5))
    subscription.next(WAIT_S)
    server.event(0, 0, 3, 1, 2, damage=drop)
    server.event(0, 0, 3, 1, 3)
    assert subscription.next(WAIT_S).kind == "snapshot"
    assert_right(subscription.book, server, "orders")
    assert (client.counters.gaps, client.counters.resyncs, client.counters.crc_errors) == (1, 1, 0)
    assert [request["op"] for request in server.requests] == ["subscribe", "unsubscribe", "subscribe"]
    assert server.requests[2]["instrument"] == "1:5"


def test_a_damaged_delta(connect: Any, server: StreamServer) -> None:
    client = connect(server)
    subscription = client.subscribe("depth", "CLX5", depth=20)
    subscription.next(WAIT_S)
    server.event(0, 0, 3, 1, 2, damage=lambda message: message["bids"].clear())
    assert subscription.next(WAIT_S).kind == "snapshot"
    assert_right(subscription.book, server)
    assert (client.counters.gaps, client.counters.resyncs, client.counters.crc_errors) == (0, 1, 1)


def test_a_gap_is_told_and_followed_by_a_snapshot(connect: Any, server: StreamServer) -> None:
    client = connect(server)
    subscription = client.subscribe("trades", "CLX5")
    assert subscription.next(WAIT_S).trades == ()
    server.trade(4)
    (trade,) = subscription.next(WAIT_S).trades
    assert (trade.price, trade.size, trade.side) == (100_250_000_000, 5, "N")
    facts = {"channel": "trades", "instrument": "CLX5"}
    server.send({"type": "gap", **facts, "from": 4, "to": 9, "reason": "slow_consumer"})
    told = {**server.venue.trades[-1], "price": None}
    server.send({"type": "snapshot", **facts, "epoch": "9f2", "seq": 9, "trades": [told]})
    update = subscription.next(WAIT_S)
    assert (update.kind, update.reason) == ("gap", "slow_consumer")
    update = subscription.next(WAIT_S)
    assert (update.kind, update.seq, update.trades[0].price) == ("snapshot", 9, UNDEF_PRICE)
    with pytest.raises(ClientError, match="carries no book"):
        _ = subscription.book
    assert (client.counters.gaps, client.counters.resyncs) == (1, 0)


def test_a_killed_server_and_its_return(connect: Any, server: StreamServer) -> None:
    client = connect(server)
    depth = client.subscribe("depth", "CLX5", depth=20)
    orders = client.subscribe("orders", "CLX5")
    depth.next(WAIT_S)
    orders.next(WAIT_S)
    server.stop()
    server.venue.clear()
    server.event(0, 0, 4, 2, 3)
    # A server that has just started does not know its instruments yet, and may have no room at first.
    server.errors.extend(["unknown_instrument"] * 3)
    server.close_at_once.extend([1012, 1013])
    server.start()
    for subscription, channel in ((depth, "depth"), (orders, "orders")):
        update = subscription.next(WAIT_S)
        assert (update.kind, update.epoch) == ("snapshot", "9f3")
        assert_right(subscription.book, server, channel)
    assert client.counters.reconnects >= 1
    assert client.counters.resyncs == 0


def test_a_silent_server_is_taken_for_lost(connect: Any, server: StreamServer) -> None:
    client = connect(server, heartbeat_timeout_s=0.5)
    subscription = client.subscribe("depth", "CLX5", depth=20)
    subscription.next(WAIT_S)
    server.is_silent = True
    server.requests.clear()
    assert subscription.next(WAIT_S).kind == "snapshot"
    assert client.counters.reconnects == 1
    assert server.requests[0]["op"] == "subscribe"


def test_waiting_in_vain_is_a_timeout_and_not_a_lost_server(connect: Any, server: StreamServer) -> None:
    client = connect(server)
    subscription = client.subscribe("depth", "CLX5")
    subscription.next(WAIT_S)
    with pytest.raises(TimeoutError):
        subscription.next(0.3)
    server.event(0, 0, 4, 2, 3)
    assert subscription.next(WAIT_S).kind == "delta"
    assert client.counters.reconnects == 0


def test_the_budget_ends(connect: Any, server: StreamServer) -> None:
    client = connect(server, reconnect_budget_s=0.3)
    subscription = client.subscribe("depth", "CLX5")
    subscription.next(WAIT_S)
    server.stop()
    with pytest.raises(ConnectionLostError, match="cannot be reached"):
        subscription.next(WAIT_S)
    server.start()


def test_a_wrong_key_is_a_clear_error(make: Any, server: StreamServer) -> None:
    problem = {"title": "Unauthorized", "detail": "the key is not known", "code": "unauthorized"}
    server.refusal = (HTTPStatus.UNAUTHORIZED, problem)
    with pytest.raises(RefusedError, match="answered 401: Unauthorized: the key is not known") as caught:
        make(server, "l3b_wrong").connect()
    assert caught.value.status == HTTPStatus.UNAUTHORIZED
    assert isinstance(caught.value, L3BookError)
    assert server.headers == ["Bearer l3b_wrong"]
    server.refusal = (HTTPStatus.SERVICE_UNAVAILABLE, problem)
    with pytest.raises(ConnectionLostError, match="answered 503"):
        make(server).connect()


def test_a_revoked_key_is_a_clear_error(connect: Any, server: StreamServer) -> None:
    client = connect(server, "l3b_good")
    subscription = client.subscribe("depth", "CLX5")
    subscription.next(WAIT_S)
    server.close(4401, "the key was revoked or has expired")
    with pytest.raises(RefusedError, match="4401: the key was revoked") as caught:
        subscription.next(WAIT_S)
    assert caught.value.status == 4401


def test_a_refused_subscription(connect: Any, server: StreamServer) -> None:
    client = connect(server)
    server.errors.append("unknown_instrument")
    with pytest.raises(SubscriptionError, match=r"not now \(unknown_instrument\)") as caught:
        client.subscribe("depth", "CLX9")
    assert caught.value.code == "unknown_instrument"
    assert client.subscribe("depth", "CLX5").next(WAIT_S).kind == "snapshot"


def test_all_subscriptions_in_one_iteration(connect: Any, server: StreamServer) -> None:
    client = connect(server)
    client.subscribe("depth", "CLX5")
    client.subscribe("bbo", "CLX5")
    assert {next(client).channel for _ in range(2)} == {"depth", "bbo"}


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_records_reach_the_subscription(connect: Any, server: StreamServer, encoding: str) -> None:
    client = connect(server, encoding=encoding)
    subscription = client.subscribe("dbn", "CLX5")
    record = bytes([14, 160, 1, 0, 5, 0, 0, 0]) + bytes(48)
    server.send(b"DBN\x02" + (0).to_bytes(4, "little") + record)
    server.send(record * 2)
    updates = [subscription.next(WAIT_S) for _ in range(2)]
    assert [(update.kind, len(update.records)) for update in updates] == [("records", 64), ("records", 112)]


def test_addresses() -> None:
    assert connecting.address("http://h:1") == "ws://h:1/v1/ws"
    assert connecting.address("https://h/") == "wss://h/v1/ws"
    assert connecting.address("ws://h:1/other/ws") == "ws://h:1/other/ws"
    with pytest.raises(ValueError, match="no address of a server"):
        connecting.address("127.0.0.1:8000")


def test_a_client_that_is_not_connected_says_so(server: StreamServer) -> None:
    with pytest.raises(ClientError, match="not connected"):
        Client(server.url).subscribe("depth", "CLX5")


@pytest.mark.timeout(30)
def test_a_closed_client_says_so_and_does_not_wait(server: StreamServer) -> None:
    with Client(server.url) as client:
        subscription = client.subscribe("depth", "CLX5")
    with pytest.raises(ClientError, match="the client is closed"):
        client.subscribe("orders", "CLX5")
    assert list(subscription) == []

    async def subscribe_closed() -> None:
        async with AsyncClient(server.url) as client:
            pass
        await client.subscribe("depth", "CLX5")

    with pytest.raises(ClientError, match="the client is closed"):
        asyncio.run(subscribe_closed())


def test_several_tasks_iterate_several_subscriptions(server: StreamServer) -> None:
    async def follow() -> list[int]:
        async with AsyncClient(server.url) as client:
            subscriptions = [await client.subscribe("depth", "CLX5"), await client.subscribe("orders", "CLX5")]

            async def read(subscription: AsyncSubscription) -> int:
                async for update in subscription:
                    if update.seq >= 12:
                        return update.seq
                return 0

            tasks = [asyncio.create_task(read(subscription)) for subscription in subscriptions]
            for step in range(10):
                await asyncio.to_thread(server.event, 0, step, step, 5, step + 1)
            return await asyncio.wait_for(asyncio.gather(*tasks), WAIT_S)

    assert asyncio.run(follow()) == [12, 12]


def test_a_subscribe_that_is_cancelled_while_it_is_sent_is_sent_all_the_same(server: StreamServer) -> None:
    """The session counts it as sent: it would wait for the answer for ever."""

    async def run() -> None:
        async with AsyncClient(server.url) as client:
            connection = client._live()
            send, is_sending, may_go_on = connection.send, asyncio.Event(), asyncio.Event()

            async def held_up(frame: Any) -> None:
                is_sending.set()
                await may_go_on.wait()
                await send(frame)

            connection.send = held_up  # type: ignore[method-assign]
            cancelled = asyncio.create_task(client.subscribe("depth", "CLX5"))
            await is_sending.wait()
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            may_go_on.set()
            async with asyncio.timeout(WAIT_S):
                async for update in client:
                    assert update.kind == "snapshot"
                    break
        assert [request["op"] for request in server.requests] == ["subscribe"]

    asyncio.run(run())
