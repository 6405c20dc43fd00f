"""What the feed and the sources it connects to say to each other. A source of this kind never sees a book."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Receive: TypeAlias = Callable[[memoryview], None]
"""Takes bytes as they came; they are gone when it returns. What it raises ends the connection."""

Key: TypeAlias = tuple[int, int]
"""publisher_id and instrument_id of a book."""

PublisherState: TypeAlias = Literal["there", "away", "silent", "ended"]
"""`away`: it has lost its own feed. `silent`: nothing is heard of it. `ended`: its source is over."""

How: TypeAlias = Literal["first", "resume", "snapshot", "unknown"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a connection is asked to begin with.

    `first`: as the URI says. `resume`: every record from `start` on (ns, ts_event). `snapshot`: the books as they
    are, then what follows. `unknown`: whatever the other side sends.
    """

    how: How
    start: int | None = None


class Aside(Protocol):
    """What a connection has to say that no byte says. It is said at its place among the bytes."""

    def doubt(self, reason: str, key: Key | None = None) -> None:
        """Say that this book, or every book, may be wrong from here on, until its next snapshot or Clear."""

    def books(self) -> list[Key]:
        """List the books that there are."""

    def suspects(self) -> list[Key]:
        """List those that may be wrong."""

    def expect_snapshot(self, key: Key) -> None:
        """Say that the snapshot of this book that comes now is whole."""

    def expect_skips(self, *, expects_skips: bool) -> None:
        """Say whether the stream has only a part of its channels' numbers, and gaps are told by `doubt`."""

    def publisher(self, state: PublisherState) -> None:
        """Say how whoever feeds the line is doing, while the line itself is there."""

    def refused(self, text: str) -> None:
        """Something came that is none of ours, and was passed over."""


class ConnectionLost(Exception):  # noqa: N818  # a state of the line, and not a mistake of anybody's
    """The connection broke, or never came to be, for a reason that may pass. `kind` is what losses are counted by."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Refused(Exception):  # noqa: N818  # as above
    """The other side will not serve us, and trying again would not change that. `code` is the gateway's, if any."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class Connection(Protocol):
    """A stream of DBN that is coming in. Used on its event loop only."""

    @property
    def ended(self) -> Awaitable[None]:
        """Done at an orderly end of the stream. Raises ConnectionLost, or what the receiver of the bytes raised."""

    @property
    def received_at_s(self) -> float:
        """When bytes last came, by the clock of the event loop."""

    def bytes_waiting(self) -> int:
        """Bytes that have arrived and were not taken yet."""

    def ask_snapshot(self, instrument_ids: Sequence[int]) -> bool:
        """Ask for the books of these instruments anew; -> False where the source has no way to."""

    def abort(self) -> None:
        """Close at once. Closing twice is no error."""


class Connector(Protocol):
    """A source that can be connected to again and again."""

    @property
    def uri(self) -> str:
        """The URI it was opened by, without secrets."""

    @property
    def can_resume(self) -> bool:
        """Whether a connection can be asked to begin at a time, or with snapshots."""

    @property
    def resumes_exactly(self) -> bool:
        """Whether another connection goes on with the very next record.

        Then a loss puts no book in doubt, and an end that is told is one.
        """

    @property
    def reconnects_at_end(self) -> bool:
        """Whether an orderly end is to be taken for a loss."""

    @property
    def silence_max_s(self) -> float | None:
        """Longer silence means that the connection is half-open. None: silence means nothing."""

    async def connect(self, ask: Ask, receive: Receive, aside: Aside) -> Connection:
        """Connect; bytes may come before this returns. Raises ConnectionLost or Refused."""
