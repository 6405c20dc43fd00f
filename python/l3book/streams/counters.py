"""What was sent, merged away and refused, summed over all sockets since the start."""

from dataclasses import dataclass, field, fields
from typing import Any

from l3book.buckets import Buckets

NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Counters:
    """Plain numbers: only the event loop's thread writes them."""

    sockets: int = 0
    """Open now."""
    sockets_total: int = 0
    """Opened since the start."""
    subscriptions: int = 0
    groups: int = 0
    sent: int = 0
    """Messages written, of all kinds."""
    bytes: int = 0
    """Their bytes, with WebSocket's own headers."""
    conflated: int = 0
    """Updates of a group that a client did not get one by one: merged into a later one, or lost to a gap."""
    gaps: int = 0
    """Told to clients that were too slow; gaps of a group itself are not among them."""
    snapshots: int = 0
    """Sent to one client: because it subscribed, or because nothing less would have brought it up to date."""
    slow_closed: int = 0
    errors: int = 0
    """Error messages sent."""
    limited_ops: int = 0
    """Of them, for operations beyond a rate."""
    late_ticks: int = 0
    """Left out, because the loop came back more than an interval late, or the poll before had not ended."""
    polls: int = 0
    poll_total_ns: int = 0
    poll_max_ns: int = 0
    """Of one group on the event loop, which it holds up; polls in threads are not among these three."""
    poll_durations: Buckets = field(default_factory=Buckets)

    def polled(self, took_ns: int) -> None:
        """Count one look at one group."""
        self.polls += 1
        self.poll_total_ns += took_ns
        self.poll_max_ns = max(self.poll_max_ns, took_ns)
        self.poll_durations.add(took_ns)

    def as_dict(self) -> dict[str, Any]:
        """All of them by name, times in milliseconds."""
        names = (entry.name for entry in fields(self) if entry.name != "poll_durations")
        numbers = {name: getattr(self, name) for name in names}
        total_ns, max_ns = numbers.pop("poll_total_ns"), numbers.pop("poll_max_ns")
        return {**numbers, "poll_total_ms": round(total_ns / NS_PER_MS, 3), "poll_max_ms": round(max_ns / NS_PER_MS, 3)}
