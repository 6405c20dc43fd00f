"""What a feed keeps account of: snapshots asked for, transitions, how the line is doing."""

from __future__ import annotations

import asyncio
import logging
import time
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from l3book import Market
from l3book._core import Simulator
from l3book.feed import snapshots
from l3book.feed.options import FeedOptions
from l3book.feed.snapshots import Snapshots
from l3book.feed.status import OVERLOAD_BYTES, FeedStatus
from l3book.feed.supervisor import Feed
from l3book.feed.transitions import KEPT, LINES_PER_WINDOW, Transitions
from l3book.loop_lag import LoopLag
from l3book.sources.connection import Aside, Ask, Connection, Receive

if TYPE_CHECKING:
    import pytest

BOOK = (1, 7)
TIMES_S = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200)


def test_a_book_in_doubt_is_asked_for_at_once_then_less_and_less_often() -> None:
    asked = Snapshots()
    times_s = [at_s / 10 for at_s in range(3000) if asked.due([BOOK], at_s / 10)]
    assert times_s[:7] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0]
    assert {b - a for a, b in pairwise(times_s[6:])} == {snapshots.WAIT_MAX_S}


def test_a_book_that_was_well_for_long_is_asked_for_at_once_again() -> None:
    asked = Snapshots()
    assert asked.due([BOOK], 0.0)
    assert not asked.due([BOOK], 0.9)
    assert asked.due([BOOK], 1.0)
    later_s = 3.0 + snapshots.FORGIVEN_S
    assert asked.due([], later_s) == []
    assert asked.due([BOOK], later_s + 1)
    assert asked.due([BOOK], later_s + 2), "its waits have begun anew"


def test_a_new_connection_owes_no_answers() -> None:
    asked = Snapshots()
    assert asked.due([BOOK], 0.0)
    asked.restart()
    assert asked.due([BOOK], snapshots.REQUEST_INTERVAL_S)


@given(steps_s=TIMES_S, books=st.integers(1, 2000))
def test_never_too_many_at_once(steps_s: list[float], books: int) -> None:
    """Every suspect book has its turn, and no second of the clock sees more than the limit."""
    suspects = [(1, n) for n in range(books)]
    asked = Snapshots()
    now_s = 0.0
    requests: list[tuple[float, int]] = []
    last: dict[tuple[int, int], float] = {}
    for step_s in steps_s:
        now_s += step_s
        due = asked.due(suspects, now_s)
        assert len(due) == len(set(due)) <= snapshots.BOOKS_PER_REQUEST_MAX
        for key in due:
            assert now_s - last.get(key, -1e9) >= snapshots.WAIT_FIRST_S - 1e-6
            last[key] = now_s
        if due:
            requests.append((now_s, len(due)))
    for (a_s, _), (b_s, _) in pairwise(requests):
        assert b_s - a_s >= snapshots.REQUEST_INTERVAL_S - 1e-6
    if len(requests) * snapshots.BOOKS_PER_REQUEST_MAX >= books:
        assert set(last) == set(suspects), "every book has had its turn before any has a second"


def test_the_last_transitions_are_kept_in_order() -> None:
    transitions = Transitions()
    for n in range(250):
        transitions.add("suspect", "gap", instrument_id=n)
    recent = transitions.recent()
    assert [entry["instrument_id"] for entry in recent] == list(range(250 - KEPT, 250))
    assert [entry["n"] for entry in recent] == list(range(251 - KEPT, 251))


def test_many_transitions_are_summed_up_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    transitions = Transitions()
    with caplog.at_level(logging.DEBUG):
        for n in range(1000):
            transitions.add("suspect", "gap" if n % 4 else "disconnected", instrument_id=n)
        assert len(caplog.records) == LINES_PER_WINDOW
        now_s += 1.0
        transitions.flush()
    (summary,) = (entry.getMessage() for entry in caplog.records[LINES_PER_WINDOW:])
    said = sum(1 for n in range(LINES_PER_WINDOW) if n % 4)
    unsaid = 1000 - LINES_PER_WINDOW
    assert summary.startswith(f"and {unsaid} further transitions: {750 - said} × suspect (gap), ")  # noqa: RUF001


def test_an_overload_is_counted_once_until_it_is_over() -> None:
    status = FeedStatus()
    samples = [0, OVERLOAD_BYTES, OVERLOAD_BYTES + 1, OVERLOAD_BYTES * 3, OVERLOAD_BYTES // 2 + 1, OVERLOAD_BYTES + 1]
    assert [status.waiting(sample) for sample in samples] == [False, False, True, False, False, False]
    assert status.waiting(OVERLOAD_BYTES // 2) is False
    assert status.waiting(OVERLOAD_BYTES + 1) is True
    assert status.as_dict()["overloads"] == 2


def test_a_loop_that_is_held_up_shows_it() -> None:
    lag = LoopLag()
    assert lag.as_dict() == {"count": 0, "lag_p50_ms": 0.0, "lag_p99_ms": 0.0, "lag_max_ms": 0.0}

    async def hold_up() -> None:
        lag.start()
        await asyncio.sleep(0.12)
        time.sleep(0.3)  # noqa: ASYNC251  # that is the point
        await asyncio.sleep(0.12)

    asyncio.run(hold_up())
    measured = lag.as_dict()
    assert measured["count"] >= 3
    assert measured["lag_max_ms"] >= 200
    assert measured["lag_p50_ms"] <= measured["lag_p99_ms"] <= measured["lag_max_ms"]


class Never:
    """A connector that is never connected to."""

    uri = "live://X.Y"
    can_resume = True
    resumes_exactly = False
    reconnects_at_end = False
    silence_max_s = None

    async def connect(self, ask: Ask, receive: Receive, aside: Aside) -> Connection:
        raise AssertionError(ask, receive, aside)


def asked_first(market: Market, lost_s: float | None) -> Ask:
    options = FeedOptions(replay_range_s=100)
    return Feed(Never(), market, lambda _: None, lambda _: None, options, lost_s)._next_ask()


def test_a_doubt_of_a_book_that_is_not_there_is_none() -> None:
    simulator, market = Simulator(seed=1), Market(watch=True)
    market.feed(simulator.header() + simulator.read(1000))
    feed = Feed(Never(), market, lambda _: None, lambda _: None, FeedOptions())
    feed.doubt("removed from stream", (9, 9))
    assert market.suspects() == []
    feed.doubt("removed from stream")
    assert len(market.suspects()) == 1


def test_a_market_from_before_a_restart_is_gone_on_with_as_after_a_loss() -> None:
    simulator, market = Simulator(seed=1), Market(watch=True)
    assert asked_first(market, None) == Ask("first")
    assert asked_first(market, 5.0) == Ask("first"), "nothing was applied before the restart either"
    market.feed(simulator.header() + simulator.read(1000))
    market.disconnected()
    assert asked_first(market, 5.0) == Ask("resume", market.resume_ts())
    assert asked_first(market, 99.0).how == "resume"
    assert asked_first(market, 101.0).how == "snapshot", "a service does not replay that far back"
