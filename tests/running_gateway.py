"""`l3book gateway` as a process of its own, for live clients to be tested against."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from running import COMMAND, EXIT_TIMEOUT_S, LISTENING_TIMEOUT_S, POLL_INTERVAL_S, environment
from small_gateway import KEY

if TYPE_CHECKING:
    from pathlib import Path

SPARED_KEY = "db-sparedsparedsparedsparedspSPARE"[:32]


class RunningGateway:
    """Serves files on a free port, or on the one it is told. What it logs is read all the time."""

    def __init__(self, *arguments: object, port: int = 0, protocol: str = "lsg") -> None:
        keys = ["--key", KEY] if protocol == "lsg" else []
        self.process = subprocess.Popen(
            [COMMAND, "gateway", "--port", str(port), "--protocol", protocol, *keys, *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=environment(),
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = self._wait_until_listening()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def _wait_until_listening(self) -> int:
        deadline_s = time.monotonic() + LISTENING_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if match := re.search(r"listening on 127\.0\.0\.1:([0-9]+)", "".join(self.lines)):
                return int(match[1])
            if self.process.poll() is not None:
                break
            time.sleep(POLL_INTERVAL_S)
        self.kill()
        raise AssertionError(f"the gateway did not start:\n{''.join(self.lines)}")

    def kill(self) -> None:
        """End it without giving it a chance to say goodbye."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(EXIT_TIMEOUT_S)
        self._reader.join(EXIT_TIMEOUT_S)
        if self.process.stderr is not None:
            self.process.stderr.close()

    def __enter__(self) -> RunningGateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def recorded(path: Path, stream: bytes) -> Path:
    """A file of these bytes."""
    path.write_bytes(stream)
    return path
