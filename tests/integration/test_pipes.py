"""`l3book reconstruct` on what is no regular file: read once, in order, and never deaf to Ctrl-C."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from dbn_bytes import UNIT, metadata, record
from running import COMMAND, EXIT_TIMEOUT_S, POLL_INTERVAL_S, environment, error_line

HEAD = metadata(symbols={"AB": 7})
ADD = record("A", "B", 100 * UNIT, size=1, order_id=1, instrument_id=7)
LARGE = HEAD + b"".join(record("A", "B", UNIT, size=1, order_id=i, instrument_id=7) for i in range(10_000))


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def reconstruct(path: Path | str, content: bytes) -> subprocess.CompletedProcess[bytes]:
    """The command on a path, and its standard input."""
    return subprocess.run(
        [COMMAND, "reconstruct", path],
        input=content,
        capture_output=True,
        check=False,
        timeout=EXIT_TIMEOUT_S,
        env=environment(),
    )


def started(path: Path | str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [COMMAND, "reconstruct", path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )


def interrupted(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    process.send_signal(signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=EXIT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, output, errors


def test_standard_input_is_read_to_its_end() -> None:
    done = reconstruct("/dev/stdin", LARGE)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["orders"] == 10_000
    assert b"10,000 records" in done.stderr


def test_a_named_pipe_is_read_to_its_end(pipe: Path) -> None:
    process = started(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(LARGE,), daemon=True)
    writer.start()
    output, _ = process.communicate(timeout=EXIT_TIMEOUT_S)
    writer.join(EXIT_TIMEOUT_S)
    assert process.returncode == 0
    assert json.loads(output)["orders"] == 10_000


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (HEAD + ADD + b"cut", f"byte {len(HEAD) + len(ADD) + 3}: the stream ends"),
        (HEAD + ADD + bytes(56), f"byte {len(HEAD) + len(ADD)}: record 1"),
    ],
)
def test_damage_names_the_path_as_for_a_file(content: bytes, where: str) -> None:
    done = reconstruct("/dev/stdin", content)
    assert error_line(done).startswith(f"l3book: /dev/stdin: {where}")
    assert done.returncode == 1
    assert json.loads(done.stdout)["bids"] == [["100.00", 1, 1]]


@pytest.mark.parametrize(("path", "where"), [("/dev/null", "byte 0: "), ("/dev/zero", "byte 0: ")])
def test_devices_that_are_no_dbn_end_with_a_line(path: str, where: str) -> None:
    done = reconstruct(path, b"")
    assert error_line(done).startswith(f"l3book: {path}: {where}")
    assert done.returncode == 1


def test_ctrl_c_ends_the_wait_for_a_writer(pipe: Path) -> None:
    process = started(pipe)
    wait_until_it_sleeps(process)
    assert interrupted(process) == (130, b"", b"")


def test_ctrl_c_ends_the_wait_for_more(pipe: Path) -> None:
    process = started(pipe)
    with pipe.open("wb") as stream:
        stream.write(HEAD + ADD)
        stream.flush()
        wait_until_it_sleeps(process)
        assert interrupted(process) == (130, b"", b"")


def wait_until_it_sleeps(process: subprocess.Popen[bytes]) -> None:
    """Until it has loaded the core and waits for the pipe; a signal before that proves nothing."""
    maps, status = (Path(f"/proc/{process.pid}/{name}") for name in ("maps", "stat"))
    if not maps.is_file():
        pytest.skip("no /proc on this machine, to see what the command does")
    deadline_s = time.monotonic() + EXIT_TIMEOUT_S
    asleep = 0
    while asleep < 20 and time.monotonic() < deadline_s:
        sleeping = status.read_text().rpartition(")")[2].split()[0] == "S"
        asleep = asleep + 1 if sleeping and "_core" in maps.read_text() else 0
        time.sleep(POLL_INTERVAL_S)
    assert asleep == 20
    assert process.poll() is None
