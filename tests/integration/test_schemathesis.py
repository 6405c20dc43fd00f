"""Requests made from /openapi.json, good ones and bad ones, and every answer held against it."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recorded import serve_recorded, simulated
from running import RunningServer, environment, run

COMMAND = Path(sys.executable).parent / "schemathesis"
HOOKS = Path(__file__).parents[1] / "schemathesis_hooks.py"
ALL_BUT_THE_DOCUMENT = r"^/(?!openapi\.json)"
OPTIONS = ("--checks=all", "--mode=all", "--continue-on-failure", "--no-color")
EXIT_TIMEOUT_S = 400  # most of it to start on a machine that others load: what is tried has its own budget
PATIENCE = 6
"""Of what is tried, so many times as long where it was too short."""
RECORDS = 5000


def check(
    server: RunningServer,
    folder: Path,
    parameters: dict[str, str],
    *options: str,
    wanted: str = ALL_BUT_THE_DOCUMENT,
    budget_s: int = 20,
) -> str:
    """Run it against the server, with all checks; path parameters are taken from those given. -> its report.

    `wanted` is a pattern of paths.
    """
    lines = [f'"{name}" = "{value}"' for name, value in parameters.items()]
    config = folder / "schemathesis.toml"
    config.write_text("\n".join(["[parameters]", *lines, ""]), encoding="utf-8")
    paths = server.get("/openapi.json").json()["paths"]
    tested = f"Tested: {sum(len(methods) for path, methods in paths.items() if re.search(wanted, path))}"
    report = _run(server, config, *options, f"--max-time={budget_s}", f"--include-path-regex={wanted}")
    if tested not in report and "Time limit reached" in report:
        # A machine that others load came to a few operations only.
        more_s = PATIENCE * budget_s
        report = _run(server, config, *options, f"--max-time={more_s}", f"--include-path-regex={wanted}")
    assert tested in report, report
    return report


def _run(server: RunningServer, config: Path, *options: str) -> str:
    done = subprocess.run(
        [COMMAND, "--config-file", config, "run", f"{server.url}/openapi.json", *OPTIONS, *options],
        capture_output=True,
        check=False,
        timeout=EXIT_TIMEOUT_S,
        cwd=config.parent,
        env=environment(SCHEMATHESIS_HOOKS=str(HOOKS)),
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
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
def test_nothing_is_found_in_the_past(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    """With times and bodies of its own making, and names that there are."""
    limits = {"replays_per_key_max": 1000, "replays_max": 1000, "replay_idle_timeout_s": 60}
    recording = simulated(tmp_path / "sim.dbn", RECORDS, resting_max=64)
    server = serve_recorded(serve, recording, tmp_path / "history", **limits)
    book = server.get("/v1/books/SYN0?level=3&depth=all").json()
    made = {
        what: server.client.post(f"/v1/{what}", json=body).raise_for_status().json()["id"]
        for what, body in {
            "replays": {"from": book["ts_event"], "paused": True},
            "exports": {"start": book["ts_event"], "end": book["ts_event"], "schema": "mbo", "to": "csv"},
        }.items()
    }
    parameters = {
        "path.instrument": "SYN0",
        "path.order_id": book["bids"][-1][3][0][0],
        "path.replay": made["replays"],
        "path.export": made["exports"],
    }
    check(server, tmp_path, parameters, wanted="/v1/(books|replays|exports)", budget_s=30)


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
