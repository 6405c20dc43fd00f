"""Which rows are in force: a session that begins puts out of it what earlier ones told of its time."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l3book.history import rows
from l3book.times import NS_PER_S


def rows_in_force(packed: bytes, kind: np.dtype[Any], sessions: Iterable[tuple[int, int]]) -> NDArray[np.void]:
    """Unpack rows without those that one of the sessions, as (ordinal, ts_recv), has put out of force.

    Trades go from a session's first record on; best prices and levels from its second on.
    """
    found: NDArray[np.void] = np.frombuffer(packed, kind)
    times = found["ts_recv"] if kind is rows.TRADE else found["ts"]
    first = found["ordinal"].min(initial=np.uint64(2**64 - 1))
    for ordinal, ts_recv in sessions:
        if ordinal > first:
            begin = ts_recv if kind is rows.TRADE else ts_recv - ts_recv % NS_PER_S
            kept = (found["ordinal"] >= ordinal) | (times < begin)
            found, times = found[kept], times[kept]
    return found
