"""Files that are read whole, and therefore have to be small."""

import errno
import os
import select
import stat
import sys
import time
from pathlib import Path

PIPE_TIMEOUT_S = 5.0
"""What a pipe has to say must have come by then: a named one that nobody writes to would be waited for for ever."""


def read_small_file(path: Path, bytes_max: int) -> bytes:
    """Read it, whatever it is; a pipe will do. Raises OSError, and ValueError where there is more than `bytes_max`."""
    with open(path, "rb", opener=_open_at_once) as stream:
        # Windows has none among its files.
        if sys.platform != "win32" and stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            content = _from_pipe(stream.fileno(), path, bytes_max)
        else:
            content = stream.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise ValueError(f"more than {bytes_max} bytes")
    return content


def _open_at_once(path: str, flags: int) -> int:
    # Otherwise the opening itself would wait for somebody to write.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


if sys.platform != "win32":

    def _from_pipe(descriptor: int, path: Path, bytes_max: int) -> bytes:
        content = b""
        deadline_s = time.monotonic() + PIPE_TIMEOUT_S
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while len(content) <= bytes_max:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not poll.poll(left_s * 1000):
                text = f"a pipe that nobody has written to and closed within {PIPE_TIMEOUT_S:g} s"
                raise TimeoutError(errno.ETIMEDOUT, text, str(path))
            try:
                part = os.read(descriptor, bytes_max + 1 - len(content))
            except BlockingIOError:
                continue
            if not part:
                break
            content += part
        return content
