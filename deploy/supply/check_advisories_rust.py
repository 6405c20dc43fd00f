#!/usr/bin/env python3
"""Asks cargo audit whether a crate of a lock file has a known vulnerability, is unsound or was withdrawn.

L3BOOK_ADVISORY_DB=FOLDER takes the RustSec database from a clone there instead of fetching it.
"""

import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CannotRunError, CheckError, main, run, tool

LOCKS = (REPOSITORY / "Cargo.lock", REPOSITORY / "rust/fuzz/Cargo.lock")
AGE_MAX_DAYS = 7


def look() -> str:
    """-> how many crates were asked about."""
    given = os.environ.get("L3BOOK_ADVISORY_DB")
    database = Path(given) if given else None
    if database:
        refuse_old(database)
    counts = [audit(lock, database) for lock in LOCKS]
    withdrawn = "whether one was withdrawn was not asked" if database else "none withdrawn"
    return f"{' and '.join(map(str, counts))} crates: no advisory; {withdrawn}"


def audit(lock: Path, database: Path | None = None) -> int:
    """-> how many crates of a lock file were looked up; CheckError with the advisories there are."""
    # Beside a copy of the database nothing is fetched, so the index is not asked either.
    source = ("--db", database, "--no-fetch", "--stale", "--no-yanked") if database else ("--deny", "yanked")
    done = run(tool("cargo-audit"), "audit", *source, "--color", "never", "--deny", "unsound", "--file", lock)
    return judge(done.stdout + done.stderr, done.returncode, lock)


def judge(said: str, code: int, lock: Path) -> int:
    """-> how many crates were looked up. What cargo audit passes over with a warning is no pass here.

    Of a folder without advisories it makes an empty database, and takes no answer of the index for `not withdrawn`.
    """
    if re.search(r"(?i)couldn't fetch|failed to (fetch|prepare fetch)|git operation failed", said):
        raise CannotRunError("the RustSec advisory database cannot be reached; L3BOOK_ADVISORY_DB=FOLDER names a copy")
    loaded = re.search(r"Loaded (\d+) security advisor", said)
    scanned = re.search(r"Scanning \S+ for vulnerabilities \((\d+) crate", said)
    if code != 0 and scanned and loaded and int(loaded[1]):
        raise CheckError(f"{said}{lock}: cargo audit ended with {code}")
    if not loaded or not int(loaded[1]):
        raise CannotRunError(f"cargo audit has loaded no advisory (it ended with {code}): {last_line(said)}")
    if not scanned:
        raise CheckError(f"{said}{lock}: cargo audit looked at no crate, and ended with {code}")
    if unasked := re.search(r"couldn't (update|open) \S+ index.*|couldn't check if the package is yanked.*", said):
        raise CannotRunError(f"whether crates were withdrawn could not be asked: {unasked[0]}")
    return int(scanned[1])


def last_line(text: str) -> str:
    """-> the last line that says something."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


def refuse_old(database: Path) -> None:
    """Take no copy of the database that is older than AGE_MAX_DAYS, or that does not say how old it is."""
    done = run("git", "-C", database, "log", "-1", "--format=%ct")
    if done.returncode != 0:
        raise CannotRunError(f"{database} is no clone of the RustSec advisory database, so nothing tells how old it is")
    if (days := (time.time() - int(done.stdout)) / 86_400) > AGE_MAX_DAYS:
        raise CannotRunError(f"{database} is {days:.0f} days old: expected at most {AGE_MAX_DAYS}")


if __name__ == "__main__":
    main(look)
