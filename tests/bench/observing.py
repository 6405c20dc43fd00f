"""What traces and log ids cost: a request, a chunk of the feed, and a look at a group of subscribers.

    python tests/bench/observing.py [--without CHECKOUT]

`off` as installed, `on` with everything traced (and exported to nobody), `without` in a checkout of another commit, one
before there were traces. Two numbers of each: bytecodes that Python runs, which are the same at every run, and
processor time, of which the least of many rounds counts: processes of all modes take turns, since a machine drifts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ROOT = Path(__file__).parents[2]
CASES = {"request": 100, "chunk of 1,000 records": 20, "look at a group": 1000}
"""And how many of them are a round."""
ROUNDS = 8
TURNS = 4
RECORDS = 1000


class NoSource:
    """An engine wants one; it is fed by hand here."""

    uri = "made:"

    def close(self) -> None:
        """Nothing to close."""


class Nobody:
    """Subscribes, and reads nothing."""

    encoding = "text"

    def deliver(self, update: object) -> None:
        """Take it."""

    def fail(self) -> None:
        """Never."""


def trace() -> None:
    """Trace everything, and send it nowhere."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    from l3book import tracing
    from l3book.tracing import spans

    class Nowhere(SpanExporter):
        def __init__(self, **_: object) -> None:
            super().__init__()

        def export(self, _spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    spans.OTLPSpanExporter = Nowhere  # type: ignore[assignment,misc]
    tracing.start("http://127.0.0.1:1")


async def measured(case: str, folder: Path) -> dict[str, float]:
    """Bytecodes and processor time of one."""
    from l3book._core import Market, Simulator
    from l3book.access.guard import Guard
    from l3book.api.app import create_app
    from l3book.config import InForce, Settings
    from l3book.engine import Engine
    from l3book.hub import Hub
    from l3book.streams.group import GroupKey

    market, simulator = Market(), Simulator(seed=1)
    engine = Engine(NoSource(), market)  # type: ignore[arg-type]
    engine._take(simulator.header() + simulator.read(20_000))
    hub = Hub(market, engine)
    settings = Settings(state_dir=folder, requests_per_s_max=0)
    times = CASES[case]
    with contextlib.closing(Guard(settings)) as guard:
        app = create_app(hub, InForce(settings), guard)
        chunks = iter([simulator.read(RECORDS) for _ in range(times * ROUNDS + 2)] if case.startswith("chunk") else ())
        key = GroupKey("depth", *hub.keys()[0], 10, 2, None, 1000)
        ticker = hub.streams._ticker(hub.streams.join(key, Nobody()))  # type: ignore[arg-type]
        slot = next(slot for slot in ticker._slots if slot)

        async def one() -> None:
            if case == "request":
                await ask(app)
            elif case.startswith("chunk"):
                engine._take(next(chunks))
            else:
                await ticker._poll_all(slot)

        await one()
        with counted() as bytecodes:
            await one()
        least_ns = float("inf")
        for _ in range(ROUNDS):
            began_ns = time.thread_time_ns()
            for _ in range(times):
                await one()
            least_ns = min(least_ns, (time.thread_time_ns() - began_ns) / times)
    return {"bytecodes": len(bytecodes), "ns": least_ns}


@contextlib.contextmanager
def counted() -> Iterator[list[None]]:
    """Collect an entry for every bytecode that this thread runs in the block."""
    found: list[None] = []

    def trace_one(frame: FrameType, event: str, _argument: object) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode":
            found.append(None)
        return trace_one

    sys.settrace(trace_one)
    try:
        yield found
    finally:
        sys.settrace(None)


async def ask(app: Any) -> None:
    """One request for a book of ten levels."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/books/SYN0",
        "raw_path": b"/v1/books/SYN0",
        "query_string": b"level=2&depth=10",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"user-agent", b"bench")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    statuses = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    await app(scope, receive, send)
    assert statuses[0] == 200, statuses


def child(tree: Path, mode: str, case: str) -> dict[str, float]:
    """Measure in a process of its own."""
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path != str(ROOT / "python")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree / "python"), *others]), "PYTHONHASHSEED": "0"}
    command = [sys.executable, __file__, "--child", mode, "--case", case]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=env).stdout)


def main() -> None:
    """Print the table, or be what is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", type=Path, help="a checkout of a commit before there were traces, with the core")
    parser.add_argument("--child", choices=("off", "on", "without"), help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        if arguments.child == "on":
            trace()
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asyncio.run(measured(arguments.case, Path(folder)))))
        return
    trees = {"without": arguments.without.resolve()} if arguments.without else {}
    trees |= {"off": ROOT, "on": ROOT}
    for case in CASES:
        turns = [{mode: child(tree, mode, case) for mode, tree in trees.items()} for _ in range(TURNS)]
        least = {
            mode: {what: min(turn[mode][what] for turn in turns) for what in ("bytecodes", "ns")} for mode in trees
        }
        base = least[next(iter(trees))]
        for mode, found in least.items():
            ratio = 100 * (found["ns"] / base["ns"] - 1)
            bytecodes = found["bytecodes"]
            print(
                f"{case:24} {mode:8} {bytecodes:8,} bytecodes {found['ns'] / 1000:10.2f} µs {ratio:+6.1f} %", flush=True
            )


if __name__ == "__main__":
    main()
