"""The processes in which servers index, seen from outside: by /proc."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

WAIT_S = 60
POLL_S = 0.02
NAME = b"l3book-indexing"

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found by /proc")


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended, be it awaited or not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] not in {"Z", "X"}


def indexers_of(folder: Path) -> list[int]:
    """The processes that index the history of a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if NAME in words and str(folder).encode() in words and is_running(int(path.parent.name)):
            found.append(int(path.parent.name))
    return found


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, such as a server's that indexes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid:
            found.append(int(path.parent.name))
    return found


def wait_for_indexer(folder: Path, *, other_than: int = 0) -> int:
    """Wait until there is one; -> its pid."""
    until_s = time.monotonic() + WAIT_S
    while True:
        if found := [pid for pid in indexers_of(folder) if pid != other_than]:
            return found[0]
        assert time.monotonic() < until_s, "nobody indexes"
        time.sleep(POLL_S)


def wait_for_end(pid: int) -> None:
    until_s = time.monotonic() + WAIT_S
    while is_running(pid):
        assert time.monotonic() < until_s, f"{pid} still runs"
        time.sleep(POLL_S)
