#!/usr/bin/env python3
"""Asks npm audit whether an npm package of a lock file has a known vulnerability."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CannotRunError, CheckError, main, run, tool

FOLDERS = (REPOSITORY / "ui", REPOSITORY / "deploy/tools/npm")


def look() -> str:
    """-> how many packages were asked about."""
    counts = [audit(folder) for folder in FOLDERS]
    return f"{' and '.join(map(str, counts))} packages: no advisory"


def audit(folder: Path, *options: str) -> int:
    """-> how many packages of a lock file were looked up; CheckError with the advisories there are."""
    done = run(tool("npm"), "audit", "--json", "--package-lock-only", *options, cwd=folder)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise CheckError(f"{done.stdout}{done.stderr}{folder}: npm audit did not answer in JSON") from None
    if "error" in report or "message" in report:
        summary = report.get("error", {}).get("summary") or report.get("message") or report["error"].get("code")
        raise CannotRunError(f"the advisory database cannot be reached: {str(summary).partition(' - ')[0]}")
    if "vulnerabilities" not in report or "metadata" not in report:
        raise CheckError(f"{done.stdout}{folder}: npm audit did not say what it found")
    if done.returncode != 0 or report["vulnerabilities"]:
        names = ", ".join(f"{name} ({entry['severity']})" for name, entry in report["vulnerabilities"].items())
        raise CheckError(f"{done.stdout}{folder}: npm audit found {names or f'exit code {done.returncode}'}")
    return int(report["metadata"]["dependencies"]["total"])


if __name__ == "__main__":
    main(look)
