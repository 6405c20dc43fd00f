"""Runs the tests that have failed once more, where they failed, and names those that then pass.

For hosted machines, which are shared: a test of the whole server may have met another's load. It is no pass in silence:
each such test is named at the end, in GitHub's workflows as a warning of the run. Not for a release.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main() -> int:
    """-> what pytest ended with."""
    if not FAILED.exists():
        print(f"{FAILED} is not there: pytest has kept no test that failed")
        return 1
    failed = json.loads(FAILED.read_text(encoding="utf-8"))
    print(f"what failed is run once more, alone: {len(failed)} tests", flush=True)
    command = (sys.executable, "-m", "pytest", "--last-failed", "--last-failed-no-failures", "none", *sys.argv[1:])
    code = subprocess.run(command, check=False).returncode
    still = json.loads(FAILED.read_text(encoding="utf-8")) if FAILED.exists() else {}
    prefix = (
        "::warning title=passed at the second try only::" if os.environ.get("GITHUB_ACTIONS") else "second try only: "
    )
    for name in failed:
        if name not in still:
            print(f"{prefix}{name}")
    return code


if __name__ == "__main__":
    sys.exit(main())
