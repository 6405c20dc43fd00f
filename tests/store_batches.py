"""Batches of derived rows, made by hand: what a store is given, without a log or an indexer."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from l3book.history import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND = 1_000_000_000
# 2025-09-24 19:30:00 UTC, a multiple of every interval that is asked for here.
T0 = 1_758_742_200 * SECOND
UNDEF_PRICE = 2**63 - 1
TICK = 10_000_000
BOOKS = ((1, 1), (1, 2), (2, 1))


class TradeMade(NamedTuple):
    ordinal: int
    ts_event: int
    ts_recv: int
    order_id: int
    price: int
    size: int
    sequence: int
    instrument_id: int
    publisher_id: int
    side: str
    flags: int


class BboMade(NamedTuple):
    ts: int
    ordinal: int
    bid_px: int
    ask_px: int
    bid_size: int
    ask_size: int
    bid_count: int
    ask_count: int
    instrument_id: int
    publisher_id: int
    state: int


class LevelMade(NamedTuple):
    ts: int
    ordinal: int
    price: int
    size: int
    count: int
    instrument_id: int
    publisher_id: int
    side: str


def trade(ordinal: int, ts_recv: int, book: tuple[int, int] = (1, 1), **fields: object) -> TradeMade:
    """A trade of 3 at 64.20, bought, unless told otherwise."""
    made = TradeMade(
        ordinal, ts_recv - 5, ts_recv, 7_000 + ordinal, 64_200_000_000, 3, ordinal, book[1], book[0], "B", 0
    )
    return made._replace(**fields)


def bbo(ordinal: int, ts: int, book: tuple[int, int] = (1, 1), **fields: object) -> BboMade:
    """A best bid of 64.20 and an ask of 64.21, with sizes that tell the ordinal, unless told otherwise."""
    made = BboMade(ts, ordinal, 64_200_000_000, 64_210_000_000, ordinal + 1, ordinal + 2, 1, 2, book[1], book[0], 2)
    return made._replace(**fields)


def level(ordinal: int, ts: int, book: tuple[int, int] = (1, 1), **fields: object) -> LevelMade:
    """The bids at 64.20, with a size that tells the ordinal, unless told otherwise."""
    return LevelMade(ts, ordinal, 64_200_000_000, ordinal + 1, 1, book[1], book[0], "B")._replace(**fields)


@dataclass(frozen=True)
class MadeBatch:
    """The same attributes as the core's Batch, from rows as tuples."""

    first_ordinal: int
    end_ordinal: int
    resume_ordinal: int
    trades_made: Sequence[TradeMade] = ()
    bbo_made: Sequence[BboMade] = ()
    levels_made: Sequence[LevelMade] = ()
    instruments: Sequence[tuple[int, int, str | None]] = ()
    sessions: Sequence[tuple[int, str, int]] = ()
    holes: Sequence[tuple[int, int, str]] = ()
    checkpoint: tuple[int, str] | None = None
    records: bytes = field(default=b"", repr=False)
    ordinals: bytes = field(default=b"", repr=False)

    @property
    def trades(self) -> bytes:
        return np.array([_bytes_for_letters(made) for made in self.trades_made], rows.TRADE).tobytes()

    @property
    def bbo(self) -> bytes:
        return np.array([(*made, 0) for made in self.bbo_made], rows.BBO).tobytes()

    @property
    def levels(self) -> bytes:
        return np.array([(*_bytes_for_letters(made), 0) for made in self.levels_made], rows.LEVEL).tobytes()


def batch(*made: TradeMade | BboMade | LevelMade, resume: int | None = None, **fields: object) -> MadeBatch:
    """One batch of these rows, in any order."""
    ordinals = [row.ordinal for row in made]
    first, end = (min(ordinals), max(ordinals) + 1) if made else (0, 0)
    return replace(
        MadeBatch(first, end, end if resume is None else resume),
        trades_made=[row for row in made if isinstance(row, TradeMade)],
        bbo_made=[row for row in made if isinstance(row, BboMade)],
        levels_made=[row for row in made if isinstance(row, LevelMade)],
        **fields,
    )


def _bytes_for_letters(made: NamedTuple) -> tuple[object, ...]:
    return tuple(value.encode() if isinstance(value, str) else value for value in made)


class RandomBatches:
    """What an indexer of a made-up market would give: the same for the same seed, from any batch on.

    Each batch tells of two seconds, a step apart, the last of them unfinished: the next one tells it anew, and further.
    """

    def __init__(self, seed: int, count: int, *, steps_s: Sequence[int] = (1, 1, 1, 2, 9)) -> None:
        self._random = random.Random(seed)
        self._steps_s = steps_s
        self._ordinal = 0
        self._second = T0
        self.batches = [self._next(number) for number in range(count)]

    def after(self, position: int) -> list[MadeBatch]:
        """Those that an indexer would give which begins at this position."""
        return [made for made in self.batches if made.end_ordinal > position]

    def _next(self, number: int) -> MadeBatch:
        sessions = [(self._ordinal, "synthetic:", self._second)] if number == 0 else []
        if number and self._random.random() < 0.1:
            # Served again: somewhere in the middle of what has been told.
            self._second = T0 + self._random.randrange((self._second - T0) // SECOND + 1) * SECOND
            ts_recv = self._second + self._random.randrange(SECOND)
            sessions = [(self._ordinal, "file:again.dbn", ts_recv)]
        first = self._ordinal
        made: list[TradeMade | BboMade | LevelMade] = []
        earliest = sessions[0][2] if sessions else self._second
        made += self._of_second(self._second, earliest)
        resume = self._ordinal
        self._second += self._random.choice(self._steps_s) * SECOND
        made += self._of_second(self._second, self._second)
        instruments = [(*book, f"S{book[0]}{book[1]}") for book in BOOKS] if number == 0 else []
        made_batch = batch(*made, resume=resume, instruments=instruments, sessions=sessions)
        return replace(made_batch, first_ordinal=first, end_ordinal=self._ordinal)

    def _of_second(self, second: int, earliest: int) -> list[TradeMade | BboMade | LevelMade]:
        chance = self._random
        made: list[TradeMade | BboMade | LevelMade] = []
        times = sorted(chance.randrange(earliest - second, SECOND) for _ in range(chance.randrange(1, 12)))
        touched: Counter[tuple[tuple[int, int], str, int]] = Counter()
        for offset in times:
            book, side = chance.choice(BOOKS), chance.choice("BA")
            price = 64_000_000_000 + chance.randrange(6) * TICK
            if chance.random() < 0.4:
                # A gateway's clock is not quite steady.
                ts_recv = max(earliest, second + offset - chance.randrange(1_000))
                size, who = chance.randrange(1, 50), chance.choice("BAN")
                made.append(trade(self._ordinal, ts_recv, book, price=price, size=size, side=who))
            touched[book, side, price] = self._ordinal
            self._ordinal += 1
        for book in BOOKS:
            of_book = {key: ordinal for key, ordinal in touched.items() if key[0] == book}
            if of_book:
                made.append(bbo(max(of_book.values()), second, book, bid_size=chance.randrange(100)))
            for (_, side, price), ordinal in of_book.items():
                size = chance.choice((0, chance.randrange(1, 900)))
                made.append(level(ordinal, second, book, side=side, price=price, size=size))
        return made
