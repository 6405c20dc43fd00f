"""A server that records: what it was fed is in the log, and where it cannot record it says so."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from dbn_bytes import split
from history_log import marks, recorded, segments
from l3book import Market
from l3book._core import Log, Simulator
from running import error_line, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from running import RunningServer

RECORDS = 200_000


@pytest.fixture(scope="module")
def made() -> bytes:
    simulator = Simulator(seed=5, instruments=3)
    return simulator.header() + simulator.read(RECORDS)


def end(server: RunningServer) -> None:
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0, "".join(server.lines)


def hash_of(path: Path) -> str:
    market = Market()
    market.feed_file(path)
    return market.state_hash()


def test_the_log_has_the_files_records_byte_by_byte(
    serve: Callable[..., RunningServer], recording: Path, tmp_path: Path
) -> None:
    """As fast as the file is read, through a queue that is much smaller: the file waits for the recorder."""
    folder = tmp_path / "history"
    settings = {"L3BOOK_HISTORY_QUEUE_BYTES_MAX": "1048576", "L3BOOK_HISTORY_SEGMENT_BYTES_MAX": "1000000"}
    server = serve("--source", f"file:{recording}", "--history", str(folder), env=settings)
    server.wait_for_state("ended")
    assert server.get("/readyz").json() == {"status": "ready", "recording": "recording"}
    end(server)
    body = split(recording.read_bytes())[1]
    assert recorded(folder) == body
    assert len(segments(folder)) > 1
    assert not marks(folder, "hole")
    assert Log(folder).restore().state_hash() == hash_of(recording)


def test_real_records_are_in_the_log_byte_by_byte(
    serve: Callable[..., RunningServer], clx5: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "history"
    server = serve("--source", f"file:{clx5}", "--history", str(folder))
    server.wait_for_state("ended")
    end(server)
    assert recorded(folder) == split(clx5.read_bytes())[1]


def test_metrics_tell_of_the_recorder(serve: Callable[..., RunningServer], recording: Path, tmp_path: Path) -> None:
    server = serve("--source", f"file:{recording}", "--history", str(tmp_path / "history"))
    server.wait_for_state("ended")
    while (history := server.metrics()["history"])["recorder"]["durable_ordinal"] < RECORDS:
        assert history["state"] == "recording"
    recorder = history["recorder"]
    assert (history["warning"], recorder["error"]) == (None, None)
    assert recorder["records"] == recorder["next_ordinal"] == server.metrics()["totals"]["messages"]
    assert recorder["bytes_plain"] > recorder["bytes_written"] > 0
    assert recorder["holes"] == recorder["records_lost"] == recorder["write_errors"] == 0
    while (indexing := server.metrics()["history"]["indexing"])["position"] == 0 or indexing["lag_s"] > 0:
        assert indexing["state"] == "indexing"
    assert indexing["rows"] > indexing["batches"] > 0
    assert (indexing["store"], indexing["error"]) == ("sqlite", None)


def test_a_file_served_again_is_another_session(
    serve: Callable[..., RunningServer], recording: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "history"
    for _ in range(2):
        server = serve("--source", f"file:{recording}", "--history", str(folder))
        server.wait_for_state("ended")
        end(server)
    body = split(recording.read_bytes())[1]
    assert recorded(folder) == body + body
    assert [mark.text for mark in marks(folder, "session")] == [f"session file:{recording}"] * 2
    log = Log(folder)
    assert [session["ordinal"] for session in log.sessions()] == [0, len(body) // 56]
    assert log.restore().state_hash() == hash_of(recording), "the second session begins with empty books"


def test_without_a_folder_each_source_has_its_own(
    serve: Callable[..., RunningServer], recording: Path, tmp_path: Path
) -> None:
    state = {"L3BOOK_STATE_DIR": str(tmp_path / "state"), "L3BOOK_NO_HISTORY": "0"}
    for uri in (f"file:{recording}", "synthetic:"):
        server = serve("--source", uri, env=state)
        server.wait_until_ready()
        assert server.get("/readyz").json()["recording"] == "recording"
        end(server)
    names = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "state" / "history").iterdir())
    assert names == ["file-recording.dbn", "synthetic"]


def test_a_second_server_on_the_default_folder_serves_without_recording(
    serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    state = {"L3BOOK_STATE_DIR": str(tmp_path), "L3BOOK_NO_HISTORY": "0"}
    first = serve("--source", "synthetic:", env=state)
    second = serve("--source", "synthetic:", env=state)
    second.wait_until_ready()
    ready = second.get("/readyz").json()
    assert (ready["status"], ready["recording"]) == ("ready", "taken")
    (folder,) = (tmp_path / "history").iterdir()
    assert ready["warning"].startswith("not recorded: the history's folder: another recorder writes there")
    history = second.metrics()["history"]
    assert history == {"state": "taken", "warning": ready["warning"], "recorder": None, "indexing": None}
    warnings = [line for line in second.lines if "warning" in line]
    in_full = ready["warning"].replace("the history's folder", str(folder))
    assert warnings == [f"l3book: warning: {in_full}\n"]
    assert first.get("/readyz").json()["recording"] == "recording"


def test_a_second_server_on_a_named_folder_does_not_start(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    first = serve("--source", "synthetic:", "--history", str(tmp_path))
    done = run("serve", "--port", "0", "--history", tmp_path)
    line = error_line(done)
    assert done.returncode == 2
    assert str(tmp_path) in line
    assert str(first.process.pid) in line, "it names who holds the folder"


def test_the_folder_is_free_after_a_kill(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    serve("--source", "synthetic:", "--history", str(tmp_path)).kill()
    server = serve("--source", "synthetic:", "--history", str(tmp_path))
    server.wait_until_ready()
    assert server.get("/readyz").json()["recording"] == "recording"


def test_no_history_leaves_no_trace(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    env = {"L3BOOK_STATE_DIR": str(tmp_path), "L3BOOK_NO_HISTORY": "0"}
    server = serve("--no-history", env=env)
    server.wait_until_ready()
    assert server.get("/readyz").json() == {"status": "ready", "recording": "off"}
    assert server.metrics()["history"] == {"state": "off", "warning": None, "recorder": None, "indexing": None}
    end(server)
    assert not (tmp_path / "history").exists()


def test_a_folder_and_no_history_contradict_each_other(tmp_path: Path) -> None:
    done = run("serve", "--history", tmp_path, "--no-history")
    assert error_line(done).endswith("--no-history is True: expected false where history names a folder")
    assert done.returncode == 2
