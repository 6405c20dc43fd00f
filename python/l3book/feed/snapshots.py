"""When to ask for the snapshot of a doubtful book: soon, then less and less often, and never too many at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nsmallest

Key = tuple[int, int]

WAIT_FIRST_S = 1.0
WAIT_MAX_S = 60.0
"""Between two snapshots of a book: a second, doubling while the book does not recover."""
FORGIVEN_S = 120.0
"""A book that was not in doubt for so long is asked for at once again."""
REQUEST_INTERVAL_S = 0.5
BOOKS_PER_REQUEST_MAX = 500
"""Of all books together: as many as one line of a subscription holds, twice a second."""


@dataclass(slots=True)
class _Asked:
    wait_s: float
    next_s: float


class Snapshots:
    """Keeps account of what was asked for."""

    def __init__(self) -> None:
        self._asked: dict[Key, _Asked] = {}
        self._next_request_s = 0.0

    def due(self, suspects: Iterable[Key], now_s: float) -> list[Key]:
        """Choose the books to ask for now; they count as asked for."""
        if now_s < self._next_request_s:
            return []
        self._forget(now_s)
        # Those that have waited longest come first, or the rest would never have a turn among thousands.
        waiting = [(self._due_s(key), key) for key in suspects]
        chosen = [key for due_s, key in nsmallest(BOOKS_PER_REQUEST_MAX, waiting) if due_s <= now_s]
        for key in chosen:
            asked = self._asked.get(key)
            wait_s = WAIT_FIRST_S if asked is None else min(2 * asked.wait_s, WAIT_MAX_S)
            self._asked[key] = _Asked(wait_s, now_s + wait_s)
        if chosen:
            self._next_request_s = now_s + REQUEST_INTERVAL_S
        return chosen

    def restart(self) -> None:
        """Forget what was asked: the answers went down with the connection."""
        self._asked.clear()

    def _due_s(self, key: Key) -> float:
        asked = self._asked.get(key)
        return 0.0 if asked is None else asked.next_s

    def _forget(self, now_s: float) -> None:
        for key in [key for key, asked in self._asked.items() if now_s >= asked.next_s + FORGIVEN_S]:
            del self._asked[key]
