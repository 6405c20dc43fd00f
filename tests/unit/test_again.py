"""What CI does with tests that fail: once more, and named, but not for a release. And what it installs first."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TESTS = """
from pathlib import Path

def test_good():
    pass

def test_flaky():
    seen = Path("seen")
    first = not seen.exists()
    seen.touch()
    assert not first

def test_bad():
    assert {bad}
"""


def run(folder: Path, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "PYTEST_"))}
    environment |= variables
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("variables", "prefix"),
    [({}, "second try only: "), ({"GITHUB_ACTIONS": "true"}, "::warning title=passed at the second try only::")],
)
@pytest.mark.parametrize("bad", [True, False])
def test_what_passes_at_the_second_try_is_named(
    tmp_path: Path, variables: dict[str, str], prefix: str, bad: bool
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS.format(bad=not bad))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert run(tmp_path, sys.executable, "-m", "pytest", "-q").returncode == 1
    done = run(tmp_path, sys.executable, REPOSITORY / "tests/again.py", "-q", **variables)
    assert done.returncode == (1 if bad else 0)
    assert [line for line in done.stdout.splitlines() if line.startswith(prefix)] == [
        f"{prefix}test_some.py::test_flaky"
    ]
    assert f"run once more, alone: {2 if bad else 1} tests" in done.stdout


def test_without_what_failed_it_is_no_pass(tmp_path: Path) -> None:
    done = run(tmp_path, sys.executable, REPOSITORY / "tests/again.py")
    assert done.returncode == 1
    assert "pytest has kept no test that failed" in done.stdout


@pytest.mark.parametrize(
    ("variables", "again"),
    [
        ({}, False),
        ({"CI": "true"}, True),
        ({"CI": "true", "ONCE": ""}, True),
        ({"CI": "true", "GITHUB_REF_TYPE": "branch"}, True),
        ({"CI": "true", "GITHUB_REF_TYPE": "tag"}, False),
        ({"CI": "true", "ONCE": "1", "GITHUB_REF_TYPE": "branch"}, False),
    ],
    ids=["here", "CI", "CI, not once", "branch", "tag", "release"],
)
def test_when_it_is_run_again(variables: dict[str, str], again: bool) -> None:
    environment = {"CI": "", "ONCE": "", "MAKEFLAGS": "", **variables}
    done = run(REPOSITORY, "make", "-n", "-o", "setup", "-o", "browser", "test-python", **environment)
    assert done.returncode == 0, done.stderr
    assert ("tests/again.py" in done.stdout) is again
    assert ".venv/bin/pytest" in done.stdout


@pytest.mark.parametrize(
    ("user", "variables", "expected"),
    [
        ("0", {}, "apt-get install"),
        ("1000", {"GITHUB_ACTIONS": "true"}, "sudo env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install"),
        ("1000", {}, ""),
    ],
    ids=["root", "GitHub", "somebody"],
)
def test_what_ci_installs_first(tmp_path: Path, user: str, variables: dict[str, str], expected: str) -> None:
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    for name in ("bash", "dirname", "env", "cat"):
        (folder / name).symlink_to(shutil.which(name) or name)
    scripts = {"id": f"echo {user}", "sudo": f'echo "sudo $*" >>{log}', "apt-get": f'echo "apt-get $*" >>{log}'}
    # Not this machine's: as root the script would write there.
    scripts |= {"mkdir": ":", "tee": "cat >/dev/null", "make": ":", "python3": ":"}
    for name, script in scripts.items():
        (folder / name).write_text(f"#!{folder}/bash\n{script}\n")
        (folder / name).chmod(0o755)
    ci = tmp_path / "repository/.ci"
    ci.mkdir(parents=True)
    shutil.copy(REPOSITORY / ".ci/run", ci / "run")
    done = run(tmp_path, folder / "bash", ci / "run", **{"PATH": str(folder), "PYTHON": "python3", **variables})
    assert done.returncode == 0, done.stderr
    said = log.read_text() if log.exists() else ""
    assert ("nats-server" in said) is bool(expected)
    assert any(line.startswith(expected) for line in said.splitlines()) or not expected
    assert ("not root to install it" in done.stderr) is (not expected)
