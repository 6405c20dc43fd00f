"""Runs the tests that have failed once more, and those that fail again a last time; names those that then pass.

For hosted machines, which are shared: a test of the whole server may have met another's load. It is no pass in silence:
each such test is named at the end, in GitHub's workflows as a warning of the run. Not for a release.
"""

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")
TRIES = 2
SOME_FAILED = 1
"""What pytest ends with when tests have failed, and nothing else is wrong."""


def main() -> int:
    """-> what pytest ended with."""
    if not FAILED.exists():
        print(f"{FAILED} is not there: pytest has kept no test that failed")
        return 1
    failed = still = _failed()
    command = (sys.executable, "-m", "pytest", "--last-failed", "--last-failed-no-failures", "none", *sys.argv[1:])
    skipped: list[str] = []
    for _ in range(TRIES):
        print(f"what failed is run once more, alone: {len(still)} tests", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            code = subprocess.run((*command, f"--junit-xml={report}"), check=False).returncode
            skipped += _skipped(report)
        still = _failed()
        if code != SOME_FAILED:
            break
    # No test that has failed is good because it did not run.
    for name in skipped:
        print(f"failed, and was skipped at a later try: {name}")
    if skipped:
        return code or SOME_FAILED
    prefix = (
        "::warning title=passed at a later try only::" if os.environ.get("GITHUB_ACTIONS") else "a later try only: "
    )
    for name in failed:
        if name not in still:
            print(f"{prefix}{name}")
    return code


def _skipped(report: Path) -> list[str]:
    """Read off pytest's report what did not run; it is of our own making, so nothing in it is hostile."""
    if not report.exists():
        return []
    cases = ET.parse(report).iter("testcase")  # noqa: S314
    return [f"{case.get('classname')}::{case.get('name')}" for case in cases if case.find("skipped") is not None]


def _failed() -> dict[str, bool]:
    return dict(json.loads(FAILED.read_text(encoding="utf-8"))) if FAILED.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
