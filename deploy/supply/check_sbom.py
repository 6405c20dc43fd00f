#!/usr/bin/env python3
"""Writes bills of materials (CycloneDX) of wheel and page into dist/sbom/, and holds them against the lock files.

The crates are those that maturin writes into the wheel; the Python packages those that stand beside it once it is
installed; the npm packages those of the page.
"""

import json
import re
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import licences
import wheels
from checking import REPOSITORY, CheckError, main, output_of, tool

Bom = dict[str, Any]

OUT = REPOSITORY / "dist/sbom"
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
for name in sys.argv[1:]:
    text = open(name, encoding="utf-8").read()
    version = SchemaVersion.from_version(__import__("json").loads(text)["specVersion"])
    if error := JsonStrictValidator(version).validate_str(text):
        sys.exit(f"{name}: {error}")
"""


def look() -> str:
    """-> what was written."""
    cyclonedx_py, cyclonedx_npm = tool("cyclonedx-py"), tool("cyclonedx-npm")
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="l3book-sbom-") as name:
        folder = Path(name)
        wheel = wheels.given_or_built(folder / "dist")
        rust = of_wheel(wheel)
        commands = wheels.environment_with(folder / "env", wheel)
        options = ("--output-format", "JSON", "--spec-version", "1.6", "--output-reproducible")
        pyproject = ("--pyproject", REPOSITORY / "pyproject.toml")
        python = json.loads(output_of(cyclonedx_py, "environment", *options, *pyproject, commands / "python"))
        # Asked of that environment: it has what evaluates markers, and is what the bill is of.
        wanted = json.loads(output_of(commands / "python", locked_script(), wheels.RUNTIME))
    npm_options = ("--package-lock-only", "--omit", "dev", "--output-reproducible", "--output-format", "JSON")
    page = json.loads(output_of(cyclonedx_npm, *npm_options, "--spec-version", "1.6", REPOSITORY / "ui/package.json"))
    boms = {"rust": rust, "python": python, "page": page, "wheel": joined(rust, python, page)}
    files = []
    for part, bom in boms.items():
        files.append(OUT / f"{part}.cdx.json")
        files[-1].write_text(json.dumps(bom, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    # By the Python of cyclonedx-py, which brings schemas and validator along.
    output_of(cyclonedx_py.resolve().parent / "python", "-c", VALIDATE, *files)
    compare(boms, wanted)
    counts = ", ".join(f"{part} {len(bom['components'])}" for part, bom in boms.items())
    return f"dist/sbom/*.cdx.json, valid CycloneDX, as the lock files say: {counts} components"


def of_wheel(wheel: Path) -> Bom:
    """-> the bill of materials inside a wheel, without the folder it was built in."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dist-info/sboms/l3book.cyclonedx.json")]
        if len(names) != 1:
            raise CheckError(f"{wheel.name}: {len(names)} bills of materials of crates, expected one")
        return anywhere(archive.read(names[0]).decode())


def anywhere(text: str) -> Bom:
    """Read a bill of materials of crates as it would be of any folder and time."""
    bom: Bom = json.loads(re.sub(r"path\+file://[^\"#]*", "path+file:///l3book/rust", text))
    bom.pop("serialNumber", None)
    bom["metadata"].pop("timestamp", None)
    return bom


def joined(rust: Bom, python: Bom, page: Bom) -> Bom:
    """-> one bill for the wheel: the package depends on all that the three name."""
    root = python["metadata"]["component"]
    others = [bom["metadata"]["component"]["bom-ref"] for bom in (rust, page)]
    dependencies = {
        entry["ref"]: set(entry.get("dependsOn", ()))
        for bom in (rust, python, page)
        for entry in bom.get("dependencies", ())
    }
    own = dependencies.setdefault(root["bom-ref"], set())
    for other in others:
        own |= dependencies.pop(other, set())
    components = [component for bom in (rust, python, page) for component in bom["components"]]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root, "tools": python["metadata"].get("tools", {})},
        "components": [component for component in components if component["bom-ref"] != root["bom-ref"]],
        "dependencies": [{"ref": ref, "dependsOn": sorted(on)} for ref, on in sorted(dependencies.items())],
    }


def names_of(bom: Bom) -> set[tuple[str, str]]:
    """-> name and version of every component; npm's groups are part of the name."""
    return {(f"{c['group']}/{c['name']}" if c.get("group") else c["name"], c["version"]) for c in bom["components"]}


def locked_script() -> Path:
    """-> what tells of a lock file the packages that are for the Python that runs it."""
    return Path(__file__).with_name("locked.py")


def compare(boms: dict[str, Bom], wanted: dict[str, str]) -> None:
    """Each part has what its lock file says: every linked crate, every package that was installed, all of the page."""
    locked = tomllib.loads((REPOSITORY / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    crates = {(package["name"], package["version"]) for package in locked}
    linked = {(part.name, part.version) for part in licences.crates()}
    pinned = {(normal(name), version) for name, version in wanted.items()}
    python = {(normal(name), version) for name, version in names_of(boms["python"])} - {("pip", "")}
    faults = [
        ("crates of the wheel that Cargo.lock does not have", names_of(boms["rust"]) - crates),
        ("linked crates that the wheel does not name", linked - names_of(boms["rust"])),
        (
            "Python packages that requirements/runtime.txt does not have",
            {p for p in python if p[0] not in BESIDE} - pinned,
        ),
        ("packages of requirements/runtime.txt for this platform that are not named", pinned - python),
        (
            "packages of the page that are not named, or named and not in it",
            names_of(boms["page"]) ^ {(part.name, part.version) for part in licences.page_packages()},
        ),
        (
            "components that the joined bill lacks",
            set().union(*(names_of(boms[part]) for part in ("rust", "page"))) - names_of(boms["wheel"]),
        ),
    ]
    if wrong := [f"{what}: {', '.join(' '.join(pair) for pair in sorted(pairs))}" for what, pairs in faults if pairs]:
        raise CheckError("\n".join(wrong))


BESIDE = {"pip", "setuptools", "l3book"}
"""What an empty environment has already, and the wheel itself."""


def normal(name: str) -> str:
    """-> a Python package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main(look)
