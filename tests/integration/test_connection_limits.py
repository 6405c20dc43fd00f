"""More connections, operations and nonsense than a server takes; others must not notice."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

from running import EXIT_TIMEOUT_S, POLL_INTERVAL_S, STATE_TIMEOUT_S, RunningServer
from sockets import SMALL_RECEIVE_BUFFER, close_code, connect, hear, say, whole_answer

if TYPE_CHECKING:
    from collections.abc import Callable

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
MALFORMED = 50
FLOOD = 40
LARGE_BOOK = "/v1/books/SYN0?level=3&depth=all"
REQUESTS = 400
"""For books that nobody reads: more than all buffers on the way hold."""


def connected(server: RunningServer) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=EXIT_TIMEOUT_S)


def all_that_comes(connection: socket.socket) -> bytes:
    """Until the server closes; a server that does not fails the test by the time-out."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def answered(connection: socket.socket) -> bytes:
    connection.sendall(GET)
    return whole_answer(connection)


def wait_for(server: RunningServer, name: str, count: int) -> None:
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while server.metrics()["connections"][name] < count:
        assert time.monotonic() < deadline_s, server.metrics()["connections"]
        time.sleep(POLL_INTERVAL_S)


def test_an_address_with_too_many_connections_gets_429_at_once(serve: Callable[..., RunningServer]) -> None:
    server = serve(env={"L3BOOK_CONNECTIONS_PER_ADDRESS_MAX": "3"})
    assert server.get("/livez").status_code == 200, "the first, which stays"
    with connected(server) as second, connected(server) as third:
        assert answered(second).startswith(b"HTTP/1.1 200 ")
        assert answered(third).startswith(b"HTTP/1.1 200 ")
        with connected(server) as one_more:
            refused = all_that_comes(one_more)
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b'"code":"too_many_connections"' in refused
        assert b"retry-after: 1\r\n" in refused
        assert answered(second).startswith(b"HTTP/1.1 200 "), "those that are there stay"
        assert server.metrics()["connections"]["refused"] == 1
    wait_for(server, "accepted", 3)
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while server.metrics()["connections"]["open"] > 1:
        assert time.monotonic() < deadline_s
        time.sleep(POLL_INTERVAL_S)
    with connected(server) as again:
        assert answered(again).startswith(b"HTTP/1.1 200 "), "a place that was left is free"


def test_a_flood_of_idle_connections_keeps_nobody_out(serve: Callable[..., RunningServer]) -> None:
    server = serve(env={"L3BOOK_CONNECTIONS_MAX": "8"})
    server.wait_until_ready()
    with contextlib.ExitStack() as flood:
        with connect(server) as client:
            for number in range(FLOOD):
                connection = flood.enter_context(connected(server))
                if number % 2:
                    connection.sendall(b"GET /half-a-head")
            with connected(server) as other:
                assert answered(other).startswith(b"HTTP/1.1 200 ")
            say(client, op="ping", id=1)
            assert hear(client) == {"type": "pong", "id": 1}, "a WebSocket is not idle, and stays"
        told = server.metrics()["connections"]
    assert told["open"] <= 8
    assert told["displaced"] >= FLOOD - 8
    assert told["refused"] == 0


def test_where_none_is_idle_one_more_gets_503(serve: Callable[..., RunningServer]) -> None:
    server = serve(env={"L3BOOK_CONNECTIONS_MAX": "2"})
    with connect(server), connect(server):
        with connected(server) as one_more:
            refused = all_that_comes(one_more)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"too_many_connections"' in refused


def test_operations_beyond_the_rate_are_refused_and_end_a_socket_that_goes_on(
    serve: Callable[..., RunningServer],
) -> None:
    server = serve(env={"L3BOOK_SOCKET_OPS_PER_S_MAX": "1"})
    with connect(server) as client:
        for number in range(300):
            with contextlib.suppress(Exception):
                say(client, op="ping", id=number)
        heard = [hear(client) for _ in range(3)]
        assert heard[0] == {"type": "pong", "id": 0}
        refused = [message for message in heard if message["type"] == "error"]
        assert refused
        assert all(message["code"] == "too_many_requests" and message["id"] > 0 for message in refused)
        assert close_code(client) == 1008
    assert server.metrics()["websocket"]["limited_ops"] >= 100


def test_what_is_no_http_is_counted_and_does_not_fill_the_log(serve: Callable[..., RunningServer]) -> None:
    server = serve()
    for _ in range(MALFORMED):
        with connected(server) as connection:
            connection.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
            assert all_that_comes(connection).startswith(b"HTTP/1.1 400 ")
    for _ in range(MALFORMED):
        upgrade = {"Connection": "Upgrade", "Upgrade": "h2c"}
        assert server.get("/livez", headers=upgrade).status_code == 200
    assert server.metrics()["connections"]["bad_requests"] == MALFORMED
    assert len([line for line in server.lines if '"level": "' in line]) == 1, "".join(server.lines)


def test_a_client_that_does_not_read_its_answers_is_not_kept(serve: Callable[..., RunningServer]) -> None:
    server = serve("--source", "synthetic:?rate=20000", env={"L3BOOK_SLOW_CONSUMER_TIMEOUT_S": "1"})
    server.wait_until_ready()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_RECEIVE_BUFFER)
        connection.settimeout(EXIT_TIMEOUT_S)
        connection.connect((host, int(port)))
        request = f"GET {LARGE_BOOK} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        connection.sendall(request * REQUESTS)
        wait_for(server, "stalled", 1)
