"""From a file to final books, from Python."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from turns import Case, take_turns

from l3book import Market

if TYPE_CHECKING:
    from pathlib import Path

    from streams_made import Stream


def feed_file(path: Path) -> int:
    return Market().feed_file(path)


def to_ndarray(path: Path) -> None:
    import databento

    databento.DBNStore.from_file(path).to_ndarray()


@pytest.mark.timeout(600)
# The official client leaves a file that it opened for the collector to close.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [".dbn", ".dbn.zst"])
def test_feed_file(benchmark: Any, b: Stream, kind: str) -> None:
    pytest.importorskip("databento")
    path = b.path if kind == ".dbn" else b.zst
    # By the clock on the wall: two threads work on a compressed file.
    clock = time.perf_counter
    ours = Case(b.records, lambda: partial(feed_file, path), clock)
    others = {f"databento to_ndarray {kind}": Case(b.records, lambda: partial(to_ndarray, path), clock)}
    take_turns(benchmark, f"feed_file {kind}", ours, others, rounds=3)
