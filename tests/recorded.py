"""Servers that record what a file holds, and what the same file says of its past."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import msgspec

from l3book import Market
from l3book._core import FileReader, Simulator
from running import POLL_INTERVAL_S, STATE_TIMEOUT_S, RunningServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


SETTLING_NS = 100_000_000
"""The synthetic market begins with a snapshot of each book, one after the other."""


def simulated(path: Path, records: int, **options: int) -> Path:
    """Write a recording of the synthetic market."""
    simulator = Simulator(**options)
    path.write_bytes(simulator.header() + simulator.read(records))
    return path


def serve_recorded(
    serve: Callable[..., RunningServer], path: Path, folder: Path, *arguments: str, **settings: object
) -> RunningServer:
    """Serve the file with a history in the folder, and wait until all of it is on disk and in the tables."""
    env = {f"L3BOOK_{name.upper()}": str(value) for name, value in settings.items()}
    server = serve("--source", f"file:{path}", "--history", str(folder), *arguments, env=env)
    server.wait_for_state("ended")
    wait_until_recorded(server)
    return server


@contextlib.contextmanager
def recorded_server(path: Path, folder: Path, **settings: object) -> Iterator[RunningServer]:
    """`serve_recorded` for the tests of a module: it ends with the context."""
    with contextlib.ExitStack() as running:

        def start(*arguments: str, **options: Any) -> RunningServer:
            server = RunningServer(*arguments, **options)
            running.callback(server.kill)
            server.wait_until_listening()
            return server

        yield serve_recorded(start, path, folder, **settings)


def wait_until_recorded(server: RunningServer) -> None:
    """Wait until everything applied so far is durable, and derived tables have it too."""
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while not _is_recorded(server):
        assert time.monotonic() < deadline_s, server.metrics()["history"]
        time.sleep(POLL_INTERVAL_S)


def wait_until_durable(server: RunningServer) -> None:
    """Wait until everything applied so far is in the log."""
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while not _is_durable(server.metrics()):
        assert time.monotonic() < deadline_s, server.metrics()["history"]
        time.sleep(POLL_INTERVAL_S)


def _is_durable(metrics: dict[str, Any]) -> bool:
    durable: int = metrics["history"]["recorder"]["durable_ordinal"]
    applied: int = metrics["totals"]["messages"]
    return durable >= applied


def _is_recorded(server: RunningServer) -> bool:
    metrics = server.metrics()
    records = metrics["totals"]["messages"]
    if not _is_durable(metrics):
        return False
    # Rows of the last second tell which record was the last before its end.
    for book in server.get("/v1/instruments").json()["instruments"]:
        answer = server.get(f"/v1/books/{book['publisher_id']}:{book['instrument_id']}/history/bbo?limit=10000")
        rows = answer.json().get("bbo", [])
        if rows and rows[-1]["ordinal"] == records - 1:
            return True
    return False


def ends_of(path: Path) -> tuple[int, int]:
    """Two times (ns) between which the books of a file move."""
    first = FileReader(path).next_ts
    assert first is not None
    market = Market()
    market.feed_file(path)
    return first + SETTLING_NS, max(entry.ts_event for entry in market.instruments())


def times_of(path: Path) -> list[int]:
    """The ts_event of every event of a file, in order."""
    market = Market()
    times: list[int] = []
    reader = FileReader(path)
    while chunk := reader.read(1):
        market.feed(chunk)
        latest = max((entry.ts_event for entry in market.instruments()), default=0)
        if latest and (not times or times[-1] != latest):
            times.append(latest)
    return times


def book_as_of(path: Path, at: int, instrument: str, *, level: Any = 2, depth: int | None = 10) -> dict[str, Any]:
    """The book that the file alone leads to, as `reconstruct --at` does; without its epoch."""
    market = Market(until=at)
    market.feed_file(path)
    return without_epoch(msgspec.json.decode(market.book_json(instrument, level=level, depth=depth)))


def without_epoch(book: dict[str, Any]) -> dict[str, Any]:
    """Runs of a book have names of their own; all else is the same."""
    return {name: value for name, value in book.items() if name != "epoch"}
