"""Books that are in doubt before a reader has seen any record of them, and so before there is a book to be doubted."""

from collections.abc import Callable, Iterable

import numpy as np

from l3book.jetstream.records import ACTION, CLEAR, INSTRUMENT, PUBLISHER, Cutter, Rows, column
from l3book.sources.connection import Key

_SHIFT = np.uint64(32)


class Unseen:
    """Whose first record is to be followed by a doubt, and why. One that begins with a Clear lacks nothing."""

    def __init__(self) -> None:
        self._every: str | None = None
        self._seen: set[int] = set()
        """Since every book came into doubt."""
        self._some: dict[int, str] = {}

    def doubt(self, reason: str, key: Key | None = None, known: Iterable[Key] = ()) -> None:
        """Doubt this book, or every one but those that are known, from its next record on if that is the first one."""
        if key is None:
            self._every, self._seen = reason, set(map(_packed, known))
        else:
            self._some[_packed(key)] = reason

    @property
    def is_doubting(self) -> bool:
        """Whether any book would be doubted at its first record."""
        return self._every is not None or bool(self._some)

    def lacks(self, key: Key) -> bool:
        """Tell whether this book would be."""
        packed = _packed(key)
        return packed in self._some or (self._every is not None and packed not in self._seen)

    def feed(
        self, payload: bytes, receive: Callable[[memoryview], object], doubt: Callable[[str, Key], object]
    ) -> None:
        """Feed whole records, and put each book in doubt directly behind its first one."""
        view, begin, at = memoryview(payload), 0, 0
        if self.is_doubting:
            for item in Cutter().feed(payload):
                for row, packed, is_clear in self._firsts(item.rows()) if item.kind == "mbo" else ():
                    reason = self._reason(packed)
                    if reason is None or is_clear:
                        continue
                    end = at + (row + 1) * item.stride
                    receive(view[begin:end])
                    begin = end
                    doubt(reason, (packed >> 32, packed & 0xFFFF_FFFF))
                at += len(item.data)
        if begin < len(view):
            receive(view[begin:])

    def _reason(self, packed: int) -> str | None:
        """Why this book is in doubt, which is told once."""
        reason = self._some.pop(packed, None)
        if self._every is not None and packed not in self._seen:
            self._seen.add(packed)
            return reason or self._every
        return reason

    def _firsts(self, rows: Rows) -> list[tuple[int, int, bool]]:
        """Find each book's first record, in their order: its row, the book, whether it is a Clear."""
        publishers, instruments = column(rows, PUBLISHER, np.uint16), column(rows, INSTRUMENT, np.uint32)
        books, first = np.unique((publishers.astype(np.uint64) << _SHIFT) | instruments, return_index=True)
        found = zip(first.tolist(), books.tolist(), (rows[first, ACTION] == CLEAR).tolist(), strict=True)
        return sorted(found)


def _packed(key: Key) -> int:
    return key[0] << 32 | key[1]
