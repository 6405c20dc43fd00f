"""Tickets: what a browser shows instead of a key when it opens a WebSocket, where it can send no header of its own."""

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable

from l3book.access.identity import Identity
from l3book.api.problems import Problem

SUBPROTOCOL_PREFIX = "l3book.ticket."
TICKET_BYTES = 32
TICKETS_MAX = 10_000
TICKETS_PER_IDENTITY_MAX = 1000
"""Unused ones; one identity cannot use up everybody's."""


class Tickets:
    """Single-use tickets, in memory only: they end with the process, with their time, and with their key."""

    def __init__(self, kept_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.kept_s = kept_s
        self._clock = clock
        # By digest, so that how long a lookup takes tells nothing about a ticket. In the order they were made.
        self._waiting: dict[bytes, tuple[float, Identity]] = {}
        self._per_identity: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def make(self, identity: Identity) -> str | Problem:
        """Make a ticket that stands for the identity."""
        now_s = self._clock()
        self._forget_expired(now_s)
        count = self._per_identity[identity.counted_as]
        if count >= TICKETS_PER_IDENTITY_MAX or len(self._waiting) >= TICKETS_MAX:
            detail = (
                f"{count} tickets wait to be used: expected at most {TICKETS_PER_IDENTITY_MAX}, {TICKETS_MAX} in all"
            )
            return Problem(429, "too_many_tickets", detail, headers={"Retry-After": str(self.kept_s)})
        ticket = secrets.token_urlsafe(TICKET_BYTES)
        self._waiting[_digest(ticket)] = (now_s + self.kept_s, identity)
        self._per_identity[identity.counted_as] += 1
        return ticket

    def redeem(self, ticket: str) -> Identity | None:
        """Use the ticket up; -> whom it stands for, None if it is unknown, used, expired, or its key is gone."""
        self._forget_expired(self._clock())
        digest = _digest(ticket)
        if digest not in self._waiting:
            return None
        identity = self._forget(digest)
        return identity if identity.is_current() else None

    def _forget_expired(self, now_s: float) -> None:
        while self._waiting:
            digest = next(iter(self._waiting))
            if self._waiting[digest][0] > now_s:
                return
            self._forget(digest)

    def _forget(self, digest: bytes) -> Identity:
        _, identity = self._waiting.pop(digest)
        self._per_identity[identity.counted_as] -= 1
        if not self._per_identity[identity.counted_as]:
            del self._per_identity[identity.counted_as]
        return identity


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogateescape")).digest()
