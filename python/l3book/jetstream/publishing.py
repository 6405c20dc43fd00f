"""One source into one stream, from where the stream stands to the source's end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from l3book.feed.options import FeedOptions
from l3book.jetstream.feeding import Feeding, identity_of
from l3book.jetstream.mirror import Mirror
from l3book.jetstream.publisher import Counts, Limits, Publisher
from l3book.jetstream.windows import Progress, Windows
from l3book.sources import AnySource, is_connector
from l3book.sources.connection import ConnectionLost, Refused

if TYPE_CHECKING:
    from l3book.jetstream.address import NatsAddress


@dataclass(slots=True)
class Published:
    """What became of it so far."""

    counts: Counts
    there: int = 0
    """Records of the source, of whatever type, that the stream had before."""
    is_there: bool = False
    """Whether it had all of them, and the end."""
    error: str | None = None
    """What was wrong with the source; what was good of it is published."""
    unacknowledged_records: int = 0
    """Taken from the source when the publisher gave up, and perhaps not in the stream."""


class Publishing:
    """Publishes a source. Used once, on one event loop."""

    def __init__(
        self,
        address: "NatsAddress",
        source: AnySource,
        shards: int = 1,
        budget_s: float = 300.0,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        snapshot_every_s: float = 0.0,
    ) -> None:
        """`snapshot_every_s`: how often all books are written into the stream; 0: never."""
        self._address = address
        self._source = source
        self._shards = shards
        self._budget_s = budget_s
        self._snapshot_every_s = snapshot_every_s
        self._publisher = Publisher(address, shards, budget_s, limits)
        self.published = Published(self._publisher.counts)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feeding: Feeding | None = None
        self._is_closed = False

    async def run(
        self,
        on_records: Callable[[int], object],
        on_begin: Callable[[], object] = lambda: None,
    ) -> Published:
        """Publish until the source ends or `close` is called. Raises ConnectionLost or Refused."""
        standing = await self._publisher.begin()
        identity, known = identity_of(self._source), standing.progress
        progress = known if known is not None and known.source == identity else Progress(identity)
        self.published.there = progress.end if progress.shard == self._shards - 1 else progress.first
        if progress.ended_shard == self._shards - 1:
            self.published.is_there = True
            return self.published
        windows = Windows(self._address.stream, standing.shards, standing.sequence, standing.ts_event, progress)
        options = FeedOptions(reconnect_budget_s=self._budget_s)
        # Also of a file, if nothing is left that would tell how far it had come.
        goes_on = standing.sequence > 0 and (known is None or is_connector(self._source))
        # A stream that begins with this source is what the source makes of the books.
        is_whole = standing.sequence == 0 or standing.beginning == identity
        mirror = Mirror(self._snapshot_every_s, is_whole=is_whole) if self._snapshot_every_s else None
        feeding = Feeding(self._source, windows, options, mirror, goes_on=goes_on)
        if not is_connector(self._source):
            self._source.hurry(progress.first)
        on_begin()
        self._feeding, self._loop = feeding, asyncio.get_running_loop()
        if self._is_closed:
            self.close()
        self._publisher.on_records = on_records
        try:
            await self._publisher.run(feeding.batches())
        except (ConnectionLost, Refused):
            feeding.close()
            left = await feeding.left_records()
            self.published.unacknowledged_records = self._publisher.unacknowledged_records + left
            raise
        finally:
            self._feeding = None
        self.published.error = feeding.error
        return self.published

    def close(self) -> None:
        """End it, from any thread or a signal's handler: nothing more is taken, and what was has to be stored soon."""
        self._is_closed = True
        if self._feeding is not None and self._loop is not None:
            self._feeding.close()
            self._loop.call_soon_threadsafe(self._publisher.close)
