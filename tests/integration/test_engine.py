"""The engine with sources that behave and sources that do not."""

import logging
from collections.abc import Iterable, Iterator
from threading import Event

import pytest

from dbn_bytes import UNIT, metadata, record
from l3book import Market
from l3book.engine import Engine
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
    assert market.book(7).seq == 1


def test_bytes_that_are_no_dbn_fail_the_source_and_keep_the_books() -> None:
    engine, market = ran(HEAD + ADD, bytes(56))
    assert engine.state == "failed"
    assert engine.error is not None
    assert f"byte {len(HEAD) + len(ADD)}" in engine.error
    assert market.book(7).seq == 1


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
    assert hub.not_ready() == "the source has not delivered yet"
    engine.start()
    engine._thread.join(TIMEOUT_S)
    assert hub.not_ready() is None
    hub.begin_shutdown()
    assert hub.not_ready() == "the server is shutting down"
