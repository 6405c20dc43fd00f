"""How long a book as of a past instant takes, with so many records between checkpoints; run it with `--help`.

Records a synthetic market, makes its checkpoints, and asks for random books at random times, one after the other: each
of one who has been asked nothing before, so that no answer begins where another came by. Then as who drags a slider.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import tempfile
import time
from pathlib import Path

from l3book import Market
from l3book._core import Indexer, Log, Past, Recorder, Replay, Simulator

NS_PER_MS = 1_000_000
PIECE_RECORDS = 100_000
TIMEOUT_S = 600.0


def record(folder: Path, instruments: int, records: int, checkpoint_records: int) -> Market:
    """Record the market into a folder and make its checkpoints; returns it as it is at the end."""
    simulator = Simulator(instruments=instruments, seed=1)
    recorder = Recorder(folder)
    market = Market()
    recorder.begin(market, "bench")
    market.feed(simulator.header())
    while simulator.records < records:
        recorder.wait_room(TIMEOUT_S)
        market.feed(simulator.read(PIECE_RECORDS))
    if not recorder.close(TIMEOUT_S):
        raise SystemExit(f"not everything was recorded: {recorder.stats()}")
    indexer = Indexer(folder, ordinal=0, checkpoint_records=checkpoint_records, keep_records=False)
    while indexer.advance(PIECE_RECORDS) is not None:
        pass
    return market


def percentiles(times_ns: list[int]) -> str:
    times = sorted(time_ns / NS_PER_MS for time_ns in times_ns)
    at = [times[min(len(times) - 1, int(len(times) * fraction))] for fraction in (0.5, 0.9, 0.99)]
    return f"p50 {at[0]:.1f} ms, p90 {at[1]:.1f} ms, p99 {at[2]:.1f} ms, max {times[-1]:.1f} ms, of {len(times)}"


def new_past(folder: Path, ts_begin: int, key: tuple[int, int]) -> Past:
    """A past that has read the names of the books, which is done once, and nothing else."""
    past = Past(folder)
    past.book_json(key, ts_begin)
    return past


def ask(what: str, questions: list[tuple[Past, tuple[int, int], int]]) -> None:
    times, worked = [], []
    for past, key, at in questions:
        start, start_work = time.perf_counter_ns(), time.process_time_ns()
        past.book_json(key, at)
        times.append(time.perf_counter_ns() - start)
        worked.append(time.process_time_ns() - start_work)
    print(f"  {what}: {percentiles(times)}")
    # Of all threads; a machine that others use too drifts, this hardly does.
    print(f"  … in processor time: {percentiles(worked)}")


def measure(folder: Path, market: Market, queries: int) -> None:
    reach = Past(folder).range()[0]
    rng = random.Random(1)
    keys = [(book.publisher_id, book.instrument_id) for book in market.instruments()]
    moments = [(rng.choice(keys), rng.randint(reach["ts_begin"], reach["ts_event_max"])) for _ in range(queries)]
    ask("book as of T", [(new_past(folder, reach["ts_begin"], keys[0]), key, at) for key, at in moments])
    past, key = new_past(folder, reach["ts_begin"], keys[0]), moments[0][0]
    step = (reach["ts_event_max"] - reach["ts_begin"]) // queries
    ask("a slider dragged", [(past, key, reach["ts_begin"] + i * step) for i in range(queries)])
    replay = Replay(folder)
    times = []
    for _, at in moments[: queries // 10]:
        start = time.perf_counter_ns()
        replay.seek(at)
        times.append(time.perf_counter_ns() - start)
    print(f"  replay.seek: {percentiles(times)}")
    start_s = time.perf_counter()
    hashes = {Log(folder).restore().state_hash(), market.state_hash()}
    print(
        f"  restore to the end: {(time.perf_counter() - start_s) * 1e3:.0f} ms, state hashes equal: {len(hashes) == 1}"
    )


def describe(folder: Path, market: Market) -> None:
    checkpoints = sorted((folder / "checkpoints").iterdir())
    size_bytes, orders = checkpoints[-1].stat().st_size, market.stats()["orders"]
    print(f"  {Log(folder).end_ordinal:,} records, {len(checkpoints)} checkpoints")
    print(f"  the newest: {size_bytes:,} bytes for about {orders:,} orders: {size_bytes / orders:.1f} each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--checkpoint-records", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--instruments", type=int, nargs="+", default=[1, 100])
    arguments = parser.parse_args()
    for instruments in arguments.instruments:
        print(f"{instruments} instrument{'s' * (instruments > 1)}; load of the machine {os.getloadavg()[0]:.1f}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            market = record(folder, instruments, arguments.records, arguments.checkpoint_records)
            describe(folder, market)
            measure(folder, market, arguments.queries)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
