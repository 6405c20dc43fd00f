"""Numbers among the arguments."""

import argparse

from l3book.digits import whole_number


class WholeNumber:
    """A whole number in a range, for argparse."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high

    def __call__(self, text: str) -> int:
        """Read it; thousands may be set apart by commas or underscores."""
        number = whole_number(text.replace("_", "").replace(",", ""))
        if number is not None and self._low <= number <= self._high:
            return number
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from {self._low} to {self._high}")


def counted(count: int, noun: str) -> str:
    """Say how many: 1 record, 2 records."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
