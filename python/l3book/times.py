"""Times as users and clients write them, exact to the nanosecond: never through a float."""

import re
from datetime import date

from l3book.digits import whole_number

NS_PER_S = 1_000_000_000
TIME_MAX_NS = 2**64 - 2
"""The largest u64 is DBN's mark for no time."""

_EXPECTED = "expected nanoseconds since 1970 or ISO 8601 such as 2025-09-24T21:47:00.123456789Z"
_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
    r"(?:[Tt ](?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?P<offset>[Zz]|[+-]\d{2}(?::?\d{2})?)?)?",
    re.ASCII,
)


def parse_time_ns(text: str) -> int:
    """Read UNIX nanoseconds, or ISO 8601: a date is its midnight, no offset is UTC.

    Raises ValueError with a text for the user.
    """
    if (number := whole_number(text)) is not None:
        ns = number
    elif match := _ISO.fullmatch(text):
        ns = _iso_ns(text, match)
    else:
        raise ValueError(f"time {text!r}: {_EXPECTED}")
    if not 0 <= ns <= TIME_MAX_NS:
        raise ValueError(f"time {text!r}: before 1970 or after 2554: {_EXPECTED}")
    return ns


def _iso_ns(text: str, match: re.Match[str]) -> int:
    try:
        days = (
            date(int(match["year"]), int(match["month"]), int(match["day"])).toordinal() - date(1970, 1, 1).toordinal()
        )
    except ValueError as error:
        raise ValueError(f"time {text!r}: {error}: {_EXPECTED}") from None
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"time {text!r}: no such time of day: {_EXPECTED}")
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - _offset_s(text, match["offset"])
    return seconds * NS_PER_S + int((match["fraction"] or "").ljust(9, "0"))


def _offset_s(text: str, offset: str | None) -> int:
    if offset is None or offset in "Zz":
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise ValueError(f"time {text!r}: no such offset: {_EXPECTED}")
    return (hours * 3600 + minutes * 60) * (-1 if offset[0] == "-" else 1)
