"""Whole numbers as users write them."""

DIGITS_MAX = 20
"""Of the largest u64. int() refuses thousands of digits with an error of its own."""


def whole_number(text: str) -> int | None:
    """Read ASCII digits, and nothing else that int() would take: signs, underscores, other scripts, any length."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else None
