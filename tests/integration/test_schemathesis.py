"""Requests made from /openapi.json, good ones and bad ones, and every answer held against it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from running import RunningServer, environment, run

COMMAND = Path(sys.executable).parent / "schemathesis"
HOOKS = Path(__file__).parents[1] / "schemathesis_hooks.py"
BUDGET_S = 20
OPTIONS = ("--checks=all", "--mode=all", f"--max-time={BUDGET_S}", "--continue-on-failure", "--no-color")
EXIT_TIMEOUT_S = 150


def check(server: RunningServer, folder: Path, parameters: dict[str, str], *options: str) -> str:
    """Run it against the server, with all checks; path parameters are taken from those given. -> its report."""
    lines = [f'"{name}" = "{value}"' for name, value in parameters.items()]
    config = folder / "schemathesis.toml"
    config.write_text("\n".join(["[parameters]", *lines, ""]), encoding="utf-8")
    done = subprocess.run(
        [COMMAND, "--config-file", config, "run", f"{server.url}/openapi.json", *OPTIONS, *options],
        capture_output=True,
        check=False,
        timeout=EXIT_TIMEOUT_S,
        cwd=folder,
        env=environment(SCHEMATHESIS_HOOKS=str(HOOKS)),
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # All but the one that gave it the document.
    paths = server.get("/openapi.json").json()["paths"]
    assert f"Tested: {len(paths) - 1}" in done.stdout, done.stdout
    return done.stdout


@pytest.mark.timeout(2 * EXIT_TIMEOUT_S)
def test_nothing_is_found_on_a_moving_market(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    """With names that there are, so that it comes to the books."""
    server = serve("--source", "synthetic:?instruments=3&rate=2000")
    server.wait_until_ready()
    book = server.get("/v1/books/SYN0?level=3&depth=all").json()
    # The worst bid is the least likely to move.
    worst_bid = book["bids"][-1]
    report = check(server, tmp_path, {"path.instrument": "SYN0", "path.order_id": worst_bid[3][0][0]})
    assert "cannot validate responses" not in report


@pytest.mark.timeout(2 * EXIT_TIMEOUT_S)
def test_nothing_is_found_on_a_recording(serve: Callable[..., RunningServer], tmp_path: Path, clx5: Path) -> None:
    """With names of its own making; the book is reached as the only one there is."""
    server = serve("--source", f"file:{clx5}")
    server.wait_for_state("ended")
    check(server, tmp_path, {})


@pytest.mark.timeout(2 * EXIT_TIMEOUT_S)
def test_nothing_is_found_where_keys_are_asked_for(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    """With a key, and without one where the document says that there has to be one."""
    env = {"L3BOOK_STATE_DIR": str(tmp_path / "state")}
    created = run("keys", "create", "--name", "check", "--scope", "control", env=env)
    assert created.returncode == 0, created.stderr
    server = serve("--source", "synthetic:?rate=1000", env=env)
    server.wait_until_ready()
    key = created.stdout.decode().strip()
    check(server, tmp_path, {"path.instrument": "SYN0"}, "--header", f"Authorization: Bearer {key}")
