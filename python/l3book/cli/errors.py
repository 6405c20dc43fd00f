"""Errors of the command line."""

import os
import stat
from pathlib import Path

EXIT_ANSWER_IS_NO = 1
EXIT_MISUSE = 2


class CommandError(Exception):
    """Ends the command with one line on standard error and an exit code."""

    def __init__(self, text: str, exit_code: int = EXIT_MISUSE) -> None:
        # One line, even where a file name or a message from below has a line break in it.
        super().__init__(text.replace("\r", "\\r").replace("\n", "\\n"))
        self.exit_code = exit_code


def cannot_use(path: str | Path, error: OSError) -> CommandError:
    """Make the error for a file that cannot be opened, read or written."""
    return CommandError(f"{path}: {error.strerror or error}")


def check_input_file(path: Path) -> None:
    """Refuse what is no readable file, before anything is built on it."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise CommandError(f"{path}: no such file: expected a .dbn or .dbn.zst file") from None
    except OSError as error:
        raise cannot_use(path, error) from None
    if stat.S_ISDIR(mode):
        raise CommandError(f"{path}: a directory: expected a .dbn or .dbn.zst file")
    # Not by opening it: that would break the pipe of whoever writes to one.
    if not os.access(path, os.R_OK):
        raise CommandError(f"{path}: permission denied: expected a readable file")


def check_other_file(path: Path, output: Path) -> None:
    """Refuse to write over the input."""
    try:
        is_same = output.samefile(path)
    except OSError:
        # One of them is missing or cannot be looked at; whoever opens it says so.
        return
    if is_same:
        raise CommandError(f"{path}: the input is also the output: expected another file")
