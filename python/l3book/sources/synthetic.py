"""`synthetic:[?instruments=&rate=&seed=]`: a market without an exchange, deterministic per seed."""

import time
from collections.abc import Iterator
from threading import Event

from l3book._core import Simulator
from l3book.sources.pacing import CHUNK_RECORDS_MAX, NS_PER_S, RATE_MAX, RatePacer
from l3book.sources.uri import SourceError, SourceUri

RATE_DEFAULT = 20_000
"""Messages per second: lively on a page, and a small part of one core."""
INSTRUMENTS_MAX = 10_000
SEED_MAX = 2**64 - 1

# Of an MBO record: where its flags are, and the one that says it belongs to a snapshot.
FLAGS_OFFSET = 36
FLAG_SNAPSHOT = 32


class SyntheticSource:
    """The simulator at a constant rate, or (rate 0 or max) as fast as the reader takes it."""

    def __init__(self, uri: SourceUri) -> None:
        if uri.path:
            raise SourceError(f"source {uri.text!r}: unexpected {uri.path!r}: expected synthetic:?KEY=VALUE")
        uri.only("instruments", "rate", "seed")
        self.uri = uri.text
        fastest = uri.query.get("rate") == "max"
        self._rate = 0 if fastest else uri.whole("rate", RATE_DEFAULT, 0, RATE_MAX, other="max")
        self._simulator = Simulator(
            seed=uri.whole("seed", 1, 0, SEED_MAX),
            instruments=uri.whole("instruments", 1, 1, INSTRUMENTS_MAX),
        )
        self._hurried = 0
        self._closed = Event()

    def __iter__(self) -> Iterator[bytes]:
        yield self._simulator.header()
        yield from self._opening()
        while self._simulator.records < self._hurried and not self._closed.is_set():
            yield self._simulator.read(min(self._hurried - self._simulator.records, CHUNK_RECORDS_MAX))
        if self._rate == 0:
            while not self._closed.is_set():
                yield self._simulator.read(CHUNK_RECORDS_MAX)
            return
        pacer = RatePacer(self._rate, time.monotonic_ns())
        while not self._closed.is_set():
            now_ns = time.monotonic_ns()
            due = pacer.due(now_ns)
            if due == 0:
                self._closed.wait(pacer.wait_ns(now_ns) / NS_PER_S)
                continue
            before = self._simulator.records
            chunk = self._simulator.read(min(due, CHUNK_RECORDS_MAX))
            # Events are written whole, so the simulator may return a few records more than were due.
            pacer.take(self._simulator.records - before)
            yield chunk

    def _opening(self) -> Iterator[bytes]:
        """Send the first snapshots without a pace: a market that is slow to open shows nothing."""
        while not self._closed.is_set():
            event = self._simulator.read(1)
            yield event
            if not event[FLAGS_OFFSET] & FLAG_SNAPSHOT:
                return

    def hurry(self, records: int) -> None:
        """Have the first so many records come without a pace."""
        self._hurried = records

    def close(self) -> None:
        """End the iteration."""
        self._closed.set()
