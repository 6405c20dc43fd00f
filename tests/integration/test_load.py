"""`make load` at a pace that any machine keeps: nothing is lost, and every book that a client keeps is right."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "load" / "load.py"
TIMEOUT_S = 240


@pytest.mark.alone
def test_nothing_is_lost_and_every_checksum_is_right() -> None:
    options = ["--seconds", "2", "--rate", "20000", "--clients", "6", "--many", "12", "--records", "60000"]
    completed = subprocess.run(
        [sys.executable, SCRIPT, *options], capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert len(re.findall(r"faults \(lost, out of order, wrong CRC\) +\| +0 \|", completed.stdout)) == 2
    checked = re.findall(r"CRC was recomputed +\| +([\d,]+) \|", completed.stdout)
    assert [int(count.replace(",", "")) > 0 for count in checked] == [True, True]
