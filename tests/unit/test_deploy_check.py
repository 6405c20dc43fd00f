"""The runner of deploy/*/check*: what it makes of checks that pass, fail, cannot run, hang, crash and say nothing."""

import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


check = load(DEPLOY / "check.py", "deploy_check")


def write(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


def row(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return re.split(r"  +", line)


@pytest.mark.parametrize(
    ("script", "code", "expected"),
    [
        ("echo Counts; echo 3 things", 0, ["ran", "good", "3 things"]),
        (
            "echo Counts; echo 'two things: expected three' >&2; exit 1",
            1,
            ["ran", "FAILED", "two things: expected three"],
        ),
        ("echo Counts; echo 'NOT RUN: no docker here'; exit 77", 0, ["NOT RUN", "-", "no docker here"]),
        ("kill -SEGV $$", 1, ["ran", "FAILED", "ended by SIGSEGV"]),
        ("echo what; exit 3", 1, ["ran", "FAILED", "exit code 3: expected 0, 1 or 77"]),
        ("exit 0", 1, ["ran", "FAILED", "exit code 0 without a word: expected what was checked, or why not"]),
        ("exit 77", 1, ["ran", "FAILED", "exit code 77 without a word: expected what was checked, or why not"]),
    ],
    ids=["good", "failed", "not run", "crashed", "unknown code", "silent", "not run without a reason"],
)
def test_outcome(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], script: str, code: int, expected: list[str]
) -> None:
    write(tmp_path / "deploy", "part/check", script)
    assert check.main([], tmp_path / "deploy") == code
    output = capfd.readouterr().out
    _name, ran, result, seconds, said = row(output, "part/check")
    assert [ran, result, said] == expected
    assert re.fullmatch(r"\d+\.\d s", seconds)
    assert ("--- part/check: FAILED" in output) == (expected[1] == "FAILED"), "all that a failure said is shown"


def test_strict_takes_what_cannot_run_for_a_failure(tmp_path: Path) -> None:
    write(tmp_path, "part/check", "echo no docker; exit 77")
    assert check.main(["--strict"], tmp_path) == 1


def test_a_check_that_hangs_is_ended_with_what_it_started(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "part/check", f"sleep 300 & echo $! > {tmp_path}/pid; echo waits; wait")
    assert check.main(["--timeout", "1"], tmp_path) == 1
    assert row(capfd.readouterr().out, "part/check")[4] == "did not end within 1 s"
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_check_is_told_which_python_to_use(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "part/check", 'echo "with $PYTHON"')
    assert check.main([], tmp_path) == 0
    assert row(capfd.readouterr().out, "part/check")[4].startswith(f"with {sys.executable}"[:100])


def test_a_check_in_python_has_the_packages_of_the_one_that_runs_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = tmp_path / "others"
    others.mkdir()
    (others / "python3").write_text("#!/bin/sh\necho another; exit 1\n")
    (others / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", str(others), prepend=os.pathsep)
    (tmp_path / "part").mkdir()
    (tmp_path / "part/check").write_text("#!/usr/bin/env python3\nimport packaging, sys\nprint(sys.prefix)\n")
    (tmp_path / "part/check").chmod(0o755)
    assert check.main([], tmp_path) == 0
    assert row(capfd.readouterr().out, "part/check")[4] == sys.prefix


def test_what_a_check_leaves_running_is_ended(tmp_path: Path) -> None:
    write(tmp_path, "part/check", f"sleep 300 & echo $! > {tmp_path}/pid; echo done")
    assert check.main([], tmp_path) == 0
    assert ended(int((tmp_path / "pid").read_text()))


def ended(pid: int) -> bool:
    """A process that nobody waits for any more stays as a zombie where no init collects it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_only_what_is_asked_for_and_only_executables(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a/check", "b/check-one", "b/check_two.py"):
        write(tmp_path, name, "echo fine")
    write(tmp_path, "b/check.md", "a note")
    (tmp_path / "b/check.md").chmod(0o644)
    assert check.main(["--list"], tmp_path) == 0
    assert capfd.readouterr().out.split() == ["a/check", "b/check-one", "b/check_two"]
    assert check.main(["--list", "--only", "two", "--only", "a/"], tmp_path) == 0
    assert capfd.readouterr().out.split() == ["a/check", "b/check_two"]
    assert check.main(["--list", "--only", "b/", "--skip", "two"], tmp_path) == 0
    assert capfd.readouterr().out.split() == ["b/check-one"]
    with pytest.raises(SystemExit, match="2"):
        check.main(["--only", "three"], tmp_path)


def test_a_file_that_cannot_be_started_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "part/check", "")
    (tmp_path / "part/check").write_text("#!/no/such/shell\n")
    assert check.main([], tmp_path) == 1
    assert "does not start" in row(capfd.readouterr().out, "part/check")[4]


def test_every_check_of_the_repository_can_be_executed() -> None:
    """A script without its execute bit would be passed over in silence."""
    scripts = [file for file in DEPLOY.glob("*/check*") if file.is_file() and file.read_bytes().startswith(b"#!")]
    assert [file for file in scripts if not os.access(file, os.X_OK)] == []


@pytest.mark.parametrize(
    ("raised", "code", "last"),
    [
        ("CheckError('two: expected three')", 1, "two: expected three"),
        ("CannotRunError('no\\n network')", 77, "NOT RUN: no network"),
        (None, 0, "all good"),
    ],
)
def test_what_the_checks_share(tmp_path: Path, raised: str | None, code: int, last: str) -> None:
    script = tmp_path / "check.py"
    body = f"raise checking.{raised}" if raised else "return 'all good'"
    script.write_text(f"'''Looks.'''\nimport checking\ndef look():\n    {body}\nchecking.main(look)\n")
    environment = {**os.environ, "PYTHONPATH": str(DEPLOY)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == code
    assert done.stdout.splitlines() == ["Looks.", last]


@pytest.mark.parametrize(
    ("body", "code", "last"),
    [
        ("pass", 0, "all good"),
        ("pytest.skip('no cloud here')", 77, "NOT RUN: tests have skipped (the rest is good): no cloud here"),
        ("raise AssertionError", 1, "FAILED: pytest test_it.py"),
    ],
)
def test_a_script_whose_test_skips_does_not_pass(tmp_path: Path, body: str, code: int, last: str) -> None:
    (tmp_path / "test_it.py").write_text(f"import pytest\n\ndef test_it():\n    {body}\n")
    script = f"cd {tmp_path}; . {DEPLOY}/tools/check.sh; tests test_it.py; good all good"
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == code, done.stdout
    assert done.stdout.splitlines()[-1] == last


def test_a_tool_that_is_not_there_is_a_reason_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    checking = load(DEPLOY / "checking.py", "deploy_checking")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(checking, "TOOLS", Path("/nowhere"))
    with pytest.raises(checking.CannotRunError, match="actionlint is not installed: deploy/tools/install actionlint"):
        checking.tool("actionlint")
