"""grype, as the check calls it, catches a vulnerable package of an image, by a database made here."""

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from supply import CannotRunError, CheckError, check

PURLS = ["pkg:pypi/vulnerable@1.0", "pkg:deb/debian/libvulnerable@1.0-1?distro=debian-12"]

TABLES = """
CREATE TABLE db_metadata (build_timestamp datetime NOT NULL, model integer NOT NULL, revision integer NOT NULL,
  addition integer NOT NULL);
CREATE TABLE providers (id text PRIMARY KEY, version text, processor text, date_captured datetime, input_digest text);
CREATE TABLE blobs (id integer PRIMARY KEY, value text NOT NULL);
CREATE TABLE vulnerability_handles (id integer PRIMARY KEY, name text NOT NULL, status text NOT NULL,
  published_date datetime, modified_date datetime, withdrawn_date datetime, provider_id text NOT NULL, blob_id integer);
CREATE TABLE packages (id integer PRIMARY KEY, ecosystem text, name text);
CREATE TABLE operating_systems (id integer PRIMARY KEY, name text, release_id text, major_version text,
  minor_version text, label_version text, codename text, channel text, eol_date datetime, eoas_date datetime);
CREATE TABLE affected_package_handles (id integer PRIMARY KEY, vulnerability_id integer NOT NULL,
  operating_system_id integer, package_id integer, blob_id integer);
"""
"""Those of grype's database (version 6) that an advisory needs; grype makes the others when it imports it."""


def write_database(file: Path) -> None:
    """Write a database with one grave advisory for a package of Python, and one for a package of Debian 12."""
    now = time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime())
    advisories = [
        ("github", "GHSA-made-for-test", "python", "vulnerable", "python", "< 1.1", "1.1", None),
        ("debian", "CVE-2026-00001", "deb", "libvulnerable", "dpkg", "< 1.0-2", "1.0-2", 1),
    ]
    with sqlite3.connect(file) as database:
        database.executescript(TABLES)
        database.execute("INSERT INTO db_metadata VALUES (?, 6, 1, 0)", (now,))
        database.execute(
            "INSERT INTO operating_systems VALUES (1, 'debian', 'debian', '12', '', '', 'bookworm', '', NULL, NULL)"
        )
        for number, (provider, name, ecosystem, package, kind, affected, fixed, system) in enumerate(advisories, 1):
            about = {"id": name, "severities": [{"scheme": "CHML", "value": "high", "rank": 1}]}
            fix = {"version": fixed, "state": "fixed"}
            ranges = {"ranges": [{"version": {"type": kind, "constraint": affected}, "fix": fix}]}
            database.execute("INSERT INTO providers VALUES (?, '1', 'test', ?, '')", (provider, now))
            for blob, content in ((2 * number, about), (2 * number + 1, ranges)):
                database.execute("INSERT INTO blobs VALUES (?, ?)", (blob, json.dumps(content)))
            vulnerability = (number, name, now, now, provider, 2 * number)
            database.execute(
                "INSERT INTO vulnerability_handles VALUES (?, ?, 'active', ?, ?, NULL, ?, ?)", vulnerability
            )
            database.execute("INSERT INTO packages VALUES (?, ?, ?)", (number, ecosystem, package))
            affects = (number, number, system, number, 2 * number + 1)
            database.execute("INSERT INTO affected_package_handles VALUES (?, ?, ?, ?, ?)", affects)


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """-> variables that have grype use a database of this test's, and ask nobody for another."""
    return {
        "GRYPE_DB_CACHE_DIR": str(tmp_path / "grype"),
        "GRYPE_DB_AUTO_UPDATE": "false",
        "GRYPE_CHECK_FOR_APP_UPDATE": "false",
    }


def write_bill(folder: Path, purls: list[str]) -> Path:
    """-> a bill of materials of a Debian 12 with these packages."""
    components: list[dict[str, Any]] = [
        {"bom-ref": "os", "type": "operating-system", "name": "debian", "version": "12"}
    ]
    for purl in purls:
        name, _, version = purl.rpartition("/")[2].partition("?")[0].partition("@")
        components.append({"bom-ref": purl, "type": "library", "name": name, "version": version, "purl": purl})
    file = folder / "image.cdx.json"
    file.write_text(
        json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components})
    )
    return file


@pytest.mark.parametrize(
    ("purls", "found"),
    [
        (PURLS[:1], r"vulnerable 1\.0: GHSA-made-for-test \(High, mended in 1\.1\)"),
        (PURLS[1:], r"libvulnerable 1\.0-1: CVE-2026-00001 \(High, mended in 1\.0-2\)"),
    ],
    ids=["Python", "Debian"],
)
def test_a_vulnerable_package_of_an_image_is_caught(
    tmp_path: Path, offline: dict[str, str], purls: list[str], found: str
) -> None:
    image = check("check_advisories_image", "grype")
    write_database(tmp_path / "made.db")
    assert image.run(image.tool("grype"), "db", "import", tmp_path / "made.db", env=offline).returncode == 0
    with pytest.raises(CheckError, match=found):
        image.audit(write_bill(tmp_path, purls), purls, **offline)
    mended = [purl.replace("@1.0-1", "@1.0-2") if "1.0-1" in purl else purl.replace("@1.0", "@1.1") for purl in purls]
    assert image.audit(write_bill(tmp_path, mended), mended, **offline) == 0


def test_no_database_of_an_image_s_packages_is_no_pass(tmp_path: Path, offline: dict[str, str]) -> None:
    image = check("check_advisories_image", "grype")
    with pytest.raises(CannotRunError, match=r"has no database of advisories that it takes: .*does not exist$"):
        image.audit(write_bill(tmp_path, PURLS), PURLS, **offline)


def report(**changes: Any) -> str:
    """-> an answer of grype's that finds nothing."""
    database = {"providers": {"github": {}, "debian": {}}}
    answer = {"matches": [], "distro": {"name": "debian", "version": "12"}, "descriptor": {"db": database}}
    return json.dumps({**answer, **changes})


@pytest.mark.parametrize(
    ("answer", "said", "code", "raised", "why"),
    [
        (
            "",
            "[0000]  WARN no\n[0000] ERROR \x1b[31mfailed to load vulnerability db: no route\x1b[0m\n",
            1,
            CannotRunError,
            r"that it takes: failed to load vulnerability db: no route$",
        ),
        ("", "ERROR db could not be loaded: it was built 9 days ago", 1, CannotRunError, "built 9 days ago"),
        ("", "panic", 2, CheckError, "did not answer in JSON"),
        (report(), "", 1, CheckError, "ended with 1: expected 0 or 2"),
        (report(descriptor={"db": {"providers": {"github": {}}}}), "", 0, CannotRunError, "has nothing of debian"),
        (report(descriptor={"db": {}}), "", 0, CannotRunError, "has nothing of debian and github"),
        (report(distro={"name": "", "version": ""}), "", 0, CheckError, "does not know which Debian"),
    ],
    ids=["none", "old", "crash", "unknown code", "of Python only", "empty", "no distribution"],
)
def test_what_grype_says_is_not_taken_for_a_pass(
    answer: str, said: str, code: int, raised: type[Exception], why: str
) -> None:
    image = check("check_advisories_image")
    assert image.judge(report(), "", 0, PURLS) == 0
    with pytest.raises(raised, match=why):
        image.judge(answer, said, code, PURLS)
