"""Rows of a stretch of the log: of any schema, with the books that they need as they were at its beginning."""

from collections.abc import Iterator

from l3book._core import Deriver, Log
from l3book.rows import CHUNK_BYTES

BOOKLESS = frozenset({"mbo", "trades", "ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d"})
"""What rows of these schemas are made of is in the records themselves: no book has to be known beforehand."""

_METADATA_HEAD_BYTES = 8
"""Before the rest of DBN metadata: its mark, its version, and how long that rest is."""


class SeveralSessionsError(Exception):
    """The books of one session do not go on in the next; the text is for the user."""


def rows_of(log: Log, first: int, end: int, deriver: Deriver, *, with_snapshot: bool = False) -> Iterator[bytes]:
    """Give the rows of the records with first <= ordinal < end, piece by piece.

    `with_snapshot`: begin with the records of an MBO snapshot of each book, which schema mbo has rows of. The first
    piece comes when a deriver of one instrument has found it, or at the end; afterwards its header is known, too.
    Raises SeveralSessionsError where books are needed, and HistoryError.
    """
    reader = log.dbn(first, end)
    metadata, records = _split(reader.read(CHUNK_BYTES))
    begun = [deriver.feed(metadata)]
    if with_snapshot or deriver.schema not in BOOKLESS:
        _check_one_session(log, first, end)
        begun += [deriver.feed(snapshot) for snapshot in _snapshots(log, first)]
    while records:
        begun.append(deriver.feed(records))
        if deriver.stats()["instruments"]:
            yield b"".join(begun)
            begun.clear()
        records = reader.read(CHUNK_BYTES)
    yield b"".join([*begun, deriver.flush()])


def _check_one_session(log: Log, first: int, end: int) -> None:
    for session in log.sessions():
        if first < session["ordinal"] < end:
            raise SeveralSessionsError(
                f"another session begins within, at {session['ts_event_min']} (ts_event, ns; record "
                f"{session['ordinal']}): expected a range inside of one, since books begin anew there"
            )


def _snapshots(log: Log, ordinal: int) -> Iterator[bytes]:
    """Write each book of that moment as the records of an MBO snapshot."""
    market = log.restore(ordinal)
    for entry in market.instruments():
        stream = market.stream("dbn", (entry.publisher_id, entry.instrument_id))
        _, records = _split(stream.snapshot().binary or b"")
        yield records


def _split(stream: bytes) -> tuple[bytes, bytes]:
    """Take the metadata that a DBN stream begins with apart from the records behind it."""
    end = _METADATA_HEAD_BYTES + int.from_bytes(stream[4:_METADATA_HEAD_BYTES], "little")
    return stream[:end], stream[end:]
