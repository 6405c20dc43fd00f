"""What every store must do. A test module per store subclasses `Conformance` and gives it `make_store`.

Expected answers come from `NaiveStore`, or are written out by hand.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from l3book.history.store import BboRow, InstrumentRow, LevelRow, SessionStart, TradeRow, VolumeRow
from naive_store import NaiveStore
from store_batches import BOOKS, SECOND, T0, TICK, UNDEF_PRICE, MadeBatch, RandomBatches, batch, bbo, level, trade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from l3book.history.store import Store

ALL = 1_000_000
ALWAYS = (0, 2**62)
BOOK = (1, 1)
MINUTE = 60 * SECOND
STREAMS = int(os.environ.get("L3BOOK_STORE_STREAMS", "3"))
KILLS = int(os.environ.get("L3BOOK_STORE_KILLS", "2"))
CHILD_TIMEOUT_S = 90
SPAWN = multiprocessing.get_context("spawn")


def write_all(make_store: Callable[[], Store], seed: int, count: int) -> None:
    """Write the batches of a seed from the store's position on: what a child process does until it is killed."""
    store = make_store()
    store.open()
    for made in RandomBatches(seed, count).after(store.position()):
        store.write(made)
    store.close()


def everything(store: Store | NaiveStore) -> dict[str, list]:
    """All rows of all books, as they were written."""
    found: dict[str, list] = {"instruments": store.instruments()}
    for book in BOOKS:
        found[f"trades {book}"] = store.trades(book, *ALWAYS, ALL)
        found[f"bbo {book}"] = store.bbo(book, *ALWAYS, None, ALL)
        found[f"levels {book}"] = store.levels(book, *ALWAYS, None, ALL)
    return found


class Conformance:
    """The tests. A subclass has the fixture `make_store`: an unopened Store on the same data each time, picklable."""

    is_transactional = True
    """Whether a batch that was cut off by a crash leaves nothing. Where not, writing it again must mend it."""

    questions = 60
    """How many of each random stream."""
    batches_until_killed = 400

    @pytest.fixture
    def store(self, make_store: Callable[[], Store]) -> Iterator[Store]:
        store = make_store()
        store.open()
        yield store
        store.close()

    def test_an_empty_store_knows_nothing_and_says_so(self, store: Store) -> None:
        assert store.position() == 0
        assert store.instruments() == []
        assert store.trades(BOOK, *ALWAYS, ALL) == []
        assert store.bbo(BOOK, T0, T0 + MINUTE, SECOND, ALL) == []
        assert store.levels(BOOK, T0, T0 + MINUTE, SECOND, ALL, side="B", price=TICK) == []
        assert store.volume(BOOK, T0, T0 + MINUTE, MINUTE, ALL) == []

    def test_rows_come_back_as_they_were_written(self, store: Store) -> None:
        store.write(
            batch(
                trade(5, T0 + 7, order_id=2**64 - 1, price=-3, size=2**32 - 1, sequence=2**32 - 1, side="N", flags=255),
                bbo(6, T0, bid_px=UNDEF_PRICE, ask_px=-(2**63) + 1, bid_size=0, ask_size=2**40, bid_count=0, state=3),
                level(7, T0, side="A", price=2**62, size=2**40, count=2**32 - 1),
                instruments=[(1, 1, "CLX5"), (2, 2**32 - 1, None)],
            )
        )
        assert store.trades(BOOK, *ALWAYS, ALL) == [
            TradeRow(5, T0 + 2, T0 + 7, 2**64 - 1, -3, 2**32 - 1, 2**32 - 1, "N", 255)
        ]
        assert store.bbo(BOOK, *ALWAYS, None, ALL) == [
            BboRow(T0, 6, UNDEF_PRICE, -(2**63) + 1, 0, 2**40, 0, 2, "suspect")
        ]
        assert store.levels(BOOK, *ALWAYS, None, ALL) == [LevelRow(T0, "A", 2**62, 2**40, 2**32 - 1, 7)]
        assert store.instruments() == [InstrumentRow(1, 1, "CLX5"), InstrumentRow(2, 2**32 - 1, None)]

    def test_the_position_is_where_the_unfinished_second_begins(self, store: Store, make_store) -> None:
        store.write(batch(trade(8, T0), trade(9, T0 + SECOND), resume=9))
        assert store.position() == 9
        store.close()
        again = make_store()
        again.open()
        assert again.position() == 9
        assert [row.ordinal for row in again.trades(BOOK, *ALWAYS, ALL)] == [8, 9]
        again.close()
        store.open()

    def test_what_it_was_made_of_is_known_to_whoever_opens_it_again(self, store: Store, make_store) -> None:
        assert (store.end_ordinal(), store.sessions()) == (0, [])
        sessions = [SessionStart(0, "file:a.dbn", T0), SessionStart(8, "file:b.dbn", T0 + 1)]
        store.write(batch(trade(7, T0), sessions=[sessions[0]]))
        store.write(batch(trade(8, T0 + 1), trade(9, T0 + SECOND), resume=9, sessions=[sessions[1]]))
        store.close()
        again = make_store()
        again.open()
        assert (again.position(), again.end_ordinal(), again.sessions()) == (9, 10, sessions)
        again.close()
        store.open()

    def test_a_symbol_is_the_one_last_told(self, store: Store) -> None:
        store.write(batch(instruments=[(1, 1, None), (1, 2, "CLZ5")]))
        store.write(batch(instruments=[(1, 1, "CLX5")]))
        assert store.instruments() == [InstrumentRow(1, 1, "CLX5"), InstrumentRow(1, 2, "CLZ5")]

    def test_ranges_are_half_open(self, store: Store) -> None:
        times = [T0, T0 + SECOND, T0 + 2 * SECOND]
        store.write(batch(*(make(number, ts) for number, ts in enumerate(times) for make in (trade, bbo, level))))
        for ask in (
            lambda *span: [row.ts_recv for row in store.trades(BOOK, *span, ALL)],
            lambda *span: [row.ts for row in store.bbo(BOOK, *span, None, ALL)],
            lambda *span: [row.ts for row in store.levels(BOOK, *span, None, ALL)],
            lambda *span: [row.ts for row in store.volume(BOOK, *span, SECOND, ALL)],
        ):
            assert ask(T0, T0 + 2 * SECOND) == times[:2]
            assert ask(T0 + 1, T0 + 2 * SECOND + 1) == times[1:]
            assert ask(T0 + SECOND, T0 + SECOND) == []
            assert ask(T0 + 2 * SECOND, T0) == []

    def test_books_are_told_apart_by_both_their_numbers(self, store: Store) -> None:
        made = [make(number, T0, book) for number, book in enumerate(BOOKS) for make in (trade, bbo, level)]
        store.write(batch(*made))
        for number, book in enumerate(BOOKS):
            assert [row.ordinal for row in store.trades(book, *ALWAYS, ALL)] == [number]
            assert [row.ordinal for row in store.bbo(book, T0, T0 + SECOND, SECOND, ALL)] == [number]
            assert [row.ordinal for row in store.levels(book, *ALWAYS, None, ALL)] == [number]
            assert store.volume(book, T0, T0 + 1, SECOND, ALL) == [VolumeRow(T0, 3, 3, 0, 1)]
        assert store.trades((9, 9), *ALWAYS, ALL) == []

    def test_intervals_carry_the_last_known_value_forward_from_before_the_range(self, store: Store) -> None:
        store.write(batch(bbo(0, T0 + SECOND), bbo(1, T0 + 7 * SECOND), bbo(2, T0 + 70 * SECOND)))
        seconds = store.bbo(BOOK, T0 + 3 * SECOND, T0 + 9 * SECOND, SECOND, ALL)
        assert [(row.ts - T0, row.ordinal) for row in seconds] == [
            (second * SECOND, 0 if second < 7 else 1) for second in range(3, 9)
        ]
        # From 1970 on, as whoever knows no better asks.
        assert store.bbo(BOOK, 0, 2**63 - 1, SECOND, 6)[-1].ts == T0 + 6 * SECOND
        # The first begins with its minute, from when nothing is known but what its end shows.
        minutes = store.bbo(BOOK, T0, T0 + 10 * MINUTE, MINUTE, ALL)
        assert [(row.ts - T0, row.ordinal) for row in minutes] == [(0, 1), (MINUTE, 2)]
        # Of the minute in which a range begins nothing is told, of that in which it ends everything.
        assert [row.ts - T0 for row in store.bbo(BOOK, T0 + 1, T0 + MINUTE + 1, MINUTE, ALL)] == [MINUTE]

    def test_nothing_is_known_before_the_first_value_or_after_the_newest_second(self, store: Store) -> None:
        store.write(batch(bbo(0, T0 + 2 * SECOND), trade(1, T0 + 4 * SECOND + 1, (2, 1))))
        found = store.bbo(BOOK, T0, T0 + MINUTE, SECOND, ALL)
        assert [row.ts - T0 for row in found] == [2 * SECOND, 3 * SECOND, 4 * SECOND]

    def test_one_level_over_time_is_filled_and_all_levels_are_not(self, store: Store) -> None:
        price = 64_000_000_000
        store.write(
            batch(
                level(0, T0, price=price, size=5),
                level(1, T0 + 3 * SECOND, price=price, size=0, count=0),
                level(2, T0 + 3 * SECOND, price=price, size=9, side="A"),
                level(3, T0 + 4 * SECOND, price=price + TICK, size=1),
            )
        )
        one = store.levels(BOOK, T0 + SECOND, T0 + MINUTE, SECOND, ALL, side="B", price=price)
        assert [((row.ts - T0) // SECOND, row.size) for row in one] == [(1, 5), (2, 5), (3, 0), (4, 0)]
        at_price = store.levels(BOOK, T0 + SECOND, T0 + MINUTE, SECOND, ALL, price=price)
        assert [((row.ts - T0) // SECOND, row.side) for row in at_price] == [(3, "A"), (3, "B")]
        minutes = store.levels(BOOK, T0, T0 + MINUTE, MINUTE, ALL)
        assert [(row.ts, row.side, row.price, row.ordinal) for row in minutes] == [
            (T0, "A", price, 2),
            (T0, "B", price, 1),
            (T0, "B", price + TICK, 3),
        ]

    def test_a_level_is_carried_over_minutes_from_its_last_change(self, store: Store) -> None:
        price = 64_000_000_000
        seconds = (0, 50, 130, 3_700, 7_000)
        made = [level(number, T0 + second * SECOND, price=price) for number, second in enumerate(seconds)]
        store.write(batch(*made, bbo(5, T0 + 9_000 * SECOND)))

        def one(start_s: int, end_s: int, step_s: int) -> list[int]:
            span = (T0 + start_s * SECOND, T0 + end_s * SECOND)
            found = store.levels(BOOK, *span, step_s * SECOND, ALL, side="B", price=price)
            return [row.ordinal for row in found]

        assert one(3_000, 3_800, 60) == [2] * 11 + [3] * 3
        assert one(8_000, 8_003, 1) == [4] * 3
        assert one(49, 52, 1) == [0, 1, 1]
        assert one(0, 7_200, 1_800) == [2, 2, 3, 4]

    def test_a_page_of_one_level_goes_on_behind_any_level(self, store: Store) -> None:
        store.write(batch(*(level(n, T0 + n * SECOND, side="B", price=5 * TICK) for n in range(3))))
        for place, expected in (
            ((T0, "A", 9 * TICK), [0, 1, 2]),
            ((T0, "B", 4 * TICK), [0, 1, 2]),
            ((T0, "B", 5 * TICK), [1, 2]),
            ((T0, "B", 6 * TICK), [1, 2]),
        ):
            found = store.levels(BOOK, T0, T0 + MINUTE, SECOND, ALL, place, side="B", price=5 * TICK)
            assert [row.ordinal for row in found] == expected

    def test_volume_is_by_aggressor(self, store: Store) -> None:
        sides = (("B", 2), ("A", 30), ("N", 400), ("B", 5_000))
        made = [trade(number, T0 + number, side=side, size=size) for number, (side, size) in enumerate(sides)]
        store.write(batch(*made, trade(4, T0 + 2 * MINUTE)))
        assert store.volume(BOOK, T0, T0 + 10 * MINUTE, MINUTE, ALL) == [
            VolumeRow(T0, 5_432, 5_002, 30, 4),
            VolumeRow(T0 + 2 * MINUTE, 3, 3, 0, 1),
        ]

    def test_the_last_interval_of_a_page_of_volume_is_whole(self, store: Store) -> None:
        times = (T0 + 59 * SECOND, T0 + 178 * SECOND, T0 + 179 * SECOND + SECOND // 2)
        store.write(batch(*(trade(number, ts) for number, ts in enumerate(times))))
        found = store.volume(BOOK, T0, T0 + 10 * MINUTE, MINUTE, 2)
        assert [(row.ts, row.trades) for row in found] == [(T0, 1), (T0 + 2 * MINUTE, 2)]

    @pytest.mark.parametrize("interval_ns", [0, -SECOND, 1, SECOND + 1])
    def test_an_interval_is_whole_seconds(self, store: Store, interval_ns: int) -> None:
        for ask in (store.bbo, store.levels, store.volume):
            with pytest.raises(ValueError, match="interval"):
                ask(BOOK, T0, T0 + MINUTE, interval_ns, ALL)

    def test_of_the_same_row_the_newer_ordinal_stays(self, store: Store) -> None:
        store.write(batch(bbo(5, T0), level(5, T0)))
        store.write(batch(bbo(7, T0), level(7, T0)))
        store.write(batch(bbo(6, T0), level(6, T0)))
        assert [row.ordinal for row in store.bbo(BOOK, *ALWAYS, None, ALL)] == [7]
        assert [row.ordinal for row in store.levels(BOOK, *ALWAYS, None, ALL)] == [7]

    def test_of_the_same_ordinal_the_row_written_last_stays(self, store: Store) -> None:
        # A book becomes suspect without a record.
        store.write(batch(bbo(5, T0, state=2), level(5, T0, size=1)))
        store.write(batch(bbo(5, T0, state=3), level(5, T0, size=2)))
        assert [row.state for row in store.bbo(BOOK, *ALWAYS, None, ALL)] == ["suspect"]
        assert [row.size for row in store.levels(BOOK, *ALWAYS, None, ALL)] == [2]

    def test_a_trade_may_come_a_batch_later_than_what_followed_it(self, store: Store) -> None:
        # It waits until its event is complete.
        store.write(batch(trade(6, T0 + 6), bbo(7, T0)))
        late = batch(trade(5, T0 + 5), trade(8, T0 + 8))
        store.write(late)
        store.write(late)
        assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [5, 6, 8]

    def test_a_new_session_puts_what_was_told_of_its_time_out_of_force(self, store: Store) -> None:
        first = [make(number, T0 + number * SECOND) for number in range(6) for make in (trade, bbo, level)]
        store.write(batch(*first, sessions=[(0, "file:day.dbn", T0)]))
        again = [make(number, T0 + (number - 4) * SECOND + 9) for number in range(6, 8) for make in (trade,)]
        seconds = [make(number, T0 + (number - 4) * SECOND) for number in range(6, 8) for make in (bbo, level)]
        store.write(batch(*again, *seconds, sessions=[(6, "file:day.dbn", T0 + 2 * SECOND + 9)]))
        # The trade of the very second was before the session's first record.
        assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [0, 1, 2, 6, 7]
        assert [row.ordinal for row in store.bbo(BOOK, *ALWAYS, None, ALL)] == [0, 1, 6, 7]
        assert [row.ordinal for row in store.levels(BOOK, *ALWAYS, None, ALL)] == [0, 1, 6, 7]
        assert [row.ordinal for row in store.bbo(BOOK, T0, T0 + MINUTE, SECOND, ALL)] == [0, 1, 6, 7]
        store.write(batch(trade(8, T0 + 2 * SECOND + 9), sessions=[(8, "file:day.dbn", T0 + 2 * SECOND)]))
        assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [0, 1, 8]
        assert [row.ordinal for row in store.bbo(BOOK, *ALWAYS, None, ALL)] == [0, 1]

    def test_nothing_is_carried_into_a_new_session(self, store: Store) -> None:
        store.write(batch(bbo(0, T0), level(1, T0), sessions=[(0, "live://X", T0)]))
        session = (2, "live://X", T0 + 3 * SECOND + 5)
        store.write(batch(bbo(2, T0 + 3 * SECOND, (2, 1)), bbo(3, T0 + 5 * SECOND), sessions=[session]))
        found = store.bbo(BOOK, T0, T0 + MINUTE, SECOND, ALL)
        assert [((row.ts - T0) // SECOND, row.ordinal) for row in found] == [(0, 0), (1, 0), (2, 0), (5, 3)]
        one = store.levels(BOOK, T0, T0 + MINUTE, SECOND, ALL, side="B", price=64_200_000_000)
        assert [(row.ts - T0) // SECOND for row in one] == [0, 1, 2]

    def test_what_a_session_was_loaded_with_is_carried_into_it(self, store: Store) -> None:
        # An MBO snapshot came three seconds before the first record that is none.
        session = (5, "live://X", T0 + 4 * SECOND)
        store.write(batch(bbo(3, T0), bbo(7, T0 + SECOND), trade(8, T0 + 4 * SECOND), sessions=[session]))
        found = store.bbo(BOOK, T0 + SECOND, T0 + MINUTE, SECOND, ALL)
        assert [((row.ts - T0) // SECOND, row.ordinal) for row in found] == [(1, 7), (2, 7), (3, 7), (4, 7)]

    def test_prune_forgets_what_is_older(self, store: Store) -> None:
        store.write(batch(*(make(n, T0 + n * SECOND) for n in range(4) for make in (trade, bbo, level)), resume=3))
        store.prune(T0 + 2 * SECOND + 500)
        assert [row.ordinal for row in store.trades(BOOK, *ALWAYS, ALL)] == [2, 3]
        assert [row.ordinal for row in store.bbo(BOOK, T0, T0 + MINUTE, SECOND, ALL)] == [2, 3]
        assert [row.ordinal for row in store.levels(BOOK, *ALWAYS, None, ALL)] == [2, 3]
        assert store.position() == 3

    @pytest.mark.parametrize("seed", range(STREAMS))
    def test_answers_are_those_of_a_naive_store(self, store: Store, seed: int) -> None:
        naive = NaiveStore()
        for made in RandomBatches(seed, 30).batches:
            store.write(made)
            naive.write(made)
        assert everything(store) == everything(naive)
        chance = random.Random(seed)
        for _ in range(self.questions):
            method, arguments, options = _random_question(chance)
            expected = getattr(naive, method)(*arguments, ALL, **options)
            assert getattr(store, method)(*arguments, ALL, **options) == expected, (method, arguments, options)
            limit = chance.choice((1, 2, 5, 100))
            assert paged(getattr(store, method), arguments, options, limit) == expected, (method, arguments, options)

    def test_a_log_replayed_leaves_the_same_rows(self, store: Store) -> None:
        batches = RandomBatches(77, 25).batches
        for made in batches:
            store.write(made)
        expected = everything(store)
        assert expected["trades (1, 1)"]
        for made in batches:
            store.write(made)
        assert everything(store) == expected
        assert store.position() == batches[-1].resume_ordinal

    def test_where_batches_end_changes_nothing(self, store: Store) -> None:
        batches = RandomBatches(78, 24).batches
        naive = NaiveStore()
        for made in batches:
            naive.write(made)
        for number in range(0, len(batches), 6):
            store.write(_joined(batches[number : number + 6]))
        assert everything(store) == everything(naive)

    def test_readers_see_whole_batches(self, store: Store) -> None:
        if not self.is_transactional:
            pytest.skip("this store shows a batch while it is being written")
        per_batch = 50
        torn: list[int] = []
        ended = threading.Event()

        def read() -> None:
            while not ended.is_set():
                count = len(store.trades(BOOK, *ALWAYS, ALL))
                if count % per_batch:
                    torn.append(count)

        reader = threading.Thread(target=read)
        reader.start()
        for first in range(0, 60 * per_batch, per_batch):
            store.write(batch(*(trade(first + number, T0 + first + number) for number in range(per_batch))))
        ended.set()
        reader.join()
        assert torn == []
        assert len(store.trades(BOOK, *ALWAYS, ALL)) == 60 * per_batch

    def test_a_writer_that_is_killed_leaves_what_can_be_gone_on_with(self, make_store: Callable[[], Store]) -> None:
        seed, count = 79, self.batches_until_killed
        batches = RandomBatches(seed, count).batches
        naive = NaiveStore()
        written = 0
        chance = random.Random(seed)
        for _ in range(KILLS):
            _killed_while_writing(make_store, seed, count, chance.random())
            store = make_store()
            store.open()
            position = store.position()
            if self.is_transactional:
                while naive.position() != position:
                    naive.write(batches[written])
                    written += 1
                assert everything(store) == everything(naive)
            store.close()
        write_all(make_store, seed, count)
        for made in batches[written:]:
            naive.write(made)
        store = make_store()
        store.open()
        assert everything(store) == everything(naive)
        store.close()


def _killed_while_writing(make_store: Callable[[], Store], seed: int, count: int, share: float) -> None:
    """Start a child that writes, and kill it a while after it has begun to; it may have ended by then."""
    store = make_store()
    store.open()
    before = store.position()
    store.close()
    child = SPAWN.Process(target=write_all, args=(make_store, seed, count))
    child.start()
    try:
        deadline_s = time.monotonic() + CHILD_TIMEOUT_S
        while child.is_alive() and time.monotonic() < deadline_s:
            if _position_seen(make_store) > before:
                break
            time.sleep(0.01)
        child.join(share * 0.3)
    finally:
        child.kill()
        child.join()


def _position_seen(make_store: Callable[[], Store]) -> int:
    store = make_store()
    store.open()
    try:
        return store.position()
    finally:
        store.close()


def _random_question(chance: random.Random) -> tuple[str, tuple, dict]:
    book = chance.choice(BOOKS)
    start = T0 + chance.randrange(-5 * SECOND, 60 * SECOND)
    end = start + chance.choice((0, SECOND, 10 * SECOND, 3 * MINUTE))
    if chance.random() < 0.3:
        start, end = start - start % SECOND, end - end % SECOND
    interval_ns = chance.choice((SECOND, 2 * SECOND, 10 * SECOND, MINUTE))
    method = chance.choice(("trades", "bbo", "levels", "levels", "volume"))
    if method == "trades":
        return method, (book, start, end), {}
    if method == "volume":
        return method, (book, start, end, interval_ns), {}
    options = {}
    if method == "levels":
        asked = {"side": chance.choice("BA"), "price": 64_000_000_000 + chance.randrange(7) * TICK}
        options = {name: value for name, value in asked.items() if chance.random() < 0.6}
    return method, (book, start, end, chance.choice((None, interval_ns, interval_ns))), options


def paged(ask: Callable[..., list], arguments: tuple, options: dict, limit: int) -> list:
    """The same answer, page by page."""
    places = {
        TradeRow: lambda row: (row.ts_recv, row.ordinal),
        BboRow: lambda row: row.ts,
        LevelRow: lambda row: (row.ts, row.side, row.price),
        VolumeRow: lambda row: row.ts,
    }
    found: list = []
    after = None
    while True:
        page = ask(*arguments, limit, after, **options)
        assert len(page) <= limit
        found += page
        if len(page) < limit:
            return found
        after = places[type(page[-1])](page[-1])


def _joined(batches: list[MadeBatch]) -> MadeBatch:
    """One batch of several, with the rows of unfinished seconds before those that replace them."""
    made = [row for one in batches for row in (*one.trades_made, *one.bbo_made, *one.levels_made)]
    joined = batch(*made, resume=batches[-1].resume_ordinal)
    return MadeBatch(
        batches[0].first_ordinal,
        batches[-1].end_ordinal,
        joined.resume_ordinal,
        joined.trades_made,
        joined.bbo_made,
        joined.levels_made,
        [entry for one in batches for entry in one.instruments],
        [session for one in batches for session in one.sessions],
    )
