"""The engine: the only writer of the Market, one thread that feeds it what the source brings."""

import time
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Literal, TypeAlias

from l3book import tracing
from l3book._core import DecodeError, Market
from l3book.durations import Durations
from l3book.feed.options import FeedOptions
from l3book.feed.transitions import Transitions
from l3book.logs import Logger
from l3book.sources import AnySource, Connector, Source, is_connector
from l3book.sources.connection import ConnectionLost, Refused

if TYPE_CHECKING:
    from l3book.feed.supervisor import Feed
    from l3book.history.recording import AnyRecording

SourceState: TypeAlias = Literal["starting", "connecting", "running", "reconnecting", "ended", "failed"]

log = Logger(__name__)

SOURCE_FAILED = "source failed"
"""Why books are suspect whose source brings nothing more, though it has not come to its end."""


class Engine:
    """Feeds a source to a Market until the source ends, fails or is stopped.

    A source that ends or fails leaves the books as they are, and they go on being served: of one that failed as
    suspect, since nobody knows what would have followed. The loop runs once per chunk of thousands of records; the
    records themselves are applied in Rust, without the GIL. A source that is connected to needs a Market that watches
    (`watch=True`). Given a `recording`, a source waits while that is behind. A market that goes on after a restart was
    `disconnected` before it is given, and stood still for `lost_s`.
    """

    def __init__(
        self,
        source: AnySource,
        market: Market,
        options: FeedOptions | None = None,
        *,
        recording: "AnyRecording | None" = None,
        lost_s: float | None = None,
    ) -> None:
        self._market = market
        self._recording = recording
        self._thread = Thread(target=self._run, name="l3book-engine", daemon=True)
        self._stopping = False
        self.uri = source.uri
        """The URI of the source."""
        self.state: SourceState = "starting" if lost_s is None else "reconnecting"
        self.error: str | None = None
        """What was wrong with the source, once its state is failed."""
        self.bytes = 0
        """Decompressed bytes fed; of a source that is connected to, bytes as they came."""
        self.applied = Durations()
        """From the moment a chunk was received to the one when all of it was applied."""
        self.feed: Feed | None = None
        """What keeps the connection, where there is one."""
        self._source: Source | None = None
        self._own_transitions = Transitions()
        if is_connector(source):
            self.feed = self._open_feed(source, options or FeedOptions(), lost_s)
        else:
            self._source = source

    def _open_feed(self, connector: Connector, options: FeedOptions, lost_s: float | None) -> "Feed":
        from l3book.feed.supervisor import Feed

        return Feed(connector, self._market, self._take, self._tell, options, lost_s)

    @property
    def transitions(self) -> Transitions:
        """What happened to the source's line and the books."""
        return self.feed.transitions if self.feed is not None else self._own_transitions

    @property
    def messages(self) -> int:
        """MBO records taken."""
        return int(self._market.stats()["records"])

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Close the source and wait for the thread; -> whether it came to its end within the time."""
        self._stopping = True
        if self.feed is not None:
            self.feed.close()
        if self._source is not None:
            self._source.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            if self.feed is not None:
                self.feed.run()
            if self._source is not None:
                self._read(self._source)
            if self._stopping:
                return
        except (DecodeError, OSError, ConnectionLost, Refused) as error:
            self._fail(str(error))
            # The text is the whole story.
            log.error("source {source} failed: {error}", source=self.uri, error=error)  # noqa: TRY400
        # A panic in Rust arrives as a BaseException, and must not leave "running" behind.
        except BaseException as error:
            self._fail(f"internal error: {type(error).__name__}: {error}")
            log.exception("source {source} failed", source=self.uri)
        else:
            self.state = "ended"
            log.info("source {source} ended after {messages} messages", source=self.uri, messages=self.messages)

    def _read(self, source: Source) -> None:
        try:
            for chunk in source:
                self.state = "running"
                self._take(chunk)
                if self._stopping:
                    return
            if not self._stopping:
                self._market.finish()
        except BaseException as error:
            self._doubt_books(str(error))
            raise

    def _doubt_books(self, error: str) -> None:
        """Make every book suspect, as a feed does that has lost its line."""
        trusted = [book for book in self._market.instruments() if book.state != "suspect"]
        self._market.failed(SOURCE_FAILED)
        self.transitions.add("lost", SOURCE_FAILED, text=error)
        for book in trusted:
            self.transitions.add(
                "suspect",
                SOURCE_FAILED,
                publisher_id=book.publisher_id,
                instrument_id=book.instrument_id,
                symbol=book.symbol,
                ts_event=str(book.ts_event),
            )

    def _take(self, chunk: bytes | memoryview) -> None:
        # Before it is fed: of a damaged chunk, what is good is applied.
        self.bytes += len(chunk)
        received_ns = time.monotonic_ns()
        if tracing.active is not None and tracing.active.feed.is_due():
            tracing.active.feed.apply(self.uri, len(chunk), partial(self._market.feed, chunk), lambda: self.messages)
        else:
            self._market.feed(chunk)
        self.applied.add(time.monotonic_ns() - received_ns)
        if self._recording is not None:
            self._recording.wait_room(self._is_stopping)

    def _is_stopping(self) -> bool:
        return self._stopping

    def _tell(self, state: Literal["connecting", "reconnecting", "running"]) -> None:
        self.state = state

    def _fail(self, error: str) -> None:
        self.error = error
        self.state = "failed"
