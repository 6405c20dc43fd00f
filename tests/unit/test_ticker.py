"""Groups of one interval take turns within it, each once in every round."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, cast

from l3book.logs import CAUSE
from l3book.streams.counters import Counters
from l3book.streams.ticker import SLICE_GROUPS, Ticker

INTERVAL_MS = 100
ROUNDS = 3


class Polled:
    """A group that notes when it is polled, and in what turn of the loop."""

    is_closed = False
    is_light = True

    def __init__(self, polls: list[tuple[float, Polled]], enough: asyncio.Semaphore) -> None:
        self._polls = polls
        self._enough = enough

    def poll(self) -> None:
        self._polls.append((asyncio.get_running_loop().time(), self))
        self._enough.release()


def polls_of(groups: int) -> list[tuple[float, Polled]]:
    polls: list[tuple[float, Polled]] = []

    async def run() -> None:
        ticker = Ticker(INTERVAL_MS, Counters())
        enough = asyncio.Semaphore(0)
        made = [Polled(polls, enough) for _ in range(groups)]
        for group in made:
            ticker.add(cast("Any", group))
        for _ in range(ROUNDS * groups):
            await enough.acquire()
        for group in made:
            ticker.remove(cast("Any", group))
        there = len(polls)
        await asyncio.sleep(2 * INTERVAL_MS / 1000)
        assert len(polls) == there, "polled after it was removed"

    asyncio.run(run())
    return polls


def test_whoever_came_first_is_not_taken_for_the_cause_of_what_is_done_for_all() -> None:
    causes: list[object] = []

    class Asking(Polled):
        def poll(self) -> None:
            causes.append(CAUSE.get())
            super().poll()

    async def run() -> None:
        CAUSE.set({"l3book.request_id": "first"})
        ticker, enough = Ticker(INTERVAL_MS, Counters()), asyncio.Semaphore(0)
        group = cast("Any", Asking([], enough))
        ticker.add(group)
        await enough.acquire()
        ticker.remove(group)

    asyncio.run(run())
    assert causes == [None]


def test_every_group_is_polled_once_a_round() -> None:
    groups = 3 * SLICE_GROUPS
    polls = polls_of(groups)
    for number in range(ROUNDS):
        counts = Counter(group for _, group in polls[number * groups : (number + 1) * groups])
        assert set(counts.values()) == {1}


def test_groups_of_one_interval_take_turns() -> None:
    """A loaded machine may run late slots at once, but not all of several rounds."""
    moments = {round(at_s, 3) for at_s, _ in polls_of(10)}
    assert len(moments) > ROUNDS
