"""How a reader knows of its publisher: by what comes of it, and by what it says."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from l3book.jetstream import hearing as hearing_module
from l3book.jetstream.hearing import Hearing
from l3book.jetstream.messages import Kind, Label
from l3book.sources.nats import NatsConnector
from l3book.sources.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_S = 60
QUIET_S = 1.0
"""Much longer than the silence that is noticed here."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nats", reason="the NATS client is not installed (pip install 'l3book[nats]')")
    monkeypatch.setattr(hearing_module, "SILENCE_OF_PUBLISHER_S", 0.1)
    monkeypatch.setattr(hearing_module, "ALIVE_EVERY_S", 0.05)


class Told:
    """Takes what is said of a publisher."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def publisher(self, state: str) -> None:
        self.states.append(state)


def listening(connector: NatsConnector, told: Told) -> Hearing:
    """One connection's, with nothing left to be read."""
    aside: Any = told
    hearing = Hearing(connector, aside, lambda: None)
    hearing.has_all = True
    return hearing


def label(kind: Kind = "records", *, says_alive: bool = True) -> Label:
    return Label(kind, 1, "x" * 16, 0, 1, 1, 1, says_alive=says_alive)


async def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)


def connector() -> NatsConnector:
    return NatsConnector(parse_uri("nats://127.0.0.1:1/BOOKS"))


@pytest.mark.parametrize("kind", ["records", "doubt", "snapshot"])
def test_who_is_silent_is_there_again_with_what_it_writes(kind: Kind) -> None:
    """Also where nothing of what it says besides reaches the reader."""

    async def run() -> None:
        told = Told()
        hearing = listening(connector(), told)
        hearing.take(label())
        missing = asyncio.ensure_future(hearing.miss())
        await until(lambda: told.states == ["there", "silent"])
        hearing.take(label(kind))
        assert told.states == ["there", "silent", "there"]
        await until(lambda: told.states[3:] == ["silent"])
        missing.cancel()

    asyncio.run(run())


def test_who_never_says_that_it_is_there_is_not_missed() -> None:
    """A publisher of an earlier version, until one follows that says so."""

    async def run() -> None:
        told = Told()
        hearing = listening(connector(), told)
        hearing.take(label(says_alive=False))
        missing = asyncio.ensure_future(hearing.miss())
        await asyncio.sleep(QUIET_S)
        assert told.states == ["there"]
        hearing.take(label())
        await until(lambda: told.states == ["there", "silent"])
        missing.cancel()

    asyncio.run(run())


def test_each_connection_is_told_of_a_silence() -> None:
    async def run() -> None:
        told, again, source = Told(), Told(), connector()
        hearing = listening(source, told)
        hearing.take(label())
        missing = asyncio.ensure_future(hearing.miss())
        await until(lambda: told.states == ["there", "silent"])
        missing.cancel()
        missing = asyncio.ensure_future(listening(source, again).miss())
        await until(lambda: again.states == ["silent"])
        missing.cancel()

    asyncio.run(run())
