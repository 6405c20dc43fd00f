"""The soak of a server that records, for a few seconds and at a rate that a shared machine holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from soak.recording import BLOCK_BYTES, Blocks

SOAK = Path(__file__).parents[1] / "soak" / "recording.py"
SECONDS = 6
TIMEOUT_S = 240


@pytest.mark.alone
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_everything_that_came_is_in_the_log() -> None:
    command = [sys.executable, SOAK, "--seconds", SECONDS, "--rate", 50_000, "--patient"]
    run = subprocess.run(
        list(map(str, command)), capture_output=True, check=False, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL
    )
    assert run.returncode == 0, run.stdout.decode() + run.stderr.decode()[-3000:]
    assert b"soak: good" in run.stdout


@pytest.mark.parametrize("at", [0, BLOCK_BYTES - 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 5])
def test_one_byte_makes_a_difference(at: int) -> None:
    data = bytearray(3 * BLOCK_BYTES + 10)
    same, other, longer = Blocks(), Blocks(), Blocks()
    same.add(bytes(data))
    longer.add(bytes(data) + b"more")
    assert same.difference(longer) is None
    assert longer.difference(same) is None
    data[at] ^= 1
    for part in (data[:7], data[7:]):
        other.add(bytes(part))
    assert same.difference(other) is not None
