"""What CI does with tests that fail: again, and named, but not for a release. And what it installs first."""

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
    tries = Path("tries")
    with tries.open("a") as file:
        file.write("|")
    assert len(tries.read_text()) == {good_try}

def test_bad():
    assert {bad}
"""


def run(folder: Path, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "PYTEST_"))}
    # Plugins of the environment are half of the time that these small runs take.
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | variables
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(
    ("variables", "prefix"),
    [({}, "a later try only: "), ({"GITHUB_ACTIONS": "true"}, "::warning title=passed at a later try only::")],
)
@pytest.mark.parametrize(("bad", "good_try"), [(True, 2), (False, 2), (False, 3)])
def test_what_passes_at_a_later_try_is_named(
    tmp_path: Path, variables: dict[str, str], prefix: str, bad: bool, good_try: int
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS.format(bad=not bad, good_try=good_try))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert run(tmp_path, sys.executable, "-m", "pytest", "-q").returncode == 1
    done = run(tmp_path, sys.executable, REPOSITORY / "tests/again.py", "-q", **variables)
    assert done.returncode == (1 if bad else 0)
    assert [line for line in done.stdout.splitlines() if line.startswith(prefix)] == [
        f"{prefix}test_some.py::test_flaky"
    ]
    assert f"run once more, alone: {2 if bad else 1} tests" in done.stdout


def test_what_fails_at_every_try_fails(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS.format(bad=True, good_try=4))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert run(tmp_path, sys.executable, "-m", "pytest", "-q").returncode == 1
    done = run(tmp_path, sys.executable, REPOSITORY / "tests/again.py", "-q")
    assert done.returncode == 1
    assert "try only" not in done.stdout


def test_what_is_skipped_at_a_later_try_fails(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "from pathlib import Path\nimport pytest\n\n"
        "def test_shy():\n"
        "    if Path('tried').exists():\n        pytest.skip('not today')\n"
        "    Path('tried').touch()\n    raise ValueError\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert run(tmp_path, sys.executable, "-m", "pytest", "-q").returncode == 1
    done = run(tmp_path, sys.executable, REPOSITORY / "tests/again.py", "-q")
    assert done.returncode == 1
    assert "failed, and was skipped at a later try: test_some::test_shy" in done.stdout
    assert "try only" not in done.stdout


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
    ("parallel", "alone", "expected"),
    [
        (0, 0, ["-m not alone and not e2e", "-m alone or e2e"]),
        (1, 0, ["-m not alone and not e2e", "-m alone or e2e", "again"]),
        (0, 1, ["-m not alone and not e2e", "-m alone or e2e", "again"]),
        (1, 1, ["-m not alone and not e2e", "-m alone or e2e", "again"]),
        (2, 0, ["-m not alone and not e2e"]),
        (1, 2, ["-m not alone and not e2e", "-m alone or e2e"]),
    ],
)
def test_both_runs_count(tmp_path: Path, parallel: int, alone: int, expected: list[str]) -> None:
    """What fails in either is tried again; what goes wrong otherwise is not."""
    noted = f'echo "-m ${{*##*-m }}" >>{tmp_path}/log'
    scripts = {
        "pytest": f'{noted}\ncase "$*" in *not*) exit {parallel};; *) exit {alone};; esac',
        "python": f"echo again >>{tmp_path}/log; exit 1",
    }
    for name, script in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    given = ("-o", "setup", "-o", "browser", "test-python", f"BIN={tmp_path}", "PROCESSES=0")
    done = run(REPOSITORY, "make", *given, CI="true", ONCE="", MAKEFLAGS="", GITHUB_REF_TYPE="branch")
    assert (done.returncode == 0) is (parallel == alone == 0), done.stderr
    assert (tmp_path / "log").read_text().splitlines() == expected


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
