"""Waiting for sockets: poll(), and on Windows, which has none that Python knows, the same by select()."""

import math
import select
import socket
import sys
import time

if sys.platform == "win32":
    POLLIN, POLLOUT, POLLERR, POLLHUP, POLLRDHUP = 1, 4, 8, 16, 0
    TURN_S = 0.1

    class Poll:
        """As much of `select.poll` as the gateway needs; a client that is gone shows when it is read from."""

        def __init__(self) -> None:
            self._masks: dict[int, int] = {}

        def register(self, waited_for: socket.socket | int, mask: int) -> None:
            """Wait for it from now on, or for other things than before."""
            self._masks[waited_for if isinstance(waited_for, int) else waited_for.fileno()] = mask

        def unregister(self, waited_for: socket.socket | int) -> None:
            """Wait for it no more."""
            del self._masks[waited_for if isinstance(waited_for, int) else waited_for.fileno()]

        def poll(self, timeout_ms: int | None = None) -> list[tuple[int, int]]:
            """Wait for any of them or for the time; -> what is ready, and for what."""
            until_s = math.inf if timeout_ms is None else time.monotonic() + timeout_ms / 1000
            reads = [number for number, mask in self._masks.items() if mask & POLLIN]
            writes = [number for number, mask in self._masks.items() if mask & POLLOUT]
            while True:
                # In turns: a signal interrupts nothing there, its handler runs once this has come back.
                turn_s = max(0.0, min(until_s - time.monotonic(), TURN_S))
                if reads or writes:
                    readable, writable, _ = select.select(reads, writes, [], turn_s)
                    ready = dict.fromkeys(readable, POLLIN)
                    for number in writable:
                        ready[number] = ready.get(number, 0) | POLLOUT
                    if ready:
                        return list(ready.items())
                else:
                    # select() there takes no empty lists.
                    time.sleep(turn_s)
                if time.monotonic() >= until_s:
                    return []

else:
    from select import POLLERR, POLLHUP, POLLIN, POLLOUT
    from select import poll as Poll  # noqa: N812  # a class, under the name of the other one

    # Not on every system; without it a peer that is gone shows when something is sent to it.
    POLLRDHUP = getattr(select, "POLLRDHUP", 0)

__all__ = ["POLLERR", "POLLHUP", "POLLIN", "POLLOUT", "POLLRDHUP", "Poll"]
