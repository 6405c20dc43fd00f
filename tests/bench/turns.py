"""Rounds in which all competitors take their turns.

A shared machine drifts by half within minutes, so what runs one after the other cannot be compared. pytest-benchmark
times ours; before each of its rounds, where it does not look, the others have their turn. The samples of all go into
`extra_info`, and the table takes ratios within a round.
"""

from __future__ import annotations

import collections
import gc
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Work = Callable[[], object]
IS_QUICK = os.environ.get("L3BOOK_BENCH_QUICK", "0") not in {"", "0"}
ROUNDS = 3 if IS_QUICK else 5


@dataclass
class Case:
    """A competitor: `prepare` makes what is timed afresh for every round; it works on so many units."""

    units: int
    prepare: Callable[[], Work]
    clock: Callable[[], float] = time.thread_time
    own_ns: bool = False
    """The work itself returns how many nanoseconds it took."""


def drain(function: Callable[[Any], object], items: Iterable[Any]) -> None:
    """Call `function` on each item without a line of Python around it."""
    collections.deque(map(function, items), maxlen=0)


def take_turns(benchmark: Any, name: str, ours: Case, others: dict[str, Case], rounds: int = ROUNDS) -> None:
    """Run all in turns; `name` is ours. Work on one thread counts by the processor time of that thread."""
    samples: dict[str, list[float]] = {other: [] for other in others}

    def others_first() -> tuple[tuple[Work], dict[str, Any]]:
        for other, case in others.items():
            samples[other].append(_ns(case) / case.units)
        work = ours.prepare()
        gc.collect()
        return (work,), {}

    benchmark._timer = ours.clock
    gc.disable()
    try:
        benchmark.pedantic(lambda work: work(), setup=others_first, rounds=rounds, warmup_rounds=1)
    finally:
        gc.enable()
    own = [seconds * 1e9 / ours.units for seconds in benchmark.stats.stats.data]
    # The first turn belongs to the warm-up.
    theirs = [{"name": other, "units": others[other].units, "ns": ns[-rounds:]} for other, ns in samples.items()]
    benchmark.extra_info["cases"] = [{"name": name, "units": ours.units, "ns": own}, *theirs]


def _ns(case: Case) -> float:
    work = case.prepare()
    gc.collect()
    start = case.clock()
    result = work()
    took = (case.clock() - start) * 1e9
    return float(result) if case.own_ns else took  # type: ignore[arg-type]
