"""A live feed through faults for as long as wanted: every book that says to be live is exact, and nothing grows.

`make soak SECONDS=600`. The gateway serves a simulated market in a loop, as if it were now; our feed reads it through
random faults. At random moments a checkpoint of its market is held against an undisturbed session of the same gateway,
book by book, each at its own last event.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from truth import LiveTruth

from feeds import Fed, content, moment, simulated, state
from l3book import CheckpointError, Market
from l3book.sources.live import KEY_VARIABLE
from running_gateway import KEY, RunningGateway

SPARED_KEY = "db-sparedsparedsparedsparedSPARE"
FAULTS = (
    "drop-connection~6s",
    "gap~4s:5",
    "duplicate~5s:2",
    "reorder~7s:3",
    "truncate~20s",
    "close~25s",
    "stall~15s:1s",
    "half-open~90s",
)
FLIP = "flip~10s:2"
"""With compression only: nothing else could see it."""
LOOK_INTERVAL_S_MAX = 2.0
COMPARED_SHARE_MIN = 0.5
"""Of the live books looked at: those right after a snapshot, or with losses still to be told of, are at no moment of
the truth."""
SAMPLES_MIN = 4
"""Of what could leak, of a running feed: fewer say nothing of growth."""
PATIENCE = 8
"""A machine with other things to do gets so many times the time to come to that."""
GROWTH_BYTES_MAX = 64 << 20
RECOVERY_S_MAX = 60.0
BYTES_PER_MIB = 1 << 20


class Soak:
    """What was found."""

    def __init__(self, fed: Fed, truth: LiveTruth, gateway_pid: int) -> None:
        self.fed = fed
        self.truth = truth
        self.found: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.resident: dict[str, list[int]] = {"feed": [], "gateway": []}
        self.kept: list[tuple[int, int, int]] = []
        self._gateway_pid = gateway_pid

    def look(self) -> None:
        """Hold a checkpoint against the truth."""
        market = checkpoint(self.fed.market)
        if market is None:
            self.found["between records"] += 1
            return
        books = []
        for entry in market.instruments():
            key = entry.publisher_id, entry.instrument_id
            body = market.book_json(key, level=3, depth=None)
            self.found[f"books {state(body)}"] += 1
            if state(body) == "live":
                books.append((moment(body), key, body))
        for at, key, body in sorted(books, key=lambda book: book[0][2]):
            self.truth.advance(at[2])
            try:
                true = self.truth.market.book_json(key, level=3, depth=None)
            except LookupError:
                self.wrong.append(f"{key} is live and does not exist")
                continue
            if moment(true) != at:
                self.found["not comparable"] += 1
            elif content(true) == content(body):
                self.found["exact"] += 1
            else:
                self.wrong.append(f"{key} is live and wrong at {at}")
        self.found["looks"] += 1

    def measure(self) -> None:
        """Note what could leak."""
        self.resident["feed"].append(resident_bytes(os.getpid()))
        self.resident["gateway"].append(resident_bytes(self._gateway_pid))
        if self.fed.engine.state == "running":
            loop = self.fed.feed._loop
            tasks = len(asyncio.all_tasks(loop)) if loop is not None else 0
            self.kept.append((threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), tasks))

    def seconds_wanted(self, seconds: float) -> float:
        """How long to go on: for longer than asked where little was seen."""
        return seconds if len(self.kept) >= SAMPLES_MIN else PATIENCE * seconds

    def complaints(self) -> list[str]:
        """What is not as it should be."""
        found = list(self.wrong)
        live = self.found["books live"]
        if self.found["exact"] < COMPARED_SHARE_MIN * live or not live:
            found.append(f"only {self.found['exact']} of {live} live books could be compared")
        for name, samples in self.resident.items():
            settled, late = samples[len(samples) // 3 : len(samples) // 2], samples[-len(samples) // 4 :]
            if settled and late and statistics.median(late) - statistics.median(settled) > GROWTH_BYTES_MAX:
                found.append(f"the memory of the {name} grows: {[s // BYTES_PER_MIB for s in samples]} MiB")
        if len(self.kept) < SAMPLES_MIN:
            found.append(f"only {len(self.kept)} samples of a running feed: expected at least {SAMPLES_MIN}")
            return found
        # Threads, files and tasks of a running feed, whichever connection it is.
        for name, counts in zip(("threads", "open files", "tasks"), zip(*self.kept, strict=True), strict=True):
            if max(counts[len(counts) // 2 :], default=0) > max(counts[: len(counts) // 2], default=0) + 1:
                found.append(f"{name} grow: {counts}")
        return found


def checkpoint(market: Market) -> Market | None:
    """A copy between two records, if there is such a moment soon."""
    for _ in range(200):
        try:
            return Market.from_bytes(market.to_bytes())
        except CheckpointError:
            time.sleep(0.001)
    return None


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def soak(seconds: float, rate: int, seed: int, *, compression: str, instruments: int, out: Path) -> int:
    """Run it; -> 0 if there is nothing to complain of."""
    os.environ[KEY_VARIABLE] = KEY
    records = max(rate * 2, 100_000)
    recording = simulated(
        out / "soak.dbn", seed=seed, instruments=instruments, records=records, span_s=60, is_snapshot_kept=False
    )
    chosen = (*FAULTS, FLIP) if compression == "zstd" else FAULTS
    faults = [part for fault in chosen for part in ("--fault", fault)]
    arguments = ("--rate", rate, "--shared-clock", "--loop", "--as-if-now", "--seed", seed, "--spared-key", SPARED_KEY)
    luck = random.Random(seed)
    with RunningGateway(recording, *arguments, *faults) as gateway:
        truth = LiveTruth(gateway.port, SPARED_KEY)
        query = f"snapshot=1&heartbeat_s=5&compression={compression}"
        with Fed(f"live://GLBX.MDP3?{query}", gateway=gateway.address) as fed:
            run = Soak(fed, truth, gateway.process.pid)
            fed.wait_for_records(1)
            started_s, records = time.monotonic(), fed.market.stats()["records"]
            while (now_s := time.monotonic() - started_s) < run.seconds_wanted(seconds) and not run.wrong:
                time.sleep(luck.uniform(0.0, min(LOOK_INTERVAL_S_MAX, seconds / 20)))
                run.look()
                run.measure()
                show(run, now_s)
            taken = fed.market.stats()["records"] - records
            report(run, taken / (time.monotonic() - started_s), taken)
        truth.close()
    complaints = run.complaints()
    for complaint in complaints:
        print(f"soak: {complaint}")
    if run.wrong:
        print(fed.story())
    print("soak: bad" if complaints else "soak: good")
    return 1 if complaints else 0


def show(run: Soak, now_s: float) -> None:
    if sys.stderr.isatty():
        print(f"\r{now_s:6.0f} s  {dict(run.found)}", end="", file=sys.stderr)


def report(run: Soak, rate: float, records: int) -> None:
    status, watch = run.fed.feed.status, run.fed.market.watch_stats()
    print(f"records         {records:,} ({rate:,.0f}/s), {run.truth.records:,} of the truth")
    print(f"looks           {dict(run.found)}")
    print(f"connections     {status.connects}, lost by {dict(status.losses)}")
    print(f"snapshots       {status.snapshots_asked} asked for in {status.snapshot_requests} requests")
    print(f"overloads       {status.overloads}")
    print(f"watch           { ({name: count for name, count in watch.items() if count}) }")
    for name, samples in run.resident.items():
        mib = [sample // BYTES_PER_MIB for sample in samples]
        print(f"memory, {name:<8}{mib[0]} MiB at first, {statistics.median(mib):.0f} median, {mib[-1]} at last")
    if run.kept:
        print(f"threads, files, tasks  {Counter(run.kept).most_common(3)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--instruments", type=int, default=20)
    parser.add_argument("--compression", choices=("none", "zstd"), default="none")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return soak(
            given.seconds,
            given.rate,
            given.seed,
            compression=given.compression,
            instruments=given.instruments,
            out=Path(folder),
        )


if __name__ == "__main__":
    sys.exit(main())
