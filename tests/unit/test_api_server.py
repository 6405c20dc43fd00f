"""What of the settings reaches uvicorn."""

import asyncio
import socket

import pytest
from starlette.applications import Starlette

from l3book.access.connections import Connections
from l3book.api.server import Server
from l3book.config import Settings


def served(settings: Settings) -> tuple[Server, bool]:
    """A server that ends as soon as it accepts; -> it, and whether its event loop was watched."""
    watched: list[bool] = []

    def on_accepting() -> None:
        watched.append(asyncio.get_running_loop().get_debug())
        server.begin_shutdown()

    async def on_tick() -> None:
        """Nothing to do."""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections = Connections(settings)
        server = Server(Starlette(), listener, settings, connections, on_accepting=on_accepting, on_tick=on_tick)
        server.serve_until_shutdown()
    return server, watched[0]


@pytest.mark.parametrize("debug", [True, False])
def test_debug_watches_the_event_loop(debug: bool) -> None:
    assert served(Settings(debug=debug))[1] is debug


def test_limits_are_uvicorns_and_can_change() -> None:
    server, _ = served(Settings(message_bytes_max=2000, shutdown_timeout_s=7, request_body_timeout_s=3))
    config = server.config
    assert (config.ws_max_size, config.timeout_graceful_shutdown, config.body_timeout_s) == (2000, 7, 3)
    server.take_over(Settings(message_bytes_max=3000, request_header_timeout_s=4, request_body_timeout_s=5))
    assert (config.ws_max_size, config.header_timeout_s, config.body_timeout_s) == (3000, 4, 5)
