"""Expensive work: off the event loop, and a little of it at a time, whoever asks for how much."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from starlette.requests import Request

from l3book.api.request_counts import RequestCounts
from l3book.api.rest import Rest
from l3book.config import Settings
from l3book.logs import CAUSE
from l3book.streams.counters import Counters
from l3book.streams.group import Group, GroupKey
from l3book.workers import WORKERS, BusyError, Pool, in_worker

BOOK = b'{"epoch":"1","seq":1,"bids":[]}'


def thread_name() -> str:
    return threading.current_thread().name


def test_they_are_few_however_much_there_is_to_do() -> None:
    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(in_worker(thread_name) for _ in range(WORKERS * 50)))

    names = asyncio.run(all_at_once())
    assert 1 <= len(set(names)) <= WORKERS
    assert all(name.startswith("l3book-worker") for name in names)


def test_the_work_knows_which_request_it_is_done_for() -> None:
    async def asked(cause: dict[str, str]) -> list[object]:
        CAUSE.set(cause)
        pool = Pool("causes", 1, 8)
        try:
            return [await in_worker(CAUSE.get), await pool.run(CAUSE.get)]
        finally:
            pool.close()

    async def both() -> list[list[object]]:
        # Each in a context of its own, as requests are.
        return await asyncio.gather(asked({"l3book.request_id": "a"}), asked({"l3book.request_id": "b"}))

    assert asyncio.run(both()) == [[{"l3book.request_id": name}] * 2 for name in "ab"]


def test_what_it_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_worker(lambda: 1 / 0))


class Recording:
    """Notes the thread it is called in. Stands for a stream and for a hub."""

    instrument = "X"

    def __init__(self) -> None:
        self.threads: list[str] = []

    def _called(self, *_: object) -> Any:
        self.threads.append(thread_name())

    poll = merged = _called

    def book_json(self, *arguments: object) -> tuple[bytes, str]:
        self._called(*arguments)
        return BOOK, '"1-1"'


@pytest.mark.parametrize(("channel", "depth", "level"), [("orders", None, 2), ("depth", 101, 2), ("depth", 10, 3)])
def test_polls_of_whole_books_are_such_work(channel: Any, depth: int | None, level: Any) -> None:
    stream: Any = Recording()
    group = Group(GroupKey(channel, 1, 1, depth, level, None, 10), stream, stream, Counters())

    async def poll() -> None:
        await group.poll_in_thread()
        await group.merged("1", 1)

    asyncio.run(poll())
    assert stream.threads
    assert all(name.startswith("l3book-worker") for name in stream.threads)


@pytest.mark.parametrize("query", [b"level=3", b"depth=all", b"depth=101"])
def test_whole_books_over_rest_are_such_work(query: bytes) -> None:
    hub: Any = Recording()
    request = Request({"type": "http", "query_string": query, "headers": [], "path_params": {"instrument": "X"}})
    response = asyncio.run(Rest(hub, Settings(), hub, RequestCounts()).book(request))
    assert response.body == BOOK
    assert [name.startswith("l3book-worker") for name in hub.threads] == [True]


def test_a_pool_refuses_what_would_wait_too_long() -> None:
    pool = Pool("l3book-test", 1, 2)
    is_over = threading.Event()

    async def run() -> None:
        first = asyncio.create_task(pool.run(is_over.wait))
        second = asyncio.create_task(pool.run(thread_name))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="expected at most 2"):
            await pool.run(thread_name)
        is_over.set()
        await first
        assert (await second).startswith("l3book-test")
        assert (await pool.run(thread_name)).startswith("l3book-test")

    asyncio.run(run())
    pool.close()


def test_who_gives_up_waiting_makes_no_room() -> None:
    pool = Pool("l3book-test", 1, 1)
    is_over = threading.Event()

    async def run() -> None:
        waiting = asyncio.create_task(pool.run(is_over.wait))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        with pytest.raises(BusyError):
            await pool.run(thread_name)
        is_over.set()

    asyncio.run(run())
    pool.close()


def test_what_a_pool_s_work_raises_is_raised() -> None:
    pool = Pool("l3book-test", 1, 1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(pool.run(lambda: 1 / 0))
    pool.close()
