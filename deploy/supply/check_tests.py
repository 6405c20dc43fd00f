#!/usr/bin/env python3
"""Runs the tests of these checks where their tools are: a vulnerable package, a secret, a bad workflow are each caught.

Elsewhere such a test skips; here one that skips is NOT RUN, since a check that is not seen to fail proves nothing.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CannotRunError, CheckError, main, run


def look() -> str:
    """-> how many tests have passed."""
    unit = REPOSITORY / "tests/unit"
    files = sorted([*unit.glob("test_supply_*.py"), unit / "test_workflows.py"])
    done = run(sys.executable, "-m", "pytest", "-q", "-rs", "--color=no", "-p", "no:cacheprovider", *files)
    return judge(done.stdout + done.stderr, done.returncode)


def judge(said: str, code: int) -> str:
    """-> what pytest's last line comes to."""
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|skipped|failed|errors?)\b", said)}
    if code != 0 or not counts.get("passed"):
        raise CheckError(f"{said}the tests of the checks: pytest ended with {code}")
    if skipped := counts.get("skipped"):
        reasons = sorted(set(re.findall(r"^SKIPPED \[\d+\] \S+?: (.*)$", said, re.MULTILINE)))
        raise CannotRunError(f"{skipped} tests have skipped (the rest is good): {'; '.join(reasons)}")
    return f"{counts['passed']} tests of the checks pass, none skips"


if __name__ == "__main__":
    main(look)
