"""The WebSocket's handshake, ops, limits and ends, on a real server."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from running import EXIT_TIMEOUT_S, POLL_INTERVAL_S, STATE_TIMEOUT_S, RunningServer
from sockets import BINARY, PATH, PING, TEXT, RawSocket, close_code, connect, hear, masked, say

STORM = 200
ERRORS_UNTIL_CLOSED = 101
PINGS = 120_000
GROWTH_BYTES_MAX = 6 * 2**20
"""Well below the pongs that such a flood asks for."""


@pytest.fixture(scope="module")
def running() -> Iterator[RunningServer]:
    server = RunningServer("--source", "synthetic:?rate=1000")
    try:
        server.wait_until_listening()
        server.wait_until_ready()
        yield server
        assert [line for line in server.lines if '"error"' in line or "Traceback" in line] == []
    finally:
        server.kill()


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(POLL_INTERVAL_S)


def wait_until_alone(server: RunningServer) -> None:
    wait_for("no socket is open", lambda: server.metrics()["websocket"]["sockets"] == 0)


def send_for_ever(raw: RawSocket, data: bytes) -> None:
    while True:
        raw.socket.sendall(data)


def refusal(server: RunningServer, **options: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as refused, connect(server, **options):
        pass
    response = refused.value.response
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-content-type-options"] == "nosniff"
    body = json.loads(response.body)
    assert body["status"] == response.status_code
    assert body["title"]
    assert len(body["trace_id"]) == 32
    return response.status_code, body


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (None, None),
        (["l3book.v1.json"], "l3book.v1.json"),
        (["l3book.v1.msgpack"], "l3book.v1.msgpack"),
        (["l3book.v9.json", "l3book.v1.msgpack", "l3book.v1.json"], "l3book.v1.msgpack"),
        (["l3book.ticket.abc", "l3book.v1.json"], "l3book.v1.json"),
    ],
)
def test_subprotocols(running: RunningServer, offered: list[Any] | None, chosen: str | None) -> None:
    with connect(running, subprotocols=offered) as client:
        assert client.subprotocol == chosen
        op = {"op": "ping", "id": 7}
        client.send(msgspec.msgpack.encode(op) if chosen == "l3book.v1.msgpack" else json.dumps(op))
        assert hear(client) == {"type": "pong", "id": 7}


def test_unknown_subprotocols_are_refused(running: RunningServer) -> None:
    status, problem = refusal(running, subprotocols=["graphql-ws"])
    assert (status, problem["code"], problem["instance"]) == (400, "unsupported_subprotocol", PATH)


@pytest.mark.parametrize("query", ["foo=1", "token=abc"])
def test_unknown_parameters_are_refused(running: RunningServer, query: str) -> None:
    status, problem = refusal(running, path=f"{PATH}?{query}")
    assert (status, problem["code"]) == (400, "unknown_parameter")
    assert refusal(running, path=f"{PATH}?ticket=abc")[1]["code"] == "key_in_url"


def test_handshakes_elsewhere_are_refused(running: RunningServer) -> None:
    status, problem = refusal(running, path="/v1/instruments")
    assert (status, problem["code"]) == (404, "not_found")


def test_another_host_is_refused(running: RunningServer) -> None:
    with RawSocket(running) as raw:
        raw.host = "evil.example"
        assert raw.request().startswith(b"HTTP/1.1 421 ")


def test_plain_requests_are_told_to_upgrade(running: RunningServer) -> None:
    response = running.get(PATH)
    assert response.status_code == 426
    assert response.headers["upgrade"] == "websocket"
    assert response.json()["code"] == "upgrade_required"
    assert running.get(f"{PATH}?nonsense=1").json()["code"] == "unknown_parameter"


def test_http_1_0_knows_no_upgrade(running: RunningServer) -> None:
    with RawSocket(running) as raw:
        raw.version = "1.0"
        assert raw.request().startswith(b"HTTP/1.1 426 ")


def test_an_error_does_not_repeat_a_key(running: RunningServer) -> None:
    key = "l3b_0123456789ab_" + "c" * 64
    with connect(running) as client:
        for op in ("subscribe", "unsubscribe"):
            say(client, op=op, channel="bbo", instrument=key)
            assert hear(client)["detail"].startswith("no book goes by 'l3b_0123456789ab_***'")


@pytest.mark.parametrize(
    ("status", "code", "options", "lines"),
    [
        (400, "bad_handshake", {"key": False}, []),
        (405, "method_not_allowed", {"method": "POST"}, ["Content-Length: 0"]),
        (431, "headers_too_large", {}, [f"X-Long: {'x' * 9000}"]),
        (431, "headers_too_large", {}, [f"X-{number}: x" for number in range(200)]),
    ],
    ids=["no-key", "post", "long-header", "many-headers"],
)
def test_broken_handshakes_are_refused(
    running: RunningServer, status: int, code: str, options: dict[str, Any], lines: list[str]
) -> None:
    with RawSocket(running) as raw:
        head, _, rest = raw.request(*lines, **options).partition(b"\r\n\r\n")
        while part := raw.socket.recv(4096):
            rest += part
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"application/problem+json" in head
        assert json.loads(rest)["code"] == code


BAD_OPS = [
    ("{}", "bad_op"),
    ("[]", "bad_op"),
    ("3", "bad_op"),
    ("null", "bad_op"),
    ('"ping"', "bad_op"),
    ('{"op":"pong","id":5}', "bad_op"),
    ('{"op":5,"id":5}', "bad_op"),
    ('{"op":"ping","id":5,"more":1}', "bad_op"),
    ('{"op":"ping","id":-5}', "bad_op"),
    ('{"op":"ping","id":123456789012345678901234567890}', "bad_op"),
    ('{"op":"subscribe","id":5,"channel":"depth"}', "bad_op"),
    ('{"op":"subscribe","id":5,"channel":"deep","instrument":"SYN0"}', "bad_op"),
    ('{"op":"subscribe","id":5,"channel":"depth","instrument":1}', "bad_op"),
    ('{"op":"subscribe","id":5,"channel":"depth","instrument":""}', "bad_op"),
    ('{"op":"subscribe","id":5,"channel":"depth","instrument":"SYN0","interval_ms":20}', "bad_op"),
    ('{"op":"subscribe","id":5,"channel":"depth","instrument":"SYN0","level":1}', "bad_op"),
    ('{"op":"subscribe","id":5,"channel":"depth","instrument":"SYN0","depth":"all"}', "bad_op"),
    ('{"op":"subscribe","id":5,"channel":"depth","instrument":"SYN0","depth":0}', "bad_parameter"),
    ('{"op":"subscribe","id":5,"channel":"depth","instrument":"SYN0","depth":10001}', "bad_parameter"),
    ('{"op":"subscribe","id":5,"channel":"bbo","instrument":"SYN0","depth":1}', "bad_parameter"),
    ('{"op":"subscribe","id":5,"channel":"orders","instrument":"SYN0","level":3}', "bad_parameter"),
    ('{"op":"subscribe","id":5,"channel":"depth","instrument":"NONE"}', "unknown_instrument"),
    ('{"op":"unsubscribe","id":5,"channel":"depth","instrument":"SYN0"}', "not_subscribed"),
    ('{"op":"unsubscribe","id":5,"channel":"depth","instrument":"NONE"}', "unknown_instrument"),
    ('{"op":"replay","id":5,"from":"2025-09-24","speed":10}', "history_unavailable"),
    ('{"op":"pause","id":5}', "history_unavailable"),
    ('{"op":"step","id":5,"events":1}', "history_unavailable"),
    ('{"op":"seek","id":5,"at":"2025-09-24"}', "history_unavailable"),
    ('{"op":"resume","id":5}', "history_unavailable"),
    ('{"op":"live","id":5}', "history_unavailable"),
    ('{"op":"replay","id":5,"from":"2025-09-24","speed":0}', "bad_op"),
    ('{"op":"seek","id":5}', "bad_op"),
    ('{"op":"seek","id":5,"at":' + "[" * 20_000 + "]" * 20_000 + "}", "bad_op"),
]


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ({"op": "pong"}, "expected subscribe, unsubscribe, ping, replay, pause, resume, play, step, seek, live"),
        ({"op": "subscribe", "channel": "deep", "instrument": "SYN0"}, "expected bbo, depth, orders, trades, dbn"),
        (
            {"op": "subscribe", "channel": "depth", "instrument": "SYN0", "interval_ms": 20},
            "expected 10, 50, 100, 250, 1000",
        ),
        ({"op": "subscribe", "channel": "depth", "instrument": "SYN0", "level": 1}, "expected 2, 3"),
    ],
)
def test_a_wrong_choice_is_told_with_the_right_ones(running: RunningServer, op: dict[str, Any], expected: str) -> None:
    with connect(running) as client:
        client.send(json.dumps(op))
        error = next(message for message in map(json.loads, client) if message["type"] == "error")
        assert error["code"] == "bad_op"
        assert error["detail"].endswith(expected)


def test_what_is_no_op_is_answered_and_the_socket_stays(running: RunningServer) -> None:
    with connect(running) as client:
        for text, code in BAD_OPS:
            client.send(text)
            answer = hear(client)
            assert (answer["type"], answer["code"]) == ("error", code), (text[:100], answer)
            assert answer["detail"]
            if '"id":5' in text and '"at":[' not in text:
                assert answer["id"] == 5, text[:100]
        say(client, op="ping", id=6)
        assert hear(client) == {"type": "pong", "id": 6}


@pytest.mark.parametrize(
    ("subprotocol", "message"),
    [
        ("l3book.v1.json", "{"),
        ("l3book.v1.json", ""),
        ("l3book.v1.json", "ping"),
        ("l3book.v1.json", '{"op":"unsubscribe","channel":"depth","instrument":"\\ud800"}'),
        ("l3book.v1.json", b'{"op":"ping"}'),
        ("l3book.v1.msgpack", '{"op":"ping"}'),
        ("l3book.v1.msgpack", b"\xc1"),
        ("l3book.v1.msgpack", b""),
        ("l3book.v1.msgpack", b"\x82\xa2op\xa4ping"),
    ],
)
def test_what_is_not_the_subprotocol_closes_with_1007(
    running: RunningServer, subprotocol: Any, message: str | bytes
) -> None:
    with connect(running, subprotocols=[subprotocol]) as client:
        client.send(message)
        assert close_code(client) == 1007


def test_text_that_is_not_utf_8_closes_with_1007(running: RunningServer) -> None:
    with RawSocket(running).open() as raw:
        raw.send(b"\xff\xfe")
        assert raw.close_code() == 1007


def test_too_many_errors_close_with_1008(running: RunningServer) -> None:
    with connect(running) as client:
        for _ in range(ERRORS_UNTIL_CLOSED):
            client.send("{}")
        for _ in range(ERRORS_UNTIL_CLOSED - 1):
            assert hear(client)["type"] == "error"
        assert close_code(client) == 1008


def test_good_ops_make_up_for_errors(running: RunningServer) -> None:
    with connect(running) as client:
        for _ in range(2 * ERRORS_UNTIL_CLOSED):
            client.send("{}")
            assert hear(client)["type"] == "error"
            say(client, op="ping")
            assert hear(client) == {"type": "pong"}


def test_a_frame_of_10_mb_closes_with_1009(running: RunningServer) -> None:
    with connect(running) as client:
        # The server closes while this is still on its way.
        with contextlib.suppress(ConnectionClosed):
            client.send("x" * 10_000_000)
        assert close_code(client) == 1009
    assert running.get("/livez").status_code == 200


def test_fragments_without_end_close_with_1009(running: RunningServer) -> None:
    with RawSocket(running).open() as raw:
        raw.send(b"{", TEXT, fin=False)
        raw.socket.sendall(masked(b"", 0, fin=False) * 2000)
        assert raw.close_code() == 1009


def test_a_message_in_fragments_is_one(running: RunningServer) -> None:
    with RawSocket(running).open() as raw:
        raw.send(b'{"op":', TEXT, fin=False)
        raw.send(b"", PING)
        raw.send(b'"ping"}', 0)
        answer = b""
        while b'{"type":"pong"}' not in answer:
            answer += raw.socket.recv(4096)


def test_many_ops_in_one_packet_are_all_answered(running: RunningServer) -> None:
    with RawSocket(running).open() as raw:
        raw.socket.sendall(b"".join(masked(b'{"op":"ping","id":%d}' % number) for number in range(1000)))
        answer = b""
        while b'{"type":"pong","id":999}' not in answer:
            answer += raw.socket.recv(65_536)
        assert answer.count(b"pong") == 1000


def test_frames_cut_in_the_middle_leave_nothing_behind(running: RunningServer) -> None:
    wait_until_alone(running)
    frame = masked(b'{"op":"ping","id":1}')
    for cut in range(1, len(frame)):
        raw = RawSocket(running).open()
        raw.socket.sendall(frame[:cut])
        raw.reset() if cut % 2 else raw.close()
    wait_until_alone(running)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the server's files by /proc")
def test_a_storm_of_connections_leaves_nothing_behind(running: RunningServer) -> None:
    wait_until_alone(running)
    files = Path(f"/proc/{running.process.pid}/fd")
    before = len(list(files.iterdir()))
    with connect(running) as bystander:
        for number in range(STORM):
            raw = RawSocket(running).open()
            raw.send(b'{"op":"subscribe","channel":"depth","instrument":"SYN0"}')
            raw.reset() if number % 2 else raw.close()
        say(bystander, op="ping", id=1)
        assert hear(bystander) == {"type": "pong", "id": 1}
    wait_until_alone(running)
    metrics = running.metrics()["websocket"]
    assert metrics["sockets_total"] >= STORM
    assert (metrics["subscriptions"], metrics["groups"]) == (0, 0)
    wait_for("as many files as before", lambda: len(list(files.iterdir())) <= before)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the server's memory by /proc")
def test_pings_of_one_who_does_not_read_do_not_pile_up(running: RunningServer) -> None:
    memory = Path(f"/proc/{running.process.pid}/statm")

    def resident_bytes() -> int:
        return int(memory.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with RawSocket(running, receive_buffer=4096).open() as raw, connect(running) as bystander:
        before = resident_bytes()
        pings = masked(bytes(125), PING) * 1000
        for _ in range(PINGS // 1000):
            raw.socket.sendall(pings)
        say(bystander, op="ping", id=1)
        assert hear(bystander) == {"type": "pong", "id": 1}
        assert resident_bytes() - before < GROWTH_BYTES_MAX
    wait_until_alone(running)


def test_ops_of_one_who_does_not_read_wait(serve: Callable[..., RunningServer]) -> None:
    env = {"L3BOOK_SLOW_CONSUMER_TIMEOUT_S": "1", "L3BOOK_SOCKET_OPS_PER_S_MAX": "0", "L3BOOK_REQUESTS_PER_S_MAX": "0"}
    server = serve("--source", "synthetic:?rate=1000", env=env)
    with RawSocket(server, receive_buffer=4096).open() as raw:
        raw.socket.settimeout(STATE_TIMEOUT_S)
        ops = masked(b'{"op":"ping","id":1}') * 1000
        # Sooner or later the server stops reading, and then ends it.
        with pytest.raises(ConnectionError):
            send_for_ever(raw, ops)
    wait_until_alone(server)
    assert server.metrics()["websocket"]["slow_closed"] == 1


def test_too_many_sockets_are_refused(serve: Callable[..., RunningServer]) -> None:
    server = serve("--source", "synthetic:?rate=1000", env={"L3BOOK_SOCKETS_PER_KEY_MAX": "2"})
    with connect(server), connect(server):
        status, problem = refusal(server)
        assert (status, problem["code"]) == (429, "too_many_sockets")
    wait_until_alone(server)
    with connect(server) as client:
        say(client, op="ping")
        assert hear(client) == {"type": "pong"}


def test_the_server_as_a_whole_refuses_too_many_sockets(serve: Callable[..., RunningServer]) -> None:
    server = serve("--source", "synthetic:?rate=1000", env={"L3BOOK_SOCKETS_MAX": "1"})
    with connect(server):
        status, problem = refusal(server)
        assert (status, problem["code"]) == (503, "too_many_sockets")


def test_a_sigterm_closes_with_1012(serve: Callable[..., RunningServer]) -> None:
    server = serve("--source", "synthetic:?rate=1000")
    with connect(server) as client:
        server.process.send_signal(signal.SIGTERM)
        assert close_code(client) == 1012
    assert server.wait_for_exit() == 0
    assert len(server.lines) == 1, server.lines


def test_heartbeats_come_by_themselves(running: RunningServer) -> None:
    with connect(running) as client:
        for sent in range(2):
            beat = json.loads(client.recv(EXIT_TIMEOUT_S))
            assert beat == {"type": "heartbeat", "seq": 0, "sent": sent, "conflated": 0, "lag_ms": 0}


def test_binary_garbage_of_every_kind_never_ends_the_server(running: RunningServer) -> None:
    for opcode in (0x0, BINARY, 0x3, 0xB, TEXT):
        for payload in (b"", b"\x00", bytes(range(256)), b"\xff" * 70_000):
            with RawSocket(running).open() as raw:
                raw.send(payload, opcode)
                raw.socket.sendall(b"\x00\x01\x02")
                assert raw.close_code() in {1002, 1007, 1009}
    assert running.get("/livez").status_code == 200
