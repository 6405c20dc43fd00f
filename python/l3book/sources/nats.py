"""`nats://HOST:PORT/STREAM[?shard=&from=&end=&tls=]`: what `l3book publish` has written to a stream of JetStream."""

from typing import TYPE_CHECKING

from l3book.jetstream.address import NatsAddress, credentials
from l3book.jetstream.unseen import Unseen
from l3book.sources.connection import Aside, Ask, Connection, PublisherState, Receive
from l3book.sources.uri import SourceError, SourceUri
from l3book.times import parse_time_ns

if TYPE_CHECKING:
    from datetime import datetime

FROM_FIRST = "first"
FROM_NEW = "new"


class NatsConnector:
    """Reads a stream from a message on, in order, and after a loss from the next one on.

    The position is the stream's own sequence, so nothing has to be recognised that came before. Only a server that was
    restarted looks for its place by time, as it does with every source.
    """

    can_resume = True
    resumes_exactly = True
    reconnects_at_end = False
    silence_max_s: float | None = None
    """The client asks the server whether it is there, and the consumer tells that it is idle."""

    def __init__(self, uri: SourceUri) -> None:
        uri.only("shard", "from", "end", "tls")
        self.address = NatsAddress.of(uri)
        self.uri = uri.text
        self.shard = uri.whole("shard", 0, 0, 255) if "shard" in uri.query else None
        self.begin = _begin(uri)
        self.stops_at_end = uri.choice("end", "stop", "reconnect") == "stop"
        self.next_sequence: int | None = None
        """Of the message after the last one that was applied; None before the first connection."""
        self.number: int | None = None
        """Of the last message of the shard."""
        self.created: datetime | None = None
        """When the stream was made: another of its name is another stream."""
        self.unseen = Unseen()
        self.told: PublisherState = "there"
        """What the publisher has said of itself, in the stream."""
        self.is_silent = False
        """Nothing is heard of the publisher any more."""
        self.says_alive = False
        """Whether anything would be heard of it."""
        try:
            import nats  # noqa: F401  # whether it is there
        except ImportError as error:
            raise SourceError(
                f"source {uri.text!r}: the NATS client cannot be imported ({error}): expected it installed, by "
                "pip install 'l3book[nats]'"
            ) from None
        credentials()

    @property
    def publisher(self) -> PublisherState:
        """How the publisher is doing. Of one that has ended, nothing has to be heard."""
        return "silent" if self.is_silent and self.told != "ended" else self.told

    async def connect(self, ask: Ask, receive: Receive, aside: Aside) -> Connection:
        """Connect, find the place, and have messages come. Raises ConnectionLost or Refused."""
        from l3book.jetstream.reading import Reading

        return await Reading.open(self, ask, receive, aside)


def _begin(uri: SourceUri) -> str | int:
    """Read where to begin: first, new, or a time in ns."""
    text = uri.query.get("from", FROM_FIRST)
    if text in (FROM_FIRST, FROM_NEW):
        return text
    try:
        return parse_time_ns(text)
    except ValueError as error:
        raise SourceError(f"source {uri.text!r}: from: {error}, or first or new") from None
