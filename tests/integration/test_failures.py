"""What nobody expected: the caller gets a 500 with ids, and the log the traceback under the same ids."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from http_contract import problem
from l3book.access.guard import Guard
from l3book.api.app import create_app
from l3book.api.server import Server
from l3book.config import InForce, Settings
from l3book.listening import address_of, listen
from l3book.streams.fanout import Fanout

START_TIMEOUT_S = 90
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class BrokenHub:
    """Fails whatever it is asked; its streams, and that it has no history, are known from the beginning."""

    history = None
    streams = Fanout(cast("Any", None))

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


async def on_tick() -> None:
    """Nothing to do."""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    """Of a server over a hub that is broken."""
    settings = Settings(state_dir=tmp_path)
    is_accepting = threading.Event()
    servers: list[Server] = []

    def serve() -> None:
        # The guard's database belongs to the thread that opens it.
        with contextlib.closing(Guard(settings)) as guard:
            app = create_app(cast("Any", BrokenHub()), InForce(settings), guard)
            server = Server(app, listener, settings, guard.connections, on_accepting=is_accepting.set, on_tick=on_tick)
            servers.append(server)
            server.serve_until_shutdown()

    with listen("127.0.0.1", 0, public_refusal=None) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert is_accepting.wait(START_TIMEOUT_S)
            with httpx.Client(base_url=f"http://{address_of(listener)}") as client:
                yield client
        finally:
            for server in servers:
                server.should_exit = True
            thread.join(START_TIMEOUT_S)


@pytest.mark.parametrize("path", ["/v1/books/AB", "/v1/books/AB?level=3", "/v1/instruments", "/v1/metrics", "/readyz"])
def test_a_failure_is_a_problem_with_ids_and_logged_once(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    headers = {"X-Request-Id": "mine", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    with caplog.at_level(logging.ERROR):
        body = problem(client.get(path, headers=headers), 500, "internal_error")
    assert (body["trace_id"], body["request_id"]) == (TRACE, "mine")
    assert "ZeroDivisionError" not in str(body)
    (entry,) = caplog.records
    assert entry.getMessage() == f"GET {path.partition('?')[0]} failed (trace_id {TRACE}, request_id mine)"
    facts = entry.__dict__["facts"]
    assert (facts["trace_id"], facts["request_id"]) == (TRACE, "mine")
    assert entry.exc_info
    assert entry.exc_info[0] is ZeroDivisionError
    assert client.get("/livez").status_code == 200
