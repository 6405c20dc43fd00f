"""Rows of a stretch of the log: of any schema, with the books that they need as they were at its beginning.

Of several sessions only what is in force: a time of which a later session tells anew is told once. With a session all
books begin anew, and records alone do not say so: where the next one begins, each book told of is cleared by a record.
So it is behind a hole, where the log tells each book anew.
"""

import struct
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from l3book._core import UNDEF_PRICE, Deriver, Log, NotRecordedError, Past
from l3book.rows import CHUNK_BYTES

BOOKLESS = frozenset({"mbo", "trades", "ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d"})
"""What rows of these schemas are made of is in the records themselves: no book has to be known beforehand."""

_METADATA_HEAD_BYTES = 8
"""Before the rest of DBN metadata: its mark, its version, and how long that rest is."""
_RECORD_BYTES = 56
_TS_RECV_AT = 40
"""Of an MBO record."""
_LAST = 0x80
_MBO = struct.Struct("<QQQqIBBccQiI")
"""Whose record it is (length, type, publisher and instrument in one number), ts_event, order_id, price, size, flags,
channel_id, action, side, ts_recv, ts_in_delta, sequence."""


class SeveralSessionsError(Exception):
    """The books of one session do not go on in the next; the text is for the user."""


def first_ordinal(past: Past, log: Log, at: int) -> int:
    """Find where a stretch begins: where the time lies (ts_event, ns), or with the first record."""
    try:
        return past.ordinal_at(at)
    except NotRecordedError:
        begins = [session["ts_begin"] for session in past.range() if session["ts_begin"] is not None]
        if begins and at < min(begins):
            return log.first_ordinal
        raise


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
    Rows of schema mbo, and those that need books, have them also behind a hole: see `Log.dbn`.
    `check` is called for each piece that is read, and may raise. Raises SeveralSessionsError where books are needed,
    and HistoryError.
    """
    metadata, _ = _split(log.dbn(first, end).read(0))
    begun = [deriver.feed(metadata)]
    needs_books, is_mbo = deriver.schema not in BOOKLESS, deriver.schema == "mbo"
    if with_snapshot or needs_books:
        _check_one_session(log, first, end)
        begun.append(deriver.feed(log.books(first)))
    told = _Told()
    for part_first, part_end, before_ts in _parts(log, first, end, check):
        told.end_session()
        for piece in _records(log, part_first, part_end, books=needs_books or is_mbo):
            check()
            records = piece if before_ts is None else _received_before(piece, before_ts)
            if is_mbo and records:
                begun.append(deriver.feed(told.note(records)))
            begun.append(deriver.feed(records))
            if deriver.stats()["instruments"]:
                yield b"".join(begun)
                begun.clear()
    yield b"".join([*begun, deriver.flush()])


def _parts(log: Log, first: int, end: int, check: Callable[[], object]) -> Iterator[tuple[int, int, int | None]]:
    """Cut a stretch by sessions: (first, end, before_ts) of each part.

    What a session told of times (ts_recv, ns) from `before_ts` on is out of force, since later ones tell of them anew.
    """
    sessions = [session for session in log.sessions() if session["end_ordinal"] > first]
    # When the last record of the stretch was received that is of an earlier session.
    earlier = [-1, *accumulate((_latest_of(log, session, first, end) for session in sessions), max)]
    before_ts: int | None = None
    parts: list[tuple[int, int, int | None]] = []
    for at in reversed(range(len(sessions))):
        session, earliest = sessions[at], sessions[at]["ts_recv_min"]
        part_first, part_end = max(first, session["first_ordinal"]), min(end, session["end_ordinal"])
        if part_first < part_end:
            parts.append((part_first, part_end, before_ts))
        # Frames are read only of what can put anything out of force: the others need not even be readable.
        if earliest is not None and earliest <= earlier[at] and (before_ts is None or earliest < before_ts):
            check()
            begin = log.session_start(session["ordinal"])
            if begin is not None:
                before_ts = begin if before_ts is None else min(before_ts, begin)
    return iter(parts[::-1])


def _latest_of(log: Log, session: dict[str, Any], first: int, end: int) -> int:
    """When (ts_recv, ns) the last record of a session's part in a stretch was received, or later; from the index."""
    part_first, part_end = max(first, session["first_ordinal"]), min(end, session["end_ordinal"])
    if part_first >= part_end:
        return -1
    told = [session]
    if part_end - part_first < session["end_ordinal"] - session["first_ordinal"]:
        told = [
            segment
            for segment in log.segments()
            if segment["first_ordinal"] < part_end and segment["end_ordinal"] > part_first
        ]
    return max((entry["ts_recv_max"] for entry in told if entry["ts_recv_max"] is not None), default=-1)


def _records(log: Log, first: int, end: int, *, books: bool) -> Iterator[bytes]:
    reader = log.dbn(first, end, books=books)
    _, records = _split(reader.read(CHUNK_BYTES))
    while records:
        yield records
        records = reader.read(CHUNK_BYTES)


def _received_before(records: bytes, ts: int) -> bytes:
    import numpy as np

    whole = np.frombuffer(records, f"V{_RECORD_BYTES}")
    times = np.frombuffer(records, "<u8").reshape(-1, _RECORD_BYTES // 8)[:, _TS_RECV_AT // 8]
    return whole[times < ts].tobytes()


class _Told:
    """The books that a file tells of."""

    def __init__(self) -> None:
        self._books: set[int] = set()
        self._ended: set[int] = set()

    def end_session(self) -> None:
        """Take note that what they were is over."""
        self._ended |= self._books
        self._books.clear()

    def note(self, records: bytes) -> bytes:
        """Take note of records; -> those to be told before: a Clear of each book whose session has ended."""
        import numpy as np

        words = np.frombuffer(records, "<u8").reshape(-1, _RECORD_BYTES // 8)
        self._books.update(np.unique(words[:, 0]).tolist())
        ts_event, ts_recv = int(words[0, 1]), int(words[0, _TS_RECV_AT // 8])
        clears = [
            _MBO.pack(book, ts_event, 0, UNDEF_PRICE, 0, _LAST, 0, b"R", b"N", ts_recv, 0, 0)
            for book in sorted(self._ended)
        ]
        self._ended.clear()
        return b"".join(clears)


def _check_one_session(log: Log, first: int, end: int) -> None:
    for session in log.sessions():
        if first < session["ordinal"] < end:
            raise SeveralSessionsError(
                f"another session begins within, at {session['ts_event_min']} (ts_event, ns; record "
                f"{session['ordinal']}): expected a range inside of one, since books begin anew there"
            )


def _split(stream: bytes) -> tuple[bytes, bytes]:
    """Take the metadata that a DBN stream begins with apart from the records behind it."""
    end = _METADATA_HEAD_BYTES + int.from_bytes(stream[4:_METADATA_HEAD_BYTES], "little")
    return stream[:end], stream[end:]
