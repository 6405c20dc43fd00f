"""How far a store is behind its log, in time: known by looking at the end of the log now and then."""

from collections import deque
from typing import Final

LOOKS_MAX: Final = 1024
"""Beyond, two looks become one: a store that was away for a day is not known to the second."""


class Lag:
    """How old the oldest durable record is that is not in the store. One thread notes, any may ask."""

    def __init__(self) -> None:
        # (when, end of the log then) of looks that saw more than the one before, and more than is written.
        self._looks: deque[tuple[float, int]] = deque()
        self.written = 0
        """What is before this ordinal is in the store."""
        self.seen = 0
        """Where the log ended when it was last looked at."""
        self._since_s: float | None = None

    def look(self, end_ordinal: int, now_s: float) -> None:
        """Note where the log ends; `now_s` is of the monotonic clock, as everywhere here."""
        self.seen = end_ordinal
        known = self._looks[-1][1] if self._looks else self.written
        if end_ordinal > known:
            self._looks.append((now_s, end_ordinal))
        if len(self._looks) > LOOKS_MAX:
            # As if the later of the two had been as early: rather too old than too young.
            looks = list(self._looks)
            last = looks[-1:] if len(looks) % 2 else []
            pairs = zip(looks[::2], looks[1::2], strict=False)
            self._looks = deque([(early[0], late[1]) for early, late in pairs] + last)
        self._note()

    def wrote(self, ordinal: int) -> None:
        """Note that what is before this ordinal is in the store."""
        self.written = ordinal
        while self._looks and self._looks[0][1] <= ordinal:
            self._looks.popleft()
        self._note()

    def seconds(self, now_s: float) -> float:
        """Return the age; 0 where all that was seen is in the store."""
        since_s = self._since_s
        return 0.0 if since_s is None else max(0.0, now_s - since_s)

    def _note(self) -> None:
        # For other threads: nothing that is being changed is looked at.
        self._since_s = self._looks[0][0] if self._looks else None
