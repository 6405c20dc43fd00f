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
