#!/usr/bin/env python3
"""Asks actionlint and zizmor about the workflows: syntax, expressions, shell scripts; injections, permissions, pins."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CheckError, main, run, tool


def look(folder: Path = REPOSITORY) -> str:
    """-> how many workflows are clean."""
    actionlint, zizmor = tool("actionlint"), tool("zizmor")
    workflows = sorted(folder.glob(".github/workflows/*.yml"))
    if not workflows:
        raise CheckError(f"{folder}: no workflow in .github/workflows")
    lint = run(actionlint, "-no-color", *workflows, cwd=folder)
    # Offline: what only GitHub knows (which tag a commit is) is not asked here.
    audit = run(zizmor, "--offline", "--no-progress", "--color", "never", *workflows, cwd=folder)
    if lint.returncode != 0 or audit.returncode != 0:
        raise CheckError(
            f"{lint.stdout}{lint.stderr}{audit.stdout}{audit.stderr}"
            f"actionlint ended with {lint.returncode}, zizmor with {audit.returncode}: expected 0 of both"
        )
    scripts = "with shellcheck" if shutil.which("shellcheck") else "without shellcheck, which is not installed"
    return f"{len(workflows)} workflows: actionlint ({scripts}) and zizmor find nothing"


if __name__ == "__main__":
    main(look)
