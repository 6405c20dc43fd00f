"""Log lines that a client can cause at will, kept from filling a disk."""

import logging
import time
from collections.abc import Callable

INTERVAL_S = 60.0
WORDINGS_MAX = 1024
"""Told apart at a time; with one more all are forgotten."""
_LIBRARIES = frozenset({"asyncio", "uvicorn", "websockets"})
_CAUSED = frozenset({"l3book.api.past_problems"})
"""Our own that says what is wrong with a file each time that somebody asks for it."""


class Repeats(logging.Filter):
    """Lets one line of each wording pass in a minute; the next that passes says how many did not.

    Of libraries, of what says again what is known, and without a traceback: what else the server says, and what failed
    in it, is always told.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line passes."""
        is_caused = record.name in _CAUSED
        if record.exc_info or not (is_caused or record.name.partition(".")[0] in _LIBRARIES):
            return True
        wording = (record.name, record.getMessage() if is_caused else str(record.msg))
        since_s, held_back = self._seen.get(wording, (-INTERVAL_S, 0))
        if self._now_s() - since_s < INTERVAL_S:
            self._seen[wording] = (since_s, held_back + 1)
            return False
        if len(self._seen) >= WORDINGS_MAX:
            self._seen.clear()
        self._seen[wording] = (self._now_s(), 0)
        if held_back:
            record.msg, record.args = f"{record.getMessage()} ({held_back} more like it before)", None
        return True
