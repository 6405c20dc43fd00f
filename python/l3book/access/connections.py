"""Open connections: how many, from where, and which of them could go."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Protocol

from l3book.access.identity import counted_address
from l3book.api.problems import Problem
from l3book.config import Settings

RETRY_AFTER_S = 1


class Transport(Protocol):
    """What of a connection's transport is needed here."""

    def abort(self) -> None:
        """Close it at once."""


@dataclass(slots=True)
class ConnectionCounts:
    """Since the start."""

    accepted: int = 0
    refused: int = 0
    """Beyond a limit."""
    displaced: int = 0
    """Idle ones that had to go, so that another could come."""
    stalled: int = 0
    """Ended because their client did not read what it had asked for."""
    bad_requests: int = 0
    """Refused below the application: no HTTP, too long or too slow."""


class Connections:
    """TCP connections, of HTTP and of WebSockets alike. For the event loop's thread.

    Where all places are taken, the connection that has been idle for longest makes room: whoever opens connections and
    asks for nothing keeps nobody out.
    """

    def __init__(self, settings: Settings) -> None:
        self.counts = ConnectionCounts()
        self.room: int | None = None
        """What the process has file descriptors for; None: for any number."""
        self._addresses: dict[Transport, str] = {}
        self._per_address: Counter[str] = Counter()
        self._idle: dict[Transport, None] = {}
        self.reconfigure(settings)

    def reconfigure(self, settings: Settings) -> None:
        """Take over the settings' limits from now on. What is open stays open."""
        self._per_address_max = settings.connections_per_address_max
        self._in_all_max = settings.connections_max

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def idle(self) -> int:
        """Those that no request is under way on."""
        return len(self._idle)

    def metrics(self) -> dict[str, int]:
        """Tell how many there are, and what has been counted, by name."""
        return {"open": len(self), "idle": self.idle, **asdict(self.counts)}

    def enter(self, transport: Transport, host: str) -> Problem | None:
        """Count a new connection, which is idle; a problem where it has to be refused, and then it is not counted."""
        address = counted_address(host)
        problem = self._refusal(address)
        if problem is not None:
            self.counts.refused += 1
            return problem
        self.counts.accepted += 1
        self._addresses[transport] = address
        self._per_address[address] += 1
        self._idle[transport] = None
        return None

    def leave(self, transport: Transport) -> None:
        """Count one less, if it was counted."""
        self._idle.pop(transport, None)
        address = self._addresses.pop(transport, None)
        if address is not None:
            self._per_address[address] -= 1
            # Whoever has none is not kept, or every address ever seen would be.
            if not self._per_address[address]:
                del self._per_address[address]

    def set_busy(self, transport: Transport) -> None:
        """Note that a request is under way."""
        self._idle.pop(transport, None)

    def set_idle(self, transport: Transport) -> None:
        """Note that none is, from now on."""
        if transport in self._addresses:
            self._idle[transport] = None

    def _refusal(self, address: str) -> Problem | None:
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        if self._per_address[address] >= self._per_address_max:
            detail = f"{address} has {self._per_address[address]} connections: expected at most {self._per_address_max}"
            return Problem(429, "too_many_connections", detail, headers=headers)
        at_most = self._in_all_max if self.room is None else min(self._in_all_max, self.room)
        if len(self) < at_most:
            return None
        if not self._idle:
            detail = f"{len(self)} connections are open, and none is idle: expected at most {at_most}"
            return Problem(503, "too_many_connections", detail, headers=headers)
        oldest = next(iter(self._idle))
        self.leave(oldest)
        self.counts.displaced += 1
        oldest.abort()
        return None
