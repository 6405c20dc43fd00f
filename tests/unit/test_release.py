"""What a release rests on: one version, and a changelog that can be read by a program."""

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "deploy/supply"))

import changelog

REPOSITORY = Path(__file__).parents[2]

VERSION = tomllib.loads((REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]


def of_json(name: str, *path: str) -> str:
    value = json.loads((REPOSITORY / name).read_text(encoding="utf-8"))
    for part in path:
        value = value[part]
    return str(value)


def test_the_version_stands_in_cargo_toml_and_the_rest_agrees() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    crate = tomllib.loads((REPOSITORY / "rust/Cargo.toml").read_text(encoding="utf-8"))["package"]
    assert crate["version"] == {"workspace": True}
    assert "version" in tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dynamic"]
    locked = tomllib.loads((REPOSITORY / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    assert [package["version"] for package in locked if package["name"] == "l3book"] == [VERSION]
    assert of_json("ui/package.json", "version") == VERSION
    assert of_json("ui/package-lock.json", "version") == VERSION
    assert of_json("ui/package-lock.json", "packages", "", "version") == VERSION


def test_the_chart_is_of_this_version() -> None:
    charts = list(REPOSITORY.glob("deploy/**/Chart.yaml"))
    if not charts:
        pytest.skip("there is no chart in deploy/")
    for chart in charts:
        assert re.findall(r'^appVersion: "?([^"\n]+)"?$', chart.read_text(encoding="utf-8"), re.MULTILINE) == [VERSION]


def test_the_changelog_is_well_formed() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.faults(text) == []
    releases = changelog.releases(text)
    assert releases[0].version == "Unreleased"
    assert releases[0].sections or releases[1].version == VERSION


GOOD = """# Changelog

The format follows Keep a Changelog.

## Unreleased

## 0.2.0 - 2026-11-01

### Added

- A thing.

### Fixed

- Another,
  in two lines.

## 0.1.0 - 2026-10-01

### Added

- The first thing.
"""


def test_a_good_changelog() -> None:
    assert changelog.faults(GOOD) == []
    assert [release.version for release in changelog.releases(GOOD)] == ["Unreleased", "0.2.0", "0.1.0"]
    assert changelog.notes(GOOD, "0.2.0") == "### Added\n\n- A thing.\n\n### Fixed\n\n- Another,\n  in two lines.\n"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("## Unreleased\n", "", "the first release is 0.2.0: expected Unreleased"),
        ("0.2.0 - 2026-11-01", "0.2.0 (2026-11-01)", "line 7: '0.2.0 (2026-11-01)': expected VERSION - YYYY-MM-DD"),
        ("0.2.0 - 2026-11-01", "0.2 - 2026-11-01", "line 7: '0.2 - 2026-11-01': expected VERSION - YYYY-MM-DD"),
        ("2026-11-01", "2026-13-01", "line 7: 2026-13-01 is no date"),
        ("## 0.1.0 -", "## 0.3.0 -", "line 18: 0.3.0 stands below 0.2.0: expected the newest first"),
        ("2026-10-01", "2026-12-01", "line 18: 0.1.0 is of 2026-12-01, after 0.2.0 of 2026-11-01"),
        (
            "### Fixed",
            "### Mended",
            "line 13: 'Mended': expected one of Added, Changed, Deprecated, Fixed, Removed, Security",
        ),
        ("### Fixed", "### Added", "line 13: Added stands twice in 0.2.0"),
        (
            "- A thing.",
            "A thing.",
            "line 11: expected a line that begins with '- ', or one that goes on with two spaces",
        ),
        ("- The first thing.\n", "", "line 20: Added of 0.1.0 says nothing"),
    ],
)
def test_a_changelog_that_is_not_well_formed(old: str, new: str, fault: str) -> None:
    assert fault in changelog.faults(GOOD.replace(old, new, 1))


def test_what_is_not_released_is_no_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert changelog.main([]) == 0
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    released = len(re.findall(r"^## \d", text, re.MULTILINE))
    assert capsys.readouterr().out == f"CHANGELOG.md: well formed, releases so far: {released}\n"


def test_notes_of_a_release_that_is_not_there() -> None:
    with pytest.raises(
        changelog.ChangelogError, match=r"0\.3\.0: not in CHANGELOG.md, expected one of 0\.2\.0, 0\.1\.0"
    ):
        changelog.notes(GOOD, "0.3.0")
