"""Where the server listens, and who may say so."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from running import RunningServer

REPOSITORY = Path(__file__).parents[2]
OPEN = {"L3BOOK_ALLOW_UNAUTHENTICATED": "1"}


def test_an_address_for_everybody_is_served_with_a_warning_when_it_is_asked_for(
    serve: Callable[..., RunningServer],
) -> None:
    server = serve("--host", "0.0.0.0", env=OPEN)  # noqa: S104
    warnings = [line for line in server.lines if line.startswith("l3book: warning: ")]
    assert len(warnings) == 1
    assert "without authentication" in warnings[0]
    port = server.url.rpartition(":")[2]
    assert server.get(f"http://127.0.0.1:{port}/livez").status_code == 200


def test_loopback_needs_no_leave_and_gives_no_warning(serve: Callable[..., RunningServer]) -> None:
    server = serve("--host", "127.0.0.2", env=OPEN)
    assert server.url.startswith("http://127.0.0.2:")
    assert not any("warning" in line for line in server.lines)


def test_ipv6(serve: Callable[..., RunningServer]) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 loopback on this machine: {error}")
    server = serve("--host", "::1")
    assert server.url.startswith("http://[::1]:")
    assert server.get("/livez").status_code == 200


def test_a_name_is_resolved(serve: Callable[..., RunningServer]) -> None:
    assert serve("--host", "localhost").get("/livez").status_code == 200


def test_layers_reach_the_server(serve: Callable[..., RunningServer]) -> None:
    """The file of an environment, a variable above it, the command line above both."""
    server = serve(
        "--env",
        "staging",
        "--host",
        "127.0.0.3",
        cwd=REPOSITORY,
        env={"L3BOOK_SOURCE": "synthetic:?instruments=2", "L3BOOK_HOST": "127.0.0.2"},
    )
    assert server.url.startswith("http://127.0.0.3:")
    assert server.metrics()["source"]["uri"] == "synthetic:?instruments=2"


def test_the_environment_can_be_named_by_a_variable(serve: Callable[..., RunningServer]) -> None:
    server = serve(cwd=REPOSITORY, env={"L3BOOK_ENV": "staging"})
    assert server.metrics()["source"]["uri"] == "synthetic:?instruments=8&rate=50000"


FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "localhost@evil.example",
    "[::2]:80",
]
OWN_HOSTS = ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:8000", "127.0.0.2"]


def test_a_server_on_loopback_answers_to_the_names_of_this_machine_alone(serve: Callable[..., RunningServer]) -> None:
    """Or any web page could read it, by a host name of its own that leads here (DNS rebinding)."""
    server = serve("--host", "127.0.0.2")
    for path in ("/v1/instruments", "/livez", "/"):
        for host in FOREIGN_HOSTS:
            response = server.get(path, headers={"Host": host})
            assert response.status_code == 421, host
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["code"] == "wrong_host"
            assert (
                f"Host is {host!r}: expected localhost or 127.0.0.1 or [::1] or 127.0.0.2" in response.json()["detail"]
            )
    for host in OWN_HOSTS:
        assert server.get("/livez", headers={"Host": host}).status_code == 200, host


@pytest.mark.parametrize(
    ("heads", "status"),
    [
        (b"HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", b"421"),
        (b"HTTP/1.1\r\nHost: \r\n", b"421"),
        (b"HTTP/1.1\r\nHost: localhost\r\n", b"200"),
        (b"HTTP/1.1\r\n", b"400"),
        (b"HTTP/1.0\r\n", b"200"),
    ],
    ids=["two", "empty", "good", "none", "none, as a plain health check"],
)
def test_every_host_of_a_request_is_looked_at(serve: Callable[..., RunningServer], heads: bytes, status: bytes) -> None:
    """Through a raw socket, since no HTTP client sends two, or none."""
    assert answer_to(serve(), heads).split()[1] == status


def answer_to(server: RunningServer, heads: bytes) -> bytes:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET /livez " + heads + b"Connection: close\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_server_for_everybody_answers_to_any_name(serve: Callable[..., RunningServer]) -> None:
    server = serve("--host", "127.0.0.1", env=OPEN)
    assert answer_to(server, b"HTTP/1.1\r\n").split()[1] == b"400", "but not to none"
    assert b'"code":"bad_request"' in answer_to(server, b"HTTP/1.1\r\n")
    assert answer_to(server, b"HTTP/1.0\r\n").split()[1] == b"200"
    assert server.get("/livez", headers={"Host": "books.example"}).status_code == 200
