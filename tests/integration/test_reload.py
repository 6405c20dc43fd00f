"""SIGHUP: what a running server takes over."""

import asyncio
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from l3book.config import RELOADABLE, Loaded, load
from l3book.reloading import Reloading
from running import EXIT_TIMEOUT_S, RunningServer

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
    other = {
        name: "error" if name == "log_level" else getattr(with_values().settings, name) + 1000 for name in RELOADABLE
    }
    reloading, _ = reloaded(with_values(), with_values(**other))
    assert {name: getattr(reloading.in_force.settings, name) for name in RELOADABLE} == other
