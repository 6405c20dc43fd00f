"""Sources: where DBN bytes come from. Each is an iterator of byte chunks that another thread can close."""

from collections.abc import Callable, Iterator
from typing import Protocol

from l3book.sources.file import FileSource
from l3book.sources.synthetic import SyntheticSource
from l3book.sources.uri import SourceError, SourceUri, parse_uri

__all__ = ["Source", "SourceError", "open_source"]


class Source(Protocol):
    """A stream of DBN: metadata first, then whole or cut records."""

    @property
    def uri(self) -> str:
        """The URI it was opened by."""

    def __iter__(self) -> Iterator[bytes]:
        """Chunks until the stream ends or the source is closed, with pauses if the stream has a pace."""

    def close(self) -> None:
        """End the iteration, from any thread and also out of a sleep. Closing twice is no error."""


_SCHEMES: dict[str, Callable[[SourceUri], Source]] = {"synthetic": SyntheticSource, "file": FileSource}
_PLANNED_SCHEMES = frozenset({"tcp", "live", "nats"})


def open_source(uri: str) -> Source:
    """Open the source a URI names.

    Raises SourceError when the URI is wrong, OSError when the file cannot be opened, DecodeError when it does
    not begin like DBN.
    """
    parsed = parse_uri(uri)
    if parsed.scheme in _PLANNED_SCHEMES:
        raise SourceError(
            f"source {uri!r}: {parsed.scheme} sources are not in this version: expected synthetic: or file:"
        )
    opener = _SCHEMES.get(parsed.scheme)
    if opener is None:
        raise SourceError(f"source {uri!r}: unknown scheme {parsed.scheme!r}: expected synthetic: or file:")
    return opener(parsed)
