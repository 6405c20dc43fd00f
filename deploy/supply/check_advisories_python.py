#!/usr/bin/env python3
"""Asks pip-audit whether a Python package of a lock file has a known vulnerability."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CannotRunError, CheckError, main, run, tool

LOCKS = [*sorted(REPOSITORY.glob("requirements/*.txt")), REPOSITORY / "deploy/tools/python.txt"]
NOT_REACHED = re.compile(
    r"ConnectionError|ConnectTimeout|Max retries exceeded|Name or service not known|Could not connect|"
    r"\b(403|404|429|5\d\d) (Client|Server) Error|ServiceError"
)

NOT_FOUND = "could not be audited"
"""As pip-audit says it of a package of which the database knows nothing."""


def look() -> str:
    """-> how many packages were asked about."""
    counts = {lock.name: audit(lock) for lock in LOCKS}
    return f"{sum(counts.values())} packages of {len(counts)} lock files: no advisory"


def audit(lock: Path, *service: str) -> int:
    """-> how many packages of a lock file were looked up; CheckError with the advisories there are."""
    done = ask(lock, *service)
    said = done.stdout + done.stderr
    if done.returncode == 0 and "No known vulnerabilities found" in said:
        return len(re.findall(r"^[a-zA-Z0-9][\w.-]*(?:\[[\w,-]+\])?==", lock.read_text(encoding="utf-8"), re.MULTILINE))
    if "known vulnerabilit" not in said:
        if NOT_REACHED.search(said):
            raise CannotRunError(f"the advisory database cannot be reached: {said.strip().splitlines()[-1][:200]}")
        if NOT_FOUND in said and not knows_pip(*service):
            raise CannotRunError("the package index answers no questions about advisories: it does not even know pip")
    raise CheckError(f"{said}{lock}: pip-audit ended with {done.returncode}")


def ask(lock: Path, *service: str) -> subprocess.CompletedProcess[str]:
    """Ask by hashes, and without pip: a lock file has every package there is, so nothing has to be resolved."""
    options = ("--strict", "--require-hashes", "--disable-pip", "--progress-spinner", "off", "--requirement", lock)
    return run(tool("pip-audit"), *service, *options)


def knows_pip(*service: str) -> bool:
    """Whether a database that does not know a package knows the one that all have."""
    with tempfile.TemporaryDirectory(prefix="l3book-audit-") as folder:
        lock = Path(folder) / "requirements.txt"
        lock.write_text(f"pip==24.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
        done = ask(lock, *service)
    return NOT_FOUND not in done.stdout + done.stderr


if __name__ == "__main__":
    main(look)
