"""A server that records: what it was fed is in the log, and where it cannot record it says so."""

from __future__ import annotations

import signal
import struct
import time
from typing import TYPE_CHECKING

import pytest

from dbn_bytes import split
from histories import record
from history_log import marks, recorded, segments
from l3book import Market
from l3book._core import Log, Simulator
from recorded import wait_until_durable
from running import POLL_INTERVAL_S, STATE_TIMEOUT_S, error_line, run

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
    told = second.get("/v1/history")
    assert (told.status_code, told.json()["detail"]) == (501, f"this server keeps no history: {ready['warning']}")
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


def test_nothing_is_recorded_among_somebodys_files(tmp_path: Path) -> None:
    """A folder that was named by mistake is left as it is, and so is the state, which would be made before."""
    mine, state = tmp_path / "mine", tmp_path / "state"
    mine.mkdir()
    for name in ("day-1.dbn.zst", "day-2.dbn.zst"):
        (mine / name).write_bytes(b"mine")
    done = run("serve", "--port", "0", "--history", mine, env={"L3BOOK_STATE_DIR": str(state)})
    assert done.returncode == 2
    assert error_line(done) == (
        f"l3book: history {mine}: has day-1.dbn.zst, day-2.dbn.zst, and nothing of a history: "
        "expected a new or empty folder, or one that `l3book serve` recorded in"
    )
    assert sorted(path.name for path in mine.iterdir()) == ["day-1.dbn.zst", "day-2.dbn.zst"]
    assert not state.exists()


def test_a_fresh_volume_is_recorded_in(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    server = serve("--source", "synthetic:", "--history", str(tmp_path))
    assert server.get("/readyz").json()["recording"] == "recording"
    end(server)
    end(serve("--source", "synthetic:", "--history", str(tmp_path)))


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
    assert error_line(done).endswith("--no-history and --history: expected one of them")
    assert done.returncode == 2


INDEX_HEADER_BYTES, ENTRY_BYTES = 16, 80


def damage_frame(segment: Path, number: int) -> None:
    """Flip a bit in the middle of a frame: 0 has the metadata, 1 the marks, others have records."""
    index = segment.with_name(segment.name.replace(".dbn.zst", ".index")).read_bytes()
    _, offset, length = struct.unpack_from("<QQI", index, INDEX_HEADER_BYTES + number * ENTRY_BYTES)
    content = bytearray(segment.read_bytes())
    content[offset + length // 2] ^= 1
    segment.write_bytes(content)


@pytest.mark.parametrize(("frame", "name"), [(0, "metadata"), (1, "marks")])
def test_a_server_starts_and_records_where_an_old_segment_begins_with_damage(
    serve: Callable[..., RunningServer], tmp_path: Path, frame: int, name: str
) -> None:
    path, folder = tmp_path / "sim.dbn", tmp_path / "history"
    simulator = Simulator(seed=5, instruments=2, resting_max=300)
    records = simulator.read(RECORDS // 10)
    path.write_bytes(simulator.header() + records)
    options = ("--source", f"file:{path}", "--history", str(folder))
    first = serve(*options)
    first.wait_for_state("ended")
    end(first)
    # Damage in the last segment is set aside: an old one has another behind it.
    record(folder, session="synthetic:", pieces=1)
    segment = segments(folder)[0]
    damage_frame(segment, frame)
    damaged = segment.read_bytes()
    # Tables are made of what there is, from its beginning.
    for tables in folder.glob("history.sqlite*"):
        tables.unlink()

    server = serve(*options)
    line = server.wait_for_line("a segment is damaged")
    assert str(segment) in line.string
    server.wait_for_state("ended")
    wait_until_durable(server)
    until_s = time.monotonic() + STATE_TIMEOUT_S
    while not any(
        row["ordinal"] > RECORDS // 10 for row in server.get("/v1/books/SYN0/history/trades").json()["trades"]
    ):
        assert time.monotonic() < until_s, "tables stand still at the damage"
        time.sleep(POLL_INTERVAL_S)
    told = server.get("/v1/history").json()
    assert [session["records"] for session in told["sessions"]][::2] == [RECORDS // 10] * 2
    (hole,) = told["holes"]
    assert (hole["ordinal"], hole["records"]) == (0, 0)
    assert name in hole["reason"]
    assert server.get(f"/v1/books/SYN0?at={told['end']}").status_code == 200
    end(server)
    assert segment.read_bytes() == damaged, "nothing is touched"
    assert Log(folder).read(0, RECORDS // 10)[1] == records, "nothing good is lost"
    info = run("history", "info", folder)
    assert b"damaged" in info.stdout, info.stdout
    verified = error_line(run("history", "verify", folder))
    assert str(segment) in verified
