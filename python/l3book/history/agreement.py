"""Whether tables are those of a log. What it has decides which rows are in force, and nothing else."""

import sqlite3
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from l3book._core import HistoryError
from l3book.history.intervals import in_force
from l3book.times import NS_PER_S

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from l3book._core import Log
    from l3book.history.store import Store

TS_MAX = 2**63 - 1
"""Stores need not tell later times apart."""
RECORDS_MAX = 10_000
"""Of one order, in which a record is looked for."""
_IDS, _IDS_AT = struct.Struct("<HIQQ"), 2
"""publisher_id, instrument_id, ts_event and order_id of an MBO record."""
_TIMES = {"trades": ("ts_recv", 1), "bbo": ("second", NS_PER_S), "levels": ("second", NS_PER_S)}
"""What rows have for a time, and of how many ns one is."""


def contradiction(log: "Log", position: int, end_ordinal: int, sessions: Iterable[tuple[int, str, int]]) -> str | None:
    """Say what tables have that the log has not, or the other way round; None where one leads to the other.

    They are whole up to `position`, end at `end_ordinal`, and know these sessions, by their starts. What retention has
    removed from the log's beginning they may still have, and when a session began they know better where the frame that
    says it is damaged by now.
    """
    first, end = log.first_ordinal, log.end_ordinal
    if end_ordinal > end:
        return f"rows of {end_ordinal} records, the log has {end}"
    if end_ordinal > first:
        segments = log.segments()
        at = bisect_right(segments, end_ordinal - 1, key=lambda segment: segment["first_ordinal"]) - 1
        if (known := segments[at]["end_ordinal"]) < end_ordinal:
            return f"rows of {end_ordinal} records, of which the log lacks those from {known} on"
    starts = [start for start in log.session_starts() if start[0] >= first]
    begun = {ordinal: min(ts_recv, TS_MAX) for ordinal, _, ts_recv, _ in starts}
    estimated = {ordinal for ordinal, _, _, is_estimated in starts if is_estimated}
    told = {ordinal: min(ts_recv, TS_MAX) for ordinal, _, ts_recv in sessions if ordinal >= first}
    for ordinal in sorted(begun.keys() | told.keys()):
        theirs, ours = told.get(ordinal), begun.get(ordinal)
        if ours is None:
            return f"a session that begins at record {ordinal}, the log has none there"
        if theirs is None and ordinal < position:
            return f"no session that begins at record {ordinal}, the log has one"
        if theirs is not None and theirs != ours and ordinal not in estimated:
            return f"a session at record {ordinal} that begins at {theirs} (ts_recv, ns), in the log at {ours}"
    return None


def other_record(log: "Log", store: "Store") -> str | None:
    """Look whether the last record that a store keeps is the log's of that ordinal; None if so, or if nobody can tell.

    A log that has lost its end, or was begun anew, may have given ordinals again that only the store knew of.
    """
    ordinal = store.end_ordinal() - 1
    if ordinal < log.first_ordinal:
        return None
    try:
        first, record = log.read(ordinal, 1)
    except HistoryError:
        # It is damaged.
        return None
    if first != ordinal or not record:
        return None
    from l3book.history.order_rows import life_rows  # here: with SQLite there is no need of it

    (ours,) = life_rows(ordinal.to_bytes(8, "little"), record)
    publisher_id, instrument_id, _, order_id = _IDS.unpack_from(record, _IDS_AT)
    kept = store.order_life((publisher_id, instrument_id), order_id, RECORDS_MAX)
    theirs = next((row for row in kept if row.ordinal == ordinal), None)
    # What a batch left that was not written as a whole lies behind it, and may be all that was asked for.
    is_beyond = len(kept) == RECORDS_MAX and kept[0].ordinal > ordinal
    if theirs == ours or is_beyond:
        return None
    return f"another record {ordinal} than the log: its ordinals were given again"


def rows_out_of_force(connection: sqlite3.Connection, sessions: list[tuple[int, int]]) -> Iterator[str]:
    """Look for rows that one of the sessions, as (ordinal, ts_recv), has put out of force: the first of each table."""
    books = [book for (book,) in connection.execute("SELECT book FROM books")]
    for table, (time, unit_ns) in _TIMES.items():
        begun = [(ts // unit_ns, ordinal) for ts, ordinal in in_force(sessions, unit_ns)]
        found = next(_rows_before(connection, table, time, books, begun), None)
        if found is not None:
            yield _told(table, *found)


def _rows_before(
    connection: sqlite3.Connection, table: str, time: str, books: list[int], begun: list[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Give (ordinal of a row, that of the session that has put it out of force)."""
    for book in books:
        for (begin, ordinal), (end, _) in pairwise([*begun, (TS_MAX, 0)]):
            found = connection.execute(
                f"SELECT ordinal FROM {table} WHERE book = ? AND {time} >= ? AND {time} < ? AND ordinal < ? LIMIT 1",
                (book, begin, end, ordinal),
            ).fetchone()
            if found is not None:
                yield found[0], ordinal


def columns_out_of_force(
    table: str, times: "NDArray[np.uint64]", ordinals: "NDArray[np.uint64]", sessions: list[tuple[int, int]]
) -> str | None:
    """As `rows_out_of_force`, of rows that lie in columns, with times in ns."""
    import numpy as np  # here: whoever has no Parquet files does without

    begun = in_force(sessions, _TIMES[table][1])
    begins = np.array([ts for ts, _ in begun], "<u8")
    firsts = np.array([0, *(ordinal for _, ordinal in begun)], "<u8")[np.searchsorted(begins, times, "right")]
    wrong = np.flatnonzero(ordinals < firsts)
    return _told(table, int(ordinals[wrong[0]]), int(firsts[wrong[0]])) if wrong.size else None


def _told(table: str, ordinal: int, session: int) -> str:
    return f"a row of record {ordinal} in {table} that the session of record {session} has put out of force"
