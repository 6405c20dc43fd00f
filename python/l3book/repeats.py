"""Log lines that a client can cause at will, kept from filling a disk."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

INTERVAL_S = 60.0
WORDINGS_MAX = 1024
"""Told apart at a time; with one more all are forgotten, after they have been said."""
_LIBRARIES = frozenset({"asyncio", "opentelemetry", "urllib3", "uvicorn", "websockets"})
_CAUSED = frozenset({"l3book.api.past_problems", "l3book.tracing.exporting"})
"""Our own that say what is wrong with a file each time that somebody asks for it, or with a collector."""


@dataclass(slots=True)
class _Seen:
    """A wording that has passed."""

    since_s: float
    held_back: int
    last: logging.LogRecord


class Repeats(logging.Filter):
    """Lets one line of each wording pass in a minute. How many did not is said by the next that passes, or by `due`.

    Of libraries, of what says again what is known, and without a traceback: what else the server says, and what failed
    in it, is always told.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._lock = Lock()
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._due: list[logging.LogRecord] = []
        self._due_s = 0.0
        self.held_back = 0
        """Lines that did not pass, since the start."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line passes."""
        is_caused = record.name in _CAUSED
        if record.exc_info or not (is_caused or record.name.partition(".")[0] in _LIBRARIES):
            return True
        wording = (record.name, record.getMessage() if is_caused else str(record.msg))
        with self._lock:
            return self._passes(wording, record)

    def take_due(self, *, is_end: bool = False) -> list[logging.LogRecord]:
        """Take lines that say how many were held back, of each wording whose minute is over, or at the end of all."""
        now_s = self._now_s()
        # Most lines come when nothing can be due.
        if not (is_end or self._due or (self._due_s and now_s >= self._due_s)):
            return []
        with self._lock:
            for wording, seen in tuple(self._seen.items()):
                if is_end or now_s - seen.since_s >= INTERVAL_S:
                    self._forget(wording)
            self._due_s = min((s.since_s + INTERVAL_S for s in self._seen.values() if s.held_back), default=0.0)
            due, self._due = self._due, []
            return due

    def _passes(self, wording: tuple[str, str], record: logging.LogRecord) -> bool:
        now_s = self._now_s()
        seen = self._seen.get(wording)
        if seen is not None and now_s - seen.since_s < INTERVAL_S:
            seen.held_back += 1
            seen.last = record
            self.held_back += 1
            due_s = seen.since_s + INTERVAL_S
            self._due_s = min(self._due_s, due_s) if self._due_s else due_s
            return False
        if seen is None and len(self._seen) >= WORDINGS_MAX:
            for other in tuple(self._seen):
                self._forget(other)
        self._seen[wording] = _Seen(now_s, 0, record)
        if seen is not None and seen.held_back:
            _say(record, seen.held_back, f"{record.getMessage()} ({seen.held_back} more like it before)")
        return True

    def _forget(self, wording: tuple[str, str]) -> None:
        seen = self._seen.pop(wording)
        if seen.held_back:
            _say(seen.last, seen.held_back, f"{seen.last.getMessage()} ({seen.held_back} like it, said once)")
            self._due.append(seen.last)


def _say(record: logging.LogRecord, held_back: int, text: str) -> None:
    record.msg, record.args = text, None
    facts = {**getattr(record, "facts", {}), "held_back": held_back}
    record.__dict__.update(facts=facts, wording=f"{getattr(record, 'wording', '')}{{held_back}}")
