#!/usr/bin/env python3
"""Read CHANGELOG.md: without an argument say what is wrong with its form, with a version print that release's notes."""

import datetime
import itertools
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "CHANGELOG.md"
SECTIONS = ("Added", "Changed", "Deprecated", "Fixed", "Removed", "Security")
UNRELEASED = "Unreleased"


class ChangelogError(Exception):
    """The changelog has not what was asked for."""


@dataclass
class Release:
    """One release: its sections with their lines, each with its number."""

    version: str
    date: str
    line: int
    sections: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, ...]:
        """For comparison; Unreleased has none."""
        return tuple(map(int, self.version.split(".")))


def _read(text: str) -> tuple[list[Release], list[str]]:
    releases: list[Release] = []
    faults: list[str] = []
    section: list[tuple[int, str]] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            title = line.removeprefix("## ")
            found = re.fullmatch(r"(\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2})", title)
            if not found and title != UNRELEASED:
                faults.append(f"line {number}: {title!r}: expected VERSION - YYYY-MM-DD")
            version, date = found.groups() if found else (title, "")
            releases.append(Release(version, date, number))
            section = None
        elif line.startswith("### ") and releases:
            title, release = line.removeprefix("### "), releases[-1]
            if title not in SECTIONS:
                faults.append(f"line {number}: {title!r}: expected one of {', '.join(SECTIONS)}")
            if title in release.sections:
                faults.append(f"line {number}: {title} stands twice in {release.version}")
            section = release.sections.setdefault(title, [])
            section.append((number, line))
        elif line.strip() and releases:
            if section is None or not line.startswith(("- ", "  ")):
                faults.append(
                    f"line {number}: expected a line that begins with '- ', or one that goes on with two spaces"
                )
            else:
                section.append((number, line))
    return releases, faults


def releases(text: str) -> list[Release]:
    """-> the releases, as they stand."""
    return _read(text)[0]


def faults(text: str) -> list[str]:
    """-> what is wrong with the form, a line each."""
    found, wrong = _read(text)
    if not found or found[0].version != UNRELEASED:
        wrong.append(f"the first release is {found[0].version if found else 'none'}: expected {UNRELEASED}")
    for release in found:
        for name, lines in release.sections.items():
            if len(lines) == 1:
                wrong.append(f"line {lines[0][0]}: {name} of {release.version} says nothing")
        if release.date and not _is_date(release.date):
            wrong.append(f"line {release.line}: {release.date} is no date")
    dated = [release for release in found if release.date]
    for newer, older in itertools.pairwise(dated):
        if older.order >= newer.order:
            wrong.append(f"line {older.line}: {older.version} stands below {newer.version}: expected the newest first")
        elif older.date > newer.date:
            wrong.append(
                f"line {older.line}: {older.version} is of {older.date}, after {newer.version} of {newer.date}"
            )
    return wrong


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def notes(text: str, version: str) -> str:
    """-> a release's sections as they stand; ChangelogError where it is not there."""
    found = {release.version: release for release in releases(text)}
    if version not in found:
        known = ", ".join(name for name in found if name != UNRELEASED) or "none"
        raise ChangelogError(f"{version}: not in CHANGELOG.md, expected one of {known}")
    parts = []
    for (_, title), *lines in found[version].sections.values():
        parts.append(f"{title}\n\n" + "".join(f"{line}\n" for _, line in lines))
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """-> 0, or 1 after saying what is wrong."""
    text = FILE.read_text(encoding="utf-8")
    try:
        if arguments:
            print(notes(text, arguments[0]), end="")
            return 0
    except ChangelogError as error:
        print(error, file=sys.stderr)
        return 1
    wrong = faults(text)
    count = sum(release.version != UNRELEASED for release in releases(text))
    print("\n".join(wrong) if wrong else f"CHANGELOG.md: well formed, releases so far: {count}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
