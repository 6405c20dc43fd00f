"""What a store of derived rows does: one interface for SQLite, ClickHouse and PostgreSQL.

Nothing here is the truth: the log is. A store is written by whoever tails the log, batch by batch, and may be thrown
away and made anew. Prices are integers in units of 1e-9, UNDEF_PRICE where there is none; times are UNIX nanoseconds.

All queries share these rules:

- A book is its (publisher_id, instrument_id). One that the store does not know has no rows; that is no error.
- A range is half open, [start, end), by ts_recv. A range that ends at or before its start has no rows.
- At most `limit` rows come, in the order told. `after` is the place of the last row seen: only what comes behind it is
  given. A page of `limit` rows may have more behind it, a shorter one has not.
- Rows of one second (best prices, levels) have its start as `ts`, and tell how things were at its end.
- An interval is a whole number of seconds, and begins at a multiple of itself since 1970, whatever `start` is. It
  belongs to a range if it begins in it, and is told whole then, also where the range ends inside of it.
- Intervals in which nothing changed are filled with the last known value, which may be from before `start`; its
  `ordinal` is still that of the record which last changed it. Nothing is known before the first row of a session, nor
  after the newest second of any book in the store: such intervals are left out.
- A session that begins puts out of force what earlier ones told of its time and of all that comes after: a recording
  that is served again has not traded twice. Their trades go from its `ts_recv` on, their seconds from the one it is in.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

from l3book._core import L3BookError

Book: TypeAlias = tuple[int, int]
"""(publisher_id, instrument_id)."""


class InstrumentRow(NamedTuple):
    """A book of which something is known, and its symbol as last told."""

    publisher_id: int
    instrument_id: int
    symbol: str | None


class TradeRow(NamedTuple):
    """One Trade record. `side` is the aggressor's: "B", "A", or "N" where the venue does not say."""

    ordinal: int
    ts_event: int
    ts_recv: int
    order_id: int
    price: int
    size: int
    sequence: int
    side: str
    flags: int


class BboRow(NamedTuple):
    """Best bid and offer as they were at the end of a second, or of the interval that begins at `ts`."""

    ts: int
    ordinal: int
    bid_px: int
    ask_px: int
    bid_size: int
    ask_size: int
    bid_count: int
    ask_count: int
    state: str
    """ "empty", "snapshot", "live" or "suspect"."""


class LevelRow(NamedTuple):
    """One price level as it was at the end of a second, or of the interval that begins at `ts`; size 0: gone."""

    ts: int
    side: str
    price: int
    size: int
    count: int  # type: ignore[assignment]  # the field's word, and nobody counts in such a tuple
    ordinal: int


class VolumeRow(NamedTuple):
    """What traded in the interval that begins at `ts`: sizes, in all and by the aggressor's side."""

    ts: int
    size: int
    buy_size: int
    sell_size: int
    trades: int


class LifeRow(NamedTuple):
    """One MBO record of an order."""

    ordinal: int
    ts_event: int
    ts_recv: int
    action: str
    side: str
    price: int
    size: int
    flags: int
    channel_id: int
    sequence: int


class SessionStart(NamedTuple):
    """Where in the log a session begins, and when: `ts_recv` of its first record that is no MBO snapshot's."""

    ordinal: int
    uri: str
    ts_recv: int


class Batch(Protocol):
    """What is written at once: rows of the records from one ordinal to another, in the order of the log."""

    @property
    def first_ordinal(self) -> int:
        """Of the first record that it tells of."""

    @property
    def end_ordinal(self) -> int:
        """One more than that of the last."""

    @property
    def resume_ordinal(self) -> int:
        """Where to begin anew, so that the unfinished second is made again from its start."""

    @property
    def trades(self) -> bytes:
        """Rows as l3book.history.rows.TRADE packs them."""

    @property
    def bbo(self) -> bytes:
        """Rows as l3book.history.rows.BBO packs them."""

    @property
    def levels(self) -> bytes:
        """Rows as l3book.history.rows.LEVEL packs them."""

    @property
    def records(self) -> bytes:
        """The MBO records themselves, 56 bytes each, for stores that keep them."""

    @property
    def ordinals(self) -> bytes:
        """The ordinal of each of the records, u64."""

    @property
    def instruments(self) -> Sequence[tuple[int, int, str | None]]:
        """(publisher_id, instrument_id, symbol) of books that are new, or whose symbol is."""

    @property
    def sessions(self) -> Sequence[tuple[int, str, int]]:
        """Sessions that begin in it, as SessionStart."""


class StoreError(L3BookError):
    """A store cannot be read or written; the text says which, and why. Whether to try again is the caller's to say."""


class NotOpenYetError(StoreError):
    """Its tables are still being looked for, as they are for a moment after the start."""


class Store(Protocol):
    """One thread writes, any number may ask meanwhile. Every method raises StoreError."""

    @property
    def name(self) -> str:
        """What metrics call it: "sqlite", "clickhouse" or "postgresql"."""

    @property
    def is_of_one_process(self) -> bool:
        """Whether no two processes can have it open at a time."""

    def open(self) -> None:
        """Connect, and make or migrate the tables. Once it has failed it may be called again."""

    def position(self) -> int:
        """Where in the log to go on: `resume_ordinal` of the last batch written, 0 where there was none."""

    def end_ordinal(self) -> int:
        """One more than the ordinal of the last record of which there may be a row; the position may be before that."""

    def sessions(self) -> list[SessionStart]:
        """All sessions that were written, by ordinal; a time later than 2262 may be told as another such time."""

    def write(self, batch: Batch) -> None:
        """Write all of it and the position, or nothing.

        Where that is not possible, writing it again must lead to the same. Rows have an identity: a trade its ordinal,
        best prices (book, ts), a level (book, ts, side, price). Of two rows with the same identity that with the higher
        ordinal stays, of equal ones the one written last.
        """

    def instruments(self) -> list[InstrumentRow]:
        """All books, by publisher_id and instrument_id."""

    def trades(
        self, book: Book, start: int, end: int, limit: int, after: tuple[int, int] | None = None
    ) -> list[TradeRow]:
        """By (ts_recv, ordinal), which is also what `after` names."""

    def bbo(
        self, book: Book, start: int, end: int, interval_ns: int | None, limit: int, after: int | None = None
    ) -> list[BboRow]:
        """By ts, which is also what `after` names. `interval_ns` None: the seconds that have a row, and no filling."""

    def levels(
        self,
        book: Book,
        start: int,
        end: int,
        interval_ns: int | None,
        limit: int,
        after: tuple[int, str, int] | None = None,
        *,
        side: str | None = None,
        price: int | None = None,
    ) -> list[LevelRow]:
        """By (ts, side, price), which is also what `after` names; side "A" before "B".

        `interval_ns` None: as it was written. Otherwise each interval tells how the levels that changed in it ended.
        Only where side and price name one level is it filled, as best prices are.
        """

    def volume(
        self, book: Book, start: int, end: int, interval_ns: int, limit: int, after: int | None = None
    ) -> list[VolumeRow]:
        """By ts, which is also what `after` names. Intervals without a trade have no row."""

    def order_life(self, book: Book, order_id: int, limit: int = 10_000) -> list[LifeRow]:
        """Return the last `limit` records of this order_id, by ordinal, over all sessions."""

    def prune(self, before_ts: int) -> None:
        """Forget all rows from before this second. What was last known before it is forgotten, too."""

    def close(self) -> None:
        """Let go of everything. A store that was closed may be opened again."""
