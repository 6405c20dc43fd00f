"""A subscription: what one socket has been told by one group."""

from typing import TYPE_CHECKING, Literal

from l3book.streams.group import Group, GroupKey
from l3book.streams.update import Update

if TYPE_CHECKING:
    from l3book.api.ws.outbox import Outbox


class Subscription:
    """A subscriber of its group, which passes everything on to the outbox of its socket."""

    __slots__ = (
        "_outbox",
        "epoch",
        "group",
        "held",
        "instrument",
        "is_behind",
        "key",
        "moment",
        "requested",
        "seq",
        "waiting",
    )

    group: Group
    """Its group, once it has joined one."""

    def __init__(self, outbox: "Outbox", requested: str, key: GroupKey, instrument: str) -> None:
        self._outbox = outbox
        self.key = key
        """Of the group that it joins as soon as there is such a book."""
        self.instrument = instrument
        """The name that the client was told its messages carry."""
        self.requested = requested
        """The name the client calls the book by."""
        self.epoch: str | None = None
        self.seq = 0
        """Where the client will be once it has read what was sent and what waits; no epoch: nowhere yet."""
        self.is_behind = True
        """Updates are not sent one by one: first something has to bring the client up to date."""
        self.held: list[Update] | None = None
        """What came while that was being made."""
        self.waiting = 0
        """Messages in the outbox."""
        self.moment: tuple[str, int] | None = None
        """epoch and seq of the last moment told."""

    def deliver(self, update: Update) -> None:
        """Take the next update of the group."""
        self._outbox.deliver(self, update)

    def fail(self) -> None:
        """End the socket: its client cannot know otherwise that nothing more will come."""
        self._outbox.fail()

    @property
    def encoding(self) -> Literal["text", "msgpack"]:
        """What its socket needs of a message."""
        return self._outbox.encoding

    @property
    def has_book(self) -> bool:
        """Whether its client keeps a book: trades and records are told as they are, and of none."""
        return self.key.channel in {"bbo", "depth", "orders"}

    def has(self, update: Update) -> bool:
        """Tell whether what was sent holds this already: a snapshot may be ahead of the updates under way."""
        if update.epoch != self.epoch or update.seq > self.seq:
            return False
        # At the same seq a delta may tell of a change beside events, and a gap is news; a snapshot is not: the first
        # poll of a group tells one too.
        return (
            update.seq < self.seq or update.kind == "snapshot" or (update.kind == "delta" and update.prev != self.seq)
        )

    def reach(self, update: Update) -> None:
        """Note that the update was sent, or waits to be. After a gap only a snapshot helps, as at the beginning."""
        self.epoch = None if update.kind == "gap" else update.epoch
        self.seq = update.seq
