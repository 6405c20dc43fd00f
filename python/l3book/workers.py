"""Threads for work that would hold up the event loop, such as a whole book with its queues.

They are few, on purpose: each keeps a core busy, and those that copy a book hold the market's lock meanwhile. With
as many at a time as there are clients who ask, one client could keep the feed from being applied. So they queue here.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

WORKERS = max(1, (os.cpu_count() or 1) // 2)
"""The other half of the cores is for the feed and the event loop."""

Result = TypeVar("Result")


class BusyError(Exception):
    """So much waits already that more would only wait longer."""


class GivenUpError(Exception):
    """Nobody waits any more for what this work would have led to."""


class Patience:
    """Whether anybody still waits for a long piece of work; it looks now and then, in its thread."""

    def __init__(self) -> None:
        self._is_over = False

    def end(self) -> None:
        """Have the work stop where it looks next."""
        self._is_over = True

    def check(self) -> None:
        """Raise GivenUpError where nobody waits any more."""
        if self._is_over:
            raise GivenUpError


_pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="l3book-worker")


async def in_worker(work: Callable[..., Result], *arguments: object) -> Result:
    """Do it in one of the threads, in turn; -> what it returns. Raises what it raises."""
    # With its context: what is logged in the thread names the request that it is done for.
    return await asyncio.get_running_loop().run_in_executor(_pool, copy_context().run, work, *arguments)


class Pool:
    """Threads for one kind of work that may take long, so that it holds up no other kind."""

    def __init__(self, name: str, threads: int, pending_max: int) -> None:
        """`pending_max`: what may be under way or wait at a time."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._name = name
        self._pending = 0
        self._pending_max = pending_max

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Do it in one of the threads, in turn; -> what it returns. Raises what it raises, and BusyError."""
        if self._pending >= self._pending_max:
            raise BusyError(
                f"{self._name}: {self._pending} are under way or wait: expected at most {self._pending_max}"
            )
        self._pending += 1
        future = self._threads.submit(copy_context().run, work, *arguments)
        # By the work and not by who waits for it: whoever gives up waiting does not end it.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call(loop, self._done))
        return await asyncio.wrap_future(future)

    async def run_patiently(self, work: Callable[[Patience], Result]) -> Result:
        """Do the same with long work, which is given up when whoever waits for it is cancelled."""
        patience = Patience()
        try:
            return await self.run(work, patience)
        finally:
            patience.end()

    def close(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._threads.shutdown(cancel_futures=True)

    def _done(self) -> None:
        self._pending -= 1


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    # A loop that has ended counts nothing any more.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)
