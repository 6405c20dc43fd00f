"""The life of an order, read off its records."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from l3book.history.store import LifeRow

Status: TypeAlias = Literal["resting", "filled", "cancelled", "removed"]

ADD, MODIFY, CANCEL, FILL, TRADE = "A", "M", "C", "F", "T"
NO_ORDER = 0
"""The order_id of what concerns no order: trades of no resting one, Clears, None records."""


class Life(NamedTuple):
    """What the records of one session say of one order."""

    records: list["LifeRow"]
    status: Status
    side: str
    price: int
    """Both as last told, the price in units of 1e-9."""
    size: int
    """What was left of it; 0: nothing."""
    filled: int
    """The sum of what it took, before it rested, and of its fills."""


def concerning(order_id: int, records: Sequence["LifeRow"]) -> Sequence["LifeRow"]:
    """Leave out, of the records with an order's id, those that concern no order; any other id is always an order's."""
    if order_id != NO_ORDER:
        return records
    # Nothing forbids a venue to give an order this id; then it was added, changed or cancelled.
    own = [record for record in records if record.action in {ADD, MODIFY, CANCEL, FILL}]
    return own if any(record.action != FILL for record in own) else []


def life_of(records: Sequence["LifeRow"], session_starts: Sequence[int], end_ordinal: int | None) -> Life | None:
    """Read the last session in which the order has records before `end_ordinal` (None: all); None: it has none."""
    told = [record for record in records if end_ordinal is None or record.ordinal < end_ordinal]
    if not told:
        return None
    start = max((ordinal for ordinal in session_starts if ordinal <= told[-1].ordinal), default=0)
    told = [record for record in told if record.ordinal >= start]
    side, price, size, filled = told[0].side, told[0].price, 0, 0
    last_fill: LifeRow | None = None
    # Of an order that was seen trading only, and never rested.
    status: Status = "filled"
    for record in told:
        if record.action in {ADD, MODIFY}:
            side, price, size = record.side, record.price, record.size
            status = "resting" if size else "cancelled"
        elif record.action == FILL:
            filled += record.size
            last_fill = record
        elif record.action == TRADE and size == 0:
            # It came and took; what rests is told to have been filled.
            filled += record.size
        elif record.action == CANCEL:
            size = max(0, size - record.size)
            if size == 0:
                # Of one event: some venues give its records one sequence number, others one each.
                is_fill = last_fill is not None and last_fill.ts_event == record.ts_event
                status = "filled" if is_fill else "cancelled"
    return Life(told, status, side, price, size, filled)
