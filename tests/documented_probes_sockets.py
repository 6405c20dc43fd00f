"""Probes of what is said over the WebSocket: subprotocols, fields, channels, operations, errors, closes, limits."""

from __future__ import annotations

import itertools
import json
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from documented import names, tables
from documented_servers import OTHER, OWN, Servers, ask, check_problem, probe
from running import POLL_INTERVAL_S, run
from sockets import RawSocket, close_code, connect, hear, hear_until, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.sync.client import ClientConnection

    from running import RunningServer

BOOK = "SYN0"
LEVELS_TOLD = {"bbo": 1, "depth": 10}
DBN_MAGIC = b"DBN"
ERRORS_MAX = 100
WHOLE_BOOKS = "of them, of whole books: `orders`, `dbn`, `depth` of more than 100 levels"
MESSAGE_BYTES_MAX = 1024
"""Of the desk."""


def opened(server: RunningServer, address: str = OWN, key: str = "", **options: Any) -> ClientConnection:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return connect(server, source_address=(address, 0), additional_headers=headers, **options)


def refused(server: RunningServer, **options: Any) -> tuple[str, int]:
    """-> code and status of a handshake's refusal."""
    with pytest.raises(InvalidStatus) as refusal, opened(server, **options):
        """Never."""
    response = refusal.value.response
    assert response.headers["content-type"] == "application/problem+json"
    return json.loads(response.body)["code"], response.status_code


def answer_to(client: ClientConnection, **op: Any) -> dict[str, Any]:
    say(client, **op)
    return hear_until(client, lambda message: message["type"] in {"ack", "error", "pong"})[-1]


def subscribed(client: ClientConnection, channel: str, **options: Any) -> dict[str, Any]:
    return answer_to(client, op="subscribe", channel=channel, instrument=BOOK, interval_ms=10, **options)


def code_of(answer: dict[str, Any]) -> str:
    assert answer["type"] == "error", answer
    assert answer["detail"]
    return str(answer["code"])


# The handshake.


@probe("subprotocol", "l3book.v1.json", "l3book.v1.msgpack")
def _subprotocols(servers: Servers) -> None:
    for row in tables("websocket", "Handshake")[0]:
        (name,) = names(row[0])
        coder = msgspec.json if name.endswith("json") else msgspec.msgpack
        with opened(servers.one, subprotocols=[name]) as client:
            assert client.subprotocol == name
            frame = coder.encode({"op": "ping", "id": 1})
            client.send(frame.decode() if coder is msgspec.json else frame)
            assert hear(client) == {"type": "pong", "id": 1}


@probe("problem", "bad_handshake 400")
def _bad_handshake(servers: Servers) -> None:
    with RawSocket(servers.one) as broken:
        assert b'"code":"bad_handshake"' in broken.request(key=False)


@probe("problem", "bad_handshake 426")
def _upgrades_twice(servers: Servers) -> None:
    with RawSocket(servers.one) as broken:
        answer = broken.request("Upgrade: websocket")
        assert answer.startswith(b"HTTP/1.1 426 ")
        assert b'"code":"bad_handshake"' in answer


@probe("problem", "unsupported_subprotocol 400")
def _unsupported_subprotocol(servers: Servers) -> None:
    assert refused(servers.one, subprotocols=["graphql-ws"]) == ("unsupported_subprotocol", 400)


@probe("problem", "upgrade_required 426")
def _upgrade_required(servers: Servers) -> None:
    assert check_problem(ask(servers.one, "/v1/ws"), "upgrade_required", 426)


@probe("problem", "too_many_sockets 429")
@probe("problem", "too_many_sockets 503")
@probe("setting", "sockets_max", "sockets_per_key_max")
@probe("limit in access.md", "open sockets per key; in all")
@probe("limit in websocket.md", "sockets of one key, of the server")
def _too_many_sockets(servers: Servers) -> None:
    with opened(servers.tight), opened(servers.tight):
        assert refused(servers.tight) == ("too_many_sockets", 429)
        with opened(servers.tight, OTHER):
            assert refused(servers.tight, address="127.0.0.3") == ("too_many_sockets", 503)
    wait_until_alone(servers.tight)


def wait_until_alone(server: RunningServer) -> None:
    while server.metrics()["websocket"]["sockets"]:
        time.sleep(POLL_INTERVAL_S)


# What a client sends.


@probe("field", "channel")
def _channels(servers: Servers) -> None:
    with opened(servers.one) as client:
        assert code_of(subscribed(client, "deep")) == "bad_op"


@probe("field", "depth")
def _depths(servers: Servers) -> None:
    with opened(servers.one) as client:
        for depth in (1, 10_000):
            assert subscribed(client, "depth", depth=depth)["type"] == "ack"
            assert answer_to(client, op="unsubscribe", channel="depth", instrument=BOOK)["type"] == "ack"
        for depth in (0, 10_001):
            assert code_of(subscribed(client, "depth", depth=depth)) == "bad_parameter"
        assert code_of(subscribed(client, "bbo", depth=1)) == "bad_parameter"


@probe("field", "level")
def _levels(servers: Servers) -> None:
    with opened(servers.one) as client:
        for level, members in ((2, 3), (3, 4)):
            assert subscribed(client, "depth", level=level)["type"] == "ack"
            snapshot = hear_until(client, lambda message: message["type"] == "snapshot")[-1]
            assert {len(entry) for entry in snapshot["bids"]} == {members}
            assert answer_to(client, op="unsubscribe", channel="depth", instrument=BOOK)["type"] == "ack"
        assert code_of(subscribed(client, "depth", level=1)) == "bad_op"


@probe("field", "queues")
def _queues(servers: Servers) -> None:
    with opened(servers.one) as client:
        for queues in (1, 2, 10_000):
            assert subscribed(client, "depth", depth=5, level=3, queues=queues)["type"] == "ack"
            snapshot = hear_until(client, lambda message: message["type"] == "snapshot")[-1]
            members = [len(entry) for entry in snapshot["bids"]]
            assert members == [4 if rank < queues else 3 for rank in range(len(members))]
            assert len(members) > 2
            assert answer_to(client, op="unsubscribe", channel="depth", instrument=BOOK)["type"] == "ack"
        for wrong in ({"level": 3, "queues": 0}, {"level": 3, "queues": 10_001}, {"level": 2, "queues": 5}):
            assert code_of(subscribed(client, "depth", **wrong)) == "bad_parameter"
        assert code_of(subscribed(client, "orders", queues=1)) == "bad_parameter"


@probe("field", "interval_ms")
def _intervals(servers: Servers) -> None:
    (values,) = [row[1] for row in tables("websocket", "What a client sends")[0] if row[0] == "interval_ms"]
    intervals = [int(number) for number in re.findall(r"\d+", values.partition(":")[0])]
    assert len(intervals) == 5
    with opened(servers.one) as client:
        for interval_ms in [*intervals, 20]:
            ops = {"channel": "bbo", "instrument": BOOK}
            answer = answer_to(client, op="subscribe", interval_ms=interval_ms, **ops)
            if interval_ms == 20:
                assert code_of(answer) == "bad_op"
            else:
                assert answer["type"] == "ack"
                answer_to(client, op="unsubscribe", **ops)


# Channels.


def snapshot_and_delta(servers: Servers, channel: str) -> tuple[dict[str, Any], dict[str, Any]]:
    with opened(servers.one) as client:
        ack = subscribed(client, channel)
        assert (ack["type"], ack["channel"], ack["instrument"]) == ("ack", channel, BOOK)
        heard = hear_until(client, lambda message: message["type"] == "delta")
        snapshot, delta = next(one for one in heard if one["type"] == "snapshot"), heard[-1]
        assert (delta["epoch"], delta["prev"]) == (heard[-2]["epoch"], heard[-2]["seq"])
        beat = json.loads(next(text for text in client if '"heartbeat"' in str(text)))
        assert {"seq", "sent", "conflated", "lag_ms"} < beat.keys()
        return snapshot, delta


@probe("channel", "bbo", "depth")
def _levels_of_a_book(servers: Servers) -> None:
    for channel, levels in LEVELS_TOLD.items():
        snapshot, delta = snapshot_and_delta(servers, channel)
        assert 0 < len(snapshot["bids"]) <= levels
        assert {"bids", "asks", "crc", "state", "crossed", "locked", "sequence"} <= snapshot.keys() & delta.keys()


@probe("channel", "orders")
def _orders_of_a_book(servers: Servers) -> None:
    snapshot, delta = snapshot_and_delta(servers, "orders")
    assert {len(level) for level in snapshot["bids"]} == {4}
    assert delta["ops"]


@probe("channel", "trades")
def _trades_of_a_book(servers: Servers) -> None:
    _, delta = snapshot_and_delta(servers, "trades")
    assert {"price", "size", "side", "order_id", "sequence", "ts_event", "ts_recv"} == delta["trades"][0].keys()


@probe("channel", "dbn")
def _records_of_a_book(servers: Servers) -> None:
    with opened(servers.one) as client:
        assert subscribed(client, "dbn")["type"] == "ack"
        frames = (frame for frame in client if isinstance(frame, bytes))
        first, second = itertools.islice(frames, 2)
        assert first.startswith(DBN_MAGIC)
        assert len(second) % 56 == 0


@probe("operation of orders", "A", "Mkeep", "Mback", "C")
def _operations(servers: Servers) -> None:
    wanted = {"A", "Mkeep", "Mback", "C"}
    lengths = {"A": 5, "M": 5, "C": 3}
    with opened(servers.one) as client:
        subscribed(client, "orders")
        while wanted:
            for op in hear(client).get("ops", ()):
                assert len(op) == lengths[op[0]]
                wanted.discard(op[0] + (op[4] if op[0] == "M" else ""))


# Errors.

ERRORS: dict[str, Callable[[ClientConnection], dict[str, Any]]] = {
    "bad_op": lambda client: answer_to(client, op="pong"),
    "bad_parameter": lambda client: subscribed(client, "trades", depth=1),
    "unknown_instrument": lambda client: answer_to(client, op="subscribe", channel="bbo", instrument="NONE"),
    "ambiguous_instrument": lambda client: answer_to(client, op="subscribe", channel="bbo", instrument="AB"),
    "already_subscribed": lambda client: [subscribed(client, "bbo"), subscribed(client, "bbo")][-1],
    "not_subscribed": lambda client: answer_to(client, op="unsubscribe", channel="bbo", instrument=BOOK),
    "history_unavailable": lambda client: answer_to(client, op="replay", **{"from": "2025-09-24T00:00:00Z"}),
}

for _code in ERRORS:

    @probe("error code", _code)
    def _error(servers: Servers, code: str = _code) -> None:
        server = servers.still if code == "ambiguous_instrument" else servers.one
        with opened(server) as client:
            assert code_of(ERRORS[code](client)) == code
            assert answer_to(client, op="ping", id=2**53 - 1) == {"type": "pong", "id": 2**53 - 1}, "all else goes on"


@probe("error code", "too_many_requests")
@probe("setting", "socket_ops_per_s_max")
@probe("limit in access.md", "operations in a second of one socket")
@probe("limit in websocket.md", "operations a second of one socket")
def _too_many_requests(servers: Servers) -> None:
    with opened(servers.tight) as client:
        for number in range(6):
            say(client, op="ping", id=number)
        answers = [hear(client) for _ in range(6)]
        # The window may have ended among them on a slow machine; then the next ones are too many.
        while "error" not in {answer["type"] for answer in answers}:
            answers = [answer_to(client, op="ping") for _ in range(6)]
        assert {code_of(answer) for answer in answers if answer["type"] == "error"} == {"too_many_requests"}
    wait_until_alone(servers.tight)


@probe("error code", "too_many_subscriptions")
@probe("problem", "too_many_subscriptions 429")
@probe("setting", "subscriptions_per_socket_max", "subscriptions_per_key_max", "whole_books_per_key_max")
@probe("limit in access.md", "subscriptions per key", WHOLE_BOOKS)
@probe("limit in websocket.md", "subscriptions of one socket, of one key")
def _too_many_subscriptions(servers: Servers) -> None:
    with opened(servers.tight) as one, opened(servers.tight) as other:
        assert subscribed(one, "orders")["type"] == "ack"
        assert "whole books" in subscribed(other, "dbn")["detail"]
        assert "whole books" in subscribed(other, "depth", depth=101)["detail"]
        assert subscribed(one, "bbo")["type"] == "ack"
        assert code_of(subscribed(one, "trades")) == "too_many_subscriptions"
        assert subscribed(other, "bbo")["type"] == "ack"
        assert code_of(subscribed(other, "trades")) == "too_many_subscriptions"
    wait_until_alone(servers.tight)


# Ends.


@probe("close code", "1002")
def _breaks_the_protocol(servers: Servers) -> None:
    with RawSocket(servers.one).open() as raw:
        raw.socket.sendall(b"\x81\x04ping")
        assert raw.close_code() == 1002


@probe("close code", "1007")
def _is_no_json(servers: Servers) -> None:
    for message in ("{", b"{}"):
        with opened(servers.one) as client:
            client.send(message)
            assert close_code(client) == 1007


@probe("close code", "1008")
def _too_many_errors(servers: Servers) -> None:
    with opened(servers.one) as client:
        for _ in range(ERRORS_MAX + 1):
            client.send("{}")
        assert close_code(client) == 1008


@probe("close code", "1009")
@probe("setting", "message_bytes_max")
@probe("limit in websocket.md", "a message to the server")
def _too_long(servers: Servers) -> None:
    with opened(servers.desk, key=servers.key) as client:
        client.send('{"op":"ping"}'.ljust(MESSAGE_BYTES_MAX))
        assert hear(client) == {"type": "pong"}
        client.send('{"op":"ping"}'.ljust(MESSAGE_BYTES_MAX + 1))
        assert close_code(client) == 1009


@probe("close code", "1012")
def _the_server_ends(servers: Servers) -> None:
    server = servers.start("ending")
    with opened(server) as client:
        assert answer_to(client, op="ping")["type"] == "pong"
        server.process.send_signal(signal.SIGTERM)
        assert close_code(client) == 1012


@probe("close code", "4401")
def _the_key_is_revoked(servers: Servers) -> None:
    server, key = servers.start("revoking"), servers.make_key("revoking", "desk")
    with opened(server, key=key) as client:
        assert answer_to(client, op="ping")["type"] == "pong"
        run("keys", "revoke", "desk", env={"L3BOOK_STATE_DIR": str(servers.folder / "revoking")})
        assert close_code(client) == 4401


# Queues.


@probe("setting", "socket_queue_messages_max", "socket_queue_bytes_max")
@probe("limit in websocket.md", "messages, bytes that wait for one socket")
def _queues(servers: Servers) -> None:
    patient = {"slow_consumer_timeout_s": 3600}
    for name, limits in (
        ("few messages", {"socket_queue_messages_max": 1}),
        ("few bytes", {"socket_queue_bytes_max": 65_536, "socket_queue_messages_max": 65_536}),
    ):
        server = servers.start(name, "synthetic:?rate=50000", **patient, **limits)
        with RawSocket(server, receive_buffer=4096).open() as raw:
            raw.send(b'{"op":"subscribe","channel":"orders","instrument":"SYN0","interval_ms":10}')
            while not server.metrics()["websocket"]["conflated"]:
                time.sleep(POLL_INTERVAL_S)
            gap = next(message for message in iter(raw.next_message, None) if message["type"] == "gap")
            assert gap["reason"] == "slow_consumer"
        server.kill()
