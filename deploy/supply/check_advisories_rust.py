#!/usr/bin/env python3
"""Asks cargo audit whether a crate of a lock file has a known vulnerability, is unsound or was withdrawn.

L3BOOK_ADVISORY_DB=FOLDER takes the RustSec database from there instead of fetching it.
"""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CannotRunError, CheckError, main, run, tool

LOCKS = (REPOSITORY / "Cargo.lock", REPOSITORY / "rust/fuzz/Cargo.lock")


def look() -> str:
    """-> how many crates were asked about."""
    given = os.environ.get("L3BOOK_ADVISORY_DB")
    counts = [audit(lock, Path(given) if given else None) for lock in LOCKS]
    return f"{' and '.join(map(str, counts))} crates: no advisory"


def audit(lock: Path, database: Path | None = None) -> int:
    """-> how many crates of a lock file were looked up; CheckError with the advisories there are."""
    source = ("--db", database, "--no-fetch", "--stale") if database else ()
    options = ("--color", "never", "--deny", "unsound", "--deny", "yanked", "--file", lock)
    done = run(tool("cargo-audit"), "audit", *source, *options)
    said = done.stdout + done.stderr
    found = re.search(r"Scanning \S+ for vulnerabilities \((\d+) crate", said)
    if found and done.returncode == 0:
        return int(found[1])
    if not found and re.search(r"(?i)couldn't fetch|failed to (fetch|prepare fetch)|git operation failed", said):
        raise CannotRunError("the RustSec advisory database cannot be reached; L3BOOK_ADVISORY_DB=FOLDER names a copy")
    raise CheckError(f"{said}{lock}: cargo audit ended with {done.returncode}")


if __name__ == "__main__":
    main(look)
