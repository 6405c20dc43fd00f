"""The life of an order, from its records."""

import numpy as np

from l3book.history.store import LifeRow
from l3book.rows import fields

_COLUMNS = ("ts_event", "ts_recv", "action", "side", "price", "size", "flags", "channel_id", "sequence")


def life_rows(ordinals: bytes, records: bytes) -> list[LifeRow]:
    """Make rows of MBO records (56 bytes each) and their ordinals (u64 each)."""
    made = np.frombuffer(records, dtype=fields("mbo"))
    columns = [np.frombuffer(ordinals, dtype="<u8").tolist()]
    for name in _COLUMNS:
        column = made[name]
        columns.append((column.astype("U1") if column.dtype.kind == "S" else column).tolist())
    return [LifeRow(*row) for row in zip(*columns, strict=True)]
