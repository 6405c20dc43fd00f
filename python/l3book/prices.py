"""Prices: decimal strings on the wire, integers in 1e-9 units here."""

DECIMALS = 9
UNIT: int = 10**DECIMALS


def parse_price(text: str) -> int:
    """Read a decimal string with at most nine decimals; exact. Raises ValueError for anything else."""
    whole, point, fraction = text.removeprefix("-").partition(".")
    if not (_is_digits(whole) and (_is_digits(fraction) or not point) and len(fraction) <= DECIMALS):
        raise ValueError(f"{text[:40]!r} is not a price: expected a decimal string with at most {DECIMALS} decimals")
    units: int = int(whole) * UNIT + int(fraction.ljust(DECIMALS, "0"))
    return -units if text.startswith("-") else units


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def price_text(price: int) -> str:
    """Write a price as the wire does: exact, with at least two decimals and no more than it needs."""
    whole, fraction = divmod(abs(price), UNIT)
    decimals = f"{fraction:0{DECIMALS}d}".rstrip("0").ljust(2, "0")
    return f"{'-' if price < 0 else ''}{whole}.{decimals}"
