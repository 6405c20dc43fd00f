"""Record many DBN files at once: each into a history folder of its own, or into a stream of NATS JetStream."""

import argparse
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from l3book.cli.ending import Ended
from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError, check_input_file
from l3book.cli.numbers import WholeNumber, counted
from l3book.cli.progress import bytes_progress
from l3book.shutdown import Shutdown

if TYPE_CHECKING:
    from l3book.backfill.pool import Work
    from l3book.backfill.task import Task

WORKERS_MAX = 256
_SUFFIXES = (".zst", ".dbn")
_NO_STREAM = re.compile(r"[^A-Za-z0-9_-]+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".dbn or .dbn.zst")
    parser.add_argument(
        "--to",
        required=True,
        metavar="DIR or URI",
        help="a folder, in which each file gets a history of its own; or nats://HOST:PORT/NAME, for streams NAME-FILE",
    )
    parser.add_argument(
        "--workers",
        type=WholeNumber(1, WORKERS_MAX),
        default=os.cpu_count() or 1,
        metavar="N",
        help="files at once (default: one for each processor)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do all files; -> 0 if each is there now, 1 if any failed. Raises Ended once no process is at work any more."""
    for path in arguments.files:
        check_input_file(path)
    tasks, work = _to_streams(arguments) if ":" in arguments.to else _to_folders(arguments)
    from l3book.backfill import pool

    shutdown = Shutdown()
    shutdown.install()
    counts: Counter[str] = Counter()
    records = 0
    size = sum(task.size for task in tasks)
    try:
        with bytes_progress(counted(len(tasks), "file"), size) as progress:

            def show(read: int) -> None:
                # Only here: while a process is being started, it would be left half-begun, and say so.
                _heed(shutdown)
                if progress is not None:
                    progress(read, size)

            for result in pool.run(tasks, work, arguments.workers, show):
                counts[result.outcome] += 1
                records += result.records
                if result.error is not None:
                    print(f"l3book: {result.task.file}: {result.error}", file=sys.stderr, flush=True)
    except Ended as ended:
        why = f"ended by {signal.Signals(ended.number).name}, the same command goes on"
        print(f"{_summary(len(tasks), counts, records)}; {why}", file=sys.stderr)
        raise
    print(_summary(len(tasks), counts, records), file=sys.stderr)
    return EXIT_ANSWER_IS_NO if counts["failed"] else 0


def _heed(shutdown: Shutdown) -> None:
    if shutdown.number is not None:
        raise Ended(shutdown.number)


def _summary(files: int, counts: Counter[str], records: int) -> str:
    done, there, failed = (counts[outcome] for outcome in ("done", "there", "failed"))
    outcomes = f"{done:,} done, {there:,} there already, {failed:,} failed"
    return f"{counted(files, 'file')}: {outcomes}; {counted(records, 'record')}"


def _to_folders(arguments: argparse.Namespace) -> "tuple[list[Task], Work]":
    from l3book.backfill.folder import record

    into = Path(arguments.to)
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--to: {into}: {error.strerror or error}: expected a folder") from None
    return _tasks(arguments.files, lambda name: str(into / name)), record


def _to_streams(arguments: argparse.Namespace) -> "tuple[list[Task], Work]":
    from l3book.backfill.stream import publish
    from l3book.cli.publish import address_of

    address = address_of(arguments.to)

    def to(name: str) -> str:
        stream = f"{address.stream}-{_NO_STREAM.sub('-', name)}"
        query = "?tls=1" if address.is_tls else ""
        uri = f"{str(address).rpartition('/')[0]}/{stream}{query}"
        address_of(uri)
        return uri

    return _tasks(arguments.files, to), publish


def _tasks(files: list[Path], to: Callable[[str], str]) -> "list[Task]":
    from l3book.backfill.task import Task

    tasks: dict[str, Task] = {}
    for path in files:
        name = path.name
        for suffix in _SUFFIXES:
            name = name.removesuffix(suffix)
        place = to(name)
        if place in tasks:
            raise CommandError(f"{path} and {tasks[place].file}: both would go to {place}: expected different names")
        tasks[place] = Task(path, place, path.stat().st_size)
    return list(tasks.values())
