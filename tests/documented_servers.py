"""The servers that test_docs_against_server.py holds the documents against, and the register of its probes."""

from __future__ import annotations

import functools
import socket
import ssl
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import httpx

from certificates import make_certificate
from dbn_bytes import T0, UNIT, metadata, record
from keyed import make_key
from recorded import simulated, wait_until_recorded
from running import EXIT_TIMEOUT_S, STATE_TIMEOUT_S, RunningServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Row: TypeAlias = tuple[str, str]
"""What kind of row it is, and what stands in its first cell."""
Probe: TypeAlias = "Callable[[Servers], None]"

PROBES: dict[Row, Probe] = {}

OWN = "127.0.0.1"
OTHER = "127.0.0.2"
"""Loopback too, and another address to limits."""
SECOND_NS = 1_000_000_000
STREAM = "synthetic:?rate=5000"


def probe(kind: str, *rows: str) -> Callable[[Probe], Probe]:
    """Register a probe for these rows; several of them stack."""

    def register(function: Probe) -> Probe:
        for row in rows:
            assert (kind, row) not in PROBES, f"two probes for {kind} {row}"
            PROBES[kind, row] = function
        return function

    return register


class Servers:
    """Started when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Of their states."""
        self._running: list[RunningServer] = []
        self._outcomes: dict[Probe, AssertionError | None] = {}

    def hold_to(self, row: Row) -> None:
        """Run the row's probe, once for all of its rows."""
        made = PROBES[row]
        if made not in self._outcomes:
            try:
                made(self)
            except AssertionError as error:
                self._outcomes[made] = error
            else:
                self._outcomes[made] = None
        if (error := self._outcomes[made]) is not None:
            raise error

    def stop(self) -> None:
        for server in self._running:
            server.kill()

    def start(self, name: str, source: str = STREAM, *, is_ready: bool = True, **settings: object) -> RunningServer:
        """One more, with a state of its own."""
        env = {f"L3BOOK_{setting.upper()}": str(value) for setting, value in settings.items()}
        server = RunningServer("--source", source, env={"L3BOOK_STATE_DIR": str(self._state(name)), **env})
        self._running.append(server)
        server.wait_until_listening()
        if is_ready:
            server.wait_until_ready()
        return server

    def make_key(self, name: str, key: str, *scopes: str) -> str:
        """Make a key for the server of that name."""
        return make_key({"L3BOOK_STATE_DIR": str(self._state(name))}, key, *scopes)

    def _state(self, name: str) -> Path:
        return self.folder / name

    @functools.cached_property
    def desk(self) -> RunningServer:
        """With keys, and little patience."""
        limits = {"body_bytes_max": 1024, "request_header_timeout_s": 1, "request_body_timeout_s": 1}
        return self.start("desk", message_bytes_max=1024, **limits)

    @functools.cached_property
    def key(self) -> str:
        """For the desk, with scope read."""
        return self.make_key("desk", "reader")

    @functools.cached_property
    def still(self) -> RunningServer:
        """Two books of one name, and one of another, from a file that has ended; no keys."""
        path = self.folder / "still.dbn"
        books = [(1, 7), (2, 7), (1, 8)]
        adds = [
            record(
                "A", "B", 100 * UNIT, size=5, order_id=6415, publisher_id=publisher, instrument_id=number, ts_event=T0
            )
            for publisher, number in books
        ]
        path.write_bytes(metadata(symbols={"AB": 7, "CD": 8}) + b"".join(adds))
        server = self.start("still", f"file:{path}")
        server.wait_for_state("ended")
        return server

    @functools.cached_property
    def recorded(self) -> RunningServer:
        """The books of `still`, moving for some seconds, with a history; room for two replays and two exports."""
        path = self.folder / "recorded.dbn"
        records = [
            record(
                action,
                "B",
                100 * UNIT,
                size=5,
                order_id=number,
                publisher_id=publisher,
                instrument_id=instrument,
                ts_event=T0 + number * SECOND_NS,
                ts_recv=T0 + number * SECOND_NS,
            )
            for number in range(1, 10)
            for action in ("A", "T")
            for publisher, instrument in [(1, 7), (2, 7), (1, 8)]
        ]
        path.write_bytes(metadata(symbols={"AB": 7, "CD": 8}) + b"".join(records))
        return self.record("recorded", path, replays_per_key_max=2, exports_max=2)

    @functools.cached_property
    def recorded_one(self) -> RunningServer:
        """One book of the synthetic market, from a file, with a history."""
        path = self.folder / "recorded_one.dbn"
        return self.record("recorded_one", simulated(path, 3000), export_bytes_max=10_000)

    def record(self, name: str, path: Path, **settings: object) -> RunningServer:
        """A server that has recorded a file."""
        server = self.start(name, f"file:{path}", history=self.history_of(name), **settings)
        server.wait_for_state("ended")
        wait_until_recorded(server)
        return server

    def history_of(self, name: str) -> Path:
        """Its folder."""
        return self.folder / f"{name}.history"

    @functools.cached_property
    def one(self) -> RunningServer:
        """One book that moves; no keys."""
        return self.start("one")

    @functools.cached_property
    def empty(self) -> RunningServer:
        """Without a book: nobody listens where its source should be."""
        return self.start("empty", "tcp://127.0.0.1:9", is_ready=False)

    @functools.cached_property
    def tight(self) -> RunningServer:
        """With room for few sockets and subscriptions."""
        of_sockets = {"sockets_max": 3, "sockets_per_key_max": 2, "socket_ops_per_s_max": 5}
        of_subscriptions = {"subscriptions_per_socket_max": 2, "subscriptions_per_key_max": 3}
        return self.start("tight", **of_sockets, **of_subscriptions, whole_books_per_key_max=1)

    @functools.cached_property
    def limited(self) -> RunningServer:
        """For one request a second."""
        return self.start("limited", requests_per_s_max=1, is_ready=False)

    @functools.cached_property
    def by_tls(self) -> tuple[RunningServer, ssl.SSLContext]:
        """Over TLS; and who trusts it."""
        certificate, key = make_certificate(self.folder, "books")
        server = self.start("by_tls", is_ready=False, tls_cert=certificate, tls_key=key)
        return server, ssl.create_default_context(cafile=certificate)

    @functools.cached_property
    def narrow(self) -> RunningServer:
        """With room for few connections."""
        return self.start("narrow", connections_max=3, connections_per_address_max=2)


def ask(server: RunningServer, path: str, method: str = "GET", key: str = "", **options: Any) -> httpx.Response:
    """One request."""
    headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **options.pop("headers", {})}
    return server.client.request(method, path, headers=headers, **options)


def client_from(server: RunningServer, address: str) -> httpx.Client:
    """A client with an address of its own."""
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=server.url, transport=transport, timeout=STATE_TIMEOUT_S)


def connected(server: RunningServer, address: str = OWN) -> socket.socket:
    """A bare connection."""
    url = urlsplit(server.url)
    assert url.hostname is not None
    return socket.create_connection((url.hostname, url.port or 0), EXIT_TIMEOUT_S, (address, 0))


def raw(server: RunningServer, sent: bytes) -> bytes:
    """All that comes back, up to the end of the connection."""
    with connected(server) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def check_problem(response: httpx.Response, code: str, status: int) -> dict[str, Any]:
    """It is that problem, as docs/api.md says problems are."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem: dict[str, Any] = response.json()
    assert (problem["code"], response.status_code, problem["status"]) == (code, status, status), problem
    assert problem["type"] == f"urn:l3book:problem:{code}"
    assert {"title", "detail", "instance", "trace_id", "request_id"} <= problem.keys()
    return problem
