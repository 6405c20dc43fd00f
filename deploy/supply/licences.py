"""The licences of what is inside the wheel: crates that are linked into the core, packages that are in the page."""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checking import REPOSITORY, CannotRunError, CheckError, run, tool

THIRD_PARTY = REPOSITORY / "THIRD_PARTY.txt"
ALLOWED = frozenset(
    (
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"),
        *("PSF-2.0", "Unicode-3.0", "Unlicense", "Zlib"),
    )
)
"""Of packages beside the wheel, which pip installs; deny.toml has those of crates, which are linked."""
WEAK_COPYLEFT = {"MPL-2.0": {"tqdm", "certifi", "orjson"}}
"""Only for those: used unchanged, in files of their own."""

TEXT_NAMES = re.compile(r"(?i)^(licen[cs]e|copying|unlicense|notice)([-._].*)?$")
WITHOUT_TEXT = {"dbn": "The package has no text of its own. Apache License 2.0: LICENSE beside this file is the same."}
WITHIN = {"zstd-sys": ("zstd/LICENSE",)}
"""Sources of others inside a crate, whose licence stands there."""

HEADER = """\
Third-party software in l3book's wheel
======================================

Compiled into its core (Rust crates) or part of its page (npm packages). Where a licence may be chosen, MIT is, else
all texts stand here. Written by deploy/supply/licences.py from the lock files; packages that pip installs beside the
wheel bring their own.
"""


@dataclass(frozen=True, order=True)
class Part:
    """One package inside the wheel."""

    name: str
    version: str
    licence: str
    texts: tuple[str, ...]


def crates() -> list[Part]:
    """-> the crates that are linked: no build scripts, procedural macros or tests."""
    cargo = tool("cargo")
    metadata = run(cargo, "metadata", "--locked", "--format-version", "1", "--features", "python")
    if metadata.returncode != 0:
        raise CannotRunError(f"cargo metadata: {metadata.stderr.strip().splitlines()[-1]}")
    read = json.loads(metadata.stdout)
    packages = {package["id"]: package for package in read["packages"]}
    nodes = {node["id"]: node for node in read["resolve"]["nodes"]}
    (root,) = [package["id"] for package in read["packages"] if package["name"] == "l3book"]
    linked: set[str] = set()
    left = [root]
    while left:
        for dependency in nodes[left.pop()]["deps"]:
            is_normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            is_macro = any("proc-macro" in target["kind"] for target in packages[dependency["pkg"]]["targets"])
            if is_normal and not is_macro and dependency["pkg"] not in linked:
                linked.add(dependency["pkg"])
                left.append(dependency["pkg"])
    return sorted(_crate(packages[package]) for package in linked)


def _crate(package: dict[str, Any]) -> Part:
    folder = Path(package["manifest_path"]).parent
    licence = package["license"] or "see the text"
    return Part(
        package["name"], package["version"], licence, texts_of(folder, licence, WITHIN.get(package["name"], ()))
    )


def page_packages() -> list[Part]:
    """-> the npm packages that are in the page; those that build it are not."""
    lock = json.loads((REPOSITORY / "ui/package-lock.json").read_text(encoding="utf-8"))["packages"]
    modules = REPOSITORY / "ui"
    found = []
    for path, package in lock.items():
        if not path or package.get("dev") or package.get("optional"):
            continue
        if not (modules / path).is_dir():
            raise CannotRunError("ui/node_modules is not there: npm --prefix ui ci")
        name, licence = path.rpartition("node_modules/")[2], package["license"]
        found.append(Part(name, package["version"], licence, texts_of(modules / path, licence)))
    return sorted(found)


def texts_of(folder: Path, licence: str, within: tuple[str, ...] = ()) -> tuple[str, ...]:
    """-> the texts to pass on with a package: of MIT alone where that may be chosen."""
    files = sorted(file for file in folder.iterdir() if TEXT_NAMES.match(file.name))
    folders = [file for file in files if file.is_dir()]
    files = [file for file in files if file.is_file()] + sorted(f for inner in folders for f in inner.iterdir())
    may_choose_mit = "MIT" in licence and "AND" not in licence
    if may_choose_mit and (mit := [file for file in files if "MIT" in file.name.upper()]):
        files = [*mit, *(file for file in files if "NOTICE" in file.name.upper())]
    files += [folder / name for name in within]
    texts = ["\n".join(line.rstrip() for line in file.read_text("utf-8", "replace").splitlines()) for file in files]
    return tuple(text.strip("\n") for text in texts)


def third_party() -> str:
    """-> what THIRD_PARTY.txt has to be."""
    parts = [*crates(), *page_packages()]
    if bare := [part.name for part in parts if not part.texts and part.name not in WITHOUT_TEXT]:
        raise CheckError(f"no licence text in the packages of {', '.join(bare)}: add them to WITHOUT_TEXT, with why")
    by_texts: dict[tuple[str, ...], list[Part]] = {}
    for part in parts:
        by_texts.setdefault(part.texts or (WITHOUT_TEXT[part.name],), []).append(part)
    blocks = [HEADER]
    for texts, same in sorted(by_texts.items(), key=lambda item: item[1]):
        names = "\n".join(f"{part.name} {part.version} ({part.licence})" for part in same)
        blocks.append(f"{'-' * 80}\n{names}\n\n" + "\n\n".join(texts) + "\n")
    return "\n".join(blocks)


if __name__ == "__main__":
    try:
        THIRD_PARTY.write_text(third_party(), encoding="utf-8")
    except (CannotRunError, CheckError) as error:
        sys.exit(f"{THIRD_PARTY.name} is not written: {error}")
    print(f"{THIRD_PARTY.name}: {len(crates())} crates, {len(page_packages())} npm packages")
