"""What the checks of the wheel say of two builds, of a bill of materials, and of licences."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from supply import CheckError, check

BILL = "l3book-0.1.0.dist-info/sboms/l3book.cyclonedx.json"
RECORD = "l3book-0.1.0.dist-info/RECORD"


def bill(folder: str, version: str = "1.0.0") -> str:
    component = {"bom-ref": "a", "name": "a", "version": version}
    root = {"bom-ref": f"path+file://{folder}/rust#l3book@0.1.0", "name": "l3book"}
    return json.dumps({"metadata": {"component": root, "timestamp": folder}, "components": [component]})


def wheel(path: Path, **changes: str) -> Path:
    files = {"l3book/__init__.py": "", "l3book/_core.abi3.so": "core", BILL: bill("/a"), RECORD: "core,1\nsboms,2\n"}
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**files, **changes}.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return path


def pair(folder: Path, **changes: str) -> tuple[Path, Path]:
    name = "l3book-0.1.0-cp311-abi3-linux_x86_64.whl"
    return wheel(folder / "a" / name), wheel(folder / "b" / name, **changes)


def test_two_builds_that_are_the_same(tmp_path: Path) -> None:
    assert check("check_reproducible").compare(*pair(tmp_path)) == ""


def test_a_bill_of_materials_that_names_another_folder_is_accounted_for(tmp_path: Path) -> None:
    record = f"core,1\n{BILL},3\n"
    first = wheel(tmp_path / "a/x.whl", **{RECORD: f"core,1\n{BILL},2\n"})
    second = wheel(tmp_path / "b/x.whl", **{BILL: bill("/b/c"), RECORD: record})
    said = check("check_reproducible").compare(first, second)
    assert said == "2 files are the same, the core too; the bill of materials differs in the folder it names alone"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"l3book/_core.abi3.so": "another"}, r"differ in l3book/_core\.abi3\.so"),
        ({"l3book/more.py": ""}, r"names, times, rights or order differ: .*more\.py"),
        ({BILL: bill("/a", "2.0.0"), RECORD: "core,1\nsboms,3\n"}, "differs in more than the folder it names"),
        ({BILL: bill("/b"), RECORD: "core,2\nsboms,3\n"}, "RECORD differs in more"),
    ],
    ids=["core", "file", "crate", "hash of another file"],
)
def test_any_other_difference_is_a_fault(tmp_path: Path, changes: dict[str, str], expected: str) -> None:
    with pytest.raises(CheckError, match=expected):
        check("check_reproducible").compare(*pair(tmp_path, **changes))


def bom(root: str, *components: str) -> dict[str, Any]:
    listed = [{"bom-ref": name, "name": name, "version": "1"} for name in components]
    dependencies = [{"ref": root, "dependsOn": list(components)}]
    return {
        "metadata": {"component": {"bom-ref": root, "name": root}},
        "components": listed,
        "dependencies": dependencies,
    }


def test_the_joined_bill_depends_on_all_that_its_parts_name() -> None:
    joined = check("check_sbom").joined(bom("crate", "dbn", "zstd"), bom("l3book", "numpy"), bom("page", "uplot"))
    assert [component["name"] for component in joined["components"]] == ["dbn", "zstd", "numpy", "uplot"]
    (root,) = joined["dependencies"]
    assert root == {"ref": "l3book", "dependsOn": ["dbn", "numpy", "uplot", "zstd"]}


def test_a_bill_of_materials_tells_nothing_of_where_and_when_it_was_made() -> None:
    one, other = (check("check_sbom").anywhere(bill(folder)) for folder in ("/a", "/somewhere/else"))
    assert one == other
    assert "timestamp" not in one["metadata"]


@pytest.mark.parametrize(
    ("licence", "name", "allowed"),
    [
        ("MIT OR Apache-2.0", "a", True),
        ("MIT/GPL-3.0", "a", True),
        ("GPL-3.0", "a", False),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", "a", True),
        ("BSD-3-Clause AND GPL-2.0", "a", False),
        ("Apache-2.0 WITH LLVM-exception", "a", True),
        ("MPL-2.0 AND MIT", "tqdm", True),
        ("MPL-2.0", "another", False),
        ("none stated", "a", False),
    ],
)
def test_which_licences_are_allowed(licence: str, name: str, allowed: bool) -> None:
    assert check("check_licences").is_allowed(licence, name) is allowed


def test_of_licences_that_may_be_chosen_the_text_of_mit_goes_along(tmp_path: Path) -> None:
    for name in ("LICENSE-MIT", "LICENSE-APACHE", "NOTICE", "README"):
        (tmp_path / name).write_text(f"{name}  \n")
    licences = check("licences")
    assert licences.texts_of(tmp_path, "MIT OR Apache-2.0") == ("LICENSE-MIT", "NOTICE")
    assert licences.texts_of(tmp_path, "Apache-2.0") == ("LICENSE-APACHE", "LICENSE-MIT", "NOTICE")
    assert licences.texts_of(tmp_path, "MIT AND Apache-2.0") == ("LICENSE-APACHE", "LICENSE-MIT", "NOTICE")


@pytest.mark.parametrize(
    ("name", "without", "expected"),
    [
        ("l3book-0.1.0-cp311-abi3-linux_x86_64.whl", "l3book/static/index.html", r"lacks l3book/static/index\.html"),
        ("l3book-0.1.0-cp311-abi3-linux_x86_64.whl", "THIRD_PARTY.txt", r"lacks licenses/THIRD_PARTY\.txt"),
        ("l3book-0.1.0-cp311-cp311-linux_x86_64.whl", "nothing", "expected l3book-VERSION-cp311-abi3-PLATFORM"),
    ],
)
def test_what_a_wheel_must_have(tmp_path: Path, name: str, without: str, expected: str) -> None:
    info = "l3book-0.1.0.dist-info"
    files = ["l3book/_core.abi3.so", "l3book/static/index.html", "l3book/py.typed", "l3book/_core.pyi"]
    files += [f"{info}/licenses/LICENSE", f"{info}/licenses/THIRD_PARTY.txt", f"{info}/entry_points.txt", BILL]
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        for file in files:
            if not file.endswith(without):
                archive.writestr(file, "")
    with pytest.raises(CheckError, match=expected):
        check("check_wheel").contents(tmp_path / name)
