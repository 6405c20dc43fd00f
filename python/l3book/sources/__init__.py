"""Sources: where DBN bytes come from.

Those that are read (`Source`) are an iterator of byte chunks; those that are connected to (`Connector`) are called
again after every loss. Either can be closed by another thread.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeAlias

from l3book.sources.connection import Connector
from l3book.sources.file import FileSource
from l3book.sources.synthetic import SyntheticSource
from l3book.sources.uri import SourceError, SourceUri, parse_uri

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = ["AnySource", "Connector", "Source", "SourceError", "is_connector", "open_source"]


class Source(Protocol):
    """A stream of DBN: metadata first, then whole or cut records."""

    @property
    def uri(self) -> str:
        """The URI it was opened by."""

    def __iter__(self) -> Iterator[bytes]:
        """Chunks until the stream ends or the source is closed, with pauses if the stream has a pace."""

    def hurry(self, records: int) -> None:
        """Have the first so many records come without a pace: somebody has them already. Before the iteration."""

    def close(self) -> None:
        """End the iteration, from any thread and also out of a sleep. Closing twice is no error."""


AnySource: TypeAlias = Source | Connector


def is_connector(source: AnySource) -> "TypeIs[Connector]":
    """Tell whether a source is connected to, and not read."""
    return hasattr(source, "connect")


def _tcp(uri: SourceUri) -> Connector:
    from l3book.sources.tcp import TcpConnector

    return TcpConnector(uri)


def _live(uri: SourceUri, gateway: str | None = None) -> Connector:
    from l3book.sources.live import LiveConnector

    return LiveConnector(uri, gateway)


def _nats(uri: SourceUri) -> Connector:
    from l3book.sources.nats import NatsConnector

    return NatsConnector(uri)


_SCHEMES: dict[str, Callable[[SourceUri], AnySource]] = {
    "synthetic": SyntheticSource,
    "file": FileSource,
    "tcp": _tcp,
    "live": _live,
    "nats": _nats,
}
_EXPECTED = "expected synthetic: or file:, tcp:, live: or nats:"


def open_source(uri: str, gateway: str | None = None) -> AnySource:
    """Open the source a URI names. `gateway` (HOST:PORT) is where a live source connects to, whatever its URI says.

    Raises SourceError when the URI is wrong or something that it needs is missing, OSError when the file cannot be
    opened, DecodeError when it does not begin like DBN.
    """
    parsed = parse_uri(uri)
    opener = _SCHEMES.get(parsed.scheme)
    if opener is None:
        raise SourceError(f"source {uri!r}: unknown scheme {parsed.scheme!r}: {_EXPECTED}")
    if gateway is None:
        return opener(parsed)
    if parsed.scheme != "live":
        raise SourceError(f"source {uri!r}: a gateway ({gateway}) is for live sources: expected live://DATASET")
    return _live(parsed, gateway)
