"""A gateway in a process of its own, and the ends of the wire that read from it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from streams_made import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

KEY = "db-benchmarkbenchmarkbenchmark00"
EXIT_TIMEOUT_S = 30


class Gateway:
    """`l3book gateway` on a free port of loopback."""

    def __init__(self, path: Path, *options: str) -> None:
        self._command = [sys.executable, "-m", "l3book", "gateway", str(path), "--port", "0", *options]
        if "raw" not in options:
            self._command += ["--key", KEY]

    def __enter__(self) -> Gateway:
        environ = {**os.environ, "PYTHONPATH": str(REPOSITORY / "python")}
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True, env=environ)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"listening on [^ ]*?:(\d+)", line):
                self.port = int(found[1])
                # Whatever it logs from here on must never fill the pipe.
                self._drain = subprocess.Popen(["cat"], stdin=self._process.stderr, stdout=subprocess.DEVNULL)
                return self
        raise RuntimeError(f"the gateway did not start: {self._command}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(EXIT_TIMEOUT_S)
        self._drain.wait(EXIT_TIMEOUT_S)
        assert self._process.stderr is not None
        self._process.stderr.close()
