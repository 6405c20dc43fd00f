"""Signals that end a command: in order, as Ctrl+C does, so that nothing half-made is left."""

import signal
from types import FrameType


class Ended(KeyboardInterrupt):
    """A signal wants the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def exit_code(self) -> int:
        """As a shell says it of a process that a signal has ended."""
        return 128 + self.number


def end_in_order() -> None:
    """Have other signals than Ctrl+C raise `Ended`, for the rest of the process; a second one ends it at once."""
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        # Not one that whoever started the command has it ignore, as `nohup` does.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Ended(number)
