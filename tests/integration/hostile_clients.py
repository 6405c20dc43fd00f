"""Clients that break the rules of the WebSocket, as a program of its own: `hostile_clients.py PORT INSTRUMENT…` does it
until its standard input ends, then writes how each of them was answered, as JSON: {kind: {outcome: times}}. An outcome
is the code of the close, or `reset`, `end`, `refused 408`, `ack`, …"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTINUATION, TEXT, BINARY, CLOSE, PING = 0x0, 0x1, 0x2, 0x8, 0x9
SOCKET_TIMEOUT_S = 60
STORM_CONNECTIONS_MIN, STORM_PAUSE_S = 300, 0.02
LORIS_BYTE_S = 0.25
BIG_FRAME_BYTES = 10_000_000
SMALL_BUFFER_BYTES = 4096
ERRORS = 150
CHURN = 100
SEED = 20_417

Outcomes = dict[str, Counter[str]]


def frame(opcode: int, payload: bytes = b"", *, first: int = 0x80, masked: bool = True, length: int = -1) -> bytes:
    """One frame; `first` holds FIN and the reserved bits, `length` is what it claims where that is not the truth."""
    claimed = len(payload) if length < 0 else length
    bit = 0x80 if masked else 0
    if claimed < 126:
        head = struct.pack("!BB", first | opcode, bit | claimed)
    elif claimed < 1 << 16:
        head = struct.pack("!BBH", first | opcode, bit | 126, claimed)
    else:
        head = struct.pack("!BBQ", first | opcode, bit | 127, claimed)
    if not masked:
        return head + payload
    mask = b"\x5a\xa5\x0f\xf0"
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (
        head + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")
    )


def subscribe(channel: str, instrument: str, **options: object) -> bytes:
    return _request(op="subscribe", channel=channel, instrument=instrument, interval_ms=10, **options)


def unsubscribe(channel: str, instrument: str) -> bytes:
    return _request(op="unsubscribe", channel=channel, instrument=instrument)


def _request(**fields: object) -> bytes:
    return frame(TEXT, json.dumps(fields).encode())


def reset(connection: socket.socket) -> None:
    """Close with a reset: what is under way is lost."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Enemy:
    """What all of them need to know: whom to talk to, and whether it is over."""

    def __init__(self, port: int, instruments: list[str]) -> None:
        self.port = port
        self.instruments = instruments
        self.is_over = threading.Event()

    def connect(self, receive_buffer_bytes: int = 0) -> socket.socket:
        connection = socket.socket()
        if receive_buffer_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        connection.settimeout(SOCKET_TIMEOUT_S)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def request(self) -> bytes:
        key = base64.b64encode(os.urandom(16)).decode()
        return (
            f"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: l3book.v1.json\r\n\r\n"
        ).encode()

    @contextlib.contextmanager
    def opened(self, receive_buffer_bytes: int = 0) -> Iterator[socket.socket]:
        with self.connect(receive_buffer_bytes) as connection:
            connection.sendall(self.request())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = connection.recv(1)
                if not byte:
                    raise ConnectionError(head)
                head += byte
            if not head.startswith(b"HTTP/1.1 101 "):
                raise ConnectionError(head)
            yield connection

    def hungry(self, connection: socket.socket) -> None:
        """Subscribe to all that is heavy."""
        for instrument in self.instruments:
            connection.sendall(subscribe("orders", instrument) + subscribe("dbn", instrument))
            connection.sendall(subscribe("depth", instrument, level=3, depth=1000))


def outcome(connection: socket.socket, stop_at: str = "") -> str:
    """Read to the end, or to the first message of the type; -> how it ended."""
    reader = connection.makefile("rb")
    try:
        while True:
            head = reader.read(2)
            if len(head) < 2:
                return "end"
            length = head[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", reader.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", reader.read(8))
            payload = reader.read(length)
            if head[0] & 0x0F == CLOSE:
                return str(struct.unpack("!H", payload[:2])[0])
            if stop_at and head[0] & 0x0F == TEXT and json.loads(payload)["type"] == stop_at:
                return stop_at
    except TimeoutError:
        return "silence"
    except (ConnectionError, struct.error):
        return "reset"


def breaks_a_rule(*frames: bytes, stop_at: str = "") -> Callable[[Enemy], str]:
    def attack(enemy: Enemy) -> str:
        with enemy.opened() as connection:
            with contextlib.suppress(ConnectionError):  # it may have been closed by now
                for data in frames:
                    connection.sendall(data)
            return outcome(connection, stop_at)

    return attack


def garbage(enemy: Enemy) -> str:
    noise = random.Random(SEED)
    for _ in range(50):
        with enemy.opened() as connection, contextlib.suppress(ConnectionError):
            connection.sendall(noise.randbytes(100_000))
            connection.shutdown(socket.SHUT_WR)
            if outcome(connection) == "silence":
                return "silence"
    return "closed"


def disconnects_inside_a_frame(enemy: Enemy) -> str:
    whole = subscribe("orders", enemy.instruments[0])
    for length in range(1, len(whole)):
        with enemy.opened() as connection:
            connection.sendall(whole[:length])
            if length % 2:
                reset(connection)
    return "gone"


def storm(enemy: Enemy) -> str:
    """Connect, subscribe, and go, again and again; without a word of goodbye, or with one."""
    count = 0
    while not enemy.is_over.is_set() or count < STORM_CONNECTIONS_MIN:
        with enemy.opened() as connection:
            enemy.hungry(connection)
            if count % 3 == 0:
                reset(connection)
            elif count % 3 == 1:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(frame(CLOSE, struct.pack("!H", 1000)))
        enemy.connect().close()
        count += 1
        time.sleep(STORM_PAUSE_S)
    return "gone"


def half_handshake(enemy: Enemy) -> str:
    """Send half a request, and wait."""
    with enemy.connect() as connection:
        request = enemy.request()
        connection.sendall(request[: len(request) // 2])
        return _refusal(connection)


def slow_loris(enemy: Enemy) -> str:
    """Send the request byte by byte."""
    with enemy.connect() as connection:
        connection.settimeout(LORIS_BYTE_S)
        for byte in enemy.request():
            with contextlib.suppress(TimeoutError):
                if connection.recv(1, socket.MSG_PEEK) is not None:
                    break
            connection.sendall(bytes([byte]))
        connection.settimeout(SOCKET_TIMEOUT_S)
        return _refusal(connection)


def _refusal(connection: socket.socket) -> str:
    try:
        head = connection.recv(1000)
    except ConnectionError:
        return "reset"
    return f"refused {head.split()[1].decode()}" if head else "end"


def never_reads(enemy: Enemy) -> str:
    """Subscribe to all that is heavy, and read not a byte before it is over."""
    with enemy.opened(SMALL_BUFFER_BYTES) as connection:
        enemy.hungry(connection)
        enemy.is_over.wait()
        return outcome(connection)


def stalls(enemy: Enemy) -> str:
    """Read some, and stop inside a message."""
    with enemy.opened(SMALL_BUFFER_BYTES) as connection:
        enemy.hungry(connection)
        for _ in range(200):
            connection.recv(1000)
        enemy.is_over.wait()
        with contextlib.suppress(ConnectionError):
            while connection.recv(1 << 16):
                pass
    return "gone"


def pings_and_never_reads(enemy: Enemy) -> str:
    """Ask for more answers than fit anywhere."""
    with enemy.opened(SMALL_BUFFER_BYTES) as connection:
        connection.settimeout(1)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while not enemy.is_over.is_set():
                connection.sendall(frame(PING, b"?" * 100) + frame(TEXT, b'{"op":"ping","id":1}'))
        enemy.is_over.wait()
        reset(connection)
    return "gone"


def churn(enemy: Enemy) -> str:
    """Subscribe and unsubscribe, and read all of it."""
    with enemy.opened() as connection:
        reader = threading.Thread(target=outcome, args=(connection,))
        reader.start()
        for _ in range(CHURN):
            connection.sendall(subscribe("depth", enemy.instruments[0], level=3))
            connection.sendall(unsubscribe("depth", enemy.instruments[0]))
        connection.sendall(frame(CLOSE, struct.pack("!H", 1000)))
        reader.join()
    return "gone"


PING_JSON = b'{"op":"ping","id":7}'
ATTACKS: dict[str, Callable[[Enemy], str]] = {
    "unmasked": breaks_a_rule(frame(TEXT, PING_JSON, masked=False)),
    "reserved opcode": breaks_a_rule(frame(0x3, b"x")),
    "reserved bit": breaks_a_rule(frame(TEXT, PING_JSON, first=0xC0)),
    "fragmented ping": breaks_a_rule(frame(PING, b"x", first=0)),
    "long ping": breaks_a_rule(frame(PING, b"x" * 126)),
    "continuation of nothing": breaks_a_rule(frame(CONTINUATION, b"x")),
    "text within a message": breaks_a_rule(frame(TEXT, b"{", first=0), frame(TEXT, b"}")),
    "close of one byte": breaks_a_rule(frame(CLOSE, b"\x03")),
    "close with 1005": breaks_a_rule(frame(CLOSE, struct.pack("!H", 1005))),
    "invalid UTF-8": breaks_a_rule(frame(TEXT, b'{"op":"ping","id":7,"\xff\xfe":1}')),
    "half a character": breaks_a_rule(frame(TEXT, b'{"op":"\xe2\x82')),
    "not JSON": breaks_a_rule(frame(TEXT, b"subscribe, please")),
    "binary in JSON": breaks_a_rule(frame(BINARY, PING_JSON)),
    "10 MB": breaks_a_rule(frame(TEXT, b" " * BIG_FRAME_BYTES)),
    "10 MB in fragments": breaks_a_rule(
        frame(TEXT, b" ", first=0), *[frame(CONTINUATION, b" " * 1000, first=0)] * (BIG_FRAME_BYTES // 1000)
    ),
    "claims 2^62 bytes": breaks_a_rule(frame(TEXT, b"x", length=1 << 62)),
    "claims 2^63 bytes": breaks_a_rule(frame(TEXT, b"x", length=1 << 63)),
    "errors": breaks_a_rule(*[frame(TEXT, b'{"op":"dance"}')] * ERRORS),
    "good fragments": breaks_a_rule(
        frame(TEXT, PING_JSON[:5], first=0),
        frame(PING, b"between"),
        frame(CONTINUATION, PING_JSON[5:9], first=0),
        frame(CONTINUATION, PING_JSON[9:]),
        stop_at="pong",
    ),
    "garbage": garbage,
    "disconnects inside a frame": disconnects_inside_a_frame,
    "storm": storm,
    "half handshake": half_handshake,
    "slow loris": slow_loris,
    "never reads": never_reads,
    "stalls": stalls,
    "pings and never reads": pings_and_never_reads,
    "churn": churn,
}
MANY_AT_ONCE = {"half handshake": 30, "slow loris": 10, "never reads": 6, "stalls": 6, "pings and never reads": 3}


def main(port: int, instruments: list[str]) -> Outcomes:
    """Run all attacks at once, each in a thread."""
    enemy = Enemy(port, instruments)
    outcomes: Outcomes = defaultdict(Counter)

    def attack(kind: str) -> None:
        try:
            result = ATTACKS[kind](enemy)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test has to hear of it
            result = repr(error)
        outcomes[kind][result] += 1

    threads = [
        threading.Thread(target=attack, args=(kind,)) for kind in ATTACKS for _ in range(MANY_AT_ONCE.get(kind, 1))
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    enemy.is_over.set()
    for thread in threads:
        thread.join()
    return outcomes


if __name__ == "__main__":
    json.dump(main(int(sys.argv[1]), sys.argv[2:]), sys.stdout)
