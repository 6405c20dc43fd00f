"""docs/access.md does what it says: its examples are run, its tables hold the constants of the code."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from l3book.access import answers, idempotency, limits, rates, scopes, tickets
from l3book.api import problems
from running import COMMAND, COMMAND_TIMEOUT_S, RunningServer, environment

TEXT = (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")
URL = "http://127.0.0.1:8000"
EXAMPLE = re.compile(r"curl -sSi .* # ([0-9]{3})")


def test_every_example_answers_as_it_says(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    for command in ("bash", "curl"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed: it runs the examples")
    state = {"L3BOOK_STATE_DIR": str(tmp_path)}
    server = serve(env=state)
    script = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)).replace(URL, server.url)
    expected = [match[1] for line in script.splitlines() if (match := EXAMPLE.fullmatch(line))]
    assert len(expected) == script.count("curl ")
    assert len(expected) >= 8
    path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_TIMEOUT_S,
        env=environment(**state, PATH=path),
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"HTTP/1\.1 ([0-9]{3}) ", done.stdout) == expected, done.stdout
    assert done.stdout.count("idempotency-replayed: true") == 1


def test_every_scope_and_open_path_is_named() -> None:
    for name in (*scopes.SCOPES, *(scopes.OPEN_PATHS - {"/"})):
        assert f"`{name}`" in TEXT, name


def test_every_problem_is_one() -> None:
    named = set(re.findall(r"[45][0-9]{2} `([a-z_]+)`", TEXT))
    assert len(named) > 10
    assert named <= set(getattr(problems, "CODES", None) or problems._TITLES)


def test_every_number_is_the_code_s() -> None:
    for number in (
        limits.FAILED_AUTHENTICATIONS_MAX,
        rates.COUNTED_MAX,
        tickets.TICKETS_PER_IDENTITY_MAX,
        tickets.TICKETS_MAX,
        answers.KEYS_PER_IDENTITY_MAX,
        answers.KEYS_MAX,
        idempotency.KEY_LENGTH_MAX,
    ):
        assert f"{number:,}" in TEXT, number
    assert f"{answers.ANSWER_BYTES_MAX // 1024} KiB" in TEXT
    for header in idempotency._KEPT_HEADERS:
        assert f"`{header}`" in TEXT.lower(), header
