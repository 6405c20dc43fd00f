"""Rows of a stretch of the log: of any schema, with the books that they need as they were at its beginning.

Of several sessions only what is in force: a time of which a later session tells anew is told once.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from l3book._core import Deriver, Log
from l3book.rows import CHUNK_BYTES

BOOKLESS = frozenset({"mbo", "trades", "ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d"})
"""What rows of these schemas are made of is in the records themselves: no book has to be known beforehand."""

_METADATA_HEAD_BYTES = 8
"""Before the rest of DBN metadata: its mark, its version, and how long that rest is."""
_RECORD_BYTES = 56
_TS_RECV_AT = 40
"""Of an MBO record."""


class SeveralSessionsError(Exception):
    """The books of one session do not go on in the next; the text is for the user."""


def rows_of(
    log: Log,
    first: int,
    end: int,
    deriver: Deriver,
    *,
    with_snapshot: bool = False,
    check: Callable[[], object] = lambda: None,
) -> Iterator[bytes]:
    """Give the rows of the records with first <= ordinal < end that are in force, piece by piece.

    `with_snapshot`: begin with the records of an MBO snapshot of each book, which schema mbo has rows of. The first
    piece comes when a deriver of one instrument has found it, or at the end; afterwards its header is known, too.
    `check` is called for each piece that is read, and may raise. Raises SeveralSessionsError where books are needed,
    and HistoryError.
    """
    metadata, _ = _split(log.dbn(first, end).read(0))
    begun = [deriver.feed(metadata)]
    if with_snapshot or deriver.schema not in BOOKLESS:
        _check_one_session(log, first, end)
        begun += [deriver.feed(snapshot) for snapshot in _snapshots(log, first)]
    for part_first, part_end, before_ts in _parts(log, first, end):
        for records in _records(log, part_first, part_end):
            check()
            begun.append(deriver.feed(records if before_ts is None else _received_before(records, before_ts)))
            if deriver.stats()["instruments"]:
                yield b"".join(begun)
                begun.clear()
    yield b"".join([*begun, deriver.flush()])


def _parts(log: Log, first: int, end: int) -> Iterator[tuple[int, int, int | None]]:
    """Cut a stretch by sessions: (first, end, before_ts) of each part.

    What a session told of times (ts_recv, ns) from `before_ts` on is out of force, since later ones tell of them anew.
    """
    before_ts: int | None = None
    parts: list[tuple[int, int, int | None]] = []
    for session in reversed(log.sessions()):
        part_first, part_end = max(first, session["first_ordinal"]), min(end, session["end_ordinal"])
        if part_first < part_end:
            parts.append((part_first, part_end, before_ts))
        begin = _begin_of(log, session)
        before_ts = begin if before_ts is None else min(before_ts, begin)
    return iter(parts[::-1])


def _begin_of(log: Log, session: dict[str, Any]) -> int:
    """When (ts_recv, ns) its first record was received; where that is gone, no earlier session is there any more."""
    _, record = log.read(session["first_ordinal"], 1)
    return int(np.frombuffer(record, "<u8", 1, _TS_RECV_AT)[0])


def _records(log: Log, first: int, end: int) -> Iterator[bytes]:
    reader = log.dbn(first, end)
    _, records = _split(reader.read(CHUNK_BYTES))
    while records:
        yield records
        records = reader.read(CHUNK_BYTES)


def _received_before(records: bytes, ts: int) -> bytes:
    whole = np.frombuffer(records, f"V{_RECORD_BYTES}")
    times = np.frombuffer(records, "<u8").reshape(-1, _RECORD_BYTES // 8)[:, _TS_RECV_AT // 8]
    return whole[times < ts].tobytes()


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
