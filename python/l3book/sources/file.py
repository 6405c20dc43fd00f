"""`file:PATH[?speed=X or rate=N]`: a recorded .dbn or .dbn.zst, as fast as it is read unless paced."""

import re
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from l3book._core import DecodeError, FileReader, Market
from l3book.sources.pacing import CHUNK_RECORDS_MAX, NS_PER_S, RATE_MAX, RatePacer, ReplayPacer
from l3book.sources.uri import SourceError, SourceUri

UNDEF_TS = 2**64 - 1
"""DBN's mark for no time."""
HEAD_CHUNK_BYTES = 16 * 1024
HEAD_BYTES_MAX = 1024 * 1024
"""The first record of a file is looked for within these; behind longer metadata, it is left to the engine."""
SPEED_MAX = 1e9
"""A second of the clock for 31 years of the recording; beyond it, leave the pace away."""

_DRIVE = re.compile("[A-Za-z]:/")


class FileSource:
    """A file from its beginning to its end.

    `speed` replays by ts_recv relative to the first record (2: twice as fast as recorded); `rate` sends
    a constant number of messages per second.
    """

    def __init__(self, uri: SourceUri) -> None:
        uri.only("speed", "rate")
        self.uri = uri.text
        self._speed = uri.positive("speed", SPEED_MAX)
        self._rate = uri.whole("rate", 0, 1, RATE_MAX)
        if self._speed and self._rate:
            raise SourceError(f"source {uri.text!r}: speed and rate exclude each other: expected one of them")
        self.path = Path(_local_path(uri))
        if not stat.S_ISREG(self.path.stat().st_mode):
            raise SourceError(
                f"source {uri.text!r}: {self.path} is not a regular file: expected a .dbn or .dbn.zst file"
            )
        _check_head(self.path)
        self._reader = FileReader(self.path)
        self._hurried = 0
        self._closed = Event()

    def __iter__(self) -> Iterator[bytes]:
        while self._hurried and not self._closed.is_set():
            asked = min(self._hurried, CHUNK_RECORDS_MAX)
            self._hurried -= asked
            if chunk := self._reader.read(asked):
                yield chunk
        if self._speed:
            yield from self._replayed(self._speed)
        elif self._rate:
            yield from self._at_rate(self._rate)
        else:
            yield from self._unpaced()

    def hurry(self, records: int) -> None:
        """Have the first so many records come without a pace."""
        self._hurried = records

    def close(self) -> None:
        """End the iteration."""
        self._closed.set()

    def _unpaced(self) -> Iterator[bytes]:
        while not self._closed.is_set() and (chunk := self._reader.read(CHUNK_RECORDS_MAX)):
            yield chunk

    def _at_rate(self, rate: int) -> Iterator[bytes]:
        pacer = RatePacer(rate, time.monotonic_ns())
        while not (self._closed.is_set() or self._reader.ended):
            now_ns = time.monotonic_ns()
            due = pacer.due(now_ns)
            if due == 0:
                self._closed.wait(pacer.wait_ns(now_ns) / NS_PER_S)
                continue
            asked = min(due, CHUNK_RECORDS_MAX)
            pacer.take(asked)
            if chunk := self._reader.read(asked):
                yield chunk

    def _replayed(self, speed: float) -> Iterator[bytes]:
        pacer: ReplayPacer | None = None
        while not self._closed.is_set() and (next_ts := self._reader.next_ts) is not None:
            now_ns = time.monotonic_ns()
            if next_ts == UNDEF_TS:
                yield self._reader.read(1)
                continue
            pacer = pacer or ReplayPacer(speed, next_ts, now_ns)
            reached_ts = min(pacer.reached_ts_ns(now_ns), UNDEF_TS - 1)
            if next_ts > reached_ts:
                self._closed.wait(pacer.wait_ns(now_ns, next_ts) / NS_PER_S)
            else:
                yield self._reader.read(CHUNK_RECORDS_MAX, reached_ts)
        # What is left is no record: metadata without any, or a cut one, which the market has to see.
        yield from self._unpaced()


def _check_head(path: Path) -> None:
    """Raise DecodeError now rather than in the middle of serving, if the file does not begin like DBN."""
    probe = Market()
    read_bytes = 0
    with path.open("rb", buffering=0) as stream:
        while read_bytes < HEAD_BYTES_MAX:
            chunk = stream.read(HEAD_CHUNK_BYTES)
            try:
                probe.feed(chunk) if chunk else probe.finish()
            except DecodeError:
                # Behind a good record it is the engine's to find, and the books before it are served.
                if not _has_records(probe):
                    raise
            if not chunk or _has_records(probe):
                return
            read_bytes += len(chunk)


def _has_records(market: Market) -> bool:
    stats = market.stats()
    return bool(stats["records"] or stats["other_records"])


def _local_path(uri: SourceUri) -> str:
    """Take the path out of file:relative, file:/absolute or file:///absolute."""
    path = uri.path
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise SourceError(f"source {uri.text!r}: the file is on host {host!r}: expected file:PATH on this machine")
        # On Windows, file:///C:/books.dbn is C:/books.dbn.
        path = rest if _DRIVE.match(rest) and sys.platform == "win32" else "/" + rest
    if not path:
        raise SourceError(f"source {uri.text!r}: no path: expected file:PATH")
    if "\0" in path:
        raise SourceError(f"source {uri.text!r}: a zero byte in the path: expected file:PATH")
    return path
