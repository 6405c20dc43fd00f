"""Where a command writes: files that appear whole or not at all, and standard output."""

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from l3book.cli.errors import CommandError, cannot_use


@contextlib.contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, which takes its name when the block ends without an error.

    A path that exists and is no regular file (a pipe, /dev/null) is written to directly: renaming over it
    would replace it.
    """
    try:
        is_directory, is_there, is_regular = path.is_dir(), path.exists(), path.is_file()
    except OSError as error:
        raise cannot_use(path, error) from None
    if is_directory:
        raise CommandError(f"{path}: a directory: expected a file to write")
    direct = is_there and not is_regular
    # Through a symbolic link, the file it points to is replaced, not the link.
    target = path if direct else path.resolve()
    written = target if direct else target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with written.open("wb") as stream:
            yield stream
            stream.flush()
            if not direct:
                os.fsync(stream.fileno())
        if not direct:
            written.replace(target)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_use(path, error) from None
    finally:
        if not direct:
            written.unlink(missing_ok=True)


def write_standard_output(content: bytes) -> None:
    """Write all of it at once; standard output that takes nothing is misuse, as any other place is."""
    if sys.stdout is None:
        raise CommandError("standard output: closed: expected one that can be written to")
    try:
        # Not sys.stdout.buffer: where PYTHONUNBUFFERED is set, it may write a part and not tell.
        with open(sys.stdout.fileno(), "wb", closefd=False) as stream:
            stream.write(content)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_use("standard output", error) from None
