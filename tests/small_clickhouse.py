"""A ClickHouse server small enough to be a fixture: its HTTP interface as clickhouse-connect uses it, over the engine.

`python small_clickhouse.py FOLDER` prints the port it listens on, and runs until its standard input ends. Faults are
asked for by POST /faults with {"kind": ..., "times": N}, and come upon the next inserts, in place of those
asked for before:

- "status": answered with this "status" and nothing else, as a proxy does.
- "code": refused with this ClickHouse error "code" and HTTP status 500.
- "reset": the connection is reset while the rows are on their way.
- "lost answer": the rows are written; then the connection is reset.
- "slow": answered "seconds" later.

GET /inserts tells how many were begun. Who talks to it is USER with PASSWORD.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx

if TYPE_CHECKING:
    from pathlib import Path

USER = "recorder"
PASSWORD = "correct horse"  # noqa: S105  # of this fixture
_AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_AUTHENTICATION_FAILED = 516
_INSERT = re.compile(rb"INSERT INTO (?P<table>\S+) \((?P<columns>[^)]*)\) FORMAT (?P<format>\w+)\n")
# Parameters of the interface itself; all others are settings.
_OF_HTTP = {"query", "database", "query_id", "wait_end_of_query", "default_format", "client_protocol_version"}


class SmallClickHouse(http.server.ThreadingHTTPServer):
    """Answers with what the engine in this process says."""

    daemon_threads = True

    def __init__(self, folder: str) -> None:
        import clickhouse_connect

        super().__init__(("127.0.0.1", 0), _Handler)
        self.engine = clickhouse_connect.get_client(interface="chdb", path=folder)
        self.faults: list[dict[str, Any]] = []
        self.inserts = 0
        self.lock = threading.Lock()

    def next_fault(self) -> dict[str, Any]:
        with self.lock:
            self.inserts += 1
            return self.faults.pop(0) if self.faults else {"kind": None}

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SmallClickHouse

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/inserts":
            return self.answer(200, str(self.server.inserts).encode())
        return self.do_POST()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if self.path == "/faults":
            asked = json.loads(self.rfile.read(length))
            self.server.faults[:] = [asked] * asked.pop("times")
            return self.answer(200, b"")
        parameters = dict(parse_qsl(urlsplit(self.path).query))
        start = self.rfile.read(min(length, 2_000))
        if not start.startswith(b"INSERT"):
            return self.run(parameters, start + self.rfile.read(length - len(start)), {"kind": None})
        fault = self.server.next_fault()
        if fault["kind"] == "reset":
            self.rfile.read((length - len(start)) // 2)
            return self.reset()
        return self.run(parameters, start + self.rfile.read(length - len(start)), fault)

    def run(self, parameters: dict[str, str], body: bytes, fault: dict[str, Any]) -> None:
        if self.headers.get("Authorization") != _AUTHORIZATION:
            return self.refuse(403, _AUTHENTICATION_FAILED, "Authentication failed")
        if fault["kind"] == "status":
            return self.answer(fault["status"], b"<html>from a proxy</html>")
        if fault["kind"] == "code":
            return self.refuse(500, fault["code"], "as the test wants")
        try:
            answer = self.ask(parameters, body)
        except Exception as error:  # noqa: BLE001  # whatever the engine says goes back, as from a server
            return self.refuse(500, getattr(error, "code", None) or 1002, str(error))
        if fault["kind"] == "lost answer":
            return self.reset()
        if fault["kind"] == "slow":
            time.sleep(fault["seconds"])
        return self.answer(200, answer)

    def ask(self, parameters: dict[str, str], body: bytes) -> bytes:
        settings = {name: value for name, value in parameters.items() if name not in _OF_HTTP}
        if found := _INSERT.match(body):
            self.server.engine.raw_insert(
                found["table"].decode(),
                column_names=[name.strip(" `") for name in found["columns"].decode().split(",")],
                insert_block=body[found.end() :],
                fmt=found["format"].decode(),
                settings=settings,
            )
            return b""
        query = parameters.get("query", "") + body.decode()
        form = parameters.get("default_format") if not re.search(r"FORMAT\s+\w+\s*$", query) else None
        return self.server.engine.raw_query(query, settings=settings, fmt=form)

    def refuse(self, status: int, code: int, text: str) -> None:
        body = f"Code: {code}. DB::Exception: {text}".encode()
        self.answer(status, body, {"X-ClickHouse-Exception-Code": str(code)})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        """Close so that the peer sees a reset, and not an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class RunningClickHouse:
    """The server in a process of its own, where killing a writer does not touch it."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def fail(self, kind: str, times: int = 1, **details: object) -> None:
        """Have the next inserts meet this fault."""
        httpx.post(f"{self.url}/faults", json={"kind": kind, "times": times, **details}).raise_for_status()

    def heal(self) -> None:
        """Take back the faults that have not been met."""
        self.fail("", times=0)

    def inserts(self) -> int:
        """How many have been begun."""
        return int(httpx.get(f"{self.url}/inserts").text)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


def main() -> None:
    with SmallClickHouse(sys.argv[1]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
