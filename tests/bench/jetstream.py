"""What a stream costs beside a file: processor time per record, of the publisher, the reader and NATS, in turns.

    python tests/bench/jetstream.py [RECORDS]

Needs nats-server and nats-py. The file source, the publisher and the reader take turns in each round; the table has the
median of the rounds. Processor time and not time on the clock: on a busy machine only that says anything.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from l3book import Market
from l3book._core import Simulator
from l3book.engine import Engine
from l3book.sources import open_source
from running import run
from running_nats import RunningNats

RECORDS = 1_000_000
ROUNDS = 5
TIMEOUT_S = 600
NS_PER_S = 1e9
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main() -> None:
    records = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    simulator = Simulator(seed=1, instruments=10)
    taken: dict[str, list[float]] = {"file source": [], "nats source": [], "publisher": [], "nats-server": []}
    taken["publisher, with snapshots"] = []
    nats = RunningNats()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "day.dbn"
            with path.open("wb") as stream:
                stream.write(simulator.header())
                while records - simulator.records > 2**17:
                    stream.write(simulator.read(2**16))
                stream.write(simulator.read_last(records - simulator.records))
            for number in range(ROUNDS):
                uri, server_s = nats.uri(f"ROUND{number}"), _server_s(nats)
                taken["publisher"].append(_published(path, uri, 0))
                hashes = {}
                for name, source in (("file source", f"file:{path}"), ("nats source", uri)):
                    seconds, hashes[name] = _fed(source, records)
                    taken[name].append(seconds)
                taken["nats-server"].append(_server_s(nats) - server_s)
                taken["publisher, with snapshots"].append(_published(path, nats.uri(f"PICTURED{number}"), 60))
                assert hashes["file source"] == hashes["nats source"]
    finally:
        nats.close()
    print(f"{records:,} records, 10 instruments, medians of {ROUNDS} rounds\n")
    print("| | ns of processor time per record | records/s and core |\n|---|---:|---:|")
    for name, seconds in taken.items():
        each_s = statistics.median(seconds) / records
        print(f"| {name} | {each_s * NS_PER_S:,.0f} | {1 / each_s:,.0f} |")


def _fed(uri: str, records: int) -> tuple[float, str]:
    """Processor time of this process until all of it is in the books."""
    market = Market(watch=uri.startswith("nats"))
    engine = Engine(open_source(uri), market)
    before_s, deadline_s = time.process_time(), time.monotonic() + TIMEOUT_S
    engine.start()
    while engine.state not in {"ended", "failed"}:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    seconds = time.process_time() - before_s
    assert engine.stop(TIMEOUT_S)
    assert (engine.state, engine.messages) == ("ended", records), engine.error
    return seconds, market.state_hash()


def _published(path: Path, uri: str, every_s: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    completed = run("publish", "--source", f"file:{path}", "--to", uri, "--snapshot-every-s", every_s)
    assert completed.returncode == 0, completed.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _server_s(nats: RunningNats) -> float:
    fields = Path(f"/proc/{nats.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


if __name__ == "__main__":
    main()
