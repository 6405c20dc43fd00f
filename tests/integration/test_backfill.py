"""Many files at once: each into a history of its own, or a stream; what fails is named, what is there is left."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backfill_workers import dies_of_the_third, sleeps
from dbn_bytes import split
from history_log import recorded
from l3book import Market
from l3book._core import Compressor, Log, Past, Simulator
from l3book.backfill import pool
from l3book.backfill.folder import record
from l3book.backfill.task import Task
from running import COMMAND, EXIT_TIMEOUT_S, environment, error_line, run
from running_nats import RunningNats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDS = 5000
NOTHING_YET = "1 file: 0 done, 0 there already, 0 failed; 0 records"

# As a terminal's: the whole group gets it, when a worker runs Python, and has not been told anything yet.
CTRL_C_AT_THE_START_OF_A_WORKER = """
import multiprocessing.util, os, pathlib, re, signal, sys, time
from l3book.cli import main

start = multiprocessing.util.spawnv_passfds

def start_and_interrupt(path, arguments, descriptors):
    pid = start(path, arguments, descriptors)
    if "spawn_main" in str(arguments):
        status = pathlib.Path(f"/proc/{pid}/status")
        while not int(re.search("SigCgt:\\s*(\\w+)", status.read_text())[1], 16) >> (signal.SIGINT - 1) & 1:
            time.sleep(0.001)
        os.killpg(os.getpgrp(), signal.SIGINT)
    return pid

multiprocessing.util.spawnv_passfds = start_and_interrupt
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three good ones, one of them compressed."""
    folder, made = tmp_path_factory.mktemp("days"), []
    for seed in range(3):
        simulator = Simulator(seed=seed, instruments=2, resting_max=64)
        data = simulator.header() + simulator.read_last(RECORDS)
        path = folder / (f"day-{seed}.dbn.zst" if seed == 2 else f"day-{seed}.dbn")
        if seed == 2:
            compressor = Compressor()
            data = compressor.write(data) + compressor.finish()
        path.write_bytes(data)
        made.append(path)
    return made


def hash_of(path: Path) -> str:
    market = Market()
    market.feed_file(path)
    return market.state_hash()


def backfill(*arguments: object) -> tuple[int, str]:
    completed = run("backfill", *arguments)
    text = completed.stderr.decode()
    assert "Traceback" not in text, text
    return completed.returncode, text


def test_each_file_is_recorded_as_a_server_records_it(files: list[Path], tmp_path: Path) -> None:
    into = tmp_path / "histories"
    code, text = backfill(*files, "--to", into, "--workers", "2")
    assert (code, text) == (0, f"3 files: 3 done, 0 there already, 0 failed; {3 * RECORDS:,} records\n")
    for path in files:
        folder = into / path.name.removesuffix(".zst").removesuffix(".dbn")
        assert Log(folder).restore().state_hash() == hash_of(path)
        assert len(recorded(folder)) == RECORDS * 56
        assert json.loads((folder / "backfill.json").read_text())["records"] == RECORDS
        assert Log(folder).sessions()[0]["uri"] == f"file:{path}"
        assert Past(folder).range()
    assert json.loads(run("history", "info", into / "day-0", "--json").stdout)["tables"] is not None
    assert run("history", "verify", into / "day-0").returncode == 0
    assert recorded(into / "day-0") == split(files[0].read_bytes())[1]
    again = backfill(*files, "--to", into)
    assert again == (0, f"3 files: 0 done, 3 there already, 0 failed; {3 * RECORDS:,} records\n")
    assert not list(into.glob("*.partial"))


def test_one_file_that_fails_is_named_and_does_not_lose_the_others(files: list[Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.dbn"
    cut.write_bytes(files[0].read_bytes()[:-30])
    into = tmp_path / "histories"
    (into / "cut.partial").mkdir(parents=True)
    code, text = backfill(files[0], cut, files[1], "--to", into)
    assert code == 1
    lines = text.splitlines()
    assert lines[-1] == f"3 files: 2 done, 0 there already, 1 failed; {2 * RECORDS:,} records"
    assert [line for line in lines if line.startswith(f"l3book: {cut}: ")] == lines[:-1]
    assert "the stream ends inside record 4999: 26 of 56 bytes" in lines[0]
    assert sorted(path.name for path in into.iterdir()) == ["day-0", "day-1"]
    cut.write_bytes(files[0].read_bytes())
    assert backfill(files[0], cut, files[1], "--to", into)[1].startswith("3 files: 1 done, 2 there already")
    cut.write_bytes(files[1].read_bytes())
    code, text = backfill(cut, "--to", into)
    assert code == 1
    assert "is there already, and not of this file" in text


def test_two_files_of_one_name_are_refused(files: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "day-0.dbn"
    other.write_bytes(files[1].read_bytes())
    completed = run("backfill", files[0], other, "--to", tmp_path / "x")
    assert completed.returncode == 2
    assert "both would go to" in error_line(completed)


def test_a_worker_that_is_killed_costs_its_own_file_only(tmp_path: Path) -> None:
    tasks = [Task(tmp_path / str(number), str(number), 1) for number in range(8)]
    results = list(pool.run(tasks, dies_of_the_third, 3, lambda _: None))
    assert sorted(result.task.to for result in results) == [str(number) for number in range(8)]
    assert [result.task.to for result in results if result.outcome == "failed"] == ["3"]


@pytest.fixture
def nats() -> Iterator[RunningNats]:
    server = RunningNats()
    yield server
    server.close()


def test_each_file_is_a_stream_of_its_own(files: list[Path], nats: RunningNats) -> None:
    code, text = backfill(*files, "--to", nats.uri("DAYS"), "--workers", "2")
    assert (code, text) == (0, f"3 files: 3 done, 0 there already, 0 failed; {3 * RECORDS:,} records\n")
    assert backfill(*files, "--to", nats.uri("DAYS"))[1].startswith("3 files: 0 done, 3 there already")

    async def names(jetstream: Any) -> list[str]:
        return sorted(info.config.name for info in await jetstream.streams_info())

    assert nats.ask(names) == ["DAYS-day-0", "DAYS-day-1", "DAYS-day-2"]


def test_an_interrupt_does_not_wait_for_the_files_under_way(tmp_path: Path) -> None:
    """They may be large; what was made of them so far is no history yet, and is made anew next time."""

    def show(_: int) -> None:
        raise KeyboardInterrupt

    begun_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(pool.run([Task(tmp_path / str(number), "", 1) for number in range(3)], sleeps, 2, show))
    assert time.monotonic() - begun_s < 600


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Its exit code and all it wrote, once every process that has its standard error is gone."""
    try:
        _, text = process.communicate(timeout=EXIT_TIMEOUT_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, text.decode()


def begun(*command: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, env=environment(), start_new_session=True)


@pytest.mark.parametrize(
    ("number", "kill"),
    [
        (signal.SIGINT, os.kill),
        (signal.SIGINT, os.killpg),
        (signal.SIGTERM, os.kill),
        (signal.SIGTERM, os.killpg),
        (signal.SIGHUP, os.kill),
        (signal.SIGKILL, os.kill),
    ],
)
def test_no_worker_outlives_the_command(
    files: list[Path], tmp_path: Path, number: signal.Signals, kill: Callable[[int, int], None]
) -> None:
    day, into = tmp_path / "day.dbn", tmp_path / "histories"
    os.mkfifo(day)
    process = begun(COMMAND, "backfill", day, "--to", into)
    with day.open("wb"):
        # A worker has opened it too, and waits for what never comes.
        kill(process.pid, number)
        code, text = ended(process)
    if number == signal.SIGKILL:
        assert code == -number
    else:
        assert code == 128 + number
        assert text == f"{NOTHING_YET}; ended by {number.name}, the same command goes on\n"
    day.unlink()
    day.write_bytes(files[0].read_bytes())
    assert backfill(day, "--to", into)[0] == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here, to see when a worker heeds signals")
def test_ctrl_c_while_workers_start_is_one_line(files: list[Path], tmp_path: Path) -> None:
    process = begun(sys.executable, "-c", CTRL_C_AT_THE_START_OF_A_WORKER, "backfill", files[0], "--to", tmp_path / "x")
    assert ended(process) == (130, f"{NOTHING_YET}; ended by SIGINT, the same command goes on\n")


def test_a_folder_that_only_looks_unfinished_is_not_emptied(files: list[Path], tmp_path: Path) -> None:
    partial = tmp_path / "day-0.partial"
    partial.mkdir()
    (partial / "notes.txt").write_text("mine")
    result = record(Task(files[0], str(tmp_path / "day-0"), 1), lambda _: None)
    assert result.outcome == "failed"
    assert "day-0.partial: has notes.txt, and nothing of a history: expected " in str(result.error)
    assert (partial / "notes.txt").read_text() == "mine"


def test_a_file_that_another_backfill_records_is_left_to_it(files: list[Path], tmp_path: Path) -> None:
    partial = tmp_path / "day-0.partial"
    partial.mkdir()
    (partial / "lock").write_text("not whole yet")
    held = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    task = Task(files[0], str(tmp_path / "day-0"), 1)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = record(task, lambda _: None)
        assert result.outcome == "failed"
        assert "another backfill is writing it" in str(result.error)
        assert (partial / "lock").exists()
    finally:
        os.close(held)
    assert record(task, lambda _: None).outcome == "done", "what a dead one has left is no hindrance"
    assert not partial.exists()
    assert recorded(tmp_path / "day-0") == split(files[0].read_bytes())[1]
