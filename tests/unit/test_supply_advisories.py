"""The audits catch a vulnerable package, by advisory databases made here, and never pass when they reach none."""

import gzip
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from supply import CannotRunError, CheckError, check

REPOSITORY = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:9"
"""Discard: nothing listens there."""

CRATE = "time"
# The registry's name stands where cargo writes it, and nowhere else.
SOURCE = next(line for line in (REPOSITORY / "Cargo.lock").read_text().splitlines() if line.startswith("source = "))
REGISTRY = SOURCE.rpartition("/")[2].strip('"').removesuffix("-index")
LOCK = f"""version = 4

[[package]]
name = "{CRATE}"
version = "0.1.2"
{SOURCE}
checksum = "{"0" * 64}"
"""
ADVISORY = f"""```toml
[advisory]
id = "RUSTSEC-2026-0001"
package = "{CRATE}"
date = "2026-01-01"
url = "https://example.com/advisory"

[versions]
patched = [">= 0.2.0"]
```

# A hole that was made for a test

Nothing of it is real.
"""


@pytest.fixture
def crates(tmp_path: Path) -> tuple[Path, Path]:
    """-> a lock file and a database with one advisory for what it has."""
    lock = tmp_path / "Cargo.lock"
    lock.write_text(LOCK)
    database = tmp_path / "advisories"
    (database / "crates" / CRATE).mkdir(parents=True)
    (database / "crates" / CRATE / "RUSTSEC-2026-0001.md").write_text(ADVISORY)
    return lock, database


def test_a_vulnerable_crate_is_caught(crates: tuple[Path, Path]) -> None:
    rust = check("check_advisories_rust", "cargo-audit")
    with pytest.raises(CheckError, match="RUSTSEC-2026-0001"):
        rust.audit(*crates)


def test_a_crate_without_advisory_passes(crates: tuple[Path, Path]) -> None:
    rust = check("check_advisories_rust", "cargo-audit")
    lock, database = crates
    lock.write_text(LOCK.replace("0.1.2", "0.2.1"))
    assert rust.audit(lock, database) == 1


def test_no_database_of_crates_is_no_pass(crates: tuple[Path, Path], tmp_path: Path) -> None:
    rust = check("check_advisories_rust", "cargo-audit")
    with pytest.raises(CannotRunError, match="has loaded no advisory"):
        rust.audit(crates[0], tmp_path / "nowhere")


SCANNED = """\
      Loaded 1277 security advisories (from /db)
    Scanning Cargo.lock for vulnerabilities (9 crate dependencies)
"""


@pytest.mark.parametrize(
    ("said", "code", "raised", "why"),
    [
        (SCANNED.replace("1277", "0"), 0, CannotRunError, "has loaded no advisory"),
        (SCANNED.partition("\n")[2], 0, CannotRunError, "has loaded no advisory"),
        (SCANNED.partition("\n")[0], 0, CheckError, "looked at no crate"),
        (f"{SCANNED}warning: couldn't update {REGISTRY} index: no route", 0, CannotRunError, "no route"),
        (f"{SCANNED}warning: couldn't open {REGISTRY} index: no file", 0, CannotRunError, "no file"),
        (f"{SCANNED}error: couldn't check if the package is yanked: 403", 0, CannotRunError, "yanked: 403"),
        ("error: couldn't fetch advisory database: git operation failed", 1, CannotRunError, "cannot be reached"),
        ("error: error loading advisory database: not TOML", 1, CannotRunError, "not TOML"),
        (f"{SCANNED}error: 1 vulnerability found!", 1, CheckError, "1 vulnerability found"),
        ("", 101, CannotRunError, r"ended with 101\): it said nothing"),
    ],
    ids=["empty", "none", "nothing scanned", "index", "closed", "withdrawn", "fetch", "broken", "found", "crash"],
)
def test_what_cargo_audit_says_is_not_taken_for_a_pass(said: str, code: int, raised: type[Exception], why: str) -> None:
    rust = check("check_advisories_rust")
    assert rust.judge(SCANNED, 0, Path("Cargo.lock")) == 9
    with pytest.raises(raised, match=why):
        rust.judge(said, code, Path("Cargo.lock"))


def test_a_copy_of_the_database_has_to_say_that_it_is_new(tmp_path: Path) -> None:
    rust = check("check_advisories_rust")
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    with pytest.raises(CannotRunError, match="nothing tells how old it is"):
        rust.refuse_old(tmp_path)
    (tmp_path / ".git").unlink()
    git = ("git", "-C", tmp_path, "-c", "user.name=Test", "-c", "user.email=test@example.com")
    subprocess.run(["git", "init", "-q", tmp_path], check=True, timeout=60)
    for days in (8, 1):
        moment = f"{int(time.time()) - days * 86_400} +0000"
        environment = {**os.environ, "GIT_COMMITTER_DATE": moment}
        command = (*git, "commit", "-q", "--no-gpg-sign", "--allow-empty", "-m", "x")
        subprocess.run(command, check=True, timeout=60, env=environment)
        if days > rust.AGE_MAX_DAYS:
            with pytest.raises(CannotRunError, match="is 8 days old: expected at most 7"):
                rust.refuse_old(tmp_path)
    rust.refuse_old(tmp_path)


def test_a_test_of_a_check_that_skips_is_no_pass() -> None:
    tests = check("check_tests")
    assert tests.judge("7 passed in 1.0s", 0) == "7 tests of the checks pass, none skips"
    skipped = "SKIPPED [2] tests/supply.py:26: gitleaks is not installed\n5 passed, 2 skipped in 1.0s"
    with pytest.raises(CannotRunError, match=r"^2 tests have skipped .*: gitleaks is not installed$"):
        tests.judge(skipped, 0)
    for said, code in (("1 failed, 6 passed in 1.0s", 1), ("no tests ran in 0.1s", 5), ("2 skipped in 1.0s", 0)):
        with pytest.raises(CheckError, match="pytest ended with"):
            tests.judge(said, code)


@contextmanager
def answering(answer: Callable[[str, dict[str, Any]], dict[str, Any]]) -> Iterator[str]:
    """-> the address of a server that answers every POST as told, every GET as a registry that knows one package."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = {"name": "vulnerable", "version": "1.0.0", "dist": {}}
            self.reply({"name": "vulnerable", "versions": {"1.0.0": version}, "dist-tags": {"latest": "1.0.0"}})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_zipped = self.headers.get("Content-Encoding") == "gzip"
            self.reply(answer(self.path, json.loads(gzip.decompress(body) if is_zipped else body)))

        def reply(self, told: dict[str, Any]) -> None:
            content = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def osv(_path: str, asked: dict[str, Any]) -> dict[str, Any]:
    """As OSV answers: one vulnerability for version 1.0 of the package `vulnerable`, nothing for others."""
    if (asked["package"]["name"], asked["version"]) != ("vulnerable", "1.0"):
        return {}
    affected = {
        "package": {"name": "vulnerable", "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        "versions": ["1.0"],
    }
    vulnerability = {
        "id": "PYSEC-2026-1",
        "summary": "made for a test",
        "published": "2026-01-01T00:00:00Z",
        "affected": [affected],
    }
    return {"vulns": [vulnerability]}


def requirements(folder: Path, version: str) -> Path:
    file = folder / "requirements.txt"
    file.write_text(f"vulnerable=={version} \\\n    --hash=sha256:{'0' * 64}\n")
    return file


def test_a_vulnerable_python_package_is_caught(tmp_path: Path) -> None:
    python = check("check_advisories_python", "pip-audit")
    cache = ("--cache-dir", str(tmp_path / "cache"))
    with answering(osv) as url, pytest.raises(CheckError, match="PYSEC-2026-1"):
        python.audit(requirements(tmp_path, "1.0"), "-s", "osv", "--osv-url", f"{url}/v1/query", *cache)
    with answering(osv) as url:
        assert python.audit(requirements(tmp_path, "1.1"), "-s", "osv", "--osv-url", f"{url}/v1/query", *cache) == 1


def test_no_database_of_python_packages_is_no_pass(tmp_path: Path) -> None:
    python = check("check_advisories_python", "pip-audit")
    with pytest.raises(CannotRunError, match="cannot be reached"):
        python.audit(requirements(tmp_path, "1.0"), "-s", "osv", "--osv-url", f"{NOBODY}/v1/query")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """-> a folder with a lock file that has one package."""
    package = {"name": "made-for-a-test", "version": "1.0.0", "dependencies": {"vulnerable": "1.0.0"}}
    locked = {"version": "1.0.0", "integrity": "sha512-" + "A" * 86 + "=="}
    lock = {
        **package,
        "lockfileVersion": 3,
        "requires": True,
        "packages": {"": package, "node_modules/vulnerable": locked},
    }
    (tmp_path / "package.json").write_text(json.dumps(package))
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))
    return tmp_path


def bulk(affected: str) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """As a registry answers: one advisory for the versions named, if it is asked about that package."""

    def answer(path: str, asked: dict[str, Any]) -> dict[str, Any]:
        assert path.endswith("/advisories/bulk")
        advisory = {
            "id": 1,
            "url": "https://example.com/1",
            "title": "made for a test",
            "severity": "high",
            "vulnerable_versions": affected,
        }
        return {"vulnerable": [advisory]} if "vulnerable" in asked else {}

    return answer


def test_a_vulnerable_npm_package_is_caught(page: Path) -> None:
    npm = check("check_advisories_npm", "npm")
    options = ("--cache", str(page / "cache"), "--fetch-retries", "0")
    with answering(bulk("<1.1.0")) as url, pytest.raises(CheckError, match=r"vulnerable \(high\)"):
        npm.audit(page, "--registry", url, *options)
    with answering(bulk("<1.0.0")) as url:
        assert npm.audit(page, "--registry", url, *options) == 1


def test_no_database_of_npm_packages_is_no_pass(page: Path) -> None:
    npm = check("check_advisories_npm", "npm")
    with pytest.raises(CannotRunError, match="cannot be reached"):
        npm.audit(page, "--registry", NOBODY, "--fetch-retries", "0")
