"""Small files, and pipes that end or do not."""

import os
import threading
from pathlib import Path

import pytest

from l3book import small_file
from l3book.small_file import read_small_file

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def written(path: Path, *parts: bytes) -> threading.Thread:
    """Somebody who opens the pipe, writes, and closes it."""

    def write() -> None:
        with path.open("wb", buffering=0) as stream:
            for part in parts:
                stream.write(part)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def test_a_pipe_is_read_to_its_end(pipe: Path) -> None:
    writer = written(pipe, b"port = ", b"8000\n")
    assert read_small_file(pipe, 100) == b"port = 8000\n"
    writer.join()


def test_a_pipe_can_hold_too_much(pipe: Path) -> None:
    writer = written(pipe, b"x" * 11)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        read_small_file(pipe, 10)
    writer.join()


@pytest.mark.parametrize("is_open", [False, True], ids=["nobody writes", "nobody closes"])
def test_a_pipe_that_does_not_end_is_not_waited_for(pipe: Path, monkeypatch: pytest.MonkeyPatch, is_open: bool) -> None:
    monkeypatch.setattr(small_file, "PIPE_TIMEOUT_S", 0.05)
    other = os.open(pipe, os.O_RDWR) if is_open else None
    try:
        with pytest.raises(TimeoutError, match="nobody has written to and closed") as raised:
            read_small_file(pipe, 100)
        assert raised.value.filename == str(pipe)
    finally:
        if other is not None:
            os.close(other)
