"""How the server ends."""

import signal
import socket
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from running import EXIT_TIMEOUT_S, RunningServer

LOAD_THREADS = 4


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


def test_the_port_is_free_again_at_once(serve: Callable[..., RunningServer]) -> None:
    first = serve("--source", "synthetic:")
    first.get("/livez").raise_for_status()
    port = int(first.url.rpartition(":")[2])
    first.process.send_signal(signal.SIGTERM)
    assert first.wait_for_exit() == 0
    second = serve("--source", "synthetic:", port=port)
    assert second.url == first.url
    assert second.get("/livez").status_code == 200


def test_a_second_signal_does_not_wait_for_a_request(serve: Callable[..., RunningServer]) -> None:
    server = serve("--source", "synthetic:")
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as unfinished:
        # Half a request keeps its connection, and with it the orderly shutdown, waiting.
        unfinished.sendall(b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\n")
        server.get("/livez").raise_for_status()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            assert server.wait_for_exit() in (0, 128 + signal.SIGTERM)
        else:
            assert server.wait_for_exit() == 0


def test_half_a_request_does_not_hold_up_the_end_for_ever(serve: Callable[..., RunningServer]) -> None:
    server = serve("--source", "synthetic:")
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as unfinished:
        unfinished.sendall(b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\n")
        server.get("/livez").raise_for_status()
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_for_exit() == 0
