"""One message of a group, shared by all its clients."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from l3book._core import Message


class Update:
    """A message, its facts read out once, and a place for what was made of it for the wire."""

    __slots__ = ("epoch", "frames", "kind", "message", "prev", "seq")

    def __init__(self, message: "Message") -> None:
        self.message = message
        self.kind: str = message.kind
        self.epoch: str = message.epoch
        self.prev: int | None = message.prev
        self.seq: int = message.seq
        self.frames: dict[str, bytes] = {}
        """By the name of the format: whoever needs one first makes it, all others send the same bytes."""

    def continues(self, epoch: str | None, seq: int) -> bool:
        """Tell whether a client that is at `seq` can take this one next. Records of channel dbn cross epochs."""
        if self.kind != "delta":
            return True
        return self.prev == seq and (self.epoch == epoch or (epoch is not None and self.message.binary is not None))
