"""Disks that are full, read-only or no disks at all: the books go on, and everybody is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from dbn_bytes import RECORD_BYTES
from history_log import marks
from l3book import Market
from l3book._core import Log, Simulator
from running import error_line, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from running import RunningServer

pytestmark = pytest.mark.alone

TIMEOUT_S = 90
POLL_S = 0.05
SEED = 3
SMALL_BYTES, LARGE_BYTES = 2 << 20, 256 << 20


def wait_for(server: RunningServer, condition: Callable[[dict], bool]) -> dict:
    """The history's metrics, once they are so."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition(history := server.metrics()["history"]):
        assert time.monotonic() < deadline_s, f"{history}\n{''.join(server.lines)}"
        time.sleep(POLL_S)
    return history


def mount(folder: Path, *options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of two megabytes."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root on Linux can mount a small tmpfs to fill")
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount(folder, "-o", f"size={SMALL_BYTES}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error.stderr.decode().strip()}")
    yield folder
    # Lazily, for the sake of a server that a failed test has left running.
    subprocess.run(["umount", "-l", str(folder)], check=True)


def truth(records: int) -> Market:
    """What so many records of the synthetic source make."""
    simulator = Simulator(seed=SEED, instruments=2)
    body = b""
    market = Market()
    market.feed(simulator.header())
    while len(body) < records * RECORD_BYTES:
        body += simulator.read(100_000)
    market.feed(body[: records * RECORD_BYTES])
    return market


def test_a_full_disk_makes_a_hole_and_the_books_go_on(serve: Callable[..., RunningServer], small_disk: Path) -> None:
    folder = small_disk / "history"
    server = serve(
        "--source",
        f"synthetic:?instruments=2&seed={SEED}&rate=100000",
        "--history",
        str(folder),
        env={"L3BOOK_HISTORY_QUEUE_BYTES_MAX": "1048576", "L3BOOK_HISTORY_FSYNC_MS": "50"},
    )
    failing = wait_for(
        server, lambda history: history["state"] == "failing" and history["recorder"]["records_lost"] > 0
    )
    assert "space" in failing["warning"].lower()
    ready = server.get("/readyz")
    assert (ready.status_code, ready.json()["recording"]) == (200, "failing")
    assert "space" in ready.json()["warning"].lower()
    seq = server.get("/v1/books/SYN0").json()["seq"]
    while server.get("/v1/books/SYN0").json()["seq"] == seq:
        time.sleep(POLL_S)
    subprocess.run(["mount", "-o", f"remount,size={LARGE_BYTES}", str(small_disk)], check=True)
    durable = failing["recorder"]["durable_ordinal"]
    again = wait_for(
        server,
        lambda history: history["recorder"]["durable_ordinal"] > durable + 10_000 and history["warning"] is None,
    )
    assert again["state"] == "recording"
    assert again["indexing"]["state"] == "indexing"
    assert again["recorder"]["holes"] >= 1
    assert server.get("/readyz").json() == {"status": "ready", "recording": "recording"}
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0, "".join(server.lines)
    log = Log(folder)
    holes = log.holes()
    assert len(holes) == len(marks(folder, "hole")) >= 1
    assert sum(hole["end"] - hole["first"] for hole in holes) == again["recorder"]["records_lost"]
    assert log.verify()["good"]
    assert log.restore().state_hash() == truth(log.end_ordinal).state_hash()
    after = (holes[-1]["end"] + log.end_ordinal) // 2
    assert log.restore(after).state_hash() == truth(after).state_hash()
    before = holes[0]["first"] // 2
    assert log.restore(before).state_hash() == truth(before).state_hash()


def test_a_folder_that_cannot_be_written_is_refused_where_it_was_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    for folder in (file, file / "below"):
        done = run("serve", "--port", "0", "--history", folder)
        assert str(folder) in error_line(done)
        assert done.returncode == 2


def test_a_read_only_disk_is_refused_where_it_was_named(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = run("serve", "--port", "0", "--history", small_disk / "history")
    line = error_line(done)
    assert str(small_disk / "history") in line
    assert "read-only" in line.lower()
    assert done.returncode == 2


def test_a_default_folder_that_cannot_be_used_is_done_without(
    serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    (tmp_path / "history").write_bytes(b"")
    server = serve(env={"L3BOOK_STATE_DIR": str(tmp_path), "L3BOOK_NO_HISTORY": "0"})
    server.wait_until_ready()
    ready = server.get("/readyz").json()
    assert (ready["status"], ready["recording"]) == ("ready", "unavailable")
    assert str(tmp_path) not in ready["warning"]
    (line,) = [line for line in server.lines if line.startswith("l3book: warning: ")]
    assert f"not recorded: {tmp_path / 'history'}" in line
