import os
import stat
import threading
from pathlib import Path

import pytest

from l3book.cli.errors import CommandError
from l3book.cli.output import output_file


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "book.json"
    path.write_bytes(b"old")
    with output_file(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "book.json"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with output_file(path) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with output_file(link) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    with output_file(path) as stream:
        stream.write(b"through")
    reader.join(30)
    assert read == [b"through"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_new_files_follow_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "book.json"
    before = os.umask(0o027)
    try:
        with output_file(path) as stream:
            stream.write(b"{}")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["no/such/folder/book.json", "."])
def test_a_place_that_takes_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError) as refused, output_file(tmp_path / name):
        pass
    assert refused.value.exit_code == 2
    assert str(tmp_path) in str(refused.value)
