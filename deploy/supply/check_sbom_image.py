#!/usr/bin/env python3
"""Writes the bill of materials (CycloneDX, by syft) of the image l3book:latest, and looks that l3book is in it.

L3BOOK_IMAGE=NAME takes another image. Debian's packages are in it, too.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CannotRunError, CheckError, main, output_of, run, tool

IMAGE = os.environ.get("L3BOOK_IMAGE", "l3book:latest")
OUT = REPOSITORY / "dist/sbom/image.cdx.json"


def look() -> str:
    """-> how many components of which kind it has."""
    OUT.parent.mkdir(parents=True, exist_ok=True)
    purls = write(OUT)
    counts = {kind: sum(purl.startswith(f"pkg:{kind}/") for purl in purls) for kind in ("pypi", "deb")}
    return f"{OUT.relative_to(REPOSITORY)} of {IMAGE}: {counts['pypi']} Python and {counts['deb']} Debian packages"


def write(out: Path) -> list[str]:
    """Write the bill of materials of the image; -> what its components are, by package URL."""
    syft, docker = tool("syft"), tool("docker")
    if run(docker, "info").returncode != 0:
        raise CannotRunError("no Docker daemon answers")
    if run(docker, "image", "inspect", IMAGE).returncode != 0:
        raise CannotRunError(f"there is no image {IMAGE}: docker compose build")
    output_of(syft, "scan", f"docker:{IMAGE}", "--quiet", "--output", f"cyclonedx-json={out}")
    components = json.loads(out.read_text(encoding="utf-8"))["components"]
    purls = [component["purl"] for component in components if component.get("purl")]
    if not any(purl.startswith("pkg:pypi/l3book@") for purl in purls):
        raise CheckError(f"{out}: l3book is not among the {len(components)} components of {IMAGE}")
    return purls


if __name__ == "__main__":
    main(look)
