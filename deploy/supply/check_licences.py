#!/usr/bin/env python3
"""Holds every licence against the list of those that are allowed, and THIRD_PARTY.txt against what is in the wheel."""

import difflib
import importlib.metadata
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import licences
from checking import REPOSITORY, CannotRunError, CheckError, main

LOCK = REPOSITORY / "requirements/runtime.txt"
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}


def look() -> str:
    """-> how many packages of each kind are as they must be."""
    parts = [*licences.crates(), *licences.page_packages()]
    wrong = [f"{part.name} {part.version}: {part.licence}" for part in parts if not is_allowed(part.licence, part.name)]
    python = python_packages()
    wrong += [f"{name}: {licence}" for name, licence in python.items() if not is_allowed(licence, name)]
    if wrong:
        raise CheckError(f"{chr(10).join(wrong)}\n{len(wrong)} licences not allowed: {'; '.join(wrong)}")
    there, wanted = licences.THIRD_PARTY.read_text(encoding="utf-8"), licences.third_party()
    if there != wanted:
        differences = difflib.unified_diff(
            there.splitlines(), wanted.splitlines(), "THIRD_PARTY.txt", "the lock files", n=0
        )
        print("\n".join(differences))
        raise CheckError("THIRD_PARTY.txt is not of these lock files: python3 deploy/supply/licences.py writes it anew")
    inside = f"{len(parts)} packages inside the wheel, with their texts in THIRD_PARTY.txt"
    locked = len(names_of(LOCK))
    others = f" ({locked - len(python)} more are not installed here, so not looked at)" if locked > len(python) else ""
    return f"{inside}, and {len(python)} beside it: all allowed{others}"


def is_allowed(expression: str, name: str) -> bool:
    """Whether a licence, or one of those that may be chosen, is on the list; of several at once, all."""
    choices = re.split(r" OR |/", expression.replace("(", "").replace(")", ""))
    for choice in choices:
        terms = [term.partition(" WITH ")[0].strip() for term in choice.split(" AND ")]
        weak = [term for term in terms if term in licences.WEAK_COPYLEFT]
        if all(term in licences.ALLOWED for term in terms) and all(
            name in licences.WEAK_COPYLEFT[term] for term in weak
        ):
            return True
    return False


def names_of(lock: Path) -> list[str]:
    """-> the packages of a lock file."""
    return re.findall(r"^([a-zA-Z0-9][\w.-]*)==.*", lock.read_text(encoding="utf-8"), re.MULTILINE)


def python_packages(lock: Path = LOCK) -> dict[str, str]:
    """-> the licence of each package of the lock file that this environment has."""
    names = names_of(lock)
    found = {}
    for name in names:
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        classifiers = [CLASSIFIERS[c] for c in metadata.get_all("Classifier", []) if c in CLASSIFIERS]
        stated = (
            metadata.get("License-Expression") or " OR ".join(classifiers) or metadata.get("License") or "none stated"
        )
        found[name] = stated if len(stated) < 100 else f"{json.dumps(stated[:60])}…"
    if len(found) < len(names) / 2:
        raise CannotRunError(
            f"{sys.executable} has {len(found)} of the {len(names)} packages of {lock.name}: make setup"
        )
    return found


if __name__ == "__main__":
    main(look)
