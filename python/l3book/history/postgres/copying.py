"""Packed rows as PostgreSQL's binary COPY wants them: each field big endian, behind its length."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from l3book.history.postgres.schema import Table

RECORD: Final = np.dtype(
    [
        ("length", "u1"),
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "S1"),
        ("side", "S1"),
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)
"""An MBO record of DBN."""
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_TYPES = {"bigint": ">i8", "integer": ">i4", "smallint": ">i2", '"char"': "S1"}


def copied(table: Table, rows: NDArray[np.void], books: NDArray[np.int64], ordinals: NDArray[np.uint64]) -> bytes:
    """Lay rows out for COPY, with the number of each row's book, and its ordinal. No loop over rows."""
    given = {"book": books, "ordinal": ordinals}
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in table.columns:
        layout += [(f"{name} bytes", ">i4"), (name, _TYPES[kind])]
    made = np.empty(len(rows), np.dtype(layout))
    made["fields"] = len(table.columns)
    for name, kind in table.columns:
        made[f"{name} bytes"] = np.dtype(_TYPES[kind]).itemsize
        # Numbers above the signed range keep their bits.
        made[name] = given[name] if name in given else rows[name]
    return _SIGNATURE + made.tobytes() + _TRAILER


def newest_of_each(rows: NDArray[np.void], identity: tuple[str, ...]) -> NDArray[np.void]:
    """Leave one row of each identity, that with the highest ordinal and of those the last; in the order of it."""
    # lexsort is stable and sorts by its last key first.
    order = np.lexsort([rows["ordinal"], *(rows[name] for name in reversed(identity))])
    ordered: NDArray[np.void] = rows[order]
    is_last = np.ones(len(ordered), bool)
    if len(ordered) > 1:
        differs = [ordered[name][1:] != ordered[name][:-1] for name in identity]
        is_last[:-1] = np.logical_or.reduce(differs)
    kept: NDArray[np.void] = ordered[is_last]
    return kept


def numbered(rows: NDArray[np.void], number_of: Callable[[tuple[int, int]], int]) -> NDArray[np.int64]:
    """Look up the number of each row's book, once per book."""
    keys = rows["publisher_id"].astype(np.uint64) << np.uint64(32) | rows["instrument_id"]
    found, places = np.unique(keys, return_inverse=True)
    numbers = [number_of((int(key) >> 32, int(key) & 0xFFFF_FFFF)) for key in found]
    looked_up: NDArray[Any] = np.array(numbers, np.int64)[places]
    return looked_up
