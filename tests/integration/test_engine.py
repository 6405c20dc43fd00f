"""The engine with sources that behave and sources that do not."""

import json
import logging
import re
import time
from collections.abc import Iterable, Iterator
from threading import Event, Thread
from typing import Any, cast

import pytest

from dbn_bytes import SNAPSHOT, UNIT, metadata, record
from l3book import UNDEF_PRICE, Market
from l3book.engine import Engine
from l3book.feed.status import FeedStatus
from l3book.hub import Hub

TIMEOUT_S = 30

HEAD = metadata(symbols={"AB": 7})
ADD = record("A", "B", UNIT, size=1, order_id=1, instrument_id=7)


class Chunks:
    """A source out of a list; an exception in it is raised."""

    uri = "chunks:"

    def __init__(self, chunks: Iterable[bytes | BaseException]) -> None:
        self._chunks = chunks
        self.closed = Event()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.closed.set()


def ran(*chunks: bytes | BaseException) -> tuple[Engine, Market]:
    """An engine that has come to its end by itself."""
    market = Market()
    engine = Engine(Chunks(chunks), market)
    engine.start()
    engine._thread.join(TIMEOUT_S)
    assert not engine._thread.is_alive()
    return engine, market


def test_a_source_that_ends_leaves_the_books() -> None:
    engine, market = ran(HEAD, ADD)
    assert (engine.state, engine.error, engine.messages, engine.bytes) == (
        "ended",
        None,
        1,
        len(HEAD) + len(ADD),
    )
    assert (market.book(7).seq, market.book(7).state) == (1, "live")
    assert not engine.transitions.recent()


def test_bytes_that_are_no_dbn_fail_the_source_and_put_the_books_in_doubt() -> None:
    engine, market = ran(HEAD + ADD, bytes(56))
    assert engine.state == "failed"
    assert engine.error is not None
    assert f"byte {len(HEAD) + len(ADD)}" in engine.error
    assert (market.book(7).seq, market.book(7).state) == (1, "suspect")
    lost, suspect = engine.transitions.recent()
    assert (lost["kind"], lost["reason"], lost["text"]) == ("lost", "source failed", engine.error)
    assert (suspect["kind"], suspect["reason"]) == ("suspect", "source failed")
    assert (suspect["publisher_id"], suspect["instrument_id"], suspect["symbol"]) == (1, 7, "AB")


def test_a_snapshot_that_a_failed_source_began_is_not_waited_for() -> None:
    begun = record("R", "N", UNDEF_PRICE, flags=SNAPSHOT, instrument_id=7)
    engine, market = ran(HEAD + ADD + begun + ADD[:20])
    assert engine.state == "failed"
    assert (market.book(7).state, market.book(7).stats()["held"], len(market.book(7))) == ("suspect", 0, 1)


def test_who_listens_is_told_of_the_doubt() -> None:
    market = Market()
    market.feed(HEAD + ADD)
    stream = market.stream("depth", 7)
    assert json.loads(stream.snapshot().text)["state"] == "live"
    market.failed("source failed")
    message = stream.poll()
    assert message is not None
    assert (json.loads(message.text)["state"], message.seq) == ("suspect", message.prev)


def test_a_stream_that_ends_inside_a_record_fails() -> None:
    engine, _ = ran(HEAD + ADD + ADD[:20])
    assert engine.state == "failed"
    assert engine.error is not None
    assert "record 1" in engine.error


class Panic(BaseException):
    """What a panic in Rust looks like from Python: no Exception."""


@pytest.mark.parametrize(
    "error",
    [OSError(5, "Input/output error"), RuntimeError("a bug"), Panic("a bug below")],
    ids=["os", "bug", "panic"],
)
def test_no_error_goes_unseen(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        engine, market = ran(HEAD + ADD, error)
    assert engine.state == "failed"
    assert engine.error is not None
    assert str(error) in engine.error
    assert any("chunks: failed" in entry.getMessage() for entry in caplog.records)
    assert len(market) == 1


def test_stop_ends_an_endless_source_between_two_chunks() -> None:
    started = Event()

    def endless() -> Iterator[bytes]:
        yield HEAD
        while True:
            started.set()
            yield ADD

    source = Chunks(endless())
    engine = Engine(source, Market())
    engine.start()
    assert started.wait(TIMEOUT_S)
    assert engine.stop(TIMEOUT_S)
    assert source.closed.is_set()
    assert engine.state == "running", "a source that was stopped has neither ended nor failed"


def test_stop_tells_when_the_source_does_not_obey() -> None:
    release = Event()

    def deaf() -> Iterator[bytes]:
        release.wait(TIMEOUT_S)
        yield HEAD

    engine = Engine(Chunks(deaf()), Market())
    engine.start()
    assert not engine.stop(0.01)
    release.set()
    assert engine.stop(TIMEOUT_S)


def test_an_engine_that_was_never_started_can_be_stopped() -> None:
    assert Engine(Chunks([]), Market()).stop(TIMEOUT_S)


def test_the_hub_counts_what_a_failing_chunk_applied() -> None:
    """The engine learns nothing of the good records before a fault; the market knows them."""
    engine, market = ran(HEAD + ADD + ADD + bytes(56))
    metrics = Hub(market, engine).metrics()
    assert metrics["totals"]["messages"] == 2
    assert metrics["source"]["state"] == "failed"


def test_not_ready_says_why() -> None:
    market = Market()
    engine = Engine(Chunks([HEAD + ADD]), market)
    hub = Hub(market, engine)
    assert hub.not_ready() == "the source has not delivered a book yet"
    engine.start()
    engine._thread.join(TIMEOUT_S)
    assert hub.not_ready() is None
    hub.begin_shutdown()
    assert hub.not_ready() == "the server is shutting down"


class LostLine:
    """As much of a feed as the hub looks at."""

    def __init__(self, last_ts_recv: int) -> None:
        self.status = FeedStatus()
        self._last_ts_recv = last_ts_recv

    def watch_stats(self) -> dict[str, int]:
        return {"last_ts_recv": self._last_ts_recv}


def live_hub(lag_s: float, state: str = "running", **options: int) -> tuple[Hub, LostLine]:
    """A hub over one book, of a live source whose last record is so old."""
    engine, market = ran(HEAD + ADD)
    line = LostLine(time.time_ns() - int(lag_s * 1e9))
    engine.feed = cast("Any", line)
    engine.state = cast("Any", state)
    return Hub(market, engine, **options), line


def test_not_ready_while_the_source_reconnects() -> None:
    hub, line = live_hub(0, "reconnecting")
    assert hub.not_ready() == "the source is reconnecting"
    line.status.lost("reset", "127.0.0.1:9000: Connection reset by peer")
    assert hub.not_ready() == "the source is reconnecting: reset: 127.0.0.1:9000: Connection reset by peer"


def test_not_ready_while_a_live_source_is_behind() -> None:
    hub, _ = live_hub(lag_s=3600, ready_lag_ms_max=60_000)
    reason = hub.not_ready()
    assert reason is not None
    assert re.fullmatch(r"the source is 36\d{5} ms behind: expected at most 60000 ms", reason)
    hub.ready_lag_ms_max = 86_400_000
    assert hub.not_ready() is None
    hub.ready_lag_ms_max = 0
    assert hub.not_ready() is None


@pytest.mark.parametrize("state", ["ended", "starting"])
def test_a_source_that_does_not_run_is_not_behind(state: str) -> None:
    """What it brought stays; how old that is says nothing about the line."""
    assert live_hub(3600, state, ready_lag_ms_max=1)[0].not_ready() is None


def test_a_recording_is_never_behind() -> None:
    engine, market = ran(HEAD + ADD)
    engine.state = "running"
    assert Hub(market, engine, ready_lag_ms_max=1).not_ready() is None


def test_not_ready_until_there_is_a_book() -> None:
    """Metadata is no book, and a source that is at its end will bring none."""
    engine, market = ran(HEAD)
    hub = Hub(market, engine)
    assert engine.state == "ended"
    assert hub.not_ready() == "the source ended without any book"
    engine.state = "running"
    assert hub.not_ready() == "the source has not delivered a book yet"
    market.feed(ADD)
    assert hub.not_ready() is None


def test_a_signal_handler_can_begin_the_shutdown_while_the_hub_stops() -> None:
    """The handler runs on the thread it interrupts, which may be inside the event's own lock."""
    engine, market = ran(HEAD)
    hub = Hub(market, engine)

    def interrupted() -> None:
        with hub._stopping._cond:
            hub.begin_shutdown()

    thread = Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()


def test_the_etag_differs_when_the_state_or_the_symbol_does() -> None:
    """A snapshot that begins, and a symbol that arrives, change the answer and not the seq."""
    _, live = ran(HEAD, ADD)
    _, loading = ran(HEAD, ADD, record("R", flags=SNAPSHOT, instrument_id=7))
    _, renamed = ran(metadata(symbols={"CD": 7}), ADD)
    answers = [Hub(market, Engine(Chunks([]), market)).book_json("7", 2, 10) for market in (live, loading, renamed)]
    books = [json.loads(body) for body, _ in answers]
    assert [(book["epoch"], book["seq"]) for book in books] == [("0", 1)] * 3
    assert [(book["state"], book["symbol"]) for book in books] == [("live", "AB"), ("snapshot", "AB"), ("live", "CD")]
    assert len({etag for _, etag in answers}) == 3


def test_a_key_is_not_taken_for_a_symbol() -> None:
    _, market = ran(metadata(symbols={"1:8": 7}), ADD, record("A", "B", UNIT, size=1, order_id=1, instrument_id=8))
    hub = Hub(market, Engine(Chunks([]), market))
    keys = hub.keys()
    assert keys == [(1, 7), (1, 8)]
    assert [json.loads(hub.book_json(key, 2, 10)[0])["instrument_id"] for key in keys] == [7, 8]
