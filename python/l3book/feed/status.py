"""How the line is doing, as `/v1/metrics` tells it. One thread writes plain numbers, any may read them."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from l3book.sources.connection import PublisherState

OVERLOAD_BYTES = 1024 * 1024
"""More than this waiting in the kernel: we are slower than the line. It is over when half of it waits."""

PUBLISHER_LOST: dict[PublisherState | None, str] = {
    "away": "the publisher has lost its feed",
    "silent": "nothing is heard of the publisher: is it running?",
}
"""What is said of a line that is there while its publisher is so."""


@dataclass(slots=True)
class FeedStatus:
    """Counters since the start, and what is so at the moment."""

    attempts: int = 0
    connects: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    last_disconnect: dict[str, str] | None = None
    bytes_waiting: int = 0
    overloads: int = 0
    snapshot_requests: int = 0
    snapshots_asked: int = 0
    refused_messages: int = 0
    publisher: PublisherState | None = None
    """Of whoever feeds the line; None where there is nobody in between, or nothing is known."""
    _overloaded: bool = False

    def lost(self, kind: str, text: str) -> None:
        """Count a loss."""
        self.losses[kind] += 1
        self.last_disconnect = {"reason": kind, "text": text, "at": str(time.time_ns())}

    def waiting(self, waiting_bytes: int) -> bool:
        """Take a sample of what waits; -> whether an overload begins with it."""
        self.bytes_waiting = waiting_bytes
        begins = waiting_bytes > OVERLOAD_BYTES and not self._overloaded
        if begins:
            self.overloads += 1
        self._overloaded = waiting_bytes > (OVERLOAD_BYTES // 2 if self._overloaded else OVERLOAD_BYTES)
        return begins

    def as_dict(self) -> dict[str, Any]:
        """For the wire."""
        return {
            "attempts": self.attempts,
            "connects": self.connects,
            "reconnects": max(0, self.connects - 1),
            "losses": dict(self.losses),
            "last_disconnect": self.last_disconnect,
            "bytes_waiting": self.bytes_waiting,
            "overloads": self.overloads,
            "snapshot_requests": self.snapshot_requests,
            "snapshots_asked": self.snapshots_asked,
            "refused_messages": self.refused_messages,
            "publisher": self.publisher,
        }
