"""A NATS server with JetStream of its own for tests: on a temporary folder and a free port of loopback."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

READY_TIMEOUT_S = 60
EXIT_TIMEOUT_S = 90


def _binary() -> str:
    pytest.importorskip("nats", reason="the NATS client is not installed (pip install 'l3book[nats]')")
    for folder in (None, "/usr/sbin:/usr/local/sbin:/usr/local/bin"):
        if found := shutil.which("nats-server", path=folder):
            return found
    pytest.skip("nats-server is not installed (Debian: package nats-server)")


class RunningNats:
    """Started with no stream in it; `close` ends it and removes its folder."""

    def __init__(self, *arguments: str) -> None:
        self._binary = _binary()
        self._arguments = arguments
        self.folder = Path(tempfile.mkdtemp(prefix="l3book-nats-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.start()

    def start(self) -> None:
        """Start it, also again after `kill`, with what it had."""
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [
                    *(self._binary, "--addr", "127.0.0.1", "--port", str(self.port)),
                    *("--jetstream", "--store_dir", str(self.folder / "store"), *self._arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(EXIT_TIMEOUT_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def uri(self, stream: str) -> str:
        return f"nats://127.0.0.1:{self.port}/{stream}"

    def ask(self, question: Callable[[Any], Awaitable[Any]]) -> Any:
        """Ask its JetStream something, by the official client."""
        import nats

        async def asked() -> Any:
            client = await nats.connect(f"nats://127.0.0.1:{self.port}")
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(asked())
