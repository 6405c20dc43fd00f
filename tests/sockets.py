"""Clients of `/v1/ws` for tests: the `websockets` package, and bare sockets for what it would not send."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as ws_connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from running import RunningServer

PATH = "/v1/ws"
ANSWER_TIMEOUT_S = 90
SMALL_RECEIVE_BUFFER = 4096
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9


def connect(server: RunningServer, *, path: str = PATH, **options: Any) -> ClientConnection:
    """Open a WebSocket; closed with the `with` it is used in."""
    return ws_connect(
        server.url.replace("http", "ws") + path,
        open_timeout=ANSWER_TIMEOUT_S,
        max_size=None,
        compression=None,
        **options,
    )


def say(client: ClientConnection, **op: Any) -> None:
    client.send(json.dumps(op))


def hear(client: ClientConnection) -> dict[str, Any]:
    """The next message that is no heartbeat, and no moment of a replay."""
    while True:
        data = client.recv(ANSWER_TIMEOUT_S)
        message = msgspec.json.decode(data) if isinstance(data, str) else msgspec.msgpack.decode(data)
        assert isinstance(message, dict)
        if message["type"] not in {"heartbeat", "moment"}:
            return message


def hear_until(client: ClientConnection, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """All messages up to the first that is wanted."""
    heard = [hear(client)]
    while not wanted(heard[-1]):
        heard.append(hear(client))
    return heard


def close_code(client: ClientConnection) -> int:
    """Read until the server closes; -> its code."""
    with pytest.raises(ConnectionClosed) as closed:
        read_for_ever(client)
    assert closed.value.rcvd is not None, "the connection ended without a close frame"
    assert closed.value.rcvd.reason
    return closed.value.rcvd.code


def read_for_ever(client: ClientConnection) -> None:
    while True:
        client.recv(ANSWER_TIMEOUT_S)


def whole_answer(connection: socket.socket) -> bytes:
    """Read one answer of HTTP that tells its length; it may come in any number of pieces."""
    answer = b""
    while (end := answer.find(b"\r\n\r\n")) < 0 or len(answer) < end + 4 + _content_bytes(answer[:end]):
        part = connection.recv(65_536)
        assert part, f"the connection ended: {answer!r}"
        answer += part
    return answer


def _content_bytes(head: bytes) -> int:
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    assert len(lengths) == 1, head
    return int(lengths[0].partition(b":")[2])


class RawSocket:
    """A WebSocket whose bytes are written by hand: nothing reads unless the test does."""

    def __init__(self, server: RunningServer, *, receive_buffer: int | None = None) -> None:
        address = urlsplit(server.url)
        assert address.hostname is not None
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(ANSWER_TIMEOUT_S)
        self.socket.connect((address.hostname, address.port))
        self.host = address.netloc
        """What it sends as Host."""
        self.version = "1.1"
        self._unread = b""

    def request(self, *lines: str, method: str = "GET", key: bool = True) -> bytes:
        """Ask for the handshake; -> the head of the answer, and what came with it."""
        head = [
            f"{method} {PATH} HTTP/{self.version}",
            f"Host: {self.host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
        ]
        head += ["Sec-WebSocket-Version: 13", *lines]
        if key:
            head.append(f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}")
        self.socket.sendall("\r\n".join([*head, "", ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = self.socket.recv(4096)
            assert part, f"the connection ended: {answer!r}"
            answer += part
        return answer

    def open(self) -> RawSocket:
        assert b" 101 " in self.request().split(b"\r\n")[0]
        return self

    def send(self, payload: bytes, opcode: int = TEXT, *, fin: bool = True) -> None:
        self.socket.sendall(masked(payload, opcode, fin=fin))

    def next_frame(self) -> tuple[int, bytes]:
        """Read one frame; -> its opcode and payload."""
        while True:
            if len(self._unread) >= 10 or (len(self._unread) >= 2 and self._unread[1] < 126):
                short = self._unread[1]
                at = {126: 4, 127: 10}.get(short, 2)
                end = at + (short if at == 2 else int.from_bytes(self._unread[2:at], "big"))
                if len(self._unread) >= end:
                    frame, self._unread = self._unread[:end], self._unread[end:]
                    return frame[0] & 0xF, frame[at:]
            part = self.socket.recv(65_536)
            assert part, "the connection ended"
            self._unread += part

    def next_message(self) -> dict[str, Any]:
        """Read frames up to the first that is text."""
        while True:
            opcode, payload = self.next_frame()
            if opcode == TEXT:
                return dict(json.loads(payload))

    def close_code(self) -> int:
        """Read frames up to the close frame; -> its code."""
        while True:
            opcode, payload = self.next_frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """End without a word: the peer gets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> RawSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def masked(payload: bytes, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    """A client's frame, masked by zeros."""
    length = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65_536:
        head += bytes([0x80 | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + length.to_bytes(8, "big")
    return head + bytes(4) + payload
