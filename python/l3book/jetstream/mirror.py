"""The books as a reader of the whole stream has them, to be written into it now and then."""

import contextlib
import time

import numpy as np

from l3book._core import Instrument, Market, UnknownInstrumentError
from l3book.jetstream.records import F_LAST, FLAGS, INSTRUMENT, MBO_BYTES_MIN, PUBLISHER, Cutter, Rows, column
from l3book.jetstream.unseen import Unseen
from l3book.jetstream.windows import Doubt, Pictured
from l3book.sources.connection import Key

SIZES_BETWEEN = 4
"""Before a snapshot, so many times its size is published: they are a fifth of a stream at most."""
NO_BEGINNING = "no beginning"
ONE_BY_ONE_MAX = 8
NS_PER_S = 1_000_000_000
_SHIFT = np.uint64(32)


class Mirror:
    """Is told what is published, in its order. Used on one thread."""

    def __init__(self, every_s: float, *, is_whole: bool) -> None:
        """`is_whole`: nothing was in the stream before; else a book is known from its next Clear or snapshot on."""
        self._every_s = every_s
        self._market = Market(watch=True)
        self._unseen = Unseen()
        if not is_whole:
            self._unseen.doubt(NO_BEGINNING)
        self._open: set[int] = set()
        """Books with an event that has not ended: who began behind its first part would miss that."""
        self._last_at_s = time.monotonic()
        self._last_ts: int | None = None
        self._since_size = 0
        self._needed_size = 0
        """Of what is published before the next one, as far as that is known: to ask the market costs something."""

    def feed(self, data: bytes) -> None:
        """Take whole records, with what a stream begins with. Raises DecodeError."""
        self._unseen.feed(data, self._market.feed, self._doubt)
        for item in Cutter().feed(data):
            if item.kind == "mbo":
                self._note_open(item.rows())
        self._since_size += len(data)
        if self._last_ts is None:
            self._last_ts = self._now_ts() or None

    def doubt(self, doubts: list[Doubt]) -> None:
        """Take what readers are told not to believe."""
        for publisher_id, instrument_id, reason in doubts:
            key = None if (publisher_id, instrument_id) == (0, 0) else (publisher_id, instrument_id)
            self._unseen.doubt(reason, key)
            self._doubt(reason, key)

    def due(self) -> list[Pictured]:
        """Give all books that are exact and between two events, if it is time to: by the clock, or by the records'."""
        if not self._since_size or self._since_size < self._needed_size:
            return []
        now_s, now_ts = time.monotonic(), self._now_ts()
        passed_s = max(now_s - self._last_at_s, (now_ts - (self._last_ts or now_ts)) / NS_PER_S)
        if passed_s < self._every_s:
            return []
        books = self._market.instruments()
        self._needed_size = SIZES_BETWEEN * MBO_BYTES_MIN * sum(1 + book.orders for book in books)
        if self._since_size < self._needed_size:
            return []
        self._last_at_s, self._last_ts, self._since_size, self._needed_size = now_s, now_ts or None, 0, 0
        return self._pictures(books)

    def _now_ts(self) -> int:
        latest: int = self._market.watch_stats()["last_ts_recv"]
        return latest

    def _doubt(self, reason: str, key: Key | None) -> None:
        # Of a book that nothing was told of yet, nothing can be wrong.
        with contextlib.suppress(UnknownInstrumentError):
            self._market.doubt(reason, key)
        # Nobody asks for them here.
        self._market.take_alerts()

    def _pictures(self, books: list[Instrument]) -> list[Pictured]:
        keys = [(book.publisher_id, book.instrument_id) for book in books if book.state == "live"]
        return [(key, self._picture(key)) for key in keys if key[0] << 32 | key[1] not in self._open]

    def _picture(self, key: Key) -> bytes:
        stream = self._market.stream("dbn", key)
        try:
            told = stream.snapshot().binary or b""
            return b"".join(item.data for item in Cutter().feed(told) if item.kind == "mbo")
        finally:
            stream.close()

    def _note_open(self, rows: Rows) -> None:
        """See which books' last record does not end its event.

        Only of records that are followed by another book's can that be so, and these are few: an event's records come
        one behind the other.
        """
        publishers, instruments = column(rows, PUBLISHER, np.uint16), column(rows, INSTRUMENT, np.uint32)
        books = (publishers.astype(np.uint64) << _SHIFT) | instruments
        is_last = (rows[:, FLAGS] & F_LAST) != 0
        is_followed = np.append(books[1:] == books[:-1], False)
        asked = set(books[~is_last & ~is_followed].tolist()) | self._open
        if len(asked) > ONE_BY_ONE_MAX:
            found, behind = np.unique(books[::-1], return_index=True)
            ends = dict(zip(found.tolist(), (len(books) - 1 - behind).tolist(), strict=True))
        else:
            ends = {book: int(own[-1]) for book in asked if len(own := np.flatnonzero(books == book))}
        for book in asked & ends.keys():
            (self._open.discard if is_last[ends[book]] else self._open.add)(book)
