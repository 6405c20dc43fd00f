"""Ours beside the books that a user of Python could take instead. Who builds another final book is no opponent."""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from turns import IS_QUICK, Case, drain, take_turns

from l3book import Market, OrderBook

if TYPE_CHECKING:
    from opponents import Levels
    from streams_made import Stream

pytestmark = [
    pytest.mark.timeout(300),
    # What other packages warn of when they are imported is not ours to answer for.
    pytest.mark.filterwarnings("ignore"),
]
# The opponents are fed objects that are built beforehand, and a prefix of a stream is what memory and patience allow.
RECORDS = 100_000 if IS_QUICK else 1_000_000
SLOW_RECORDS = 50_000 if IS_QUICK else 150_000


def fed(data: bytes) -> Market:
    market = Market()
    market.feed(data)
    return market


def levels(market: Market) -> dict[str, Levels]:
    (instrument,) = market.instruments()
    view = market.snapshot((instrument.publisher_id, instrument.instrument_id), depth=None)
    rows = {"B": view.bids, "A": view.asks}
    return {side: [(int(row["price"]), int(row["size"])) for row in array] for side, array in rows.items()}


def installed(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} is not installed: {error}")


def test_nautilus_trader(benchmark: Any, a_or_b: Stream) -> None:
    installed("nautilus_trader")
    from opponents import Nautilus

    raw = a_or_b.raw(RECORDS)
    data, nautilus = a_or_b.prefix(RECORDS), Nautilus(raw)
    for method, feed in ("apply_delta", nautilus.deltas), ("apply_deltas", nautilus.batches):
        book = nautilus.book()
        drain(getattr(book, method), feed)
        assert nautilus.levels(book) == levels(fed(data)), f"{method} builds another book"
    take_turns(
        benchmark,
        "Market.feed",
        Case(len(raw), lambda: partial(fed, data)),
        {
            "nautilus_trader apply_deltas": Case(
                len(raw), lambda: partial(drain, nautilus.book().apply_deltas, nautilus.batches)
            ),
            "nautilus_trader apply_delta": Case(
                len(raw), lambda: partial(drain, nautilus.book().apply_delta, nautilus.deltas)
            ),
            "apply_mbo(56 bytes)": Case(len(raw), lambda: partial(drain, OrderBook().apply_mbo, raw)),
        },
    )


def test_hftbacktest(benchmark: Any, b: Stream) -> None:
    """On (b) only: the books of (a) cross at times, and after that its best prices are others than theirs."""
    installed("hftbacktest")
    from opponents import HftBacktest

    raw = b.raw(RECORDS)
    data, records = b.prefix(RECORDS), len(raw)
    expected = levels(fed(data))
    others = {}
    for name, with_queues in ("hftbacktest L3", True), ("hftbacktest L3, without queues", False):
        hft = HftBacktest(raw, with_queues=with_queues)
        backtest = hft.backtest()
        hft.run(backtest)
        assert hft.quantities(backtest, expected) == expected, f"{name} builds another book"
        backtest.close()
        others[name] = Case(records, lambda hft=hft: partial(hft.run, hft.backtest()))  # type: ignore[misc]
    take_turns(benchmark, "Market.feed", Case(records, lambda: partial(fed, data)), others)


def test_databento_design(benchmark: Any, a_or_b: Stream) -> None:
    installed("sortedcontainers")
    installed("databento")
    from databento_design import DatabentoDesign

    data = a_or_b.prefix(SLOW_RECORDS)
    messages = a_or_b.messages(SLOW_RECORDS)
    book = DatabentoDesign()
    drain(book.apply, messages)
    assert book.levels() == levels(fed(data)), "the design builds another book"
    # It changes the messages that it keeps, so every round needs its own.
    fresh = partial(a_or_b.messages, SLOW_RECORDS)
    take_turns(
        benchmark,
        "Market.feed",
        Case(len(messages), lambda: partial(fed, data)),
        {
            "after Databento's published design": Case(
                len(messages), lambda: partial(drain, DatabentoDesign().apply, fresh())
            ),
            "apply_mbo(MBOMsg)": Case(len(messages), lambda: partial(drain, OrderBook().apply_mbo, fresh())),
        },
    )


def test_databento_replay(benchmark: Any, b: Stream) -> None:
    """What the official client takes to make objects of the records, without any book."""
    installed("databento")
    import databento

    data = b.prefix(RECORDS)
    records = len(b.raw(RECORDS))

    def replay() -> None:
        drain(callable, databento.DBNStore.from_bytes(data))

    others = {"databento.DBNStore to objects": Case(records, lambda: replay)}
    take_turns(benchmark, "Market.feed", Case(records, lambda: partial(fed, data)), others)
