"""The signals that end a server."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType


class Shutdown:
    """SIGINT and SIGTERM (Windows: Ctrl+C, Ctrl+Break): the first ends the server in order, a second one at once."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The first that came."""
        self._callbacks: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Whether one came."""
        return self.number is not None

    def install(self) -> None:
        """Take over the signals, for the rest of the process."""
        numbers = [signal.SIGINT, signal.SIGTERM]
        if sys.platform == "win32":
            # Ctrl+Break, and a console that is closed. SIGTERM only comes from within the process there.
            numbers.append(signal.SIGBREAK)
        for number in numbers:
            signal.signal(number, self._on_signal)

    def call(self, callback: Callable[[], None]) -> None:
        """Have it called at the first signal, or now if that has come; twice, if that comes this moment."""
        # In this order: a signal between a look at `requested` and the append would call nobody.
        self._callbacks.append(callback)
        if self.requested:
            callback()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.requested:
            os.write(sys.stderr.fileno(), b"l3book: a second signal: ending at once\n")
            os._exit(128 + number)
        self.number = number
        for callback in self._callbacks:
            callback()
