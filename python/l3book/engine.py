"""The engine: the only writer of the Market, one thread that feeds it what the source yields."""

import logging
from threading import Thread
from typing import Literal, TypeAlias

from l3book._core import DecodeError, Market
from l3book.sources import Source

SourceState: TypeAlias = Literal["starting", "running", "ended", "failed"]

log = logging.getLogger(__name__)


class Engine:
    """Feeds a source to a Market until the source ends, fails or is stopped.

    A source that ends or fails leaves the books as they are, and they go on being served. The loop runs once
    per chunk of thousands of records; the records themselves are applied in Rust, without the GIL.
    """

    def __init__(self, source: Source, market: Market) -> None:
        self._source = source
        self._market = market
        self._thread = Thread(target=self._run, name="l3book-engine", daemon=True)
        self._stopping = False
        self.state: SourceState = "starting"
        self.error: str | None = None
        """What was wrong with the source, once its state is failed."""
        self.bytes = 0
        """Decompressed bytes fed."""
        self.messages = 0
        """MBO records taken."""

    @property
    def uri(self) -> str:
        """The URI of the source."""
        return self._source.uri

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Close the source and wait for the thread; -> whether it came to its end within the time."""
        self._stopping = True
        self._source.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for chunk in self._source:
                self.state = "running"
                self.messages += self._market.feed(chunk)
                self.bytes += len(chunk)
                if self._stopping:
                    break
            if self._stopping:
                return
            self._market.finish()
        except (DecodeError, OSError) as error:
            self._fail(str(error))
            log.error("source %s failed: %s", self.uri, error)  # noqa: TRY400  # the text is the whole story
        # A panic in Rust arrives as a BaseException, and must not leave "running" behind.
        except BaseException as error:
            self._fail(f"internal error: {type(error).__name__}: {error}")
            log.exception("source %s failed", self.uri)
        else:
            self.state = "ended"
            log.info("source %s ended after %d messages", self.uri, self.messages)

    def _fail(self, error: str) -> None:
        self.error = error
        self.state = "failed"
