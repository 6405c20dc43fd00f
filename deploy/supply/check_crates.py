#!/usr/bin/env python3
"""Asks cargo-deny whether licences, bans and sources of all crates, the fuzz targets' too, are as deny.toml allows."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CannotRunError, CheckError, main, run, tool

CONFIG = Path(__file__).with_name("deny.toml")
MANIFESTS = (REPOSITORY / "Cargo.toml", REPOSITORY / "rust/fuzz/Cargo.toml")


def look() -> str:
    """-> how many crates were looked at."""
    counts = [deny(manifest) for manifest in MANIFESTS]
    return f"{' and '.join(map(str, counts))} crates: licences, bans and sources as deny.toml allows"


def deny(manifest: Path, config: Path = CONFIG) -> int:
    """-> how many crates are good; CheckError with what cargo-deny found."""
    options = ("--manifest-path", manifest, "--config", config, "--locked")
    done = run(tool("cargo-deny"), *options, "check", "licenses", "bans", "sources")
    said = done.stdout + done.stderr
    if done.returncode != 0:
        if re.search(r"failed to (fetch|download)|spurious network error", said):
            raise CannotRunError(f"crates cannot be downloaded: {said.strip().splitlines()[-1]}")
        raise CheckError(f"{said}{manifest}: cargo-deny found what deny.toml does not allow")
    lock = manifest.with_name("Cargo.lock").read_text(encoding="utf-8")
    return lock.count("[[package]]")


if __name__ == "__main__":
    main(look)
