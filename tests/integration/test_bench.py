"""`l3book bench` measures on the machine it runs on. No test asserts a time."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from dbn_bytes import UNDEF_PRICE, metadata, record
from running import error_line, run

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = 20_000
NUMBERS = {
    "messages_per_second",
    "feed_ns_per_message",
    "feed_ns_per_message_min",
    "feed_ns_per_message_max",
    "apply_p50_ns",
    "apply_p99_ns",
    "snapshot_ns",
    "snapshot_json_ns",
}


def test_synthetic_as_json() -> None:
    done = run("bench", "--messages", MESSAGES, "--instruments", 3, "--json")
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["messages"] >= MESSAGES
    assert (found["source"], found["books"]) == ("synthetic", 3)
    assert found["orders"] > 0
    assert all(found[name] > 0 for name in NUMBERS)
    assert set(found) == NUMBERS | {"source", "version", "messages", "books", "orders"}


@pytest.mark.parametrize("name", ["a.dbn", "a.dbn.zst"])
def test_a_file_in_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert run("simulate", "-o", path, "--messages", MESSAGES).returncode == 0
    done = run("bench", path)
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    assert f"{path}: {MESSAGES:,} messages, 1 books" in text
    for word in ("messages/s", "p50", "p99", "snapshot(10)"):
        assert word in text


def test_only_the_first_messages_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    assert run("simulate", "-o", path, "--messages", MESSAGES).returncode == 0
    found = json.loads(run("bench", path, "--messages", 2_000, "--json").stdout)
    assert 2_000 <= found["messages"] < 4_000


def test_what_cannot_be_measured_is_one_line(tmp_path: Path) -> None:
    missing = run("bench", tmp_path / "none.dbn")
    assert (missing.returncode, b"no such file" in missing.stderr) == (2, True)
    empty = tmp_path / "empty.dbn"
    empty.write_bytes(metadata())
    nothing = run("bench", empty)
    assert (nothing.returncode, b"no MBO records" in nothing.stderr) == (1, True)
    broken = tmp_path / "broken.dbn"
    broken.write_bytes(metadata() + b"\xff" * 100)
    bad = run("bench", broken)
    assert (bad.returncode, bad.stdout) == (1, b"")
    assert run("bench", "--messages", "0").returncode == 2
    for done in (missing, nothing, bad):
        assert done.stderr.count(b"\n") == 1
        assert done.stderr.startswith(b"l3book: ")


@pytest.mark.parametrize("name", ["a.dbn", "a.dbn.zst"])
def test_a_recording_that_is_cut_is_not_measured(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert run("simulate", "-o", path, "--messages", MESSAGES).returncode == 0
    path.write_bytes(path.read_bytes()[:-30])
    done = run("bench", path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert re.match(f"l3book: {path}: byte .* the stream ends .*inside", error_line(done))
    # What is behind the first records is not read.
    assert run("bench", path, "--messages", 2_000).returncode == 0


def test_records_that_are_rejected_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    path.write_bytes(metadata() + record("A", "B", 1, size=1, order_id=1) + record("A", "B", UNDEF_PRICE, size=1))
    done = run("bench", path, "--json")
    assert (done.returncode, json.loads(done.stdout)["messages"]) == (1, 2)
    assert f"{path}: 1 records rejected, the first: " in error_line(done)
