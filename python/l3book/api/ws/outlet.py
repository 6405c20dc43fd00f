"""What the endpoint sees of the connection below it."""

from typing import Protocol

SCOPE_KEY = "l3book.outlet"
"""Where the server puts it into the scope of a WebSocket."""


class Outlet(Protocol):
    """Whole frames, written at once or not at all.

    ASGI's own `send` waits inside: who uses it cannot tell whether a client keeps up, wakes a task per message
    and client, and has the same text encoded and framed for every client anew.
    """

    @property
    def is_writable(self) -> bool:
        """Whether there is room for a frame now."""

    @property
    def is_over(self) -> bool:
        """Whether nothing can be written any more."""

    def write(self, frame: bytes) -> None:
        """Write a frame; without room it is kept all the same."""

    async def wait_until_writable(self) -> None:
        """Wait for room, or for the end."""

    def end(self, code: int, reason: str) -> None:
        """Close with a WebSocket close code; a peer that does not answer is cut off a little later."""
