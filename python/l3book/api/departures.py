"""Clients that go before they are answered: long work for them is not carried on."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import Request

from l3book.api.problems import Problem

Result = TypeVar("Result")


@asynccontextmanager
async def departure(request: Request) -> AsyncIterator["asyncio.Task[None]"]:
    """Give a task that is done once the client is gone. The body has to have been read before."""
    gone = asyncio.create_task(_gone(request), name="l3book-departure")
    try:
        yield gone
    finally:
        gone.cancel()


async def while_there(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Do it, and cancel it where the client goes meanwhile; then a Problem is raised, which nobody will see."""
    doing = asyncio.create_task(work)
    try:
        async with departure(request) as gone:
            await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise Problem(400, "bad_request", "the client is gone")
    finally:
        doing.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
