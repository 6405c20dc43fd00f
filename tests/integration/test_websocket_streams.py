"""The channels of the WebSocket, mirrored and held against REST, with clients that misbehave beside."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.sync.client import ClientConnection

from l3book import Market
from l3book._core import Simulator
from mirror import Mirror
from running import POLL_INTERVAL_S, STATE_TIMEOUT_S, RunningServer
from sockets import SMALL_RECEIVE_BUFFER, RawSocket, close_code, connect, hear, hear_until, say

RECORDS = 60_000
RATE = 20_000
MATCHES = 20
RACES = 60


def of_rest(server: RunningServer, query: str) -> tuple[tuple[str, int], dict[str, Any]]:
    body = server.get(f"/v1/books/SYN0?{query}").raise_for_status().json()
    book = {side: [level[:3] for level in body[side]] for side in ("bids", "asks")}
    return (body["epoch"], body["seq"]), {**book, "state": body["state"]}


def simulated(path: Path, records: int) -> Path:
    simulator = Simulator()
    path.write_bytes(simulator.header() + simulator.read(records))
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return simulated(tmp_path / "sim.dbn", RECORDS)


@pytest.fixture
def moving(serve: Callable[..., RunningServer]) -> RunningServer:
    server = serve("--source", f"synthetic:?rate={RATE}", env={"L3BOOK_SLOW_CONSUMER_TIMEOUT_S": "600"})
    server.wait_until_ready()
    return server


def subscribe(client: ClientConnection, channel: str, **more: Any) -> dict[str, Any]:
    """Subscribe; -> the snapshot, which must be the next message of that channel after the ack."""
    op = {"op": "subscribe", "id": 1, "channel": channel, "instrument": "SYN0", "interval_ms": 10, **more}
    client.send(json.dumps(op))
    ack = hear(client)
    assert (ack["type"], ack["id"], ack["channel"], ack["instrument"]) == ("ack", 1, channel, "SYN0")
    snapshot = hear(client)
    assert (snapshot["type"], snapshot["channel"]) == ("snapshot", channel)
    assert snapshot["instrument_id"] == ack["instrument_id"]
    return snapshot


def follow_until_it_matches(server: RunningServer, client: ClientConnection, mirror: Mirror, query: str) -> None:
    """Mirror, and ask REST in between: at equal seq both must be equal, often enough."""
    seen: dict[tuple[str, int], dict[str, Any]] = {}
    asked: dict[tuple[str, int], dict[str, Any]] = {}
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while len(seen.keys() & asked.keys()) < MATCHES:
        assert time.monotonic() < deadline_s, f"{len(seen.keys() & asked.keys())} of {len(seen)} and {len(asked)} met"
        mirror.take(hear(client))
        seen[mirror.version] = mirror.book()
        version, book = of_rest(server, query)
        asked[version] = book
    for version in seen.keys() & asked.keys():
        assert seen[version] == asked[version]


@pytest.mark.parametrize(
    ("channel", "options", "depth", "query"),
    [
        ("bbo", {}, 1, "depth=1"),
        ("depth", {"depth": 10}, 10, "depth=10"),
        ("depth", {"depth": 3, "level": 3}, 3, "depth=3"),
        ("depth", {"depth": 200}, 200, "depth=200"),
        ("orders", {}, None, "depth=all"),
    ],
    ids=["bbo", "depth-10", "depth-3-queues", "depth-200", "orders"],
)
def test_a_mirror_equals_rest_at_equal_seq(
    serve: Callable[..., RunningServer], channel: str, options: dict[str, Any], depth: int | None, query: str
) -> None:
    # Slow enough for REST and the channel to meet at the same event.
    server = serve("--source", "synthetic:?rate=300")
    server.wait_until_ready()
    with connect(server) as client:
        mirror = Mirror(depth)
        mirror.take(subscribe(client, channel, **options))
        follow_until_it_matches(server, client, mirror, query)


def test_messagepack_says_the_same(moving: RunningServer) -> None:
    with connect(moving) as text, connect(moving, subprotocols=["l3book.v1.msgpack"]) as packed:
        subscribe(text, "depth")
        op = {"op": "subscribe", "channel": "depth", "instrument": "SYN0", "interval_ms": 10}
        packed.send(msgspec.msgpack.encode(op))
        assert hear(packed)["type"] == "ack"
        theirs = {
            message["seq"]: message for message in (hear(packed) for _ in range(50)) if message["type"] == "delta"
        }
        ours = {message["seq"]: message for message in (hear(text) for _ in range(50)) if message["type"] == "delta"}
        both = ours.keys() & theirs.keys()
        assert len(both) > 20
        assert [ours[seq] for seq in both] == [theirs[seq] for seq in both]


def test_clients_of_a_group_get_identical_bytes(moving: RunningServer) -> None:
    with connect(moving) as one, connect(moving) as other:
        for client in (one, other):
            subscribe(client, "depth", interval_ms=50)
        texts = [
            {text for text in (client.recv(STATE_TIMEOUT_S) for _ in range(40)) if '"delta"' in text}
            for client in (one, other)
        ]
        assert len(texts[0] & texts[1]) > 20
        assert moving.metrics()["websocket"]["groups"] == 1


def test_trades_follow_their_snapshot(moving: RunningServer) -> None:
    with connect(moving) as client:
        message = subscribe(client, "trades")
        last = message["seq"]
        sequences = [trade["sequence"] for trade in message["trades"]]
        while len(sequences) < 100:
            message = hear(client)
            assert (message["type"], message["prev"]) == ("delta", last)
            assert message["trades"]
            last = message["seq"]
            sequences += [trade["sequence"] for trade in message["trades"]]
        assert sequences == sorted(sequences)
        assert message["trades"][-1]["side"] in {"B", "A", "N"}


@pytest.mark.parametrize("subprotocol", ["l3book.v1.json", "l3book.v1.msgpack"])
def test_dbn_is_a_stream_that_a_market_can_read(
    serve: Callable[..., RunningServer], recording: Path, subprotocol: Any
) -> None:
    server = serve("--source", f"file:{recording}?rate={RATE}")
    server.wait_until_ready()
    market = Market()
    with connect(server, subprotocols=[subprotocol]) as client:
        op = {"op": "subscribe", "channel": "dbn", "instrument": "SYN0", "interval_ms": 10}
        client.send(json.dumps(op) if "json" in subprotocol else msgspec.msgpack.encode(op))
        assert hear(client)["type"] == "ack"
        whole = Market()
        whole.feed_file(recording)
        final = queues_of(whole)
        orders = whole.stats()["orders"]
        while market.stats()["orders"] != orders or queues_of(market) != final:
            data = client.recv(STATE_TIMEOUT_S)
            # Anything but a heartbeat.
            if isinstance(data, bytes) and data[:1] in {b"D", b"\x0e"}:
                market.feed(data)


def queues_of(market: Market) -> list[Any]:
    """Every price of the book and who waits there, in priority order."""
    book, view = market.book("SYN0"), market.snapshot("SYN0", None)
    prices = [(side, price) for side, levels in (("B", view.bids), ("A", view.asks)) for price, _, _ in levels.tolist()]
    return [(*place, [(order.order_id, order.size) for order in book.orders(*place)]) for place in prices]


def test_subscribing_twice_and_leaving(moving: RunningServer) -> None:
    with connect(moving) as client:
        key = subscribe(client, "depth")
        say(client, op="subscribe", id=2, channel="depth", instrument=str(key["instrument_id"]))
        heard = hear_until(client, lambda message: message.get("id") == 2)
        assert heard[-1]["code"] == "already_subscribed"
        subscribed_again = f"{key['publisher_id']}:{key['instrument_id']}"
        say(client, op="unsubscribe", id=3, channel="depth", instrument=subscribed_again)
        heard = hear_until(client, lambda message: message.get("id") == 3)
        assert heard[-1]["type"] == "ack"
        say(client, op="ping", id=4)
        assert hear(client) == {"type": "pong", "id": 4}, "something came after the ack of unsubscribe"
        assert moving.metrics()["websocket"]["groups"] == 0


def test_too_many_subscriptions(serve: Callable[..., RunningServer]) -> None:
    limits = {"L3BOOK_SUBSCRIPTIONS_PER_SOCKET_MAX": "2", "L3BOOK_SUBSCRIPTIONS_PER_KEY_MAX": "3"}
    server = serve("--source", "synthetic:?rate=100", env=limits)
    server.wait_until_ready()

    def answers(client: ClientConnection) -> list[str]:
        for number, channel in enumerate(("bbo", "trades", "dbn")):
            say(client, op="subscribe", id=number, channel=channel, instrument="SYN0")
        found: dict[int, str] = {}
        while len(found) < 3:
            data = client.recv(STATE_TIMEOUT_S)
            if isinstance(data, str) and '"id":' in data:
                message = json.loads(data)
                found[message["id"]] = message.get("code", "ack")
        return [found[number] for number in range(3)]

    with connect(server) as one, connect(server) as other:
        assert answers(one) == ["ack", "ack", "too_many_subscriptions"]
        assert answers(other) == ["ack", "too_many_subscriptions", "too_many_subscriptions"]
    with connect(server) as third:
        wait_for_metrics(server, lambda metrics: metrics["subscriptions"] == 0)
        assert answers(third) == ["ack", "ack", "too_many_subscriptions"]


def wait_for_metrics(server: RunningServer, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while not condition(metrics := server.metrics()["websocket"]):
        assert time.monotonic() < deadline_s, metrics
        time.sleep(POLL_INTERVAL_S)
    return dict(metrics)


@pytest.mark.parametrize(
    ("channel", "options", "depth"), [("depth", {"depth": 50, "level": 3}, 50), ("orders", {}, None)]
)
def test_a_client_that_pauses_can_go_on(
    serve: Callable[..., RunningServer], tmp_path: Path, channel: str, options: dict[str, Any], depth: int | None
) -> None:
    """Depth is merged, of orders there is a gap and a snapshot; another client does not notice."""
    # Long enough to be still moving when a client of a loaded machine falls behind.
    recording = simulated(tmp_path / "long.dbn", 5 * RECORDS)
    env = {"L3BOOK_SLOW_CONSUMER_TIMEOUT_S": "600"}
    server = serve("--source", f"file:{recording}?rate={RATE}", env=env)
    server.wait_until_ready()
    with RawSocket(server, receive_buffer=SMALL_RECEIVE_BUFFER) as raw, connect(server) as bystander:
        steady = Mirror(10)
        steady.take(subscribe(bystander, "depth"))
        # A bare socket: the client library would read on in a thread.
        raw.open()
        op = {"op": "subscribe", "channel": channel, "instrument": "SYN0", "interval_ms": 10, **options}
        raw.send(json.dumps(op).encode())
        mirror = Mirror(depth)
        kinds = []

        def read_on() -> dict[str, Any]:
            message = raw.next_message()
            kinds.append(message["type"])
            return message

        while (message := read_on())["type"] != "delta":
            if message["type"] == "snapshot":
                mirror.take(message)
        mirror.take(message)
        while (metrics := server.metrics())["websocket"]["conflated"] == 0:
            assert metrics["source"]["state"] == "running", "it has not fallen behind while there was anything to tell"
            steady.take(hear(bystander))
        end, final = end_of(server, depth, read_on, mirror)
        beats = [
            last_beat(read_on, mirror, end, final),
            last_beat(lambda: json.loads(bystander.recv(STATE_TIMEOUT_S)), steady, *of_rest(server, "depth=10")),
        ]
        assert ("gap" in kinds) == (channel == "orders")
        metrics = server.metrics()["websocket"]
        assert sum(beat["conflated"] for beat in beats) == metrics["conflated"]
        assert beats[0]["conflated"] > 0
        assert (metrics["gaps"] > 0) == (channel == "orders")
        assert metrics["slow_closed"] == 0


CATCH_UP_S = 40
"""Twice, with the file's 15 s, it is less than a test may take."""


def end_of(
    server: RunningServer, depth: int | None, read_on: Callable[[], dict[str, Any]], mirror: Mirror
) -> tuple[tuple[str, int], Any]:
    """Read until the source has ended; -> the last version of its book, and the book. The server is asked now and then
    only: who asks it between any two messages of a busy machine does not come to an end."""
    deadline_s = time.monotonic() + CATCH_UP_S
    asked_s = 0.0
    while time.monotonic() < deadline_s:
        take(mirror, read_on())
        if time.monotonic() - asked_s >= POLL_INTERVAL_S:
            asked_s = time.monotonic()
            if server.metrics()["source"]["state"] == "ended":
                return of_rest(server, f"depth={depth or 'all'}")
    raise AssertionError(server.metrics())


def last_beat(
    next_message: Callable[[], dict[str, Any]], mirror: Mirror, end: tuple[str, int], final: dict[str, Any]
) -> dict[str, Any]:
    """Read on until the book is that of REST, and a heartbeat says that nothing has happened since; -> that one. When
    only `seq` has moved, nothing else tells, so the book's own may stay behind."""
    deadline_s = time.monotonic() + CATCH_UP_S
    while time.monotonic() < deadline_s:
        message = next_message()
        if message["type"] != "heartbeat":
            take(mirror, message)
        elif message["seq"] == end[1] and mirror.book() == final:
            return message
    raise AssertionError((mirror.version, end, mirror.book(), final))


def take(mirror: Mirror, message: dict[str, Any]) -> None:
    if message["type"] in {"snapshot", "delta", "gap"}:
        mirror.take(message)


@pytest.mark.parametrize("channel", ["depth", "orders", "dbn"])
def test_a_client_that_never_reads_is_closed(serve: Callable[..., RunningServer], channel: str) -> None:
    server = serve("--source", "synthetic:?rate=50000", env={"L3BOOK_SLOW_CONSUMER_TIMEOUT_S": "1"})
    server.wait_until_ready()
    with RawSocket(server, receive_buffer=SMALL_RECEIVE_BUFFER).open() as raw, connect(server) as bystander:
        mirror = Mirror(10)
        mirror.take(subscribe(bystander, "depth"))
        op = {"op": "subscribe", "channel": channel, "instrument": "SYN0", "interval_ms": 10}
        raw.send(json.dumps(op).encode())
        deadline_s = time.monotonic() + STATE_TIMEOUT_S
        while (metrics := server.metrics()["websocket"])["slow_closed"] == 0 or metrics["sockets"] > 1:
            assert time.monotonic() < deadline_s, metrics
            mirror.take(hear(bystander))
        assert metrics["groups"] == 1
        assert metrics["slow_closed"] == 1


def test_the_server_ends_although_clients_never_read(serve: Callable[..., RunningServer]) -> None:
    server = serve("--source", "synthetic:?rate=50000")
    server.wait_until_ready()
    silent = [RawSocket(server, receive_buffer=SMALL_RECEIVE_BUFFER).open() for _ in range(5)]
    with connect(server) as client:
        for raw in silent:
            raw.send(b'{"op":"subscribe","channel":"orders","instrument":"SYN0","interval_ms":10}')
        subscribe(client, "depth")
        wait_for_metrics(server, lambda metrics: metrics["conflated"] > 0)
        server.process.terminate()
        assert close_code(client) == 1012
    assert server.wait_for_exit() == 0
    for raw in silent:
        raw.close()
    assert len(server.lines) == 1, server.lines


def test_races_of_subscribing_and_leaving(moving: RunningServer) -> None:
    rng = random.Random(5)
    channels = ["bbo", "depth", "orders", "trades", "dbn"]
    with connect(moving) as bystander:
        steady = Mirror(10)
        steady.take(subscribe(bystander, "depth"))
        for _ in range(RACES):
            raw = RawSocket(moving).open()
            for number in range(rng.randrange(1, 12)):
                op = {"op": rng.choice(["subscribe", "unsubscribe"]), "channel": rng.choice(channels)}
                raw.send(json.dumps({**op, "id": number, "instrument": "SYN0"}).encode())
            if rng.random() < 0.5:
                raw.next_message()
            raw.close() if rng.random() < 0.5 else raw.reset()
            steady.take(hear(bystander))
        metrics = wait_for_metrics(moving, lambda metrics: metrics["sockets"] == 1)
        assert (metrics["groups"], metrics["subscriptions"]) == (1, 1)
        for _ in range(20):
            steady.take(hear(bystander))
    wait_for_metrics(moving, lambda metrics: (metrics["sockets"], metrics["groups"]) == (0, 0))
    assert [line for line in moving.lines if "error" in line] == []
