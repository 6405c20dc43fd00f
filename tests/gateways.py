"""`l3book gateway` as a process, and a client of it in a few lines of `socket` and `hashlib`."""

from __future__ import annotations

import contextlib
import hashlib
import re
import signal
import socket
import struct
import time
from typing import TYPE_CHECKING

from dbn_bytes import metadata, raw_records, split
from running import RunningCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "db-unittestapikey1234567890FFFFF"
OTHER_KEY = "db-anotherkey0000000000000000000"
SOCKET_TIMEOUT_S = 60
RTYPE_ERROR, RTYPE_MAPPING, RTYPE_SYSTEM = 0x15, 0x16, 0x17
EMPTY = metadata()
CONTROL_RTYPES = (RTYPE_ERROR, RTYPE_MAPPING, RTYPE_SYSTEM)
HEARTBEAT, ACK, SLOW_READER, REPLAY_COMPLETED = range(4)


class RunningGateway(RunningCommand):
    """The gateway on a free port of loopback, with `KEY` let in unless told otherwise."""

    def __init__(
        self, *arguments: str, key: str | None = KEY, port: int = 0, env: dict[str, str] | None = None
    ) -> None:
        keys = ("--key", key) if key and "raw" not in arguments else ()
        super().__init__("gateway", "--port", str(port), *keys, *arguments, env=env)
        self.port = port

    def wait_until_listening(self) -> None:
        self.port = int(self.wait_for_line(r"gateway listening on \S+:(\d+) ")[1])

    def end(self) -> dict[str, int]:
        """Tell it to end, and expect that it does so in order; -> its totals."""
        self.process.send_signal(signal.SIGTERM)
        assert self.wait_for_exit() == 0, "".join(self.lines)
        text = "".join(self.lines)
        assert "Traceback" not in text, text
        line = self.wait_for_line(r"l3book gateway ended: (.*)")[1]
        totals = {}
        for part in line.split(", "):
            number = re.search(r"[\d,]*\d", part)
            assert number, line
            totals[part.replace(number[0], "").strip()] = int(number[0].replace(",", ""))
        return totals

    def connect(self) -> Client:
        return Client(self.port)


class Client:
    """One connection, step by step."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), SOCKET_TIMEOUT_S)
        self._buffer = b""
        self.challenge = ""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, text: str | bytes) -> None:
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def line(self) -> str:
        """The next line, without its end; "" at the end of the stream."""
        while b"\n" not in self._buffer:
            data = self.socket.recv(65536)
            if not data:
                assert not self._buffer, f"half a line: {self._buffer!r}"
                return ""
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def greeted(self) -> Client:
        assert self.line().startswith("lsg_version=")
        key, _, self.challenge = self.line().partition("=")
        assert key == "cram"
        return self

    def authenticate(self, key: str = KEY, dataset: str = "GLBX.MDP3", **options: object) -> str:
        """Answer the challenge; -> the gateway's answer."""
        digest = hashlib.sha256(f"{self.challenge}|{key}".encode()).hexdigest()
        fields = {"auth": f"{digest}-{key[-5:]}", "dataset": dataset, "encoding": "dbn", "ts_out": 0, **options}
        self.send("|".join(f"{name}={value}" for name, value in fields.items()) + "\n")
        return self.line()

    def admitted(self, **options: object) -> Client:
        """Come in, or fail."""
        answer = self.greeted().authenticate(**options)  # type: ignore[arg-type]
        assert re.fullmatch(r"success=1\|session_id=\d+", answer), answer
        return self

    def subscribe(self, symbols: str = "ALL_SYMBOLS", schema: str = "mbo", **options: object) -> None:
        fields = {"schema": schema, "stype_in": "raw_symbol", "symbols": symbols, **options}
        self.send("|".join(f"{name}={value}" for name, value in fields.items()) + "\n")

    def start(self) -> None:
        self.send("start_session\n")

    def rest(self) -> bytes:
        """Everything up to the end of the stream."""
        pieces = [self._buffer]
        while piece := self.socket.recv(1 << 20):
            pieces.append(piece)
        self._buffer = b""
        return b"".join(pieces)

    def stream(self, *wanted: dict[str, object], **options: object) -> bytes:
        """A whole session: come in, subscribe (to all mbo unless told), start, read to the end."""
        self.admitted(**options)
        for subscription in wanted or ({},):
            self.subscribe(**subscription)  # type: ignore[arg-type]
        self.start()
        return self.rest()

    def read_records(self, enough: int) -> bytes:
        """Metadata and at least so many bytes of records; fewer at the end of the stream."""
        while len(self._buffer) < enough:
            data = self.socket.recv(1 << 20)
            if not data:
                break
            self._buffer += data
        return self._buffer

    def until_data(self) -> bytes:
        """Everything up to the first data record."""
        data = self.until(b"DBN")
        while not body(whole(data)):
            data = self.read_records(len(data) + 1)
        return whole(data)

    def until(self, text: bytes) -> bytes:
        """Everything up to and with a text that the gateway sends."""
        deadline_s = time.monotonic() + SOCKET_TIMEOUT_S
        while text not in self._buffer:
            data = self.socket.recv(1 << 20)
            assert data, f"no {text!r} in {len(self._buffer)} bytes"
            assert time.monotonic() < deadline_s
            self._buffer += data
        return self._buffer


def whole(data: bytes) -> bytes:
    """A stream without the record that it was cut in; metadata that is cut is not."""
    if len(data) < 8 or len(data) < 8 + int.from_bytes(data[4:8], "little"):
        return EMPTY
    head, rest = split(data)
    at = 0
    while at < len(rest) and at + rest[at] * 4 <= len(rest):
        at += rest[at] * 4
    return head + rest[:at]


def body(data: bytes) -> bytes:
    """The data records of a session's stream, without mappings, acks and the like."""
    return b"".join(raw for raw in raw_records(split(data)[1]) if raw[1] not in CONTROL_RTYPES)


def controls(data: bytes) -> Iterator[tuple[int, int, str]]:
    """(rtype, code, text) of the control records; a mapping's text is its symbol."""
    for raw in raw_records(split(data)[1]):
        if raw[1] == RTYPE_MAPPING:
            yield raw[1], 0, text_of(raw[17 : 17 + 71])
        elif raw[1] == RTYPE_ERROR:
            yield raw[1], raw[16 + 302], text_of(raw[16 : 16 + 302])
        elif raw[1] == RTYPE_SYSTEM:
            yield raw[1], raw[16 + 303], text_of(raw[16 : 16 + 303])


def system_texts(data: bytes, code: int) -> list[str]:
    return [text for rtype, found, text in controls(data) if (rtype, found) == (RTYPE_SYSTEM, code)]


def errors(data: bytes) -> list[tuple[int, str]]:
    return [(code, text) for rtype, code, text in controls(data) if rtype == RTYPE_ERROR]


def text_of(field: bytes) -> str:
    return field.partition(b"\0")[0].decode()


def reset(connection: socket.socket) -> None:
    """Close without order."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
