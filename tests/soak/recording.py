"""A server that records at full rate for as long as wanted: what came is in the log, and nothing grows.

`make soak-history SECONDS=600`. A gateway serves a simulated market in a loop, as if it were now; `l3book serve` reads
it live, records it and keeps its serving tables. In the end the records of the log are held against those of an
undisturbed session of the same gateway, byte by byte: by a hash for each block of them, since 600 seconds are 17 GB.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from dbn_bytes import PRELUDE_BYTES, RECORD_BYTES, RTYPE_MBO
from feeds import simulated
from gateways import Client
from history_log import items, marks, segments
from indexers import children_of
from l3book._core import Log
from l3book.sources.live import KEY_VARIABLE
from running import RunningServer
from running_gateway import KEY, RunningGateway

BLOCK_BYTES = 65_536 * RECORD_BYTES
BLOCKS_KEPT = 64
"""Of the end, as they are: sessions that are closed at the same moment differ by what was on its way."""
READ_BYTES = 1 << 20
SEGMENT_BYTES_MAX = 64 << 20
SAMPLE_INTERVAL_S = 0.5
LAG_S_MAX = 2.0
GROWTH_BYTES_MAX = 64 << 20
SETTLED_SHARE = 3
"""Memory is looked at after a third of the time: caches and tables fill first."""
BYTES_PER_MIB = 1 << 20


class Blocks:
    """Bytes as hashes of blocks of the same size, and the last blocks themselves."""

    def __init__(self) -> None:
        self.hashes: list[bytes] = []
        self.bytes = 0
        self._last: deque[bytes] = deque(maxlen=BLOCKS_KEPT)
        self._unfinished = bytearray()

    def add(self, data: bytes) -> None:
        self.bytes += len(data)
        self._unfinished += data
        while len(self._unfinished) >= BLOCK_BYTES:
            block = bytes(self._unfinished[:BLOCK_BYTES])
            del self._unfinished[:BLOCK_BYTES]
            self.hashes.append(hashlib.blake2b(block).digest())
            self._last.append(block)

    def block(self, n: int) -> bytes:
        """The n-th, or what there is of it."""
        return bytes(self._unfinished) if n == len(self.hashes) else self._last[n - len(self.hashes)]

    def difference(self, other: Blocks) -> str | None:
        """Where they differ as far as both go."""
        whole = min(len(self.hashes), len(other.hashes))
        for n in range(whole):
            if self.hashes[n] != other.hashes[n]:
                return f"block {n} of {BLOCK_BYTES // RECORD_BYTES} records differs"
        ends = self.block(whole), other.block(whole)
        shared = min(map(len, ends))
        return None if ends[0][:shared] == ends[1][:shared] else f"the end, block {whole}, differs"


class Tape(threading.Thread):
    """An undisturbed session of the gateway, from its first record."""

    def __init__(self, port: int) -> None:
        super().__init__(name="tape", daemon=True)
        self.blocks = Blocks()
        self._client = Client(port).admitted()
        self._client.subscribe(start=0)

    def run(self) -> None:
        self._client.start()
        unread = self._client.read_records(PRELUDE_BYTES)
        head_bytes = PRELUDE_BYTES + int.from_bytes(unread[4:8], "little")
        unread = self._client.read_records(head_bytes)[head_bytes:]
        while True:
            unread = self._take(unread)
            try:
                data = self._client.socket.recv(READ_BYTES)
            except ConnectionResetError:
                return
            if not data:
                return
            unread += data

    def _take(self, data: bytes) -> bytes:
        """Keep the MBO records; -> the cut one at the end."""
        at = 0
        while at < len(data) and at + data[at] * 4 <= len(data):
            count = (len(data) - at) // RECORD_BYTES
            rows = np.frombuffer(data, np.uint8, count * RECORD_BYTES, at).reshape(count, RECORD_BYTES)
            others = np.flatnonzero((rows[:, 1] != RTYPE_MBO) | (rows[:, 0] * 4 != RECORD_BYTES))
            taken = (int(others[0]) if len(others) else count) * RECORD_BYTES
            if taken:
                self.blocks.add(data[at : at + taken])
            at += taken or data[at] * 4
        return data[at:]


class Soak:
    """What was seen of the server while it ran."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self.lags_s: list[float] = []
        self.queued_bytes: list[int] = []
        self.resident: list[int] = []
        self.resident_indexing: list[int] = []
        self.states: set[str] = set()
        self.last: dict = {}

    def sample(self) -> None:
        self.last = self._server.metrics()
        history = self.last["history"]
        self.states |= {history["state"], history["indexing"]["state"]}
        self.lags_s.append(history["indexing"]["lag_s"])
        self.queued_bytes.append(history["recorder"]["queue_bytes"])
        self.resident.append(resident_bytes(self._server.process.pid))
        self.resident_indexing.append(sum(map(resident_bytes, children_of(self._server.process.pid))))

    def complaints(self, *, is_patient: bool) -> list[str]:
        found = []
        if self.states != {"recording", "indexing"}:
            found.append(f"states were {sorted(self.states)}: expected recording and indexing only")
        if max(self.lags_s) > LAG_S_MAX and not is_patient:
            found.append(f"the tables were {max(self.lags_s):.1f} s behind: expected at most {LAG_S_MAX:g} s")
        for resident, whose in ((self.resident, "server"), (self.resident_indexing, "indexing")):
            settled = resident[len(resident) // SETTLED_SHARE : len(resident) // 2]
            late = resident[-len(resident) // 4 :]
            if settled and statistics.median(late) - statistics.median(settled) > GROWTH_BYTES_MAX:
                found.append(f"memory grows: {whose}")
        return found

    def report(self) -> None:
        recorder, source = self.last["history"]["recorder"], self.last["source"]
        print(f"recorder        { {name: count for name, count in recorder.items() if count is not None} }")
        print(f"bytes a record  {recorder['bytes_written'] / max(1, recorder['records']):.1f}")
        print(f"queue           {max(self.queued_bytes) / BYTES_PER_MIB:.1f} MiB at most")
        print(f"tables          {quantiles(self.lags_s)} s behind")
        for resident, whose in ((self.resident, "server  "), (self.resident_indexing, "indexing")):
            mib = [sample // BYTES_PER_MIB for sample in resident]
            print(
                f"memory, {whose}  {mib[:: max(1, len(mib) // 10)]} MiB, a tenth of the time apart; {mib[-1]} at last"
            )
        print(f"line            lost by {source['losses']}, {source['overloads']} overloads")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def quantiles(samples: list[float]) -> str:
    ordered = sorted(samples)
    p50, p99 = (ordered[(len(ordered) - 1) * percent // 100] for percent in (50, 99))
    return f"p50 {p50:.2f}, p99 {p99:.2f}, max {ordered[-1]:.2f}"


def soak(seconds: float, rate: int, seed: int, *, instruments: int, is_patient: bool, out: Path) -> int:
    """Run it; -> 0 if there is nothing to complain of."""
    os.environ[KEY_VARIABLE] = KEY
    made = simulated(
        out / "soak.dbn",
        seed=seed,
        instruments=instruments,
        records=max(rate * 2, 100_000),
        span_s=60,
        is_snapshot_kept=False,
    )
    folder = out / "history"
    settings = {"L3BOOK_HISTORY_SEGMENT_BYTES_MAX": str(SEGMENT_BYTES_MAX), "L3BOOK_HISTORY_BYTES_MAX": "0"}
    with RunningGateway(made, "--rate", rate, "--shared-clock", "--loop", "--as-if-now", "--seed", seed) as gateway:
        tape = Tape(gateway.port)
        uri = "live://GLBX.MDP3?symbols=ALL_SYMBOLS&start=0&heartbeat_s=5"
        server = RunningServer("--source", uri, "--gateway", gateway.address, "--history", str(folder), env=settings)
        try:
            server.wait_until_listening()
            server.wait_until_ready()
            tape.start()
            run = Soak(server)
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                run.sample()
                time.sleep(SAMPLE_INTERVAL_S)
            gateway.kill()
            server.wait_for_state("reconnecting")
            tape.join()
            metrics = server.metrics()
            # The log has what was taken; an event that the end of the line cut in two is then forgotten by its book.
            applied = metrics["totals"]["messages"] + metrics["feed"]["unfinished_dropped"]
            server.process.send_signal(signal.SIGTERM)
            code = server.wait_for_exit()
        finally:
            server.kill()
    complaints = [*run.complaints(is_patient=is_patient), *judged(run, tape, folder, applied=applied, seconds=seconds)]
    if code != 0:
        complaints.append(f"the server ended with {code}")
    for complaint in complaints:
        print(f"soak: {complaint}")
    print("soak: bad" if complaints else "soak: good")
    return 1 if complaints else 0


def judged(run: Soak, tape: Tape, folder: Path, *, applied: int, seconds: float) -> list[str]:
    """Hold the log against the tape and print how it went; -> what is not as it should be."""
    recorded = Blocks()
    for item in items(folder):
        if isinstance(item, bytes):
            recorded.add(item)
    records = recorded.bytes // RECORD_BYTES
    print(f"records         {records:,} in the log ({records / seconds:,.0f}/s), {applied:,} applied")
    print(f"                {tape.blocks.bytes // RECORD_BYTES:,} of the undisturbed session")
    print(
        f"log             {len(segments(folder))} segments, {sum(p.stat().st_size for p in segments(folder)):,} bytes"
    )
    run.report()
    complaints = []
    if difference := recorded.difference(tape.blocks):
        complaints.append(f"the log is not what the gateway sent: {difference}")
    if min(recorded.bytes, tape.blocks.bytes) < 0.9 * max(recorded.bytes, tape.blocks.bytes):
        complaints.append("the two sessions are too different in length to be compared")
    if records != applied:
        complaints.append(f"{applied:,} records were applied, and {records:,} are in the log")
    if holes := marks(folder, "hole"):
        complaints.append(f"there are {len(holes)} holes")
    verified = Log(folder).verify()
    if not verified["good"]:
        complaints.append(f"the log is damaged: {verified['damages']}")
    return complaints


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--instruments", type=int, default=20)
    parser.add_argument(
        "--out", type=Path, help="where the log is written (default: a folder of its own that is removed)"
    )
    parser.add_argument("--patient", action="store_true", help="do not ask how far the tables are behind")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.out) as folder:
        return soak(
            given.seconds,
            given.rate,
            given.seed,
            instruments=given.instruments,
            is_patient=given.patient,
            out=Path(folder),
        )


if __name__ == "__main__":
    sys.exit(main())
