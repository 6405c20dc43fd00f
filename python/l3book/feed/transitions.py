"""What happened to the books and the line, most recent last: for the log, and for whoever asks."""

import logging
import time
from collections import Counter, deque
from collections.abc import Sequence
from threading import Lock
from typing import Any

from l3book.logs import Logger

log = Logger(__name__)

KEPT = 100
"""Of the line's, and as many of the books': hundreds of books that change together must not hide why."""
OF_BOOKS = frozenset({"live", "suspect"})
LINES_PER_WINDOW = 10
WINDOW_S = 1.0
"""So many transitions a second get a line of their own; the others are summed up in one."""


class Transitions:
    """The last transitions. One thread adds, any may read."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._of_line: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._of_books: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._count = 0
        self._window_ends_s = 0.0
        self._lines = 0
        self._unsaid: Counter[str] = Counter()

    def add(self, kind: str, reason: str, **facts: object) -> None:
        """Keep one and log it, or count it for the next summary."""
        entry = {"at": str(time.time_ns()), "kind": kind, "reason": reason, **facts}
        with self._lock:
            self._count += 1
            kept = self._of_books if kind in OF_BOOKS else self._of_line
            kept.append({"n": self._count, **entry})
        self.flush()
        self._lines += 1
        if self._lines > LINES_PER_WINDOW:
            self._unsaid[f"{kind} ({reason})" if reason else kind] += 1
            return
        told = {name: value for name, value in facts.items() if value is not None}
        text = "{kind}" + (": {reason}" if reason else "") + "".join(f" {name}={{{name}}}" for name in told)
        log.log(_level(kind), text, kind=kind, reason=reason, **told)

    def flush(self) -> None:
        """Sum up what was left unsaid, once its window is over."""
        now_s = time.monotonic()
        if now_s < self._window_ends_s:
            return
        self._window_ends_s = now_s + WINDOW_S
        self._lines = 0
        if self._unsaid:
            summary = ", ".join(f"{count} × {what}" for what, count in self._unsaid.most_common())  # noqa: RUF001
            count = self._unsaid.total()
            log.warning("and {count} further transitions: {summary}", count=count, summary=summary)
            self._unsaid.clear()

    def recent(self) -> Sequence[dict[str, Any]]:
        """List the last ones, oldest first."""
        with self._lock:
            return sorted([*self._of_line, *self._of_books], key=lambda entry: int(entry["n"]))


def _level(kind: str) -> int:
    return logging.INFO if kind in {"live", "connected", "system"} else logging.WARNING
