"""The soak, for 20 seconds and at a rate that a shared machine holds; `make soak` does it for long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from soak.soak import Soak

SOAK = Path(__file__).parents[1] / "soak" / "soak.py"
SECONDS = 20
TIMEOUT_S = 400


@pytest.mark.alone
@pytest.mark.timeout(TIMEOUT_S + 60)
@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory and open files are read from /proc")
def test_no_live_book_is_wrong_and_nothing_grows(compression: str) -> None:
    command = [sys.executable, SOAK, "--seconds", SECONDS, "--rate", 100_000, "--compression", compression]
    run = subprocess.run(
        list(map(str, command)), capture_output=True, check=False, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL
    )
    assert run.returncode == 0, run.stdout.decode() + run.stderr.decode()[-3000:]
    assert b"soak: good" in run.stdout


@pytest.mark.parametrize(
    ("kept", "complaint"),
    [
        ([], "only 0 samples"),
        ([(3, 10, 1)], "only 1 samples"),
        ([(3, 10, 1)] * 4, None),
        ([(3, 10, 1), (3, 10, 1), (3, 12, 1), (3, 12, 1)], "open files grow"),
    ],
)
def test_one_sample_is_no_growth(kept: list[tuple[int, int, int]], complaint: str | None) -> None:
    """A machine that came to a single look in 20 seconds was told that threads grow."""
    run = Soak(fed=None, truth=None, gateway_pid=0)  # type: ignore[arg-type]
    run.found.update({"books live": 2, "exact": 2})
    run.kept = kept
    found = run.complaints()
    assert len(found) == (complaint is not None)
    assert all(str(complaint) in text for text in found)
