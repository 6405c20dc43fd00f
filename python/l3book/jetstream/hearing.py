"""How the publisher of a stream is doing: by what it wrote, and by whether it is heard of."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from nats.aio.msg import Msg

from l3book.feed.status import PUBLISHER_LOST
from l3book.jetstream.messages import ALIVE_EVERY_S, SILENCE_OF_PUBLISHER_S, Label
from l3book.sources.connection import Aside, PublisherState

if TYPE_CHECKING:
    from l3book.sources.nats import NatsConnector


class Hearing:
    """Of one connection, on its event loop. What it knows outlives it in the connector."""

    def __init__(self, connector: "NatsConnector", aside: Aside, on_back: Callable[[], object]) -> None:
        """`on_back` is called when the publisher has its feed again."""
        self._connector = connector
        self._aside = aside
        self._on_back = on_back
        self._loop = asyncio.get_running_loop()
        self._heard_at_s = self._loop.time()
        """When it was last heard of, or could have been for the first time."""
        self._told: PublisherState | None = None
        self.has_all = False
        """Whether nothing waits in the stream."""

    def take(self, label: Label) -> None:
        """Take what it wrote, as it comes. It is not silent whose messages come, until nothing more does."""
        if self.has_all or self._connector.told == "ended":
            # What was waiting may be of long ago; but whoever goes on behind an end has only just begun.
            self._heard_at_s = self._loop.time()
        self._connector.is_silent = False
        self.learn(label)

    def learn(self, label: Label) -> None:
        """Take what a message says of its writer, whenever it was written."""
        connector = self._connector
        connector.says_alive = label.says_alive
        if label.kind != "doubt":
            connector.told = "away" if label.kind == "away" else "ended" if label.kind == "end" else "there"
        self.tell()

    async def hear(self, _: Msg) -> None:  # as the client wants it
        """Take what it says every second."""
        self._heard_at_s = self._loop.time()
        self._connector.says_alive = True
        if self._connector.is_silent:
            self._connector.is_silent = False
            self.tell()

    async def miss(self) -> None:
        """Notice that nothing is heard of it, once all that it wrote was read. Never returns.

        One that would not say that it is there may be, however long it has nothing to write.
        """
        looked_at_s = self._loop.time()
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            before_s, looked_at_s = looked_at_s, self._loop.time()
            if looked_at_s - before_s > 2 * ALIVE_EVERY_S:
                # It is us who were held up: what was said meanwhile has yet to be heard.
                self._heard_at_s = looked_at_s
            is_silent = looked_at_s - self._heard_at_s > SILENCE_OF_PUBLISHER_S
            if self.has_all and is_silent and self._connector.says_alive:
                # Also where it was so on the connection before: each is told what is so on it.
                self._connector.is_silent = True
                self.tell()

    def tell(self) -> None:
        """Pass it on: without a publisher that has its feed, books are what they were, and nothing more comes."""
        state, before = self._connector.publisher, self._told
        if state == before:
            return
        self._told = state
        self._aside.publisher(state)
        if before in PUBLISHER_LOST and state not in PUBLISHER_LOST:
            self._on_back()
