#!/usr/bin/env python3
"""Asks grype whether a package of the image l3book:latest has a grave vulnerability that a newer one has not.

L3BOOK_IMAGE=NAME takes another image. grype fetches its database, and takes none that is older than five days.
"""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import check_sbom_image
from checking import CannotRunError, CheckError, main, run, tool

ABOVE_THRESHOLD = 2
"""grype's exit code where it has found what `--fail-on` says."""

SOURCES = {"deb": "debian", "pypi": "github"}
"""Of each kind of package, who grype's database has its advisories from."""

NO_DATABASE = ("db could not be loaded", "failed to load vulnerability db")


def look() -> str:
    """-> how many packages were asked about."""
    tool("grype")
    with tempfile.TemporaryDirectory(prefix="l3book-grype-") as name:
        bill = Path(name) / "image.cdx.json"
        purls = check_sbom_image.write(bill)
        lesser = audit(bill, purls)
    kinds = " and ".join(f"{sum(purl.startswith(f'pkg:{kind}/') for purl in purls)} {kind}" for kind in SOURCES)
    return f"{kinds} packages of {check_sbom_image.IMAGE}: no grave advisory that is mended, {lesser} lesser"


def audit(bill: Path, purls: list[str], **variables: str) -> int:
    """-> how many lesser advisories are mended, of a bill of materials; CheckError with those that are grave."""
    options = ("--only-fixed", "--fail-on", "high", "--output", "json")
    done = run(tool("grype"), f"sbom:{bill}", *options, env=variables)
    return judge(done.stdout, done.stderr, done.returncode, purls)


def judge(answer: str, said: str, code: int, purls: list[str]) -> int:
    """-> how many lesser advisories are mended. What grype could not look up is no pass here."""
    if any(text in said for text in NO_DATABASE):
        raise CannotRunError(f"grype has no database of advisories that it takes: {reason(said)}")
    try:
        report = json.loads(answer)
    except json.JSONDecodeError:
        raise CheckError(f"{said}grype ended with {code}, and did not answer in JSON") from None
    found = [describe(match) for match in report["matches"]]
    if code == ABOVE_THRESHOLD:
        raise CheckError("\n".join([*found, f"grype found grave advisories that are mended: {'; '.join(found)}"]))
    if code != 0:
        raise CheckError(f"{said}grype ended with {code}: expected 0 or {ABOVE_THRESHOLD}")
    kinds = [kind for kind in SOURCES if any(purl.startswith(f"pkg:{kind}/") for purl in purls)]
    providers = report["descriptor"]["db"].get("providers") or {}
    if missing := [SOURCES[kind] for kind in kinds if SOURCES[kind] not in providers]:
        raise CannotRunError(f"grype's database has nothing of {' and '.join(missing)}")
    # Without it no package of Debian is looked up, which grype takes for a warning.
    if "deb" in kinds and not report.get("distro", {}).get("version"):
        raise CheckError("grype does not know which Debian the image is of, so it has looked up none of its packages")
    return len(found)


def reason(said: str) -> str:
    """-> why, as the last line says it: without its colour, its time and its level."""
    return re.sub(r"\x1b\[[\d;]*m|^\[\d+\] +[A-Z]+ ", "", said.strip().splitlines()[-1])[:200]


def describe(match: dict[str, Any]) -> str:
    """-> package, version, advisory, how grave, and where it is mended."""
    package, advisory = match["artifact"], match["vulnerability"]
    mended = ", ".join(advisory["fix"]["versions"]) or "?"
    return f"{package['name']} {package['version']}: {advisory['id']} ({advisory['severity']}, mended in {mended})"


if __name__ == "__main__":
    main(look)
