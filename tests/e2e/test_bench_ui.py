"""`make bench-ui` at a pace that any machine keeps: nothing is wrong, and every row is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from browsing import chromium_path

pytestmark = pytest.mark.e2e

SCRIPT = Path(__file__).parents[1] / "bench" / "ui.py"
TIMEOUT_S = 240


@pytest.mark.skipif(chromium_path() is None, reason="no browser is installed")
def test_nothing_is_wrong_with_a_page_that_is_left_open() -> None:
    options = ["--seconds", "6", "--rate", "20000", "--records", "60000", "--loads", "2"]
    completed = subprocess.run(
        [sys.executable, SCRIPT, *options], capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    measured = {
        cells[1].strip(): cells[2].strip()
        for cells in (line.split("|") for line in completed.stdout.splitlines() if line.startswith("|"))
    }
    assert float(measured["book updates/s, each checked by its CRC"]) > 0
    assert float(measured["frames/s"]) > 0
    assert float(measured["JS heap after a collection: begin, middle, end MiB"].split(" / ")[0]) > 0
