"""The fan-out: which groups there are, and who is in them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from l3book.streams.counters import Counters
from l3book.streams.group import Group, GroupKey, Subscriber
from l3book.streams.ticker import Ticker

if TYPE_CHECKING:
    from l3book._core import Market


class Fanout:
    """Groups by what they tell. For the event loop's thread alone."""

    def __init__(self, market: "Market", counters: Counters | None = None, *, is_live: bool = False) -> None:
        """`counters`: those of another fan-out, to be counted together; `is_live`: the feed moves the market."""
        self._is_live = is_live
        self._market = market
        self._groups: dict[GroupKey, Group] = {}
        self._tickers: dict[int, Ticker] = {}
        self._is_held = False
        self.counters = counters or Counters()

    def resolve(self, instrument: str) -> tuple[int, int]:
        """Find the (publisher_id, instrument_id) of a name. Raises as Market.book does."""
        book = self._market.book(instrument)
        return book.publisher_id, book.instrument_id

    def join(self, key: GroupKey, subscriber: Subscriber) -> Group:
        """Hand it every update of that group from now on. Raises as Market.stream does."""
        group = self._groups.get(key)
        if group is None or group.is_closed:
            group = self._groups[key] = self._open(key)
            self._ticker(group).add(group)
            self.counters.groups += 1
        group.subscribers[subscriber] = None
        self.counters.subscriptions += 1
        return group

    def leave(self, group: Group, subscriber: Subscriber) -> None:
        """Hand it no more; the last to leave closes the group."""
        del group.subscribers[subscriber]
        self.counters.subscriptions -= 1
        if not group.subscribers:
            self._ticker(group).remove(group)
            self.counters.groups -= 1
            group.close()
            if self._groups.get(group.key) is group:
                del self._groups[group.key]

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Tell nobody anything inside of the block: what is said at its end comes before what it has changed."""
        self._hold(is_held=True)
        try:
            polls = {poll for ticker in self._tickers.values() for poll in ticker.polls}
            if polls:
                await asyncio.wait(polls)
            yield
        finally:
            self._hold(is_held=False)

    async def tell_now(self) -> None:
        """Tell everybody what has happened so far, without waiting for the next time that is due."""
        async with self.held():
            for ticker in tuple(self._tickers.values()):
                await ticker.poll_once()

    def metrics(self) -> dict[str, Any]:
        """Count sockets, messages and what went wrong."""
        return self.counters.as_dict()

    def _open(self, key: GroupKey) -> Group:
        book_key = (key.publisher_id, key.instrument_id)
        stream = self._market.stream(key.channel, book_key, depth=key.depth, level=key.level, queues=key.queues)
        return Group(key, stream, self._market.book(book_key), self.counters)

    def _ticker(self, group: Group) -> Ticker:
        interval_ms = group.key.interval_ms
        if interval_ms not in self._tickers:
            self._tickers[interval_ms] = Ticker(interval_ms, self.counters, is_live=self._is_live)
            self._tickers[interval_ms].is_held = self._is_held
        return self._tickers[interval_ms]

    def _hold(self, *, is_held: bool) -> None:
        self._is_held = is_held
        for ticker in self._tickers.values():
            ticker.is_held = is_held
