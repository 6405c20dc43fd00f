"""Where the next page of a list begins.

A cursor is the key of the last book of a page: books that are added later move nothing, and no server has to
remember it.
"""

import re

_CURSOR = re.compile("([0-9a-f]{4})([0-9a-f]{8})")
PATTERN = "^[0-9a-f]{12}$"


def cursor_of_key(key: tuple[int, int]) -> str:
    """Make the cursor that goes on after (publisher_id, instrument_id)."""
    return f"{key[0]:04x}{key[1]:08x}"


def key_of_cursor(text: str) -> tuple[int, int] | None:
    """Read (publisher_id, instrument_id); None if it is no cursor."""
    match = _CURSOR.fullmatch(text)
    return (int(match[1], 16), int(match[2], 16)) if match else None
