"""The soak, for 20 seconds and at a rate that a shared machine holds; `make soak` does it for long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[1] / "soak" / "soak.py"
SECONDS = 20
TIMEOUT_S = 110


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory and open files are read from /proc")
def test_no_live_book_is_wrong_and_nothing_grows(compression: str) -> None:
    command = [sys.executable, SOAK, "--seconds", SECONDS, "--rate", 100_000, "--compression", compression]
    run = subprocess.run(
        list(map(str, command)), capture_output=True, check=False, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL
    )
    assert run.returncode == 0, run.stdout.decode() + run.stderr.decode()[-3000:]
    assert b"soak: good" in run.stdout
