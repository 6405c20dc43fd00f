"""Clients that begin and do not go on."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from l3book.api.http_protocol import FIELD_BYTES_MAX
from running import EXIT_TIMEOUT_S, RunningServer

SHORT = {"L3BOOK_REQUEST_HEADER_TIMEOUT_S": "1", "L3BOOK_REQUEST_BODY_TIMEOUT_S": "1"}
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


def shared(**settings: str) -> Iterator[RunningServer]:
    """One server for all tests that only look at it: none may leave it the worse."""
    server = RunningServer(env=settings)
    try:
        server.wait_until_listening()
        yield server
        assert "Traceback" not in "".join(server.lines)
    finally:
        server.kill()


@pytest.fixture(scope="module")
def impatient() -> Iterator[RunningServer]:
    yield from shared(**SHORT)


@pytest.fixture(scope="module")
def patient() -> Iterator[RunningServer]:
    yield from shared()


def address(server: RunningServer) -> tuple[str, int]:
    host, port = server.url.removeprefix("http://").split(":")
    return host, int(port)


def all_that_comes(connection: socket.socket) -> bytes:
    """Until the server closes; a server that does not fails the test by the time-out."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("sent", "first_line"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"G", b"HTTP/1.1 408 Request Timeout"),
        (GET, b"HTTP/1.1 408 Request Timeout"),
        (GET + b"\r\n" + GET, b"HTTP/1.1 200 OK"),
        (GET + b"Content-Length: 10\r\n\r\n12345", b"HTTP/1.1 408 Request Timeout"),
    ],
    ids=["nothing", "line break", "a letter", "half a head", "and half a head", "half a body"],
)
def test_a_client_that_does_not_go_on_is_not_waited_for(
    impatient: RunningServer, sent: bytes, first_line: bytes
) -> None:
    with socket.create_connection(address(impatient), timeout=EXIT_TIMEOUT_S) as connection:
        connection.sendall(sent)
        assert all_that_comes(connection).split(b"\r\n")[0] == first_line
    assert impatient.get("/livez").status_code == 200
    assert "Traceback" not in "".join(impatient.lines)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\n12345", b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345"]
)
def test_a_body_that_does_not_come_is_answered_once(impatient: RunningServer, framing: bytes) -> None:
    """By those who wait for it: with the id that came with the request, as every answer."""
    with socket.create_connection(address(impatient), timeout=EXIT_TIMEOUT_S) as connection:
        connection.sendall(GET + b"X-Request-Id: mine\r\n" + framing)
        answered = all_that_comes(connection)
    assert answered.count(b"HTTP/1.1 ") == 1
    assert b'"code":"body_too_slow"' in answered
    assert b"x-request-id: mine\r\n" in answered
    assert answered.lower().count(b"connection: close") == 1


def test_an_answer_before_the_body_does_not_keep_the_connection(impatient: RunningServer) -> None:
    request = (
        b"POST /v1/tickets HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 10\r\n\r\n"
    )
    with socket.create_connection(address(impatient), timeout=EXIT_TIMEOUT_S) as connection:
        connection.sendall(request + b"12345")
        answered = all_that_comes(connection)
    assert answered.startswith(b"HTTP/1.1 403 ")
    assert answered.count(b"HTTP/1.1 ") == 1


def test_line_breaks_after_a_request_do_not_keep_a_connection(impatient: RunningServer) -> None:
    """They are no request, but end uvicorn's own wait for one."""
    with socket.create_connection(address(impatient), timeout=EXIT_TIMEOUT_S) as connection:
        connection.sendall(GET + b"\r\n")
        answered = b""
        while not answered.endswith(b"}"):
            answered += connection.recv(65536)
        connection.sendall(b"\r\n")
        assert all_that_comes(connection) == b""


def test_one_byte_at_a_time_is_no_way_around_it(impatient: RunningServer) -> None:
    done = threading.Event()
    with socket.create_connection(address(impatient), timeout=EXIT_TIMEOUT_S) as connection:

        def drip() -> None:
            connection.sendall(GET + b"X: ")
            while not done.wait(0.1):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert b"408" in connection.recv(65536)
        except ConnectionResetError:
            # A byte that came after the end of it threw the answer away.
            pass
        finally:
            done.set()
            dripping.join(EXIT_TIMEOUT_S)


def test_a_head_without_end_is_refused(patient: RunningServer) -> None:
    with socket.create_connection(address(patient), timeout=EXIT_TIMEOUT_S) as connection:
        connection.sendall(GET + b"X: " + b"x" * FIELD_BYTES_MAX)
        assert all_that_comes(connection).startswith(b"HTTP/1.1 431 ")
    with socket.create_connection(address(patient), timeout=EXIT_TIMEOUT_S) as connection:
        connection.sendall(GET + b"X: " + b"x" * (FIELD_BYTES_MAX // 2) + b"\r\nConnection: close\r\n\r\n")
        assert all_that_comes(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("trailer", [b"X: x\r\n", b"x"], ids=["many", "long"])
def test_trailers_without_end_are_refused(patient: RunningServer, trailer: bytes) -> None:
    """uvicorn gathers them all, hundreds of megabytes until the body's time-out."""
    post = b"POST /v1/tickets HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX: x"
    with socket.create_connection(address(patient), timeout=EXIT_TIMEOUT_S) as connection:
        connection.sendall(post)
        with contextlib.suppress(ConnectionError):
            for _ in range(20_000_000 // len(trailer * 1000)):
                connection.sendall(trailer * 1000)
            pytest.fail("20 MB of trailers were read")
    assert patient.get("/livez").status_code == 200


def test_trailers_are_no_part_of_the_head(patient: RunningServer) -> None:
    post = b"POST /v1/tickets HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with socket.create_connection(address(patient), timeout=EXIT_TIMEOUT_S) as connection:
        connection.sendall(post + b"0\r\nIdempotency-Key: a b\r\n\r\n")
        assert all_that_comes(connection).startswith(b"HTTP/1.1 201 ")


def test_requests_sent_ahead_are_no_long_head(patient: RunningServer) -> None:
    """One read can bring the end of one, many whole ones, and the beginning of the next."""
    request = GET + b"X: " + b"x" * 1000 + b"\r\n"
    count = 2000
    with socket.create_connection(address(patient), timeout=EXIT_TIMEOUT_S) as connection:
        sending = threading.Thread(
            target=connection.sendall,
            args=((request + b"\r\n") * (count - 1) + request + b"Connection: close\r\n\r\n",),
        )
        sending.start()
        answers = all_that_comes(connection)
        sending.join(EXIT_TIMEOUT_S)
    assert answers.count(b"HTTP/1.1 200 OK") == count


def test_idle_connections_between_requests_are_kept(impatient: RunningServer) -> None:
    """The time-out of a head begins with its first byte, not with the end of the request before."""
    connection = http.client.HTTPConnection(*address(impatient), timeout=EXIT_TIMEOUT_S)
    connection.request("GET", "/livez")
    connection.getresponse().read()
    kept = connection.sock
    # Longer than the time-out: another connection, opened later, has been closed by it meanwhile.
    with socket.create_connection(address(impatient), timeout=EXIT_TIMEOUT_S) as silent:
        assert silent.recv(1) == b""
    connection.request("GET", "/livez")
    assert connection.getresponse().read() == b'{"status":"live"}'
    assert connection.sock is kept
    connection.close()
