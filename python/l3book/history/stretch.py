"""Rows of a stretch of the log: of any schema, with the books that they need as they were at its beginning."""

from collections.abc import Iterator

from l3book._core import Deriver, Log
from l3book.rows import CHUNK_BYTES

BOOKLESS = frozenset({"mbo", "trades", "ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d"})
"""What rows of these schemas are made of is in the records themselves: no book has to be known beforehand."""


def rows_of(log: Log, first: int, end: int, deriver: Deriver, *, with_snapshot: bool = False) -> Iterator[bytes]:
    """Give the rows of the records with first <= ordinal < end, piece by piece.

    `with_snapshot`: begin with the records of an MBO snapshot of each book, which schema mbo has rows of. The first
    piece comes when a deriver of one instrument has found it, or at the end; afterwards its header is known, too.
    """
    begun: list[bytes] = []
    if with_snapshot or deriver.schema not in BOOKLESS:
        begun = [deriver.feed(snapshot) for snapshot in _snapshots(log, first)]
    reader = log.dbn(first, end)
    while chunk := reader.read(CHUNK_BYTES):
        begun.append(deriver.feed(chunk))
        if deriver.stats()["instruments"]:
            yield b"".join(begun)
            begun.clear()
    yield b"".join([*begun, deriver.flush()])


def _snapshots(log: Log, ordinal: int) -> Iterator[bytes]:
    """Write each book of that moment as an MBO snapshot with DBN metadata before it."""
    market = log.restore(ordinal)
    for entry in market.instruments():
        stream = market.stream("dbn", (entry.publisher_id, entry.instrument_id))
        yield stream.snapshot().binary or b""
