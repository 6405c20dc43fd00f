"""Where the next page of rows begins: the place of the last row seen, so that no server has to remember it."""

import re

TRADES_PATTERN = "^[0-7][0-9a-f]{15}[0-7][0-9a-f]{15}$"
BBO_PATTERN = "^[0-7][0-9a-f]{15}$"
LEVELS_PATTERN = "^[0-7][0-9a-f]{15}[AB][0-9a-f]{16}$"

_TRADES, _BBO, _LEVELS = map(re.compile, (TRADES_PATTERN, BBO_PATTERN, LEVELS_PATTERN))
# Prices are signed; moved up by so much, they are not.
_PRICE_ZERO = 2**63


def of_trade(ts_recv: int, ordinal: int) -> str:
    """Make the cursor that goes on after this trade."""
    return f"{ts_recv:016x}{ordinal:016x}"


def trade_of(cursor: str) -> tuple[int, int] | None:
    """Read (ts_recv, ordinal); None if it is no such cursor."""
    return (int(cursor[:16], 16), int(cursor[16:], 16)) if _TRADES.fullmatch(cursor) else None


def of_bbo(ts: int) -> str:
    """Make the cursor that goes on after the row of this time."""
    return f"{ts:016x}"


def bbo_of(cursor: str) -> int | None:
    """Read the time; None if it is no such cursor."""
    return int(cursor, 16) if _BBO.fullmatch(cursor) else None


def of_level(ts: int, side: str, price: int) -> str:
    """Make the cursor that goes on after the row of this level."""
    return f"{ts:016x}{side}{price + _PRICE_ZERO:016x}"


def level_of(cursor: str) -> tuple[int, str, int] | None:
    """Read (ts, side, price); None if it is no such cursor."""
    if not _LEVELS.fullmatch(cursor):
        return None
    return int(cursor[:16], 16), cursor[16], int(cursor[17:], 16) - _PRICE_ZERO
