"""Lock files: a hash for everything, an address for nothing."""

import json
import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
REQUIREMENTS = sorted([*REPOSITORY.glob("requirements/*.txt"), *REPOSITORY.glob("deploy/*/*.txt")])
CARGO = [REPOSITORY / "Cargo.lock", REPOSITORY / "rust/fuzz/Cargo.lock"]
NPM = [REPOSITORY / "ui/package-lock.json", REPOSITORY / "deploy/tools/npm/package-lock.json"]
CRATES_HERE = {"l3book", "l3book-fuzz"}
CARGO_INDEX = "registry+https://github.com/rust-lang/"
"""What cargo writes for its default index: a name, by which any mirror is used that a machine is set up for."""


def name_of(file: Path) -> str:
    return str(file.relative_to(REPOSITORY))


def lines_of(file: Path) -> list[str]:
    """Requirements with what belongs to them, without comments."""
    joined = file.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_there_are_lock_files() -> None:
    assert {name_of(file) for file in REQUIREMENTS} >= {
        f"requirements/{part}.txt" for part in ("bench", "build", "dev", "runtime")
    }


@pytest.mark.parametrize("file", REQUIREMENTS, ids=name_of)
def test_every_requirement_has_hashes(file: Path) -> None:
    lines = lines_of(file)
    assert lines
    for line in lines:
        assert re.match(r"[a-zA-Z0-9][\w.-]*(\[[\w,-]+\])?==[\w.!+]+ ", line), f"not one version: {line[:80]}"
        assert re.search(r" --hash=sha256:[0-9a-f]{64}(\s|$)", line), f"without a hash: {line[:80]}"


@pytest.mark.parametrize("file", CARGO, ids=name_of)
def test_every_crate_has_a_checksum(file: Path) -> None:
    packages = tomllib.loads(file.read_text(encoding="utf-8"))["package"]
    others = [package for package in packages if package["name"] not in CRATES_HERE]
    assert len(others) > 10
    for package in others:
        assert re.fullmatch(r"[0-9a-f]{64}", package.get("checksum", "")), package["name"]
        assert package["source"].startswith(CARGO_INDEX), package["name"]


@pytest.mark.parametrize("file", NPM, ids=name_of)
def test_every_npm_package_has_an_integrity_hash(file: Path) -> None:
    packages = json.loads(file.read_text(encoding="utf-8"))["packages"]
    for path, package in packages.items():
        # The package itself, and what lies inside another's archive.
        if path and not package.get("inBundle"):
            assert package.get("integrity", "").startswith("sha512-"), path


@pytest.mark.parametrize("file", [*REQUIREMENTS, *NPM], ids=name_of)
def test_no_lock_file_names_an_address(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "--index-url" not in text
    assert "--find-links" not in text
    assert '"resolved"' not in text
    assert re.findall(r"https?://\S+", text) == []
