"""How the server ends."""

import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from dbn_bytes import UNIT, Mbo, metadata, stream
from l3book.shutdown import Shutdown
from recorded import simulated, wait_until_durable
from running import EXIT_TIMEOUT_S, POLL_INTERVAL_S, RunningServer

LOAD_THREADS = 4
LONG_RECORDS = 600_000
"""An export of them takes several times as long as the shortest end."""
UNREAD_ORDERS = 400_000
"""Their JSON is longer than both ends of a connection can hold between them."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
@pytest.mark.parametrize("source", ["synthetic:", "synthetic:?rate=1", "synthetic:?rate=max"])
def test_a_signal_ends_it_with_exit_code_0(
    serve: Callable[..., RunningServer], source: str, number: signal.Signals
) -> None:
    server = serve("--source", source)
    server.get("/livez").raise_for_status()
    server.process.send_signal(number)
    assert server.wait_for_exit() == 0
    (line,) = server.lines
    assert "listening on" in line, "an orderly end is quiet: the source has neither ended nor failed"


def test_requests_under_way_at_a_sigterm_are_answered(serve: Callable[..., RunningServer]) -> None:
    """Under load, no answer is cut: each request is answered whole, or its connection was never taken."""
    server = serve("--source", "synthetic:?instruments=4&rate=200000")
    server.wait_until_ready()
    answered = [0] * LOAD_THREADS
    broken: list[str] = []

    def load(thread: int) -> None:
        with httpx.Client(base_url=server.url, timeout=EXIT_TIMEOUT_S) as client:
            while True:
                try:
                    response = client.get("/v1/books/SYN0?level=3&depth=all")
                except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError) as error:
                    # A connection closed while idle is no lost answer; one cut in the middle says so.
                    if "incomplete" in str(error):
                        broken.append(str(error))
                    return
                if response.status_code != 200 or not response.json()["bids"]:
                    broken.append(response.text[:200])
                    return
                answered[thread] += 1

    threads = [threading.Thread(target=load, args=(thread,)) for thread in range(LOAD_THREADS)]
    for thread in threads:
        thread.start()
    deadline_s = time.monotonic() + EXIT_TIMEOUT_S
    while min(answered) < 5 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    for thread in threads:
        thread.join(EXIT_TIMEOUT_S)
    assert broken == []
    assert min(answered) >= 5
    assert "Traceback" not in "".join(server.lines)


def test_load_balancers_get_the_time_to_see_that_it_is_not_ready(serve: Callable[..., RunningServer]) -> None:
    """Not ready at once, everything else as before for the delay, and only then the end."""
    server = serve(env={"L3BOOK_DRAIN_DELAY_S": "6"})
    server.wait_until_ready()
    server.process.send_signal(signal.SIGTERM)
    signalled_s = time.monotonic()
    deadline_s = signalled_s + EXIT_TIMEOUT_S
    while (ready := server.get("/readyz")).status_code != 503:
        assert time.monotonic() < deadline_s
        time.sleep(POLL_INTERVAL_S)
    assert ready.json()["detail"] == "the server is shutting down"
    # A new connection, as one that a load balancer sends before it has looked.
    with httpx.Client(base_url=server.url, timeout=EXIT_TIMEOUT_S) as late:
        assert late.get("/v1/books/SYN0").status_code == 200
    assert server.wait_for_exit() == 0
    assert time.monotonic() - signalled_s >= 6


def test_a_second_signal_does_not_wait_for_load_balancers(serve: Callable[..., RunningServer]) -> None:
    server = serve(env={"L3BOOK_DRAIN_DELAY_S": "3600"})
    server.process.send_signal(signal.SIGTERM)
    deadline_s = time.monotonic() + EXIT_TIMEOUT_S
    while server.get("/readyz").status_code != 503:
        assert time.monotonic() < deadline_s
        time.sleep(POLL_INTERVAL_S)
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 128 + signal.SIGTERM


def test_an_answer_that_nobody_reads_is_given_up_after_the_time_for_it(
    serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    """The default would be longer than the test waits for the exit; the shutdown_timeout_s set is not."""
    path = tmp_path / "deep.dbn"
    path.write_bytes(metadata() + stream([Mbo("A", "B", UNIT, 1, i, instrument_id=7) for i in range(UNREAD_ORDERS)]))
    server = serve("--source", f"file:{path}", env={"L3BOOK_SHUTDOWN_TIMEOUT_S": "1"})
    server.wait_for_state("ended")
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as unread:
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        unread.connect((host, int(port)))
        unread.sendall(b"GET /v1/books/7?level=3&depth=all HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert unread.recv(12) == b"HTTP/1.1 200"
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_for_exit() == 0
    assert "timeout graceful shutdown exceeded" in "".join(server.lines)
    assert "Traceback" not in "".join(server.lines)


def test_an_export_that_is_not_made_in_time_is_a_503(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    """An end is no fault: the caller is told to come again, and the log has a line, not a stack trace."""
    folder = tmp_path / "history"
    path = simulated(tmp_path / "made.dbn", LONG_RECORDS, seed=7, instruments=2)
    settings = {"L3BOOK_SHUTDOWN_TIMEOUT_S": "1"}
    server = serve("--source", f"file:{path}", "--history", str(folder), env=settings)
    server.wait_for_state("ended")
    wait_until_durable(server)
    body = {"start": "0", "end": str(2**63 - 1), "schema": "mbp-10", "to": "csv"}
    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(server.client.post, "/v1/exports", json=body)
        deadline_s = time.monotonic() + EXIT_TIMEOUT_S
        while not list(folder.glob("exports/*.part")):
            assert time.monotonic() < deadline_s
            time.sleep(POLL_INTERVAL_S)
        server.process.send_signal(signal.SIGTERM)
        answer = made.result(EXIT_TIMEOUT_S)
    assert server.wait_for_exit() == 0
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready"), answer.text
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    lines = "".join(server.lines)
    assert "Traceback" not in lines, lines
    assert "POST /v1/exports: given up, the server is shutting down" in lines
    assert list(folder.glob("exports/*")) == [], "nothing of it is left"


def test_the_port_is_free_again_at_once(serve: Callable[..., RunningServer]) -> None:
    first = serve("--source", "synthetic:")
    first.get("/livez").raise_for_status()
    port = int(first.url.rpartition(":")[2])
    first.process.send_signal(signal.SIGTERM)
    assert first.wait_for_exit() == 0
    second = serve("--source", "synthetic:", port=port)
    assert second.url == first.url
    assert second.get("/livez").status_code == 200


def test_a_second_signal_does_not_wait_for_a_request(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    """An answer that nobody reads holds up the orderly end for seconds; then, the exit code would be 0."""
    path = tmp_path / "deep.dbn"
    orders = [Mbo("A", "B", UNIT, 1, i, instrument_id=7) for i in range(UNREAD_ORDERS)]
    path.write_bytes(metadata() + stream(orders))
    server = serve("--source", f"file:{path}")
    server.wait_for_state("ended")
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as unread:
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        unread.connect((host, int(port)))
        unread.sendall(b"GET /v1/books/7?level=3&depth=all HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert unread.recv(12) == b"HTTP/1.1 200"
        server.process.send_signal(signal.SIGTERM)
        wait_until_refused(host, int(port))
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_for_exit() == 128 + signal.SIGTERM
    assert server.lines[-1] == "l3book: a second signal: ending at once\n"


def wait_until_refused(host: str, port: int) -> None:
    """The first signal has been heeded once nobody listens any more."""
    deadline_s = time.monotonic() + EXIT_TIMEOUT_S
    while time.monotonic() < deadline_s:
        try:
            socket.create_connection((host, port)).close()
        except ConnectionError:
            return
        time.sleep(POLL_INTERVAL_S)
    raise AssertionError("the server still listens")


def test_a_signal_at_any_moment_reaches_a_callback() -> None:
    """One that comes while the callback is being appended: after the look at whether it had come."""
    shutdown = Shutdown()
    called = []

    class Interrupted(list[Callable[[], None]]):
        def append(self, callback: Callable[[], None]) -> None:
            shutdown._on_signal(signal.SIGTERM, None)
            super().append(callback)

    shutdown._callbacks = Interrupted()
    shutdown.call(lambda: called.append(True))
    assert called


def test_half_a_request_does_not_hold_up_the_end_for_ever(serve: Callable[..., RunningServer]) -> None:
    server = serve("--source", "synthetic:")
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as unfinished:
        unfinished.sendall(b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\n")
        server.get("/livez").raise_for_status()
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_for_exit() == 0
