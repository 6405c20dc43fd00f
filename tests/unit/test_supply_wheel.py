"""What the checks of the wheel say of two builds, of a bill of materials, and of licences."""

import email
import json
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from supply import CannotRunError, CheckError, check

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
        ("(MIT OR Apache-2.0) AND GPL-3.0-only", "a", False),
        ("(MIT OR GPL-3.0-only) AND SSPL-1.0", "a", False),
        ("GPL-3.0-only AND (MIT OR Apache-2.0)", "a", False),
        ("GPL-3.0-only OR (MIT AND Unicode-3.0)", "a", True),
        ("MIT AND MPL-2.0 OR Apache-2.0", "a", True),
        ("MIT OR", "a", False),
        ("MIT AND See the text", "a", False),
        ("LicenseRef-Ours", "a", False),
    ],
)
def test_which_licences_are_allowed(licence: str, name: str, allowed: bool) -> None:
    assert check("check_licences").is_allowed(licence, name) is allowed


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        (["Classifier: License :: OSI Approved :: MIT License"], True),
        (
            [
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
            ],
            False,
        ),
        (["Classifier: License :: Other/Proprietary License", "License: MIT"], False),
        (["License-Expression: MIT", "Classifier: License :: OSI Approved :: MIT License"], True),
        (["License: BSD-3-Clause"], True),
        ([], False),
    ],
    ids=["one", "one that is unknown", "unknown beside a word", "expression", "word", "none"],
)
def test_no_classifier_of_a_licence_is_passed_over(fields: list[str], allowed: bool) -> None:
    metadata = email.message_from_string("\n".join(["Name: a", *fields, "", ""]))
    licences = check("check_licences")
    assert licences.is_allowed(licences.licence_of(metadata), "a") is allowed


def test_a_package_that_is_not_installed_is_no_pass(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(
        f"packaging=={version('packaging')} \\\n    --hash=sha256:{'0' * 64}\n"
        f"never-on-this-platform==1.0 ; sys_platform == 'nowhere' \\\n    --hash=sha256:{'0' * 64}\n"
    )
    licences = check("check_licences")
    assert licences.python_packages(lock) == {"packaging": "Apache-2.0 OR BSD-2-Clause"}
    with lock.open("a") as file:
        file.write(f"not-installed==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(CannotRunError, match=r"lacks not-installed 1\.0 of lock\.txt: make setup"):
        licences.python_packages(lock)


def test_of_several_versions_in_a_lock_file_one_is_for_this_python(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(
        "A_b==1.0 ; python_version < '3' \\\n  --hash=x\nA_b==2.0 ; python_version >= '3' \\\n  --hash=y\nc==3\n"
    )
    assert check("locked").here(lock) == {"a-b": "2.0", "c": "3"}


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
