#!/usr/bin/env python3
"""Looks for secrets with gitleaks: in every file that git knows or would take, and in every commit there ever was."""

import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CannotRunError, CheckError, main, output_of, run, tool

CONFIG = Path(__file__).with_name("gitleaks.toml")


def look(folder: Path = REPOSITORY) -> str:
    """-> how much was looked through."""
    gitleaks = tool("gitleaks")
    if output_of("git", "rev-parse", "--is-inside-work-tree", cwd=folder, good=(0, 128)).strip() != "true":
        raise CannotRunError(f"{folder} is no git repository: its history cannot be looked through")
    if output_of("git", "rev-parse", "--is-shallow-repository", cwd=folder).strip() == "true":
        raise CannotRunError("the clone is shallow: git fetch --unshallow")
    options = ("--config", CONFIG, "--no-banner", "--no-color", "--redact", "--verbose")
    files = output_of("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=folder).split("\0")
    with tempfile.TemporaryDirectory(prefix="l3book-secrets-") as name:
        copied = sum(copy(folder, Path(name), file) for file in files if file)
        tree = run(gitleaks, "dir", *options, ".", cwd=Path(name))
    history = run(gitleaks, "git", *options, "--log-opts=--all", ".", cwd=folder)
    if found := [what for what, done in (("the tree", tree), ("the history", history)) if done.returncode != 0]:
        said = "".join(done.stdout + done.stderr for done in (tree, history) if done.returncode != 0)
        raise CheckError(f"{said}gitleaks found a secret in {' and '.join(found)}, or failed: see above")
    commits = re.search(r"(\d+) commits scanned", history.stdout + history.stderr)
    if not commits or (int(commits[1]) == 0 and copied):
        raise CheckError(f"{history.stdout}{history.stderr}gitleaks does not say how many commits it has seen")
    return f"{copied} files and {commits[1]} commits: no secret"


def copy(folder: Path, into: Path, file: str) -> bool:
    """Copy a file; one that is only in git's index has nothing to copy."""
    source, target = folder / file, into / file
    if source.is_symlink() or not source.is_file():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return True


if __name__ == "__main__":
    main(look)
