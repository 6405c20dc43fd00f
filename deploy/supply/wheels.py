"""Building the wheel and the sdist, for the checks that look at them."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CannotRunError, CheckError, output_of, tool

PAGE = REPOSITORY / "python/l3book/static/index.html"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "supply"
"""Not where `make setup` builds: other paths in the flags would have it compile everything again."""

RUNTIME = REPOSITORY / "requirements/runtime.txt"

ONLY_SOURCE = "nkeys"
"""Packages of the lock file of which there is no wheel."""


def maturin() -> Path:
    """-> maturin, once there is a page to put into what it builds."""
    tool("cargo")
    if not PAGE.exists():
        raise CannotRunError("the page is not built: make setup")
    return tool("maturin")


def build_wheel(out: Path, source: Path = REPOSITORY, env: dict[str, str] | None = None) -> Path:
    """-> the wheel of a source tree, as a release has it."""
    environment = {"CARGO_TARGET_DIR": str(TARGET), **(env or {})}
    output_of(maturin(), "build", "--release", "--locked", "--out", out, cwd=source, env=environment)
    return only_one(out, "*.whl")


def build_sdist(out: Path) -> Path:
    """-> the sdist."""
    output_of(maturin(), "sdist", "--out", out)
    return only_one(out, "*.tar.gz")


def given_or_built(out: Path) -> Path:
    """-> the wheel that L3BOOK_WHEEL names, else one built from this tree."""
    if given := os.environ.get("L3BOOK_WHEEL"):
        if not Path(given).is_file():
            raise CheckError(f"L3BOOK_WHEEL is {given}: no such file")
        return Path(given).resolve()
    return build_wheel(out)


def only_one(folder: Path, pattern: str) -> Path:
    """-> the one file of that form."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise CheckError(f"{folder}: {len(found)} files of the form {pattern}, expected one")
    return found[0]


def environment_with(folder: Path, wheel: Path, lock: Path = RUNTIME) -> Path:
    """Install a wheel and what it needs, by the hashes of the lock file, into an empty environment; -> its commands."""
    output_of(sys.executable, "-m", "venv", folder)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = (commands / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    try:
        output_of(*pip, "--require-hashes", "--only-binary", ":all:", "--no-binary", ONLY_SOURCE, "-r", lock)
    except CheckError as failure:
        # Of all that pip can say, only this is about the network; a wrong hash has to fail.
        if "connection broken" in str(failure):
            raise CannotRunError(f"the package index cannot be reached: {str(failure).splitlines()[-2]}") from None
        raise
    output_of(*pip, "--no-index", "--no-deps", wheel)
    output_of(commands / "python", "-m", "pip", "check")
    return commands
