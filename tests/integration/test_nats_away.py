"""A publisher whose own feed breaks: its readers hear of it, and have no live book that may lack something."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from dbn_bytes import split
from feeds import Fed
from l3book.jetstream.address import NatsAddress
from l3book.jetstream.publishing import Publishing
from l3book.sources import open_source
from l3book.sources.uri import parse_uri
from published_nats import RECORDS, days, kinds, publish, reasons, states, wait_until
from running_nats import RunningNats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def nats() -> Iterator[RunningNats]:
    server = RunningNats()
    yield server
    server.close()


class Line:
    """A sender of bare DBN on a port of its own: sends what it is told, and cuts when it is told."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]

    def accept(self, data: bytes) -> None:
        self._connection, _ = self._listening.accept()
        self._connection.sendall(data)

    def cut(self, *, for_good: bool) -> None:
        if for_good:
            self._listening.close()
        self._connection.close()

    def close(self) -> None:
        self._listening.close()


class Copying:
    """A source published by a thread of this process."""

    def __init__(self, uri: str, to: str, budget_s: float = 60.0) -> None:
        source = open_source(uri, None)
        self.publishing = Publishing(NatsAddress.of(parse_uri(to)), source, 1, budget_s)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.run(self.publishing.run(lambda _: None))

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_a_line_that_cannot_resume_costs_trust_at_once(nats: RunningNats, tmp_path: Path) -> None:
    """And one that never comes again ends the publisher, not the truth."""
    data = days(tmp_path, 1)[0].read_bytes()
    line, to = Line(), nats.uri("LINE")
    copying = Copying(f"tcp://127.0.0.1:{line.port}?end=reconnect", to, budget_s=2.0)
    try:
        line.accept(data)
        with Fed(to + "?end=reconnect") as fed:
            fed.wait_for_records(RECORDS)
            assert states(fed) == {"live"}
            assert fed.engine.state == "running"
            line.cut(for_good=True)
            wait_until(lambda: states(fed) == {"suspect"}, "doubts")
            wait_until(lambda: fed.engine.state == "reconnecting", "away")
            copying.join()
            assert "Connection refused" in str(copying.publishing.published.error)
            assert states(fed) == {"suspect"}
            assert fed.engine.state == "reconnecting"
        with Fed(to + "?end=reconnect") as fed:
            fed.wait_for_records(RECORDS)
            wait_until(lambda: states(fed) == {"suspect"}, "doubts that are in the stream")
            wait_until(lambda: fed.engine.state == "reconnecting", "away")
    finally:
        line.close()


def test_a_line_that_resumes_exactly_costs_no_trust(tmp_path: Path) -> None:
    """While it is away its readers are not ready, and their books are what they were."""
    origin, target = RunningNats(), RunningNats()
    first, second = days(tmp_path, 2)
    try:
        publish(first, origin.uri("ORIGIN"))
        copying = Copying(origin.uri("ORIGIN") + "?end=reconnect", target.uri("COPY"))
        with Fed(target.uri("COPY") + "?end=reconnect") as fed:
            fed.wait_for_records(RECORDS)
            wait_until(lambda: fed.engine.state == "running", "running")
            origin.kill()
            wait_until(lambda: fed.engine.state == "reconnecting", "away")
            assert states(fed) == {"live"}
            origin.start()
            wait_until(lambda: fed.engine.state == "running", "back, though nothing more came")
            publish(second, origin.uri("ORIGIN"))
            fed.wait_for_records(2 * RECORDS)
            assert states(fed) == {"live"}
            assert not reasons(fed)
        copying.publishing.close()
        copying.join()
        assert "doubt" not in kinds(target, "COPY")
        assert kinds(target, "COPY").count("away") == 2, "with the publisher's end"
    finally:
        origin.close()
        target.close()


def test_a_stream_without_ends_of_events_fills_no_memory(tmp_path: Path) -> None:
    from l3book.jetstream.feeding import OPEN_RECORDS_MAX, _Passing

    head, body = split(days(tmp_path, 1)[0].read_bytes())
    rows = bytearray(body)
    rows[36::56] = bytes(flag & 0x7F for flag in rows[36::56])
    told: list[Any] = []
    passing = _Passing(told.append)
    passing.on_state("running")
    passing.take(head)
    for _ in range(8):
        passing.take(bytes(rows))
        assert sum(map(len, passing._open.values())) <= 4 * OPEN_RECORDS_MAX
    passing.market.disconnected()
    passing.market.reconnected("resume")
    passing.on_state("reconnecting")
    passing.on_state("running")
    doubts = [doubt for brought in told if hasattr(brought, "doubts") for doubt in brought.doubts]
    assert len({doubt[:2] for doubt in doubts if doubt[2] == "event without end"}) == 4
