#!/usr/bin/env python3
"""Builds the wheel twice, in two folders and from nothing, and compares every byte.

Paths do not show (they are remapped), nor does the time (SOURCE_DATE_EPOCH). One thing does: cargo's bill of materials
inside the wheel names the folder the crate was built in, so that file is compared after the folder was given one name.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import check_sbom
import wheels
from checking import REPOSITORY, CheckError, main, output_of

INPUTS = ("Cargo.toml", "Cargo.lock", "pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.txt", "rust", "python")
NAMES_ITS_FOLDER = "sboms/l3book.cyclonedx.json"


def look() -> str:
    """-> that they are the same, or which file differs and why."""
    wheels.maturin()
    epoch = output_of("git", "log", "-1", "--format=%ct").strip()
    with tempfile.TemporaryDirectory(prefix="l3book-twice-") as name:
        # Of different lengths, and not beside each other.
        folders = [Path(name) / "a", Path(name) / "another/and/longer"]
        built = [build(folder, epoch) for folder in folders]
        differences = compare(*built)
        digests = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in built]
    if not differences:
        return f"two builds, the same wheel: sha256 {digests[0]}"
    return f"two builds: {differences}"


def build(folder: Path, epoch: str) -> Path:
    """-> the wheel of a copy of this tree."""
    source = folder / "source"
    source.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "target", "fuzz")
    for name in INPUTS:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, source / name, ignore=ignored)
        elif (REPOSITORY / name).exists():
            shutil.copyfile(REPOSITORY / name, source / name)
    cargo_home = os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))
    remapped = {str(source): "/l3book", str(folder / "target"): "/target", cargo_home: "/cargo"}
    env = {
        "SOURCE_DATE_EPOCH": epoch,
        "CARGO_TARGET_DIR": str(folder / "target"),
        "RUSTFLAGS": " ".join(f"--remap-path-prefix={path}={to}" for path, to in remapped.items()),
        "CFLAGS": " ".join(f"-ffile-prefix-map={path}={to}" for path, to in remapped.items()),
        "CARGO_INCREMENTAL": "0",
    }
    wheel = wheels.build_wheel(folder / "dist", source, env)
    shutil.rmtree(folder / "target")
    return wheel


def compare(one: Path, other: Path) -> str:
    """-> "" if two wheels are the same, else the difference that is accounted for; CheckError for any other."""
    if one.name != other.name:
        raise CheckError(f"two builds have two names: {one.name}, {other.name}")
    if one.read_bytes() == other.read_bytes():
        return ""
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        entries = [
            [(info.filename, info.date_time, info.external_attr) for info in archive.infolist()]
            for archive in (first, second)
        ]
        if entries[0] != entries[1]:
            raise CheckError(f"names, times, rights or order differ: {set(entries[0]) ^ set(entries[1]) or 'order'}")
        differing = [name for name, *_ in entries[0] if first.read(name) != second.read(name)]
        explained = [name for name in differing if name.endswith((NAMES_ITS_FOLDER, ".dist-info/RECORD"))]
        if rest := sorted(set(differing) - set(explained)):
            raise CheckError(f"two builds differ in {', '.join(rest)}")
        (bill,) = [name for name in differing if name.endswith(NAMES_ITS_FOLDER)]
        texts = [archive.read(bill).decode() for archive in (first, second)]
        if check_sbom.anywhere(texts[0]) != check_sbom.anywhere(texts[1]):
            raise CheckError(f"{bill} differs in more than the folder it names")
        records = [
            sorted(
                line
                for line in archive.read(next(n for n in differing if n.endswith("RECORD"))).splitlines()
                if NAMES_ITS_FOLDER.encode() not in line
            )
            for archive in (first, second)
        ]
        if records[0] != records[1]:
            raise CheckError("RECORD differs in more than the hash of the bill of materials")
    same = len(entries[0]) - len(differing)
    return f"{same} files are the same, the core too; the bill of materials differs in the folder it names alone"


if __name__ == "__main__":
    main(look)
