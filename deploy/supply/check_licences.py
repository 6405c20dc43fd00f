#!/usr/bin/env python3
"""Holds every licence against the list of those that are allowed, and THIRD_PARTY.txt against what is in the wheel."""

import ast
import difflib
import importlib.metadata
import json
import re
import sys
from importlib.metadata import PackageMetadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import licences
import locked
from checking import REPOSITORY, CannotRunError, CheckError, main
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

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
    return f"{inside}, and {len(python)} beside it, all that this platform needs: all allowed"


def is_allowed(expression: str, name: str) -> bool:
    """Whether an SPDX expression can be met by licences on the list; what is no SPDX expression is not allowed."""
    try:
        # Crates of before SPDX expressions write a slash for OR.
        canonical = canonicalize_license_expression(expression.replace("/", " OR "))
    except InvalidLicenseExpression:
        return False
    # Of the same form, and the same precedence, as a condition in Python.
    terms = re.findall(r"[()]|[^\s()]+(?: WITH [^\s()]+)?", canonical)
    known = {"(": "(", ")": ")", "AND": "and", "OR": "or"}
    condition = " ".join(known.get(term) or str(_is_allowed_alone(term, name)) for term in terms)
    return _holds(ast.parse(condition, mode="eval").body)


def _is_allowed_alone(term: str, name: str) -> bool:
    licence = term.partition(" WITH ")[0]
    return licence in licences.ALLOWED and name in licences.WEAK_COPYLEFT.get(licence, {name})


def _holds(node: ast.expr) -> bool:
    if isinstance(node, ast.BoolOp):
        return (all if isinstance(node.op, ast.And) else any)(map(_holds, node.values))
    return bool(ast.literal_eval(node))


def python_packages(lock: Path = LOCK) -> dict[str, str]:
    """-> the licence of each package of the lock file that is for this platform; CannotRunError if one is not there."""
    found, missing = {}, []
    for name, version in locked.here(lock).items():
        try:
            found[name] = licence_of(importlib.metadata.metadata(name))
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{name} {version}")
    if missing:
        raise CannotRunError(f"{sys.executable} lacks {', '.join(missing)} of {lock.name}: make setup")
    return found


def licence_of(metadata: PackageMetadata) -> str:
    """-> the licence a package states, as an expression; of several classifiers all hold, and none is passed over."""
    classifiers = [line for line in metadata.get_all("Classifier", []) if line.startswith("License :: ")]
    named = " AND ".join(CLASSIFIERS.get(line, line) for line in classifiers)
    stated: str = metadata.get("License-Expression") or named or metadata.get("License") or "none stated"
    return stated if len(stated) < 100 else f"{json.dumps(stated[:60])}…"


if __name__ == "__main__":
    main(look)
