"""SIGHUP: what a running server takes over."""

import asyncio
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from l3book.config import RELOADABLE, Loaded, load
from l3book.reloading import Reloading
from running import EXIT_TIMEOUT_S, STATE_TIMEOUT_S, RunningServer
from sockets import SMALL_RECEIVE_BUFFER, RawSocket, close_code, connect, hear, say

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this platform has no SIGHUP")


def hang_up(server: RunningServer, pattern: str) -> re.Match[str]:
    server.process.send_signal(signal.SIGHUP)
    return server.wait_for_line(pattern)


def test_changes_are_in_force_or_said_to_need_a_restart(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text("request_header_timeout_s = 3600\ndepth_max = 100\n")
    server = serve("--config", str(config))
    host, port = server.url.removeprefix("http://").split(":")
    config.write_text('request_header_timeout_s = 1\ndepth_max = 99\nlog_level = "warning"\n')
    hang_up(server, r"needs a restart: depth_max from 100 to 99 \(.*a.toml\)")
    assert "depth=100" not in server.get("/v1/books/SYN0?depth=100").text
    # In force: a head that never comes is not waited for.
    with socket.create_connection((host, int(port)), timeout=EXIT_TIMEOUT_S) as silent:
        assert silent.recv(1) == b""
    # And so is the log level: what is told at info was told by the first reload only.
    config.write_text('depth_max = 98\nlog_level = "warning"\n')
    hang_up(server, "needs a restart: depth_max from 100 to 98")
    assert len([line for line in server.lines if '"info"' in line]) == 3, "reloaded, and two settings in force"
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0


class Reloadable:
    """A server whose settings file changes."""

    def __init__(self, serve: Callable[..., RunningServer], folder: Path, **settings: int) -> None:
        self._file = folder / "a.toml"
        self._settings = settings
        self._write()
        self.server = serve("--source", "synthetic:?rate=20000", "--config", str(self._file))
        self.server.wait_until_ready()

    def set(self, **settings: int) -> None:
        """Change some, and wait until they are in force."""
        self._settings.update(settings)
        self._write()
        self.server.process.send_signal(signal.SIGHUP)
        for name, value in settings.items():
            self.server.wait_for_line(rf"now in force: {name} from \d+ to {value} ")

    def _write(self) -> None:
        self._file.write_text("".join(f"{name} = {value}\n" for name, value in self._settings.items()))


@pytest.fixture
def reloadable(serve: Callable[..., RunningServer], tmp_path: Path) -> Callable[..., Reloadable]:
    return lambda **settings: Reloadable(serve, tmp_path, **settings)


def answers(client: Any, *channels: str) -> list[str]:
    """What becomes of a subscription to each: ack, or the code of its error."""
    found = []
    for channel in channels:
        say(client, op="subscribe", id=1, channel=channel, instrument="SYN0")
        while (message := hear(client))["type"] not in {"ack", "error"}:
            pass
        found.append(message.get("code", "ack"))
    return found


def test_limits_of_open_sockets_change(reloadable: Callable[..., Reloadable]) -> None:
    at = reloadable(subscriptions_per_socket_max=1)
    with connect(at.server) as client:
        assert answers(client, "bbo", "depth") == ["ack", "too_many_subscriptions"]
        at.set(subscriptions_per_socket_max=3, subscriptions_per_key_max=2, message_bytes_max=2000)
        assert answers(client, "depth", "trades") == ["ack", "too_many_subscriptions"]
        at.set(subscriptions_per_key_max=10)
        assert answers(client, "trades") == ["ack"]
        client.send("x" * 3000)
        assert close_code(client) == 1009
    with connect(at.server) as client:
        at.set(message_bytes_max=4000)
        client.send("x" * 3000)
        assert close_code(client) == 1007, "not JSON, but not too long"


def test_limits_of_handshakes_change(reloadable: Callable[..., Reloadable]) -> None:
    at = reloadable(sockets_per_key_max=1)

    def refused() -> int:
        with pytest.raises(InvalidStatus) as status, connect(at.server):
            pass
        return status.value.response.status_code

    with connect(at.server):
        assert refused() == 429
        at.set(sockets_per_key_max=3)
        with connect(at.server):
            at.set(sockets_max=2)
            assert refused() == 503


def test_limits_of_requests_change(reloadable: Callable[..., Reloadable]) -> None:
    at = reloadable(requests_per_s_max=0)
    assert "ratelimit-policy" not in at.server.get("/v1/instruments").headers
    at.set(requests_per_s_max=7, body_bytes_max=2000)
    assert at.server.get("/v1/instruments").headers["ratelimit-policy"] == '"requests";q=7;w=1'
    posted = at.server.client.post("/v1/tickets", content=b" " * 3000, headers={"Content-Type": "application/json"})
    assert posted.status_code == 413
    at.set(requests_per_s_max=8, request_body_timeout_s=1)
    host, port = at.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=EXIT_TIMEOUT_S) as slow:
        slow.sendall(b"POST /v1/tickets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
        assert slow.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_was_waited_for_is_closed(reloadable: Callable[..., Reloadable]) -> None:
    """How long, and how much waits for it, is what the settings say now, not when it came."""
    queue = {"socket_queue_messages_max": 65_536, "socket_queue_bytes_max": 2**30}
    at = reloadable(slow_consumer_timeout_s=3600, **queue)
    with RawSocket(at.server, receive_buffer=SMALL_RECEIVE_BUFFER).open() as raw:
        raw.send(b'{"op":"subscribe","channel":"orders","instrument":"SYN0","interval_ms":10}')
        at.set(socket_queue_messages_max=2)
        deadline_s = time.monotonic() + STATE_TIMEOUT_S
        while at.server.metrics()["websocket"]["conflated"] == 0:
            assert time.monotonic() < deadline_s, "its queue never was full"
        assert at.server.metrics()["websocket"]["slow_closed"] == 0
        at.set(slow_consumer_timeout_s=1)
        deadline_s = time.monotonic() + STATE_TIMEOUT_S
        while at.server.metrics()["websocket"]["slow_closed"] == 0:
            assert time.monotonic() < deadline_s, "it was never closed"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("port = ", "not TOML"),
        ("prot = 1", "did you mean port"),
        ("debug = true", "prod refuses debug as it is"),
        (None, "a.toml: No such file or directory"),
    ],
)
def test_a_file_that_is_wrong_leaves_the_old_settings(
    serve: Callable[..., RunningServer], tmp_path: Path, content: str | None, expected: str
) -> None:
    config = tmp_path / "a.toml"
    config.write_text("ready_lag_ms_max = 7")
    server = serve("--config", str(config), "--env", "prod")
    config.unlink() if content is None else config.write_text(content)
    hang_up(server, f"not reloaded, the old settings stay: .*{expected}")
    assert server.get("/livez").status_code == 200
    config.write_text("ready_lag_ms_max = 8")
    hang_up(server, r"now in force: ready_lag_ms_max from 7 to 8")


def reloaded(*loads: Loaded | Exception) -> tuple[Reloading, list[object]]:
    """Each but the first by a signal of its own; -> with what the followers were told."""
    remaining = iter(loads[1:])

    def load_again() -> Loaded:
        after = next(remaining)
        if isinstance(after, Exception):
            raise after
        return after

    assert isinstance(loads[0], Loaded)
    reloading = Reloading(loads[0], load_again)
    told: list[object] = []

    def failing(_settings: object) -> None:
        raise RuntimeError("a part that fails")

    reloading.call(failing)
    reloading.call(told.append)
    for _ in loads[1:]:
        reloading._on_signal(signal.SIGHUP, None)
        reloading._on_signal(signal.SIGHUP, None)
        asyncio.run(reloading.reload_if_requested())
        asyncio.run(reloading.reload_if_requested())
    return reloading, told


def with_values(**values: object) -> Loaded:
    return load(flags=values)


def test_followers_are_told_also_when_no_setting_has_changed() -> None:
    """Keys lie elsewhere, and may have; and one follower that fails keeps no other from being told."""
    reloading, told = reloaded(with_values(), with_values())
    assert told == [reloading.in_force.settings]


def test_what_needs_a_restart_is_not_handed_on() -> None:
    reloading, told = reloaded(with_values(), with_values(depth_max=50, sockets_max=3, port=1))
    assert told == [reloading.in_force.settings]
    settings = reloading.in_force.settings
    assert (settings.sockets_max, settings.depth_max, settings.port) == (3, 10_000, 8000)


def test_it_is_said_again_as_long_as_it_is_so(caplog: pytest.LogCaptureFixture) -> None:
    changed = with_values(depth_max=50)
    reloaded(with_values(), changed, changed)
    assert sum("needs a restart: depth_max from 10000 to 50 (--depth-max)" in line for line in caplog.messages) == 2


def test_nothing_is_handed_on_that_could_not_be_loaded() -> None:
    reloading, told = reloaded(with_values(), ValueError("broken"), OSError("gone"))
    assert told == []
    assert reloading.in_force.settings == with_values().settings


def test_every_reloadable_setting_reaches_the_followers() -> None:
    others = {"log_level": "error", "access_log": True}
    before = with_values().settings
    other = {name: others[name] if name in others else getattr(before, name) + 1000 for name in RELOADABLE}
    reloading, _ = reloaded(with_values(), with_values(**other))
    assert {name: getattr(reloading.in_force.settings, name) for name in RELOADABLE} == other


def test_a_configuration_that_was_a_pipe_does_not_hold_up_a_reload(
    serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("depth_max = 100\n",))
    writer.start()
    server = serve("--config", str(pipe))
    writer.join()
    hang_up(server, "not reloaded, the old settings stay: .*a pipe that nobody has written to and closed")
    writer = threading.Thread(target=pipe.write_text, args=("depth_max = 99\n",))
    writer.start()
    hang_up(server, "needs a restart: depth_max from 100 to 99")
    writer.join()
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
