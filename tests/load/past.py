"""How long a book as of a past instant takes over HTTP, with so many records between two checkpoints."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from l3book._core import Simulator
from recorded import ends_of, wait_until_recorded
from running import RunningServer

CHUNK_RECORDS = 100_000
QUERIES = {"level 2, 10 levels": "", "level 2, all": "depth=all&", "level 3, all": "level=3&depth=all&"}


def main() -> None:
    """Record a synthetic market, then ask for it at random times, one request after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--instruments", type=int, default=10)
    parser.add_argument("--checkpoint-records", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="l3book-past-") as folder:
        measure(arguments, Path(folder))


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    """Print a line for each query."""
    first, last = write(folder / "sim.dbn", arguments.records, arguments.instruments)
    env = {"L3BOOK_HISTORY_CHECKPOINT_RECORDS": str(arguments.checkpoint_records)}
    server = RunningServer("--source", f"file:{folder / 'sim.dbn'}", "--history", str(folder / "history"), env=env)
    try:
        server.wait_until_listening()
        server.wait_for_state("ended")
        wait_until_recorded(server)
        checkpoints = len(list((folder / "history" / "checkpoints").glob("*.l3ck")))
        say(f"{arguments.records:,} records, {arguments.instruments} books, {checkpoints} checkpoints")
        chosen = random.Random(1)
        for name, query in QUERIES.items():
            took_ms, began_cpu_s = [], processor_s(server)
            for number in range(arguments.requests):
                at = chosen.randint(first, last)
                began_s = time.perf_counter()
                answer = server.get(f"/v1/books/SYN{number % arguments.instruments}?{query}at={at}")
                took_ms.append((time.perf_counter() - began_s) * 1000)
                assert answer.status_code == 200, answer.text
            cpu_ms = (processor_s(server) - began_cpu_s) * 1000 / arguments.requests
            say(f"{name}: {told(took_ms)}; {cpu_ms:.1f} ms of processor time on average")
    finally:
        server.kill()


def write(path: Path, records: int, instruments: int) -> tuple[int, int]:
    """Write the market; -> the times between which it can be asked for."""
    simulator = Simulator(instruments=instruments)
    with path.open("wb") as file:
        file.write(simulator.header())
        while simulator.records < records:
            file.write(simulator.read(CHUNK_RECORDS))
    return ends_of(path)


def processor_s(server: RunningServer) -> float:
    """Processor time of the server so far: on a machine that others use too, it says more than the clock."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def told(took_ms: list[float]) -> str:
    """Percentiles."""
    ranked = sorted(took_ms)
    shown = {f"p{percent}": ranked[min(len(ranked) - 1, len(ranked) * percent // 100)] for percent in (50, 90, 99)}
    return ", ".join(f"{name} {ms:.1f} ms" for name, ms in {**shown, "max": ranked[-1]}.items())


if __name__ == "__main__":
    main()
