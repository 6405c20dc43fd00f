"""Threads for work that would hold up the event loop, such as a whole book with its queues.

They are few, on purpose: each keeps a core busy, and those that copy a book hold the market's lock meanwhile. With
as many at a time as there are clients who ask, one client could keep the feed from being applied. So they queue here.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

WORKERS = max(1, (os.cpu_count() or 1) // 2)
"""The other half of the cores is for the feed and the event loop."""

Result = TypeVar("Result")

_pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="l3book-worker")


async def in_worker(work: Callable[..., Result], *arguments: object) -> Result:
    """Do it in one of the threads, in turn; -> what it returns. Raises what it raises."""
    return await asyncio.get_running_loop().run_in_executor(_pool, work, *arguments)
