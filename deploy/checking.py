"""What the checks in deploy/*/check* share: how they say what came out, and where they find their tools."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

REPOSITORY = Path(__file__).resolve().parents[1]
TOOLS = Path(os.environ.get("L3BOOK_TOOLS", REPOSITORY / ".tools"))

GOOD, FAILED, NOT_RUN = 0, 1, 77
"""Exit codes of a check. With the last, its last line is the reason."""

COMMAND_TIMEOUT_S = 1800


class CheckError(Exception):
    """What was checked is not as it must be; says what, where and what was expected."""


class CannotRunError(Exception):
    """What the check needs is not on this machine; says what. Never a way to pass."""


def main(check: Callable[[], str]) -> NoReturn:
    """Run a check, say what it does and what came out, and end with its exit code.

    Its docstring says what it does; what it returns is the last line: what was found good, with numbers.
    """
    print((sys.modules["__main__"].__doc__ or "").strip().splitlines()[0], flush=True)
    try:
        print(check())
    except CheckError as failure:
        print(failure)
        sys.exit(FAILED)
    except CannotRunError as reason:
        print(f"NOT RUN: {' '.join(str(reason).split())}")
        sys.exit(NOT_RUN)
    sys.exit(GOOD)


def tool(name: str) -> Path:
    """-> the command, of .tools or of this machine; CannotRunError where it is not."""
    folders = [TOOLS / "bin", REPOSITORY / ".venv/bin"]
    if os.name == "nt":
        folders += [TOOLS / "python/Scripts", TOOLS / "npm/node_modules/.bin", REPOSITORY / ".venv/Scripts"]
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    if found := shutil.which(name, path=path):
        return Path(found)
    listed = (REPOSITORY / "deploy/tools/versions.toml").read_text(encoding="utf-8")
    how = f": deploy/tools/install {name}" if f"\n{name} = " in listed else ""
    raise CannotRunError(f"{name} is not installed{how}")


def output_of(
    *command: str | Path, cwd: Path = REPOSITORY, env: dict[str, str] | None = None, good: tuple[int, ...] = (0,)
) -> str:
    """Run a command; -> its standard output. CheckError, with all it said, when its exit code is not a good one."""
    done = run(*command, cwd=cwd, env=env)
    if done.returncode not in good:
        raise CheckError(f"{done.stdout}{done.stderr}`{' '.join(map(str, command))}` ended with {done.returncode}")
    return done.stdout


def run(
    *command: str | Path, cwd: Path = REPOSITORY, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with variables beside those of this process."""
    try:
        return subprocess.run(
            list(map(str, command)),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise CannotRunError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise CheckError(f"`{' '.join(map(str, command))}` did not end within {COMMAND_TIMEOUT_S} s") from None
